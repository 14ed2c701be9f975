"""The torch part of ``dots``: network, training samples, losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from kaname.codecs.heatmap import encode
from kaname.data.formats import skeleton
from kaname.data.randomness import generator
from kaname.geometry.affine import Affine
from kaname.geometry.image import read_image
from kaname.inference.card import heads_of
from kaname.losses.heatmap import bce_with_logits, masked_mse
from kaname.models.backbones import build_backbone
from kaname.models.decoders import DECODERS
from kaname.models.network import Network
from kaname.training.task import Step
from kaname.types import Batch, Head, StepOutput, Term
from recipes.dots import CELLS, GRID, STATES, VIEW, Clip, Config, seen


class TwoHeads(nn.Module):
    """Maps at half of the backbone's resolution, and a vector."""

    def __init__(self, channels: Sequence[int], strides: Sequence[int], outputs: Mapping[str, int]) -> None:
        super().__init__()
        self.stride = 2 * strides[-1]
        self.maps = nn.Conv2d(channels[-1], outputs["heatmaps"], 3, stride=2, padding=1)
        self.states = nn.Linear(channels[-1], outputs["visibility"])

    def forward(self, features: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"heatmaps": self.maps(features[-1]), "visibility": self.states(features[-1].mean(dim=(2, 3)))}


DECODERS["two heads of dots"] = TwoHeads


def build(config: Config, card: Mapping[str, Any] | None = None) -> Network:
    channels = heads_of(card)["heatmaps"].channels if card else skeleton.read(config.data / "skeleton.yaml").channels
    states = [f"{name}.{state}" for name in channels for state in range(STATES)]
    heads = {"heatmaps": Head(channels), "visibility": Head(states, "softmax", len(channels))}
    backbone = build_backbone(f"small:{config.width}", pretrained=False, in_channels=3 * 2 + 2)
    sizes = {"size": VIEW.input_size, "heatmap_size": CELLS}
    return Network(backbone, "two heads of dots", heads=heads, frames=2, further={"flow": 2}, **sizes)


def describe(config: Config, network: Network) -> dict[str, Any]:
    creature = skeleton.read(config.data / "skeleton.yaml").to_dict()
    return {"view": VIEW.to_dict(), "grid": GRID.to_dict(), "frames": 2, "step": 1, "skeleton": creature}


class Samples:
    """A creature in a frame and in the one before (of the first frame in the one after), as the view shows them."""

    inputs = ("images", "flow")

    def __init__(self, config: Config, clips: Sequence[Clip], *, augment: bool) -> None:
        self.config, self.augmented = config, augment and config.flip > 0
        self.mirrored = skeleton.read(config.data / "skeleton.yaml").permutation
        self.rows = [(c, number, row) for c in clips for number in range(len(c.frames)) for row in range(len(c.boxes))]

    def __len__(self) -> int:
        return len(self.rows)

    def sample(self, index: int, epoch: int) -> dict[str, np.ndarray]:
        clip, number, row = self.rows[index]
        images = [read_image(clip.frames[one]) for one in (number - 1 if number else 1, number)]
        into, label = VIEW.into(images[0].shape[:2], clip.boxes[row]), clip.labels[number]
        points, visible = (np.stack([v[row] for v in part.values()]) for part in (label.points, label.visible))
        random = generator(self.config.train.seed, epoch, index, "flip")
        if self.augmented and epoch >= 0 and random.random() < self.config.flip:
            into = Affine.flip(VIEW.size[1]) @ into
            points, visible = points[self.mirrored], visible[self.mirrored]
        (shown, flow), maps = seen(images, into), encode(into.points(points), visible, CELLS, GRID, 1.5)
        return {"images": np.concatenate(shown, axis=2), "flow": flow, "heatmaps": maps, "visible": visible}


def step_of(config: Config) -> Step:
    """Maps of the points that are there, states of all points, once more the maps of those that are visible."""

    def step(model: nn.Module, batch: Batch) -> StepOutput:
        outputs, targets = model(batch.inputs), batch.targets
        logits, states = outputs["heatmaps"].float(), outputs["visibility"].float()
        there, clear = (targets["visible"] > 0).float(), (targets["visible"] == STATES - 1).float()
        rows = states.unflatten(1, (-1, STATES)).flatten(0, 1)
        entropy = functional.cross_entropy(rows, targets["visible"].flatten(), reduction="sum")
        maps = Term(*bce_with_logits(logits, targets["heatmaps"], there, positive_weight=20.0))
        again = Term(*masked_mse(logits, targets["heatmaps"], clear), 0.5)
        return StepOutput({"maps": maps, "states": Term(entropy, entropy.new_tensor(len(rows)), 0.1), "clear": again})

    return step
