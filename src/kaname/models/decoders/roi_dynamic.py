"""The head ``dynamic``: what is in the box makes the filters that find its mask (CondInst, arXiv 2003.05664).

Mask features run once an image. For each box an embedding (RoIAlign, convolutions, mean) gives the weights of three
1 x 1 convolutions, which read the mask features and where each cell lies to the box.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kaname.codecs.roi_align import SAMPLING_RATIO
from kaname.models.decoders.roi_layers import block, check_numbers, embedding_of, upsampling
from kaname.models.decoders.roi_map import Places
from kaname.models.roi_align import Inputs, image_of, in_cells, roi_align, rois_of
from kaname.shapes import Float

ROI_SIZE = (7, 7)
HIDDEN = 8  # channels of the mask features and between the dynamic convolutions, as in the paper
RELATIVE = slice(5, 7)  # of the channels of `Places`


class RoiDynamic(nn.Module):
    """``features`` and boxes to ``masks`` ``(N, classes, *mask_size)`` over the whole map."""

    region = "map"

    def __init__(
        self,
        channels: int,
        map_size: tuple[int, int],
        classes: int = 3,
        *,
        roi_size: tuple[int, int] = ROI_SIZE,
        mask_size: tuple[int, int] | None = None,
        width: int = 128,
        depth: int = 2,
        first_kernel: int = 3,
        norm: str = "group",
        upsample: str = "progressive",
        sampling_ratio: int = SAMPLING_RATIO,
        embedding: int = 0,
    ) -> None:
        super().__init__()
        check_numbers(roi_size=roi_size, width=width, depth=depth)
        self.map_size, self.roi_size, self.sampling_ratio = map_size, roi_size, sampling_ratio
        self.mask_size = mask_size or map_size
        self.shared = nn.Sequential(*block(channels, width, norm, first_kernel))
        self.tower = nn.Sequential()
        self.of_box = nn.Sequential()
        for _ in range(depth - 1):
            self.tower.extend(block(width, width, norm))
            self.of_box.extend(block(width, width, norm))
        self.mask_features = nn.Sequential(
            upsampling(upsample, width, map_size, self.mask_size, norm), nn.Conv2d(width, HIDDEN, 1)
        )
        self.layers = [(HIDDEN + 2, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, classes)]
        # The box's size beside what is in it: RoIAlign takes that away.
        self.controller = nn.Linear(width + 2, sum((before + 1) * after for before, after in self.layers))
        nn.init.normal_(self.controller.weight, std=0.01)
        with torch.no_grad():  # boxes begin with random filters, not with none: then nothing would tell cells apart
            self.controller.bias.normal_(std=0.3)
        self.places = Places(self.mask_size)
        self.embedding = embedding_of(HIDDEN, embedding)

    def forward(self, inputs: Inputs) -> dict[str, Float[Tensor, "rois _channels _height _width"]]:
        """See `kaname.models.decoders.roi_heads`."""
        rois = rois_of(inputs)
        shared = self.shared(inputs["features"].float())
        mask_features = self.mask_features(self.tower(shared))
        crops = roi_align(shared, in_cells(rois, self.map_size), self.roi_size, sampling_ratio=self.sampling_ratio)
        seen = self.of_box(crops).mean(dim=(2, 3))
        filters = self.controller(torch.cat([seen, rois[:, 3:] - rois[:, 1:3]], dim=1))
        cells = torch.cat([mask_features[image_of(rois)], self.places(rois)[:, RELATIVE]], dim=1)
        hidden, logits = self.filtered(cells, filters)
        outputs = {"masks": logits}
        return outputs if self.embedding is None else outputs | {"embedding": self.embedding(hidden)}

    def filtered(
        self, cells: Float[Tensor, "rois channels height width"], filters: Float[Tensor, "rois weights"]
    ) -> tuple[Float[Tensor, "rois _hidden height width"], Float[Tensor, "rois _classes height width"]]:
        """Three 1 x 1 convolutions with each box's own weights: the last hidden cells, and the logits."""
        hidden, start = cells.flatten(2), 0
        values = hidden
        for number, (before, after) in enumerate(self.layers):
            hidden = values.relu() if number else values
            weights = filters[:, start : start + before * after].unflatten(1, (after, before))
            bias = filters[:, start + before * after : start + (before + 1) * after]
            start += (before + 1) * after
            values = weights @ hidden + bias[:, :, None]
        size = (cells.shape[2], cells.shape[3])
        return hidden.unflatten(2, size), values.unflatten(2, size)
