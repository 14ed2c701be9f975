"""Epochs of a frozen ViT-S at 448 with and without the feature cache; prints a Markdown table.

    python benchmarks/feature_cache.py [--images 64] [--precision fp32 bf16] [--backbone FOLDER|NAME]

Without ``--backbone`` a DINOv2-S of random weights is made: its speed is that of the trained one. The recipe is gauge's
documented configuration (linear decoder, batches of 8) on rendered dials without augmentation. `recompute` is an epoch
that runs the backbone, `cached` the second epoch with the cache (the first fills it); the losses of both are compared.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import tempfile
from pathlib import Path

from kaname.config import load
from kaname.pipeline.train import build_task
from kaname.recipes.gauge import RECIPE
from kaname.recipes.gauge.config import GaugeConfig
from kaname.samples.gauge import write
from kaname.training.loop import Run
from kaname.training.settings import RunOptions


def made_backbone(folder: Path) -> Path:
    """DINOv2-S/14 of random weights as ``save_pretrained`` writes it."""
    import torch
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    config = Dinov2Config(hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=518, patch_size=14)
    Dinov2Model(config).save_pretrained(folder)
    return folder


def epochs(
    data: Path, out: Path, backbone: Path | str, precision: str, budget: float, count: int
) -> list[dict[str, float]]:
    """The log of one training run."""
    config = load(
        GaugeConfig,
        overrides=[
            "augment.probability=0",
            "train.schedule=constant",
            f"train.epochs={count}",
            f"train.precision={precision}",
            "train.lr=1e-3",
        ],
        flags={"data": data, "model.backbone": str(backbone), "train.cache_budget": budget},
    )
    options = RunOptions(out_dir=out)
    Run(build_task(RECIPE, config, options), config.train, options).fit()
    with (out / "log.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--backbone")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        os.environ["KANAME_CACHE"] = str(root / "cache")
        backbone = arguments.backbone or made_backbone(root / "backbone")
        write(root / "data", arguments.images, 0, size=448, val_fraction=0.0)
        for precision in arguments.precision:
            live = epochs(root / "data", root / f"live_{precision}", backbone, precision, 0.0, 1)
            kept = epochs(root / "data", root / f"kept_{precision}", backbone, precision, 20.0, 5)
            slow = statistics.median(row["seconds"] for row in live)
            fast = statistics.median(row["seconds"] for row in kept[1:])
            apart = max(abs(a["train_loss"] - b["train_loss"]) for a, b in zip(live, kept[: len(live)], strict=True))
            rows.append((precision, slow, kept[0]["seconds"], fast, slow / fast, apart))
    print("\n| precision | recompute, s | first epoch, s | cached, s | ratio | losses differ by |")
    print("|---|---:|---:|---:|---:|---:|")
    for precision, slow, first, fast, ratio, apart in rows:
        print(f"| {precision} | {slow:.2f} | {first:.2f} | {fast:.3f} | {ratio:.1f} | {apart:.1e} |")


if __name__ == "__main__":
    main()
