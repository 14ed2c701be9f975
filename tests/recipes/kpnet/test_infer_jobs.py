"""``infer`` in several processes, and killed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from calling import snapshot
from contracts.kills import at_call
from kaname.recipes.kpnet import walking
from recipes.kpnet import tiny
from recipes.kpnet.tiny import infer

TESTS = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("words", [(), ("--tracker", "klt", "--k", 2)])
def test_two_processes_write_what_one_does(made: Path, tmp_path: Path, words: tuple[object, ...]) -> None:
    for processes in (1, 2):
        infer(made, tmp_path / str(processes), *words, "--jobs", processes, model="six.pt").done()
    assert snapshot(tmp_path / "1") == snapshot(tmp_path / "2")


KILLED = """
import importlib, sys
from pathlib import Path
import torch
from contracts.kills import at_call, die
from recipes.kpnet.tiny import infer
torch.set_num_threads(1)
act, owner, name, number, made, out, *words = sys.argv[1:]
module, _, attribute = owner.partition(":")
at_call(getattr(importlib.import_module(module), attribute), name, int(number), die, after=act == "after")
sys.exit(infer(Path(made), Path(out), *words).code)
"""


def killed(act: str, owner: str, name: str, number: int, *words: object) -> int:
    """``infer`` in a process that ends before or after the ``number``-th call of a method; its code.

    Not a forked one: a worker of the tests has threads, and what they hold at that moment would be held for ever.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    call = [sys.executable, "-c", KILLED, act, owner, name, number, *words]
    return subprocess.run([str(word) for word in call], env=environment, check=False, timeout=300).returncode


def test_a_kill_costs_one_stretch(made: Path, tmp_path: Path) -> None:
    """In a frame, in the writing of a result, between result and record, after the record: the same bytes in the end,
    nothing partial, and of a finished video nothing again. Points are smoothed across the stretches."""
    import torch

    torch.set_num_threads(1)
    words = ("--videos", "val00,val01", "--every", 1, "--tracker", "klt", "--k", 4, "--smooth", "one-euro")
    infer(made, tmp_path / "whole", *words).done()
    out = tmp_path / "killed"
    walk, record = "kaname.recipes.kpnet.walking:Walk", "kaname.pipeline.records:Record"
    stretches = "kaname.pipeline.stretches:Stretches"
    for act, owner, name, number in (
        ("before", walk, "_detect", 4), ("before", stretches, "publish", 1), ("before", record, "write", 1),
        ("after", record, "write", 1), ("before", stretches, "add", 50),
    ):  # fmt: skip
        assert killed(act, owner, name, number, made, out, *words) == -signal.SIGKILL, (owner, name)
    detected: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        original = walking.Walk._detect
        patch.setattr(
            walking.Walk, "_detect", lambda self, frame: detected.append(frame.index) or original(self, frame)
        )
        infer(made, out, *words).done()
    assert detected and detected == list(range(detected[0], tiny.LENGTH, 4)) and detected[0] > 0
    assert snapshot(out) == snapshot(tmp_path / "whole")


def test_a_video_that_changes_while_it_is_read(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No record says that what came of it is whole."""
    movie = tmp_path / "movie" / "v.mp4"
    movie.parent.mkdir()
    shutil.copy(made / "data" / "movie" / "val00.mp4", movie)
    monkeypatch.setattr(walking.Walk, "_detect", walking.Walk._detect)  # so that it is put back
    at_call(walking.Walk, "_detect", 3, lambda: shutil.copy(made / "data" / "movie" / "val01.mp4", movie))
    infer(made, tmp_path / "out", "--video-root", movie.parent, "--videos", "v").refused("v.mp4", "was changed")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_many_kills_at_random(made: Path, tmp_path: Path) -> None:
    """Of a worker or of the whole command, at any moment: the same bytes in the end, nothing partial, and a finished
    video is not made again."""
    movies, source = tmp_path / "movie", made / "data" / "movie"
    movies.mkdir()
    for number in range(12):
        shutil.copy(source / f"val0{number % 3}.mp4", movies / f"v{number:02d}.mp4")
    words = [
        *(sys.executable, "-m", "kaname", "kpnet", "infer", "--data-root", made / "data", "--video-root", movies),
        *("--videos", ",".join(path.stem for path in sorted(movies.iterdir())), "--ckpt", made / "six.pt"),
        *("--device", "cpu", "--tracker", "klt", "--k", "3"),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(out: Path, processes: int) -> subprocess.Popen[bytes]:
        call_ = [*map(str, words), "--out-dir", str(out), "--jobs", str(processes)]
        return subprocess.Popen(call_, env=environment, stdout=subprocess.DEVNULL)

    assert start(tmp_path / "whole", 1).wait(120) == 0
    out, random_, finished, kills = tmp_path / "killed", random.Random(1), dict[str, int](), 0
    while kills < 100:
        command = start(out, 2)
        time.sleep(random_.uniform(3.0, 9.0))
        listed = ["ps", "-o", "pid=,args=", "--ppid", str(command.pid)]
        found = subprocess.run(listed, capture_output=True, text=True, check=False).stdout.splitlines()
        workers = [int(line.split()[0]) for line in found if "spawn_main" in line]
        for worker in workers if random_.random() < 0.5 else []:
            os.kill(worker, signal.SIGKILL)
            kills += 1
            time.sleep(random_.uniform(0, 2.0))
            break
        command.kill()
        command.wait()
        kills += 1
        for path in out.glob("*.json") if out.is_dir() else ():
            assert finished.setdefault(path.name, path.stat().st_mtime_ns) == path.stat().st_mtime_ns
        if len(finished) == 12 or kills >= 100:  # the next ones are to hit work that is under way
            assert start(out, 2).wait(120) == 0
            assert snapshot(out) == snapshot(tmp_path / "whole")
            shutil.rmtree(out)
            finished.clear()
