"""A frozen torch backbone as a feature source; see `kaname.inference.feature_source`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kaname.data.cache import content_key
from kaname.geometry.view import View
from kaname.inference.feature_source import source_key
from kaname.models.network import Network


class TorchFeatures:
    """The maps of a network's backbone, in fp32 on its own device.

    Args:
        network: its backbone is frozen and stays as it is.
        view: how photographs become its input; by default letterboxed into the network's size.
        licence: a note for whoever gets a model that needs these weights.
    """

    def __init__(self, network: Network, *, view: View | None = None, licence: str = "") -> None:
        self.network = network
        self.view = View("letterbox", network.size) if view is None else view
        height, width = self.view.input_size
        maps = self.features(np.zeros((1, height, width, network.frames * 3), np.uint8))
        self.description: Mapping[str, Any] = {
            "kind": "torch",
            "hash": backbone_key(network),
            "backbone": network.backbone.description,
            "channels": [one.shape[1] for one in maps],
            "stride_yx": [[height / one.shape[2], width / one.shape[3]] for one in maps],
            "view": self.view.to_dict(),
            "licence": licence,
        }
        self.key = source_key(self.description)

    def features(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Maps ``(B, C, h, w)``, finest first, of images ``(B, height, width, 3)`` of the network's size."""
        batch = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).to(self.network.mean.device)
        with torch.no_grad():
            maps = self.network.features(batch)
        return [one.float().cpu().numpy() for one in maps]


def backbone_key(network: Network) -> str:
    """A hash of everything between pixels and features: weights, normalization, input size, description."""
    weights = {**network.backbone.state_dict(), "mean": network.mean, "std": network.std}
    parts: list[Any] = [str(network.size), str(sorted(network.backbone.description.items(), key=lambda item: item[0]))]
    for name, value in sorted(weights.items()):
        parts += [name, value.detach().cpu().float().numpy()]
    return content_key(parts)
