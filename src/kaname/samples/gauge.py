"""Rendered analog dials with exact notches, and data sets of them in the recipe's real file format.

``render`` gives one dial cropped as a detector would crop it, ``render_photograph`` one in a larger scene, ``write`` a
whole data set. Truth is exact: the points are projected with the camera that the picture was drawn with. Which ticks
count as notches and where their point lies follows the labels of real photographs: see ``kaname.samples.scale``.

Adding a new look: add a branch with a probability of its own to the room it belongs to (``scale``: ticks and values,
``dial``: paper and numerals, ``prints``: texts, ``needle``, ``casing``, ``background``, ``weather``: glass, light and
sensor); nothing else changes, but every picture of a given seed does, so say so in the change log.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from ..errors import InputError
from .photograph import Dial, take


def render(rng: np.random.Generator, size: int = 448) -> Dial:
    """One dial that fills its ``size`` x ``size`` image as a detector's crop does, never twice the same.

    Every notch lies inside the image and inside the bezel's opening. The result depends on ``rng`` alone.
    """
    fill = rng.uniform(0.84, 1.02) if (kind := rng.random()) < 0.6 else rng.uniform(1.02, 1.22)
    if kind > 0.92:
        fill = rng.uniform(0.5, 0.84)
    jitter = rng.normal(0, 0.02, 2) if rng.random() < 0.85 else rng.normal(0, 0.06, 2)
    return take(rng, (size, size), fill * size, (jitter + 1 / 2) * size, crop=True)


def render_photograph(rng: np.random.Generator, size: tuple[int, int] = (960, 1280)) -> Dial:
    """One dial somewhere in a larger scene of ``(height, width)`` pixels, with its box."""
    wide = rng.uniform(0.3, 0.75) * min(size)
    low, high = np.full(2, wide * 0.55), np.array([size[1], size[0]]) - wide * 0.55
    return take(rng, size, wide, rng.uniform(low, high), crop=False)




LABELS = {"start": "Start Notch", "middle": "Inbetween Notch", "end": "End Notch"}
LAYOUTS = ("split", "flat", "photographs")


def write(out: str | os.PathLike[str], count: int, seed: int, *, size: int = 448, val_fraction: float = 0.2,
          layout: str = "split", processes: int | None = None) -> Path:  # fmt: skip
    """Write a data set of ``count`` rendered dials and return its folder.

    Image i depends on ``(seed, i)`` alone, whatever the number of processes and whatever ``count``.

    Args:
        out: a folder that does not exist yet or is empty.
        count: number of images, at least 1.
        seed: 0 or more.
        size: side of the square images in pixels; the height of a photograph (which is 4:3).
        val_fraction: share of the images, the last ones, that go to ``val`` (layout ``split``).
        layout: ``split``: ``{train,val}/{images/*.jpg, labels/annotation.json}``, what training reads; ``flat``:
            ``images/*.jpg`` and ``annotation.json`` as Label Studio exports them; ``photographs``: the same with a dial
            somewhere in a larger scene and its box as a rectangle.
        processes: default one for each core, fewer for small sets; 1 renders in this process.

    Raises:
        InputError: a value outside its range, or ``out`` holds something already.
    """
    out = Path(out)
    _check(out, count, seed, size, val_fraction, layout)
    held = min(count - 1, max(1, round(count * val_fraction))) if layout == "split" and val_fraction > 0 else 0
    parts = {"": range(count)} if layout != "split" else {"train": range(count - held), "val": range(count - held, count)}
    tasks: list[tuple[Path, int]] = []
    for name, indices in parts.items():
        if len(indices) or name == "train":
            (out / name / "images").mkdir(parents=True, exist_ok=True)
            tasks += [(out / name / "images" / f"dial_{i:06d}.jpg", i) for i in indices]
    rows = _render_all(partial(_write_one, seed, size, layout == "photographs"), tasks, processes)
    for name, indices in parts.items():
        if len(indices):
            path = out / name / ("labels/annotation.json" if layout == "split" else "annotation.json")
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps([rows[i] for i in indices], indent=1), encoding="utf-8")
    return out


def _check(out: Path, count: int, seed: int, size: int, val_fraction: float, layout: str) -> None:
    if count < 1:
        raise InputError(f"count must be at least 1, got {count}", remedy="ask for one image or more")
    if seed < 0:
        raise InputError(f"seed must be 0 or more, got {seed}", remedy=f"use {-seed}")
    if not 64 <= size <= 4096:
        nearest = 64 if size < 64 else 4096
        raise InputError(f"size must lie in 64..4096 pixels, got {size}", remedy=f"nearest legal size: {nearest}")
    if not 0 <= val_fraction < 1:
        raise InputError(f"val_fraction must lie in 0..1 (1 excluded), got {val_fraction}", remedy="0.2 is usual")
    if layout not in LAYOUTS:
        raise InputError(f"unknown layout {layout!r}", remedy=f"one of {', '.join(LAYOUTS)}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        kind = "the folder is not empty" if out.is_dir() else "not a folder"
        raise InputError(kind, path=out, remedy="name a new folder, or empty this one first")


def _write_one(seed: int, size: int, photograph: bool, task: tuple[Path, int]) -> dict[str, object]:
    """Render one image to its file; the label's row."""
    path, index = task
    rng = np.random.default_rng([seed, index])
    dial = render_photograph(rng, (size, size * 4 // 3)) if photograph else render(rng, size)
    code = cv2.imencode(".jpg", cv2.cvtColor(dial.image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    path.write_bytes(code.tobytes())
    return _task(dial, index, path.name, seed, photograph)


def _task(dial: Dial, index: int, name: str, seed: int, boxes: bool) -> dict[str, object]:
    """One Label Studio task, as its JSON export has it."""
    height, width = dial.image.shape[:2]

    def result(kind: str, value: dict[str, object], number: int) -> dict[str, object]:
        code = hashlib.sha1(f"{seed}/{index}/{number}".encode()).hexdigest()[:10]
        return {"original_width": width, "original_height": height, "image_rotation": 0, "value": value, "id": code,
                "from_name": "kp-1" if kind == "keypointlabels" else "box-1", "to_name": "img-1", "type": kind,
                "origin": "manual"}  # fmt: skip

    results: list[dict[str, object]] = []
    for part, points in dial.points.items():
        for x, y in points:
            value: dict[str, object] = {"x": 100 * float(x) / width, "y": 100 * float(y) / height, "width": 0.44,
                                        "keypointlabels": [LABELS[part]]}  # fmt: skip
            results.append(result("keypointlabels", value, len(results)))
    for x1, y1, x2, y2 in dial.boxes if boxes else ():
        value = {"x": 100 * float(x1) / width, "y": 100 * float(y1) / height, "width": 100 * float(x2 - x1) / width,
                 "height": 100 * float(y2 - y1) / height, "rotation": 0, "rectanglelabels": ["gauge"]}  # fmt: skip
        results.append(result("rectanglelabels", value, len(results)))
    prefix = hashlib.sha1(f"{seed}/{index}".encode()).hexdigest()[:8]
    annotation = {"id": index + 1, "completed_by": 1, "was_cancelled": False, "result": results}
    return {"id": index + 1, "annotations": [annotation], "data": {"img": f"/data/upload/1/{prefix}-{name}"}}


def _quiet() -> None:
    """A worker's own threads would only fight with the other workers."""
    cv2.setNumThreads(1)


def _render_all(work: partial[dict[str, object]], tasks: Sequence[tuple[Path, int]],
                processes: int | None) -> list[dict[str, object]]:  # fmt: skip
    """The rows in the order of the tasks, over processes where that pays and where the system lets us."""
    count = min(processes or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
                len(tasks) // 8)  # fmt: skip
    if count > 1:
        # fork: no second import of everything, and no need of a guard around the caller's main module
        method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
        try:
            with ProcessPoolExecutor(count, multiprocessing.get_context(method), initializer=_quiet) as pool:
                return list(pool.map(work, tasks, chunksize=4))
        except (OSError, BrokenProcessPool):
            pass  # no semaphores, no memory, no fork: the same bytes come out of one process
    return [work(task) for task in tasks]
