"""Which cells count: distances against SciPy's, borders, boxes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from kaname.losses.cells import (
    box_weights,
    distance_within,
    ignore_borders,
    inside_boxes,
    outside_is_background,
    touching_weights,
)
from kaname.losses.rois import IGNORE


@pytest.mark.parametrize("reach", [1, 3, 8, 40])
@pytest.mark.parametrize("share", [0.02, 0.3])
def test_distances_are_exact_up_to_the_reach(reach: int, share: float) -> None:
    where = np.random.default_rng(1).random((4, 17, 23)) < share
    where[3] = False
    found = distance_within(torch.from_numpy(where), reach).numpy()
    assert np.isinf(found[3]).all()
    for one, values in zip(where[:3], found[:3], strict=True):
        wanted = ndimage.distance_transform_edt(~one)
        np.testing.assert_allclose(values, np.where(wanted <= reach, wanted, np.inf), rtol=1e-6)


def row(*classes: int) -> torch.Tensor:
    return torch.tensor([[classes]])


def test_people_who_touch() -> None:
    targets = row(1, 1, 1, 1, 2, 2, 2, 2, 0, 0)
    assert touching_weights(targets, weight=4, reach=2).tolist() == [[[1, 1, 4, 4, 4, 4, 1, 1, 1, 1]]]
    assert touching_weights(row(1, 1, 0, 2, 2), weight=4, reach=2).tolist() == [[[1, 4, 4, 4, 1]]]  # a gap counts too
    assert (touching_weights(row(1, 1, 0, 0), weight=4) == 1).all()


def test_borders_are_ignored() -> None:
    assert ignore_borders(row(0, 0, 0, 1, 1, 1, 2, 2, 2)).tolist() == [[[0, 0, 255, 255, 1, 255, 255, 2, 2]]]
    assert ignore_borders(row(0, IGNORE, 1, 1), reach=1).tolist() == [[[0, 255, 1, 1]]]
    assert (ignore_borders(row(1, 1, 1)) == 1).all()


def test_boxes_on_the_whole_map() -> None:
    boxes = torch.tensor([[0.0, 0.0, 0.5, 1.0], [0.3, 0.3, 0.9, 0.6]])
    found = inside_boxes(boxes, (4, 4))
    assert found[0].tolist() == [[True, True, False, False]] * 4
    assert found[1].tolist() == [[False] * 4, [False, True, True, True], [False] * 4, [False] * 4]
    assert box_weights(boxes, (4, 4), outside=0.25)[1, 1].tolist() == [0.25, 1, 1, 1]
    targets = torch.full((2, 4, 4), 2)
    assert outside_is_background(targets, boxes)[0, 0].tolist() == [2, 2, 0, 0]
