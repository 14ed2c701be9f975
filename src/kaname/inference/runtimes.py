"""What a network can run on: a table of runtimes, each with the arithmetics that it offers. No torch.

Adding a new runtime: a runner of the contract `kaname.inference.model.Runner` in ``inference/NAME_runner.py``, with the
attributes ``runtime``, ``precision`` and ``device``; a function here that opens it; and a `Candidate` for each of its
arithmetics in `CANDIDATES`, which names the packages that it needs. Timing, comparing, remembering and the table of
``kaname bench MODEL`` take it from there.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaname.errors import InputError
from kaname.extras import require_package, version

if TYPE_CHECKING:
    from kaname.inference.model import Runner

OWN, AUTO = "own", "auto"
PRECISIONS = ("fp32", "bf16", "fp16")
DEVICES = "auto, cpu, cuda, cuda:N or mps"
TOLERANCE_PX = {"fp32": 0.05, "bf16": 0.3, "fp16": 0.3}
"""How far points may move at the 99th percentile, pixels of the original image."""
TOLERANCE_SCORE = {"fp32": 1e-4, "bf16": 0.02, "fp16": 0.02}
"""How far from the threshold a score may lie for its point to appear or vanish."""
TOLERANCE_PIXELS = 1e-3
"""The share of a mask's pixels that may change their class."""


@dataclass(frozen=True)
class Running:
    """What a user asks a model to run on.

    Attributes:
        device: auto, cpu, cuda, cuda:N or mps.
        runtime: a runtime of the table; ``auto`` for the fastest as it was measured; ``own`` for the file's own, torch
            for a checkpoint and onnxruntime for an export.
        precision: fp32, bf16, fp16, or ``auto`` for any whose answers stay within the tolerance.

    Raises:
        InputError: an unknown runtime or precision.
    """

    device: str = "auto"
    runtime: str = OWN
    precision: str = "fp32"

    def __post_init__(self) -> None:
        if self.runtime not in (OWN, AUTO, *RUNTIMES):
            known = f"use {AUTO}, {', '.join(RUNTIMES[:-1])} or {RUNTIMES[-1]}"
            raise InputError(f"unknown runtime {self.runtime!r}", remedy=known)
        if self.precision not in (AUTO, *PRECISIONS):
            known = f"use {AUTO}, {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}"
            raise InputError(f"unknown precision {self.precision!r}", remedy=known)

    @classmethod
    def of(cls, word: str, *, precision: str = "fp32") -> Running:
        """What one word asks for, which is a runtime or a device; ``auto`` is both.

        Raises:
            InputError: neither.
        """
        if word in (AUTO, *RUNTIMES):
            return cls(runtime=word, precision=precision)
        if word.partition(":")[0] in ("cpu", "cuda", "mps"):
            return cls(word, precision=precision)
        raise InputError(f"unknown runtime or device {word!r}", remedy=f"use {', '.join(RUNTIMES)}, {DEVICES}")

    @property
    def plain(self) -> bool:
        """Whether the file's own runtime in fp32 is asked for."""
        return self.runtime == OWN and self.precision == "fp32"

    def before(self, *, alone: bool) -> Running:
        """What a model is opened on before the work begins, where other processes may do the work on GPUs."""
        return self if alone or not may_have_gpu() else PLAIN_CPU

    def takes(self, runtime: str, precision: str) -> bool:
        """Whether a runtime and a precision are among those that are asked for."""
        return self.runtime in (AUTO, runtime) and self.precision in (AUTO, precision)


@dataclass(frozen=True)
class Material:
    """What candidates are opened from.

    Attributes:
        plain: gives the file's own runner: torch's for a checkpoint, onnxruntime's for an export.
        onnx: gives the ONNX file: the export itself, or that of a checkpoint, made if need be.
        heads: names of the outputs.
        threads: of a CPU; 0 leaves the number to the runtime.
        export: whether the file itself is an ONNX file.
        device: kind of device that is asked for.
    """

    plain: Callable[[], Any]
    onnx: Callable[[], Path]
    heads: Sequence[str]
    threads: int = 0
    export: bool = False
    device: str = "auto"


