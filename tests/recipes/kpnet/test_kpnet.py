"""The recipe by its contract, with motion, masks and frames that are compared."""

from __future__ import annotations

from pathlib import Path

from contracts.recipe import RecipeContract


class TestKpnet(RecipeContract):
    name, processes = "kpnet", True
    sample = ("--count", 2, "--val-count", 1, "--length", 5, "--every", 2, "--size", "64,96")
    train = (
        *("--image-size", "48,90", "--resize-only", "--heatmap-size", 16, "--in-chans", 6, "--backbone", "small:8"),
        *("model.width=8", "--device", "cpu", "--num-workers", 0, "--batch-size", 4, "--epochs", 2, "--lr", "1e-2"),
        *("--ema", "0.9", "--seg-loss-weight", 0.15, "--hm-consist-weight", 0.05, "--coord-consist-weight", 0.05),
        *("--aug-rotate-deg", 10),
    )

    @classmethod
    def data_words(cls, data: Path) -> list[object]:
        return ["--data-root", data]

    @classmethod
    def sources(cls, data: Path) -> list[object]:
        return [data / "val" / "frames"]
