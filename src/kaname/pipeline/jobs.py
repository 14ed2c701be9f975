"""Many pieces of work, each on its own: one after the other here, or several at once in processes of their own.

A job is a function named in text (``"module:function"``) with plain arguments and a plain result, so that it may run
anywhere; it says how far it is by `Desk.tell`. It must be repeatable: a process that is killed is replaced, and its job
given out again, twice at most. A job that fails does not stop the others. Where another command works on the same
thing (`kaname.lock.Held`) the job is put off until that one has ended, and then finds it finished.

No torch here: whatever a job needs is imported where it runs.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import threading
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaname.errors import InputError, require
from kaname.lock import Held
from kaname.pipeline.flags import report_problems
from kaname.progress import Bar

if TYPE_CHECKING:
    from multiprocessing import connection

ATTEMPTS = 3  # of a job whose process is killed
PAUSE = 0.2  # seconds between two looks at what another command holds
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")


@dataclass(frozen=True)
class Job:
    """One piece of work.

    Attributes:
        name: for people.
        arguments: of the function; plain values and paths.
        size: about how many units (frames) it has.
    """

    name: str
    arguments: Mapping[str, Any]
    size: int = 1


@dataclass(frozen=True)
class Desk:
    """Where a job is done; the function's first argument.

    Attributes:
        number: of the process among those at work, from 0, so that GPUs are taken in turn.
        tell: says how many further units are done.
    """

    number: int
    tell: Callable[[int], None]


@dataclass(frozen=True)
class Cluster:
    """Machines that work together by Ray (`kaname.pipeline.cluster`).

    Attributes:
        address: ``auto``, ``HOST:PORT``, ``ray://HOST:PORT`` or ``local``.
        folder: that all machines must see.
        files: that must be the same on all machines.
    """

    address: str
    folder: Path
    files: Sequence[Path] = ()


@dataclass
class Ended:
    """What became of jobs, by their name: results, and errors of those that failed."""

    results: dict[str, Any] = field(default_factory=dict)
    failures: dict[str, InputError] = field(default_factory=dict)

    def report(self) -> None:
        """List the failures, one line each, and stop with exit code 2, if there is one."""
        report_problems(list(self.failures.values()))


def run(
    function: str,
    jobs: Sequence[Job],
    *,
    processes: int = 1,
    title: str = "",
    unit: str = "frames",
    ended: Callable[[Job, Any, float], str] | None = None,
    cluster: Cluster | None = None,
) -> Ended:
    """Do all jobs.

    Args:
        function: ``module:function``, called as ``function(desk, **arguments)``.
        processes: at once; 1 works in this process.
        title: before the progress bar, which counts the units of all jobs.
        unit: of ``size`` and of what a job tells.
        ended: ``(job, result, seconds) -> line`` that is printed when a job has ended well.
        cluster: machines that do them; then they say how many at once.

    Raises:
        InputError: fewer than one process, or several and other machines as well.
    """
    check(processes, cluster is not None)
    board = Board(title, jobs, unit, ended)
    if cluster is not None:
        how = importlib.import_module("kaname.pipeline.cluster").spread(function, board, cluster)
    else:
        how = _here(function, board) if processes == 1 else _apart(function, board, min(processes, len(jobs)))
    with board.bar, how:
        pass
    return board.outcome


def check(processes: int, elsewhere: bool) -> None:
    """As `run` does it, before anything is done.

    Raises:
        InputError: fewer than one process, or several and other machines as well.
    """
    require(processes >= 1, f"--jobs must be at least 1, got {processes}", "1 does one after the other")
    require(processes == 1 or not elsewhere, "--jobs is for this machine, --ray for others", "give one of them")


class Board:
    """What is still to be done, what has been, and what is said of it."""

    def __init__(
        self, title: str, jobs: Sequence[Job], unit: str, ended: Callable[[Job, Any, float], str] | None
    ) -> None:
        self.waiting = deque(jobs)
        self.unit, self.ended, self.outcome = unit, ended, Ended()
        self.bar = Bar(title, sum(job.size for job in jobs))
        self.began = time.monotonic()
        self.counted: dict[str, int] = {}
        self.started: dict[str, float] = {}
        self.lost: dict[str, int] = {}
        self.put_off: dict[str, float] = {}
        self.total = 0

    def next(self) -> Job | None:
        """A job to begin now: first those that nobody else holds."""
        now = time.monotonic()
        for _ in range(len(self.waiting)):
            job = self.waiting.popleft()
            if self.put_off.get(job.name, 0.0) <= now:
                self.started[job.name], self.counted[job.name] = now, 0
                return job
            self.waiting.append(job)
        return None

    def told(self, job: Job, count: int) -> None:
        """Further units of a job are done."""
        self.total += count
        rate = self.total / max(1e-9, time.monotonic() - self.began)
        fresh = min(count, max(0, job.size - self.counted[job.name]))  # a size is a promise of a file's header
        self.counted[job.name] += fresh
        self.bar.advance(fresh, f"{rate:.1f} {self.unit}/s")

    def done(self, job: Job, result: Any, where: str = "") -> None:
        """A job has ended well, ``where`` is the end of its line."""
        self.outcome.results[job.name] = result
        self._close(job)
        if self.ended is not None:
            self.bar.say(self.ended(job, result, time.monotonic() - self.started[job.name]) + where)

    def failed(self, job: Job, error: InputError) -> None:
        """A job cannot be done."""
        self.outcome.failures[job.name] = error
        self._close(job)

    def held(self, job: Job, error: str) -> None:
        """Another command is at it."""
        if job.name not in self.put_off:
            self.bar.say(f"{job.name}: {error}")
        self.put_off[job.name] = time.monotonic() + PAUSE
        self.waiting.append(job)

    def killed(self, job: Job, how: str) -> None:
        """The process that did a job is no more."""
        self.lost[job.name] = self.lost.get(job.name, 0) + 1
        if self.lost[job.name] < ATTEMPTS:
            self.bar.say(f"{job.name}: its process ended ({how}); given out again")
            self.bar.advance(-self.counted[job.name])
            self.waiting.appendleft(job)
            return
        reason = f"{job.name}: its process ended {ATTEMPTS} times, last by {how}"
        self.failed(job, InputError(reason, remedy="out of memory, perhaps: use fewer --jobs; the others went on"))

    def _close(self, job: Job) -> None:
        self.bar.advance(job.size - self.counted.get(job.name, 0))


def fault_of(error: BaseException, name: str) -> InputError:
    """The line for whatever a job has raised."""
    if isinstance(error, InputError):
        return error
    known = importlib.import_module("kaname.training.faults").explain(error)
    if known is not None:
        return InputError(f"{name}: {known.reason}", path=known.path, row=known.row, remedy=known.remedy)
    lines = f"{type(error).__name__}: {error}".strip().split("\n")
    where = traceback.extract_tb(error.__traceback__)
    place = f", {os.path.basename(where[-1].filename)} line {where[-1].lineno}" if where else ""
    return InputError(f"{name}: a bug in kaname ({lines[0]}{place})", remedy="run it alone with --traceback")


@contextlib.contextmanager
def _here(function: str, board: Board) -> Iterator[None]:
    called = named(function)
    while board.waiting:
        job = board.next()
        if job is None:
            time.sleep(PAUSE)
            continue
        desk = Desk(0, lambda count, job=job: board.told(job, count))
        try:
            board.done(job, called(desk, **job.arguments))
        except Held as error:
            board.held(job, error.reason)
        except Exception as error:
            if len(board.started) == 1 and not board.waiting and not isinstance(error, InputError):
                raise  # of one piece of work the command line tells more
            board.failed(job, fault_of(error, job.name))
    yield


@dataclass
class _Worker:
    process: Any
    pipe: connection.Connection
    job: Job | None = None


@contextlib.contextmanager
def _apart(function: str, board: Board, count: int) -> Iterator[None]:
    from multiprocessing import connection  # here and below: one job after the other needs no processes

    workers: list[_Worker | None] = [None] * count
    try:
        while board.waiting or any(worker is not None and worker.job is not None for worker in workers):
            for number, worker in enumerate(workers):
                if worker is None or worker.job is None:
                    job = board.next()
                    if job is not None:
                        workers[number] = _given(worker or _hired(function, number, count), job)
            busy = [worker for worker in workers if worker is not None and worker.job is not None]
            ready = connection.wait([worker.pipe for worker in busy], timeout=PAUSE) if busy else time.sleep(PAUSE)
            for number, worker in enumerate(workers):
                if worker is not None and worker.pipe in (ready or ()) and not _heard(worker, board):
                    workers[number] = None
        yield
    finally:
        for worker in workers:
            if worker is not None:
                worker.pipe.close()
                worker.process.kill()  # every state on disk can be gone on from
                worker.process.join()


def _given(worker: _Worker, job: Job) -> _Worker:
    worker.job = job
    with contextlib.suppress(OSError):  # it has just died, which its pipe will tell
        worker.pipe.send((job.name, dict(job.arguments)))
    return worker


def _heard(worker: _Worker, board: Board) -> bool:
    """Take one message; False where the process is no more."""
    job = worker.job
    assert job is not None
    try:
        kind, content = worker.pipe.recv()
    except (EOFError, OSError):
        worker.pipe.close()
        worker.process.join()
        code = worker.process.exitcode
        board.killed(job, f"signal {-code}" if code is not None and code < 0 else f"exit code {code}")
        return False
    if kind == "told":
        board.told(job, content)
    elif kind == "warning":
        warnings.warn(content, stacklevel=2)
    else:
        worker.job = None
        {"done": board.done, "failed": board.failed, "held": board.held}[kind](job, content)
    return True


def _hired(function: str, number: int, count: int) -> _Worker:
    """A new process; the cores are shared out."""
    import multiprocessing

    context = multiprocessing.get_context("spawn")  # a fork of a process with threads or videos open may hang
    ours, theirs = context.Pipe()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    added = [name for name in THREADS if name not in os.environ]
    try:
        os.environ.update({name: str(max(1, cores // count)) for name in added})
        process = context.Process(target=_work, args=(function, number, theirs), daemon=True)
        with _deaf():
            process.start()
    finally:
        for name in added:
            os.environ.pop(name, None)
    theirs.close()
    return _Worker(process, ours)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Processes that are started do not hear Ctrl-C, which reaches all of a terminal: the first one ends the others."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(function: str, number: int, pipe: connection.Connection) -> None:
    """The life of a process: one job after the other, until the one that started it is no more."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    send = threading.Lock()

    def say(kind: str, content: Any) -> None:
        with send:
            pipe.send((kind, content))

    warnings.showwarning = lambda message, *_, **__: say("warning", str(message))
    while True:
        try:
            name, arguments = pipe.recv()
        except EOFError:
            return
        try:
            say("done", named(function)(Desk(number, lambda told: say("told", told)), **arguments))
        except Held as error:
            say("held", error.reason)
        except Exception as error:
            say("failed", fault_of(error, name))


def _die_with_parent() -> None:
    from multiprocessing import parent_process

    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def named(function: str) -> Callable[..., Any]:
    """The function that a text names."""
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)
