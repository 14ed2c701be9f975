"""The demo of ``landmark``, on rendered faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kaname.files import write_text
from kaname.geometry.image import read_image
from kaname.inference.runtimes import PLAIN_CPU
from kaname.pipeline.boxes import BoxSource
from kaname.pipeline.demo import Demo
from kaname.pipeline.labelled import Result
from kaname.pipeline.predict import predict_images
from kaname.recipes.landmark import RECIPE
from kaname.recipes.landmark.evaluate import FaceScore
from kaname.recipes.landmark.prepare import annotated_boxes
from kaname.recipes.landmark.report import caption, closeup, ranked
from kaname.reporting.page import Picture, Pictures, Section

TRAIN_FACES, HELD_OUT = 500, 100
# Half of the reference resolution and the small U-Net: what two cores learn in about a minute.
OVERRIDES = (
    *("size=128", "model.backbone=small", "loss=bce", "augment.rotate=20", "save_freq=0"),
    f"data.held_out={HELD_OUT / (TRAIN_FACES + HELD_OUT):.4f}",
    *("train.epochs=6", "train.batch_size=8", "train.lr=3e-3", "train.warmup_epochs=1", "train.schedule=cosine"),
    *("train.optimizer=adamw", "train.weight_decay=1e-4", "train.clip=1.0", "train.ema=0.99"),
)
# Where a model is shipped, which has seen everything that the renderer draws: one plain hand, of few faces.
FEW, CHOOSING, TESTED = 48, 12, 60
TUNING = ("train.epochs=4", "save_freq=0")


def sample(out: Path) -> None:
    """Plain faces; some of them are held out."""
    from kaname.samples.landmark import write

    write(out / "data", count=TRAIN_FACES + HELD_OUT, seed=0, size=192, variety="plain")


def sample_few(out: Path) -> None:
    """Plain faces, in the lists of a split: some to tune on, and others to be scored on."""
    from kaname.samples.landmark import write

    counts = {"train": FEW, "val": CHOOSING, "test": TESTED}
    write(out / "data", count=sum(counts.values()), seed=0, size=192, variety="plain")
    files = iter(sorted(path.name for path in (out / "data" / "annotated").iterdir()))
    for name, count in counts.items():
        lines = [f"{next(files)}\n" for _ in range(count)]
        write_text(out / "data" / "datasets" / f"{name}.txt", "".join(lines))


def data(out: Path) -> Mapping[str, Path]:
    """Where they lie."""
    return {"data.images": out / "data" / "images", "data.annotations": out / "data" / "annotated"}


def predict(out: Path, exported: Path) -> None:
    """A dozen of the faces, in their boxes."""
    images = sorted((out / "data" / "images").glob("*.jpg"))[:12]
    boxes = BoxSource(lambda _: annotated_boxes(out / "data" / "annotated"))
    predict_images(RECIPE, images, exported, out / "predictions", boxes=boxes, running=PLAIN_CPU)


def intro(result: Result) -> Sequence[str]:
    """What was trained on what."""
    return [
        f"{TRAIN_FACES} rendered faces to learn from, {result.settings['faces']} others to be scored on; a small U-Net "
        "trained from random weights on the CPU, nothing downloaded. These faces are of the renderer's plain kind: the "
        "figures say that everything works, not how other drawings will do.",
        "NME is the mean distance of a face's landmarks over the longer side of their extent: 0.03 is 3 %.",
    ]


def intro_few(result: Result) -> Sequence[str]:
    """What was tuned on what."""
    return [
        "The model that comes with the package knows faces of many hands. These are of one: the renderer's plain kind. "
        f"It is scored on {result.settings['faces']} of them as it comes, tuned on {FEW} others (with {CHOOSING} that "
        "choose the best epoch) on the CPU, and scored again; nothing downloaded. The figures say what tuning is worth "
        "here, not how other drawings will do.",
        "NME is the mean distance of a face's landmarks over the longer side of their extent: 0.03 is 3 %.",
    ]


def pictures(out: Path, result: Result) -> list[Section]:
    """Predictions of the export, then the worst and the best held-out faces."""
    drawn = sorted((out / "predictions" / "pictures").iterdir())
    faces = ranked(result.details[0])

    def shots(chosen: Sequence[tuple[FaceScore, float | None]]) -> list[Picture]:
        return [Picture(closeup(face), caption(face, error)) for face, error in chosen]

    return [
        Pictures([Picture(read_image(path), path.stem) for path in drawn], heading="Predictions of the exported file"),
        Pictures(shots(faces[:3]), heading="Worst faces (green: true, red: predicted)", width=320),
        Pictures(shots(faces[-3:]), heading="Best faces", width=320),
    ]


SCRATCH = Demo(
    sample=sample,
    overrides=OVERRIDES,
    predict=predict,
    intro=intro,
    pictures=pictures,
    curves={"Loss": ["train_loss", "val_loss"], "NME while validating": ["val_nme"]},
    own="kaname landmark annotate --image-dir data/raw --output-dir data/annotated\n"
    "kaname landmark train --image-dir data/raw --annotation-dir data/annotated --backbone small --out-dir run\n"
    "kaname landmark predict --checkpoint run/best_model.pth picture.png --out-dir predictions",
    heading="landmark: 28 points of a character's face",
    table="Held-out faces",
    data=data,
    evaluate={"split": "val"},
)
TUNED = replace(
    SCRATCH,
    sample=sample_few,
    overrides=TUNING,
    intro=intro_few,
    own="kaname landmark annotate --image-dir data/raw --output-dir data/annotated\n"
    "kaname landmark train --image-dir data/raw --annotation-dir data/annotated --init zoo --out-dir run\n"
    "kaname landmark predict --checkpoint run/best_model.pth picture.png --out-dir predictions",
    evaluate={"split": "test"},
    gained=[("all", "nme_bbox"), ("all", "auc"), ("all", "failure_rate")],
)
DEMO = replace(SCRATCH, tuned=TUNED)
