"""What each axis of the rendered pictures costs a model: the same pictures with the axis and without it.

    python zoo/axes.py CHECKPOINT [--count 24] [--size 256] [--axes NAME ...] [--out runs/zoo/axes.json]

For each axis of the renderer of the checkpoint's recipe (dials, faces or matches) the first COUNT pictures in which
it takes part are drawn twice, as they are and with that axis switched off (everything else is the same), and the
model answers both. Prints the score with the axis, without it, and what is lost to it with its 95 % interval over
pictures (paired), the costliest first. The score is F1 of all notches within 10 px at 448 for dials; for faces the
share of the visible points within 5 % of their box's side; for matches the share of the frames with an easy ball
(eight of a clip) that are answered within 4 px at a width of 512.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import kaname
from kaname.metrics.intervals import summary
from kaname.recipes.gauge import CHANNELS, REFERENCE_SIZE
from kaname.recipes.gauge.figures import image_figures
from kaname.samples import face_axes, gauge, landmark, match_axes, tracknet
from kaname.samples.axes import Axis, check_without
from kaname.samples.gauge import Dial
from kaname.samples.landmark import Face
from kaname.samples.tracknet import Clip
from kaname.samples.world import axes as dial_axes

TOLERANCE = 10.0
NEAR = 0.05  # of a face's box
CLOSE, WIDE = 4.0, 512  # pixels, of a frame so wide
SHOTS = range(20, 28)  # frames of a clip
SEED = 31_000  # no training picture has it
Score = float | None


def dial(index: int, size: int, without: tuple[str, ...] = ()) -> Dial:
    """Dial ``index`` of this measurement."""
    return gauge.render(np.random.default_rng([SEED, index]), size, variety="world", without=without)


def face(index: int, size: int, without: tuple[str, ...] = ()) -> Face:
    """Face ``index`` of this measurement."""
    return landmark.render(np.random.default_rng([SEED, index]), size, without=without)


def clip(index: int, size: int, without: tuple[str, ...] = ()) -> Clip:
    """Clip ``index`` of this measurement, of a match of its own, ``size`` pixels high."""
    return tracknet.film(SEED, index, size=(size, size * 16 // 9), game=index, until=2.0, without=without)


def notches(model: Any, dial: Dial) -> Score:
    """F1 of all notches."""
    scale = REFERENCE_SIZE / dial.image.shape[0]
    answer = model.predict(dial.image)
    found = {name: answer.xy[name] * scale for name in CHANNELS}
    truth = {name: dial.points[name] * scale for name in CHANNELS}
    truth["middle"] = np.concatenate([truth["start"], truth["middle"], truth["end"]])
    return image_figures(found, truth, TOLERANCE)["middle"]["f1"] or 0.0


def landmarks(model: Any, face: Face) -> Score:
    """Share of the visible points that are near the truth; None where there is none."""
    seen = face.visible & ~face.hidden
    answer = model.predict(face.image, boxes=face.box[None])
    found = np.concatenate([xy[:1] for xy in answer.xy.values()])
    near = np.hypot(*(found - face.points).T) < NEAR * float((face.box[2:] - face.box[:2]).max())
    return float(near[seen].mean()) if seen.any() else None


def balls(model: Any, clip: Clip) -> Score:
    """Share of the frames with an easy ball where it is found; None where there is none."""
    shots = [clip.shot(frame) for frame in SHOTS]
    answers = model.predict(np.stack([shot.image for shot in shots])).points
    limit = CLOSE * shots[0].image.shape[1] / WIDE
    near = [len(answer.xy["ball"]) > 0 and np.hypot(*(answer.xy["ball"][0] - shot.point)) < limit
            for shot, answer in zip(shots, answers, strict=True) if shot.visibility == 1]  # fmt: skip
    return float(np.mean(near)) if near else None


@dataclass(frozen=True)
class Measure:
    """How one recipe is measured."""

    axes: Mapping[str, Axis]
    draw: Callable[..., Any]
    score: Callable[[Any, Any], Score]
    called: str


TOGETHER = ""
MEASURES = {
    "gauge": Measure(dial_axes.AXES, dial, notches, "F1"),
    "landmark": Measure(face_axes.AXES, face, landmarks, "near"),
    "tracknet": Measure(match_axes.AXES, clip, balls, "found"),
}


def measured(model: Any, how: Measure, count: int, size: int, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """By axis, and of all together: the score with it, without it, and the difference with its interval."""
    with_all: dict[int, Score] = {}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for index in range(60 * count):
        if all(len(pairs) >= count for pairs in found.values()):
            break
        picture = how.draw(index, size)
        traits = picture.traits
        for name in [n for n, pairs in found.items() if traits[n] != how.axes[n].off and len(pairs) < count]:
            if index not in with_all:
                with_all[index] = how.score(model, picture)
            one, other = with_all[index], how.score(model, how.draw(index, size, (name,)))
            if one is not None and other is not None:
                found[name].append((one, other))
    found[TOGETHER] = [pair for pairs in found.values() for pair in pairs]
    rows = {}
    for name, pairs in found.items():
        if pairs:
            present, absent = np.array(pairs).T
            rows[name] = {"with": float(present.mean()), "without": float(absent.mean()), "n": len(pairs),
                          "lost": summary(list(absent - present))}  # fmt: skip
    return dict(sorted(rows.items(), key=lambda item: -item[1]["lost"]["value"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--count", type=int, default=24, help="pictures for each axis")
    parser.add_argument("--size", type=int, default=256, help="side, or height, of the pictures")
    parser.add_argument("--axes", nargs="+", help="only these, or groups of them: such as a training has left out")
    parser.add_argument("--out", type=Path, default=Path("runs/zoo/axes.json"))
    options = parser.parse_args()
    model = kaname.load(options.checkpoint)
    how = MEASURES[model.card["recipe"]]
    names = sorted(check_without(how.axes, options.axes), key=list(how.axes).index) if options.axes else how.axes
    rows = measured(model, how, options.count, options.size, names)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print(f"| axis | group | {how.called} with it | without it | lost (95 % interval) | pictures |")
    print("|---|---|---:|---:|---:|---:|")
    for name, row in rows.items():
        lost = row["lost"]
        ends = "" if lost["low"] is None else f" ({lost['low']:+.2f} .. {lost['high']:+.2f})"
        cells = f"{row['with']:.2f} | {row['without']:.2f} | {lost['value']:+.2f}{ends} | {row['n']}"
        print(
            f"| all of these | | {cells} |" if name == TOGETHER else f"| `{name}` | {how.axes[name].group} | {cells} |"
        )


if __name__ == "__main__":
    main()
