"""From the points of a dial to what it shows. No torch.

An ellipse through the notches (`kaname.geometry.ellipse`) and the pivot say how the dial is seen: a projective map
makes the ellipse a circle about the dial's centre. There the notches are put in order along the scale and counted
(`kaname.recipes.gauge.scale`), and the needle's direction is read between its two neighbours.

The ellipse's centre and the pivot differ by perspective and because the pivot stands above the face; a single picture
cannot tell the two apart, so the dial's centre is taken to lie half-way, and the needle's line to begin half-way
between that and the pivot: of the ways that were measured on rendered oblique dials the most accurate
(docs/guide/reading.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.compared import Compared
from kaname.errors import InputError
from kaname.geometry.ellipse import Ellipse, distances, fit, recentred
from kaname.recipes.gauge import NEEDLE
from kaname.recipes.gauge.scale import Order, ordered
from kaname.types import FloatArray, Points

BEYOND = 0.1  # of the range: a needle at rest below the first notch or beyond the last is read so far
SHIFT = 0.1  # radii: how far the dial's centre lies at most from the pivot
ROUND = (0.16, 0.35)  # radii off the ellipse beyond which a notch is false: at least, at most
SNAP = 0.4  # of the distance to the next notch: so near to a notch start and end are that notch
BLUR = 0.02  # radians by which a needle's direction is off at least, for the confidence
EXPECTED = 0.02  # error over the range at which the confidence is halved


def _nowhere() -> FloatArray:
    return np.zeros((0, 2))


@dataclass(frozen=True, eq=False)
class Reading(Compared):
    """What a dial shows.

    Attributes:
        value: in ``unit``; None where there is no answer.
        unit: as given.
        share: of the range, 0 at the first notch and 1 at the last; beyond them by at most `BEYOND`. None: no answer.
        confidence: 0..1; 0 without an answer.
        reason: why there is no answer, in words; else empty.
        ellipse: through the notches, where there is one.
        notches: ``(N, 2)`` in pixels of the image, in order along the scale; those taken for false are left out.
        steps: ``(N,)`` the step of the scale that each stands for, from 0; one is left out where a notch is missing.
        tip: ``(1, 2)`` of the needle, or ``(0, 2)``.
        pivot: ``(1, 2)`` or ``(0, 2)``.
    """

    value: float | None
    unit: str
    share: float | None
    confidence: float
    reason: str = ""
    ellipse: Ellipse | None = None
    notches: FloatArray = field(default_factory=_nowhere)
    steps: FloatArray = field(default_factory=lambda: np.zeros(0))
    tip: FloatArray = field(default_factory=_nowhere)
    pivot: FloatArray = field(default_factory=_nowhere)

    def __str__(self) -> str:
        if self.value is None:
            return f"no answer: {self.reason}"
        return f"{self.value:.4g} {self.unit}".rstrip() + f" (confidence {self.confidence:.2f})"


@dataclass(frozen=True)
class Seen:
    """The points of a dial that count, with their scores."""

    notches: FloatArray
    scores: FloatArray
    start: int | None
    end: int | None
    ends: float  # score of start and end


def check_range(low: float, high: float) -> None:
    """Refuse ends of a scale that make none; a scale may fall, ``low`` being the value of its first notch."""
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError(
            f"the range {low:g} to {high:g} is not finite", remedy="give the values of the two end notches"
        )
    if low == high:
        reason = f"the range begins and ends at {low:g}"
        raise InputError(reason, remedy="give the value of the first notch and of the last: --range 0 1.6")


def read_points(points: Points, low: float, high: float, unit: str = "") -> Reading:
    """What a dial shows, from its points.

    Args:
        points: ``start``, ``middle`` (all notches), ``end``, ``needle_tip`` and ``needle_pivot``.
        low: value of the first notch; larger than ``high`` on a scale that falls.
        high: value of the last notch.
        unit: of both, in words.

    Raises:
        InputError: a range that is none, or points of a model that does not find the needle.
    """
    check_range(low, high)
    if missing := [name for name in NEEDLE if name not in points.xy]:
        reason = f"a model without {' and '.join(missing)} finds no needle"
        raise InputError(reason, remedy="train one with `kaname gauge train --needle`")
    tip, pivot = (_one(points, name) for name in NEEDLE)
    known: dict[str, Any] = {"tip": tip, "pivot": pivot}
    seen = seen_in(points)
    if not len(seen.notches):
        return _none(unit, "no notches were found", known)
    if not len(tip):
        return _none(unit, "no needle tip was found", known)
    if len(seen.notches) < (2 if len(pivot) else 3):
        count = len(seen.notches)
        what = "only one notch was found" if count == 1 else f"only {count} notches and no pivot were found"
        return _none(unit, what, known)
    return _read(points, seen, tip, pivot, (low, high), unit)


def _read(
    points: Points, seen: Seen, tip: FloatArray, pivot: FloatArray, ends: tuple[float, float], unit: str
) -> Reading:
    ellipse = fit(seen.notches, pivot[0] if len(pivot) else None)
    known: dict[str, Any] = {"tip": tip, "pivot": pivot}
    if ellipse is None:
        return _none(unit, "no circle or ellipse runs through the notches", known)
    off = np.abs(distances(ellipse.circled(seen.notches)) - 1)
    near = off <= np.clip(4.5 * float(np.median(off)), *ROUND)
    rows = np.flatnonzero(near)
    plane, foot, needle = flattened(ellipse, seen.notches[rows], tip, pivot)
    start, end = (_row_among(rows, row) for row in (seen.start, seen.end))
    order = ordered(_angles(plane), start, end)
    if order is None:
        return _none(unit, "fewer than two notches lie on one circle", known, ellipse=ellipse)
    known |= {"notches": seen.notches[rows[order.rows]], "steps": order.steps}
    if float(distances(needle - foot)) < 0.1:
        return _none(unit, "the tip of the needle lies on its pivot", known, ellipse=ellipse)
    first = _angles(plane[order.rows[:1]])[0]
    share = order.at(order.sense * (_angles((needle - foot)[None])[0] - first))
    if not -BEYOND <= share <= 1 + BEYOND:
        return _none(unit, "the needle points into the gap of the scale", known, ellipse=ellipse)
    spread = abs(order.at(order.sense * (_angles(needle[None])[0] - first)) - share)
    noise = float(np.sqrt((off[rows] ** 2).mean())) / float(order.turns[-1])
    sure = _confidence(points, seen.scores[rows[order.rows]], seen.ends, order, (spread, noise), bool(len(pivot)))
    value = ends[0] + share * (ends[1] - ends[0])
    return Reading(value, unit, share, sure, ellipse=ellipse, **known)


def seen_in(points: Points) -> Seen:
    """All notches; start and end are those of them that they lie on, or further ones."""
    notches, scores = _finite(points, "middle")
    between = distances(notches[:, None] - notches) + np.diag(np.full(len(notches), np.inf))
    step = float(np.median(between.min(axis=1))) if len(notches) > 1 else 0.0
    rows: dict[str, int | None] = {}
    ends = []
    for name in ("start", "end"):
        xy, score = _finite(points, name)
        rows[name] = None
        if len(xy):
            far = distances(notches - xy[0]) if len(notches) else np.full(1, np.inf)
            rows[name] = int(far.argmin()) if far.min() <= SNAP * step else len(notches)
            if rows[name] == len(notches):
                notches, scores = np.concatenate([notches, xy[:1]]), np.append(scores, score[0])
            ends.append(float(score[0]))
    return Seen(notches, scores, rows["start"], rows["end"], float(np.mean(ends)) if ends else 0.5)


def flattened(
    ellipse: Ellipse, notches: FloatArray, tip: FloatArray, pivot: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The dial seen from straight above, its scale being the unit circle about (0, 0): the notches ``(N, 2)``, where
    the needle's line begins ``(2,)``, and its tip ``(2,)``."""
    plane, needle = ellipse.circled(notches), ellipse.circled(tip)
    axis = ellipse.circled(pivot)[0] if len(pivot) else np.zeros(2)
    far = float(distances(axis))
    axis = axis * min(1.0, 0.9 / far) if far else axis
    centre = axis * (1 - min(0.5, SHIFT / far)) if far else axis
    plane, needle, axes = (recentred(part, centre) for part in (plane, needle, axis[None]))
    return plane, axes[0] / 2, needle[0]


