"""Ellipses through points, robust to false ones, and the circle that they are a picture of."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaname.compared import Compared

FloatArray = NDArray[np.float64]

NOISE, CENTRE, SHAPE = 0.02, 0.06, 0.2
"""How far points lie from the ellipse, its centre from where it is expected (both in radii), and its shape from a
circle (half the logarithm of the ratio of its axes): what `fit` weighs against each other."""
LOOSE = 0.4  # radii from the circle that it begins with, where no centre is expected; its size too
SCALES = (0.6, 0.4, 0.25, 0.15, 0.1, 0.08, 0.08)  # radii beyond which a point has no say; narrower from pass to pass
SPREAD = 0.3  # radii to which it is widened where half of the points lie far off
MOST = 0.6  # of the points that lie so near to an ellipse about the expected centre: no other is looked for
TRIPLES = 300  # circles that are tried


@dataclass(frozen=True, eq=False)
class Ellipse(Compared):
    """The points ``x`` with ``|shape (x - centre)| = 1``.

    Attributes:
        centre: ``(2,)``.
        shape: ``(2, 2)``, symmetric and positive; a circle of radius r has the unit matrix over r.
    """

    centre: FloatArray
    shape: FloatArray

    @property
    def radius(self) -> float:
        """The geometric mean of its half axes."""
        return float(1 / np.sqrt(np.linalg.det(self.shape)))

    def circled(self, points: FloatArray) -> FloatArray:
        """Points ``(N, 2)`` in the plane in which the ellipse is the unit circle about (0, 0)."""
        return (points - self.centre) @ self.shape

    def placed(self, points: FloatArray) -> FloatArray:
        """The inverse of `circled`."""
        return points @ np.linalg.inv(self.shape) + self.centre

    def outline(self, count: int = 180) -> FloatArray:
        """``(count, 2)`` points on it, for drawing."""
        angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
        return self.placed(np.stack([np.cos(angles), np.sin(angles)], axis=1))


def distances(points: FloatArray) -> FloatArray:
    """How far points ``(..., 2)`` lie from (0, 0)."""
    return np.sqrt((points**2).sum(axis=-1))


def recentred(points: FloatArray, centre: FloatArray) -> FloatArray:
    """Points ``(N, 2)`` of the plane in which an ellipse is the unit circle, seen from straight above.

    A circle seen obliquely from near is an ellipse whose centre is not the picture of the circle's own. The one
    projective map that keeps the unit circle and brings ``centre`` ``(2,)``, inside of it, to (0, 0) without a turn (a
    translation in Klein's model of the hyperbolic plane) gives the dial's plane back.

    >>> recentred(np.array([[0.5, 0.0], [1.0, 0.0]]), np.array([0.5, 0.0])).tolist()
    [[0.0, 0.0], [1.0, 0.0]]
    """
    distance = float(np.linalg.norm(centre))
    if distance < 1e-9:
        return points
    along = centre / distance
    across = np.array([-along[1], along[0]])
    far = np.maximum(1 - distance * (points @ along), 1e-6)
    x, y = (points @ along - distance) / far, points @ across * np.sqrt(1 - distance**2) / far
    return x[:, None] * along + y[:, None] * across


def fit(points: FloatArray, centre: FloatArray | None = None) -> Ellipse | None:
    """An ellipse through most of the points, as near to a circle, and to one about ``centre``, as they allow.

    Gauss-Newton on relative radii with Tukey's weights, of which the reach narrows from pass to pass; what the points
    do not say (few of them, a short arc) comes from a prior: a circle about ``centre``.

    Args:
        points: ``(N, 2)``; without ``centre`` at least three.
        centre: ``(2,)``, where its centre is expected.

    Returns:
        None where the points cannot say.
    """
    fitted: list[tuple[Ellipse, float]] = []
    if centre is not None and len(points) and (radius := float(np.median(distances(points - centre)))) > 1e-6:
        fitted.append(_refined(points, centre, radius, centre))
        if (np.abs(distances(fitted[0][0].circled(points)) - 1) < SPREAD).mean() >= MOST:
            return fitted[0][0]
    if len(points) >= 3 and (found := _circle(points)) is not None:
        fitted.append(_refined(points, *found, centre))
    return min(fitted, key=lambda pair: pair[1])[0] if fitted else None


def _circle(points: FloatArray) -> tuple[FloatArray, float] | None:
    """Centre and radius of the circle through three of the points that most others lie on."""
    triples = np.array(list(itertools.islice(itertools.combinations(range(len(points)), 3), 20000)))
    chosen = points[triples[:: -(-len(triples) // TRIPLES)]]
    first, sides = chosen[:, 0], chosen[:, 1:] - chosen[:, :1]
    area = 2 * (sides[:, 0, 0] * sides[:, 1, 1] - sides[:, 0, 1] * sides[:, 1, 0])
    squares = (sides**2).sum(axis=2)
    wide = np.abs(area) > 0.02 * squares.max(axis=1)
    if not wide.any():
        return None
    first, sides, area, squares = first[wide], sides[wide], area[wide], squares[wide]
    x = (sides[:, 1, 1] * squares[:, 0] - sides[:, 0, 1] * squares[:, 1]) / area
    y = (sides[:, 0, 0] * squares[:, 1] - sides[:, 1, 0] * squares[:, 0]) / area
    middles, radii = first + np.stack([x, y], axis=1), np.hypot(x, y)
    extent = float(np.ptp(points, axis=0).max())  # of a huge circle every point lies within a small share of its radius
    far = np.abs(distances(points - middles[:, None]) - radii[:, None]) / np.minimum(radii, extent)[:, None]
    best = int(np.minimum(far, 0.15).sum(axis=1).argmin())
    return middles[best], float(radii[best])


def _ellipse(parameters: FloatArray, middle: FloatArray, radius: float) -> Ellipse:
    """Two for the centre, in radii; three for the shape: the logarithm of a symmetric matrix."""
    x, y, size, stretch, skew = parameters
    strength = np.hypot(stretch, skew)
    ratio = np.sinh(strength) / strength if strength > 1e-9 else 1.0
    shape = np.cosh(strength) * np.eye(2) + ratio * np.array([[stretch, skew], [skew, -stretch]])
    return Ellipse(middle + radius * np.array([x, y]), np.exp(size) * shape / radius)


def _refined(points: FloatArray, middle: FloatArray, radius: float, centre: FloatArray | None) -> tuple[Ellipse, float]:
    """The ellipse from a circle on, and its cost."""
    expected = np.zeros(2) if centre is None else (centre - middle) / radius
    firm = np.array([1 / (LOOSE if centre is None else CENTRE)] * 2 + [1 / LOOSE] + [1 / SHAPE] * 2)
    goal = np.array([*expected, 0.0, 0.0, 0.0])

    def residuals(parameters: FloatArray) -> FloatArray:
        return distances(_ellipse(parameters, middle, radius).circled(points)) - 1

    parameters, weights = np.zeros(5), np.ones(len(points))
    for reach in np.repeat(SCALES, 3):
        now = residuals(parameters)
        reach = max(reach, min(SPREAD, 4.5 * float(np.median(np.abs(now)))))
        weights = np.maximum(1 - (now / reach) ** 2, 0) ** 2
        slopes = np.stack([(residuals(parameters + step) - now) / 1e-5 for step in 1e-5 * np.eye(5)], axis=1)
        rows = np.concatenate([slopes * np.sqrt(weights)[:, None] / NOISE, firm * np.eye(5)])
        values = np.concatenate([now * np.sqrt(weights) / NOISE, firm * (parameters - goal)])
        move = np.linalg.lstsq(rows, values, rcond=None)[0]
        parameters = parameters - move * min(1.0, 0.5 / max(1e-9, float(np.abs(move).max())))
    off = np.minimum((residuals(parameters) / NOISE) ** 2, (SCALES[-1] / NOISE) ** 2)
    return _ellipse(parameters, middle, radius), float(off.sum() + ((firm * (parameters - goal)) ** 2).sum())
