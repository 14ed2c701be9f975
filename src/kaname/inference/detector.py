"""Boxes of an image from the ONNX file of somebody's detector: YuNet's faces, a YOLO, boxes and scores. No torch.

>>> detector = open_detector(Path("face_detection_yunet.onnx"), score=0.7)  # doctest: +SKIP
>>> detector(image).xyxy.shape  # doctest: +SKIP
(2, 4)

What a file is made like is recognised by the names and shapes of its outputs, or said by a mapping, a YAML file with
the keys of `kaname.inference.detector_mapping.DetectorMapping`::

    layout: boxes         # outputs of their own, with these names
    boxes: pred_boxes
    scores: logits
    activation: sigmoid
    box_format: cxcywh
    box_units: normalised
    keep: [0]             # persons
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kaname.errors import InputError, located
from kaname.files import content_hash
from kaname.geometry import boxes as box_arithmetic
from kaname.geometry.view import View
from kaname.inference.detector_layouts import CONFIG, LAYOUTS, Outputs, recognise
from kaname.inference.detector_mapping import DetectorMapping, read_mapping
from kaname.inference.onnx_runner import image_input, input_size, open_session, run_images
from kaname.inference.onnx_tensor import WHITE, Preprocessing
from kaname.types import FloatArray, Image, Size

OPEN_SIDE = 640  # of an input whose size the graph and the mapping leave open
USUAL = {"box_format": "xyxy", "box_units": "pixel", "fit": "letterbox", "order": "RGB", "white": 1.0}
SLACK = 1e-3  # by which the scores of 16-bit files leave 0..1
SHARES = 2.0  # boxes that end before this many pixels are shares of the image
STATE = f"write into {CONFIG} what it is: a layout, and the names of its outputs under boxes and scores"


@dataclass(frozen=True)
class Boxes:
    """What a detector has found in an image, best first.

    Attributes:
        xyxy: ``(N, 4)`` float64, pixels of the image, continuous and inside it.
        scores: ``(N,)`` in 0..1.
        labels: ``(N,)`` the detector's own class numbers, from 0.
    """

    xyxy: FloatArray
    scores: FloatArray
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.xyxy)


class Detector:
    """What :func:`open_detector` returns; called with an RGB uint8 image ``(h, w, 3)`` it answers ``Boxes``.

    Attributes:
        path: the file.
        stated: what was said of how it is read.
        mapping: how it is read, nothing left open.
        view: how an image becomes its input.
        outputs: the names of its outputs.
        found: how many boxes of each label it has answered with.
        description: plain values for a file of predictions: name, SHA-256 and mapping.
    """

    def __init__(self, path: Path, mapping: DetectorMapping, threads: int = 0) -> None:
        if not path.is_file():
            raise InputError("the detector does not exist", path=path, remedy="check the path")
        self.path, self.stated, self.threads = path, mapping, threads
        self._session = open_session(path, path, threads, remedy="check it")
        stated = image_input(self._session, path).shape[2:]
        height, width = (side if isinstance(side, int) else OPEN_SIDE for side in stated)
        size = input_size(self._session, mapping.size or (height, width), path)
        self.outputs = [output.name for output in self._session.get_outputs()]
        with located(path):
            self.mapping = self._whole(mapping, size)
            self.view = View(self.mapping.fit or "letterbox", size)
            black = np.zeros((1, *size, 3), np.uint8)
            self.found = Counter[int]()
            self.read(self._run(self._prepared(black)), size)
            self.found.clear()

    @property
    def description(self) -> dict[str, Any]:
        """Plain values: ``name``, ``sha256``, ``mapping``."""
        return {"name": self.path.name, "sha256": content_hash(self.path), "mapping": asdict(self.mapping)}

    def __call__(self, image: Image) -> Boxes:
        """What there is in an image.

        Raises:
            InputError: the file's answers are not what the mapping says.
        """
        size: Size = (image.shape[0], image.shape[1])
        shown = self.view.into(size).image(image, self.view.input_size)
        with located(self.path):
            return self.read(self._run(self._prepared(shown[None])), size)

    def read(self, outputs: Outputs, size: Size) -> Boxes:
        """Boxes from outputs that somebody else has computed, by name, of an image of ``size`` (height, width)."""
        mapping, input_size = self.mapping, self.view.input_size
        assert mapping.layout is not None
        boxes, scores, labels = LAYOUTS[mapping.layout].read(outputs, mapping, input_size)
        scores, labels = scores.astype(np.float64), np.rint(labels).astype(np.int64)
        _check_scores(scores)
        kept = scores >= mapping.score
        kept &= np.isin(labels, mapping.keep) if mapping.keep else True
        boxes, scores, labels = boxes[kept].astype(np.float64), scores[kept], labels[kept]
        found = self._corners(boxes)
        kept = _suppressed(found, scores, labels, mapping.nms)
        found = box_arithmetic.clip(self.view.into(size).inverse().boxes(found[kept]), size)
        inside = box_arithmetic.area(found) > 0  # what lies in the letterbox's margin is nothing
        self.found.update(labels[kept][inside].tolist())
        return Boxes(found[inside], scores[kept][inside], labels[kept][inside])

    def keep(self, label: str) -> None:
        """Answer with boxes of this label alone: a number, or a name that the file says of one, as Ultralytics' do.

        Raises:
            InputError: no such label.
        """
        names = _names(self._session.get_modelmeta().custom_metadata_map.get("names", ""))
        numbers = [number for number, name in names.items() if name == label]
        if not label.isdecimal() and not numbers:
            known = ", ".join(f"{number} {name}" for number, name in names.items())
            remedy = f"it names {known}" if known else "the file names none: give the label's number"
            raise InputError(f"the detector has no label {label!r}", path=self.path, remedy=remedy)
        chosen = numbers or [int(label)]
        self.stated, self.mapping = (replace(one, keep=tuple(chosen)) for one in (self.stated, self.mapping))

    def _corners(self, boxes: FloatArray) -> FloatArray:
        """The file's boxes ``(N, 4)`` as corners in pixels of the input."""
        mapping, (height, width) = self.mapping, self.view.input_size
        _check_units(boxes, mapping.box_units == "normalised")
        found = box_arithmetic.corners(boxes, mapping.box_format or "xyxy")
        if mapping.box_units == "normalised":
            found = found * [width, height, width, height]
        try:
            return box_arithmetic.box_rows(box_arithmetic.check(found))
        except InputError as error:
            raise InputError(
                error.reason, remedy=f"not {mapping.box_format}: put the box_format into {CONFIG}"
            ) from error

    def _whole(self, mapping: DetectorMapping, size: Size) -> DetectorMapping:
        """The mapping with what it leaves open: recognised by a run on black, or usual for the layout."""
        if mapping.layout is None:
            outputs = self._run(np.zeros((1, 3, *size), np.float32))
            known = recognise(outputs, size)
            if known is None:
                shapes = ", ".join(f"{name} {value.shape}" for name, value in outputs.items())
                raise InputError(f"not recognised as a detector by its outputs {shapes}", remedy=STATE)
            mapping = _filled(mapping, asdict(known))
        assert mapping.layout is not None
        bytes_in = {"white": WHITE} if "uint8" in image_input(self._session, self.path).type else {}
        return _filled(mapping, {**USUAL, **LAYOUTS[mapping.layout].usual, **bytes_in})

    def _prepared(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        mapping = self.mapping
        prepare = Preprocessing(mapping.order or "RGB", mapping.white or 1.0, mapping.mean, mapping.std)
        return prepare(images)

    def _run(self, images: NDArray[np.float32]) -> Mapping[str, NDArray[Any]]:
        answers = run_images(self._session, self.outputs, images, self.path)
        return dict(zip(self.outputs, answers, strict=True))


def open_detector(
    path: Path,
    mapping: Path | DetectorMapping | None = None,
    *,
    score: float | None = None,
    label: str | None = None,
    threads: int = 0,
) -> Detector:
    """A detector from its ONNX file.

    Args:
        path: the file; it takes one image ``(1, 3, height, width)``.
        mapping: how it is read, or a YAML file that says so; by default what its outputs look like.
        score: finds below it are left out; by default the mapping's, 0.5 where that does not say.
        label: the only one that counts, as in `Detector.keep`; by default those of the mapping.
        threads: of onnxruntime; 0 leaves the choice to it.

    Raises:
        InputError: no such file, no detector that is recognised, a mapping that does not fit it, no such label.
    """
    stated = read_mapping(mapping) if isinstance(mapping, Path) else mapping or DetectorMapping()
    detector = Detector(path, stated if score is None else replace(stated, score=score), threads)
    if label is not None:
        detector.keep(label)
    return detector


def _names(text: str) -> dict[int, str]:
    """What a file's metadata call its labels, ``{0: 'person', ...}``; empty where they do not."""
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {number: str(name) for number, name in pairs if isinstance(number, int)}


def _filled(mapping: DetectorMapping, usual: Mapping[str, Any]) -> DetectorMapping:
    """The mapping with usual values where it states none."""
    empty = {name: value for name, value in usual.items() if getattr(mapping, name) in (None, ())}
    return replace(mapping, **empty)


def _check_scores(scores: FloatArray) -> None:
    if len(scores) and not (scores.min() >= -SLACK and scores.max() <= 1 + SLACK):
        reason = f"its scores lie in {scores.min():.3g}..{scores.max():.3g}, not in 0..1"
        raise InputError(reason, remedy=f"put activation: sigmoid (or softmax), or another layout, into {CONFIG}")


def _check_units(boxes: FloatArray, normalised: bool) -> None:
    """Boxes in the other unit than stated lie far outside, or all in one pixel."""
    if len(boxes) and bool(np.abs(boxes).max() > SHARES) is normalised:
        reason = "its boxes are " + (
            "pixels, not shares of the image" if normalised else "shares of the image, not pixels"
        )
        unit = "pixel" if normalised else "normalised"
        raise InputError(reason, remedy=f"put box_units: {unit} into {CONFIG}")


def _suppressed(boxes: FloatArray, scores: FloatArray, labels: NDArray[np.int64], limit: float) -> NDArray[np.int64]:
    """Rows that stay, best first: of those of one label that overlap by more than ``limit`` the best."""
    if not len(boxes):
        return np.zeros(0, np.int64)
    if limit >= 1:
        return np.argsort(-scores, kind="stable")
    sized = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxesBatched(sized.tolist(), scores.tolist(), labels.tolist(), 0.0, limit)
    rows = np.asarray(kept, np.int64).reshape(-1)
    return rows[np.argsort(-scores[rows], kind="stable")]
