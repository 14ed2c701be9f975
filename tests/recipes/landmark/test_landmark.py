"""The recipe by its contract."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from contracts.recipe import RecipeContract


class TestLandmark(RecipeContract):
    name, processes = "landmark", True
    sample = ("--count", 10, "--size", 96, "--variety", "plain")
    train = (
        "--backbone", "small:8", "--size", 64, "--device", "cpu", "--num-workers", 0, "--batch-size", 4, "--epochs", 2,
        "--lr", "1e-2", "--ema", "0.9", "--save-freq", 1,
    )  # fmt: skip
    best = "best_model.pth"
    logged: Mapping[str, tuple[str, str]] = {"val_nme": ("all", "nme_bbox")}

    @classmethod
    def data_words(cls, data: Path) -> list[object]:
        return ["--image-dir", data / "images", "--annotation-dir", data / "annotated"]

    @classmethod
    def sources(cls, data: Path) -> list[object]:
        return [data / "images", "--boxes", data / "annotated"]
