"""What stops a run from outside, as one clear line: memory, loader processes, open files, NaN and infinity.

``explain`` knows the errors of torch, NumPy, OpenCV, onnxruntime and the system by their messages; ``explained`` wraps
a training run: it saves the state where that is whole and tells in every line where the last good state is. No torch.

Adding a fault: a pattern and a function below, one line in `KNOWN`.
"""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from kaname.errors import InputError
from kaname.training.settings import TrainSettings
from kaname.training.signals import Interrupted

if TYPE_CHECKING:
    from torch import nn

    from kaname.data.dataset import Samples

IN_A_WORKER = re.compile(r"^Caught \w+ in DataLoader worker process")
WORKER_DEATH = re.compile(
    r"DataLoader worker \(pid(?:\(s\))? [\d, ]+\) (?:exited unexpectedly|is killed by signal: (\w+ ?\w*))"
)
SHARED_MEMORY = re.compile(r"out of shared memory|unable to (?:open|allocate|resize) shared memory|torch_shm|Bus error")
OPEN_FILES = re.compile(r"[Tt]oo many open files|received 0 items of ancdata")
MEMORY = re.compile(
    r"out of memory|not enough memory|[Cc]annot allocate memory|[Cc]an't allocate memory|[Uu]nable to allocate"
    r"|[Ff]ailed to allocate|[Ii]nsufficient memory|STATUS_ALLOC_FAILED"
)
ON_A_DEVICE = re.compile(r"CUDA|HIP|MPS|CUBLAS|CUDNN")
PEERS = re.compile(
    r"gloo/transport|Connection (?:closed|reset) by peer|NCCL (?:error|communicator)|ncclRemoteError|DistBackendError"
    r"|DistNetworkError|Broken pipe.*(?:gloo|TCPStore)|TCPStore.*(?:failed|closed)"
)
WANTED = re.compile(
    r"[Tt]ried to allocate ([\d.]+) ?(\w+)|[Uu]nable to allocate ([\d.]+) ?(\w+)|allocate (\d+) (bytes)"
)


def explain(error: BaseException, settings: TrainSettings | None = None) -> InputError | None:
    """A line for the user on an error that more memory, fewer processes or a higher limit would fix; else ``None``.

    Args:
        error: what was raised, here or in a loader process.
        settings: of the training run it stopped; the remedy then names its flags with their values.
    """
    # torch says that a loader process has ended, and in the error's cause alone that a signal has ended it.
    text = " ".join(str(one) for one in (error, error.__cause__) if one is not None)
    for fits, line in KNOWN:
        if fits(error, text):
            return line(text, settings)
    return None


@contextlib.contextmanager
def explained(settings: TrainSettings, keep: Callable[[], str], note: Callable[[str], None]) -> Iterator[None]:
    """Turn what stops a run into one line that names the last good state, which is saved first where it is whole.

    Args:
        settings: of the run.
        keep: saves what the fault has left whole, and says where the last good state is.
        note: writes a line into ``run.log`` alone: the screen shows the error itself.

    Raises:
        InputError: instead of everything that `explain` knows, and of any other `InputError`. Bugs of our own
            pass as they are.
    """

    def line_of(error: Exception) -> InputError | None:
        known = error if isinstance(error, InputError) else explain(error, settings)
        kept = keep()
        if known is None:
            note(f"stopped by {type(error).__name__}; {kept}")
            return None
        remedy = "; ".join(part for part in (known.remedy, kept) if part)
        line = InputError(known.reason, path=known.path, row=known.row, remedy=remedy)
        note(f"stopped: {line}")
        return line

    try:
        yield
    except Interrupted:
        raise
    except Exception as error:
        try:
            line = line_of(error)
        except RuntimeError as late:  # torch may only now handle the signal that a loader process has ended
            if not WORKER_DEATH.search(str(late)):
                raise
            line = line_of(error)
        if line is None:
            raise
        raise line from error


def refuse(what: str, epoch: int, step: int, why: str = "") -> NoReturn:
    """Stop a run because ``what`` is not finite in an epoch and step, both from 1."""
    raise InputError(
        f"{what} is not finite in epoch {epoch}, step {step}{f' ({why})' if why else ''}",
        remedy="lower --lr, clip the gradients or check the data",
    )


def moves_in_forward(model: nn.Module) -> bool:
    """Whether a forward pass changes the model's state: running statistics, which half a step would spoil."""
    return any(getattr(module, "track_running_stats", False) for module in model.modules())


def not_finite(samples: Samples, indices: Sequence[int], epoch: int) -> str:
    """Which samples of a bad batch contain NaN or infinity, and in which array; else just which samples they were.

    The data set's ``name`` and ``missing`` are used where it has them (`kaname.data.dataset`).
    """
    names: Callable[[int], Any] = getattr(samples, "name", str)
    missing = getattr(samples, "missing", ())
    bad: list[str] = []
    with contextlib.suppress(Exception):  # this only looks for the reason of an error
        for index in indices:
            row: Mapping[str, Any] = samples.sample(index, epoch)
            arrays = {key: np.asarray(value) for key, value in row.items() if key not in missing}
            wrong = [key for key, one in arrays.items() if one.dtype.kind == "f" and not np.isfinite(one).all()]
            bad += [f"{' and '.join(wrong)} of sample {names(index)}"] if wrong else []
    if bad:
        return f"NaN or infinity in {', '.join(bad[:4])}"
    return f"samples [{', '.join(str(names(index)) for index in indices[:8])}]"


