"""One look, a second one, and a search: rendered dials as they come, and small in larger photographs.

    python benchmarks/gauge_second_look.py [--model gauge] [--count 60] [--seed 79] [--looks 2.2] [--search 3]

Prints a Markdown table: for each set and each way of looking F1 of all notches and PCK of start and end within 10 px at
448 of the dial's own picture, how many pictures got more than one look, and the time of a picture; last walls without a
dial, and in how many of them something is found.
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
SETS = {  # by title: the side of a dial's picture, and that of the photograph in which it lies
    "448 px": (448, 448),
    "400 px in photographs of 1,000 px": (400, 1000),
    "300 px in photographs of 1,500 px": (300, 1500),
    "300 px in photographs of 2,400 px": (300, 2400),
    "none in photographs of 1,500 px": (0, 1500),
}
Case = tuple[Image, dict[str, FloatArray], FloatArray]


def dials(count: int, seed: int, side: int, whole: int) -> Iterator[Case]:
    """Pictures, their points, and the corner of the dial's own picture in them; a side of 0 is no dial."""
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        dial = render(rng, side or 300, variety="world")
        points, corner = {name: dial.points[name] for name in CHANNELS}, np.zeros(2)
        image = dial.image
        if whole > side:  # on a wall with stains, of the picture's mean colour
            stains = rng.normal(image.reshape(-1, 3).mean(axis=0), 12, (whole // 8, whole // 8, 3))
            wall = cv2.resize(np.clip(stains, 0, 255).astype(np.uint8), (whole, whole), interpolation=cv2.INTER_CUBIC)
            corner = rng.integers(0, whole - side, 2).astype(np.float64)
            x, y = corner.astype(int)
            wall[y : y + side, x : x + side] = image[:side, :side]
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
    parser.add_argument("--looks", type=float, nargs="+", default=[2.2])
    parser.add_argument("--search", type=int, nargs="+", default=[3])
    options = parser.parse_args()
    path = weights_in(Path(options.model))
    ways = {"one look": {"second_look": 0.0}}
    ways |= {f"second_look {look:g}": {"second_look": look, "search": 0} for look in options.looks}
    last = options.looks[-1]
    ways |= {f"{last:g} and search {count}": {"second_look": last, "search": count} for count in options.search}
    models = {way: open_model(RECIPE, path, changes=changes) for way, changes in ways.items()}
    asked = {way: Counted(model) for way, model in models.items()}
    print("| dials | looks | F1 | start and end | looked at again | ms a picture |")
    print("|---|---|---:|---:|---:|---:|")
    for title, (side, whole) in SETS.items():
        rows: dict[str, list[tuple[float | None, float | None]]] = {way: [] for way in ways}
        again, seconds, empty = dict.fromkeys(ways, 0), dict.fromkeys(ways, 0.0), dict.fromkeys(ways, 0)
        for image, points, corner in dials(options.count, options.seed, side, whole):
            into = letterbox((side or whole, side or whole), REFERENCE_SIZE)
            truth = {name: into.points(xy - corner) for name, xy in points.items()}
            truth["middle"] = np.concatenate([truth[name] for name in CHANNELS])
            for way, model in models.items():
                looks, started = asked[way].count, time.perf_counter()
                answer = model.predict(image)
                seconds[way] += time.perf_counter() - started
                ours = {name: into.points(answer.xy[name] - corner) for name in CHANNELS}
                found = image_figures(ours, truth, TOLERANCE)
                rows[way].append((found["middle"]["f1"], found["start_end"]["pck"]))
                again[way] += asked[way].count > looks + 1
                empty[way] += not len(answer.xy["middle"])
        for way, pairs in rows.items():
            figures = [f"{np.mean([pair[i] for pair in pairs if pair[i] is not None]):.3f}" for i in (0, 1)]
            figures = figures if side else [f"{options.count - empty[way]} with a notch", ""]
            ms, often = 1000 * seconds[way] / options.count, f"{again[way]} of {options.count}"
            print(f"| {title} | {way} | {' | '.join(figures)} | {often} | {ms:.0f} |", flush=True)


if __name__ == "__main__":
    main()
