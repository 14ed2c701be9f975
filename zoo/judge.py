"""Scores a gauge model on labelled photographs, by kind of dial, and shows where it is worst.

    python zoo/judge.py CHECKPOINT [NAME=]FOLDER ... [--out runs/zoo/judged]

Each folder, called by its own name or by NAME, holds ``images/`` and a Label Studio ``annotation.json``; the kind of
a dial is its file name up to the last ``_``. Prints, for each kind and for all together, F1 and PCK of all notches and
PCK of start and end (10 px at 448), with 95 % intervals over photographs where there are five or more, and for the
whole folder over kinds as well.
Writes ``scores.json`` and ``FOLDER_worst.jpg``: the worst photographs with the true points as rings and the found ones
as crosses (start green, end blue, the others red).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import kaname
from kaname.data.formats import labelstudio
from kaname.geometry.image import read_image
from kaname.metrics.intervals import summary
from kaname.recipes.gauge import CHANNELS, REFERENCE_SIZE
from kaname.recipes.gauge.figures import image_figures
from kaname.recipes.gauge.labels import ALIASES, letterbox
from kaname.types import FloatArray, Image

TOLERANCE = 10.0
SIDE = 320  # of a picture in the montage
COLOURS = {"start": (0, 170, 0), "middle": (230, 0, 0), "end": (0, 60, 255)}
COLUMNS = {"F1": ("middle", "f1"), "PCK": ("middle", "pck"), "false share": ("middle", "non_assigned"),
           "start/end PCK": ("start_end", "pck"), "distance (px at 448)": ("middle", "mean_distance_px")}  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """One photograph: its figures by group, its points in pixels at 448."""

    path: Path
    kind: str
    figures: dict[str, dict[str, float | None]]
    truth: dict[str, FloatArray]
    found: dict[str, FloatArray]


def judge(model: Any, folder: Path) -> list[Judged]:
    """Every photograph of a folder."""
    judged = []
    for sample in labelstudio.read(folder / "annotation.json", images=folder / "images", names=ALIASES):
        image = read_image(sample.image)
        into = letterbox((image.shape[0], image.shape[1]), REFERENCE_SIZE)
        truth = {name: into.points(sample.points[name]) for name in CHANNELS}
        truth["middle"] = np.concatenate([truth["start"], truth["middle"], truth["end"]])
        answer = model.predict(image)
        found = {name: into.points(answer.xy[name]) for name in CHANNELS}
        figures = image_figures(found, truth, TOLERANCE)
        judged.append(
            Judged(sample.image, sample.image.stem.rpartition("_")[0] or sample.image.stem, figures, truth, found)
        )
    return judged


def rows(judged: list[Judged]) -> dict[str, dict[str, Any]]:
    """Figures by kind, then of all photographs, with intervals over photographs and over kinds."""
    kinds = sorted({one.kind for one in judged})
    groups = {kind: [one for one in judged if one.kind == kind] for kind in kinds}
    table: dict[str, dict[str, Any]] = {}
    for name, members in {**groups, "all": judged}.items():
        table[f"{name} ({len(members)})"] = {
            title: summary([one.figures[group][metric] for one in members])
            for title, (group, metric) in COLUMNS.items()
        }
    table[f"all, by {len(kinds)} kinds"] = {
        title: summary([one.figures[group][metric] for one in judged], [one.kind for one in judged])
        for title, (group, metric) in COLUMNS.items()
    }
    return table


def text(table: dict[str, dict[str, Any]]) -> str:
    """The table as Markdown."""
    lines = [f"| kind (photographs) | {' | '.join(COLUMNS)} |", "|---|" + "---:|" * len(COLUMNS)]
    for name, figures in table.items():
        cells = []
        for one in figures.values():
            shown = "-" if one["value"] is None else f"{one['value']:.2f}"
            cells.append(shown if one["low"] is None else f"{shown} ({one['low']:.2f} .. {one['high']:.2f})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def drawn(one: Judged) -> Image:
    """A photograph with its true points as rings and the found ones as crosses."""
    image = read_image(one.path)
    picture = letterbox((image.shape[0], image.shape[1]), REFERENCE_SIZE).image(image, (REFERENCE_SIZE, REFERENCE_SIZE))
    for name in ("middle", "start", "end"):
        for x, y in one.truth[name]:
            cv2.circle(picture, (round(x * 16), round(y * 16)), 9 * 16, COLOURS[name], 1, cv2.LINE_AA, 4)
        for x, y in one.found[name]:
            cv2.drawMarker(picture, (int(x), int(y)), COLOURS[name], cv2.MARKER_TILTED_CROSS, 11, 2)
    label = f"{one.path.stem} F1 {one.figures['middle']['f1'] or 0:.2f}"
    cv2.putText(picture, label, (5, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 0, 255), 1, cv2.LINE_AA)
    return cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def montage(judged: list[Judged], columns: int = 4) -> Image:
    """The worst photographs first, in rows."""
    tiles = [drawn(one) for one in sorted(judged, key=lambda one: one.figures["middle"]["f1"] or 0.0)]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folders", nargs="+", metavar="[NAME=]FOLDER", help="with images/ and annotation.json")
    parser.add_argument("--out", type=Path, default=Path("runs/zoo/judged"))
    parser.add_argument("--worst", type=int, default=16, help="how many photographs the montage shows")
    options = parser.parse_args()
    model = kaname.load(options.checkpoint)
    options.out.mkdir(parents=True, exist_ok=True)
    scores = {}
    for word in options.folders:
        name, _, folder = word.rpartition("=")
        folder = Path(folder)
        judged = judge(model, folder)
        scores[name or folder.name] = table = rows(judged)
        print(f"\n{name or folder.name}\n\n{text(table)}")
        worst = sorted(judged, key=lambda one: one.figures["middle"]["f1"] or 0.0)[: options.worst]
        picture = cv2.cvtColor(montage(worst), cv2.COLOR_RGB2BGR)
        (options.out / f"{folder.name}_worst.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
    (options.out / "scores.json").write_text(json.dumps(scores, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
