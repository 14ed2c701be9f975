"""Consistency along the flow: slow references, gradients, directions, what is left out, one gradient for any split."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kaname.codecs.heatmap import decode, encode
from kaname.geometry.grid import Grid
from kaname.losses.temporal import at, coordinate_consistency, heatmap_consistency, warped

CANVAS = (24, 40)
CELLS = (8, 10)  # strides 3 down, 4 across
GRID = Grid.between(CANVAS, CELLS)


def example(images: int = 6, channels: int = 3) -> dict[str, Tensor]:
    random = np.random.default_rng(0)
    seen = random.random((images, *CANVAS)) < 0.995
    seen[1] = False  # has no frame before
    made: dict[str, Any] = {
        "logits": random.normal(0, 2, (images, channels, *CELLS)),
        "before": random.normal(0, 2, (images, channels, *CELLS)),
        "flow": random.normal(0, 3, (images, *CANVAS, 2)),
        "points": random.uniform(0, 24, (images, channels, 2)),
        "previous": random.uniform(0, 24, (images, channels, 2)),
        "peaks": random.choice([0.01, 0.05, 0.6], (images, channels)),
        "scale": random.uniform(1, 4, (images, 2)),
    }
    made["previous"][2:3, 0] = np.nan
    tensors = {name: torch.from_numpy(value) for name, value in made.items()}
    return {**tensors, "seen": torch.from_numpy(seen)}


def of_maps(e: dict[str, Tensor], **options: float) -> tuple[Tensor, Tensor]:
    return heatmap_consistency(e["logits"], e["before"], e["flow"], e["seen"], GRID, **options)


def of_points(e: dict[str, Tensor], **options: float) -> tuple[Tensor, Tensor]:
    parts = (e[name] for name in ("points", "previous", "peaks", "flow", "seen", "scale"))
    return coordinate_consistency(*parts, **options)


LOSSES = {"maps": (of_maps, "logits"), "points": (of_points, "points")}
EVERY = pytest.mark.parametrize("name", LOSSES)


def bilinear(values: np.ndarray, x: float, y: float) -> np.ndarray:
    """Of ``(rows, columns, ...)`` at an index, held within the outermost ones."""
    rows, columns = values.shape[:2]
    x, y = min(max(x, 0.0), columns - 1), min(max(y, 0.0), rows - 1)
    left, top = min(int(x), columns - 2), min(int(y), rows - 2)
    a, b = x - left, y - top
    upper = values[top, left] * (1 - a) + values[top, left + 1] * a
    return upper * (1 - b) + (values[top + 1, left] * (1 - a) + values[top + 1, left + 1] * a) * b


def inside(x: float, y: float) -> bool:
    return 0 <= x <= CANVAS[1] and 0 <= y <= CANVAS[0]


def slow_maps(e: dict[str, np.ndarray], image: int, epsilon: float) -> float | None:
    p, q = (1 / (1 + np.exp(-e[name][image])) for name in ("logits", "before"))
    squares = []
    for row, column in np.ndindex(*CELLS):
        x, y = (column + 0.5) * 4, (row + 0.5) * 3
        if bilinear(e["seen"][image].astype(float), x - 0.5, y - 0.5) < 1 - 1e-9:
            continue
        u, v = bilinear(e["flow"][image], x - 0.5, y - 0.5)
        if not inside(x + u, y + v):
            continue
        before = bilinear(np.moveaxis(q, 0, 2), (x + u) / 4 - 0.5, (y + v) / 3 - 0.5)
        squares.append((p[:, row, column] - before) ** 2)
    return float(np.maximum(np.mean(squares, axis=0) - epsilon, 0).mean()) if squares else None


def slow_points(e: dict[str, np.ndarray], image: int, epsilon: float) -> float | None:
    apart = []
    for (x, y), (px, py), peak in zip(e["points"][image], e["previous"][image], e["peaks"][image], strict=True):
        if math.isnan(px) or peak < 0.05 or not inside(px, py):
            continue
        u, v = bilinear(e["flow"][image], px - 0.5, py - 0.5)
        agreed = bilinear(e["seen"][image].astype(float), px - 0.5, py - 0.5) > 1 - 1e-9
        if agreed and inside(px + u, py + v):
            sx, sy = e["scale"][image]
            apart.append(max(0.0, math.hypot((px + u - x) * sx, (py + v - y) * sy) - epsilon))
    return sum(apart) / len(apart) if apart else None


@EVERY
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_against_a_slow_reference(name: str, share: float) -> None:
    e = example()
    epsilon = share * (0.06 if name == "maps" else 20.0)
    loss, images = LOSSES[name][0](e, epsilon=epsilon)
    arrays = {key: value.numpy() for key, value in e.items()}
    each = [(slow_maps if name == "maps" else slow_points)(arrays, image, epsilon) for image in range(6)]
    known = [value for value in each if value is not None]
    assert each[1] is None and images.item() == len(known) >= 4
    assert loss.item() == pytest.approx(sum(known), abs=1e-9) and sum(known) > 0.01


@EVERY
def test_the_gradient(name: str) -> None:
    e = example(2, 1 if name == "maps" else 3)
    e["seen"][:] = True
    call, given = LOSSES[name]
    values = e[given].requires_grad_()
    assert torch.autograd.gradcheck(lambda one: call({**e, given: one})[0], (values,))


@EVERY
def test_any_split_gives_one_gradient(name: str) -> None:
    """In float32; an image without a frame before counts for nothing."""
    call, given = LOSSES[name]
    found = []
    for size in (6, 2, 1):
        e = {key: value.float() if value.is_floating_point() else value for key, value in example().items()}
        values = e[given].requires_grad_()
        sums = [call({key: value[i : i + size] for key, value in e.items()}) for i in range(0, 6, size)]
        loss, count = (torch.stack(parts).sum() for parts in zip(*sums, strict=True))
        loss.backward()
        assert values.grad is not None and torch.isfinite(values.grad).all() and not values.grad[1].any()
        found.append((loss.detach() / count, values.grad / count))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=0, atol=1e-6)


@EVERY
def test_the_frame_before_has_no_gradient(name: str) -> None:
    e = example()
    given = "before" if name == "maps" else "previous"
    values = e[given].nan_to_num(3.0).requires_grad_()
    other = e[LOSSES[name][1]].requires_grad_()
    LOSSES[name][0]({**e, given: values})[0].backward()
    assert values.grad is None and other.grad is not None


@EVERY
def test_nothing_before_is_nothing_at_all(name: str) -> None:
    e = example()
    e["seen"][:] = False
    e["flow"][:] = 0
    values = e[LOSSES[name][1]].requires_grad_()
    loss, count = LOSSES[name][0](e)
    loss.backward()
    assert loss.item() == count.item() == 0 and values.grad is not None and not values.grad.any()


def test_equal_points_have_a_finite_gradient() -> None:
    """Where the point is exactly where the flow takes it."""
    points = torch.full((1, 2, 2), 12.0, requires_grad=True)
    flow, seen = torch.zeros(1, *CANVAS, 2), torch.ones(1, *CANVAS, dtype=torch.bool)
    loss, count = coordinate_consistency(points, points, torch.ones(1, 2), flow, seen, torch.ones(1, 2))
    loss.backward()
    assert loss.item() == 0 and count.item() == 1 and points.grad is not None and not points.grad.any()


@pytest.mark.parametrize("strides", [(1.0, 1.0), (4.0, 4.0), (2.75, 4.9)])
def test_a_rendered_dot_warps_to_its_place(strides: tuple[float, float]) -> None:
    """Within 0.05 px, on grids of unequal strides: only with the right one of the two flows."""
    cells = (49, 49)
    canvas = (round(cells[0] * strides[0]), round(cells[1] * strides[1]))
    grid = Grid.between(canvas, cells)
    before = np.array([[0.37, 0.46]]) * canvas[::-1]
    move = np.array([6.3, -4.1]) * max(1.0, strides[0] / 4)
    map_before = torch.from_numpy(encode(before, [2], cells, grid, 2.0))[None].double()
    # Only this frame's flow is right; the other frame's pixels are told nonsense.
    flow = torch.from_numpy(np.broadcast_to(-move, (1, *canvas, 2)).copy())
    seen = torch.ones(1, *canvas, dtype=torch.bool)
    found, counts = warped(map_before, flow, seen, grid)
    place, _ = decode(found[0].numpy(), grid, "dark")
    assert np.abs(place[0] - (before[0] + move)).max() < 0.05
    wrong, _ = warped(map_before, -flow, seen, grid)
    assert np.abs(decode(wrong[0].numpy(), grid, "dark")[0][0] - (before[0] + move)).max() > 5
    assert counts.any() and not counts.all()  # what comes from beyond the canvas is not known
    now = torch.from_numpy(encode(before + move, [2], cells, grid, 2.0))[None].double().clamp(1e-6, 1 - 1e-6)
    right, turned = (
        heatmap_consistency(now.logit(), map_before.clamp(1e-6, 1 - 1e-6).logit(), one, seen, grid)[0]
        for one in (flow, -flow)
    )
    assert right < 0.02 * turned


def test_a_point_is_moved_by_the_flow_at_its_old_place() -> None:
    flow = torch.zeros(1, *CANVAS, 2)
    flow[0, 10, 5] = torch.tensor([7.0, 2.0])
    seen = torch.ones(1, *CANVAS, dtype=torch.bool)
    old, new = torch.tensor([[[5.5, 10.5]]]), torch.tensor([[[12.5, 12.5]]])
    scale = torch.tensor([[2.0, 3.0]])
    exact = coordinate_consistency(new, old, torch.ones(1, 1), flow, seen, scale)
    assert exact[0].item() < 1e-4 and exact[1].item() == 1
    beside = coordinate_consistency(new + torch.tensor([1.0, 1.0]), old, torch.ones(1, 1), flow, seen, scale)
    assert beside[0].item() == pytest.approx(math.hypot(2, 3), abs=1e-4)
    seen[0, 10, 5] = False
    assert coordinate_consistency(new, old, torch.ones(1, 1), flow, seen, scale)[1].item() == 0


def test_sampling_on_both_kinds_of_grid() -> None:
    maps = torch.arange(12.0).reshape(1, 1, 3, 4)
    centred, aligned = Grid((2.0, 4.0)), Grid((2.0, 4.0), "aligned")
    for grid in (centred, aligned):
        places = torch.as_tensor(grid.from_index([[0, 0], [3, 2], [1.5, 1]]), dtype=torch.float32)[None]
        assert at(maps, places, grid)[0, 0].tolist() == pytest.approx([0, 11, 5.5])
    assert at(maps, torch.tensor([[[-50.0, 99.0]]]), centred).item() == 8
