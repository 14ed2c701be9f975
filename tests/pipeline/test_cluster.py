"""Jobs on the machines of a Ray cluster, all of which are this machine."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calling import snapshot
from kaname.errors import InputError
from kaname.pipeline import cluster as module
from kaname.pipeline.cluster import differences, facts
from kaname.pipeline.jobs import Cluster, Desk, Ended, Job, run
from pipeline import pieces
from pipeline.machines import cluster

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra ray")
LINES = "pipeline.pieces:lines"


def jobs_into(out: Path, source: Path, count: int = 6, seconds: float = 0.0) -> list[Job]:
    return [
        Job(name, {"out": out, "name": name, "source": source, "count": 35, "seconds": seconds}, 35)
        for name in (f"piece{number}" for number in range(count))
    ]


def plain(folder: Path, source: Path) -> dict[str, bytes]:
    """What the pieces are without a cluster."""
    (folder / "out").mkdir(parents=True)
    run(LINES, jobs_into(folder / "out", source))
    return snapshot(folder / "out")


def test_a_machine_that_differs(tmp_path: Path) -> None:
    file, token = tmp_path / "best.pt", tmp_path / ".probe"
    file.write_bytes(b"weights")
    token.touch()
    own = facts(token, [file])
    assert differences(own, facts(token, [file])) == ""
    file.write_bytes(b"others")
    os.utime(file, (7, 7))
    assert differences(own, facts(token, [file])) == f"it has another file at {file}"
    file.unlink()
    token.unlink()
    assert differences(own, facts(token, [file])) == f"it does not see {tmp_path}; it has no file at {file}"
    assert "it has python 3.1.0, not " in differences(own, {**own, "python": "3.1.0"})


def test_without_ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It says how to install it."""
    original = importlib.import_module

    def missing(name: str) -> Any:
        if name == "ray":
            raise ImportError(name)
        return original(name)

    monkeypatch.setattr(module.importlib, "import_module", missing)
    with pytest.raises(InputError, match=r"Ray, which is not installed; pip install 'kaname\[ray\]'"):
        run(LINES, [], cluster=Cluster("auto", tmp_path))


@needs_ray
@pytest.mark.parametrize("address", ["somewhere", "127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_an_address_where_nothing_answers(tmp_path: Path, address: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(InputError, match=r"no Ray answers at|--ray is 'somewhere'"):
        run(LINES, jobs_into(tmp_path, tmp_path), cluster=Cluster(address.format(port), tmp_path))


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (RuntimeError("Version mismatch: The cluster was started with:\n  Ray: 2.1.0\n  Python: 3.9.1"),
         "Ray at auto cannot be used (Version mismatch: The cluster was started with: Ray: 2.1.0 Python: 3.9.1); "
         "use one version of Ray and Python on all machines"),
        (ConnectionError("nobody"), "no Ray answers at auto; start it with `ray start --head`"),
    ],
)  # fmt: skip
def test_a_cluster_that_cannot_be_joined(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, raised: Exception, said: str
) -> None:
    """One line, of another version of Ray or Python too."""

    def init(**_: Any) -> None:
        raise raised

    original = importlib.import_module
    ray = types.SimpleNamespace(init=init, shutdown=lambda: None)
    monkeypatch.setattr(module.importlib, "import_module", lambda name: ray if name == "ray" else original(name))
    with pytest.raises(InputError) as error:
        run(LINES, [], cluster=Cluster("auto", tmp_path))
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.fixture(scope="module")
def machines() -> Iterator[Any]:
    """A head without cores and two machines of one core each."""
    with cluster() as made:
        yield made


