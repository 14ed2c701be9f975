"""Exports on OpenVINO, an optional package for processors. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.errors import InputError
from kaname.extras import require_package

HINTS = {"fp32": "f32", "bf16": "bf16"}


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
        import openvino

        self.precision, self.heads = precision, list(heads)
        options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": HINTS[precision]}
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        core = openvino.Core()
        try:
            self.compiled = core.compile_model(core.read_model(path), "CPU", options)
            self.outputs = [self.compiled.output(name) for name in self.heads]
        except Exception as error:  # OpenVINO raises RuntimeError of many lines
            reason = " ".join(str(error).split())[-120:]
            raise InputError(f"openvino cannot run it ({reason})", path=path, remedy="use another runtime") from error

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        results = self.compiled(dict(inputs))
        return {name: results[port] for name, port in zip(self.heads, self.outputs, strict=True)}

    @staticmethod
    def refuse(precision: str) -> None:
        """Refuse what cannot run here, before anything is made for it.

        Raises:
            InputError: the package is missing, or the processor lacks the arithmetic.
        """
        require_package("openvino", "the runtime openvino")
        if precision not in HINTS:
            raise InputError(f"openvino does not run in {precision} here", remedy=f"use {' or '.join(HINTS)}")
        if precision == "bf16":
            import openvino

            if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
                raise InputError("openvino has no bf16 on this processor", remedy="use fp32")
