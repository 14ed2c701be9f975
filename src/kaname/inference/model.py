"""From a source to answers in its own pixels: the part of prediction that all recipes and all runtimes share.

A ``Model`` holds a card, a runner (torch or onnxruntime, same contract) and the recipe's ``decode``. No torch here:
a model from an ONNX file predicts with NumPy and onnxruntime alone.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kaname.data.formats.files import images_in
from kaname.data.video import FOLDER_RATE, folder_frames, frames, is_video
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.boxes import box_rows, pixel_boxes, refuse_shares
from kaname.geometry.image import as_array, read_image
from kaname.geometry.view import View
from kaname.inference.card import card_lines, inputs_of, view_of
from kaname.inference.mirror import MAPS, Mirror
from kaname.inference.onnx_runner import OnnxRunner
from kaname.types import Answer, Frame, Image, Masks, Size, Tracks

Maps: TypeAlias = NDArray[np.float32]
Arrays: TypeAlias = Mapping[str, NDArray[Any]]
Runner: TypeAlias = Callable[[Arrays], Arrays]
"""A network with its view and its activations: inputs by name to answers by name, each with its batch axis."""

BOXES_AT_ONCE = 16
BOX_INPUTS = {"boxes", "rois"}
Source = Any  # path, array (h, w, 3) uint8 RGB, PIL image, or a list of them


@dataclass(frozen=True)
class Request:
    """One question to a network: a window of frames of one size, and boxes where it takes boxes.

    Attributes:
        frames: as many as the network sees together.
        view: how they become its input.
        boxes: ``(N, 4)`` in pixels of the frames; None for a network that looks at whole images.
        wanted: how many of the last frames are to be answered; None: all.
    """

    frames: Sequence[Frame]
    view: View
    boxes: NDArray[np.float64] | None = None
    wanted: int | None = None

    @property
    def size(self) -> Size:
        """``(height, width)`` of the frames."""
        height, width = self.frames[0].image.shape[:2]
        return height, width

    @property
    def image(self) -> Image:
        """The frames' channels one after the other, ``(h, w, 3 * frames)``."""
        images = [frame.image for frame in self.frames]
        return images[0] if len(images) == 1 else np.concatenate(images, axis=2)

    def back(self, box: ArrayLike | None = None) -> Affine:
        """The map from pixels of the input to pixels of the frames; of a crop for one of its boxes."""
        return self.view.into(self.size, box).inverse()


Decode: TypeAlias = Callable[[Arrays, Request], list[Any]]
"""Outputs by name, with their batch axis (1, or N boxes), to an answer for each (wanted) frame of the request."""

Feed: TypeAlias = Callable[[Request], Arrays]


def images_and_boxes(request: Request) -> Arrays:
    """What most networks are fed: ``images`` uint8 ``(1, h, w, 3 * frames)`` and, where there are any, ``boxes``."""
    given: dict[str, NDArray[Any]] = {"images": request.image[None]}
    if request.boxes is not None:
        given["boxes"] = request.boxes.astype(np.float32)
    return given


