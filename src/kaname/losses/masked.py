"""What losses of maps share: ``loss(maps, targets, mask=None, **options) -> (loss_sum, weight)``.

- ``targets`` lie in 0..1; where ``mask`` is 0 they may be anything, NaN included.
- ``mask`` holds a weight >= 0 for each sample, channel or cell (any dimension may be 1); None counts everything.
- ``loss_sum`` and ``weight`` are scalars (at least float32), whose quotient is the mean loss; the loop adds both up
  first. A batch that is entirely masked has weight 0.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from kaname.shapes import Float, Shaped

Maps = Float[Tensor, "batch channels height width"]
Mask = Shaped[Tensor, "#batch"] | Shaped[Tensor, "#batch #channels"] | Shaped[Tensor, "#batch #channels #height #width"]
Sums = tuple[Float[Tensor, ""], Float[Tensor, ""]]

Loss = Callable[..., Sums]


def prepared(logits: Maps, targets: Maps, mask: Mask | None) -> tuple[Maps, Maps, Mask | None]:
    """Maps, targets and mask in float32 at least; the mask with as many axes, targets that do not count replaced."""
    # Millions of cells are added up: never in half precision.
    dtype = torch.promote_types(logits.dtype, torch.float32)
    logits, targets = logits.to(dtype), targets.to(dtype)
    if mask is not None:
        mask = mask.to(dtype).reshape(*mask.shape, *[1] * (logits.ndim - mask.ndim))
        # NaN * 0 is NaN, forwards and backwards: what does not count is replaced, not multiplied away.
        targets = torch.where(mask > 0, targets, torch.zeros_like(targets))
    return logits, targets, mask


def sums(cells: Maps, mask: Mask | None) -> Sums:
    """The sum of cells ``(B, C, H, W)`` under the mask, and the weight of all that counted."""
    if mask is None:
        return cells.sum(), cells.new_tensor(cells.numel())
    return (cells * mask).sum(), mask.expand_as(cells).sum()
