"""The resize of photographs inside the graph, so that an export carries it and cannot differ from training.

The formula is that of `kaname.geometry.resampling.resample_weights`, the one filter, with the sizes of
`kaname.geometry.affine.Affine.letterbox`; both are written here in torch operations that ONNX has, because there the
image's size is known only when the file runs. The arithmetic is double precision like theirs: a size that lies just
at a half must round the same way, or every point moves.
"""

from __future__ import annotations

import torch
from jaxtyping import Float32, Float64, Real
from torch import Tensor, nn

from kaname.errors import InputError
from kaname.geometry.grid import HALF


class Letterbox(nn.Module):
    """Fit images of any size into one size, in the middle, keeping their shape; antialiased, black around.

    Equal to ``Affine.letterbox(source, size).image(image, size)`` on floating-point images.

    Args:
        size: ``(height, width)`` of the result.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = (int(size[0]), int(size[1]))
        if min(self.size) < 1:
            raise InputError(f"the size of a letterbox must be at least (1, 1), got {self.size}")

    def forward(
        self, images: Real[Tensor, "batch height width channels"]
    ) -> Float32[Tensor, "batch channels rows columns"]:
        """Images ``(B, H, W, C)``, uint8 or float in 0..255, to ``(B, C, height, width)`` float32 in 0..255."""
        rows, columns = self.size
        down = _positions(images.shape[1], images.device)
        across = _positions(images.shape[2], images.device)
        # The number of pixels as a tensor: a Python number would be baked into an export.
        height, width = down[-1] + 1, across[-1] + 1
        scale = torch.minimum(rows / height, columns / width)
        planes = images.permute(0, 3, 1, 2).to(torch.float32)
        # Columns first: a photograph is wider than high more often than not, and this product shrinks it the most.
        narrow = planes @ _weights(across, width, scale, columns).transpose(0, 1)
        return _weights(down, height, scale, rows) @ narrow


def _positions(count: int, device: torch.device) -> Float64[Tensor, "count"]:
    return torch.arange(count, dtype=torch.float64, device=device)


def _weights(
    positions: Float64[Tensor, "n_in"], length: Float64[Tensor, ""], scale: Float64[Tensor, ""], n_out: int
) -> Float32[Tensor, "{n_out} n_in"]:
    """The matrix of one axis.

    Args:
        positions: indices 0 .. length - 1 of the input's pixels.
        length: their number.
        scale: the wanted output pixels in an input pixel; the true one follows from rounding the inner size.
    """
    inner = torch.clamp(torch.floor(length * scale + HALF), min=1)
    offset = torch.floor((n_out - inner) / 2)
    scale = inner / length
    centres = _positions(n_out, positions.device) + HALF
    place = ((centres - offset) / scale)[:, None]
    radius = torch.clamp(1 / scale, min=1)
    triangles = torch.clamp(1 - torch.abs(place - (positions + HALF)) / radius, min=0)
    total = triangles.sum(dim=1, keepdim=True)
    inside = ((place >= 0) & (place <= length)).to(triangles.dtype)
    # Outside, total may be 0 as well; 1 stands in, and `inside` makes the row 0.
    return (triangles * inside / torch.where(total > 0, total, torch.ones_like(total))).to(torch.float32)
