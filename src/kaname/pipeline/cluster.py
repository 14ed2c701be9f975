"""Jobs on other machines, by Ray: the only file that imports it.

Ray starts the work, says where, and reports deaths. Whatever is given out again is given out by us (`max_retries=0`):
Ray's own retries would repeat what was written. The machines must share the output folder, run the same version of this
program and see the same files; one that does not is named and left out. Machines may come and go.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import platform
import secrets
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaname import __version__
from kaname.errors import InputError
from kaname.files import writing
from kaname.lock import Held
from kaname.pipeline.jobs import Board, Cluster, Desk, Job, fault_of, named
from kaname.pipeline.records import mark

LOOK = 2.0  # seconds between two looks at which machines there are
PATIENCE = 60.0  # seconds without any usable machine
ANSWER = 10.0  # seconds in which an address must answer
INSTALL, REMEDY = "--ray needs Ray, which is not installed", "pip install 'kaname[ray]', or use --jobs on one machine"


@dataclass
class _Machine:
    name: str
    node: str
    with_gpus: bool
    free: list[int] = field(default_factory=list)


@contextlib.contextmanager
def spread(function: str, board: Board, cluster: Cluster) -> Iterator[None]:
    """Do the jobs of a board on the machines of a cluster; one at a time on each GPU, or on each core.

    Raises:
        InputError: Ray is not installed, does not answer, or no machine can be used.
    """
    ray = _connected(cluster.address)
    try:
        _Spread(ray, function, board, cluster).work()
        yield
    finally:
        ray.shutdown()  # what still runs for us ends


class _Spread:
    def __init__(self, ray: Any, function: str, board: Board, cluster: Cluster) -> None:
        self.ray, self.function, self.board, self.cluster = ray, function, board, cluster
        self.machines: dict[str, _Machine] = {}
        self.refused: set[str] = set()
        self.running: dict[Any, tuple[_Machine, int, Job]] = {}
        self.looked, self.lonely = -LOOK, time.monotonic()
        self.do = ray.remote(max_retries=0)(_do)

    def work(self) -> None:
        """Until no job is waiting or running."""
        while self.board.waiting or self.running:
            self._look()
            for machine in list(self.machines.values()):
                while machine.free and (job := self.board.next()) is not None:
                    self._give(machine, job)
            if not self.running:
                time.sleep(0.2)
                continue
            ready, _ = self.ray.wait(list(self.running), timeout=0.5)
            for answer in ready:
                self._take(answer)

    def _give(self, machine: _Machine, job: Job) -> None:
        number = machine.free.pop()
        pinned = importlib.import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
        needs = {"num_gpus": 1, "num_cpus": 0} if machine.with_gpus else {"num_cpus": 1}
        options = {**needs, "scheduling_strategy": pinned(node_id=machine.node, soft=False)}
        answer = self.do.options(**options).remote(self.function, dict(job.arguments), job.name)
        self.running[answer] = machine, number, job

    def _take(self, answer: Any) -> None:
        machine, number, job = self.running.pop(answer)
        machine.free.append(number)
        try:
            kind, content, units = self.ray.get(answer)
        except self.ray.exceptions.RayError as error:
            self.looked = -LOOK  # is that machine still there?
            self.board.killed(job, f"{type(error).__name__} on {machine.name}")
            return
        if units:
            self.board.told(job, units)
        if kind == "done":
            self.board.done(job, content, f", {machine.name}")
        else:
            {"failed": self.board.failed, "held": self.board.held}[kind](job, content)

    def _look(self) -> None:
        """Machines that are gone are forgotten, new ones asked whether they can be used."""
        now = time.monotonic()
        if now - self.looked < LOOK:
            return
        self.looked = now
        there = {node["NodeID"]: node for node in self.ray.nodes() if node["Alive"]}
        for node in self.machines.keys() - there.keys():
            self.board.bar.say(f"{self.machines.pop(node).name} is gone")
        self._ask([node for key, node in there.items() if key not in self.machines.keys() | self.refused])
        if self.machines or self.running:
            self.lonely = now
        elif now - self.lonely > PATIENCE or (there and set(there) <= self.refused):
            raise InputError("no machine of the cluster can be used", remedy="see what was said of each")

    def _ask(self, nodes: Sequence[Mapping[str, Any]]) -> None:
        pinned = importlib.import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
        asked: dict[Any, Mapping[str, Any]] = {}
        if not any(_slots(node) for node in nodes):
            return
        token = self.cluster.folder / f".probe-{secrets.token_hex(4)}"
        with writing(self.cluster.folder):
            self.cluster.folder.mkdir(parents=True, exist_ok=True)
            token.touch(exist_ok=False)
        try:
            probe = self.ray.remote(max_retries=0, num_cpus=0)(facts)
            for node in nodes:
                if _slots(node):
                    strategy = pinned(node_id=node["NodeID"], soft=False)
                    answer = probe.options(scheduling_strategy=strategy).remote(token, list(self.cluster.files))
                    asked[answer] = node
            own = facts(token, self.cluster.files)
            for answer, node in asked.items():
                self._judge(node, answer, own)
        finally:
            token.unlink(missing_ok=True)

    def _judge(self, node: Mapping[str, Any], answer: Any, own: Mapping[str, Any]) -> None:
        name = f"{node['NodeManagerHostname']} ({node['NodeID'][:6]})"
        try:
            other = differences(own, self.ray.get(answer, timeout=PATIENCE))
        except self.ray.exceptions.RayError as error:
            other = f"it does not answer ({type(error).__name__})"
        if other:
            self.refused.add(node["NodeID"])
            self.board.bar.say(f"{name} is left out: {other}")
            return
        with_gpus = node["Resources"].get("GPU", 0) >= 1
        self.machines[node["NodeID"]] = _Machine(name, node["NodeID"], with_gpus, list(range(_slots(node))))


def check(address: str) -> None:
    """Find out before the work, and at once, whether Ray is installed and something listens at an address.

    Raises:
        InputError: it is not, or nothing does.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError(INSTALL, remedy=REMEDY)
    _knock(address)


