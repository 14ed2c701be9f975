"""Exports in use: the card inside an ONNX file, and a runner on onnxruntime. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.errors import InputError
from kaname.inference import card

CARD_KEY = "kaname"


class OnnxRunner:
    """Runs an export: arrays by the names of its card's inputs to arrays by the names of its heads.

    Args:
        path: the ONNX file.
        threads: threads of onnxruntime; 0 leaves the choice to it.

    Raises:
        InputError: missing, damaged, or not one of Kaname's exports.
    """

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        if not path.is_file():
            reason = "a model is a file, not a folder" if path.is_dir() else "the model file does not exist"
            raise InputError(reason, path=path, remedy="check the path")
        self.session = open_session(path, path, threads, remedy="export it again")
        text = self.session.get_modelmeta().custom_metadata_map.get(CARD_KEY)
        if text is None:
            raise InputError(
                "this ONNX file has no kaname card", path=path, remedy="use a file from `kaname ... export`"
            )
        self.card: dict[str, Any] = card.read(text, path)
        self.heads = list(card.heads_of(self.card))
        for kind, wanted, there in (
            ("input", card.inputs_of(self.card), self.session.get_inputs()),
            ("output", self.heads, self.session.get_outputs()),
        ):
            for name in wanted:
                if name not in [value.name for value in there]:
                    raise InputError(f"has no {name!r} {kind}", path=path, remedy="export it again")

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        return dict(zip(self.heads, self.session.run(self.heads, dict(inputs)), strict=True))  # type: ignore[arg-type]


def read_card(path: Path) -> dict[str, Any]:
    """The card of an ONNX export."""
    return OnnxRunner(path, threads=1).card


def open_session(model: Path | bytes, path: Path, threads: int, *, remedy: str) -> Any:
    """A session of onnxruntime, on CUDA where it has that, without its own log.

    Args:
        model: the ONNX file, or its content.
        path: what an error names.
        threads: threads of onnxruntime; 0 leaves the choice to it.
        remedy: what an error advises.

    Raises:
        InputError: onnxruntime cannot open it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    available = onnxruntime.get_available_providers()
    providers = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in available]
    try:
        source = model if isinstance(model, bytes) else str(model)
        return onnxruntime.InferenceSession(source, options, providers=providers)
    except Exception as error:  # onnxruntime raises a class of its own per fault
        reason = str(error).split("\n")[0][:120]
        raise InputError(f"onnxruntime cannot run it ({reason})", path=path, remedy=remedy) from error
