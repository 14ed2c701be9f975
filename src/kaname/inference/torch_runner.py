"""A network with its preprocessing and its output function in one module: what predicts, and what is exported."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kaname.data.dataset import reuse_memory
from kaname.inference.device import choose_device
from kaname.models.preprocess import Letterbox
from kaname.types import Size


class Deployed(nn.Module):
    """uint8 RGB ``(B, h, w, 3)`` of any size -> probabilities ``(B, C, H, W)`` at the network's input size."""

    def __init__(self, network: nn.Module, size: Size) -> None:
        super().__init__()
        self.letterbox = Letterbox(size)
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.network(self.letterbox(images)))


class TorchRunner:
    """Runs a :class:`Deployed` module with the contract of ``inference.model.Runner``, in fp32."""

    def __init__(self, network: nn.Module, size: Size, *, device: str = "auto") -> None:
        self.device = choose_device(device)
        if self.device.type == "cpu":
            reuse_memory()
        self.module = Deployed(network, size).eval().to(self.device)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return self.module(torch.from_numpy(np.ascontiguousarray(images)).to(self.device)).float().cpu().numpy()
