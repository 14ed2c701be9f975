"""Masks on the grid of each box as probabilities of whole images, in torch operations that an export carries.

The numbers are those of `kaname.codecs.roi_mask.paste_probabilities`: bilinear between the centres of cells, constant
beyond the outermost ones, background outside the box.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kaname.geometry.grid import HALF
from kaname.geometry.view import View
from kaname.models.preprocess import Preprocess
from kaname.models.roi_align import Inputs, padded
from kaname.models.roi_masks import MASKS, RoiMasks
from kaname.shapes import Float, UInt8
from kaname.types import Head, Input

Places = Float[Tensor, "_pixels"]
Images = UInt8[Tensor, "_images _height _width 3"]


class Pasted(nn.Module):
    """``features`` and plain ``rois`` normalised to the extractor's input, to ``masks`` ``(N, C, H, W)`` of its size.

    Args:
        network: gives logits on the grid of each box.
        view: of the extractor.
    """

    def __init__(self, network: RoiMasks, view: View) -> None:
        super().__init__()
        self.network = network
        self.rows, self.columns = view.input_size
        self.inputs: dict[str, Input] = dict(network.inputs)
        self.heads = {MASKS: Head(network.heads[MASKS].channels, "none")}

    def forward(self, inputs: Inputs) -> dict[str, Float[Tensor, "boxes _classes _height _width"]]:
        rois = inputs["rois"].float()
        cells = self.network({"features": inputs["features"], "rois": rois})[MASKS].softmax(dim=1)
        boxes = padded(rois, self.network.padding)[:, 1:]
        down, across = (_centres(count, rois) / count for count in (self.rows, self.columns))
        return {MASKS: pasted(cells, boxes, down, across)}


class PastedOnImage(nn.Module):
    """``features``, ``images`` ``(1, h, w, 3)`` and plain ``rois`` normalised to the image, to ``masks`` of its size.

    Of the image only the size is read.

    Args:
        network: gives logits on the grid of each box.
        view: of the extractor, how the image became its input.
    """

    size: Float[Tensor, "4"]

    def __init__(self, network: RoiMasks, view: View) -> None:
        super().__init__()
        self.network, self.preprocess = network, Preprocess(view)
        rows, columns = view.input_size
        self.register_buffer("size", torch.tensor([columns, rows, columns, rows]).float(), persistent=False)
        self.inputs = {**network.inputs, "images": Input((None, None, 3), "uint8", "image")}
        self.heads = {MASKS: Head(network.heads[MASKS].channels, "none")}

    def forward(self, inputs: Inputs) -> dict[str, Float[Tensor, "boxes _classes _height _width"]]:
        rois, images = inputs["rois"].float(), inputs["images"]
        down, across = _centres(images.shape[1], rois), _centres(images.shape[2], rois)
        sides = torch.stack([across[-1] + HALF, down[-1] + HALF]).repeat(2)
        shares = torch.cat([rois[:, :1], self._shares(rois[:, 1:] * sides, images)], dim=1)
        cells = self.network({"features": inputs["features"], "rois": shares})[MASKS].softmax(dim=1)
        boxes = padded(shares, self.network.padding)[:, 1:]
        # Where the centres of the image's pixels lie in the input: an axis at a time, on the image's own edge.
        rows = self._shares(torch.stack([down * 0, down, down * 0, down], dim=1), images)[:, 1]
        columns = self._shares(torch.stack([across, across * 0, across, across * 0], dim=1), images)[:, 0]
        return {MASKS: pasted(cells, boxes, rows, columns)}

    def _shares(self, boxes: Float[Tensor, "_n 4"], images: Images) -> Float[Tensor, "_n 4"]:
        """Boxes in pixels of the image in shares of the extractor's input."""
        return self.preprocess.boxes(boxes, images) / self.size


def pasted(
    cells: Float[Tensor, "boxes classes rows columns"], boxes: Float[Tensor, "boxes 4"], down: Places, across: Places
) -> Float[Tensor, "boxes classes height width"]:
    """Probabilities on the grid of boxes ``(N, 4)`` at the places of pixels, both in one unit; background elsewhere."""
    x1, y1, x2, y2 = boxes[:, :, None].unbind(dim=1)
    inside_y, inside_x = (down >= y1) & (down <= y2) & (y2 > y1), (across >= x1) & (across <= x2) & (x2 > x1)
    tall = _weights((down - y1) / (y2 - y1).clamp(min=1e-12), cells.shape[2])[:, None]
    wide = _weights((across - x1) / (x2 - x1).clamp(min=1e-12), cells.shape[3])[:, None]
    values = tall @ cells @ wide.transpose(2, 3)
    inside = (inside_y[:, :, None] & inside_x[:, None, :])[:, None]
    background = torch.zeros_like(cells[:1, :, :1, :1])
    background[:, 0] = 1
    return torch.where(inside, values, background)


def _weights(shares: Float[Tensor, "boxes pixels"], count: int) -> Float[Tensor, "boxes pixels {count}"]:
    """The matrices of linear interpolation of ``count`` cells at places in shares of the box."""
    index = (shares * count - HALF).clamp(0, count - 1)
    cells = torch.arange(count, dtype=shares.dtype, device=shares.device)
    return (1 - (index[:, :, None] - cells).abs()).clamp(min=0)


def _centres(count: int, like: Float[Tensor, "*_any"]) -> Places:
    return torch.arange(count, dtype=torch.float32, device=like.device) + HALF
