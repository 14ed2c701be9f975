"""What each part of the two stages adds on rendered suturing videos, all with the same number of optimiser steps.

    python benchmarks/kpnet_ablation.py --out runs/ablation [--count 16 --val-count 8 --stage1 12 --stage2 6
        --image-size 192,320 --only whole,no_flow --words key=value ...]

``whole`` is stage 1 (six channels, segmentation 0.15, both consistency terms, frames between the labelled ones
with pseudo masks) and then stage 2 (the segmentation off, the places' weight 0.05). Every other row leaves one part out
of both stages: ``no_flow`` (3 channels), ``no_consistency``, ``no_segmentation`` (in stage 1 too), ``no_video_frames``,
whose epochs are shorter and therefore more. The pseudo masks are the renderer's own, so no other model is measured.
Scored are the last weights on held-out videos; intervals are over videos. Writes Markdown to ``OUT/table.md``; started
again it goes on with what is missing.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from commands import run

from kaname.data.formats.mot_kp_files import frame_name
from kaname.data.formats.skeleton import find
from kaname.files import write_text
from kaname.geometry.image import write_image
from kaname.recipes.kpnet.config import sides_of
from kaname.reporting.results import figure_cell
from kaname.samples.kpnet import SKELETON, scene
from kaname.samples.suture import RATE

FIGURES = {"pck": "PCK at {limit:g} px", "hota": "HOTA-KP", "visibility": "visibility told"}
FRAMES = 1  # of the video for each labelled one
SMALL = ("--backbone", "small", "--batch-size", 8, "--lr", "3e-3", "--schedule", "cosine", "--ema", "0.98")
# Weights for so small a network; the guide's own drown the heatmaps (0.2 a pixel) and flatten their peaks (50).
LEARNT = ("train.warmup_epochs=0.5", "train.clip=1.0", "loss.sigma=1.0", "loss.hm_pos_weight=10")
PARTS = {
    "no_flow": {"--in-chans": 3},
    "no_consistency": {"--hm-consist-weight": 0, "--coord-consist-weight": 0},
    "no_segmentation": {"--seg-loss-weight": 0},
    "no_video_frames": {"--video-frames": 0},
}
WHOLE = {"--in-chans": 6, "--hm-consist-weight": 0.05, "--coord-consist-weight": 0.0005, "--video-frames": FRAMES}
STAGES = (
    {"--seg-loss-weight": 0.15, "--coord-loss-weight": 0.002},
    {"--seg-loss-weight": 0, "--coord-loss-weight": 0.0005},
)


def rendered(args: argparse.Namespace) -> tuple[Path, Path]:
    """The data set, and pseudo masks of every ``--mask-every``-th frame of its training videos."""
    data, masks = args.out / "data", args.out / "masks"
    if not data.exists():
        counts = ("--count", args.count, "--val-count", args.val_count, "--length", args.length, "--every", args.every)
        run("kpnet", "sample", "--out", data, *counts, "--size", args.size, "--seed", args.seed)
    numbers = {name: number for number, name in enumerate(find(SKELETON).groups, 1)}
    for video in range(0 if masks.exists() else args.count):
        name = f"train{video:02d}"
        shown = scene(args.seed, 0, video, sides_of(args.size, "--size"), args.length)
        (masks / name).mkdir(parents=True)
        for frame in range(0, args.length, args.mask_every):
            shot = shown.shot(frame / RATE)
            classes = np.zeros(shot.image.shape[:2], np.uint8)
            for thing, mask in sorted(zip(shot.things, shot.masks, strict=True), key=lambda one: numbers[one[0].group]):
                classes[mask] = numbers[thing.group]
            write_image(masks / name / f"{frame_name(name, frame)}.png", classes)
    return data, masks


def trained(args: argparse.Namespace, name: str, data: Path, masks: Path) -> Path:
    """The last weights after both stages, without the part that ``name`` leaves out."""
    last: Path | None = None
    for number, (stage, epochs) in enumerate(zip(STAGES, (args.stage1, args.stage2), strict=True), 1):
        out = args.out / name / f"stage{number}"
        flags = {**WHOLE, **stage, **PARTS.get(name, {})}
        more = 1 if flags["--video-frames"] else 1 + FRAMES
        if not (out / "last.pt").is_file():
            run(
                *("kpnet", "train", *LEARNT, *args.words, *SMALL, "--data-root", data, "--pseudo6-root", masks),
                *("--image-size", args.image_size, "--resize-only", "--epochs", epochs * more, "--out-dir", out),
                *(word for pair in flags.items() for word in pair),
                *(() if last is None else ("--resume", last)),
            )
        last = out / "last.pt"
    assert last is not None
    return last


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    for name, number in {"count": 16, "val-count": 8, "length": 60, "every": 6, "mask-every": 3, "seed": 0}.items():
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--stage1", type=int, default=12)
    parser.add_argument("--stage2", type=int, default=6)
    parser.add_argument("--size", default="270,480")
    parser.add_argument("--image-size", default="192,320")
    parser.add_argument("--pck-px", type=float, default=10.0)
    parser.add_argument("--only", default="whole," + ",".join(PARTS), help="rows, with commas")
    parser.add_argument("--words", nargs="*", default=[])
    args = parser.parse_args()
    data, masks = rendered(args)
    heading = ["", *(text.format(limit=args.pck_px) for text in FIGURES.values())]
    lines = ["| " + " | ".join(heading) + " |", "|---" * len(heading) + "|"]
    for name in args.only.split(","):
        model, scored = trained(args, name, data, masks), args.out / name / "scored"
        how = ("--data-root", data, "--split", "val", "--pck-px", args.pck_px, "--out", scored)
        if not (scored / "metrics.json").is_file():
            run("kpnet", "evaluate", "--checkpoint", model, *how)
        groups = json.loads((scored / "metrics.json").read_text(encoding="utf-8"))
        cells = [figure_cell(groups["all"][figure]) for figure in FIGURES]
        lines.append("| " + " | ".join([name.replace("_", " "), *cells]) + " |")
        write_text(args.out / "table.md", "\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
