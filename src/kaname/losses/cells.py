"""How much each cell of a mask counts, and which are not sure: weights and targets for `kaname.losses.rois`.

All functions take classes ``(N, h, w)`` as the losses do; weights of several kinds are multiplied.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kaname.geometry.grid import centres
from kaname.losses.rois import BACKGROUND, IGNORE, NON_TARGET, TARGET, Cells, Classes
from kaname.shapes import Bool, Float

Where = Bool[Tensor, "rois height width"]
Boxes = Float[Tensor, "rois 4"]


def distance_within(where: Where, reach: int) -> Cells:
    """Distance in cells from each cell to the nearest one that is True; more than ``reach`` is infinite.

    Exact: along columns, then along rows (Felzenszwalb, Huttenlocher: Distance transforms of sampled functions), with
    the parabolas cut at ``reach``: ``2 (2 reach + 1)`` passes over the cells on whatever device they are.
    """
    squares = torch.where(where, 0.0, torch.inf)
    for axis in (1, 2):
        length, lowest = squares.shape[axis], squares.clone()
        for step in range(1, min(reach, length - 1) + 1):
            for source, goal in ((0, step), (step, 0)):
                part = lowest.narrow(axis, goal, length - step)
                torch.minimum(part, squares.narrow(axis, source, length - step) + step**2, out=part)
        squares = lowest
    return torch.where(squares <= reach**2, squares.sqrt(), torch.inf)


def touching_weights(targets: Classes, *, weight: float, reach: int = 3) -> Cells:
    """``weight`` for cells within ``reach`` of both the target and a non-target, where people touch; 1 elsewhere."""
    near = [distance_within(targets == number, reach) <= reach for number in (TARGET, NON_TARGET)]
    return torch.where(near[0] & near[1], weight, 1.0)


def ignore_borders(targets: Classes, *, reach: int = 1) -> Classes:
    """Targets with `IGNORE` wherever another class is at most ``reach`` cells away: annotations are not that exact."""
    unsure = torch.zeros_like(targets, dtype=torch.bool)
    for number in (BACKGROUND, TARGET, NON_TARGET):
        other = (targets != number) & (targets != IGNORE)
        unsure |= (targets == number) & (distance_within(other, reach) <= reach)
    return torch.where(unsure, IGNORE, targets)


def inside_boxes(boxes: Boxes, size: tuple[int, int]) -> Where:
    """Which cells of a whole map of ``size`` have their centre in a box ``(N, 4)``, normalised to 0..1 of the map."""
    rows, columns = size
    y = torch.as_tensor(centres(rows) / rows, dtype=boxes.dtype, device=boxes.device)[:, None]
    x = torch.as_tensor(centres(columns) / columns, dtype=boxes.dtype, device=boxes.device)[None, :]
    x1, y1, x2, y2 = boxes[:, :, None, None].unbind(dim=1)
    return (x >= x1) & (x <= x2) & (y >= y1) & (y <= y2)


def box_weights(boxes: Boxes, size: tuple[int, int], *, inside: float = 1.0, outside: float = 0.1) -> Cells:
    """``inside`` for cells in the box ``(N, 4)``, ``outside`` for those around it, for heads that see the whole map."""
    return torch.where(inside_boxes(boxes, size), inside, outside).to(boxes.dtype)


def outside_is_background(targets: Classes, boxes: Boxes) -> Classes:
    """Targets of whole maps with background alone outside the box, whoever stands there."""
    inside = inside_boxes(boxes, (targets.shape[1], targets.shape[2]))
    return torch.where(inside, targets, BACKGROUND)
