"""The view of photographs inside the graph, so that an export carries it and matches training.

The formula is that of `kaname.geometry.resampling.resample_weights`, the one filter, with the sizes and boxes of
`kaname.geometry.view.View`; both are written here in torch operations that ONNX has, because there the image's size is
known only when the file runs. The arithmetic is double precision like theirs: a size that ends in exactly one half
must round the same way, or every point moves.
"""

from __future__ import annotations

import torch
from jaxtyping import Float32, Float64, Real
from torch import Tensor, nn

from kaname.errors import InputError
from kaname.geometry.grid import HALF
from kaname.geometry.view import View

Numbers = Float64[Tensor, "*_numbers"]
Axis = tuple[Float64[Tensor, "_pixels"], Numbers, Numbers]  # its pixels, its scale and its offset


class Preprocess(nn.Module):
    """Images of any size as a view shows them, antialiased, black around.

    Equal to ``view.into(size, box).image(image, view.input_size)`` on floating-point images.

    Args:
        view: how they are fitted.
    """

    def __init__(self, view: View) -> None:
        super().__init__()
        self.view = view

    def forward(
        self, images: Real[Tensor, "images height width channels"], boxes: Float32[Tensor, "boxes 4"] | None = None
    ) -> Float32[Tensor, "batch channels rows columns"]:
        """Images ``(B, H, W, C)``, uint8 or float in 0..255, to ``(B, C, height, width)`` float32 in 0..255.

        A crop takes ``boxes`` ``(N, 4)`` in pixels of the images, N of one image or one per image, and gives N.
        """
        (down, scale_y, offset_y), (across, scale_x, offset_x) = self._axes(images, boxes)
        rows, columns = self.view.input_size
        planes = images.permute(0, 3, 1, 2).to(torch.float32)
        # Columns first: most photographs are wider than high, so this product shrinks them the most.
        narrow = planes @ _weights(across, scale_x, offset_x, columns).transpose(-2, -1)
        return _weights(down, scale_y, offset_y, rows) @ narrow

    def boxes(
        self, boxes: Float32[Tensor, "boxes 4"], images: Real[Tensor, "images height width channels"]
    ) -> Float32[Tensor, "boxes 4"]:
        """Boxes ``(N, 4)`` in pixels of the images to pixels of the input, of a view that shows whole images."""
        (_, scale_y, offset_y), (_, scale_x, offset_x) = self._axes(images, None)
        scale, offset = torch.stack([scale_x, scale_y]).repeat(2), torch.stack([offset_x, offset_y]).repeat(2)
        return (boxes * scale + offset).to(torch.float32)

    def _axes(
        self, images: Real[Tensor, "batch height width channels"], boxes: Real[Tensor, "boxes 4"] | None
    ) -> tuple[Axis, Axis]:
        """For the axes (down, across): the input's pixels, output pixels in one of them, where its 0 lies."""
        rows, columns = self.view.size
        down, across = (_positions(images.shape[axis], images.device) for axis in (1, 2))
        # The number of pixels as a tensor: a Python number would be baked into an export.
        height, width = down[-1] + 1, across[-1] + 1
        if self.view.fit == "crop":
            if boxes is None:
                raise InputError("a crop needs boxes", remedy="give boxes (N, 4) in pixels of the images")
            x1, y1, x2, y2 = boxes.to(torch.float64).unbind(1)
            side = torch.maximum((x2 - x1) / columns, (y2 - y1) / rows) * self.view.factor
            scale = 1 / side
            offset_y, offset_x = rows / 2 - scale * (y1 + y2) / 2, columns / 2 - scale * (x1 + x2) / 2
            return (down, scale, offset_y), (across, scale, offset_x)
        scale_y, scale_x = rows / height, columns / width
        if self.view.fit == "letterbox":
            scale_y = scale_x = torch.minimum(scale_y, scale_x)
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        for axis, length, scale in ((0, height, scale_y), (1, width, scale_x)):
            inner = torch.clamp(torch.floor(length * scale + HALF), min=1)
            offset = torch.floor((self.view.size[axis] - inner) / 2) + self.view.margin[axis]
            parts.append(((down, across)[axis], inner / length, offset))
        return parts[0], parts[1]


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
