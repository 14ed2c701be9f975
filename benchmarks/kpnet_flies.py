"""Key points of two flies in one fixed-view video: a tenth of its beginning labelled, the rest to be found.

    python benchmarks/kpnet_flies.py --video flies.mp4 --labels gt_2kp.txt --out runs/flies
        [--points head,abdomen --first 600 --every 10 --image-size 320 --epochs 60 --words key=value ...]

The labels are MOT-KP text of one class with two animals in every frame. Every ``--every``-th of the ``--first``
frames is trained on, all others are scored, twice: by a network that sees RGB alone and by one that also sees the
optical flow and the difference to the frame before. Intervals are over blocks of ``--block`` frames in a row, each of
which counts as a video of its own; HOTA-KP is also told of the whole video in one. A point that is not found at all
counts as infinitely far away. Writes Markdown to ``OUT/table.md``; started again it goes on with what is missing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from commands import run

from kaname.files import write_text
from kaname.metrics.intervals import summary
from kaname.recipes.kpnet.config import AnswerSettings, DataSettings
from kaname.recipes.kpnet.evaluate import score
from kaname.recipes.kpnet.labels import Picture, read_set
from kaname.reporting.results import figure_cell

SMALL = ("--backbone", "small", "--batch-size", 8, "--lr", "3e-3", "--schedule", "cosine", "--ema", "0.98")
LEARNT = (
    "train.warmup_epochs=1",
    "train.clip=1.0",
    "loss.sigma=1.0",
    "loss.hm_pos_weight=10",
    "loss.coord_weight=0",
    "augment.scale=0.1",
    "augment.shift=0.05",
)


def prepared(args: argparse.Namespace) -> tuple[Path, Path]:
    """The data set to train on, and that of all other frames."""
    points = ", ".join(args.points.split(","))
    skeleton = args.out / "skeleton.yaml"
    write_text(skeleton, f"name: flies\nclasses:\n  fly: {{id: 0, points: [{points}], instances: 2, order: x}}\n")
    rest = args.out / f"{args.video.stem}.txt"
    chosen = {str(number) for number in range(0, args.first, args.every)}
    lines = args.labels.read_text(encoding="utf-8").splitlines(keepends=True)
    write_text(rest, "".join(line for line in lines if line.split(",")[0] not in chosen))
    folders = args.out / "labelled", args.out / "rest"
    sources = args.out / "all" / f"{args.video.stem}.txt", rest
    write_text(sources[0], "".join(lines))
    words = ("--train", f"0:{args.first}", "--every", args.every), ("--val", ":", "--every", args.rest_every)
    for folder, labels, chosen_words in zip(folders, sources, words, strict=True):
        if not folder.exists():
            how = ("--video", args.video, "--skeleton", skeleton, "--out", folder)
            run("kpnet", "prepare", "--labels", labels, *how, *chosen_words)
    return folders


def trained(args: argparse.Namespace, data: Path, channels: int) -> tuple[Path, float]:
    """The last weights of a network of so many channels, and for how many seconds it was trained."""
    out = args.out / f"{channels}_channels"
    start = time.perf_counter()
    if not (out / "last.pt").is_file():
        run(
            *("kpnet", "train", *LEARNT, *args.words, *SMALL, "--data-root", data, "--image-size", args.image_size),
            *("--in-chans", channels, "--aug-rotate-deg", 90, "--epochs", args.epochs, "--out-dir", out),
        )
    return out / "last.pt", time.perf_counter() - start


def blocks(pictures: Sequence[Picture], size: int) -> list[Picture]:
    """The same frames, each block of frames in a row as a video of its own."""
    return [replace(one, video=f"block {one.number // size:03d}") for one in pictures]


def row(args: argparse.Namespace, file: Path, pictures: Sequence[Picture]) -> list[str]:
    """The figures of a file of predictions with their intervals."""
    fine, coarse, whole = (
        score(file, frames, AnswerSettings(pck_px=limit), {})
        for frames, limit in (
            (blocks(pictures, args.block), 5.0),
            (blocks(pictures, args.block), 10.0),
            (pictures, 10.0),
        )
    )
    compared = coarse.details[0]
    apart = [np.where(np.isnan(one.errors), 1e6, one.errors)[one.seen] for one in compared]
    names = [one.picture.video for one, own in zip(compared, apart, strict=True) for _ in own]
    median = summary(np.concatenate(apart), names, statistic=lambda rows: float(np.median(rows)), n=200)
    entries = [median, fine.groups["all"]["pck"], coarse.groups["all"]["pck"]]
    entries += [coarse.groups["all"]["hota"], whole.groups["all"]["hota"]]
    return [figure_cell(entry) for entry in entries]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--points", default="head,abdomen", help="names of the points in a row of the labels")
    parser.add_argument("--first", type=int, default=600)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--rest-every", type=int, default=1, help="score every so many of the other frames")
    parser.add_argument("--block", type=int, default=30)
    parser.add_argument("--image-size", default="320")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--words", nargs="*", default=[])
    args = parser.parse_args()
    data, rest = prepared(args)
    pictures = read_set(DataSettings(rest), "val")
    heading = ("channels", "median error, px", "PCK at 5 px", "PCK at 10 px", "HOTA-KP, blocks", "HOTA-KP, whole",
               "seconds of training")  # fmt: skip
    lines = [f"{len(pictures)} frames scored, intervals over blocks of {args.block}", ""]
    lines += ["| " + " | ".join(heading) + " |", "|---" * len(heading) + "|"]
    for channels in (3, 6):
        model, seconds = trained(args, data, channels)
        scored = args.out / f"scored_{channels}"
        if not (scored / "metrics.json").is_file():
            run(
                "kpnet",
                "evaluate",
                "--checkpoint",
                model,
                "--data-root",
                rest,
                "--split",
                "val",
                "--out",
                scored,
                "--overwrite",
            )
        cells = row(args, scored / "val" / "points.json", pictures)
        lines.append("| " + " | ".join([str(channels), *cells, f"{seconds:.0f}"]) + " |")
        write_text(args.out / "table.md", "\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
