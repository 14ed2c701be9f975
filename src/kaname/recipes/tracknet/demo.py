"""The recipe from nothing to an export, on rendered matches: what ``kaname demo tracknet`` runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kaname.config import load
from kaname.pipeline.flags import find_group
from kaname.progress import Laps
from kaname.recipes.tracknet.config import TracknetConfig
from kaname.reporting.curves import curves
from kaname.reporting.page import Picture, Pictures, Section, Svg, Table, Text, facts_table, metrics_table
from kaname.training.settings import RunOptions

CLIPS, GAMES, LENGTH = 60, 20, 24
SIZE = (192, 320)
# The small U-Net on windows of three frames: what two cores learn in about a minute. Many small steps help more than
# few large ones; a network that has seen so little is unsure, so the threshold is lower than usual.
OVERRIDES = (
    "data.resize=[320,192]", "data.sequence.length=3", "data.sequence.stride=2", "data.absent=negative",
    "model.heatmap.size=[160,96]", "model.heatmap.sigma=1.5", "training.epochs=4", "training.batch_size=2",
    "training.optimizer.lr=4e-3", "training.scheduler.warmup_epochs=0.2", "training.ema=0.98",
    "detect.score_threshold=0.4",
)  # fmt: skip
OWN_MATCHES = """kaname tracknet train --data my_match --model small_unet data.sequence.length=3 data.absent=negative
kaname tracknet predict --checkpoint best.pt match.mp4 --out predictions --overlay --smooth inpaint"""


def run(out: Path) -> tuple[list[Section], dict[str, Any]]:
    """Sample, train, evaluate, predict a video, export and check parity below ``out``.

    Returns:
        The sections of the page and, for screen and tests, the figures: ``metrics`` (as in metrics.json), ``parity``,
        ``seconds`` by stage.
    """
    from kaname.samples.tracknet import write, write_video

    clock = Laps()
    write(out / "data", CLIPS, 0, size=SIZE, games=GAMES, clip_length=LENGTH, variety="plain")
    write_video(out / "match.mp4", 1, size=SIZE, length=48, variety="plain")
    clock.lap("sample")
    from kaname.recipes.tracknet.training import run as train

    groups = {"model": find_group("model", "small_unet")}
    config = load(TracknetConfig, groups=groups, overrides=OVERRIDES, flags={"data.root": out / "data"})
    train(config, RunOptions(out_dir=out / "run", command="kaname demo tracknet"))
    clock.lap("train")
    from kaname.recipes.tracknet.scoring import score

    model = out / "run" / "best.pt"
    result = score(None, model, None, out / "evaluation", split="test", tolerance=4.0, score_threshold=None)
    clock.lap("evaluate")
    from kaname.recipes.tracknet.prediction import Smoothing, export_checked, predict_sources

    parity = export_checked(model, out / "ball.onnx", None, 16)
    clock.lap("export")
    predict_sources(
        [out / "match.mp4"], out / "ball.onnx", out / "predictions", changes={}, overlay=True,
        smoothing=Smoothing("inpaint"), device="cpu",
    )  # fmt: skip
    clock.lap("predict")
    return _sections(out, result, parity.to_dict(), clock.seconds), {
        "metrics": result, "parity": parity.to_dict(), "seconds": clock.seconds,
    }  # fmt: skip


def _sections(out: Path, result: dict[str, Any], parity: dict[str, Any], seconds: dict[str, float]) -> list[Section]:
    settings = result["settings"]
    kept = ("precision_4px", "recall_4px", "f1_4px", "accuracy_4px", "pck_10px", "l2_median_px")
    figures = {name: {metric: group[metric] for metric in kept} for name, group in result.items() if name != "settings"}
    return [
        Text(
            [
                f"{CLIPS} rendered clips of {GAMES} games; {settings['frames']} frames of "
                f"{len(settings['games'])} games that took no part in training are scored. A small U-Net that sees "
                "three frames at once, trained from random weights on the CPU, nothing downloaded. These matches are "
                "of the renderer's plain kind: the figures say that everything works, not how television will do.",
                "Distances are pixels of the 320 x 192 frames; frames without a ball count.",
            ],
            heading="tracknet: the ball",
        ),
        metrics_table(figures, heading="Held-out games", note=str(settings["intervals"])),
        Pictures(_pictures(out), heading="The exported ONNX file on a video", width=480),
        Svg(
            [curves(out / "run" / "log.csv", names, title=title) for names, title in (
                (["train_loss", "val_loss"], "Loss"), (["val_f1"], "F1 while training"))],
            heading="Training",
        ),
        facts_table(parity, "Does the ONNX file answer the same?"),
        Table(["stage", "seconds"], [[name, value] for name, value in seconds.items()], heading="Time"),
        Text(["Your own matches:"], code=OWN_MATCHES),
    ]  # fmt: skip


def _pictures(out: Path) -> list[Picture]:
    from kaname.data.video import frames

    found = [frame for frame in frames(out / "predictions" / "overlay.mp4") if frame.index % 12 == 11]
    return [Picture(frame.image, f"frame {frame.index}, {frame.seconds:.2f} s") for frame in found]