@needs_ray
def test_the_bytes_are_those_of_one_process(machines: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A worker is killed in the middle; its piece is given out again, and another one fails."""
    source, out = tmp_path / "source", tmp_path / "cluster" / "out"
    source.write_bytes(b"what pieces are made of")
    whole = plain(tmp_path / "plain", source)
    out.mkdir(parents=True)

    def kill() -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if left := sorted(out.glob(".*.stretch")):
                os.kill(int(left[0].name.split(".")[2].split("-")[0]), signal.SIGKILL)
                return
            time.sleep(0.05)

    killer = threading.Thread(target=kill)
    killer.start()
    jobs = [
        *jobs_into(out, source, seconds=0.03),
        Job("bad", {**jobs_into(out, tmp_path / "none")[0].arguments, "name": "bad"}),
    ]
    before = signal.getsignal(signal.SIGTERM)
    ended = run(LINES, jobs, cluster=Cluster(machines.address, out, [source]))
    killer.join()
    assert signal.getsignal(signal.SIGTERM) == before
    assert set(ended.results) == {f"piece{number}" for number in range(6)} and set(ended.failures) == {"bad"}
    assert "given out again" in capsys.readouterr().out
    assert snapshot(out) == whole


@needs_ray
@pytest.mark.slow
def test_machines_go_and_come(machines: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One goes without grace in the middle, another comes; the same bytes."""
    source, out = tmp_path / "source", tmp_path / "cluster" / "out"
    source.write_bytes(b"what pieces are made of")
    whole = plain(tmp_path / "plain", source)
    out.mkdir(parents=True)

    found: list[Ended] = []
    where = Cluster(machines.address, out, [source])
    jobs = jobs_into(out, source, seconds=0.4)
    working = threading.Thread(target=lambda: found.append(run(LINES, jobs, cluster=where)))
    working.start()
    while not list(out.glob("*.json")):
        assert working.is_alive()
        time.sleep(0.1)
    machines.remove_node(next(iter(machines.worker_nodes)), allow_graceful=False)
    machines.add_node(num_cpus=1)  # in this thread, for it sets a handler of signals
    working.join(200)
    assert len(found) == 1 and len(found[0].results) == 6 and snapshot(out) == whole
    assert "is gone" in capsys.readouterr().out


SHIM = """
import io, os, pathlib

GONE, MOVED = {gone!r}, {moved!r}
_exists, _stat, _open = pathlib.Path.exists, pathlib.Path.stat, io.open


def elsewhere(path):
    return MOVED.get(str(path), path)


pathlib.Path.exists = lambda self, **how: not str(self).startswith(GONE) and _exists(self, **how)
pathlib.Path.stat = lambda self, **how: _stat(pathlib.Path(elsewhere(self)), **how)
pathlib.Path.open = lambda self, *how, **named: _open(elsewhere(self), *how, **named)
"""


def odd_node(machines: Any, folder: Path, *, gone: str = "\0", moved: dict[str, str] | None = None) -> Any:
    """A machine whose Python sees other files than the others do."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SHIM.format(gone=gone, moved=moved or {}), encoding="utf-8")
    path = os.pathsep.join([str(folder), os.environ["PYTHONPATH"]])
    return machines.add_node(num_cpus=1, env_vars={"PYTHONPATH": path})


@needs_ray
@pytest.mark.slow
def test_odd_machines_are_named_and_left_out(machines: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One does not see the folder, one has another checkpoint under the same path: the same bytes without them."""
    source, other, out = tmp_path / "source", tmp_path / "other", tmp_path / "cluster" / "out"
    source.write_bytes(b"what pieces are made of")
    other.write_bytes(b"what others are made of")
    whole = plain(tmp_path / "plain", source)
    out.mkdir(parents=True)
    odd = [odd_node(machines, tmp_path / "blind", gone=str(out)),
           odd_node(machines, tmp_path / "wrong", moved={str(source): str(other)})]  # fmt: skip
    try:
        ended = run(LINES, jobs_into(out, source, seconds=0.01), cluster=Cluster(machines.address, out, [source]))
    finally:
        for node in odd:
            machines.remove_node(node)
    said = capsys.readouterr().out
    assert len(ended.results) == 6 and snapshot(out) == whole
    assert f"is left out: it does not see {out}" in said and f"is left out: it has another file at {source}" in said
    assert said.count("is left out") == 2


DRIVER = """
import sys
from pathlib import Path

from kaname.pipeline.jobs import Cluster, run
from pipeline.test_cluster import LINES, jobs_into

address, out, source = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
run(LINES, jobs_into(out, source, seconds=0.05), cluster=Cluster(address, out, [source])).report()
"""


@needs_ray
@pytest.mark.slow
def test_the_driver_is_killed_and_started_again(machines: Any, tmp_path: Path) -> None:
    """Without grace, in the middle: the same bytes in the end, and what was finished is not begun again."""
    source, out = tmp_path / "source", tmp_path / "cluster" / "out"
    source.write_bytes(b"what pieces are made of")
    whole = plain(tmp_path / "plain", source)
    out.mkdir(parents=True)
    command = [sys.executable, "-c", DRIVER, machines.address, str(out), str(source)]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not list(out.glob("*.json")):
        assert driver.poll() is None
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    time.sleep(1.0)  # what still runs on the machines ends, or holds its lock until then
    finished, begun = {path.stem.removesuffix("_lines") for path in out.glob("*.json")}, out.parent / "begun"
    before = {path.name for path in begun.iterdir()}
    assert 0 < len(finished) < 6
    assert subprocess.run(command, stdout=subprocess.DEVNULL, timeout=200, check=False).returncode == 0
    assert snapshot(out) == whole
    assert not {path.name.split("-")[0] for path in begun.iterdir() if path.name not in before} & finished


def test_a_job_on_another_machine_says_what_became_of_it(tmp_path: Path) -> None:
    """The same as here: results with units, held ones, failures in a line."""
    source = tmp_path / "source"
    source.write_bytes(b"a")
    given = jobs_into(tmp_path / "out", source, 1)[0].arguments
    (tmp_path / "out").mkdir()
    kind, record, units = module._do(LINES, given, "piece0")
    assert kind == "done" and units == 35 and record["lines"] == 35
    assert pieces.lines(Desk(0, lambda _: None), **given)["lines"] == 35
    kind, error, _ = module._do("pipeline.pieces:bad", {"value": 7}, "n7")
    assert kind == "failed" and "n7: a bug in kaname (ZeroDivisionError" in str(error)
