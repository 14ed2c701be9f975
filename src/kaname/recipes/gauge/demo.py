"""The demo of ``gauge``, on rendered dials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kaname.geometry.image import read_image
from kaname.inference.runtimes import PLAIN_CPU
from kaname.pipeline.demo import Demo
from kaname.pipeline.labelled import Result
from kaname.pipeline.predict import predict_images
from kaname.recipes.gauge import RECIPE
from kaname.reporting.page import Picture, Pictures, Section

TRAIN_DIALS, HELD_OUT = 500, 100
# A third of the reference resolution and the small U-Net: what two cores learn in about a minute.
OVERRIDES = (
    *("size=160", "model.backbone=small", "augment.rotate=20"),
    *("train.epochs=6", "train.batch_size=4", "train.lr=3e-3", "train.warmup_epochs=1"),
    *("train.optimizer=adamw", "train.weight_decay=1e-4", "train.clip=1.0", "train.ema=0.99"),
)
# Where a model is shipped: dials as a camera far away shows them, much smaller than any that it was trained on.
FEW, CHOOSING, TESTED, FAR = 48, 12, 60, 68
ENLARGED = 4  # so that marks can be drawn into the pictures
TUNING = ("needle=true", "train.epochs=2")


def sample(out: Path) -> None:
    """Plain dials, head-on and clean."""
    from kaname.samples.gauge import write

    count = TRAIN_DIALS + HELD_OUT
    write(out / "data", count, 0, size=256, val_fraction=HELD_OUT / count, variety="plain")


def sample_far(out: Path) -> None:
    """Plain dials a few pixels wide, enlarged: some to tune on, and others of another seed to be scored on."""
    from kaname.samples.gauge import write

    count = FEW + CHOOSING
    write(out / "data", count, 0, size=FAR, val_fraction=CHOOSING / count, variety="plain")
    write(out / "tested", TESTED, 1, size=FAR, val_fraction=0, variety="plain")
    (out / "tested" / "train").rename(out / "data" / "test")
    (out / "tested").rmdir()
    for labels in sorted((out / "data").glob("*/labels/annotation.json")):
        enlarge(labels)


def enlarge(labels: Path) -> None:
    """A part of the sample as a digital zoom shows it: larger pictures without more in them."""
    import cv2

    from kaname.data.formats import labelstudio
    from kaname.samples.writing import save_jpeg

    samples = []
    for sample in labelstudio.read(labels, images=labels.parent.parent / "images"):
        image = read_image(sample.image)
        larger = cv2.resize(image, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
        save_jpeg(sample.image, larger, 95)
        points = {name: places * ENLARGED for name, places in sample.points.items()}
        samples.append(replace(sample, points=points, boxes=sample.boxes * ENLARGED, size=larger.shape[:2]))
    labelstudio.write(labels, samples)


def predict(out: Path, exported: Path) -> None:
    """A dozen of the held-out dials."""
    held_out = next(place for name in ("test", "val") if (place := out / "data" / name).is_dir())
    images = sorted((held_out / "images").iterdir())[:12]
    predict_images(RECIPE, images, exported, out / "predictions", running=PLAIN_CPU)


def intro(result: Result) -> Sequence[str]:
    """What was trained on what."""
    return [
        f"{TRAIN_DIALS} rendered dials to learn from, {len(result.details)} others to be scored on; a small U-Net "
        "trained from random weights on the CPU, nothing downloaded. These dials are of the renderer's plain "
        "kind, head-on and clean: the figures say that everything works, not how real photographs will do.",
        "Distances are pixels of a 448 x 448 dial; a notch counts as found within 10 px.",
    ]


def intro_far(result: Result) -> Sequence[str]:
    """What was tuned on what."""
    return [
        "The model that comes with the package knows instruments of every kind. These dials are "
        f"{FAR} pixels wide and enlarged, as a camera far away shows them with a digital zoom. It is scored on "
        f"{len(result.details)} of them as it comes, tuned on {FEW} others (with {CHOOSING} that choose the "
        "best epoch) on the CPU, and scored again; nothing downloaded. The dials are rendered, of the plain kind: "
        "the figures say what tuning is worth here, not how real photographs will do.",
        "Distances are pixels of a 448 x 448 dial; a notch counts as found within 10 px.",
    ]


def pictures(out: Path, result: Result) -> list[Section]:
    """Predictions of the export, then the worst and the best held-out dials."""
    figures = {name: each for name, (_, each) in result.details.items()}
    ranked = sorted(figures, key=lambda name: [figures[name][group]["f1"] or 0.0 for group in ("middle", "start_end")])
    sheets = out / "evaluation" / result.settings["set"] / "key_points"

    def sheet(name: str) -> Picture:
        return Picture(sheets / f"K_{Path(name).stem}.jpg", _caption(name, figures[name]))

    drawn = sorted((out / "predictions" / "pictures").iterdir())
    predicted = [Picture(read_image(path), path.stem) for path in drawn]
    return [
        Pictures(predicted, heading="Predictions of the exported ONNX file"),
        Pictures([sheet(name) for name in ranked[:2]], heading="Worst dials (predicted above, true below)", width=480),
        Pictures([sheet(name) for name in ranked[-2:]], heading="Best dials", width=480),
    ]


def _caption(name: str, figures: dict[str, Any]) -> str:
    middle, ends = figures["middle"], figures["start_end"]
    return f"{name}: F1 {middle['f1']:.2f} of all notches, PCK {ends['pck']:.2f} of start and end"


SCRATCH = Demo(
    sample=sample,
    overrides=OVERRIDES,
    predict=predict,
    intro=intro,
    pictures=pictures,
    curves={"Loss": ["train_loss", "val_loss"]},
    own="kaname gauge check --data training_data\n"
    "kaname gauge train --data training_data --backbone small --epochs 50 --val --out-dir run\n"
    "kaname gauge predict --checkpoint run/model.pt photo.jpg --out-dir predictions",
    heading="gauge: the notches of a dial",
    table="Held-out dials",
    note=lambda result: "Mean over images, 95 % bootstrap interval.",
    evaluate={"split": "val", "pictures": True},
)
TUNED = replace(
    SCRATCH,
    sample=sample_far,
    overrides=TUNING,
    intro=intro_far,
    own="kaname gauge check --data training_data\n"
    "kaname gauge train --data training_data --init zoo --val --out-dir run\n"
    "kaname gauge predict --checkpoint run/model.pt photo.jpg --out-dir predictions",
    evaluate={"split": "test", "pictures": True},
    gained=[("middle", "f1"), ("start_end", "f1"), ("middle", "mean_distance_px")],
)
DEMO = replace(SCRATCH, tuned=TUNED)
