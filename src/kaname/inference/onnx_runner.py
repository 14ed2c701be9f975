"""Exports in use: the card inside an ONNX file, and a runner on onnxruntime. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.errors import InputError
from kaname.inference import card
from kaname.inference.card import FITTED
from kaname.inference.onnx_file import SEEN, metadata, without_view

CARD_KEY = "kaname"
LARGE = 1 << 26  # bytes of inputs after which onnxruntime gives back what it took: six times as much, or more


class OnnxRunner:
    """Runs an export: arrays by the names of its card's inputs to arrays by the names of its heads.

    Args:
        path: the ONNX file.
        threads: threads of onnxruntime; 0 leaves the choice to it.
        whole: run the file as it stands, view and all, as others do.
        device: ``cpu``, or ``auto``: CUDA where onnxruntime has that.

    Attributes:
        takes_fitted: whether images that are in the view already are taken; files of earlier versions do not.

    Raises:
        InputError: missing, damaged, or not one of Kaname's exports.
    """

    runtime, precision = "onnxruntime", "fp32"

    def __init__(self, path: Path, *, threads: int = 0, whole: bool = False, device: str = "auto") -> None:
        self.path, self.threads, self._device = path, threads, device
        self.card: dict[str, Any] = read_card(path)
        cut = None if whole else network_of(path, self.card)
        self.takes_fitted = cut is not None
        self.session = self._opened(cut)
        self._whole = None if self.takes_fitted else self.session
        self.heads = list(card.heads_of(self.card))
        self._check()

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        given, session = dict(inputs), self.session
        if FITTED in given:
            given[SEEN] = given.pop(FITTED)
        elif self._whole is None:
            self._whole = session = self._opened(None)
        else:
            session = self._whole if "images" in given else session
        options = self._giving_back if sum(array.nbytes for array in given.values()) > LARGE else None
        return dict(zip(self.heads, session.run(self.heads, given, options), strict=True))

    def _opened(self, content: bytes | None) -> Any:
        source = content or self.path
        return open_session(source, self.path, self.threads, remedy="export it again", device=self._device)

    def _check(self) -> None:
        """Raise an `InputError` where the graph is not what its card says."""
        path, inputs = self.path, list(card.inputs_of(self.card))
        if self.takes_fitted:
            view = card.view_of(self.card)
            inputs = [name for name in inputs if name != "images" and not (name == "boxes" and view.fit == "crop")]
        for kind, wanted, there in (
            ("input", inputs, self.session.get_inputs()),
            ("output", self.heads, self.session.get_outputs()),
        ):
            for name in wanted:
                if name not in [value.name for value in there]:
                    raise InputError(f"has no {name!r} {kind}", path=path, remedy="export it again")
        self._giving_back = giving_back()
        shapes = {value.name: value.shape for value in self.session.get_outputs()}
        for name, head in card.heads_of(self.card).items():
            there, said = (shapes[name][1:2] or [None])[0], len(head.channels)
            if isinstance(there, int) and there != said:
                reason = (
                    f"the card's field 'heads' (or 'channels') states {said} channels of {name!r}, the graph {there}"
                )
                raise InputError(reason, path=path, remedy="export it again")


def giving_back() -> Any:
    """Options of a run after which the session keeps no memory for the next one."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def read_card(path: Path, recipe: str | None = None) -> dict[str, Any]:
    """The card of an ONNX export, which no runtime opens for it; of a recipe where one is named.

    Raises:
        InputError: missing, damaged, or not one of Kaname's exports.
    """
    if not path.is_file():
        reason = "a model is a file, not a folder" if path.is_dir() else "the model file does not exist"
        raise InputError(reason, path=path, remedy="check the path")
    try:
        text = metadata(path.read_bytes(), CARD_KEY)
    except ValueError as error:
        raise InputError(f"not a readable ONNX file ({error})", path=path, remedy="export it again") from error
    if text is None:
        raise InputError("this ONNX file has no kaname card", path=path, remedy="use a file from `kaname ... export`")
    return card.read(text, path, recipe)


