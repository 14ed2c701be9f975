"""Pieces of work in processes that are killed: the same files, and nothing else."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from calling import snapshot
from kaname.errors import InputError
from kaname.pipeline.jobs import Job, run
from pipeline import pieces

NUMBER, BAD = "pipeline.pieces:number", "pipeline.pieces:bad"
TESTS = Path(__file__).resolve().parents[1]
COMMAND = """
import signal
import sys
from pathlib import Path
from kaname.cli import terminable, Terminated
from kaname.pipeline.jobs import Job, run
out, source, count, processes, seconds = Path(sys.argv[1]), Path(sys.argv[2]), *map(float, sys.argv[3:6])
function = sys.argv[6] if len(sys.argv) > 6 else "pipeline.pieces:lines"
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of some shells
    jobs = []
    for number in range(int(count)):
        given = {"out": out, "name": f"piece{number}", "source": source, "count": 35, "seconds": seconds}
        jobs.append(Job(f"piece{number}", given if function.endswith("lines") else {"folder": out}, 35))
    try:
        with terminable():
            run(function, jobs, processes=int(processes)).report()
    except KeyboardInterrupt as error:
        sys.exit(143 if isinstance(error, Terminated) else 130)
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_every_job_is_done(processes: int) -> None:
    jobs = [Job(str(value), {"value": value}) for value in range(5)]
    said: list[str] = []
    ended = run(NUMBER, jobs, processes=processes, ended=lambda job, *_: said.append(job.name) or job.name)
    assert {name: result["value"] for name, result in ended.results.items()} == {str(n): n * n for n in range(5)}
    own = {result["process"] for result in ended.results.values()}
    assert len(own) <= processes and (os.getpid() in own) is (processes == 1)
    assert sorted(said) == [str(value) for value in range(5)]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_failure_does_not_stop_the_others(processes: int, capsys: pytest.CaptureFixture[str]) -> None:
    ended = run(BAD, [Job(f"n{value}", {"value": value}) for value in (1, 2, 7, 4)], processes=processes)
    assert ended.results == {"n2": 2, "n4": 4} and set(ended.failures) == {"n1", "n7"}
    with pytest.raises(SystemExit) as raised:
        ended.report()
    lines = capsys.readouterr().err.strip().splitlines()
    assert raised.value.code == 2 and len(lines) == 2 and "error: numbers: 1 is odd; double it" in lines
    assert any("n7: a bug in kaname (ZeroDivisionError: seven, pieces.py line" in line for line in lines)


@pytest.mark.parametrize(("times", "result"), [(2, 2), (9, None)])
def test_a_killed_job_is_given_out_again_twice(tmp_path: Path, times: int, result: int | None) -> None:
    jobs = [Job("a", {"folder": tmp_path, "times": times})]
    ended = run("pipeline.pieces:dies", jobs, processes=2)
    assert len(list(tmp_path.iterdir())) == 3 and ended.results.get("a") == result
    if result is None:
        assert "a: its process ended 3 times, last by signal 9" in str(ended.failures["a"])


def test_no_process_is_no_way_to_work() -> None:
    with pytest.raises(InputError, match="--jobs must be at least 1, got 0"):
        run(NUMBER, [], processes=0)


def begin(out: Path, count: int, processes: int, seconds: float, function: str = "") -> subprocess.Popen[bytes]:
    """The command, in a group of its own, as a terminal has it."""
    source = out.parent / "source"
    source.write_bytes(b"what pieces are made of")
    words = [sys.executable, str(out.parent / "command.py"), str(out), str(source), str(count), str(processes)]
    (out.parent / "command.py").write_text(COMMAND, encoding="utf-8")
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [*words, str(seconds), *([function] if function else [])], env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def children(process: int) -> list[int]:
    words = ["ps", "-o", "pid=,args=", "--ppid", str(process)]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    return [int(line.split()[0]) for line in found.stdout.splitlines() if "spawn_main" in line]


def lives(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_for(what: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_workers_end_with_the_command(tmp_path: Path, number: int, code: int) -> None:
    out = tmp_path / "out"
    out.mkdir()
    command = begin(out, 2, 2, 0, "pipeline.pieces:waits")
    wait_for(lambda: len(list(out.iterdir())) == 2)
    workers = [int(path.name[3:]) for path in out.iterdir()]
    assert all(lives(worker) for worker in workers)
    if number == signal.SIGINT:
        os.killpg(command.pid, number)  # Ctrl-C reaches all processes of a terminal
    else:
        command.send_signal(number)
    assert command.wait(30) == code
    wait_for(lambda: not any(lives(worker) for worker in workers), 20)


def test_kills_leave_the_bytes_of_a_run_that_nothing_stopped(tmp_path: Path) -> None:
    """A worker, twice the whole command, and two commands at once; stops cost at most a stretch each."""
    whole, out = tmp_path / "whole" / "out", tmp_path / "killed" / "out"
    for folder in (whole, out):
        folder.mkdir(parents=True)
    assert begin(whole, 6, 1, 0).wait(60) == 0
    os.utime(tmp_path / "whole" / "source", (5, 5))
    random_ = random.Random(4)
    for kill in ("worker", "command", "worker", "command", "worker"):
        command = begin(out, 6, 2, 0.01)
        os.utime(tmp_path / "killed" / "source", (5, 5))
        wait_for(lambda command=command: children(command.pid) or command.poll() is not None)
        time.sleep(random_.uniform(0.3, 1.0))
        victims = children(command.pid)
        if kill == "worker" and victims:
            os.kill(random_.choice(victims), signal.SIGKILL)
            time.sleep(0.2)
        command.kill()
        command.wait(30)
    two = [begin(out, 6, 2, 0.005), begin(out, 6, 1, 0.005)]
    os.utime(tmp_path / "killed" / "source", (5, 5))
    assert [command.wait(90) for command in two] == [0, 0]
    one, other = (
        {name: content for name, content in snapshot(folder).items() if name.endswith(".txt")}
        for folder in (whole, out)
    )
    assert one == other and len(one) == 6
    assert sorted(path.name for path in out.iterdir()) == sorted(
        f"piece{number}_lines.{ending}" for number in range(6) for ending in ("json", "txt")
    )
    begun = [path.name.split("-")[:2] for path in (out.parent / "begun").iterdir()]
    assert all(int(place) % 10 == 0 or int(place) == 35 for _, place in begun)
    assert len(begun) <= 6 + 5 * 2, "a finished piece is not begun again"


def test_between_result_and_record(tmp_path: Path) -> None:
    """The result has its name, the record not yet: the lines are still there, and nothing is made again."""
    out, source = tmp_path / "out", tmp_path / "source"
    out.mkdir()
    source.write_bytes(b"a")
    child = os.fork()
    if child == 0:
        from contracts.kills import at_call, die

        at_call(pieces.Record, "write", 1, die)
        pieces.lines(pieces.Desk(0, lambda _: None), out, "a", source, 35)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert {path.suffix for path in out.iterdir()} >= {".txt", ".stretch"} and not (out / "a_lines.json").exists()
    pieces.lines(pieces.Desk(0, lambda _: None), out, "a", source, 35)
    assert sorted(path.name for path in out.iterdir()) == ["a_lines.json", "a_lines.txt"]
    assert sorted(path.name.split("-")[1] for path in (tmp_path / "begun").iterdir()) == ["0", "35"]
