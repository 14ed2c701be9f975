"""Seventeen points of a mouse in two views from 70 labelled photographs, found in 20 others, within a time budget.

    python benchmarks/kpnet_mouse.py --labels CollectedData.csv --images DIR --out runs/mouse
        [--train 70 --seed 0 --minutes 15 --image-size 384 --backbone small --lr 3e-3 --words key=value ...]

The rows of DeepLabCut's CSV are shuffled by ``numpy.random.default_rng(seed).permutation``; the first ``--train`` are
trained on, the others scored by the last weights, so that they choose nothing. The labelled frames have no frame before
them, so the network sees RGB alone. One short run and one four times as long tell what an epoch takes; then as many
epochs are trained as fit into ``--minutes`` of this machine (``--epochs`` sets their number instead). An empty cell is
not labelled: it neither trains nor counts. Intervals are over images. Writes Markdown to ``OUT/table.md``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from commands import run

from kaname.files import write_text
from kaname.metrics.intervals import ratio, summary
from kaname.pipeline.matching import Rows
from kaname.recipes.kpnet import RECIPE
from kaname.recipes.kpnet.aligned import Compared, align
from kaname.recipes.kpnet.config import DataSettings
from kaname.recipes.kpnet.labels import read_set
from kaname.reporting.results import figure_cell

HEADER = 3  # rows of the CSV's header with one animal
LIMITS = (10.0, 5.0)
SMALL = ("--batch-size", 8, "--schedule", "cosine", "--ema", "0.98")
LEARNT = ("train.warmup_epochs=2", "train.clip=1.0", "loss.sigma=1.5", "augment.scale=0.15", "augment.shift=0.05",
          "augment.brightness=0.2", "augment.contrast=0.2")  # fmt: skip


def prepared(args: argparse.Namespace) -> Path:
    """The shuffled labels in the documented folders."""
    data = args.out / "data"
    if data.exists():
        return data
    lines = args.labels.read_text(encoding="utf-8").splitlines(keepends=True)
    header, rows = lines[:HEADER], lines[HEADER:]
    order = np.random.default_rng(args.seed).permutation(len(rows))
    shuffled = args.out / "shuffled.csv"
    write_text(shuffled, "".join([*header, *(rows[number] for number in order)]))
    sets = ("--train", f"0:{args.train}", "--val", f"{args.train}:")
    run("kpnet", "prepare", "--labels", shuffled, "--images", args.images, "--out", data, *sets)
    return data


def trained(args: argparse.Namespace, data: Path, epochs: int, out: Path) -> float:
    """One training run; returns its seconds."""
    start = time.perf_counter()
    run(
        *("kpnet", "train", *SMALL, *LEARNT, *args.words, "--data-root", data, "--image-size", args.image_size),
        *("--backbone", args.backbone, "--lr", args.lr),
        *("--aug-rotate-deg", 10, "--epochs", epochs, "--out-dir", out),
    )
    return time.perf_counter() - start


def affordable(args: argparse.Namespace, data: Path) -> int:
    """How many epochs fit into the budget."""
    short, long = (trained(args, data, epochs, args.out / f"probe_{epochs}") for epochs in (1, 4))
    each = max((long - short) / 3, 1e-3)
    return max(1, int((60 * args.minutes - (short - each)) / each))


def share(compared: list[Compared], limit: float) -> str:
    """PCK of all labelled points together, its interval over images."""
    with np.errstate(invalid="ignore"):
        rows = [[(one.seen & (one.errors <= limit)).sum(), one.seen.sum()] for one in compared]
    return figure_cell(summary(np.array(rows, np.float64), statistic=ratio((1, 0), (0, 1))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True, help="the folder that holds what the CSV names")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train", type=int, default=70)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--epochs", type=int, default=0, help="0: as many as fit into --minutes")
    parser.add_argument("--image-size", default="384")
    parser.add_argument("--backbone", default="small", help="a name, or a local folder of pretrained weights")
    parser.add_argument("--lr", default="3e-3")
    parser.add_argument("--words", nargs="*", default=[])
    args = parser.parse_args()
    data = prepared(args)
    epochs = args.epochs or affordable(args, data)
    seconds = trained(args, data, epochs, args.out / "run")
    scored = args.out / "scored"
    last = args.out / "run" / "last.pt"
    run(
        "kpnet", "evaluate", "--checkpoint", last, "--data-root", data, "--split", "val", "--out", scored, "--overwrite"
    )
    pictures = read_set(DataSettings(data), "val")
    file = scored / "val" / "points.json"
    compared = align(pictures, Rows(RECIPE.answering.read(file), file), pictures[0].skeleton)
    apart = np.concatenate([one.errors[one.seen] for one in compared])
    heading = ["frames", "epochs", "minutes", *(f"PCK at {limit:g} px" for limit in LIMITS), "median error, px"]
    cells = [str(len(compared)), str(epochs), f"{seconds / 60:.1f}", *(share(compared, limit) for limit in LIMITS)]
    cells.append(f"{np.nanmedian(apart):.2f}")
    lines = ["| " + " | ".join(heading) + " |", "|---" * len(heading) + "|", "| " + " | ".join(cells) + " |"]
    write_text(args.out / "table.md", "\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
