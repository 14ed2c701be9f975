"""The recipe by its contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from contracts.recipe import RecipeContract


class TestTracknet(RecipeContract):
    name = "tracknet"
    sample = ("--count", 3, "--games", 3, "--clip-length", 8, "--size", 96, 64, "--variety", "plain")
    train = (
        "--model", "small_unet", "--backbone", "small:8", "--device", "cpu", "--num-workers", 0, "--batch-size", 2,
        "--epochs", 2, "--lr", "1e-2", "--ema", "0.9", "data.sequence.length=3", "data.resize=[96,64]",
        "model.heatmap.size=[48,32]", "data.absent=negative",
    )  # fmt: skip
    predictions = "ball.csv"
    logged: Mapping[str, tuple[str, str]] = {"val_f1": ("all", "f1_4px")}
    answers: Sequence[object] = ("--score-threshold", 0.001)

    @classmethod
    def sources(cls, data: Path) -> list[object]:
        return [data / "game3" / "Clip1"]
