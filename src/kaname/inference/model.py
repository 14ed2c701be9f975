"""From a source to answers in its own pixels: the part of prediction that all recipes and all runtimes share.

A ``Model`` holds a card, a runner (torch or onnxruntime, same contract) and the recipe's ``decode``. No torch here:
a model from an ONNX file predicts with NumPy and onnxruntime alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kaname.data.ahead import ahead
from kaname.data.naming import only_images
from kaname.data.video import FOLDER_RATE, folder_frames, frames, is_video
from kaname.errors import InputError
from kaname.geometry.boxes import box_rows, pixel_boxes, refuse_shares
from kaname.geometry.image import as_array, read_image
from kaname.inference.answers import blank, joined, moved
from kaname.inference.card import card_lines, inputs_of, view_of
from kaname.inference.request import (
    Arrays,
    Closer,
    Decode,
    Feed,
    Maps,
    Request,
    check_image,
    images_and_boxes,
    main_output,
    shown,
)
from kaname.types import Answer, Frame, Image, Size, Tracks

if TYPE_CHECKING:
    from kaname.inference.mirror import Mirror

Runner: TypeAlias = Callable[[Arrays], Arrays]
"""A network with its view and its activations: inputs by name to answers by name, each with its batch axis.

One that has ``takes_fitted = True`` takes ``fitted`` (`Request.fitted`) in the place of ``images`` and boxes of a crop.
"""

Part: TypeAlias = Callable[[str], AbstractContextManager[Any]]
"""Told what is going on: ``decode``, ``fit``, ``network``, ``answer`` (`kaname.pipeline.clock`)."""

WAITING = 2  # frames, windows and outputs each that may be ready before they are asked for

BOXES_AT_ONCE = 16
BOX_INPUTS = {"boxes", "rois"}
Source = Any  # path, array (h, w, 3) uint8 RGB, PIL image, or a list of them


class Model:
    """What :func:`kaname.load` returns.

    Args:
        card: the self-description of the file.
        runner: runs the network.
        decode: turns its outputs into an answer for each frame.
        feed: what the network is fed for a request; by default images and boxes.
        mirror: for a flip test: how mirrored pictures are asked; None asks once.
        reading: what an answer shows on a scale from ``low`` to ``high``, where the recipe can tell.
        closer: which part of an image is looked at again by itself, for a network of single images; None: one look.

    Attributes:
        view: how pictures become the input.
        frames: consecutive frames that the network sees at once.
        step: frames by which that window moves on; fewer than it has, where it answers only its last ones.
        of_video: whether lists and folders are consecutive frames, and answered as ``Tracks``.
        takes_boxes: whether boxes are the network's own business: an image then has one answer, with a row per box.
        reopened: opens its file again, as another process does that is sent this model; None where there is no file.
    """

    reopened: Callable[[], Model] | None = None

    def __init__(
        self,
        card: Mapping[str, Any],
        runner: Runner,
        decode: Decode,
        feed: Feed | None = None,
        mirror: Mirror | None = None,
        reading: Callable[..., Any] | None = None,
        closer: Closer | None = None,
    ) -> None:
        self.card, self.runner, self.decode, self.mirror, self.reading = card, runner, decode, mirror, reading
        self.closer, self.decode_closer = closer, decode
        self.feed = images_and_boxes if feed is None else feed
        self.view = view_of(card)
        self.input_size: Size = self.view.input_size
        self.frames = int(card.get("frames", 1))
        self.step = int(card.get("step", self.frames))
        self.of_video = "frames" in card
        self.takes_boxes = bool(BOX_INPUTS & set(inputs_of(card)))

    def __repr__(self) -> str:
        return "\n".join(card_lines(self.card))

    def __reduce__(self) -> tuple[Callable[[], Model], tuple[()]]:
        if self.reopened is None:
            raise TypeError("only a model of kaname.load can be pickled or copied; load it where it is used")
        return self.reopened, ()

    def using(self, runner: Runner, decode: Decode | None = None, closely: Decode | None = None) -> Model:
        """The same model with another runner, and another decode of first or of closer looks where one is given."""
        other = object.__new__(type(self))
        vars(other).update(vars(self), reopened=None)
        other.runner, other.decode, other.decode_closer = runner, decode or self.decode, closely or self.decode_closer
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
                return self._tracks(source, boxes, "a list")
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

    def read(self, source: Source, *, low: float, high: float, unit: str = "", boxes: Any = None) -> Any:
        """What the instrument in an image shows on a scale from ``low`` to ``high``; a list where `predict` gives one.

        Raises:
            InputError: the model's recipe reads no instruments, a scale that is none, and what `predict` raises."""
        if self.reading is None:
            recipe = self.card.get("recipe")
            raise InputError(f"a model of the recipe {recipe} reads no instruments", remedy="use predict(...)")
        answer: Any = self.predict(source, boxes)
        found = [self.reading(one, low, high, unit) for one in _as_list(answer)]
        return found if isinstance(answer, (list, Tracks)) else found[0]

    def stream(
        self,
        source: Iterable[Any],
        boxes: Any = None,
        *,
        waiting: int = 0,
        pixels: bool = False,
        part: Part = lambda name: nullcontext(),
    ) -> Iterator[tuple[Frame, Any]]:
        """Frame by frame through a video of any length, in flat memory: each frame and its answer.

        As many answers come out as frames go in: the last window may share frames with the one before. A video shorter
        than one window is looked at with its first frame repeated, which a warning says.

        Args:
            source: the frames, as `Frame` or as images one after the other, such as those of a camera; where anything
                waits, it is read in a thread of its own.
            boxes: the same in every frame, or a function of a frame (of a window its last) that finds them.
            waiting: decoding, fitting, the network and the caller work at the same time, and so many frames, windows
                and outputs wait between them; 0: one after the other, each when it is asked for.
            pixels: whether the frames keep them.
            part: told what is going on.

        Raises:
            InputError: frames of different sizes.
        """
        looks = self._looks(video=True)
        frames = ahead(_timed(part, "decode", _frames(source)), waiting)
        seen = ahead(self._seen(frames, part), waiting)
        # a second look needs the network, which not every runtime lends to two threads
        for request, outputs in ahead(self._ran(self._windows(seen, boxes), part), 0 if self.closer else waiting):
            with part("answer"):
                answers = self._answers(outputs, looks)
            fresh = request.wanted or len(request.frames)
            for frame, answer in zip(request.frames[-fresh:], answers[-fresh:], strict=True):
                # A view would keep the pixels.
                frame = frame if pixels else replace(frame, image=frame.image[:0].copy())
                yield frame, blank(answer) if frame.lost else answer
        if looks is not None and looks.unsearched:
            reason = "in a video a search that has found nothing rests for a while"
            said = f"{looks.unsearched} frames in which nothing was seen were not searched"
            warnings.warn(f"{said}: {reason}", stacklevel=2)

    def _seen(self, source: Iterable[Frame], part: Part) -> Iterator[tuple[Frame, Maps | None]]:
        """Each frame, and what the network sees of it where that is the same for every question."""
        for frame in source:
            check_image(frame.image)
            with part("fit"):
                seen = shown(self.view, frame.image) if self._fits and self.view.fit != "crop" else None
            yield frame, seen

    def _windows(self, seen: Iterable[tuple[Frame, Maps | None]], boxes: Any) -> Iterator[Request]:
        window: list[tuple[Frame, Maps | None]] = []
        fresh = 0  # frames of the window that are not answered yet
        for frame, image in seen:
            _same_size(window[-1][0] if window else frame, frame)
            window = [*window[-(self.frames - 1) :], (frame, image)] if self.frames > 1 else [(frame, image)]
            fresh += 1
            if len(window) == self.frames and fresh >= self.step:
                yield self._asked(window, fresh, boxes)
                fresh = 0
        if missing := fresh and self.frames - len(window):
            reason = f"{len(window)} frames are fewer than the {self.frames} that the model looks at together"
            warnings.warn(f"{reason}: the first stands for those before it", stacklevel=2)
            window = [window[0]] * missing + window
        if fresh:
            yield self._asked(window, fresh, boxes)

    def _asked(self, window: list[tuple[Frame, Maps | None]], fresh: int, boxes: Any) -> Request:
        """The request for the last ``fresh`` frames of a whole window."""
        frames, seen = [frame for frame, _ in window], [image for _, image in window if image is not None]
        request = self.request(frames, boxes(frames[-1]) if callable(boxes) else boxes, fresh)
        return replace(request, shown=seen or None)

    def _ran(
        self, requests: Iterable[Request], part: Part
    ) -> Iterator[tuple[Request, list[tuple[Request, dict[str, NDArray[Any]]]]]]:
        for request in requests:
            with part("network"):
                outputs = [(each, self.outputs(each)) for each in self._parts(request)]
            yield request, outputs

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
        if request.boxes is not None and not len(request.boxes):
            # Not every runtime takes an empty axis.
            some = self.outputs(replace(request, boxes=np.array([[0.0, 0.0, *request.size[::-1]]])))
            return {name: value[:0] for name, value in some.items()}
        request = replace(request, raw=not self._fits)
        outputs = dict(self.runner(self.feed(request)))
        if self.mirror is None:
            return outputs
        mirrored = self.mirror.request(request, outputs)
        return self.mirror.averaged(outputs, self.runner(self.feed(mirrored)))

    def answer(self, request: Request) -> list[Any]:
        """One answer for each frame of the request; masks of many boxes are made some at a time, in flat memory."""
        return self._answers([(part, self.outputs(part)) for part in self._parts(request)], self._looks())

    def _answers(self, asked: Sequence[tuple[Request, Arrays]], looks: Any) -> list[Any]:
        answers = self._joined([self.decode(outputs, part) for part, outputs in asked])
        return answers if looks is None else looks.again(asked[0][0], answers)

    def _looks(self, *, video: bool = False) -> Any:
        if self.closer is None:
            return None
        from kaname.inference.second_look import Looks  # most models look once

        return Looks(self.closer, self._closely, video=video)

    def _closely(self, image: Image) -> Any:
        request = self.request([image])
        return self.decode_closer(self.outputs(request), request)[0]

    def _parts(self, request: Request) -> list[Request]:
        """A request of many boxes as several of few."""
        boxes = request.boxes
        if boxes is None or len(boxes) <= BOXES_AT_ONCE or "rois" not in inputs_of(self.card):
            return [request]
        return [replace(request, boxes=boxes[at : at + BOXES_AT_ONCE]) for at in range(0, len(boxes), BOXES_AT_ONCE)]

    def _joined(self, parts: Sequence[list[Any]]) -> list[Any]:
        return parts[0] if len(parts) == 1 else [joined(group) for group in zip(*parts, strict=True)]

    @property
    def _fits(self) -> bool:
        """Whether frames are brought into the view here: boxes in pixels of a whole image are the graph's business."""
        return getattr(self.runner, "takes_fitted", False) and (
            self.view.fit == "crop" or "boxes" not in inputs_of(self.card)
        )

    def maps(self, image: Image) -> NDArray[np.float32]:
        """The main output (see `main_output`) ``(C, H, W)`` of one image, of one window as ``(h, w, 3 * frames)``."""
        images = np.split(check_image(image, 3 * self.frames), self.frames, axis=2)
        return main_output(self.outputs(self.request(images)))[0]

    def _tracks(self, source: Iterable[Frame], boxes: Any, what: str) -> Tracks:
        if not self.takes_boxes:
            _refuse_boxes(boxes, what)
        pairs = list(self.stream(source, boxes, waiting=WAITING))
        return Tracks([f.index for f, _ in pairs], [f.seconds for f, _ in pairs], [answer for _, answer in pairs])

    def _folder(self, path: Path) -> list[Any]:
        files, left_out = only_images(path)
        for line in left_out:
            warnings.warn(line, stacklevel=3)
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
        return [moved(self._image(part), box[:2], size) for part, box in zip(cut, corners, strict=True)]


