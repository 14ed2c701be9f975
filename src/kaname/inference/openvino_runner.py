"""Exports on OpenVINO, an optional package for processors. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.errors import InputError
from kaname.extras import require_package
from kaname.inference.card import FITTED
from kaname.inference.onnx_file import SEEN
from kaname.inference.onnx_runner import network_of, read_card

HINTS = {"fp32": "f32", "bf16": "bf16"}


@cache
def core() -> Any:
    """The one core of this process, which is never let go.

    Each core gives the thread another stack for signals. Of two that are let go in the order of their making, the
    second puts back the stack of the first, which is no longer mapped (openvino 2026.4), and the next signal with a
    handler in Python, of a child that ends or of Ctrl-C, is a segmentation fault.
    """
    import openvino

    return openvino.Core()


class OpenvinoRunner:
    """Runs an ONNX export with the contract of `kaname.inference.model.Runner`.

    Left to itself OpenVINO takes bf16 where the processor multiplies it; here the arithmetic is always stated.

    Args:
        path: the ONNX file.
        heads: names of the outputs.
        precision: fp32, or bf16 where the processor has it.
        threads: 0 leaves the number to OpenVINO.

    Raises:
        InputError: the package is missing, a precision that the processor does not have, a graph that OpenVINO refuses.
    """

    runtime, device = "openvino", "cpu"

    def __init__(self, path: Path, heads: Sequence[str], *, precision: str = "fp32", threads: int = 0) -> None:
        self.refuse(precision)
        self.precision, self.heads = precision, list(heads)
        options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": HINTS[precision]}
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        self.path, self.options = path, options
        try:
            cut = network_of(path, read_card(path))
        except InputError:  # without a card: as it stands, if at all
            cut = None
        self.takes_fitted = cut is not None
        self._network = None if cut is None else self._opened(cut)
        self._whole = self._opened(path) if cut is None else None

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        given = dict(inputs)
        if FITTED in given and self._network is not None:
            given[SEEN], model = given.pop(FITTED), self._network
        else:
            model = self._whole = self._whole or self._opened(self.path)
        results = model(given)
        return {name: results[model.output(name)] for name in self.heads}

    def _opened(self, model: Path | bytes) -> Any:
        try:
            compiled = core().compile_model(core().read_model(model), "CPU", self.options)
            for name in self.heads:
                compiled.output(name)
        except Exception as error:  # OpenVINO raises RuntimeError of many lines
            reason = " ".join(str(error).split())[-120:]
            remedy = "use another runtime"
            raise InputError(f"openvino cannot run it ({reason})", path=self.path, remedy=remedy) from error
        return compiled

    @staticmethod
    def refuse(precision: str) -> None:
        """Refuse what cannot run here, before anything is made for it.

        Raises:
            InputError: the package is missing, or the processor lacks the arithmetic.
        """
        require_package("openvino", "the runtime openvino")
        if precision not in HINTS:
            raise InputError(f"openvino does not run in {precision} here", remedy=f"use {' or '.join(HINTS)}")
        if precision == "bf16" and "BF16" not in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise InputError("openvino has no bf16 on this processor", remedy="use fp32")
