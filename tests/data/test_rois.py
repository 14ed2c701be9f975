"""Targets of an epoch and their boxes: how many, how often each, and how far a jitter goes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from kaname.codecs.roi_mask import targets
from kaname.data.randomness import generator
from kaname.data.rois import Targets, jittered, large_enough, non_target_shares, region
from kaname.errors import InputError
from kaname.geometry.boxes import iou

CANDIDATES = [np.arange(25), np.array([3, 7]), np.zeros(0, np.int64), np.array([4])]


def test_small_instances_are_no_targets() -> None:
    boxes = [[0, 0, 16, 16], [0, 0, 15.9, 80], [0, 0, 80, 15.9], [5, 5, 40, 90]]
    assert large_enough(boxes, 16).tolist() == [0, 3]
    assert large_enough(np.zeros((0, 4)), 16).tolist() == []


def test_at_most_ten_of_an_image_drawn_anew() -> None:
    chosen = Targets(CANDIDATES, 10, seed=3)
    assert len(chosen) == 10 + 2 + 0 + 1
    seen: Counter[int] = Counter()
    for epoch in range(50):
        drawn = [chosen.at(index, epoch) for index in range(len(chosen))]
        assert len(set(drawn)) == 13 and Counter(image for image, _ in drawn) == {0: 10, 1: 2, 3: 1}
        assert {number for image, number in drawn if image == 1} == {3, 7}
        seen.update(number for image, number in drawn if image == 0)
    assert set(seen) == set(range(25))
    assert max(abs(count - 20) for count in seen.values()) < 17  # 50 * 10 / 25 = 20, deviation 3.5
    again = Targets(CANDIDATES, 10, seed=3)
    assert [again.at(index, 7) for index in range(13)] == [chosen.at(index, 7) for index in range(13)]
    assert [chosen.at(index, -1) for index in range(13)] == [(0, n) for n in range(10)] + [(1, 3), (1, 7), (3, 4)]


def test_hard_targets_come_in_proportion_to_the_others_in_their_box() -> None:
    shares = [np.linspace(0, 0.5, 25), np.array([0.0, 0.25]), np.zeros(0), np.array([0.0])]
    chosen = Targets(CANDIDATES, 10, seed=0, hard=1.0, shares=shares)
    assert len(chosen) == 13
    drawn = Counter(chosen.at(index, epoch) for epoch in range(60) for index in range(13))
    total = sum(float(one.sum()) for one in shares)
    for image, members in enumerate(CANDIDATES):
        for place, number in enumerate(members.tolist()):
            expected = 780 * shares[image][place] / total
            assert abs(drawn[image, number] - expected) <= 5 * np.sqrt(expected)  # 0 of what is alone in its box
    part = Targets(CANDIDATES, 10, seed=0, hard=0.25, shares=shares)
    plain = Targets(CANDIDATES, 10, seed=0)
    other = [part.at(index, epoch) != plain.at(index, epoch) for epoch in range(25) for index in range(13)]
    assert 0.12 < np.mean(other) < 0.32
    with pytest.raises(InputError, match="none is hard"):
        Targets(CANDIDATES, 10, seed=0, hard=0.5, shares=[np.zeros(len(one)) for one in CANDIDATES])


def test_shares_are_those_of_the_target_masks() -> None:
    random = np.random.default_rng(0)
    shapes = [[random.uniform(0, 60, 2) + random.uniform(0, 30, (6, 2))] for _ in range(4)]
    mask = np.zeros((80, 90), bool)
    mask[20:50, 30:60] = True
    everything = [*shapes, mask]
    corners = [one[0] for one in shapes]
    boxes = [[*np.floor(one.min(axis=0)), *np.ceil(one.max(axis=0))] for one in corners] + [[30, 20, 60, 50]]
    found = non_target_shares(everything, boxes, (80, 90))
    for number, (x1, y1, x2, y2) in enumerate(boxes):
        box = [x1, y1, min(x2, 90), min(y2, 80)]
        classes = targets(everything, [box] * 5, number, (int(box[3] - y1), int(box[2] - x1)))
        assert found[number] == pytest.approx((classes == 2).mean(), abs=0.05)
    assert found.max() > 0.1


def test_padding_is_clipped() -> None:
    np.testing.assert_allclose(region([10, 20, 30, 60], 0.1, (62, 200)), [8, 16, 32, 62])


@pytest.mark.parametrize("band", [(0.5, 0.9), (0.7, 0.7), (1.0, 1.0), (0.05, 0.2)])
def test_a_jitter_stays_in_its_band(band: tuple[float, float]) -> None:
    overlaps, centres = [], []
    for seed in range(36):
        random = generator(seed, 0, 0, "jitter")
        box = [[20.0, 30.0, 60.0, 110.0], [0.0, 0.0, 200.0, 150.0], [180.0, 0.0, 200.0, 20.0]][seed % 3]
        found = jittered(random, box, band, (150, 200))
        overlaps.append(iou([found], [box])[0, 0])
        centres.append(found[:2] + found[2:] - np.add(box[:2], box[2:]))
        assert (found[:2] >= 0).all() and (found[2:] <= [200, 150]).all()
    assert band[0] - 1e-6 <= min(overlaps) and max(overlaps) <= band[1] + 1e-6
    if band == (0.5, 0.9):
        assert abs(np.mean(overlaps) - 0.7) < 0.07 and np.std(overlaps) > 0.08 and np.std(centres) > 1


@pytest.mark.parametrize("band", [(0.0, 0.5), (0.6, 0.5), (0.5, 1.1)])
def test_a_band_that_is_none(band: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="an IoU band is"):
        jittered(np.random.default_rng(0), [0, 0, 1, 1], band, (10, 10))
