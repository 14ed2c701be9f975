"""Rendered analog dials with exact notches, and data sets of them in the recipe's real file format.

Three varieties: ``plain`` (everyday dials, what a small network learns in a minute), ``full`` (round dials and all
that happens to them), and ``world``: every kind of instrument, along a written list of axes (print, geometry, material,
light, camera, dirt, distractors), each with a name and a range wider than any set of photographs shows, each of which
can be switched off: ``kaname.samples.world.axes.AXES``, as a table in docs/gauge.md.

``render`` gives one dial cropped as a detector would crop it, ``render_photograph`` one in a larger scene, ``write`` a
whole data set. Truth is exact: the points are projected with the camera that the picture was drawn with. Which ticks
count as notches and where their point lies follows the labels of real photographs: see ``kaname.samples.scale``.

Adding a new look to ``world``: see ``kaname.samples.axes``. To ``full``: add a branch with a probability of its
own to the room it belongs to (``scale``: ticks and values, ``dial``: paper and numerals, ``prints``: texts, ``needle``,
``casing``, ``background``, ``weather``: glass, light and sensor); nothing else changes, but every picture of a given
seed does, so say so in the change log.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator

from ..data.formats import labelstudio
from ..errors import InputError
from ..files import whole_folder
from ..types import Image, Sample, Size
from .axes import check_without
from .photograph import Dial, take
from .world.axes import AXES
from .world.distractors import nothing
from .world.scene import picture
from .writing import SIDE, VARIETIES, check_choice, check_ranges, save_jpeg


def render(rng: Generator, size: int = 448, *, variety: str = "full", without: Iterable[str] = ()) -> Dial:
    """One dial that fills its ``size`` x ``size`` image as a detector's crop does, never twice the same.

    ``variety`` is ``full`` (round dials of all looks), ``plain`` (an everyday dial: five to thirteen notches, head-on,
    clean and in focus; what a small network learns in a minute) or ``world`` (every kind of instrument). Of ``world``
    the axes named in ``without`` are switched off; their entry in ``traits`` has its ``off`` value.

    Every notch lies inside the image and inside the bezel's opening. The result depends on ``rng`` alone.

    Raises:
        InputError: an unknown axis, or ``without`` for another variety.
    """
    check_axes(variety, without)
    if variety == "world":
        return picture(rng, size, without)
    if variety == "plain":
        centre = size / 2 + rng.normal(0, 0.015, 2) * size
        return take(rng, (size, size), rng.uniform(0.86, 0.98) * size, centre, crop=True, plain=True)
    fill = rng.uniform(0.84, 1.02) if (kind := rng.random()) < 0.6 else rng.uniform(1.02, 1.22)
    if kind > 0.92:
        fill = rng.uniform(0.5, 0.84)
    jitter = rng.normal(0, 0.02, 2) if rng.random() < 0.85 else rng.normal(0, 0.06, 2)
    return take(rng, (size, size), fill * size, (jitter + 1 / 2) * size, crop=True)


def render_nothing(rng: Generator, size: int = 448) -> Image:
    """A picture ``(size, size, 3)`` without any dial, but with marks, print and round things: nothing to be found."""
    return nothing(rng, size)


def render_photograph(rng: Generator, size: Size = (960, 1280)) -> Dial:
    """One dial somewhere in a larger scene of ``(height, width)`` pixels, with its box."""
    wide = rng.uniform(0.3, 0.75) * min(size)
    low, high = np.full(2, wide * 0.55), np.array([size[1], size[0]]) - wide * 0.55
    return take(rng, size, wide, rng.uniform(low, high), crop=False)


def check_axes(variety: str, without: Iterable[str]) -> None:
    """Refuse axes that do not exist, or for a variety that has none."""
    if check_without(AXES, without) and variety != "world":
        reason = f"only dials of the variety world have axes to leave out, and this is {variety}"
        raise InputError(reason, remedy="choose the variety world, or leave nothing out")


LABELS = {"start": "Start Notch", "middle": "Inbetween Notch", "end": "End Notch", "needle_tip": "Needle Tip",
          "needle_pivot": "Needle Centre"}  # fmt: skip
LAYOUTS = ("split", "flat", "photographs")
WORTH = 24  # images that make another process worth starting


@dataclass(frozen=True)
class _Plan:
    """What to write where; every process makes the same list of images from it."""

    out: str
    count: int
    seed: int
    size: int
    held: int
    layout: str
    variety: str
    without: tuple[str, ...] = ()

    @property
    def shape(self) -> Size:
        return self.size, self.size * 4 // 3 if self.layout == "photographs" else self.size

    def path(self, index: int) -> Path:
        part = ("val" if index >= self.count - self.held else "train") if self.layout == "split" else ""
        return Path(self.out) / part / "images" / f"dial_{index:06d}.jpg"


def write(
    out: str | os.PathLike[str],
    count: int,
    seed: int,
    *,
    size: int = 448,
    val_fraction: float = 0.2,
    layout: str = "split",
    variety: str = "full",
    without: Iterable[str] = (),
    processes: int | None = None,
) -> Path:
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
        variety: ``full``, ``plain`` or ``world``, as in :func:`render`; photographs are always ``full``.
        without: axes of ``world`` to switch off.
        processes: at most so many; default one for each core, fewer for small sets; 1 renders in this process.

    Raises:
        InputError: a value outside its range, or ``out`` holds something already.
    """
    check_choice("variety", variety, (*VARIETIES, "world"))
    check_choice("layout", layout, LAYOUTS)
    without = tuple(without)
    check_axes(variety, without)
    if layout == "photographs" and variety == "world":
        remedy = "choose layout split or flat, or the variety full"
        raise InputError("photographs with a dial somewhere in them are drawn by the variety full alone", remedy=remedy)
    check_ranges({"count": (count, 1, math.inf), "seed": (seed, 0, math.inf), "size": (size, *SIDE)})
    if not 0 <= val_fraction < 1:
        raise InputError(f"val_fraction must be in 0..1 (1 excluded), got {val_fraction}", remedy="0.2 is usual")
    held = min(count - 1, max(1, round(count * val_fraction))) if layout == "split" and val_fraction > 0 else 0
    with whole_folder(out) as folder:
        _fill(_Plan(str(folder), count, seed, size, held, layout, variety, without), processes)
    return Path(out)


