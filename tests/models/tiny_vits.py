"""Tiny configurations of every kind of transformer that the room knows."""

from __future__ import annotations

from typing import Any

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
