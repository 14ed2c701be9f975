"""The head ``roimap``: the whole map and seven channels that say where the box is, through a small U-Net."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from kaname.errors import InputError
from kaname.geometry.grid import centres
from kaname.models.decoders.roi_layers import block, check_numbers, embedding_of, grown, normalization, upsampling
from kaname.models.roi_align import Inputs, Rois, image_of, rois_of
from kaname.shapes import Float

ROI_CHANNELS = 7


class Places(nn.Module):
    """Where the cells of a map lie to a box; all normalised to 0..1 of the map."""

    x: Float[Tensor, "1 columns"]
    y: Float[Tensor, "rows 1"]

    def __init__(self, map_size: tuple[int, int]) -> None:
        super().__init__()
        rows, columns = map_size
        # No weights: a file need not carry them.
        self.register_buffer("x", torch.from_numpy(centres(columns) / columns).float()[None], persistent=False)
        self.register_buffer("y", torch.from_numpy(centres(rows) / rows).float()[:, None], persistent=False)

    def forward(self, rois: Rois) -> Float[Tensor, "rois 7 rows columns"]:
        """Inside flag, x - cx, y - cy, width, height, (x - cx) / width, (y - cy) / height of ``(N, 5)`` boxes.

        In the last two a side counts as at least one cell long, so that an empty box has numbers too.
        """
        x1, y1, x2, y2 = rois[:, 1:, None, None].unbind(dim=1)
        inside = (self.x >= x1) & (self.x <= x2) & (self.y >= y1) & (self.y <= y2)
        across, down = self.x - (x1 + x2) / 2, self.y - (y1 + y2) / 2
        width, height = x2 - x1, y2 - y1
        shares = across / width.clamp(min=1 / self.x.shape[1]), down / height.clamp(min=1 / self.y.shape[0])
        channels = [inside.to(rois.dtype), across, down, width, height, *shares]
        size = (rois.shape[0], self.y.shape[0], self.x.shape[1])  # len() would fix the number in an export
        return torch.stack([channel.expand(size) for channel in channels], dim=1)


class RoiMap(nn.Module):
    """``features`` and boxes to ``masks`` ``(N, classes, *mask_size)`` over the whole map.

    The first convolution is a sum: its part for the map runs once an image, its part for the box once a box.
    """

    region = "map"

    def __init__(
        self,
        channels: int,
        map_size: tuple[int, int],
        classes: int = 3,
        *,
        mask_size: tuple[int, int] | None = None,
        width: int = 64,
        depth: int = 2,
        norm: str = "group",
        upsample: str = "progressive",
        embedding: int = 0,
    ) -> None:
        super().__init__()
        check_numbers(width=width, depth=depth)
        if min(map_size) < 2**depth:
            most = min(map_size).bit_length() - 1
            reason = f"a map of {map_size[0]} x {map_size[1]} cannot be halved {depth} times"
            raise InputError(reason, remedy=f"use depth {most}" if most else "use the head crop")
        self.map_size, self.mask_size = map_size, mask_size or map_size
        self.places = Places(map_size)
        self.of_map = nn.Conv2d(channels, width, 3, padding=1)
        self.of_box = nn.Conv2d(ROI_CHANNELS, width, 3, padding=1, bias=False)  # the map's part has one
        self.enter = nn.Sequential(normalization(width, norm), nn.ReLU(inplace=True))
        widths = [width << level for level in range(depth + 1)]
        self.down = nn.ModuleList(nn.Sequential(*block(a, b, norm)) for a, b in itertools.pairwise(widths))
        self.up = nn.ModuleList(
            nn.Sequential(*block(a + b, a, norm)) for a, b in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.upsample = upsampling(upsample, width, map_size, self.mask_size, norm)
        self.classifier = nn.Conv2d(width, classes, 1)
        self.embedding = embedding_of(width, embedding)

    def forward(self, inputs: Inputs) -> dict[str, Float[Tensor, "rois _channels _height _width"]]:
        """See `kaname.models.decoders.roi_heads`."""
        rois = rois_of(inputs)
        of_map = self.of_map(inputs["features"].float())
        levels = [self.enter(of_map[image_of(rois)] + self.of_box(self.places(rois)))]
        for down in self.down:
            levels.append(down(functional.max_pool2d(levels[-1], 2)))
        values = levels.pop()
        for up in self.up:
            finer = levels.pop()
            values = up(torch.cat([finer, grown(values, (finer.shape[2], finer.shape[3]))], dim=1))
        values = self.upsample(values)
        outputs = {"masks": self.classifier(values)}
        return outputs if self.embedding is None else outputs | {"embedding": self.embedding(values)}
