"""What a decoder learns from real photographs on real extractors, beside baselines that learn nothing.

    python benchmarks/roimask_real.py --images DIR --annotations FILE --extractor FILE.onnx --tensor NAME \
        --out runs/people [--folds 4 --epochs 30 --words key=value ...]
    python benchmarks/roimask_real.py ... --overfit 10 --epochs 150

Every image is held out once: with `--folds` K, K decoders learn from the others each, and all held-out boxes are scored
together, with intervals by image. Beside them: the box filled, the ellipse in the box, and a decoder of 2 classes.
`--overfit` N trains and scores on the same N images, without jitter. Writes Markdown to ``OUT/table.md``.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from commands import run

from kaname.config import to_dict
from kaname.geometry.grid import centres
from kaname.recipes.roimask.config import AnswerSettings, DataSettings
from kaname.recipes.roimask.evaluate import score
from kaname.recipes.roimask.labels import Photo, read_set
from kaname.recipes.roimask.predictions import read, write
from kaname.reporting.results import figure_cell
from kaname.types import Masks, Prediction

FIGURES = ("miou_classes_1_2", "iou_target_mean", "share_over_0.5", "leak", "boundary_iou", "iou_image_mean")
CLASSES = ("background", "target", "non_target")
GRID = (56, 56)


def part_of(source: Path, ids: list[int], target: Path) -> Path:
    """The COCO file with some of the images alone."""
    content = json.loads(source.read_text(encoding="utf-8"))
    chosen = set(ids)
    content["images"] = [one for one in content["images"] if one["id"] in chosen]
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] in chosen]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(content), encoding="utf-8")
    return target


def about() -> dict[str, Any]:
    """What a file of predictions says of its making."""
    return {"recipe": "roimask", "model": "baseline", "answers": to_dict(AnswerSettings())}


def drawn(photos: list[Photo], kind: str, path: Path) -> Path:
    """Predictions that need no model: the whole box, or the ellipse in it."""
    y, x = (
        centres(count)[:, None] / count if axis == 0 else centres(count)[None] / count
        for axis, count in enumerate(GRID)
    )
    inside = np.ones(GRID, bool) if kind == "box" else (2 * x - 1) ** 2 + (2 * y - 1) ** 2 <= 1
    cells = np.stack([~inside, inside, np.zeros(GRID, bool)]).astype(np.float32)
    rows = [
        Prediction(
            photo.source,
            Masks(
                np.tile(cells, (len(photo.boxes), 1, 1, 1)),
                photo.boxes,
                CLASSES,
                photo.size,
                list(range(len(photo.boxes))),
            ),
            image_id=photo.image_id,
        )
        for photo in photos
    ]
    write(path, rows, about())
    return path


def learned(args: argparse.Namespace, ids: list[int], out: Path, *words: object) -> Path:
    """Predictions for every image by a decoder that has not seen it, in one file."""
    rows: list[Prediction] = []
    for fold in range(args.folds):
        held = ids[fold :: args.folds]
        folder = out / f"fold_{fold}"
        train = part_of(args.annotations, [one for one in ids if one not in held], folder / "train.json")
        val = part_of(args.annotations, held, folder / "val.json")
        evaluated = folder / "scored"
        if not (evaluated / "metrics.json").is_file():  # started again it goes on
            trained(args, train, val, folder / "run", *words)
            words = ("--checkpoint", folder / "run" / "last.pt", "--no-noise", "--out", evaluated)
            run("roimask", "evaluate", *words, "--overwrite")
        rows += read(evaluated / "val" / "masks.json")
    write(out / "masks.json", rows, {**about(), "classes": list(rows[0].answer.classes)})  # type: ignore[union-attr]
    return out / "masks.json"


def trained(args: argparse.Namespace, train: Path, val: Path, out: Path, *words: object) -> None:
    """One training run; its last weights are scored, so that the held-out images choose nothing."""
    images = ("--images", args.images, "--val-images", args.images, "--annotations", train, "--val-annotations", val)
    tensor = ("--tensor", args.tensor) if args.tensor else ()
    run(
        *("roimask", "train", *args.words, *words, *images, "--extractor", args.extractor, *tensor),
        *("--epochs", args.epochs, "--out-dir", out),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--extractor", required=True)
    parser.add_argument("--tensor", default="")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--overfit", type=int, default=0)
    parser.add_argument("--words", nargs="*", default=[])
    args = parser.parse_args()
    content = json.loads(args.annotations.read_text(encoding="utf-8"))
    ids = [one["id"] for one in content["images"]]
    random.Random(0).shuffle(ids)
    if args.overfit:
        few = part_of(args.annotations, ids[: args.overfit], args.out / "few.json")
        plain = ("data.jitter_iou=[1,1]", "augment.flip=0", "train.ema=0")
        trained(args, few, few, args.out / "overfit", *plain)
        return
    photos = read_set(DataSettings(val_images=args.images, val_annotations=args.annotations), "val")
    files = {
        "3 classes": learned(args, ids, args.out / "three"),
        "2 classes": learned(args, ids, args.out / "two", "classes=2"),
        "box filled": drawn(photos, "box", args.out / "box.json"),
        "ellipse in the box": drawn(photos, "ellipse", args.out / "ellipse.json"),
    }
    lines = ["| | group | " + " | ".join(FIGURES) + " | AP |", "|---" * (len(FIGURES) + 3) + "|"]
    for name, file in files.items():
        groups = score(file, photos, AnswerSettings(), {}).groups
        for group in ("all", "crowded"):
            cells = [figure_cell(groups[group][one]) for one in FIGURES]
            lines.append(f"| {name} | {group} | " + " | ".join([*cells, figure_cell(groups["coco"]["ap"])]) + " |")
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
