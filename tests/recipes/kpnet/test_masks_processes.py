"""``masks`` in processes that are killed, that share a list, and that work for long."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kaname.errors import InputError
from kaname.recipes.kpnet import masks
from kaname.recipes.kpnet.config import DataSettings
from kaname.recipes.kpnet.masks import make
from models.tiny_sam2 import save_tiny
from recipes.kpnet.filmed import Box, Film, Seer
from recipes.kpnet.masking import (
    FILM,
    LABELLED,
    MASKED,
    contents,
    how,
    in_place_of_sam_2,
    pictures,
    record_of,
)

TESTS = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return FILM.write(tmp_path_factory.mktemp("filmed"), LABELLED, MASKED)


@pytest.fixture
def seer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Seer:
    return in_place_of_sam_2(FILM, tmp_path, monkeypatch)


# What runs in processes of its own: the seer takes the place of SAM 2, and does what EACH says with every frame.
PROCESS = """
import os, signal, sys, time
from pathlib import Path
from kaname.cli import main
from kaname.inference import sam2_weights
from kaname.errors import InputError
from kaname.recipes.kpnet import masks
from kaname.recipes.kpnet.config import DataSettings
from recipes.kpnet.filmed import Film, Seer
place, films = Path(sys.argv[1]), {name: Film(name, 60) for name in ("A", "B", "C", "D", "A36O")}
made = masks._Video.make
def make(self, desk, stored, load):
    seer = Seer(films[self.name])
    def each(number):
        with (place / "log").open("a") as log:
            log.write(f"{os.getpid()} {self.name} {number}\\n")
        EACH
    seer.each = each
    return made(self, desk, stored, lambda: seer)
masks._Video.make = make
sam2_weights.check = lambda weights: None
main(["kpnet", "masks", *sys.argv[2:]])
"""


def start(place: Path, data: Path, out: Path, *words: str, each: str = "pass") -> subprocess.Popen[str]:
    given = ["--data-root", data, "--out-dir", out, "--ckpt", place / "sam2.pt", "--device", "cpu", *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS.replace("EACH", each), str(place), *map(str, given)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def log_of(place: Path) -> list[tuple[int, str, int]]:
    rows = [line.split() for line in (place / "log").read_text().splitlines()]
    return [(int(process), name, int(number)) for process, name, number in rows]


def test_a_kill_costs_one_stretch(data: Path, tmp_path: Path, seer: Seer) -> None:
    make(["A36O"], how(data, tmp_path))
    killed = tmp_path / "killed"
    die = "if number == 30: os.kill(os.getpid(), signal.SIGKILL)"
    process = start(tmp_path, data, killed, "--video", "A36O", each=die)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    record = record_of(killed)
    assert not record["complete"] and record["stretches"] == [[None, 5], [5, 20]]
    assert max(pictures(killed)) == 18, "nothing of the stretch that was killed has its name"
    assert [path for path in killed.iterdir() if path.name.endswith(".partial")]
    (tmp_path / "log").unlink()
    process = start(tmp_path, data, killed, "--video", "A36O")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert min(number for _, _, number in log_of(tmp_path)) == 20, "what was done is not done again"
    assert contents(killed) == contents(tmp_path / "masks")


def test_cut_off_between_the_names_and_the_record(
    data: Path, tmp_path: Path, seer: Seer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures have their names already, and no record knows of them: they are made again, to the same bytes."""
    make(["A36O"], how(data, tmp_path))
    write = masks._Video._write

    def broken(self: Any, done: Any, *, complete: bool) -> Any:
        if len(done) == 3:
            raise KeyboardInterrupt
        return write(self, done, complete=complete)

    cut = how(data, tmp_path, out=tmp_path / "cut")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(masks._Video, "_write", broken)
        make(["A36O"], cut)
    assert record_of(cut.out)["stretches"] == [[None, 5], [5, 20]] and max(pictures(cut.out)) == 39
    calls = len(seer.seen)
    make(["A36O"], cut)
    assert [numbers[0] for _, numbers in seer.seen[calls:]] == [20, 41]
    assert contents(cut.out) == contents(tmp_path / "masks")


