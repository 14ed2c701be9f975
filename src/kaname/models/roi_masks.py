"""A frozen network's features and boxes to masks on the grid of each box: a head of `roi_heads` as a whole network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kaname.models.decoders.roi_heads import build_roi_head
from kaname.models.roi_align import Inputs, Rois, in_cells, padded, roi_align
from kaname.shapes import Float
from kaname.types import Head, Input, Size

CLASSES = ("background", "target", "non_target")
GRID: Size = (56, 56)  # of the answers of heads whose masks lie on the whole map
MASKS = "masks"


class RoiMasks(nn.Module):
    """Features ``(B, C, h, w)`` and plain boxes ``rois`` ``(N, 5)``, normalised, to logits ``(N, classes, *grid)``.

    Args:
        head: name in `ROI_HEADS`.
        channels, map_size: of the features.
        classes: 2 or 3, background first.
        padding: by what share of its sides a box grows on each side before anything looks at it.
        options: of the head.

    Attributes:
        grid: rows and columns of the answer of a box.
        memory_format: for training. In `torch.channels_last` GroupNorm of two channels a group, which is most of what
            happens on such small grids, was measured to be four times slower on a CPU.
    """

    memory_format = torch.contiguous_format

    def __init__(
        self, head: str, channels: int, map_size: Size, classes: int = 3, *, padding: float = 0.0, **options: object
    ) -> None:
        super().__init__()
        self.head = build_roi_head(head, channels, map_size, classes, **options)
        self.padding = padding
        size: Size = self.head.mask_size  # type: ignore[assignment]
        self.grid: Size = size if self.on_box else GRID
        self.inputs = {"features": Input((channels, *map_size)), "rois": Input((5,), batch="rois")}
        names: Sequence[str] = CLASSES[:classes]
        self.heads = {MASKS: Head(names, "softmax")}

    @property
    def on_box(self) -> bool:
        """Whether the head's own masks lie on the box; else on the whole map."""
        return self.head.region == "box"

    def forward(self, inputs: Inputs) -> dict[str, Float[Tensor, "rois _channels _height _width"]]:
        """Plain ``rois``: masks on the grid of each padded box. What a loader has padded itself (``pooled``, or
        ``features`` with ``boxes``): the head's own outputs."""
        if "rois" not in inputs:
            return self.head(inputs)
        rois = padded(inputs["rois"].float(), self.padding)
        return {MASKS: self.on_grid(self.head({"features": inputs["features"], "rois": rois})[MASKS], rois)}

    def on_grid(
        self, logits: Float[Tensor, "rois _classes _height _width"], rois: Rois
    ) -> Float[Tensor, "rois _classes _rows _columns"]:
        """The head's masks on the grid of each box; those of the whole map are read between their cells."""
        if self.on_box:
            return logits
        rows, columns = logits.shape[2:]
        own = torch.arange(logits.shape[0], device=logits.device, dtype=rois.dtype)
        placed = in_cells(torch.cat([own[:, None], rois[:, 1:]], dim=1), (rows, columns))
        return roi_align(logits, placed, self.grid, sampling_ratio=1)
