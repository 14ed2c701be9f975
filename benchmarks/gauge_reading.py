"""Readings of rendered dials against what they show; prints a Markdown table of errors in percent of the range.

    python benchmarks/gauge_reading.py [--count 300] [--seed 0] [--varieties world,full,plain]
    python benchmarks/gauge_reading.py --checkpoint runs/gauge/model.pt [--count 200]
    python benchmarks/gauge_reading.py --ways [--count 300]

Without a checkpoint the points are the rendered truth, as they are and damaged: `noise` moves each by so many pixels at
448 (standard deviation), `missing` takes this share of the notches away, `false` adds so many anywhere on the dial,
`start`, `end` and `ends` leave out those channels, `pivot` the pivot. With one a model finds them in the picture.
`none` is the share of dials without an answer, `wrong` the share more than 5 % off, `half` the median error of the half
of the dials with the higher confidence, and `rank` Spearman's correlation of confidence and error (-1 is best).
`--ways` compares ways to allow for an oblique view, the order of the notches being known.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

from kaname.geometry.ellipse import fit, recentred
from kaname.inference.model import Model
from kaname.loading import load
from kaname.recipes.gauge import REFERENCE_SIZE
from kaname.recipes.gauge.reading import SHIFT, Reading, read_points
from kaname.samples.gauge import render
from kaname.samples.photograph import Dial
from kaname.samples.photograph import reading as shown_by
from kaname.types import FloatArray, Points

SIZE = 256


@dataclass(frozen=True)
class Damage:
    """What is done to true points."""

    noise: float = 0.0
    missing: float = 0.0
    false: int = 0
    without: tuple[str, ...] = ()


DAMAGES = {
    "exact": Damage(),
    "noise 1": Damage(1.0),
    "noise 2": Damage(2.0),
    "noise 4": Damage(4.0),
    "missing 10 %": Damage(1.0, 0.1),
    "missing 30 %": Damage(1.0, 0.3),
    "false 1": Damage(1.0, 0.0, 1),
    "false 3": Damage(1.0, 0.0, 3),
    "no start": Damage(1.0, without=("start",)),
    "no end": Damage(1.0, without=("end",)),
    "no ends": Damage(1.0, without=("start", "end")),
    "no pivot": Damage(1.0, without=("needle_pivot",)),
    "all": Damage(2.0, 0.15, 1),
}


def true_points(dial: Dial) -> Points:
    """A rendered dial's points as a model without a fault answers them."""
    xy = {**dial.points, **dial.needle}
    xy["middle"] = np.concatenate([dial.points[name] for name in ("start", "middle", "end")])
    height, width = dial.image.shape[:2]
    return Points(xy, {name: np.ones(len(one)) for name, one in xy.items()}, (height, width))


def damaged(points: Points, damage: Damage, rng: Generator) -> Points:
    """The same points with these faults; noise is in pixels of a 448 x 448 dial."""
    scale = max(points.size) / REFERENCE_SIZE
    xy = {name: np.array(one, np.float64) for name, one in points.xy.items()}
    kept = rng.random(len(xy["middle"])) >= damage.missing
    corners = xy["middle"].min(axis=0), xy["middle"].max(axis=0)
    added = rng.uniform(*corners, (damage.false, 2))
    xy["middle"] = np.concatenate([xy["middle"][kept], added])
    moved: dict[str, FloatArray] = {
        name: one[:0] if name in damage.without else one + rng.normal(0, 1, one.shape) * damage.noise * scale
        for name, one in xy.items()
    }
    return Points(moved, {name: np.ones(len(one)) for name, one in moved.items()}, points.size)


def figures(readings: list[Reading], truth: list[float]) -> dict[str, float]:
    """Errors in percent of the range, and how well the confidence tells them."""
    pairs = [(one, real) for one, real in zip(readings, truth, strict=True) if one.share is not None]
    errors = 100 * np.array([abs(one.share - real) for one, real in pairs if one.share is not None])
    sure = np.array([one.confidence for one, _ in pairs])
    if not len(errors):
        return {"none": 100.0}
    better = errors[sure >= np.median(sure)]
    ranks = [np.argsort(np.argsort(values)) for values in (sure, errors)]
    return {
        "median": float(np.median(errors)),
        "p95": float(np.percentile(errors, 95)),
        "wrong": 100 * float((errors > 5).mean()),
        "none": 100 * (1 - len(errors) / len(readings)),
        "half": float(np.median(better)),
        "half p95": float(np.percentile(better, 95)),
        "rank": float(np.corrcoef(*ranks)[0, 1]),
    }


