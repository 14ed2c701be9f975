"""Stored augmented views of a frozen backbone against live augmentation: accuracy and time; prints a Markdown table.

    python benchmarks/stored_views.py [--views 1 4 16] [--epochs 16]

There are no pretrained weights to be had offline, so a small ViT (hidden size 128, 4 layers, patch 8, 160 px) is first
trained on other rendered dials, all of it; its last-layer features are then frozen and a decoder is trained on 96
dials, once augmented live and once from K stored views of each dial. Scored on 100 held-out dials (450 px reference).
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
import time
from pathlib import Path

from kaname.config import load
from kaname.inference import checkpoint
from kaname.pipeline.evaluate import evaluate
from kaname.pipeline.model import build_again
from kaname.pipeline.train import run
from kaname.recipes.gauge import RECIPE
from kaname.recipes.gauge.config import GaugeConfig
from kaname.samples.gauge import write
from kaname.training.settings import RunOptions

COMMON = (
    "size=160", "augment.rotate=20", "model.decoder=upsample", "train.batch_size=8", "train.optimizer=adamw",
    "train.warmup_epochs=0.5", "train.clip=1.0",
)  # fmt: skip


def trained_backbone(root: Path, epochs: int) -> Path:
    """A small ViT trained on dials of its own, as ``save_pretrained`` writes it."""
    import torch
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    start = root / "start"
    config = ViTConfig(
        hidden_size=128, num_hidden_layers=4, num_attention_heads=4, intermediate_size=512, image_size=160, patch_size=8
    )
    ViTModel(config, add_pooling_layer=False).save_pretrained(start)
    write(root / "other", 500, 7, size=256, val_fraction=0.1, variety="plain")
    settings = load(
        GaugeConfig, overrides=[*COMMON, f"train.epochs={epochs}", "train.lr=1e-3", "model.freeze=false"],
        flags={"data": root / "other", "model.backbone": str(start)},
    )  # fmt: skip
    run(RECIPE, settings, RunOptions(out_dir=root / "backbone_run"))
    opened = checkpoint.load(root / "backbone_run" / "model.pt")
    network = build_again(RECIPE, opened.card, opened.path)
    checkpoint.load_weights(network, opened)
    network.backbone.body.model.save_pretrained(root / "backbone")  # type: ignore[operator]
    return root / "backbone"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--views", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--backbone-epochs", type=int, default=12)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        os.environ["KANAME_CACHE"] = str(root / "cache")
        backbone = trained_backbone(root, arguments.backbone_epochs)
        write(root / "data", 196, 0, size=256, val_fraction=100 / 196, variety="plain")
        for views in (0, *arguments.views):
            out = root / f"views_{views}"
            settings = load(
                GaugeConfig,
                overrides=[*COMMON, f"train.epochs={arguments.epochs}", "train.lr=2e-3", f"train.cache_views={views}"],
                flags={"data": root / "data", "model.backbone": str(backbone)},
            )
            started = time.monotonic()
            run(RECIPE, settings, RunOptions(out_dir=out))
            spent = time.monotonic() - started
            results = evaluate(RECIPE, checkpoint=out / "model.pt", out=out / "evaluation", split="val")
            figures = results["val"].groups["middle"]
            with (out / "log.csv").open(newline="") as file:
                losses = [float(row["val_loss"]) for row in csv.DictReader(file)]
            rows.append((views or "live", figures, min(losses), spent))
    print(
        "\n| views | F1 of all notches | mean distance, px | least validation loss | seconds |\n|---|---|---|---:|---:|"
    )
    for views, figures, loss, spent in rows:
        cells = [f"{figures[key]['value']:.3f} [{figures[key]['low']:.3f}, {figures[key]['high']:.3f}]"
                 for key in ("f1", "mean_distance_px")]  # fmt: skip
        print(f"| {views} | {cells[0]} | {cells[1]} | {loss:.5f} | {spent:.0f} |")


if __name__ == "__main__":
    main()
