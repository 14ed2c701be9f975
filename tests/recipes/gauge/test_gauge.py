"""The recipe by its contract."""

from __future__ import annotations

from collections.abc import Mapping

from contracts.recipe import RecipeContract


class TestGauge(RecipeContract):
    name = "gauge"
    sample = ("--count", 8, "--size", 64, "--variety", "plain")
    train = (
        "--backbone", "small:8", "--size", 64, "--device", "cpu", "--num-workers", 0, "--batch-size", 2, "--epochs", 2,
        "--lr", "1e-2", "--ema", "0.9",
    )  # fmt: skip
    best = "model.pt"
    logged: Mapping[str, tuple[str, str]] = {"val_f1": ("middle", "f1"), "val_pck_start_end": ("start_end", "pck")}
