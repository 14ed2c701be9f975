"""The torch part of ``blobs``: the decoder, training samples, loss, files of each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from kaname.data.cache import ArrayCache, default_folder
from kaname.data.randomness import generator
from kaname.geometry.grid import HALF
from kaname.geometry.image import image_size, read_image, write_image
from kaname.inference.feature_source import CachedSource
from kaname.inference.onnx_tensor import OnnxTensor
from kaname.reporting.overlay import overlay
from kaname.training.task import Step
from kaname.types import Batch, Head, Input, Masks, StepOutput, Term
from recipes.blobs import CLASSES, EXTRACTOR, GRID, TENSOR, Blobs, Config


class Decoder(nn.Module):
    """The part of a map in each box, and classes on its grid. ``owner`` tells whose map a box is of; else the first."""

    def __init__(self, source: Mapping[str, Any], width: int) -> None:
        super().__init__()
        self.source, (channels,), (self.stride,) = source, source["channels"], source["stride_yx"]
        size = [round(side / stride) for side, stride in zip(source["view"]["size"], self.stride, strict=True)]
        self.inputs = {"features": Input((channels, *size)), "boxes": Input((4,), batch="boxes")}
        self.heads = {"masks": Head(CLASSES, "softmax")}
        self.layers = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 3, 1))

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features, boxes = inputs["features"].float(), inputs["boxes"]
        maps = features[inputs["owner"]] if "owner" in inputs else features[:1]
        down = sampling(boxes[:, 1], boxes[:, 3], GRID[0], maps.shape[2], self.stride[0])
        across = sampling(boxes[:, 0], boxes[:, 2], GRID[1], maps.shape[3], self.stride[1])
        return {"masks": self.layers(down @ maps @ across.transpose(2, 3))}


def sampling(low: Tensor, high: Tensor, cells: int, count: int, stride: float) -> Tensor:
    """The matrices ``(N, 1, cells, count)`` of linear interpolation of a map's axis at the cells of boxes."""
    shares = (torch.arange(cells, device=low.device) + HALF) / cells
    places = (low[:, None] + (high - low)[:, None] * shares) / stride - HALF
    distance = places.clamp(0, count - 1)[:, :, None] - torch.arange(count, device=low.device)
    return (1 - distance.abs()).clamp(min=0)[:, None]


def build(config: Config, card: Mapping[str, Any] | None = None) -> Decoder:
    source = OnnxTensor(config.data / EXTRACTOR, TENSOR).description if card is None else card["extractor"]
    return Decoder(source, config.width)


def describe(config: Config, network: Decoder) -> dict[str, Any]:
    backbone = {"kind": "onnx", "name": EXTRACTOR}
    return {"view": network.source["view"], "extractor": network.source, "backbone": backbone}


class Samples:
    """An image's features, its boxes in pixels of the extractor's input, and the classes on the grid of each."""

    inputs, in_process = ("features", "boxes", "owner"), True

    def __init__(self, config: Config, items: Sequence[Blobs], *, augment: bool) -> None:
        self.config, self.items, self.augmented = config, items, augment and config.jitter > 0
        cache = ArrayCache(default_folder() / "features", budget=int(config.train.cache_budget * 1e9))
        self.source = CachedSource(OnnxTensor(config.data / EXTRACTOR, TENSOR, threads=1), cache)

    def __len__(self) -> int:
        return len(self.items)

    def sample(self, index: int, epoch: int) -> dict[str, np.ndarray]:
        item, boxes = self.items[index], self.items[index].boxes
        if self.augmented and epoch >= 0:
            random = generator(self.config.train.seed, epoch, index, "jitter")
            boxes = boxes + random.uniform(-self.config.jitter, self.config.jitter, (len(boxes), 1))
        (features,), into = self.source.maps(item.frames[0]), self.source.source.view.into(image_size(item.frames[0]))
        return {"features": features, "boxes": into.boxes(boxes).astype(np.float32), "classes": item.masks(boxes)}

    @staticmethod
    def collate(rows: Sequence[Mapping[str, np.ndarray]]) -> dict[str, Tensor]:
        joined = {name: np.concatenate([row[name] for row in rows]) for name in ("boxes", "classes")}
        owner = np.repeat(np.arange(len(rows)), [len(row["boxes"]) for row in rows])
        whole = {"features": np.stack([row["features"] for row in rows]), "owner": owner, **joined}
        return {name: torch.from_numpy(value) for name, value in whole.items()}


def step_of(config: Config) -> Step:
    """Cross-entropy over the cells of each box, with the number of boxes as weight."""

    def step(model: nn.Module, batch: Batch) -> StepOutput:
        logits, classes = model(batch.inputs)["masks"].float(), batch.targets["classes"].long()
        entropy = functional.cross_entropy(logits, classes, reduction="none").mean(dim=(1, 2))
        ours, true = logits.argmax(dim=1) == 1, classes == 1
        counts = {"inside": (ours & true).sum().float(), "either": (ours | true).sum().float()}
        return StepOutput({"entropy": Term(entropy.sum(), entropy.new_tensor(len(entropy)))}, counts)

    return step


def task_fields(config: Config, network: Decoder, samples: Samples, held_out: Samples) -> dict[str, Any]:
    """Figures, and of each epoch a file with its score in the name and a picture."""

    def draw(model: nn.Module, epoch: int, folder: Path) -> None:
        row, image = held_out.sample(0, -1), read_image(held_out.items[0].frames[0])
        with torch.no_grad():
            cells = model(held_out.collate([row]))["masks"].softmax(dim=1).cpu().numpy()
        masks = Masks(cells, held_out.items[0].boxes, CLASSES, (image.shape[0], image.shape[1]))
        write_image(folder / f"validation_{epoch:04d}.png", overlay(image, [masks]))

    return {
        "summarise": lambda sums: {"iou": sums["inside"] / max(sums["either"], 1.0)},
        "score": ("val_iou", "max"),
        "files": lambda row: [f"checkpoints/epoch_{row['epoch']:04d}_{round(row['val_iou'] * 10000):04d}.pt"],
        "pictures": draw,
    }
