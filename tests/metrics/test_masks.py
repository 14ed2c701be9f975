"""Masks against slow versions of their definitions."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from kaname.errors import InputError
from kaname.metrics import masks as module
from kaname.metrics.intervals import summary
from kaname.metrics.masks import (
    LEAK,
    MIOU,
    boundary_iou,
    confusion,
    confusions,
    iou_by_class,
    ious,
    leak,
    miou_classes_1_2,
    over,
    target_iou,
)

IGNORED = 255


def test_doctests() -> None:
    assert doctest.testmod(module).failed == 0


def pixels(predicted: np.ndarray, truth: np.ndarray) -> list[tuple[int, int]]:
    return [(p, t) for p, t in zip(predicted.ravel().tolist(), truth.ravel().tolist(), strict=True) if t != IGNORED]


def slow_iou(pairs: list[tuple[int, int]], which: int) -> float | None:
    both = sum(p == which and t == which for p, t in pairs)
    either = sum(which in (p, t) for p, t in pairs)
    return both / either if either else None


def case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    shape = tuple(random.integers(1, 7, 3))
    classes = random.permutation(3)[: random.integers(1, 4)]  # some are absent
    truth = random.choice(classes, shape)
    predicted = np.where(random.random(shape) < 0.6, truth, random.integers(0, 3, shape))
    truth[random.random(shape) < 0.1] = IGNORED
    return predicted, truth


@pytest.mark.parametrize("seed", range(40))
def test_shares_of_pixels_equal_their_definitions(seed: int) -> None:
    predicted, truth = case(seed)
    pairs = pixels(predicted, truth)
    counts = confusions(predicted, truth, 3, IGNORED)
    whole = confusion(predicted, truth, 3, IGNORED)
    assert whole.tolist() == [[pairs.count((p, t)) for p in range(3)] for t in range(3)]
    np.testing.assert_array_equal(counts.sum(axis=0), whole)
    slow = [slow_iou(pairs, which) for which in range(3)]
    expected = [np.nan if value is None else value for value in slow]
    np.testing.assert_allclose(iou_by_class(predicted, truth, 3, IGNORED), expected)
    persons = [value for value in slow[1:] if value is not None]
    assert miou_classes_1_2(counts) == (pytest.approx(sum(persons) / len(persons)) if persons else None)
    others = [p for p, t in pairs if t == 2]
    assert leak(counts) == (pytest.approx(others.count(1) / len(others)) if others else None)
    each = [slow_iou(pixels(p, t), 1) for p, t in zip(predicted, truth, strict=True)]
    np.testing.assert_allclose(target_iou(counts), [np.nan if value is None else value for value in each])


def test_a_perfect_mask_and_a_wrong_one() -> None:
    truth = np.array([[0, 1], [2, 2]])
    assert miou_classes_1_2([confusion(truth, truth, 3)]) == 1 and leak([confusion(truth, truth, 3)]) == 0
    wrong = [confusion([[0, 2], [1, 1]], truth, 3)]
    assert miou_classes_1_2(wrong) == 0 and leak(wrong) == 1
    two = [confusion([[0, 1], [0, 0]], truth, 3)]  # a model of two classes never says 2
    assert miou_classes_1_2(two) == 0.5


def test_intervals_take_the_counts() -> None:
    counts = np.concatenate([confusions(*case(seed), 3, IGNORED) for seed in range(30)])
    rows = counts.reshape(-1, 9)
    for statistic, figure in ((MIOU, miou_classes_1_2), (LEAK, leak)):
        entry = summary(rows, list(range(len(rows))), statistic=statistic, n=200)
        assert entry["value"] == pytest.approx(figure(counts)) and entry["low"] < entry["value"] < entry["high"]
    assert miou_classes_1_2(np.zeros((4, 3, 3))) is None


@pytest.mark.parametrize("wrong", [[3], [-1], [IGNORED]])
def test_a_class_outside_its_range_is_refused(wrong: list[int]) -> None:
    with pytest.raises(InputError, match=r"classes are -?\d+\.\.-?\d+, not 0\.\.2"):
        confusion([0], wrong, 3)
    with pytest.raises(InputError, match="predicted classes are"):
        iou_by_class(wrong, [0], 3)
    with pytest.raises(InputError, match="shape"):
        confusion([0, 1], [0], 3)


def test_over() -> None:
    np.testing.assert_array_equal(over([0.5, 0.51, np.nan], 0.5), [0, 1, np.nan])
    assert np.isnan(ious(np.zeros((2, 3, 3)))).all()


def slow_boundary(mask: np.ndarray, reach: int) -> np.ndarray:
    """Pixels of a mask with something outside it within ``reach`` rows and columns."""
    padded = np.pad(mask, reach)
    return np.array(
        [
            [
                mask[y, x] and not padded[y : y + 2 * reach + 1, x : x + 2 * reach + 1].all()
                for x in range(mask.shape[1])
            ]
            for y in range(mask.shape[0])
        ]
    )


@pytest.mark.parametrize("seed", range(12))
def test_boundaries_equal_their_definition(seed: int) -> None:
    random = np.random.default_rng(seed)
    height, width = random.integers(5, 40, 2).tolist()
    share = float(random.choice([0.02, 0.05, 0.1]))
    y, x = np.ogrid[:height, :width]
    ours, real = (
        np.hypot(y - random.uniform(0, height), x - random.uniform(0, width)) < random.uniform(2, 20) for _ in range(2)
    )
    reach = max(1, round(share * np.hypot(height, width)))
    one, other = slow_boundary(ours, reach), slow_boundary(real, reach)
    either = (one | other).sum()
    expected = (one & other).sum() / either if either else None
    assert boundary_iou(ours, real, share) == (None if expected is None else pytest.approx(expected))


def test_a_boundary_is_stricter_than_the_whole() -> None:
    mask = np.zeros((100, 100), bool)
    mask[10:90, 10:90] = True
    moved = np.roll(mask, 2, axis=1)
    whole = iou_by_class(moved.astype(int), mask.astype(int), 2)[1]
    assert boundary_iou(mask, mask) == 1 and whole > 0.9
    assert (boundary_iou(moved, mask) or 1) < 0.75
    assert boundary_iou(mask & False, mask & False) is None
    with pytest.raises(InputError, match="a true one of"):
        boundary_iou(mask, mask[:-1])
