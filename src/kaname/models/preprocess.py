"""The view of photographs inside the graph, so that an export carries it and matches training.

The filter is that of `kaname.geometry.resampling`, with the sizes and boxes of `kaname.geometry.view.View`. Here both
are torch operations that ONNX has, because in a graph the image's size is known only when the file runs. Whole pictures
take the runtime's own antialiased resize, which is that filter; crops, of which each box has its own scale, take it as
matrices. Sizes are computed in double precision as there: one that ends in exactly one half must round the same way, or
every point moves.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from kaname.errors import InputError
from kaname.geometry.grid import HALF
from kaname.geometry.view import View
from kaname.shapes import Float32, Float64, Real


class Preprocess(nn.Module):
    """Images of any size as a view shows them, antialiased, black around.

    Equal to ``view.into(size, box).image(image, view.input_size)`` on floating-point images.

    Args:
        view: how they are fitted.
        matrices: whole pictures by matrices too: what the result is rounded to must not depend on a thousandth of a
            grey level, by which a runtime's own resize may be off.
    """

    def __init__(self, view: View, *, matrices: bool = False) -> None:
        super().__init__()
        self.view, self.matrices = view, matrices

    def forward(
        self, images: Real[Tensor, "images height width channels"], boxes: Float32[Tensor, "boxes 4"] | None = None
    ) -> Float32[Tensor, "batch channels rows columns"]:
        """Images ``(B, H, W, C)``, uint8 or float in 0..255, to ``(B, C, height, width)`` float32 in 0..255.

        A crop takes ``boxes`` ``(N, 4)`` in pixels of the images, N of one image or one per image, and gives N.
        """
        planes = images.permute(0, 3, 1, 2).to(torch.float32)
        if self.view.fit != "crop" and not self.matrices:
            return self._whole(planes)
        rows, columns = self.view.input_size
        if self.view.fit != "crop":
            (scale_y, scale_x), (offset_y, offset_x) = self._placed(planes)
        elif boxes is None:
            raise InputError("a crop needs boxes", remedy="give boxes (N, 4) in pixels of the images")
        else:
            x1, y1, x2, y2 = boxes.to(torch.float64).unbind(1)
            scale_x = scale_y = 1 / (torch.maximum((x2 - x1) / columns, (y2 - y1) / rows) * self.view.factor)
            offset_y, offset_x = rows / 2 - scale_y * (y1 + y2) / 2, columns / 2 - scale_x * (x1 + x2) / 2
        down, across = (_positions(images.shape[axis], images.device) for axis in (1, 2))
        # Columns first: most photographs are wider than high, so this product shrinks them the most.
        narrow = planes @ _weights(across, scale_x, offset_x, columns).transpose(-2, -1)
        return _weights(down, scale_y, offset_y, rows) @ narrow

    def _placed(
        self, planes: Real[Tensor, "images channels height width"]
    ) -> tuple[Float64[Tensor, "2"], Float64[Tensor, "2"]]:
        """Of a whole picture, for the axes (down, across): pixels of the input in one of it, and where its 0 lies."""
        inner, offsets = _inner(planes, self.view), []
        for axis in (0, 1):
            offsets.append(torch.floor((self.view.size[axis] - inner[axis]) / 2) + self.view.margin[axis])
        return inner / _lengths(planes), torch.stack(offsets)

    def _whole(
        self, planes: Float32[Tensor, "images channels height width"]
    ) -> Float32[Tensor, "images channels rows columns"]:
        # No int() around them: an exporter would ask for their values.
        sizes = [cast(int, side.item()) for side in _inner(planes, self.view).to(torch.int64)]
        margins: list[int] = []
        for axis, inner in reversed(list(enumerate(sizes))):
            torch._check(inner >= 1)
            torch._check(inner <= self.view.size[axis])
            before = (self.view.size[axis] - inner) // 2 + self.view.margin[axis]
            margins += [before, self.view.input_size[axis] - inner - before]
        fitted = functional.interpolate(planes, size=sizes, mode="bilinear", antialias=True, align_corners=False)
        return functional.pad(fitted, margins)

    def boxes(
        self, boxes: Float32[Tensor, "boxes 4"], images: Real[Tensor, "images height width channels"]
    ) -> Float32[Tensor, "boxes 4"]:
        """Boxes ``(N, 4)`` in pixels of the images to pixels of the input, of a view that shows whole images."""
        scale, offset = (part.flip(0).repeat(2) for part in self._placed(images.permute(0, 3, 1, 2)))
        return (boxes * scale + offset).to(torch.float32)


def _lengths(planes: Real[Tensor, "images channels height width"]) -> Float64[Tensor, "2"]:
    """Height and width; as a tensor, because a Python number would be baked into an export."""
    return torch.stack([_positions(planes.shape[axis], planes.device)[-1] + 1 for axis in (2, 3)])


def _inner(planes: Real[Tensor, "images channels height width"], view: View) -> Float64[Tensor, "2"]:
    """Whole rows and columns that a picture takes in the view."""
    lengths = _lengths(planes)
    # Divided as the geometry does it: a number over a tensor would be a product with its reciprocal.
    scale = torch.tensor(view.size, dtype=torch.float64, device=planes.device) / lengths
    if view.fit == "letterbox":
        scale = scale.min()
    return torch.clamp(torch.floor(lengths * scale + HALF), min=1)


def _positions(count: int, device: torch.device) -> Float64[Tensor, "count"]:
    return torch.arange(count, dtype=torch.float64, device=device)


def _weights(
    positions: Float64[Tensor, "n_in"], scale: Float64[Tensor, "*boxes"], offset: Float64[Tensor, "*boxes"], n_out: int
) -> Float32[Tensor, "..."]:
    """The matrix of one axis ``(n_out, n_in)``; of several boxes ``(N, 1, n_out, n_in)``, the 1 for the channels.

    Args:
        positions: indices 0 .. length - 1 of the input's pixels.
        scale, offset: ``x`` of the input lies at ``scale * x + offset`` of the output.
    """
    if scale.ndim:
        scale, offset = scale[:, None, None, None], offset[:, None, None, None]
    centres = (_positions(n_out, positions.device) + HALF)[:, None]
    place = (centres - offset) / scale
    radius = torch.clamp(1 / scale, min=1)
    triangles = torch.clamp(1 - torch.abs(place - (positions + HALF)) / radius, min=0)
    total = triangles.sum(dim=-1, keepdim=True)
    inside = ((place >= 0) & (place <= positions[-1] + 1)).to(triangles.dtype)
    # Outside, total may be 0 as well; 1 stands in, and `inside` makes the row 0.
    return (triangles * inside / torch.where(total > 0, total, torch.ones_like(total))).to(torch.float32)
