"""What each axis of the rendered dials costs a model: the same pictures with the axis and without it.

    python zoo/axes.py CHECKPOINT [--count 24] [--size 256] [--out runs/zoo/axes.json]

For each axis of ``kaname.samples.world.axes`` the first COUNT dials in which it takes part are drawn twice, as they are
and with that axis switched off (everything else is the same), and the model finds the notches of both. Prints F1 with
the axis, without it, and the F1 lost to it with its 95 % interval over dials (paired), the costliest first.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import kaname
from kaname.metrics.intervals import summary
from kaname.recipes.gauge import CHANNELS, REFERENCE_SIZE
from kaname.recipes.gauge.figures import image_figures
from kaname.samples.gauge import Dial, render
from kaname.samples.world.axes import AXES

TOLERANCE = 10.0
SEED = 31_000  # no training picture has it


def drawn(index: int, size: int, without: tuple[str, ...] = ()) -> Dial:
    """Dial ``index`` of this measurement."""
    return render(np.random.default_rng([SEED, index]), size, variety="world", without=without)


def f1(model: Any, dial: Dial) -> float:
    """F1 of all notches within 10 px at 448."""
    scale = REFERENCE_SIZE / dial.image.shape[0]
    answer = model.predict(dial.image)
    found = {name: answer.xy[name] * scale for name in CHANNELS}
    truth = {name: dial.points[name] * scale for name in CHANNELS}
    truth["middle"] = np.concatenate([truth["start"], truth["middle"], truth["end"]])
    return image_figures(found, truth, TOLERANCE)["middle"]["f1"] or 0.0


def measured(model: Any, count: int, size: int) -> dict[str, dict[str, Any]]:
    """By axis: F1 with it, F1 without it, and the difference with its interval."""
    with_all: dict[int, float] = {}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in AXES}
    for index in range(60 * count):
        if all(len(pairs) >= count for pairs in found.values()):
            break
        dial = drawn(index, size)
        for name in [name for name, axis in AXES.items() if dial.traits[name] != axis.off and len(found[name]) < count]:
            if index not in with_all:
                with_all[index] = f1(model, dial)
            found[name].append((with_all[index], f1(model, drawn(index, size, (name,)))))
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
    parser.add_argument("--count", type=int, default=24, help="dials for each axis")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--out", type=Path, default=Path("runs/zoo/axes.json"))
    options = parser.parse_args()
    rows = measured(kaname.load(options.checkpoint), options.count, options.size)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print("| axis | group | F1 with it | without it | lost (95 % interval) | dials |\n|---|---|---:|---:|---:|---:|")
    for name, row in rows.items():
        lost = row["lost"]
        ends = "" if lost["low"] is None else f" ({lost['low']:+.2f} .. {lost['high']:+.2f})"
        cells = f"{row['with']:.2f} | {row['without']:.2f} | {lost['value']:+.2f}{ends} | {row['n']}"
        print(f"| `{name}` | {AXES[name].group} | {cells} |")


if __name__ == "__main__":
    main()
