from __future__ import annotations

import numpy as np
import pytest

from kaname.geometry.ellipse import Ellipse, fit, recentred

AXES = np.array([[1 / 90, 0.002], [0.002, 1 / 60]])


def around(degrees: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=1)


def test_placed_is_the_inverse_of_circled() -> None:
    ellipse = Ellipse(np.array([120.0, 80.0]), AXES)
    points = np.random.default_rng(0).uniform(0, 200, (20, 2))
    np.testing.assert_allclose(ellipse.placed(ellipse.circled(points)), points)
    np.testing.assert_allclose(np.hypot(*ellipse.circled(ellipse.outline(7)).T), 1)


@pytest.mark.parametrize("centre", [None, np.array([123.0, 78.0])])
def test_an_ellipse_is_found_among_false_points(centre: np.ndarray | None) -> None:
    """Two of eleven points lie elsewhere."""
    real = Ellipse(np.array([120.0, 80.0]), AXES)
    points = np.concatenate([real.placed(around(np.arange(135, 406, 30))), [[125.0, 95.0]], [[10.0, 10.0]]])
    found = fit(points, centre)
    assert found is not None
    np.testing.assert_allclose(found.centre, real.centre, atol=1.5)
    np.testing.assert_allclose(np.hypot(*found.circled(points[:10]).T), 1, atol=0.02)
    assert found.radius == pytest.approx(real.radius, rel=0.02)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_few_points_and_a_centre_make_a_circle_about_it(count: int) -> None:
    points = np.array([50.0, 60.0]) + 40 * around(np.linspace(200, 290, count))
    found = fit(points, np.array([50.0, 60.0]))
    assert found is not None
    np.testing.assert_allclose(found.centre, [50, 60], atol=0.1)
    np.testing.assert_allclose(found.circled(found.outline(4)), around(np.arange(0, 360, 90)), atol=1e-9)
    assert found.radius == pytest.approx(40, rel=1e-3)


def test_what_the_points_cannot_say_is_none() -> None:
    line = np.stack([np.arange(5.0), np.arange(5.0)], axis=1)
    assert fit(line) is None
    assert fit(line[:2]) is None
    assert fit(np.zeros((0, 2)), np.zeros(2)) is None


@pytest.mark.parametrize("tilt", [20, 50])
def test_recentred_undoes_perspective(tilt: float) -> None:
    """A unit circle seen obliquely from near: its angles come back but for one turn, given where its centre is seen."""
    angles = np.arange(0, 360, 30)
    plane = np.concatenate([around(angles), [[0.0, 0.0]], 0.5 * around(np.array([70.0]))])
    lean = np.radians(tilt)
    depth = 3 + plane[:, 1] * np.sin(lean)
    seen = np.stack([plane[:, 0], plane[:, 1] * np.cos(lean)], axis=1) / depth[:, None] * 300 + 200
    ellipse = fit(seen[:12])
    assert ellipse is not None
    circled = ellipse.circled(seen)
    back = recentred(circled, circled[12])
    turns = np.degrees(np.arctan2(back[:, 1], back[:, 0]))
    off = (turns[:12] - angles - (turns[0] - angles[0]) + 180) % 360 - 180
    np.testing.assert_allclose(off, 0, atol=0.3)
    np.testing.assert_allclose(back[13], 0.5 * around(np.array([70.0 + turns[0]]))[0], atol=0.01)
