"""What was measured of a model on this machine, in a small JSON file of the user's cache folder. No torch.

An entry's key is a hash of everything that the figures depend on: the content of the weights, the processor, the
device, the versions of the runtimes and the number of threads. Whatever changes, its figures are not found, and no old
choice can be taken for a new one. A folder that cannot be written is no error: nothing is remembered then.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kaname import __version__
from kaname.data.cache import default_folder
from kaname.errors import InputError
from kaname.extras import version
from kaname.files import content_hash, write_text

NAME = "runtimes.json"
FORMAT = 1
KEPT = 200  # models; those measured longest ago go
PACKAGES = ("torch", "onnxruntime", "openvino")
ALIKE = "alike"
FASTER = 0.95
"""A runtime must take less than this share of the plain one's time to be chosen instead of it."""


@dataclass(frozen=True)
class Row:
    """What was measured of a candidate.

    Attributes:
        runtime: its name.
        precision: fp32, bf16 or fp16.
        verdict: ``alike`` where its answers are the plain runtime's within the tolerance; else why it is refused.
        ms: an answer takes, the least of the rounds; None where it did not run.
        times: as fast as the plain runtime in the same rounds.
        p99_px: how far points moved at the 99th percentile, pixels of the original image; None without points.
        largest_px: the largest of these.
        pixels: share of the masks' pixels that changed their class; None where there were none.
    """

    runtime: str
    precision: str
    verdict: str = ALIKE
    ms: float | None = None
    times: float | None = None
    p99_px: float | None = None
    largest_px: float | None = None
    pixels: float | None = None


class Memory:
    """The figures of one model on this machine.

    Args:
        path: the file of the weights.
        device: what it runs on, as torch calls it, with the name of a GPU.
        threads: of a CPU; 0 stands for all that this process may use.
    """

    def __init__(self, path: Path, device: str, threads: int) -> None:
        self.path, self.place = path, default_folder() / NAME
        self.device, self.threads = device, threads or cores()

    @functools.cached_property
    def about(self) -> dict[str, Any]:
        """What the weights ran on; to find out takes as long as a small network's answer."""
        return {"processor": processor(), "device": self.device, "threads": self.threads, **versions()}

    @functools.cached_property
    def key(self) -> str:
        """A hash of the weights and of what they ran on."""
        told = json.dumps({**self.about, "weights": content_hash(self.path)}, sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()

    def read(self) -> list[Row]:
        """The figures; none where nothing fits, or the file cannot be read."""
        size = self.path.stat().st_size
        models = _models(self.place)
        if not any(entry.get("bytes") == size for entry in models.values()):
            return []  # without reading all of the weights
        try:
            rows = [Row(**row) for row in models[self.key]["rows"]]
            return rows if all(_sound(row) for row in rows) else []
        except (LookupError, TypeError):
            return []

    def write(self, rows: Sequence[Row]) -> bool:
        """Keep figures, with those of other candidates that are there already; whether that was possible."""
        fresh = {(row.runtime, row.precision) for row in rows}
        kept = [row for row in self.read() if (row.runtime, row.precision) not in fresh]
        models = _models(self.place)
        models.pop(self.key, None)  # the newest is the last
        entry = {"file": self.path.name, "bytes": self.path.stat().st_size, **self.about}
        models[self.key] = {**entry, "rows": [asdict(row) for row in (*kept, *rows)]}
        newest = dict(list(models.items())[-KEPT:])
        try:
            write_text(
                self.place, json.dumps({"format": FORMAT, "models": newest}, indent=1, ensure_ascii=False) + "\n"
            )
        except InputError:
            return False
        return True


def fastest(rows: Sequence[Row], plain: str) -> Row | None:
    """The fastest of those whose answers are alike; the plain runtime in fp32 where none is clearly faster than it.

    Args:
        plain: the file's own runtime.

    Returns:
        None where nothing that ran is alike.
    """
    able = [row for row in rows if row.verdict == ALIKE and row.times]
    own = next((row for row in able if (row.runtime, row.precision) == (plain, "fp32")), None)
    best = max(able, key=lambda row: row.times or 0.0, default=None)
    return own if own is not None and best is not None and (best.times or 0.0) * FASTER <= 1.0 else best


def processor() -> str:
    """The processor's name and a hash of the instructions that it has, which virtual machines differ in."""
    told = Path("/proc/cpuinfo")
    if not told.is_file():
        return f"{platform.machine()} {platform.processor()}".strip()
    lines = [line.partition(":") for line in told.read_text(encoding="utf-8", errors="replace").splitlines()]
    facts = {name.strip(): value.strip() for name, _, value in lines}  # of the last core
    flags = " ".join(sorted(facts.get("flags", facts.get("Features", "")).split()))
    named = facts.get("model name", platform.machine())
    return f"{named} {hashlib.sha256(flags.encode()).hexdigest()[:8]}"


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Of this package and of what runs networks; empty where one is not installed. Nothing is imported."""
    told = {"kaname": __version__}
    for name in PACKAGES:
        told[name] = ""
        with contextlib.suppress(ModuleNotFoundError):
            told[name] = version(name)
    return told


def _models(place: Path) -> dict[str, Any]:
    """Every entry; none where there is no file, or one that this version did not write."""
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    models = content.get("models") if isinstance(content, dict) and content.get("format") == FORMAT else None
    return {k: v for k, v in models.items() if isinstance(v, Mapping)} if isinstance(models, dict) else {}


def _sound(row: Row) -> bool:
    figures = (row.ms, row.times, row.p99_px, row.largest_px, row.pixels)
    return isinstance(row.verdict, str) and all(
        one is None or (isinstance(one, (int, float)) and math.isfinite(one)) for one in figures
    )
