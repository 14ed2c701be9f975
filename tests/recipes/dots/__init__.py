"""``dots``: three dots of a creature in a clip, from two frames and the optical flow between them, in given boxes.

It needs of the house a window that answers its last frame, a second input, crops of boxes, an index-aligned grid, two
heads, three losses that count different things, points that a mirror swaps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kaname.codecs.heatmap import decode
from kaname.data.formats import files, points, skeleton
from kaname.data.naming import images_in
from kaname.geometry.affine import Affine
from kaname.geometry.grid import Grid
from kaname.geometry.view import View
from kaname.inference.card import grid_of
from kaname.inference.request import Arrays, Decode, Feed, Request
from kaname.metrics.intervals import summary
from kaname.pipeline.boxes import source_of
from kaname.pipeline.flags import BoxFlags, Checkpoint, OutFolder, Overwrite
from kaname.pipeline.labelled import Labelled, Result
from kaname.pipeline.predict import predict_videos
from kaname.training.settings import TrainSettings
from kaname.types import Answer, Image, Points, Sample
from recipes import drawn, plain

VIEW = View("crop", (64, 64), factor=1.25)
CELLS, GRID, STATES = (16, 16), Grid((4, 4), "aligned"), 3  # of a point: absent, hidden, visible


@dataclass(frozen=True)
class AnswerSettings:
    """A point whose score does not exceed ``min_score`` is absent."""

    min_score: float = 0.0


@dataclass(frozen=True)
class Config:
    """Everything a run depends on; ``flip`` is the share of mirrored samples, ``width`` the backbone's."""

    data: Path = Path("dots")
    width: int = 4
    flip: float = 0.5
    answers: AnswerSettings = field(default_factory=AnswerSettings)
    train: TrainSettings = field(default_factory=TrainSettings)


RECIPE = plain.recipe("dots", "Three dots.", answering={"threshold": "min_score", "unit": "frame"}, fixed=("width",))
sample, check, train, evaluate, export, draw = plain.commands_of("dots", Config, drawn.clips)


@dataclass(frozen=True)
class Clip:
    """Frames of one size, the boxes of its creatures, and for each frame the points of all of them."""

    source: str
    frames: Sequence[Path]
    boxes: np.ndarray
    labels: Sequence[Sample]

    def label(self, number: int) -> bytes:
        return str(truth(self, number, {})).encode()

    def beginning(self, count: int) -> Clip:
        return replace(self, frames=self.frames[:count], labels=self.labels[:count])


def labelled(data: Path | None, config: Mapping[str, Any], words: object = ()) -> Labelled:
    """Frames lie in ``SET/frames/CLIP``, labels and boxes in ``SET/labels/CLIP``."""
    root = data or Path(config["data"])
    read = partial(points.read_labels, names=skeleton.read(root / "skeleton.yaml").names, remedy="sample again")

    def clip(place: Path) -> Clip:
        frames, boxes = images_in(place.parents[1] / "frames" / place.name)[0], files.read_json(place / "boxes.json")
        return Clip(place.name, frames, np.float64(boxes), [read(place / f"{one.stem}.json", one) for one in frames])

    return Labelled(root, ["train", "val"], lambda name: list(map(clip, sorted((root / name / "labels").iterdir()))))


def seen(images: Sequence[Image], into: Affine) -> tuple[list[Image], np.ndarray]:
    """Two pictures as the view shows them, and the optical flow ``(2, H, W)`` from the first to the second."""
    shown = [into.image(image, VIEW.input_size) for image in images]
    grey: list[Any] = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in shown]
    flow = cv2.calcOpticalFlowFarneback(*grey, None, 0.5, 2, 9, 2, 5, 1.1, 0)
    return shown, np.moveaxis(flow, 2, 0).astype(np.float32)


def feed_of(card: Mapping[str, Any], settings: AnswerSettings, path: Path) -> Feed:
    """Two frames and the flow between them, for every wanted frame and box; the first frame's other is the next."""

    def feed(request: Request) -> dict[str, np.ndarray]:
        first, second = (frame.image for frame in request.frames)
        pairs = [(second, first), (first, second)][-(request.wanted or 2) :]
        rows = [(pair, box) for pair in pairs for box in np.asarray(request.boxes)]
        flows = [seen(pair, request.view.into(request.size, box))[1] for pair, box in rows]
        images = [np.concatenate(pair, axis=2) for pair, _ in (rows if len(pairs) > 1 else rows[:1])]
        return {"images": np.stack(images), "flow": np.stack(flows), "boxes": np.float32([box for _, box in rows])}

    return feed


def decode_of(card: Mapping[str, Any], settings: AnswerSettings) -> Decode:
    names, grid = skeleton.Skeleton.from_dict(card["skeleton"]).names, grid_of(card)

    def answers(outputs: Arrays, request: Request) -> list[Answer]:
        maps, boxes, frames = outputs["heatmaps"], np.asarray(request.boxes), request.wanted or 2
        visible = outputs["visibility"].reshape(len(maps), len(names), STATES).argmax(axis=2)
        found = [decode(one, grid, "dark") for one in maps]
        placed = [request.back(boxes[row % len(boxes)]).points(places) for row, (places, _) in enumerate(found)]
        xy, scores = np.array(placed).reshape(*visible.shape, 2), np.array([s for _, s in found]).reshape(visible.shape)
        visible[scores <= settings.min_score] = 0
        xy[visible == 0] = np.nan
        given: list[Answer] = []
        for parts in zip(*(np.split(values, frames) for values in (xy, scores, visible)), strict=True):
            named = [dict(zip(names, np.moveaxis(part, 1, 0), strict=True)) for part in parts]
            given.append(Points(named[0], named[1], request.size, named[2], ids=list(range(1, len(boxes) + 1))))
        return given

    return answers


def truth(clip: Clip, number: int, about: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {f"true {name}": xy for name, xy in clip.labels[number].points.items()}


def score(path: Path, clips: Sequence[Clip], settings: AnswerSettings, how: Mapping[str, Any]) -> Result:
    """Distances of points that are there, and how many states are right."""
    rows = {(row.source, row.frame): row.answer for row in RECIPE.answering.read(path)}
    distances, right = [], []
    for answer, label in [(rows[c.source, number], one) for c in clips for number, one in enumerate(c.labels)]:
        for name, xy in label.points.items():
            distances += np.linalg.norm(answer.xy[name] - xy, axis=1)[np.isfinite(xy[:, 0])].tolist()
            right += (answer.visible[name] == label.visible[name]).astype(float).tolist()
    figures = {"distance_px": summary(distances), "visibility": summary(right)}
    table, facts = [list(figures), [str(one["value"]) for one in figures.values()]], {"frames": len(rows)}
    return Result({"points": figures}, facts, table, f"{len(clips)} clips")


def predict(
    *sources: Path, checkpoint: Checkpoint, out: OutFolder, overwrite: Overwrite = False,
    flags: BoxFlags = BoxFlags(),
) -> None:  # fmt: skip
    """Find the dots in folders of frames and videos; without boxes each frame is one."""
    predict_videos(RECIPE, sources, checkpoint, out, boxes=source_of(flags), overwrite=overwrite)