def of_truth(count: int, seed: int, variety: str) -> Mapping[str, dict[str, float]]:
    """By damage."""
    dials = [render(np.random.default_rng([seed, index]), SIZE, variety=variety) for index in range(count)]
    shown = [dial.reading for dial in dials]
    table = {}
    for name, damage in DAMAGES.items():
        damaged_points = [damaged(true_points(dial), damage, np.random.default_rng([seed, index, 1]))
                          for index, dial in enumerate(dials)]  # fmt: skip
        table[name] = figures([read_points(points, 0, 1) for points in damaged_points], shown)
    return table


def by_ways(dial: Dial, noise: float, rng: Generator) -> dict[str, float]:
    """The error of each way to see the dial from above, as a share of the range."""
    points = damaged(true_points(dial), Damage(noise), rng)
    notches = np.concatenate([points.xy[name] for name in ("start", "middle", "end")])[1:-1]
    tip, pivot = dial.needle_tip, dial.pivot
    tip, pivot = (at + rng.normal(0, 1, (1, 2)) * noise * max(points.size) / REFERENCE_SIZE for at in (tip, pivot))
    ellipse = fit(notches, pivot[0])
    assert ellipse is not None
    plane, end, axis = (ellipse.circled(one) for one in (notches, tip, pivot))
    far = max(1e-9, float(np.linalg.norm(axis)))
    half = axis[0] * (1 - min(0.5, SHIFT / far))
    found = {
        "the picture, a ray from the pivot": shown_by(notches - pivot, (tip - pivot)[0]),
        "ellipse to circle, a ray from its centre": shown_by(plane, end[0]),
        "ellipse to circle, the needle's direction": shown_by(plane, (end - axis)[0]),
    }
    for name, centre in (("about the pivot", axis[0] * min(1, 0.9 / far)), ("half-way", half)):
        seen, needle, foot = (recentred(one, centre) for one in (plane, end, axis))
        found[f"projective {name}, the needle's direction"] = shown_by(seen, (needle - foot)[0])
        if name == "half-way":
            found[f"projective {name}, a line from half-way"] = shown_by(seen, (needle - foot / 2)[0])
    return {name: abs(share - dial.reading) for name, share in found.items()}


def tell_ways(count: int, seed: int, varieties: Sequence[str]) -> None:
    """Print medians and 95th percentiles of errors, percent of the range."""
    columns = [(variety, noise) for variety in varieties for noise in (0.0, 2.0)]
    table: dict[str, list[str]] = {}
    for variety, noise in columns:
        errors = [by_ways(render(np.random.default_rng([seed, index]), SIZE, variety=variety), noise,
                          np.random.default_rng([seed, index, 1])) for index in range(count)]  # fmt: skip
        for name in errors[0]:
            off = 100 * np.array([row[name] for row in errors])
            table.setdefault(name, []).append(f"{np.median(off):.2f} / {np.percentile(off, 95):.2f}")
    titles = [f"{variety}, {f'{noise:g} px' if noise else 'exact'}" for variety, noise in columns]
    print(f"| way | {' | '.join(titles)} |\n|---|{'---:|' * len(columns)}")
    for name, cells in table.items():
        print(f"| {name} | {' | '.join(cells)} |")


def of_model(model: Model, count: int, seed: int, variety: str) -> Mapping[str, dict[str, float]]:
    """Of what a model finds."""
    dials = [render(np.random.default_rng([seed, index]), SIZE, variety=variety) for index in range(count)]
    readings = [read_points(model.predict(dial.image), 0, 1) for dial in dials]  # type: ignore[arg-type]
    return {"model": figures(readings, [dial.reading for dial in dials])}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--varieties", default="world,full,plain")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--ways", action="store_true")
    options = parser.parse_args()
    if options.ways:
        return tell_ways(options.count, options.seed, options.varieties.split(","))
    measure: Callable[[int, int, str], Mapping[str, dict[str, float]]] = of_truth
    if options.checkpoint is not None:
        model = load(options.checkpoint)
        measure = lambda count, seed, variety: of_model(model, count, seed, variety)  # noqa: E731
    names = ("median", "p95", "wrong", "none", "half", "half p95", "rank")
    print(f"| variety | points | {' | '.join(names)} |\n|---|---|{'---:|' * len(names)}")
    for variety in options.varieties.split(","):
        for points, row in measure(options.count, options.seed, variety).items():
            cells = [f"{row[name]:.2f}" if name in row else "" for name in names]
            print(f"| {variety} | {points} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