class Model:
    """What :func:`kaname.load` returns.

    Args:
        card: the self-description of the file.
        runner: runs the network.
        decode: turns its outputs into an answer for each frame.
        feed: what the network is fed for a request; by default images and boxes.
        mirror: for a flip test: how mirrored pictures are asked; None asks once.

    Attributes:
        view: how pictures become the input.
        frames: consecutive frames that the network sees at once.
        step: frames by which that window moves on; fewer than it has, where it answers only its last ones.
        of_video: whether lists and folders are consecutive frames, and answered as ``Tracks``.
        takes_boxes: whether boxes are the network's own business: an image then has one answer, with a row per box.
    """

    def __init__(
        self,
        card: Mapping[str, Any],
        runner: Runner,
        decode: Decode,
        feed: Feed | None = None,
        mirror: Mirror | None = None,
    ) -> None:
        self.card, self.runner, self.decode, self.mirror = card, runner, decode, mirror
        self.feed = images_and_boxes if feed is None else feed
        self.view = view_of(card)
        self.input_size: Size = self.view.input_size
        self.frames = int(card.get("frames", 1))
        self.step = int(card.get("step", self.frames))
        self.of_video = "frames" in card
        self.takes_boxes = bool(BOX_INPUTS & set(inputs_of(card)))

    def __repr__(self) -> str:
        return "\n".join(card_lines(self.card))

    def using(self, runner: Runner, decode: Decode | None = None) -> Model:
        """The same model with another runner, and another decode where one is given."""
        other = copy.copy(self)
        other.runner, other.decode = runner, decode or self.decode
        return other

    def predict(self, source: Source, boxes: Any = None) -> Answer | Tracks | list[Any]:
        """Answer for an image, a video, or a list of images.

        Args:
            source: path of an image, of a video or of a folder of images; an array ``(h, w, 3)`` uint8 RGB, a PIL
                image (turned as its EXIF says) or a `Frame`; a list.
                Of a folder the files that end like images are taken, in the order of their names; a warning lists the
                others.
                For a recipe of video a folder, a list or an array ``(n, h, w, 3)`` are consecutive frames.
            boxes: for one image, ``(N, 4)`` boxes ``(x1, y1, x2, y2)`` in pixels: each is cut out and answered alone.
                A network that takes boxes itself answers for all of them at once (without any for the whole image),
                of a video for the same boxes in every frame.

        Returns:
            ``Points`` or ``Masks`` for an image; a list of them for a list, a folder or boxes; ``Tracks`` for a video;
            always in continuous coordinates of the original image.

        Raises:
            InputError: a source that does not exist, cannot be read or is not an RGB uint8 array.
        """
        source = as_array(source)
        if isinstance(source, np.ndarray) and source.ndim == 4 and self.of_video:
            source = list(source)
        if isinstance(source, (np.ndarray, Frame)):
            return self._image(source, boxes)
        if isinstance(source, (list, tuple)):
            if self.of_video:
                return self._tracks(_listed(source), boxes, "a list")
            _refuse_boxes(boxes, "a list")
            return [answer for item in source for answer in _as_list(self.predict(item))]
        if not isinstance(source, (str, PathLike)):
            reason = f"a source is a path, an array or a list of them, got {type(source).__name__}"
            raise InputError(reason, remedy="give a path or a uint8 (height, width, 3) array")
        path = Path(source)
        if path.is_dir():
            if self.of_video:
                return self._tracks(folder_frames(path), boxes, "a folder")
            _refuse_boxes(boxes, "a folder")
            return self._folder(path)
        if is_video(path):
            return self._tracks(frames(path), boxes, "a video")
        return self._image(_read(path), boxes)

    def stream(self, source: Iterable[Frame], boxes: Any = None) -> Iterator[tuple[Frame, Any]]:
        """Frame by frame through a video of any length, in flat memory: each frame, without its pixels, and its answer.

        As many answers come out as frames go in: the last window may share frames with the one before.
        ``boxes`` are the same in every frame, or a function of a frame (of a window its last) that finds them.

        Raises:
            InputError: a video shorter than one window, or frames of different sizes.
        """
        window: list[Frame] = []
        fresh = 0  # frames of the window that are not answered yet
        for frame in source:
            _same_size(window, check_image(frame.image), frame)
            window, fresh = [*window[-(self.frames - 1) :], frame] if self.frames > 1 else [frame], fresh + 1
            if len(window) == self.frames and fresh >= self.step:
                yield from self._window(window, fresh, boxes)
                fresh = 0
        if fresh > 0 and len(window) < self.frames:
            raise InputError(
                f"{len(window)} frames are fewer than the {self.frames} that the model looks at together",
                remedy="give a longer video, or use a model with a shorter window",
            )
        if fresh:
            yield from self._window(window, fresh, boxes)

    def request(self, images: Sequence[Frame | Image], boxes: Any = None, wanted: int | None = None) -> Request:
        """A window of frames, or of plain images ``(h, w, 3)``, as a request.

        Raises:
            InputError: an array that is not an RGB image, or malformed boxes.
        """
        window = [image if isinstance(image, Frame) else Frame(n, 0.0, image) for n, image in enumerate(images)]
        for frame in window:
            check_image(frame.image)
        request = Request(window, self.view, wanted=wanted)
        if not self.takes_boxes:
            return request
        height, width = request.size
        rows = box_rows([[0, 0, width, height]] if boxes is None else boxes)
        refuse_shares(rows, request.size)
        outside = (rows[:, :2] >= (width, height)).any(axis=1) | (rows[:, 2:] <= 0).any(axis=1)
        if outside.any():
            number = int(np.flatnonzero(outside)[0])
            reason = f"box {number + 1}, {rows[number].tolist()}, lies outside the image of {width} x {height}"
            raise InputError(reason, remedy="boxes are (x1, y1, x2, y2) in pixels of the image")
        return replace(request, boxes=rows)

    def outputs(self, request: Request) -> dict[str, NDArray[Any]]:
        """The network's outputs by name, activations applied: what ``decode`` takes."""
        if request.boxes is None or len(request.boxes):
            return self._asked(self.feed(request))
        # Not every runtime takes an empty axis.
        some = self.outputs(replace(request, boxes=np.array([[0.0, 0.0, *request.size[::-1]]])))
        return {name: value[:0] for name, value in some.items()}

    def _asked(self, given: Arrays) -> dict[str, NDArray[Any]]:
        outputs = dict(self.runner(given))
        if self.mirror is None:
            return outputs
        return self.mirror.averaged(outputs, self.runner(self.mirror.inputs(given, outputs[MAPS].shape[3])))

    def answer(self, request: Request) -> list[Any]:
        """One answer for each frame of the request; masks of many boxes are made some at a time, in flat memory."""
        boxes = request.boxes
        if boxes is None or len(boxes) <= BOXES_AT_ONCE or "rois" not in inputs_of(self.card):
            return self.decode(self.outputs(request), request)
        parts = [replace(request, boxes=boxes[at : at + BOXES_AT_ONCE]) for at in range(0, len(boxes), BOXES_AT_ONCE)]
        answers = [self.decode(self.outputs(part), part) for part in parts]
        return [joined(group) for group in zip(*answers, strict=True)]

    def maps(self, image: Image) -> NDArray[np.float32]:
        """The main output (see `main_output`) ``(C, H, W)`` of one image, of one window as ``(h, w, 3 * frames)``."""
        images = np.split(check_image(image, 3 * self.frames), self.frames, axis=2)
        return main_output(self.outputs(self.request(images)))[0]

    def _window(self, window: list[Frame], fresh: int, boxes: Any) -> Iterator[tuple[Frame, Any]]:
        """The answers for the last ``fresh`` frames of a whole window."""
        answers = self.answer(self.request(window, boxes(window[-1]) if callable(boxes) else boxes, fresh))
        for frame, answer in zip(window[-fresh:], answers[-fresh:], strict=True):
            # A view would keep the pixels.
            yield replace(frame, image=frame.image[:0].copy()), blank(answer) if frame.lost else answer

    def _tracks(self, source: Iterable[Frame], boxes: Any, what: str) -> Tracks:
        if not self.takes_boxes:
            _refuse_boxes(boxes, what)
        pairs = list(self.stream(source, boxes))
        return Tracks([f.index for f, _ in pairs], [f.seconds for f, _ in pairs], [answer for _, answer in pairs])

    def _folder(self, path: Path) -> list[Any]:
        files, others = images_in(path)
        if not files:
            raise InputError("the folder contains no image", path=path, remedy="give a folder of images")
        if others:
            warnings.warn(f"left out of {path}, not images by their names: {', '.join(others)}", stacklevel=3)
        return [self._image(_read(item)) for item in files]

    def _image(self, given: Frame | Image, boxes: Any = None) -> Any:
        if self.frames > 1:
            raise InputError(
                f"the model looks at {self.frames} consecutive frames, and this is one image",
                remedy="give a video, a folder or a list of frames",
            )
        image = check_image(given.image if isinstance(given, Frame) else given)
        if boxes is None or self.takes_boxes:
            return self.answer(self.request([given], boxes))[0]
        size: Size = (image.shape[0], image.shape[1])
        corners = pixel_boxes(boxes, size)
        cut = [np.ascontiguousarray(image[y1:y2, x1:x2]) for x1, y1, x2, y2 in corners]
        return [_moved(self._image(part), box[:2], size) for part, box in zip(cut, corners, strict=True)]


