"""Tiny dials whose notches are dots, their labels, and the command line to call."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kaname.geometry.image import write_image

SIDE = 64
CHANNELS = ("start", "middle", "end")
LABELS = {"start": "Start Notch", "middle": "Inbetween Notch", "end": "End Notch"}
# Written, not drawn by the tested code: colour of each channel's dot.
INK = {"start": (220, 40, 40), "middle": (20, 20, 20), "end": (40, 40, 220)}
TRAIN = ("--backbone", "small:8", "--size", str(SIDE), "--device", "cpu", "--num-workers", "0", "--batch-size", "4")

Points = dict[str, list[list[float]]]


def draw_dial(points: Mapping[str, Sequence[Sequence[float]]], size: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray:
    """A light image with a round dot at each point, drawn on a grid eight times as fine."""
    fine = 8
    image = np.full((size[0] * fine, size[1] * fine, 3), 205, np.uint8)
    for name, found in points.items():
        for x, y in found:
            centre = (round(x * fine - 0.5), round(y * fine - 0.5))
            cv2.circle(image, centre, round(2.5 * fine), INK[name], cv2.FILLED)
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)


def dial_points(seed: int, size: tuple[int, int] = (SIDE, SIDE), middle: int = 3) -> Points:
    """Start, ``middle`` notches and end on an arc, at sub-pixel places."""
    random = np.random.default_rng(seed)
    turn, radius = random.uniform(-30, 30), random.uniform(0.3, 0.38) * min(size)
    angles = np.deg2rad(135 + turn + np.linspace(0, 270, middle + 2))
    xy = np.column_stack([size[1] / 2 + radius * np.cos(angles), size[0] / 2 + radius * np.sin(angles)])
    rows = xy.tolist()
    return {"start": rows[:1], "middle": rows[1:-1], "end": rows[-1:]}


def task(number: int, name: str, points: Mapping[str, Any], size: tuple[int, int] = (SIDE, SIDE), **more: Any) -> dict:
    """A Label Studio task as its export has it; ``labels`` and ``boxes`` (percent) change what it holds."""
    labels, boxes = {**LABELS, **more.pop("labels", {})}, more.pop("boxes", [])
    frame = {"original_width": size[1], "original_height": size[0], "image_rotation": 0, **more.pop("frame", {})}
    result = [
        {**frame, "type": "keypointlabels", "from_name": "kp", "to_name": "img",
         "value": {"x": 100 * x / size[1], "y": 100 * y / size[0], "width": 0.5, "keypointlabels": [labels[channel]]}}
        for channel, found in points.items() for x, y in found
    ]  # fmt: skip
    result += [
        {**frame, "type": "rectanglelabels", "from_name": "box", "to_name": "img",
         "value": {"x": 100 * x / size[1], "y": 100 * y / size[0], "width": 100 * w / size[1],
                   "height": 100 * h / size[0],
                   "rotation": 0, "rectanglelabels": ["gauge"]}}
        for x, y, w, h in boxes
    ]  # fmt: skip
    source = more.pop("source", f"/data/upload/1/0a1b2c3d-{name}")
    annotation = {"id": number, "completed_by": 1, "was_cancelled": False, "result": result}
    return {"id": number, "annotations": [annotation], "data": {"img": source}, **more}


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def write_flat(
    folder: Path, names: Sequence[str] = ("a.png", "b.png"), size: tuple[int, int] = (SIDE, SIDE)
) -> list[Points]:
    """``images/`` and ``annotation.json``; returns the points of each image."""
    (folder / "images").mkdir(parents=True)
    rows = [dial_points(seed, size) for seed in range(len(names))]
    for name, points in zip(names, rows, strict=True):
        image = draw_dial(points, size)
        target = folder / "images" / name
        part = folder / "images" / "part.png"
        write_image(part if target.suffix.lower() == ".png" else part.with_suffix(".jpg"), image)
        (part if target.suffix.lower() == ".png" else part.with_suffix(".jpg")).rename(target)
    write_json(
        folder / "annotation.json", [task(i + 1, n, p, size) for i, (n, p) in enumerate(zip(names, rows, strict=True))]
    )
    return rows


def write_data(folder: Path, train: int = 8, val: int = 3) -> Path:
    """``train`` and ``val`` with ``images`` and one Label Studio JSON in ``labels``."""
    seed = 0
    for name, count in (("train", train), ("val", val)):
        tasks = []
        (folder / name / "images").mkdir(parents=True)
        for number in range(1, count + 1):
            points = dial_points(seed)
            write_image(folder / name / "images" / f"{name}_{number}.png", draw_dial(points))
            tasks.append(task(number, f"{name}_{number}.png", points))
            seed += 1
        write_json(folder / name / "labels" / "annotation.json", tasks)
    return folder