def _read(path: Path) -> Frame:
    """An image file as a frame that knows it."""
    return Frame(0, 0.0, read_image(path), path.name, path)


def _refuse_boxes(boxes: Any, what: str) -> None:
    if boxes is not None:
        raise InputError(f"boxes belong to one image, not to {what}", remedy="predict image by image")


def _same_size(before: Frame, frame: Frame) -> None:
    if before.image.shape != frame.image.shape:
        (was_high, was_wide), (high, wide) = before.image.shape[:2], frame.image.shape[:2]
        raise InputError(
            f"frame {frame.index} has {wide} x {high} pixels, the one before {was_wide} x {was_high}",
            path=frame.path,
            remedy="give frames of one video",
        )


def _timed(part: Part, name: str, items: Iterable[Frame]) -> Iterator[Frame]:
    iterator = iter(items)
    while True:
        with part(name):
            item = next(iterator, None)
        if item is None:
            return
        yield item


def _frames(items: Iterable[Any]) -> Iterator[Frame]:
    """Images one after the other as frames: those without a time of their own have `FOLDER_RATE` to the second."""
    for number, item in enumerate(items):
        given = as_array(item)
        image = given if isinstance(given, (np.ndarray, Frame)) else read_image(given)
        yield image if isinstance(image, Frame) else Frame(number, number / FOLDER_RATE, image)


def _as_list(answer: Answer | Tracks | list[Any]) -> Sequence[Any]:
    several = answer.points if isinstance(answer, Tracks) else answer
    return several if isinstance(several, Sequence) else [several]
