"""One look against two: rendered dials as they come, and the same dials small in a larger photograph.

    python benchmarks/gauge_second_look.py [--model gauge] [--count 60] [--seed 79] [--looks 0 1.8 2.2 2.6]

Prints a Markdown table: for each set and each value of `extract.second_look` F1 of all notches and PCK of start and end
within 10 px at 448 of the dial's own picture, how many pictures got a second look, and the time of a picture.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from kaname.inference.model import Model
from kaname.inference.request import Arrays
from kaname.pipeline.model import open_model
from kaname.pipeline.weights import weights_in
from kaname.recipes.gauge import CHANNELS, RECIPE, REFERENCE_SIZE
from kaname.recipes.gauge.figures import image_figures
from kaname.recipes.gauge.labels import letterbox
from kaname.samples.gauge import render
from kaname.types import FloatArray, Image

TOLERANCE = 10.0
LARGER = 2.5  # sides of the photograph in which a dial's picture lies, over those of that picture
Case = tuple[Image, dict[str, FloatArray], FloatArray]


def dials(count: int, seed: int, side: int, *, small: bool) -> Iterator[Case]:
    """Pictures, their points, and the corner of the dial's own picture in them."""
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        dial = render(rng, side, variety="world")
        points, corner = {name: dial.points[name] for name in CHANNELS}, np.zeros(2)
        image = dial.image
        if small:  # on a wall with stains, of the picture's mean colour
            whole = round(side * LARGER)
            stains = rng.normal(image.reshape(-1, 3).mean(axis=0), 12, (whole // 8, whole // 8, 3))
            wall = cv2.resize(np.clip(stains, 0, 255).astype(np.uint8), (whole, whole), interpolation=cv2.INTER_CUBIC)
            corner = rng.integers(0, whole - side, 2).astype(np.float64)
            x, y = corner.astype(int)
            wall[y : y + side, x : x + side] = image
            image, points = wall, {name: xy + corner for name, xy in points.items()}
        yield image, points, corner


class Counted:
    """Counts how often a model's network is asked."""

    def __init__(self, model: Model) -> None:
        self.count, runner = 0, model.runner

        def run(inputs: Arrays) -> Arrays:
            self.count += 1
            return runner(inputs)

        setattr(run, "takes_fitted", getattr(runner, "takes_fitted", False))  # noqa: B010
        model.runner = run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gauge")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=79)
    parser.add_argument("--looks", type=float, nargs="+", default=[0.0, 1.8, 2.2, 2.6])
    options = parser.parse_args()
    path = weights_in(Path(options.model))
    models = {look: open_model(RECIPE, path, changes={"second_look": look}) for look in options.looks}
    asked = {look: Counted(model) for look, model in models.items()}
    print("| dials | second_look | F1 | start and end | looked at twice | ms a picture |")
    print("|---|---:|---:|---:|---:|---:|")
    for title, side, small in (("448 px", 448, False), ("400 px in photographs of 1,000 px", 400, True)):
        figures: dict[float, list[tuple[float | None, float | None]]] = {look: [] for look in models}
        twice, seconds = dict.fromkeys(models, 0), dict.fromkeys(models, 0.0)
        for image, points, corner in dials(options.count, options.seed, side, small=small):
            into = letterbox((side, side), REFERENCE_SIZE)
            truth = {name: into.points(xy - corner) for name, xy in points.items()}
            truth["middle"] = np.concatenate([truth[name] for name in CHANNELS])
            for look, model in models.items():
                looks, started = asked[look].count, time.perf_counter()
                answer = model.predict(image)
                seconds[look] += time.perf_counter() - started
                ours = {name: into.points(answer.xy[name] - corner) for name in CHANNELS}
                found = image_figures(ours, truth, TOLERANCE)
                figures[look].append((found["middle"]["f1"], found["start_end"]["pck"]))
                twice[look] += asked[look].count > looks + 1
        for look, rows in figures.items():
            f1, ends = (np.mean([row[i] for row in rows if row[i] is not None]) for i in (0, 1))
            ms = 1000 * seconds[look] / options.count
            print(
                f"| {title} | {look:g} | {f1:.3f} | {ends:.3f} | {twice[look]} of {options.count} | {ms:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
