"""``blobs``: features of an ONNX file and boxes in, a mask of three classes in each box out.

It needs of the house what gauge and tracknet do not: inputs that are no image, sizes that differ by sample, masks as
answers, a file of each epoch with its score in the name, and a picture beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kaname.codecs import roi_mask
from kaname.data.formats import coco
from kaname.geometry.image import image_size
from kaname.inference.onnx_tensor import OnnxTensor
from kaname.inference.request import Arrays, Decode, Feed, Request
from kaname.metrics.intervals import summary
from kaname.pipeline.boxes import source_of
from kaname.pipeline.flags import BoxFlags, Checkpoint, OutFolder
from kaname.pipeline.labelled import Labelled, Result
from kaname.pipeline.part import Part
from kaname.pipeline.predict import predict_images
from kaname.training.settings import TrainSettings
from kaname.types import Masks
from recipes import drawn, plain

CLASSES, GRID = ("background", "target", "other"), (16, 16)
EXTRACTOR, TENSOR = "extractor.onnx", "features"


@dataclass(frozen=True)
class AnswerSettings:
    """``extractor`` is where the ONNX file lies now, if neither where it was nor beside the model."""

    extractor: Path | None = None


@dataclass(frozen=True)
class Config:
    """Everything a run depends on; boxes of training move by up to ``jitter`` pixels."""

    data: Path = Path("blobs")
    width: int = 8
    jitter: float = 2.0
    answers: AnswerSettings = field(default_factory=AnswerSettings)
    train: TrainSettings = field(default_factory=TrainSettings)


RECIPE = plain.recipe(
    "blobs", "Masks of blobs in their boxes.", task=Part("recipes.blobs.network:task_fields"), fixed=("width",),
    answering={"predictions": ("masks.json",)},
)  # fmt: skip
sample, check, train, evaluate, export, draw = plain.commands_of("blobs", Config, drawn.blobs)


@dataclass(frozen=True)
class Blobs:
    """A photograph, the box of each blob and its polygons."""

    source: str
    frames: Sequence[Path]
    boxes: np.ndarray
    polygons: Sequence[Sequence[np.ndarray]]

    def label(self, number: int) -> bytes:
        return str([self.boxes, self.polygons]).encode()

    def masks(self, boxes: np.ndarray) -> np.ndarray:
        """The classes ``(N, h, w)`` on the grid of such boxes, one a blob."""
        return np.stack([roi_mask.targets(self.polygons, boxes, row, GRID) for row in range(len(boxes))])


def labelled(data: Path | None, config: Mapping[str, Any], words: object = ()) -> Labelled:
    root = Path(config["data"]) if data is None else data

    def read(name: str) -> list[Blobs]:
        samples = coco.read(root / name / "labels.json", images=root / name / "images")
        return [Blobs(one.image.name, [one.image], one.boxes, one.polygons) for one in samples]

    return Labelled(root, ["train", "val"], read)


def feed_of(card: Mapping[str, Any], settings: AnswerSettings, path: Path) -> Feed:
    """Features of the extractor, and the boxes in pixels of its input."""
    source = OnnxTensor.from_description(card["extractor"], beside=path.parent, path=settings.extractor, threads=1)

    def feed(request: Request) -> dict[str, np.ndarray]:
        into = source.view.into(request.size)
        (features,) = source.features(into.image(request.image, source.view.input_size)[None])
        return {"features": features, "boxes": into.boxes(request.boxes).astype(np.float32)}  # type: ignore[arg-type]

    return feed


def decode_of(card: Mapping[str, Any], settings: AnswerSettings) -> Decode:
    def decode(outputs: Arrays, request: Request) -> list[Masks]:
        cells, boxes = outputs["masks"], np.asarray(request.boxes)
        return [Masks(cells, boxes, CLASSES, request.size, ids=list(range(1, len(boxes) + 1)))]

    return decode


def truth(item: Blobs, number: int, about: Mapping[str, Any]) -> Masks:
    cells = item.masks(item.boxes)[:, None] == np.arange(len(CLASSES))[:, None, None]
    return Masks(cells.astype(np.float32), item.boxes, CLASSES, image_size(item.frames[0]))


def score(path: Path, items: Sequence[Blobs], settings: AnswerSettings, how: Mapping[str, Any]) -> Result:
    """The target's IoU on the grid of each box, by image."""
    rows: dict[str, Any] = {row.source: row.answer for row in RECIPE.answering.read(path)}
    ious: list[float] = []
    for item in items:
        ours, true = rows[item.source].probabilities.argmax(axis=1) == 1, item.masks(item.boxes) == 1
        ious += ((ours & true).sum(axis=(1, 2)) / (ours | true).sum(axis=(1, 2))).tolist()
    entry = summary(ious)
    return Result({"target": {"iou": entry}}, {"boxes": len(ious)}, [["iou"], [str(entry["value"])]], "target")


def predict(
    *sources: Path,
    checkpoint: Checkpoint, out: OutFolder, extractor: Path | None = None,
    flags: BoxFlags = BoxFlags(),
) -> None:  # fmt: skip
    """Masks of the boxes of a file, or of what a detector finds; without either each image is a box."""
    predict_images(RECIPE, sources, checkpoint, out, boxes=source_of(flags), changes={"extractor": extractor})