def _confidence(
    points: Points, scores: FloatArray, ends: float, order: Order, errors: tuple[float, float], pivot: bool
) -> float:
    """What the points' scores, the order and the expected error leave of 1."""
    found = [float(scores.mean()), ends, *(float(points.scores[name][0]) for name in NEEDLE[: 1 + pivot])]
    error = math.hypot(*errors, BLUR / float(order.turns[-1]), 0.0 if pivot else 0.03)
    few = 1 - 2.0 ** (1 - len(order.rows))
    certain = order.sure * few * (1.0 if order.even else 0.85) * (1.0 if pivot else 0.6)
    return float(np.clip(np.prod(np.clip(found, 0, 1)) ** (1 / len(found)) * certain / (1 + error / EXPECTED), 0, 1))


def _none(unit: str, reason: str, known: dict[str, Any], *, ellipse: Ellipse | None = None) -> Reading:
    return Reading(None, unit, None, 0.0, reason, ellipse, **known)


def _finite(points: Points, name: str) -> tuple[FloatArray, FloatArray]:
    xy, scores = np.asarray(points.xy[name], np.float64).reshape(-1, 2), np.asarray(points.scores[name], np.float64)
    there = np.isfinite(xy).all(axis=1)
    return xy[there], scores[there]


def _one(points: Points, name: str) -> FloatArray:
    return _finite(points, name)[0][:1]


def _row_among(rows: NDArray[np.intp], row: int | None) -> int | None:
    found = np.flatnonzero(rows == row)
    return int(found[0]) if len(found) else None


def _angles(plane: FloatArray) -> FloatArray:
    return np.arctan2(plane[:, 1], plane[:, 0])
