"""A tiny untrained detector whose answers change from frame to frame, and a rendered data set for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from calling import Answer, call
from kaname.recipes.kpnet import RECIPE, VISIBILITY
from kaname.samples.kpnet import write

SIZE, LENGTH, EVERY = (64, 96), 24, 6
VIDEOS = ("val00", "val01", "val02")
WORDS = (
    *("image_size=64,96", "resize_only=true", "heatmap_size=16,24", "model.backbone=small:8", "model.width=8"),
    *("model.pretrained=false", "data.skeleton=oss25"),
)


def detector(path: Path, *words: str) -> Path:
    """A checkpoint of random weights; its visibilities are far apart."""
    import torch

    from kaname.config import load, plain, to_dict
    from kaname.inference import checkpoint
    from kaname.pipeline.model import card_of

    config = load(RECIPE.schema.value, overrides=[*WORDS, *words])
    torch.manual_seed(5)
    network: Any = RECIPE.build(config)
    with torch.no_grad():
        for name, value in network.named_parameters():
            if VISIBILITY in name:
                value.mul_(8)
    card = {**card_of(RECIPE, config, network), "recipe": RECIPE.name, "config": plain(to_dict(config))}
    checkpoint.save(path, card=card, model=network.state_dict(), training=None)
    return path


def data(folder: Path) -> Path:
    """Three validation videos with some of their frames as images, and the videos themselves."""
    return write(folder, count=1, val_count=len(VIDEOS), length=LENGTH, every=EVERY, size=SIZE, seed=2)


def infer(made: Path, out: Path, *words: object, model: str = "rgb.pt") -> Answer:
    """``kaname kpnet infer`` on the CPU."""
    given = ("--data-root", made / "data", "--ckpt", made / model, "--out-dir", out, "--device", "cpu")
    return call("kpnet", "infer", *given, *words)
