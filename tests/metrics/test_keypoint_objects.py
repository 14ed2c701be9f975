"""Pairs of objects along a sequence, by hand-computed numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kaname.metrics.hota_kp import Objects
from kaname.metrics.keypoint_objects import COLUMNS, TOLD, measures

Row = tuple[int, Any, list[float], list[int]]  # frame, id, how far right each point is of x = 50, visibilities
GRID = range(0, 21, 10)


def objects(*rows: Row) -> Objects:
    points = np.array([[[50.0 + x, 50.0] for x in places] for _, _, places, _ in rows]).reshape(len(rows), 2, 2)
    visible = np.array([seen for *_, seen in rows], np.int64).reshape(len(rows), 2)
    return Objects(np.array([row[0] for row in rows], np.int64), [row[1] for row in rows], points, visible)


def measured(truth: Objects, predicted: Objects, **changes: Any) -> dict[str, float]:
    options = {"limit": 5.0, "reach": 10.0, **changes}
    return dict(zip(COLUMNS, measures(truth, predicted, GRID, **options).tolist(), strict=True))


def told(found: dict[str, float]) -> list[list[float]]:
    return np.array([found[name] for name in TOLD]).reshape(3, 3).tolist()


def test_found_and_distance() -> None:
    """Hidden points have no distance; frames off the grid and unlabelled points do not count at all."""
    truth = objects((0, 1, [0, 20], [2, 1]), (10, 1, [0, 20], [2, 2]), (20, 1, [0, 20], [-1, 2]))
    predicted = objects((0, 9, [4, 90], [2, 2]), (10, 9, [0, 26], [2, 2]), (13, 9, [0, 0], [2, 2]),
                        (20, 9, [300, 20], [2, 0]))  # fmt: skip
    found = measured(truth, predicted)
    assert (found["seen"], found["found"], found["placed"]) == (4, 3, 4)
    assert found["error"] == pytest.approx(4 + 0 + 6 + 0)
    assert told(found) == [[0, 0, 0], [0, 0, 1], [1, 0, 3]]


def test_a_missed_object_and_a_false_one() -> None:
    """Both are out of frame on the other side; where both sides are empty that was rightly told."""
    found = measured(objects((0, 1, [0, 20], [2, 1])), objects((10, 1, [0, 20], [2, 1])))
    assert (found["seen"], found["found"], found["placed"]) == (1, 0, 0)
    assert told(found) == [[2, 1, 1], [1, 0, 0], [1, 0, 0]]


def test_objects_are_paired_by_distance_not_by_order() -> None:
    truth = objects((0, 1, [0, 20], [2, 2]), (0, 2, [100, 120], [2, 2]))
    predicted = objects((0, 5, [101, 121], [2, 2]), (0, 6, [1, 21], [2, 2]))
    found = measured(truth, predicted, instances=2)
    assert found["found"] == 4 and found["error"] == pytest.approx(4)


def test_jitter_is_the_change_of_the_error() -> None:
    """Neither motion nor a constant shift is jitter; a gap in time is not bridged."""
    moving = [objects(*((frame, 1, [frame + shift, 20.0], [2, 2]) for frame, shift in zip(GRID, shifts, strict=True)))
              for shifts in ([0, 0, 0], [3, 3, 3], [0, 4, 1])]  # fmt: skip
    assert measured(moving[0], moving[1])["jitter"] == 0 and measured(moving[0], moving[1])["changes"] == 4
    shaking = measured(moving[0], moving[2])
    assert shaking["jitter"] == pytest.approx(4 + 3) and shaking["changes"] == 4
    gap = objects((0, 1, [0.0, 20.0], [2, 2]), (20, 1, [24.0, 20.0], [2, 2]))
    assert measured(moving[0], gap)["changes"] == 0


def test_switches() -> None:
    """Another id than before, whatever the ids are; a partner out of reach does not count."""
    truth = objects(*((frame, "a", [0.0, 20.0], [2, 2]) for frame in GRID))
    names = [7, 7, 8]
    near = objects(*((frame, name, [0.0, 20.0], [2, 2]) for frame, name in zip(GRID, names, strict=True)))
    assert (measured(truth, near)["switches"], measured(truth, near)["followed"]) == (1, 2)
    far = objects(*((frame, name, [40.0, 60.0], [2, 2]) for frame, name in zip(GRID, names, strict=True)))
    assert (measured(truth, far)["switches"], measured(truth, far)["followed"]) == (0, 0)


def test_points_without_a_place() -> None:
    truth = objects((0, 1, [0, 20], [2, 2]))
    lost = objects((0, 1, [0, np.nan], [2, 0]))
    found = measured(truth, lost)
    assert (found["seen"], found["found"], found["placed"]) == (2, 1, 1)
    assert measured(truth, objects((0, 1, [np.nan, np.nan], [0, 0])))["placed"] == 0
    assert measured(truth, objects())["seen"] == 2
