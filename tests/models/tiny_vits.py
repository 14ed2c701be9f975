"""Tiny configurations of every kind of transformer that the room knows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
}
# kind of model -> class of the configuration, its values, tokens before the patches
TINY: dict[str, tuple[str, dict[str, Any], int]] = {
    "dinov2": ("Dinov2Config", SMALL | {"patch_size": 14, "mlp_ratio": 2}, 1),
    "dinov2_with_registers": (
        "Dinov2WithRegistersConfig",
        SMALL | {"patch_size": 14, "mlp_ratio": 2, "num_register_tokens": 4},
        5,
    ),
    "dinov3_vit": ("DINOv3ViTConfig", SMALL | {"patch_size": 16, "intermediate_size": 64, "num_register_tokens": 4}, 5),
    "vit": ("ViTConfig", SMALL | {"patch_size": 16, "image_size": 32, "intermediate_size": 64}, 1),
    "deit": ("DeiTConfig", SMALL | {"patch_size": 16, "image_size": 32, "intermediate_size": 64}, 2),
    "ijepa": ("IJepaConfig", SMALL | {"patch_size": 16, "image_size": 32, "intermediate_size": 64}, 0),
    "vit_msn": ("ViTMSNConfig", SMALL | {"patch_size": 16, "image_size": 32, "intermediate_size": 64}, 1),
}


def save_tiny(kind: str, folder: Path, *, seed: int) -> Path:
    """A transformer of that kind with random weights, saved as Hugging Face saves them."""
    import torch
    import transformers

    name, values, _ = TINY[kind]
    torch.manual_seed(seed)
    model = transformers.AutoModel.from_config(getattr(transformers, name)(**values))
    with torch.no_grad():  # the library starts some of these at zero, which would hide a lost tensor
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    model.save_pretrained(folder)
    processor = {"image_mean": [0.4, 0.41, 0.42], "image_std": [0.2, 0.21, 0.22], "do_center_crop": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor), encoding="utf-8")
    return folder


def on_request(factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``folder(kind)`` -> the folder of a tiny transformer of that kind, saved once."""
    folders: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in folders:
            folders[kind] = save_tiny(kind, factory.mktemp(kind), seed=len(folders))
        return folders[kind]

    return folder