def facts(token: Path, files: Sequence[Path]) -> dict[str, Any]:
    """What a machine sees and has."""
    contents: dict[str, str | None] = {}
    for path in files:
        try:
            contents[str(path)] = mark(path)["sha256"]
        except InputError:
            contents[str(path)] = None
    return {"sees": token.exists(), "folder": str(token.parent), "kaname": __version__,
            "python": platform.python_version(), "files": contents}  # fmt: skip


def differences(own: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Why a machine cannot be used, in words; empty where it can.

    >>> own = {"sees": True, "folder": "out", "kaname": "1.0", "python": "3.12.1", "files": {}}
    >>> differences(own, {**own, "sees": False}), differences(own, {**own, "kaname": "0.9"})
    ('it does not see out', 'it has kaname 0.9, not 1.0')
    """
    said = [] if theirs["sees"] else [f"it does not see {theirs['folder']}"]
    for name in ("kaname", "python"):
        if theirs[name] != own[name]:
            said.append(f"it has {name} {theirs[name]}, not {own[name]}")
    for path, content in own["files"].items():
        if theirs["files"].get(path) != content:
            has = "no file" if theirs["files"].get(path) is None else "another file"
            said.append(f"it has {has} at {path}")
    return "; ".join(said)


def _do(function: str, arguments: Mapping[str, Any], name: str) -> tuple[str, Any, int]:
    """A job, on whatever machine this is; what became of it, and how many units were done."""
    told: list[int] = []
    try:
        return "done", named(function)(Desk(0, told.append), **arguments), sum(told)
    except Held as error:
        return "held", error.reason, 0
    except Exception as error:
        return "failed", fault_of(error, name), 0


def _slots(node: Mapping[str, Any]) -> int:
    resources = node["Resources"]
    return int(resources.get("GPU", 0)) or int(resources.get("CPU", 0))


def _connected(address: str) -> Any:
    """Ray, connected.

    Raises:
        InputError: it is not installed, or nothing answers.
    """
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise InputError(INSTALL, remedy=REMEDY) from error
    _knock(address)
    remedy = "start it with `ray start --head`, and give HOST:PORT, auto or local"
    try:
        quiet = {"log_to_driver": False, "logging_level": "ERROR"}
        ray.init(address=address, **quiet, **({"include_dashboard": False} if address == "local" else {}))
    except ConnectionError as error:
        raise InputError(f"no Ray answers at {address}", remedy=remedy) from error
    except (RuntimeError, ValueError) as error:  # another version of Ray or Python; a malformed address
        reason = f"Ray at {address} cannot be used ({' '.join(str(error).split())[:200]})"
        raise InputError(reason, remedy="use one version of Ray and Python on all machines") from error
    finally:
        with contextlib.suppress(ValueError):  # not the main thread
            signal.signal(signal.SIGTERM, handler)  # Ray has taken it
    return ray


def _knock(address: str) -> None:
    """Whether anything listens there: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        if address in ("auto", "local"):
            return
        raise InputError(f"--ray is {address!r}", remedy="write auto, local, HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER).close()
    except (OSError, OverflowError) as error:
        reason = f"no Ray answers at {address} ({getattr(error, 'strerror', None) or error})"
        raise InputError(reason, remedy="start it with `ray start --head`") from error
