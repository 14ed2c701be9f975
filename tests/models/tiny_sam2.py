"""A SAM 2 of a few thousand weights for pictures of 64 x 64 pixels: everything in it is small, nothing is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SIDE = 64


def tiny_config() -> Any:
    """Its ``Sam2VideoConfig``."""
    from transformers import Sam2HieraDetConfig, Sam2VideoConfig, Sam2VisionConfig
    from transformers.models.sam2_video.configuration_sam2_video import (
        Sam2VideoMaskDecoderConfig,
        Sam2VideoPromptEncoderConfig,
    )

    backbone = Sam2HieraDetConfig(
        hidden_size=8, num_attention_heads=1, blocks_per_stage=[1, 1, 2, 1], embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 1, 1], window_size_per_stage=[4, 4, 2, 2], global_attention_blocks=[3],
        window_positional_embedding_background_size=[4, 4], image_size=[SIDE, SIDE],
    )  # fmt: skip
    vision = Sam2VisionConfig(
        backbone_config=backbone, backbone_channel_list=[64, 32, 16, 8], fpn_hidden_size=128,
        backbone_feature_sizes=[[SIDE // 4] * 2, [SIDE // 8] * 2, [SIDE // 16] * 2],
    )  # fmt: skip
    return Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config=Sam2VideoPromptEncoderConfig(hidden_size=128, image_size=SIDE),
        mask_decoder_config=Sam2VideoMaskDecoderConfig(
            hidden_size=128, mlp_dim=32, num_attention_heads=2, iou_head_hidden_dim=32
        ),
        image_size=SIDE, memory_attention_hidden_size=128, memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=32, memory_attention_rope_feat_sizes=[SIDE // 16] * 2,
        memory_encoder_hidden_size=128, memory_encoder_output_channels=64, mask_downsampler_embed_dim=128,
        memory_fuser_embed_dim=128, memory_fuser_intermediate_dim=32, memory_fuser_num_layers=1,
    )  # fmt: skip


def tiny_model(seed: int = 0) -> Any:
    """A ``Sam2VideoModel`` with random weights, whose objects are there."""
    import torch
    from transformers import Sam2VideoModel

    torch.manual_seed(seed)
    model = Sam2VideoModel(tiny_config()).eval()
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.05 * torch.randn(value.shape))
        matrix = model.shared_image_embedding.positional_embedding  # one matrix, which transformers holds twice
        model.prompt_encoder.shared_embedding.positional_embedding.copy_(matrix)
        head = model.mask_decoder.pred_obj_score_head.proj_out
        head.bias.fill_(10.0)
    return model


def save_tiny(folder: Path, seed: int = 0) -> Path:
    """A folder as ``save_pretrained`` writes it."""
    tiny_model(seed).save_pretrained(folder)
    return folder