def test_two_commands_share_a_list(tmp_path: Path) -> None:
    """Each waits until both are at work; every video is made once, and both end when all are done."""
    names = ("A", "B", "C", "D")
    for name in names:
        Film(name, 60).write(tmp_path, [0, 30], MASKED)
    (tmp_path / "sam2.pt").write_bytes(b"weights")
    (tmp_path / "list.txt").write_text("\n".join(names))
    meet = "while len({line.split()[0] for line in (place / 'log').read_text().splitlines()}) < 2: time.sleep(0.02)"
    words = ("--videos", str(tmp_path / "list.txt"))
    both = [start(tmp_path, tmp_path, tmp_path / "masks", *words, each=meet) for _ in range(2)]
    said = [process.communicate(timeout=180)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    log = log_of(tmp_path)
    assert {process for process, _, _ in log} == {process.pid for process in both}
    for name in names:
        assert len({process for process, own, _ in log if own == name}) == 1, "a video has one process"
        assert record_of(tmp_path / "masks", name)["complete"]
        for number, classes in pictures(tmp_path / "masks", name).items():
            assert (classes == Film(name, 60).classes(number)).all()


@pytest.mark.slow
def test_memory_stays_flat_over_thousands_of_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One stretch of 3,000 frames, forwards and backwards."""
    length = 3001
    film = Film("A36O", length, (Box("scissors", 2, (20, 14), (24, 10)), Box("tweezers", 3, (50, 30), first=20)))
    film.write(tmp_path, [0, length - 1])
    rss: list[int] = []

    def each(number: int) -> None:
        fields = Path("/proc/self/statm").read_text().split()
        rss.append(int(fields[1]) * os.sysconf("SC_PAGE_SIZE"))

    seer = in_place_of_sam_2(film, tmp_path, monkeypatch)
    seer.each = each
    make(["A36O"], how(tmp_path, tmp_path, fps=0.0))
    assert [back for back, _ in seer.seen] == [False, True, False] and len(rss) > 6000 - 20
    assert max(rss[200:]) - rss[200] < 50e6


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("xargs") is None, reason="no xargs on this machine")
def test_the_written_line_with_xargs(tmp_path: Path) -> None:
    """Four commands at once, one a video, as the guide starts them; a small SAM 2 of random weights."""
    names = ("A", "B", "C")
    for name in names:
        Film(name, 60).write(tmp_path / "data", LABELLED, MASKED)
    (tmp_path / "all_videos.txt").write_text("".join(f"{name}\n" for name in names))
    weights = save_tiny(tmp_path / "tiny")
    line = (
        "cat all_videos.txt | xargs -n1 -P4 -I{} bash -lc "
        f"'{sys.executable} -m kaname kpnet masks --video {{}} --fps 10 --ckpt {weights} --device cpu'"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        line, shell=True, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    for name in names:
        assert record_of(tmp_path / "artifacts" / "seg_pseudo6", name)["complete"]


def test_other_machines_are_told_absolute_paths(
    data: Path, seer: Seer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``--ray``: what is done there, in another folder, is what is done here; the checkpoint is compared."""
    from kaname.pipeline import cluster, jobs

    make(["A36O"], how(data, tmp_path))
    asked: list[jobs.Cluster] = []

    def spread(function: str, board: jobs.Board, where: jobs.Cluster) -> Any:
        asked.append(where)
        monkeypatch.chdir("/")
        return jobs._here(function, board)

    monkeypatch.setattr(cluster, "spread", spread)
    monkeypatch.setattr(masks, "check_cluster", lambda address: None)
    monkeypatch.chdir(data.parent)
    (data.parent / "weights.pt").write_bytes(b"weights")
    given = masks.How(DataSettings(Path(data.name)), "weights.pt", None, 10.0, "cpu", Path("made", "masks"))
    make(["A36O"], given, ray="auto")
    (where,) = asked
    assert where == jobs.Cluster("auto", data.parent / "made" / "masks", [data.parent / "weights.pt"])
    there, here = contents(where.folder), contents(tmp_path / "masks")
    assert {name: own for name, own in there.items() if name.endswith("png")} == {
        name: own for name, own in here.items() if name.endswith("png")
    }
    assert len(there) == len(here) > 10
    monkeypatch.chdir(data.parent)
    make(["A36O"], given)  # finished, whoever asks
    assert contents(where.folder) == there
    with pytest.raises(InputError, match="--jobs is for this machine, --ray for others"):
        make(["A36O"], how(data, tmp_path), processes=2, ray="auto")
