"""The demo of ``tracknet``, on rendered matches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kaname.config import find_group
from kaname.data.video import frames
from kaname.inference.runtimes import PLAIN_CPU
from kaname.pipeline.demo import Demo
from kaname.pipeline.labelled import Result
from kaname.recipes.tracknet.predict import predict as predict_videos
from kaname.reporting.page import Picture, Pictures, Section
from kaname.tracking.smoothing import Smoothing

CLIPS, GAMES, LENGTH = 60, 20, 24
SIZE = (192, 320)
# The small U-Net on windows of three frames: what two cores learn in about a minute. Many small steps help more than
# few large ones; a network that has seen so little is unsure, so the threshold is lower than usual.
OVERRIDES = (
    "data.resize=[320,192]", "data.sequence.length=3", "data.sequence.stride=2", "data.absent=negative",
    "model.heatmap.size=[160,96]", "model.heatmap.sigma=1.5", "training.epochs=3", "training.batch_size=2",
    "training.optimizer.lr=4e-3", "training.scheduler.warmup_epochs=0.2", "training.ema=0.98",
    "detect.score_threshold=0.4",
)  # fmt: skip
# Where a model is shipped: fewer of these clips, seen in their own size, much smaller than what it was trained on.
FEW, FEW_GAMES = 24, 8
TUNING = (
    "data.absent=negative", "data.resize=[320,192]", "data.split.train_games=[1,2,3,4]", "data.split.val_games=[5]",
    "data.split.test_games=[6,7,8]", "training.epochs=4",
)  # fmt: skip
FIGURES = ("precision_4px", "recall_4px", "f1_4px", "accuracy_4px", "pck_10px", "l2_median_px")


def sample(out: Path) -> None:
    """Plain clips, and a match to predict."""
    from kaname.samples.tracknet import write, write_video

    write(out / "data", CLIPS, 0, size=SIZE, games=GAMES, clip_length=LENGTH, variety="plain")
    write_video(out / "match.mp4", 1, size=SIZE, length=48, variety="plain")


def sample_few(out: Path) -> None:
    """The same, of fewer matches."""
    from kaname.samples.tracknet import write, write_video

    write(out / "data", FEW, 0, size=SIZE, games=FEW_GAMES, clip_length=LENGTH, variety="plain")
    write_video(out / "match.mp4", 1, size=SIZE, length=48, variety="plain")


def predict(out: Path, exported: Path) -> None:
    """The match, with gaps filled, and the video of it."""
    predict_videos(
        [out / "match.mp4"], exported, out / "predictions", Smoothing("inpaint"), overlay=True, running=PLAIN_CPU
    )


def intro(result: Result) -> Sequence[str]:
    """What was trained on what."""
    settings = result.settings
    return [
        f"{CLIPS} rendered clips of {GAMES} games; {settings['frames']} frames of {len(settings['games'])} games that "
        "took no part in training are scored. A small U-Net that sees three frames at once, trained from random "
        "weights on the CPU, nothing downloaded. These matches are of the renderer's plain kind: the figures say that "
        "everything works, not how television will do.",
        "Distances are pixels of the 320 x 192 frames; frames without a ball count.",
    ]


def intro_few(result: Result) -> Sequence[str]:
    """What was tuned on what."""
    settings = result.settings
    return [
        "The model that comes with the package knows matches of every kind, in frames 512 pixels wide. These are of "
        f"the renderer's plain kind and {SIZE[1]} pixels wide. It is scored on {settings['frames']} frames of "
        f"{len(settings['games'])} games as it comes, tuned at that width on clips of four other games (a fifth "
        "chooses the best epoch) on the CPU, and scored again; nothing downloaded. Part of the gain is the width. The "
        "figures say what tuning is worth here, not how television will do.",
        "Distances are pixels of the 320 x 192 frames; frames without a ball count.",
    ]


def figures(result: Result) -> dict[str, Any]:
    """The columns of the table."""
    return {name: {metric: group[metric] for metric in FIGURES} for name, group in result.groups.items()}


def pictures(out: Path, result: Result) -> list[Section]:
    """Frames of the video with the ball."""
    shown = [frame for frame in frames(out / "predictions" / "overlay.mp4") if frame.index % 12 == 11]
    drawn = [Picture(frame.image, f"frame {frame.index}, {frame.seconds:.2f} s") for frame in shown]
    return [Pictures(drawn, heading="The exported ONNX file on a video", width=480)]


SCRATCH = Demo(
    sample=sample,
    overrides=OVERRIDES,
    groups={"model": find_group("model", "small_unet")},
    predict=predict,
    intro=intro,
    figures=figures,
    pictures=pictures,
    curves={"Loss": ["train_loss", "val_loss"], "F1 while training": ["val_f1"]},
    own="kaname tracknet check --data my_match\n"
    "kaname tracknet train --data my_match --model small_unet --out-dir run data.sequence.length=3 "
    "data.absent=negative\n"
    "kaname tracknet predict --checkpoint run/best.pt match.mp4 --out-dir predictions --overlay --smooth inpaint",
    heading="tracknet: the ball",
    table="Held-out games",
    export="ball.onnx",
    evaluate={"split": "test", "changes": {"tolerance": 4.0}},
)
TUNED = replace(
    SCRATCH,
    sample=sample_few,
    overrides=TUNING,
    groups={},
    intro=intro_few,
    own="kaname tracknet check --data my_match\n"
    "kaname tracknet train --data my_match --init zoo --out-dir run data.absent=negative\n"
    "kaname tracknet predict --checkpoint run/best.pt match.mp4 --out-dir predictions --overlay --smooth inpaint",
    gained=[("all", "f1_4px"), ("all", "precision_4px"), ("all", "recall_4px")],
)
DEMO = replace(SCRATCH, tuned=TUNED)