def _read(path: Path) -> Frame:
    """An image file as a frame that knows it."""
    return Frame(0, 0.0, read_image(path), path.name, path)


def joined(parts: Sequence[Masks]) -> Masks:
    """The masks of one image that were made in parts."""
    asked = [part.asked for part in parts if part.asked is not None]
    return replace(
        parts[0],
        probabilities=np.concatenate([part.probabilities for part in parts]),
        boxes=np.concatenate([part.boxes for part in parts]),
        ids=list(range(sum(len(part.boxes) for part in parts))),
        asked=np.concatenate(asked) if asked else None,
    )


def main_output(outputs: Arrays) -> Maps:
    """``heatmaps``, or the only output there is (of several without it the first)."""
    return outputs["heatmaps"] if "heatmaps" in outputs else next(iter(outputs.values()))


def _moved(answer: Answer, corner: NDArray[np.int64], size: Size) -> Answer:
    """An answer for a part of an image as one for the image."""
    if isinstance(answer, Masks):
        moved = np.tile(corner, 2)
        asked = None if answer.asked is None else answer.asked + moved
        return replace(answer, boxes=answer.boxes + moved, size=size, asked=asked)
    return replace(answer, xy={name: xy + corner for name, xy in answer.xy.items()}, size=size)


def blank(answer: Any) -> Any:
    """An answer of the same kind that found nothing."""
    if isinstance(answer, Masks):
        asked = None if answer.asked is None else answer.asked[:0]
        return replace(answer, probabilities=answer.probabilities[:0], boxes=answer.boxes[:0], ids=(), asked=asked)
    if not answer.visible:
        nothing = {name: xy[:0] for name, xy in answer.xy.items()}
        return replace(answer, xy=nothing, scores={name: value[:0] for name, value in answer.scores.items()}, ids=())
    absent = {name: np.full_like(xy, np.nan) for name, xy in answer.xy.items()}
    scores, visible = ({k: np.zeros_like(v) for k, v in part.items()} for part in (answer.scores, answer.visible))
    return replace(answer, xy=absent, scores=scores, visible=visible)


def conditions(model: Model) -> dict[str, str | float]:
    """What a model ran on: device, precision, input size."""
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


def _same_size(window: list[Frame], image: Image, frame: Frame) -> None:
    if window and window[-1].image.shape != image.shape:
        before, now = window[-1].image.shape, image.shape
        raise InputError(
            f"frame {frame.index} has {now[1]} x {now[0]} pixels, the one before {before[1]} x {before[0]}",
            path=frame.path,
            remedy="give frames of one video",
        )


def _listed(items: Sequence[Any], rate: float = FOLDER_RATE) -> Iterator[Frame]:
    """Images of a list as the frames of a video; without time stamps at ``rate`` frames per second."""
    for number, item in enumerate(items):
        given = as_array(item)
        image = given if isinstance(given, np.ndarray) else read_image(given)
        yield Frame(number, number / rate, image)


def _as_list(answer: Answer | Tracks | list[Any]) -> Sequence[Any]:
    several = answer.points if isinstance(answer, Tracks) else answer
    return several if isinstance(several, Sequence) else [several]