def _dead_worker(text: str, settings: TrainSettings | None) -> InputError:
    match = WORKER_DEATH.search(text)
    signal = match[1] if match else None
    how = f"was killed by a signal ({signal.strip()})" if signal else "ended without an error message"
    remedy = f"most likely memory ran out: lower {_workers(settings)}{_batch(settings, ' or ')}"
    if signal is None and _lacks_main_guard():
        remedy = 'it imports this script, so that training must be called below `if __name__ == "__main__":`'
    return InputError(f"a loader process {how}", remedy=remedy)


def _lacks_main_guard() -> bool:
    """Whether new processes import the script that runs, and nothing in it tells them from it."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    if multiprocessing.get_start_method() == "fork" or not str(script).endswith(".py"):
        return False
    with contextlib.suppress(OSError):
        return "__name__" not in Path(str(script)).read_text(encoding="utf-8", errors="replace")
    return False


def _lost_peer(text: str, settings: TrainSettings | None) -> InputError:
    return InputError("another process of this run has ended", remedy="its own message, if any, gives the reason")


def _shared_memory(text: str, settings: TrainSettings | None) -> InputError:
    remedy = f"lower {_workers(settings)}, or give /dev/shm more room (docker run --shm-size=8g)"
    return InputError("the loader processes ran out of shared memory", remedy=remedy)


def _open_files(text: str, settings: TrainSettings | None) -> InputError:
    return InputError("too many open files", remedy=f"raise the limit (ulimit -n 65536), or lower {_workers(settings)}")


def _memory(text: str, settings: TrainSettings | None) -> InputError:
    wanted = WANTED.search(text)
    value, unit = [part for part in wanted.groups() if part] if wanted else ("", "")
    amount = f", while asking for {_readable(value, unit)} more" if wanted else ""
    where = "on the device" if ON_A_DEVICE.search(text) else "in main memory"
    if settings is None:
        return InputError(
            f"out of memory {where}{amount}", remedy="use smaller images, another --device, or close other programs"
        )
    if IN_A_WORKER.match(text):
        remedy = f"lower {_workers(settings)}{_batch(settings, ' or ')}"
        return InputError(f"out of memory in a loader process{amount}", remedy=remedy)
    size, steps = settings.batch_size, settings.accumulate
    ways = []
    if size > 1:
        same = f" --accumulate {2 * steps} makes the same steps" if size % 2 == 0 else ""
        ways.append(f"lower --batch-size (--batch-size {size // 2}{same})")
    if settings.precision in ("fp32", "auto"):
        ways.append("use --precision bf16")
    remedy = ", ".join([*ways, "or use a smaller input or backbone" if ways else "use a smaller input or backbone"])
    return InputError(f"out of memory {where} with --batch-size {size}{amount}", remedy=remedy)


def _workers(settings: TrainSettings | None) -> str:
    now = f" (now {settings.num_workers})" if settings is not None and settings.num_workers > 0 else ""
    return f"--num-workers{now}"


def _batch(settings: TrainSettings | None, before: str) -> str:
    return "" if settings is None else f"{before}--batch-size (now {settings.batch_size})"


def _readable(value: str, unit: str) -> str:
    """Bytes as MiB or GiB; other units as they are."""
    if unit != "bytes":
        return f"{value} {unit}"
    size = float(value) / 2**20
    return f"{size:.0f} MiB" if size < 1024 else f"{size / 1024:.1f} GiB"


def _is(number: int) -> Callable[[BaseException], bool]:
    return lambda error: isinstance(error, OSError) and error.errno == number


def _lost_worker(error: BaseException) -> bool:
    """Whether a batch could not be fetched because the process that had it is gone."""
    if not isinstance(error, (ConnectionError, EOFError, FileNotFoundError)):
        return False
    frames = traceback.walk_tb(error.__traceback__)
    return any("multiprocessing" in Path(frame.f_code.co_filename).parts for frame, _ in frames)


Fits = Callable[[BaseException, str], bool]
KNOWN: tuple[tuple[Fits, Callable[[str, TrainSettings | None], InputError]], ...] = (
    (lambda error, text: "DataLoader" in text and bool(SHARED_MEMORY.search(text)), _shared_memory),
    (lambda error, text: "shared memory" in text and bool(SHARED_MEMORY.search(text)), _shared_memory),
    (lambda error, text: bool(WORKER_DEATH.search(text)) or _lost_worker(error), _dead_worker),
    (
        lambda error, text: isinstance(error, RuntimeError) and bool(PEERS.search(f"{type(error).__name__}: {text}")),
        _lost_peer,
    ),
    (lambda error, text: _is(errno.EMFILE)(error) or bool(OPEN_FILES.search(text)), _open_files),
    (
        lambda error, text: isinstance(error, MemoryError) or _is(errno.ENOMEM)(error) or bool(MEMORY.search(text)),
        _memory,
    ),
)
