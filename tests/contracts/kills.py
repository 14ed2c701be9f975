"""What is done to a process of `contracts.commands` before its command runs: an end that nothing can catch at a chosen
place of its work, or arithmetic that can be compared. Light: torch is imported by whoever runs."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable


def die() -> None:
    """What no handler can see."""
    os.kill(os.getpid(), signal.SIGKILL)


def at_call(owner: object, name: str, number: int, act: Callable[[], None], *, after: bool = False) -> None:
    """Call ``act`` at the ``number``-th call of a function."""
    original, calls = getattr(owner, name), [0]

    def counted(*arguments: object, **named: object) -> object:
        calls[0] += 1
        if calls[0] == number and not after:
            act()
        result = original(*arguments, **named)
        if calls[0] == number and after:
            act()
        return result

    setattr(owner, name, counted)


def kill_while_saving(number: int) -> None:
    """Die in the middle of the ``number``-th file: half of it is on disk."""
    torch = importlib.import_module("torch")
    original, calls = torch.save, [0]

    def half(content: object, file: object) -> None:
        original(content, file)
        calls[0] += 1
        if calls[0] == number:
            file.truncate(file.tell() // 2)  # type: ignore[attr-defined]
            file.flush()  # type: ignore[attr-defined]
            die()

    torch.save = half  # type: ignore[attr-defined]


def signal_in_step(number: int, caught: int) -> None:
    """Send this process a signal in the middle of the ``number``-th backward pass."""
    runtime = importlib.import_module("kaname.training.runtime").Runtime
    at_call(runtime, "backward", number, lambda: os.kill(os.getpid(), caught))


def compare_exactly() -> None:
    """Rounding stays as small as it is: a smooth function instead of ReLU, whose gradient near 0 hangs on the last bit,
    and kernels that do not depend on the size of the batch as those for AVX-512 do."""
    os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"  # read at the first convolution
    torch = importlib.import_module("torch")
    torch.nn.ReLU.forward = lambda _, values: torch.nn.functional.silu(values)