def _fill(plan: _Plan, processes: int | None) -> None:
    """Images and labels into the plan's folder."""
    for folder in {plan.path(0).parent, plan.path(plan.count - 1).parent}:
        folder.mkdir(parents=True, exist_ok=True)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    rows = _render_all(plan, min(cores, plan.count // WORTH) if processes is None else min(processes, plan.count))
    samples = [_sample(plan, i, rows[i]) for i in range(plan.count)]
    kept = plan.count - plan.held
    split = {"train/labels": samples[:kept], "val/labels": samples[kept:]}
    for place, members in (split if plan.layout == "split" else {"": samples}).items():
        if members:
            labelstudio.write(Path(plan.out) / place / "annotation.json", members, names=LABELS)


def _render_share(plan: _Plan, first: int, step: int) -> dict[str, dict[str, list[list[float]]]]:
    """Render every ``step``-th image from ``first`` on to its file; points and boxes by index, ready for JSON."""
    rows = {}
    for index in range(first, plan.count, step):
        rng = np.random.default_rng([plan.seed, index])
        scene = plan.layout == "photographs"
        dial = (
            render_photograph(rng, plan.shape)
            if scene
            else render(rng, plan.size, variety=plan.variety, without=plan.without)
        )
        save_jpeg(plan.path(index), dial.image, 95)
        truth = {**dial.points, **dial.needle, "boxes": dial.boxes}
        rows[str(index)] = {name: values.tolist() for name, values in truth.items()}
    return rows


def _sample(plan: _Plan, index: int, row: dict[str, list[list[float]]]) -> Sample:
    points = {name: np.array(row[name], np.float64).reshape(-1, 2) for name in LABELS}
    boxes = row["boxes"] if plan.layout == "photographs" else []
    shown = np.array(boxes, np.float64).reshape(-1, 4)
    return Sample(plan.path(index), points, size=plan.shape, boxes=shown, labels=["gauge"] * len(boxes))


def _serve() -> None:
    """A worker process: its share's plan comes as the last argument, its rows leave through standard output."""
    cv2.setNumThreads(1)
    plan, first, step = json.loads(sys.argv[-1])
    json.dump(_render_share(_Plan(**plan), first, step), sys.stdout)


def _render_all(plan: _Plan, processes: int) -> list[dict[str, list[list[float]]]]:
    """The rows of all images; shares over fresh processes, and whatever one of them fails to do is done here.

    Neither fork (OpenCV's threads deadlock in the child) nor multiprocessing's spawn (it runs the caller's main module
    again) is safe for a function that anybody may call from anywhere; a plain subprocess is.
    """
    step = max(1, processes)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    workers = []
    try:
        for first in range(1, step):
            command = [sys.executable, "-c", "from kaname.samples.gauge import _serve; _serve()"]
            command.append(json.dumps([asdict(plan), first, step]))
            try:
                quiet = subprocess.DEVNULL
                workers.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=quiet))
            except OSError:  # no memory or no permission for another process
                break
        rows = _render_share(plan, 0, step)
        answers = [worker.communicate()[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    for first in range(1, step):
        done = first <= len(workers) and workers[first - 1].returncode == 0
        rows |= json.loads(answers[first - 1]) if done else _render_share(plan, first, step)
    return [rows[str(i)] for i in range(plan.count)]