@dataclass(frozen=True)
class Candidate:
    """A runtime in one arithmetic.

    Attributes:
        runtime: its name.
        precision: fp32, bf16 or fp16.
        open: makes its runner.
        needs: the packages it is made of, by the names that are imported.
        devices: the kinds of device it runs on.
        exported: whether it runs from an ONNX file; else it needs a checkpoint.
        slow_start: whether its first call takes so long that only long jobs are worth it.
        trial: how many times as long as in fp32 a small operation takes on a processor, where that may spare a search
            the whole network: emulated, one has taken 40 times as long.
    """

    runtime: str
    precision: str
    open: Callable[[Candidate, Material], Runner]
    needs: tuple[str, ...]
    devices: tuple[str, ...] = ("cpu", "cuda", "mps")
    exported: bool = False
    slow_start: bool = False
    trial: Callable[[], float] | None = None

    @property
    def name(self) -> str:
        """As the tables have it."""
        return f"{self.runtime} {self.precision}"

    @property
    def absent(self) -> list[str]:
        """Those of its packages that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


def _torch(candidate: Candidate, material: Material) -> Runner:
    from kaname.inference.torch_runner import TorchRunner

    plain = material.plain()
    if not isinstance(plain, TorchRunner):
        raise InputError("torch runs checkpoints, not exports", remedy="give the checkpoint it came from")
    if candidate.precision == "fp32" and not candidate.slow_start:
        return plain
    return plain.again(candidate.precision, compiled=candidate.slow_start)


def _onnxruntime(_: Candidate, material: Material) -> Runner:
    from kaname.inference.onnx_runner import OnnxRunner

    path = material.onnx()
    plain = material.plain() if material.export else None
    if isinstance(plain, OnnxRunner) and plain.threads in (0, material.threads):
        return plain  # of an export it is open already
    return OnnxRunner(path, threads=material.threads, device=material.device)


def _openvino(candidate: Candidate, material: Material) -> Runner:
    from kaname.inference.openvino_runner import OpenvinoRunner

    OpenvinoRunner.refuse(candidate.precision)  # before an export is made for it
    return OpenvinoRunner(material.onnx(), material.heads, precision=candidate.precision, threads=material.threads)


def _convolution() -> float:
    """How many times as long as in fp32 a convolution takes in bf16 on this processor; the least of three each."""
    import torch

    spans: list[float] = []
    with torch.inference_mode():
        for kind in (torch.float32, torch.bfloat16):
            image, weights = torch.ones(1, 32, 56, 56, dtype=kind), torch.ones(32, 32, 3, 3, dtype=kind)
            taken: list[float] = []
            for _ in range(4):  # the first one warms up
                began = time.perf_counter()
                torch.nn.functional.conv2d(image, weights)
                taken.append(time.perf_counter() - began)
            spans.append(min(taken[1:]))
    return spans[1] / spans[0]


CANDIDATES = (
    Candidate("torch", "fp32", _torch, ("torch",)),
    Candidate("torch", "bf16", _torch, ("torch",), trial=_convolution),
    Candidate("torch", "fp16", _torch, ("torch",), devices=("cuda", "mps")),
    Candidate("onnxruntime", "fp32", _onnxruntime, ("onnxruntime",), exported=True),
    Candidate("openvino", "fp32", _openvino, ("openvino",), devices=("cpu",), exported=True),
    Candidate("openvino", "bf16", _openvino, ("openvino",), devices=("cpu",), exported=True),
    Candidate("compile", "fp32", _torch, ("torch",), devices=("cpu", "cuda"), slow_start=True),
    Candidate("compile", "bf16", _torch, ("torch",), devices=("cpu", "cuda"), slow_start=True),
    Candidate("compile", "fp16", _torch, ("torch",), devices=("cuda",), slow_start=True),
)  # fmt: skip
RUNTIMES = tuple(dict.fromkeys(candidate.runtime for candidate in CANDIDATES))
PLAIN, PLAIN_CPU = Running(), Running("cpu")


def candidates_for(running: Running, device: str, *, export: bool, slow_start: bool) -> list[Candidate]:
    """The candidates that are asked for and can run a file.

    Args:
        device: the kind: cpu, cuda or mps.
        export: whether the file is an ONNX export.
        slow_start: with those whose first call takes long.
    """
    return [
        one if device == "cpu" else replace(one, trial=None)
        for one in CANDIDATES
        if running.takes(one.runtime, one.precision)
        and device in one.devices
        and (one.exported or not export)
        and (slow_start or not one.slow_start)
    ]


def candidate_of(runtime: str, precision: str) -> Candidate | None:
    """The candidate of this name, which another version may have known."""
    return next((one for one in CANDIDATES if (one.runtime, one.precision) == (runtime, precision)), None)


def threads() -> int:
    """The threads that ``OMP_NUM_THREADS`` states, which torch heeds and the other runtimes must be told; else 0."""
    stated = os.environ.get("OMP_NUM_THREADS", "")
    return int(stated) if stated.isdigit() else 0


def device_kind(running: Running, *, export: bool) -> str:
    """What ``running.device`` is here: cpu, cuda, cuda:N or mps; torch is asked only where a GPU may be.

    Raises:
        InputError: a device that is not there.
    """
    if export:
        import onnxruntime

        able = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
        return "cuda" if running.device == AUTO and able else "cpu"
    if running.device == "cpu" or (running.device == AUTO and not may_have_gpu()):
        return "cpu"
    require_package("torch", f"--device {running.device}")
    from kaname.inference.device import choose_device

    return str(choose_device(running.device))


def may_have_gpu() -> bool:
    """Whether torch may find a GPU: the driver of NVIDIA's is there, torch is built for AMD's, or this is a Mac."""
    try:
        built = version("torch")
    except ModuleNotFoundError:
        return False
    return sys.platform == "darwin" or "+rocm" in built or has_driver()


def has_driver() -> bool:
    """Whether the driver of NVIDIA's GPUs can be loaded."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def ran_on(runner: Runner) -> tuple[str, str]:
    """The runtime and the precision of a runner, as far as it says."""
    return getattr(runner, "runtime", OWN), getattr(runner, "precision", "fp32")
