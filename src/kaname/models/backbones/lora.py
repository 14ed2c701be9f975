"""Low-rank adapters in the attention of a frozen transformer (Hu et al., LoRA, arXiv 2106.09685), through peft."""

from __future__ import annotations

from torch import nn

from kaname.errors import InputError
from kaname.extras import require_package
from kaname.models.backbones.backbone import Backbone

# Queries and values, by the names that transformers and timm give them; timm keeps query, key and value in one layer.
TARGETS = ("query", "value", "q_proj", "v_proj", "qkv")


def add_lora(backbone: Backbone, *, rank: int, alpha: float) -> None:
    """Train ``rank``-dimensional changes of the queries' and values' projections; all other weights stay frozen.

    The backbone's description says so, and rebuilding from it adds the adapters again.

    Args:
        rank: of each change, at least 1.
        alpha: the changes are scaled by alpha / rank.

    Raises:
        InputError: peft is not installed, a rank below 1, or a backbone without attention layers of known names.
    """
    if rank < 1:
        raise InputError(f"the rank of LoRA must be at least 1, got {rank}")
    require_package("peft", "LoRA")
    from peft import LoraConfig, inject_adapter_in_model

    names = sorted(
        {
            name.rsplit(".", 1)[-1]
            for name, module in backbone.body.named_modules()
            if isinstance(module, nn.Linear) and name.rsplit(".", 1)[-1] in TARGETS
        }
    )
    if not names:
        reason = f"the backbone {backbone.description.get('kind')} has no attention layers for LoRA"
        raise InputError(reason, remedy="use a ViT, or model.lora.rank=0")
    backbone.requires_grad_(False)
    backbone.frozen = False
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules=names), backbone.body)  # type: ignore[arg-type]
    backbone.description["lora"] = {"rank": rank, "alpha": alpha}
