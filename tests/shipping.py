"""Tiny models in a folder of their own, as `zoo/pack.py` ships them; nothing of it is trained for long."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ABOUT = {
    "trained_on": "nothing", "command": "python zoo/build.py", "commit": "0123abc", "licence": "Apache-2.0",
    "figures": {"dials": {"F1": {"value": 0.912, "low": 0.84, "high": 0.95, "n": 16}}},
}  # fmt: skip
WORDS = {
    "gauge": ["model.backbone=small:8", "model.pretrained=false", "size=64", "needle=true"],
    "tracknet": ["model.pretrained_model_name=small:8", "model.pretrained=false", "data.resize=[96,64]",
                 "data.sequence.length=3", "model.heatmap.size=[48,32]", "model.decoder.name=linear"],
    "landmark": ["model.backbone=small:8", "model.pretrained=false", "size=64", "loss=bce"],
}  # fmt: skip


def script(name: str) -> ModuleType:
    """A script of the folder ``zoo`` as a module."""
    known = f"zoo_{name}"
    if known not in sys.modules:
        spec = importlib.util.spec_from_file_location(known, ROOT / "zoo" / f"{name}.py")
        assert spec is not None and spec.loader is not None
        sys.modules[known] = module = importlib.util.module_from_spec(spec)  # dataclasses look their module up
        spec.loader.exec_module(module)
    return sys.modules[known]


def untrained(recipe: str, path: Path, words: Sequence[str] | None = None, **card: Any) -> Path:
    """A checkpoint of a tiny network with random weights."""
    import torch

    from kaname import config as configuration
    from kaname.inference import checkpoint
    from kaname.pipeline.model import card_of
    from kaname.recipes import recipe_of

    known = recipe_of(recipe)
    torch.manual_seed(0)
    config = configuration.load(known.schema.value, overrides=WORDS[recipe] if words is None else words)
    network = known.build(config)
    own = {**card_of(known, config, network), "recipe": recipe, "config": configuration.to_dict(config), **card}
    checkpoint.save(path, card=own, model=network.state_dict(), training=None)
    return path


def render(recipe: str, folder: Path, count: int) -> dict[str, Path]:
    """What `zoo/pack.py` renders, small."""
    if recipe == "gauge":
        from kaname.samples import gauge

        gauge.write(folder, count + 1, 5, size=96, val_fraction=count / (count + 1), variety="plain", processes=1)
        return {"data": folder}
    if recipe == "tracknet":
        from kaname.samples import tracknet

        tracknet.write(folder, 3, 5, size=(64, 96), clip_length=26, games=3)
        return {"data.root": folder}
    from kaname.samples import landmark

    landmark.write(folder, count=10, seed=5, size=96)
    return {"data.images": folder / "images", "data.annotations": folder / "annotated"}


def ship(checkpoint: Path, recipe: str, folder: Path, *, name: str = "", count: int = 6) -> dict[str, Any]:
    """Pack a checkpoint into a folder of shipped models; returns its facts."""
    pack = script("pack")
    before = pack.RENDER[recipe]
    pack.RENDER[recipe] = lambda place, number: render(recipe, place, number)
    try:
        return pack.pack(checkpoint, name or recipe, folder, ABOUT, count=count)
    finally:
        pack.RENDER[recipe] = before
