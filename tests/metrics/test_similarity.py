"""Similarity of key points against a slow version, by hand, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kaname.errors import InputError
from kaname.metrics.similarity import keypoint_similarity, paired_similarity


def slow(truth: np.ndarray, predicted: np.ndarray, visible: np.ndarray, scale: float, kind: str) -> np.ndarray:
    found = np.zeros((len(truth), len(predicted)))
    for i, j in np.ndindex(*found.shape):
        apart = [math.dist(truth[i, k], predicted[j, k]) for k in range(truth.shape[1]) if visible[i, k] == 2]
        if not apart:
            continue
        d = sum(apart) / len(apart)
        found[i, j] = math.exp(-(d**2) / (2 * scale**2)) if kind == "gaussian" else max(0.0, 1 - d / scale)
    return found


@pytest.mark.parametrize("kind", ["gaussian", "linear"])
def test_against_a_slow_version(kind: str) -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        objects, others, points = random.integers(0, 5, 3)
        truth = random.uniform(0, 60, (objects, points, 2))
        predicted = random.uniform(0, 60, (others, points, 2))
        visible = random.choice([-1, 0, 1, 2], (objects, points))
        found = keypoint_similarity(truth, predicted, visible, 17.0, kind)
        np.testing.assert_allclose(found, slow(truth, predicted, visible, 17.0, kind), atol=1e-12)


def test_by_hand() -> None:
    """The distance at which a pair just passes alpha, as the challenge's numbers have it."""
    for alpha, distance in ((0.05, 24.48), (0.5, 11.774), (0.95, 3.203)):
        assert keypoint_similarity([[[0, 0]]], [[[0, distance]]], [[2]]).item() == pytest.approx(alpha, abs=1e-3)
    hidden = keypoint_similarity([[[np.nan, np.nan], [3, 4]]], [[[9, 9], [3, 4]]], [[0, 2]])
    assert hidden.item() == 1  # the other point has no say
    assert keypoint_similarity([[[3, 4]]], [[[3, 4]]], [[1]]).item() == 0  # nothing is visible
    lost = keypoint_similarity([[[3, 4], [0, 0]]], [[[3, 4], [np.nan, np.nan]]], [[2, 2]])
    assert lost.item() == 0  # a visible point that the prediction lacks
    assert keypoint_similarity([[[3, 4], [0, 0]]], [[[3, 4], [np.nan, np.nan]]], [[2, 1]]).item() == 1


def test_visibility_as_booleans() -> None:
    """True was taken for 1, a hidden point, so that nothing counted."""
    truth, predicted, seen = [[[0, 0], [9, 9]]], [[[3, 4], [0, 0]]], np.array([[True, False]])
    expected = keypoint_similarity(truth, predicted, [[2, 0]])
    assert expected.item() > 0.5 and keypoint_similarity(truth, predicted, seen) == expected
    assert paired_similarity(truth, predicted, seen) == expected


def test_what_is_refused() -> None:
    one = [[[0.0, 0.0]]]
    for arguments, reason in (
        ((one, one, [[2]], 10, "oks"), "no similarity is called 'oks'; known: gaussian, linear"),
        ((one, one, [[2]], 0), "greater than 0"),
        ((one, [[[0, 0], [1, 1]]], [[2]]), r"truth \(1, 1, 2\), predictions \(1, 2, 2\)"),
        (([[[np.nan, 0]]], one, [[2]]), "a visible true point has no coordinates"),
    ):
        with pytest.raises(InputError, match=reason):
            keypoint_similarity(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["gaussian", "linear"])
def test_pairs_are_the_diagonal(kind: str) -> None:
    """Hidden points, absent ones and places that are not there included."""
    random = np.random.default_rng(0)
    true, found = random.uniform(0, 30, (40, 3, 2)), random.uniform(0, 30, (40, 3, 2))
    visible = random.integers(0, 3, (40, 3))
    found[random.uniform(size=(40, 3)) < 0.1] = np.nan
    whole = keypoint_similarity(true, found, visible, 20.0, kind)
    np.testing.assert_array_equal(paired_similarity(true, found, visible, 20.0, kind), np.diag(whole))
