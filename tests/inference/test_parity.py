"""Whether two models answer alike, with runners that answer as they are told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from kaname.errors import InputError
from kaname.geometry.view import View
from kaname.inference.model import Model
from kaname.inference.parity import Parity, compare
from kaname.inference.request import Arrays, Request
from kaname.types import Frame, Masks, Points

IMAGE = np.zeros((16, 16, 3), np.uint8)
CARD = {"input_size": [16, 16], "config": {}, "recipe": "gauge", "channels": ["a"], "backbone": {}}
Found = Sequence[tuple[float, float, float]]


def saying(found: Found, *, shift: float = 0.0, shape: tuple[int, ...] = (1, 1, 4, 4)) -> Model:
    """A model that finds ``(x, y, score)`` and whose maps lie ``shift`` beside zero."""
    points = np.array([row[:2] for row in found], dtype=float).reshape(-1, 2)
    scores = np.array([row[2] for row in found], dtype=float)

    def decode(outputs: Arrays, request: Request) -> list[Points]:
        return [Points({"a": points}, {"a": scores}, request.size) for _ in request.frames]

    return Model(CARD, lambda inputs: {"heatmaps": np.full(shape, shift, np.float32)}, decode)


def asked(*images: np.ndarray) -> list[tuple[str, Request]]:
    view = View("letterbox", (16, 16))
    return [("a.png", Request([Frame(0, 0.0, image)], view)) for image in images or [IMAGE]]


def parity(ours: Found, theirs: Found, **changes: Any) -> Parity:
    return compare(saying(ours), saying(theirs, **changes), asked(), 0.5)


def test_equal_answers_pass() -> None:
    found = parity([(1, 2, 0.9), (8, 8, 0.7)], [(8, 8, 0.7), (1, 2, 0.9)])
    assert found.passed and found.distances == [0.0, 0.0] and found.images == 1
    assert parity([], []).passed and parity([], []).percentile_99_px == 0.0
    assert json.loads(json.dumps(found.to_dict()))["passed"] is True


@pytest.mark.parametrize(
    ("shift", "passed"), [(9e-5, True), (1.1e-4, False), (float("nan"), False), (float("inf"), False)]
)
def test_maps(shift: float, passed: bool) -> None:
    assert parity([(1, 1, 0.9)], [(1, 1, 0.9)], shift=shift).passed is passed


@pytest.mark.parametrize(("distance", "passed"), [(0.049, True), (0.06, False), (3.0, False)])
def test_distances(distance: float, passed: bool) -> None:
    found = parity([(1, 1, 0.9)], [(1 + distance, 1, 0.9)])
    assert found.passed is passed and found.percentile_99_px == pytest.approx(distance) and not found.unmatched


def test_a_point_far_away_is_no_match_however_many_agree() -> None:
    many = [(10.0 * number, 0.0, 0.9) for number in range(300)]
    found = parity([*many, (0.0, 50.0, 0.9)], [*many, (0.0, 90.0, 0.9)])
    assert found.percentile_99_px == 0.0 and len(found.unmatched) == 2 and not found.passed


def test_as_many_pairs_as_can_be() -> None:
    found = parity([(0, 0, 0.9), (4, 0, 0.9)], [(4, 0, 0.9), (8, 0, 0.9)])
    assert sorted(found.distances) == [4.0, 4.0] and not found.unmatched


@pytest.mark.parametrize(
    ("score", "excused"), [(0.5, True), (0.50009, True), (0.49995, True), (0.5002, False), (0.9, False)]
)
def test_a_point_more_or_less_only_at_the_threshold(score: float, excused: bool) -> None:
    for ours, theirs, side in (([(3, 4, score)], [], "model"), ([], [(3, 4, score)], "export")):
        found = parity(ours, theirs)
        assert found.passed is excused
        (line,) = found.at_threshold if excused else found.unmatched
        assert f"a.png: a (3.00, 4.00) score {score:.6f} only in the {side}" == line


def test_points_that_are_absent_are_no_points() -> None:
    nan = float("nan")
    found = parity([(nan, nan, 0.0), (3, 4, 0.9)], [(3, 4, 0.9), (nan, nan, 0.0)])
    assert found.passed and found.distances == [0.0]
    lost = parity([(nan, nan, 0.0), (3, 4, 0.9)], [(nan, nan, 0.0), (nan, nan, 0.0)])
    assert lost.unmatched == ["a.png: a (3.00, 4.00) score 0.900000 only in the model"]


def test_without_a_threshold_nothing_is_excused() -> None:
    found = compare(saying([(3, 4, 0.0)]), saying([]), asked(), None)
    assert len(found.unmatched) == 1 and not found.at_threshold


def test_every_output_and_every_frame() -> None:
    def told(second: float, places: Sequence[float]) -> Model:
        outputs = {"heatmaps": np.zeros((1, 2, 4, 4), np.float32), "line": np.full((1, 3), second, np.float32)}
        answers = [Points({"a": np.array([[x, 1.0]])}, {"a": np.ones(1)}, (16, 16)) for x in places]
        return Model({**CARD, "frames": 2}, lambda inputs: outputs, lambda outputs, request: answers)

    window = [("clip", Request([Frame(0, 0.0, IMAGE), Frame(1, 0.1, IMAGE)], View("letterbox", (16, 16))))]
    assert compare(told(0.2, [1, 2]), told(0.2, [1, 2]), window, 0.5).passed
    assert not compare(told(0.2, [1, 2]), told(0.2002, [1, 2]), window, 0.5).passed
    moved = compare(told(0.2, [1, 2]), told(0.2, [1, 9]), window, 0.5)
    assert [line.split(":")[0] for line in moved.unmatched] == ["clip[1]"] * 2
    with pytest.raises(InputError, match="line"):
        compare(told(0.2, [1, 2]), saying([]), window, 0.5)


def masks_of(probabilities: np.ndarray) -> Model:
    boxes = np.tile([[2.0, 3.0, 10.0, 11.0]], (len(probabilities), 1))
    answer = Masks(probabilities.astype(np.float32), boxes, [str(n) for n in range(probabilities.shape[1])], (16, 16))
    return Model(CARD, lambda inputs: {"masks": np.zeros((1, 1), np.float32)}, lambda outputs, request: [answer])


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_masks_differ_in_no_pixel_but_ties(classes: int) -> None:
    """A cell that moves from one class to another counts, unless the two lay within 1e-4 of each other."""
    base = np.full((2, classes, 8, 8), 0.1)
    base[:, -1] = 0.8
    sure, tie, other = base.copy(), base.copy(), base.copy()
    if classes == 1:
        sure[1, 0, 2, 2], tie[1, 0, 2, 2], other[1, 0, 2, 2] = 0.2, 0.50004, 0.49998
    else:
        sure[1, :2, 2, 2], tie[1, :2, 2, 2], other[1, :2, 2, 2] = (0.9, 0.05), (0.50004, 0.49996), (0.49998, 0.50002)
        if classes == 3:
            sure[1, 2, 2, 2] = tie[1, 2, 2, 2] = other[1, 2, 2, 2] = 0.0
    same = compare(masks_of(base), masks_of(base), asked(), None)
    assert same.passed and same.pixels == 2 * 16 * 16 and same.to_dict()["pixels_apart"] == 0
    apart = compare(masks_of(base), masks_of(sure), asked(), None)
    assert not apart.passed and apart.pixels_apart >= 1
    tied = compare(masks_of(tie), masks_of(other), asked(), None)
    assert tied.passed and tied.pixels_at_tie >= 1 and tied.pixels_apart == 0
    with pytest.raises(InputError, match="the export answers with Points, the model with Masks"):
        other_kind = saying([])
        compare(masks_of(base), Model(CARD, masks_of(base).runner, other_kind.decode), asked(), None)


def test_maps_of_another_shape() -> None:
    with pytest.raises(InputError, match="maps of"):
        parity([], [], shape=(1, 2, 4, 4))
