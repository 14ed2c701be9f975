"""Labels and predictions of any number of items for `evaluation`, made from a few rendered ones.

A few samples of each recipe are rendered once; the others have their images (as links) and their own labels, moved by a
fraction of a pixel. Predictions are the labels with noise of a pixel or two, one in twenty missing and a false one here
and there.

    python benchmarks/evaluation_data.py RECIPE COUNT FOLDER
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kaname.data.formats import coco, labelstudio, landmarks, mot_kp, tracknet
from kaname.data.formats import masks as masks_json
from kaname.data.formats import points as points_json
from kaname.data.formats.mot_kp_files import frame_name
from kaname.recipes.gauge.labels import ALIASES, LABEL_NAMES
from kaname.recipes.kpnet.config import DataSettings as KpnetData
from kaname.recipes.kpnet.labels import read_set
from kaname.recipes.roimask.labels import Photo
from kaname.samples import gauge as dials
from kaname.samples import kpnet as videos
from kaname.samples import landmark as heads
from kaname.samples import roimask as people
from kaname.samples import tracknet as matches
from kaname.tracking.table import write_rows
from kaname.tracking.trajectory import DETECTED, Row
from kaname.types import FloatArray, Masks, Points, Prediction, Sample

MISSING, FALSE = 0.05, 0.5  # share of points that are not predicted; false ones, a dial
VIDEO = 100  # frames of a video of kpnet
ANNOTATIONS = "instances_{}2017_person_only_no_crowd.json"
MADE: dict[str, Any] = {"model": "a benchmark's noise"}


Words = list[object]
"""Of the command that scores what was made, without ``--out``."""


def link(source: Path, target: Path) -> Path:
    """A second name for a file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    os.link(source, target)
    return target


def near(random: np.random.Generator, xy: FloatArray, spread: float, size: tuple[int, int]) -> FloatArray:
    """Points moved by a normal distance, inside the image; missing ones stay so."""
    return np.clip(xy + random.normal(0, spread, xy.shape), 0, np.array(size[::-1], np.float64))


def gauge(folder: Path, count: int, random: np.random.Generator) -> Words:
    """Dials, in one Label Studio export."""
    base, data = folder / "rendered", folder / "data"
    dials.write(base, 24, 0, layout="flat", processes=1)
    known = labelstudio.read(base / "annotation.json", base / "images", names=ALIASES)
    samples, rows = list[Sample](), list[Prediction]()
    for number in range(count):
        one = known[number % len(known)]
        size = one.size or (448, 448)
        points = {name: near(random, xy, 0.3, size) for name, xy in one.points.items()}
        image = link(one.image, data / "val" / "images" / f"dial_{number:06d}.jpg")
        samples.append(replace(one, image=image, points=points, meta={}))
        ours = {name: found(random, xy, size) for name, xy in points.items() if name != "middle"}
        ours["middle"] = found(random, np.concatenate(list(points.values())), size)
        rows.append(Prediction(image.name, Points(ours, scores_of(random, ours), size)))
    (data / "val" / "labels").mkdir()
    labelstudio.write(data / "val" / "labels" / "annotation.json", samples, names=LABEL_NAMES)
    points_json.write(folder / "points.json", rows, recipe="gauge", settings={}, sigma=4.0, **MADE)
    return ["--predictions", folder / "points.json", "--data", data]


def found(random: np.random.Generator, xy: FloatArray, size: tuple[int, int]) -> FloatArray:
    """What is predicted for true points: some are missed, a few are false."""
    kept = near(random, xy[random.random(len(xy)) > MISSING], 1.5, size)
    false = random.random((random.poisson(FALSE) if len(xy) > 1 else 0, 2)) * np.array(size[::-1])
    return np.concatenate([kept, false])


