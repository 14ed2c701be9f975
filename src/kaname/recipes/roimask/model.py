"""The network of ``roimask``: the decoder alone, for the maps of its extractor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from kaname.models.roi_masks import RoiMasks
from kaname.recipes.roimask.config import RoimaskConfig
from kaname.recipes.roimask.features import training_source


def build(config: RoimaskConfig, *, card: Mapping[str, Any] | None = None) -> RoiMasks:
    """The decoder for the extractor of a configuration; with a file's ``card`` the extractor is not opened.

    Raises:
        InputError: no such extractor or tensor, or sizes that do not fit its map.
    """
    described = training_source(config.extractor).description if card is None else card["extractor"]
    (channels,), ((down, across),) = described["channels"], described["stride_yx"]
    view = described["view"]
    height, width = view.get("canvas") or view["size"]
    options = asdict(config.head)
    name = options.pop("name")
    return RoiMasks(
        name,
        channels,
        (round(height / down), round(width / across)),
        config.classes,
        padding=config.data.pad,
        embedding=config.loss.embedding if config.loss.contrast_weight > 0 else None,
        **options,
    )


def describe(config: RoimaskConfig, network: RoiMasks) -> dict[str, Any]:
    """The card's fields that are this recipe's own."""
    source = training_source(config.extractor)
    named = config.extractor.backbone or config.extractor.path.name
    return {
        "view": source.view.to_dict(),
        "extractor": dict(source.description),
        "padding": config.data.pad,
        "roi_grid": list(network.grid),
        "backbone": {
            "kind": "head",
            "name": f"{config.head.name} on {named}",
            "licence": source.description["licence"],
        },
        "pretrained": None,
    }