def network_of(path: Path, stated: Mapping[str, Any]) -> bytes | None:
    """The file without its view, where it has one of its own."""
    images = card.inputs_of(stated).get("images")
    channels = None if images is None else images.shape[-1]
    return None if channels is None else without_view(path.read_bytes(), (channels, *card.view_of(stated).input_size))


def open_session(model: Path | bytes, path: Path, threads: int, *, remedy: str, device: str = "auto") -> Any:
    """A session of onnxruntime, without its own log.

    Args:
        model: the ONNX file, or its content.
        path: what an error names.
        threads: threads of onnxruntime; 0 leaves the choice to it.
        remedy: what an error advises.
        device: ``cpu``, or ``auto``: CUDA where onnxruntime has that.

    Raises:
        InputError: onnxruntime cannot open it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    # Threads that wait for the next layer in a loop take the processor from whatever decodes the next frame meanwhile:
    # on two busy cores an answer took 110 ms, and takes 38.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    cuda = ["CUDAExecutionProvider"] if device != "cpu" else []
    available = onnxruntime.get_available_providers()
    providers = [name for name in (*cuda, "CPUExecutionProvider") if name in available]
    try:
        source = model if isinstance(model, bytes) else str(model)
        return onnxruntime.InferenceSession(source, options, providers=providers)
    except Exception as error:  # onnxruntime raises a class of its own per fault
        reason = str(error).split("\n")[0][:120]
        raise InputError(f"onnxruntime cannot run it ({reason})", path=path, remedy=remedy) from error


def image_input(session: Any, path: Path) -> Any:
    """The only input of somebody's network, which takes one image.

    Raises:
        InputError: other inputs, or a batch of a fixed number of images.
    """
    inputs = session.get_inputs()
    image = inputs[0] if len(inputs) == 1 else None
    if image is None or len(image.shape) != 4 or (isinstance(image.shape[1], int) and image.shape[1] != 3):
        shapes = ", ".join(f"{one.name} {one.shape}" for one in inputs)
        raise InputError(f"must take one image (B, 3, height, width), takes {shapes}", path=path)
    if isinstance(image.shape[0], int) and image.shape[0] != 1:
        raise InputError(f"takes {image.shape[0]} images at a time", path=path, remedy="export it for one")
    return image


def input_size(session: Any, wanted: tuple[int, int] | None, path: Path) -> tuple[int, int]:
    """``(height, width)`` of an image network's input: what the graph says, and where it leaves a side open ``wanted``.

    Raises:
        InputError: as :func:`image_input`, a side that nobody states, another size than the graph's.
    """
    stated = image_input(session, path).shape[2:]
    sides: list[int] = []
    for axis, given in enumerate(stated):
        asked = None if wanted is None else wanted[axis]
        side = given if isinstance(given, int) else asked
        if side is None:
            raise InputError("the graph leaves its input size open", path=path, remedy="state the size")
        if asked is not None and asked != side:
            raise InputError(f"takes images of {stated}, not of {wanted}", path=path)
        sides.append(side)
    return sides[0], sides[1]


def input_kind(image: Any) -> Any:
    """The NumPy type of an image network's input."""
    return {"tensor(float16)": np.float16, "tensor(uint8)": np.uint8}.get(image.type, np.float32)


def run_images(session: Any, outputs: Sequence[str], images: NDArray[Any], path: Path) -> list[NDArray[Any]]:
    """The named outputs of an image network for prepared images ``(B, 3, height, width)``.

    Raises:
        InputError: the network does not run, at this size say.
    """
    image = image_input(session, path)
    pixels = images.astype(input_kind(image), copy=False)
    alone = isinstance(image.shape[0], int)  # a graph of a fixed batch takes images one by one
    parts = np.split(pixels, len(pixels)) if alone else [pixels]
    try:
        answers = [session.run(list(outputs), {image.name: part}) for part in parts]
    except Exception as error:  # onnxruntime raises its own kinds, one a fault
        reason = f"cannot run ({str(error).splitlines()[0][:120]})"
        raise InputError(reason, path=path, remedy="check the size and the preprocessing") from error
    return answers[0] if len(answers) == 1 else [np.concatenate(values) for values in zip(*answers, strict=True)]