def scores_of(random: np.random.Generator, points: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    return {name: random.uniform(0.3, 1, len(xy)) for name, xy in points.items()}


def tracknet_(folder: Path, count: int, random: np.random.Generator) -> Words:
    """Frames of a match, in clips of 50."""
    base, data = folder / "rendered", folder / "data"
    matches.write(base, 1, 0, size=(360, 640), clip_length=50)
    known = tracknet.read(base)
    samples, rows = list[Sample](), list[Row]()
    for number in range(count):
        clip, frame = divmod(number, len(known))
        one, size = known[frame], (360, 640)
        game, name = f"game{clip % 10 + 1}", f"Clip{clip + 1}"
        image = link(one.image, data / game / name / one.image.name)
        points = {key: near(random, xy, 0.3, size) for key, xy in one.points.items()}
        samples.append(replace(one, image=image, points=points, meta={**one.meta, "game": game, "clip": name}))
        place = next((xy[0] for xy in points.values() if len(xy) and np.isfinite(xy).all()), np.array([320.0, 180.0]))
        x, y = place + random.normal(0, 2, 2)
        there = random.random() > MISSING
        x, y, score = (x, y, random.uniform(0.4, 1)) if there else (np.nan, np.nan, 0.0)
        rows.append(Row(frame, 0.0, x, y, score, DETECTED if there else "", f"{game}/{name}", image.name))
    tracknet.write(data, samples)
    write_rows(folder / "predictions.csv", rows)
    return ["--predictions", folder / "predictions.csv", "--data", data, "--split", "all"]


def kpnet(folder: Path, count: int, random: np.random.Generator) -> Words:
    """Frames of videos of operations, in a file a video."""
    base, data = folder / "rendered", folder / "data"
    videos.write(base, count=1, val_count=1, length=VIDEO, every=4, size=(136, 240), movie=False)
    known = mot_kp.read(base / "val" / "mot", base / "val" / "frames", predictions=False)
    samples: list[Sample] = []
    for number in range(count):
        name, frame = f"video{number // VIDEO:04d}", number % VIDEO
        one = known[frame * len(known) // VIDEO]
        size = one.size or (136, 240)
        image = link(one.image, data / "val" / "frames" / name / f"{frame_name(name, frame)}.png")
        points = {key: near(random, xy, 0.3, size) for key, xy in one.points.items()}
        samples.append(replace(one, image=image, points=points, frame=frame, meta={**one.meta, "video": name}))
    mot_kp.write(data / "val" / "mot", samples)
    rows: list[Prediction] = []
    for picture in read_set(KpnetData(root=data), "val"):
        xy, visible = picture.channels
        xy = near(random, xy, 2, picture.size)
        told = np.where((random.random(len(xy)) > MISSING) & np.isfinite(xy).all(axis=1), np.maximum(visible, 0), 0)
        xy[told == 0] = np.nan
        names = dict(enumerate(picture.skeleton.channels))
        parts = (xy, random.uniform(0.3, 1, len(xy)), told)
        own = [{name: part[row : row + 1] for row, name in names.items()} for part in parts]
        rows.append(Prediction(picture.source, Points(own[0], own[1], picture.size, own[2])))
    points_json.write(folder / "points.json", rows, recipe="kpnet", settings={}, **MADE)
    return ["--predictions", folder / "points.json", "--data-root", data]


def roimask(folder: Path, count: int, random: np.random.Generator) -> Words:
    """Boxes of persons, a few in an image."""
    base, data = folder / "rendered", folder / "data"
    people.write(base, count=1, val_count=12, size=(240, 320))
    images = base / "data" / "images" / "val2017"
    file = base / "data" / "annotations" / ANNOTATIONS.format("val")
    content = json.loads(file.read_text())
    known = [Photo(one, 16.0, "ignore") for one in coco.read(file, images=images, category=1) if len(one.boxes)]
    answers = [_masks(photo, random) for photo in known]
    own: dict[str, list[Any]] = {"images": [], "annotations": []}
    rows, boxes = list[Prediction](), 0
    while boxes < count:
        number = len(own["images"])
        photo, answer = known[number % len(known)], answers[number % len(known)]
        name = f"{number + 1:012d}.jpg"
        link(photo.image, data / "images" / "val2017" / name)
        entry = next(one for one in content["images"] if one["id"] == photo.image_id)
        own["images"].append({**entry, "id": number + 1, "file_name": name})
        for one in content["annotations"]:
            if one["image_id"] == photo.image_id:
                own["annotations"].append({**one, "id": len(own["annotations"]) + 1, "image_id": number + 1})
        rows.append(Prediction(name, answer, image_id=number + 1))
        boxes += len(photo.candidates)
    (data / "annotations").mkdir()
    target = data / "annotations" / ANNOTATIONS.format("val")
    target.write_text(json.dumps({**own, "categories": content["categories"]}))
    classes = list(answers[0].classes)
    masks_json.write(folder / "masks.json", rows, recipe="roimask", settings={}, classes=classes, **MADE)
    return ["--predictions", folder / "masks.json", "--data", data]


def _masks(photo: Photo, random: np.random.Generator) -> Masks:
    """The true classes of slightly other boxes, with some cells wrong."""
    boxes = photo.boxes
    moved = boxes + random.normal(0, 1.5, boxes.shape)
    truth = photo.classes(boxes, list(range(len(boxes))), masks_json.GRID)
    classes = np.where(truth > 2, 0, truth)
    classes = np.where(random.random(classes.shape) < 0.02, random.integers(0, 3, classes.shape), classes)
    probabilities = np.where(classes[:, None] == np.arange(3)[:, None, None], 0.8, 0.1).astype(np.float32)
    return Masks(probabilities, moved, ("background", "target", "non_target"), photo.size, ids=list(range(len(boxes))))


def landmark(folder: Path, count: int, random: np.random.Generator) -> Words:
    """Faces, in a file a face."""
    base, data = folder / "rendered", folder / "data"
    heads.write(base, count=24)
    known = landmarks.read(base / "annotated", base / "images")
    samples, rows = list[Sample](), list[Prediction]()
    for number in range(count):
        one = known[number % len(known)]
        size = one.size or (384, 384)
        image = link(one.image, data / "images" / f"face_{number:06d}.jpg")
        points = {name: near(random, xy, 0.1, size) for name, xy in one.points.items()}
        samples.append(replace(one, image=image, points=points, meta={}))
        ours = {name: near(random, xy, 2, size) for name, xy in points.items()}
        scores = scores_of(random, ours)
        told = {name: np.where(np.isfinite(xy).all(axis=1), 2, 0) for name, xy in ours.items()}
        rows.append(Prediction(image.name, Points(ours, scores, size, told, ids=[1])))
    landmarks.write(data / "annotated", samples)
    points_json.write(folder / "points.json", rows, recipe="landmark", settings={}, **MADE)
    where: Words = ["--image-dir", data / "images", "--annotation-dir", data / "annotated"]
    return ["--predictions", folder / "points.json", *where]


MAKERS: dict[str, Callable[[Path, int, np.random.Generator], Words]] = {
    "gauge": gauge, "tracknet": tracknet_, "kpnet": kpnet, "roimask": roimask, "landmark": landmark,
}  # fmt: skip


def main() -> None:
    recipe, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    folder.mkdir(parents=True)
    words = MAKERS[recipe](folder, count, np.random.default_rng(0))
    (folder / "words.json").write_text(json.dumps(list(map(str, words))))


if __name__ == "__main__":
    main()
