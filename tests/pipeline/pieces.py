"""Jobs for the tests of `kaname.pipeline.jobs`: they write lines, and end in the ways that jobs end in."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from kaname.errors import InputError
from kaname.pipeline.jobs import Desk
from kaname.pipeline.records import Record, claim
from kaname.pipeline.stretches import Stretches


def number(desk: Desk, value: int) -> dict[str, int]:
    """The process that did it, and a value."""
    desk.tell(1)
    return {"process": os.getpid(), "value": value * value}


def bad(desk: Desk, value: int) -> int:
    """Odd numbers are no good."""
    if value == 7:
        raise ZeroDivisionError("seven")
    if value % 2:
        raise InputError(f"{value} is odd", path="numbers", remedy="double it")
    return value


def dies(desk: Desk, folder: Path, times: int) -> int:
    """Kills its own process that many times."""
    tries = len(list(folder.iterdir()))
    (folder / f"try{tries}").touch()
    if tries < times:
        os.kill(os.getpid(), signal.SIGKILL)
    return tries


def waits(desk: Desk, folder: Path) -> None:
    """Says who it is, and stays for a while."""
    (folder / f"pid{os.getpid()}").touch()
    time.sleep(60)


def record_of(out: Path, name: str, source: Path) -> Record:
    """What the lines of a piece depend on."""
    return Record(out / f"{name}_lines.json", {"source": source}, {"kind": "lines"})


def lines(desk: Desk, out: Path, name: str, source: Path, count: int, seconds: float = 0.0) -> dict[str, Any]:
    """Writes lines in stretches of ten, each line what it costs to make it."""
    record, target = record_of(out, name, source), out / f"{name}_lines.txt"
    with claim(record):
        if (stored := record.finished()) is not None:
            return stored
        with Stretches(target, record.key) as stretches:
            begin = int(stretches.state["next"]) if stretches.state else 0
            (out.parent / "begun").mkdir(exist_ok=True)
            (out.parent / "begun" / f"{name}-{begin}-{time.monotonic_ns()}").touch()
            for line in range(begin, count):
                if line > begin and line % 10 == 0:
                    stretches.mark({"next": line})
                time.sleep(seconds)
                stretches.add(f"{name} {line}\n")
                desk.tell(1)
            stretches.mark({"next": count})
            stretches.publish()
            written = record.write([target], lines=count)
            stretches.discard()
        return written
