"""Draws docs/models.jpg: rendered dials that the shipped model of gauge answers best, and those it answers worst.

    python zoo/shown.py [--count 80] [--out docs/models.jpg]

True notches are rings (start green, end blue, the others red), found ones crosses of the same colours. The dials are of
a seed that no training has seen.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from judge import COLOURS, TOLERANCE

import kaname
from kaname.geometry.image import write_image
from kaname.recipes.gauge import CHANNELS, REFERENCE_SIZE
from kaname.recipes.gauge.figures import image_figures
from kaname.samples.gauge import Dial, render
from kaname.types import FloatArray, Image

SEED, SIDE, ROW = 33_000, 300, 5


def drawn(dial: Dial, found: dict[str, FloatArray]) -> Image:
    """A dial with rings and crosses."""
    picture = dial.image.copy()
    for name in ("middle", "start", "end"):
        for x, y in dial.points[name]:
            cv2.circle(picture, (round(x * 16), round(y * 16)), 8 * 16, COLOURS[name], 1, cv2.LINE_AA, 4)
        for x, y in found[name]:
            cv2.drawMarker(picture, (int(x), int(y)), COLOURS[name], cv2.MARKER_TILTED_CROSS, 11, 2)
    return cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=80, help="dials to choose from")
    parser.add_argument("--out", type=Path, default=Path("docs/models.jpg"))
    options = parser.parse_args()
    model = kaname.load("gauge")
    rows = []
    for index in range(options.count):
        dial = render(np.random.default_rng([SEED, index]), REFERENCE_SIZE, variety="world")
        found = {name: model.predict(dial.image).xy[name] for name in CHANNELS}
        truth = {**dial.points, "middle": np.concatenate([dial.points[name] for name in CHANNELS])}
        figures = image_figures(found, truth, TOLERANCE)
        score = (figures["middle"]["f1"] or 0.0) + (figures["start_end"]["pck"] or 0.0)
        rows.append((score, drawn(dial, found)))
    tiles = [picture for _, picture in sorted(rows, key=lambda row: -row[0])]
    chosen = [*tiles[:ROW], *tiles[-ROW:]]
    write_image(options.out, np.vstack([np.hstack(chosen[i : i + ROW]) for i in range(0, len(chosen), ROW)]))


if __name__ == "__main__":
    main()
