"""The demo of ``kpnet``, on rendered suturing videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kaname.geometry.image import read_image
from kaname.pipeline.demo import Demo
from kaname.pipeline.labelled import Result
from kaname.pipeline.predict import predict_images
from kaname.recipes.kpnet import RECIPE
from kaname.recipes.kpnet.report import caption, drawn, ranked
from kaname.reporting.page import Picture, Pictures, Section

VIDEOS, HELD_OUT, LENGTH, EVERY = 24, 6, 60, 6
SIZE = (180, 320)
PCK_PX = 0.02 * SIZE[1]  # 2 % of the width
OVERRIDES = (
    *("image_size=96,160", "heatmap_size=48,80", "model.backbone=small", "loss.coord_weight=0", "loss.sigma=1.5"),
    *(f"answers.pck_px={PCK_PX}", "train.epochs=8", "train.batch_size=4", "train.lr=3e-3", "train.warmup_epochs=0.5"),
    *("train.schedule=cosine", "train.clip=1.0", "train.ema=0.98"),
)


def sample(out: Path) -> None:
    """Videos to learn from, and others to be scored on."""
    from kaname.samples.kpnet import write

    how = {"length": LENGTH, "every": EVERY, "size": SIZE, "movie": False}
    write(out / "data", count=VIDEOS, val_count=HELD_OUT, seed=0, **how)


def predict(out: Path, exported: Path) -> None:
    """A dozen of the held-out frames."""
    images = sorted((out / "data" / "val" / "frames").glob("*/*.png"))[::5][:12]
    predict_images(RECIPE, images, exported, out / "predictions", device="cpu")


def intro(result: Result) -> Sequence[str]:
    """What was trained on what."""
    return [
        f"{VIDEOS} rendered videos to learn from, {HELD_OUT} others to be scored on, every {EVERY}th frame labelled; a "
        "small U-Net trained from random weights on the CPU, on RGB alone, nothing downloaded. The figures say that "
        "everything works, not how real videos will do.",
        f"A visible point is found within {PCK_PX:g} px, 2 % of the width.",
    ]


def pictures(out: Path, result: Result) -> list[Section]:
    """Predictions of the export, then the worst and the best held-out frames."""
    shown = sorted((out / "predictions" / "pictures").iterdir())
    limit = result.settings["pck_px"]
    frames = ranked(result.details[0], limit)

    def shots(chosen: Sequence) -> list[Picture]:
        return [Picture(drawn(one), caption(one, limit)) for one in chosen]

    return [
        Pictures([Picture(read_image(path), path.stem) for path in shown], heading="Predictions of the exported file"),
        Pictures(shots(frames[:3]), heading="Worst frames (green: labelled, red: predicted)", width=320),
        Pictures(shots(frames[-3:]), heading="Best frames", width=320),
    ]


DEMO = Demo(
    sample=sample,
    overrides=OVERRIDES,
    predict=predict,
    intro=intro,
    pictures=pictures,
    curves={"Loss": ["train_loss", "val_loss"], "Points found while validating": ["val_pck"]},
    own="kaname kpnet check --data-root ./data\n"
    "kaname kpnet train --data-root ./data --image-size 540,960 --in-chans 6 --resize-only",
    heading="kpnet: key points of hands and tools",
    table="Held-out videos",
)
