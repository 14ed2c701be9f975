"""From a source to answers in its own pixels: the part of prediction that all recipes and all runtimes share.

A ``Model`` holds a card, a runner (torch or onnxruntime, same contract) and the recipe's ``decode``. No torch here:
a model from an ONNX file predicts with NumPy and onnxruntime alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kaname.data.formats.files import images_in
from kaname.data.video import FOLDER_RATE, Frame, folder_frames, frames, is_video
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.image import read_image
from kaname.inference.onnx_runner import OnnxRunner
from kaname.types import Points, Size, Tracks

Image = NDArray[np.uint8]
Maps = NDArray[np.float32]
Source = Any  # path, array (h, w, 3) uint8 RGB, or a list of them


class Runner(Protocol):
    """A network with its preprocessing: uint8 RGB ``(B, h, w, 3)`` to maps ``(B, C, H, W)`` in 0..1."""

    def __call__(self, images: Image) -> Maps: ...


ROUNDING_PX = 1e-6
Decode = Callable[[Maps, Affine, Size], Points]


class Model:
    """What :func:`kaname.load` returns.

    Attributes:
        card: the self-description of the file.
        runner: runs the network.
        decoder: turns maps into points, given the way back to the original image and its size.
        frames: consecutive frames that the network sees at once.
        of_video: whether lists and folders are consecutive frames, and answered as ``Tracks``.
    """

    def __init__(self, card: Mapping[str, Any], runner: Runner, decode: Decode) -> None:
        self.card = card
        self.runner = runner
        self.decoder = decode
        height, width = card["input_size"]
        self.input_size: Size = (int(height), int(width))
        self.frames = int(card.get("frames", 1))
        self.of_video = "frames" in card

    def predict(self, source: Source, boxes: Any = None) -> Points | Tracks | list[Points]:
        """Answer for an image, a video, or a list of images.

        Args:
            source: path of an image, of a video or of a folder of images; an array ``(h, w, 3)`` uint8 RGB; a list.
                Of a folder the files that end like images are taken, in the order of their names; a warning lists the
                others.
                For a recipe of video a folder, a list or an array ``(n, h, w, 3)`` are consecutive frames.
            boxes: for one image, ``(N, 4)`` boxes ``(x1, y1, x2, y2)`` in pixels: each is cut out and answered alone.

        Returns:
            ``Points`` for an image, a list of ``Points`` for a list, a folder or boxes, ``Tracks`` for a video; always
            in continuous coordinates of the original image.

        Raises:
            InputError: a source that does not exist, cannot be read or is no RGB uint8 array.
        """
        if isinstance(source, np.ndarray) and source.ndim == 4 and self.of_video:
            return self._tracks(_listed(list(source)))
        if isinstance(source, np.ndarray):
            return self._image(source) if boxes is None else self._boxes(source, boxes)
        if isinstance(source, (list, tuple)):
            _refuse_boxes(boxes, "a list")
            if self.of_video:
                return self._tracks(_listed(source))
            return [answer for item in source for answer in _as_list(self.predict(item))]
        if not isinstance(source, (str, PathLike)):
            reason = f"a source is a path, an array or a list of them, got {type(source).__name__}"
            raise InputError(reason, remedy="give a path or a uint8 (height, width, 3) array")
        path = Path(source)
        if path.is_dir():
            _refuse_boxes(boxes, "a folder")
            if self.of_video:
                return self._tracks(folder_frames(path))
            files, others = images_in(path)
            if not files:
                raise InputError("the folder holds no image", path=path, remedy="give a folder of images")
            if others:
                names = ", ".join(others)
                warnings.warn(f"left out of {path}, no images by their names: {names}", stacklevel=2)
            return [self._image(read_image(item)) for item in files]
        if is_video(path):
            _refuse_boxes(boxes, "a video")
            return self._tracks(frames(path))
        return self.predict(read_image(path), boxes)

    def stream(self, source: Iterator[Frame]) -> Iterator[tuple[Frame, Points]]:
        """Frame by frame through a video of any length, in flat memory.

        Frames in are rows out: where several frames make a window, the last window shares frames with the one before.

        Raises:
            InputError: a video shorter than one window, or frames of different sizes.
        """
        window: list[Frame] = []
        fresh = 0  # frames of the window that are not answered yet
        for frame in source:
            _same_size(window, check_image(frame.image), frame.index)
            window, fresh = [*window[-(self.frames - 1) :], frame] if self.frames > 1 else [frame], fresh + 1
            if fresh == self.frames:
                yield from self._window(window, fresh)
                fresh = 0
        if fresh > 0 and len(window) < self.frames:
            raise InputError(
                f"{len(window)} frames are fewer than the {self.frames} that the model looks at together",
                remedy="give a longer video, or a model of a shorter window",
            )
        if fresh:
            yield from self._window(window, fresh)

    def _window(self, window: list[Frame], fresh: int) -> Iterator[tuple[Frame, Points]]:
        """The answers for the last ``fresh`` frames of a whole window."""
        image = np.concatenate([frame.image for frame in window], axis=2)
        maps = self.maps(image)
        first = self.frames - fresh
        for number, frame in enumerate(window[first:], first):
            own = maps if self.frames == 1 else maps[number : number + 1]
            bare = Frame(frame.index, frame.seconds, frame.image[:0].copy(), frame.name)  # a view would keep the pixels
            yield bare, self.decode(own, image.shape[:2])  # type: ignore[arg-type]

    def _tracks(self, source: Iterator[Frame]) -> Tracks:
        found = list(self.stream(source))
        return Tracks([f.index for f, _ in found], [f.seconds for f, _ in found], [points for _, points in found])

    def maps(self, image: Image) -> Maps:
        """The raw maps ``(C, H, W)`` of one image (of one window: its frames one after the other), in 0..1."""
        return self.runner(check_image(image, 3 * self.frames)[None])[0]

    def decode(self, maps: Maps, size: Size) -> Points:
        """Maps of an image of ``size`` to points in its pixels."""
        return self.decoder(maps, Affine.letterbox(size, self.input_size).inverse(), size)

    def _image(self, image: Image) -> Points:
        if self.frames > 1:
            raise InputError(
                f"the model looks at {self.frames} consecutive frames, and this is one image",
                remedy="give a video, a folder or a list of frames",
            )
        return self.decode(self.maps(image), check_image(image).shape[:2])  # type: ignore[arg-type]

    def _boxes(self, image: Image, boxes: Any) -> list[Points]:
        check_image(image)
        answers: list[Points] = []
        size: Size = (image.shape[0], image.shape[1])
        for x1, y1, x2, y2 in pixel_boxes(boxes, size):
            found = self._image(np.ascontiguousarray(image[y1:y2, x1:x2]))
            moved = {name: xy + np.array([x1, y1], dtype=np.float64) for name, xy in found.xy.items()}
            answers.append(Points(xy=moved, scores=found.scores, size=size))
        return answers


def conditions(model: Model) -> dict[str, str | float]:
    """On what a model ran: device, precision, input size."""
    device = getattr(model.runner, "device", None)
    session = getattr(model.runner, "session", None)
    ran = str(device) if device is not None else session.get_providers()[0] if session is not None else "unknown"
    height, width = model.input_size
    return {"device": ran, "precision": "fp32", "input": f"{height} x {width}", "images at a time": model.frames}


def open_runner(
    path: Path, recipe: str, load: Callable[..., tuple[Runner, Mapping[str, Any]]], *, runtime: str
) -> tuple[Runner, Mapping[str, Any]]:
    """The runner and the card of an ONNX export or of a checkpoint.

    Args:
        path: the file.
        recipe: whose file it must be.
        load: opens a checkpoint, ``load(path, device=runtime)``.
        runtime: device for torch files (``auto``, ``cpu``, ``cuda``, ...); an ONNX file chooses its device itself.

    Raises:
        InputError: an unusable file, a file of another recipe, a device for an ONNX file.
    """
    if path.suffix.lower() != ".onnx":
        return load(path, device=runtime)
    if runtime not in ("auto", "cpu"):
        reason = f"an ONNX export chooses its device itself, got {runtime!r}"
        raise InputError(reason, path=path, remedy="use --device auto or cpu")
    opened = OnnxRunner(path)
    if opened.card.get("recipe") != recipe:
        raise InputError(f"an export of the recipe {opened.card.get('recipe')!r}, not of {recipe!r}", path=path)
    return opened, opened.card


def pixel_boxes(boxes: Any, size: Size) -> NDArray[np.int64]:
    """Boxes ``(N, 4)`` grown to whole pixels and clipped to the image.

    Raises:
        InputError: not ``(N, 4)``, not finite, or a box without a pixel inside the image.
    """
    try:
        array = np.asarray(boxes, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("boxes must be (N, 4) numbers", remedy="give x1, y1, x2, y2 for each") from error
    given = array.shape
    array = array.reshape(-1, 4) if given in ((4,), (0,)) else array
    if array.ndim != 2 or array.shape[1] != 4 or not np.isfinite(array).all():
        raise InputError(f"boxes must be (N, 4) finite numbers, got {given}", remedy="give x1, y1, x2, y2 for each")
    # Percent of a size come back with rounding errors, which must not grow a box by a pixel.
    low, high = np.floor(array[:, :2] + ROUNDING_PX), np.ceil(array[:, 2:] - ROUNDING_PX)
    whole = np.concatenate([low, high], axis=1)
    clipped = np.clip(whole, 0, [size[1], size[0], size[1], size[0]]).astype(np.int64)
    for box, (x1, y1, x2, y2) in zip(array, clipped, strict=True):
        if x2 <= x1 or y2 <= y1:
            raise InputError(
                f"the box {box.tolist()} has no pixel inside the image of {size[1]} x {size[0]}",
                remedy="give x1, y1, x2, y2 in pixels",
            )
    return clipped


def _refuse_boxes(boxes: Any, what: str) -> None:
    if boxes is not None:
        raise InputError(f"boxes belong to one image, not to {what}", remedy="predict image by image")


def check_image(image: Any, channels: int = 3) -> Image:
    """An RGB uint8 array ``(h, w, channels)``, or an :class:`InputError` that says what it is instead."""
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != channels or image.dtype != np.uint8:
        what = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(f"an image is uint8 (height, width, {channels}) RGB, got {what}", remedy="convert it first")
    if 0 in image.shape:
        raise InputError(f"an image without pixels: {image.shape}", remedy="check the source")
    return image


def _same_size(window: list[Frame], image: Image, index: int) -> None:
    if window and window[-1].image.shape != image.shape:
        before, now = window[-1].image.shape, image.shape
        raise InputError(
            f"frame {index} has {now[1]} x {now[0]} pixels, the one before {before[1]} x {before[0]}",
            remedy="give frames of one video",
        )


def _listed(items: Sequence[Any], rate: float = FOLDER_RATE) -> Iterator[Frame]:
    """Images of a list as the frames of a video; without time stamps ``rate`` frames a second are assumed."""
    for number, item in enumerate(items):
        image = item if isinstance(item, np.ndarray) else read_image(item)
        yield Frame(number, number / rate, image)


def _as_list(answer: Points | Tracks | Sequence[Points]) -> Sequence[Points]:
    if isinstance(answer, Points):
        return [answer]
    return answer.points if isinstance(answer, Tracks) else answer
