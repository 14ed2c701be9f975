"""The order of notches along a scale, and how many steps lie between them: missing and false notches told apart.

Angles are radians about the dial's centre, growing clockwise as seen (image axes).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kaname.types import FloatArray

TURN = 2 * np.pi
FALSE = 0.25  # share of the notches that may lie outside of the scale before start or end is doubted instead
EVEN, ON, OFF = 0.09, 0.15, 0.27  # steps: of a regular scale the root mean square, of one notch at most; of a false one
CLEAR = 0.03  # steps: so even a scale may have one empty step more
DOUBTFUL = 0.6  # of the confidence is left where the steps are those of no scale that is known
EMPTY, EMPTY_COST = 0.45, 0.5  # empty steps for a notch at most; what one speaks against a scale, of a notch
UNEVEN = 1.5  # of a notch: what an uneven scale must explain better
FULL = 6  # notches under which an uneven scale has no empty step: its bend and a gap explain any five places
# Of uneven scales, after the even one.
POWERS = (1.0, 0.55, 0.6, 0.65, 0.7, 0.75, 0.81, 0.88, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.85)
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """Notches in order.

    Attributes:
        rows: of the notches, from the first to the last; a closed scale's first notch is its last again.
        turns: ``(N,)`` angle from the first notch, growing along the scale.
        steps: ``(N,)`` how many steps of the scale each lies from its first notch.
        sense: 1 clockwise as seen, -1 the other way round.
        sure: 0..1, how much speaks for this order.
        even: whether the steps are those of a regular scale, missing and false notches accounted for.
    """

    rows: Indices
    turns: FloatArray
    steps: FloatArray
    sense: int
    sure: float
    even: bool = False

    def at(self, turn: float) -> float:
        """The share of the scale at an angle from its first notch, by the neighbouring notches; linear beyond it."""
        middle = self.turns[-1] / 2
        turn = (turn - middle + np.pi) % TURN - np.pi + middle
        left = int(np.clip(np.searchsorted(self.turns, turn) - 1, 0, len(self.turns) - 2))
        part = (turn - self.turns[left]) / (self.turns[left + 1] - self.turns[left])
        step = self.steps[left] + part * (self.steps[left + 1] - self.steps[left])
        return float(step / self.steps[-1])


def ordered(angles: FloatArray, start: int | None, end: int | None) -> Order | None:
    """The order of notches at ``angles`` ``(N,)``; ``start`` and ``end`` are rows of them, where known.

    The scale is open between its end and its start. Where these are known it runs on the side on which the other
    notches lie; else the widest gap is open, and a scale without a start and an end runs clockwise.

    Returns:
        None where fewer than two notches are left.
    """
    if len(angles) < 2:
        return None
    round_ = np.argsort(angles % TURN)
    gaps = np.diff(angles[round_] % TURN, append=angles[round_[0]] % TURN + TURN)
    widest = int(gaps.argmax())
    ring = len(angles) > 3 and gaps[widest] < 1.6 * float(np.median(gaps))
    if start is not None and start == end and len(angles) > 2 and ring:
        rows = np.roll(round_, -int(np.flatnonzero(round_ == start)[0]))
        return counted(angles, np.append(rows, start), 1, 0.8, (True, True))
    if start == end:
        start = end = None
    if start is not None and end is not None and (found := _between(angles, start, end)) is not None:
        return counted(angles, *found, (True, True))
    rows = np.roll(round_, -widest - 1)  # clockwise, the widest gap behind them
    if ring and (start is None) != (end is None):
        known = int(np.flatnonzero(rows == (start if end is None else end))[0])
        return counted(
            angles, np.roll(rows, -known if end is None else -known - 1), 1, 0.5, (end is None, start is None)
        )
    for first, last in ((start, end), (start, None), (None, end)):
        for sense in (1, -1):
            if (kept := _kept(rows[::sense], first, last)) is not None:
                both = start is not None and end is not None
                sure = 0.35 if both else 0.7 if len(kept) == len(rows) else 0.5
                return counted(angles, kept, sense, sure, (first is not None, last is not None))
    return counted(angles, rows, 1, 0.15 if ring else 0.3)


def _between(angles: FloatArray, start: int, end: int) -> tuple[Indices, int, float] | None:
    """The notches on the side of ``start`` and ``end`` on which most lie; None where many lie on the other side."""
    ways = []
    for sense in (1, -1):
        turns = sense * (angles - angles[start]) % TURN
        rows = np.argsort(turns)
        ways.append(rows[turns[rows] <= turns[end]])
    more = int(len(ways[1]) > len(ways[0]))
    rows, left = ways[more], len(angles) - len(ways[more])
    if left > max(1, FALSE * len(angles)):
        return None
    return rows, 1 - 2 * more, 0.5 if len(angles) == 2 else 1.0 if left == 0 else 0.7


def _kept(rows: Indices, first: int | None, last: int | None) -> Indices | None:
    """Rows from ``first`` to ``last``, where few lie outside of them; None else, and where neither is known."""
    if first is None and last is None:
        return None
    left = 0 if first is None else int(np.flatnonzero(rows == first)[0])
    right = len(rows) - 1 if last is None else int(np.flatnonzero(rows == last)[0])
    outside = left + len(rows) - 1 - right
    return rows[left : right + 1] if left < right and outside <= max(0, FALSE * len(rows)) else None


def counted(
    angles: FloatArray, rows: Indices, sense: int, sure: float, firm: tuple[bool, bool] = (False, False)
) -> Order | None:
    """The order with steps that are counted: a gap of two steps has a notch missing, one between two steps is false."""
    if len(rows) < 2:
        return None
    turns = sense * (angles[rows] - angles[rows[0]]) % TURN
    turns[1:][turns[1:] < 1e-9] = TURN  # of a closed scale
    plain = Order(rows, turns, np.arange(len(rows), dtype=np.float64), sense, sure)
    gaps = np.diff(turns)
    if len(rows) < 4:
        return replace(plain, sure=sure * (DOUBTFUL if gaps.max() > 1.5 * gaps.min() else 1.0))
    score, steps, power = 0.0, None, 1.0
    for tried in POWERS:
        found = lattice((turns / turns[-1]) ** (1 / tried), firm)
        if found is None:
            continue
        if tried != 1 and len(rows) < FULL and np.nanmax(found[1]) - np.nanmin(found[1]) >= len(rows):
            continue
        if (now := found[0] - (UNEVEN if tried != 1 else 0)) > score:
            score, steps, power = now, found[1], tried
        if score > len(rows) - UNEVEN:
            break
    if steps is not None:
        kept = np.isfinite(steps)
        steps = steps[kept] - steps[kept][0]
        missing = steps[-1] + 1 - len(steps)
        doubt = 0.93 ** (missing + (~kept).sum()) * (1.0 if kept[0] and kept[-1] else 0.6)
        turns = turns[kept] - turns[kept][0]
        return Order(rows[kept], turns, steps, sense, sure * float(doubt), even=power == 1)
    return replace(plain, steps=_doubled(turns), sure=sure * DOUBTFUL)


def lattice(places: FloatArray, firm: tuple[bool, bool]) -> tuple[float, FloatArray] | None:
    """How well ``places`` ``(N,)`` fit a regular scale, and the step of each, NaN for false ones; None: not at all.

    Every distance between neighbours, twice and half of it are tried as the step. What is on a step speaks for it,
    what is off it and steps that are empty speak against it.

    Args:
        firm: whether the first place, and the last, are known to belong to the scale.
    """
    best, chosen = 0.4 * len(places), None
    for step, offset in _candidates(places):
        steps, off = _snapped(places, step, offset)
        on = off < ON
        if len(np.unique(steps[on])) < 3:
            continue
        slope, intercept = np.polyfit(steps[on], places[on], 1)
        if slope <= 0.5 * step:
            continue
        steps, off = _snapped(places, slope, intercept)
        on = (off < ON) & _alone(steps, off)
        count, empty = int(on.sum()), float(np.ptp(steps[on])) + 1 - on.sum() if on.any() else 0.0
        if count < max(4, 0.7 * len(places)) or (firm[0] > on[0]) or (firm[1] > on[-1]):
            continue
        spread = float(np.sqrt((off[on] ** 2).mean()))
        if empty > (0.0 if count < 5 else EMPTY) * count + (spread < CLEAR):
            continue
        score = count - EMPTY_COST * empty - 1.2 * (len(places) - count) - spread
        if spread < EVEN and score > best:
            best, chosen = score, np.where((off < OFF) & _alone(steps, off), steps, np.nan)
    return None if chosen is None else (best, chosen)


def _candidates(places: FloatArray) -> Iterator[tuple[float, float]]:
    """Steps and where one begins."""
    near, far = np.diff(places), places[2:] - places[:-2]
    steps = np.concatenate([near, far, near / 2])
    steps = np.sort(steps[steps > 0.01])
    distinct = steps[np.append(True, np.diff(steps) > 0.03 * steps[1:])] if len(steps) else steps
    for step in distinct:
        for offset in places[:: max(1, len(places) // 4)]:
            yield float(step), float(offset)


def _snapped(places: FloatArray, step: float, offset: float) -> tuple[FloatArray, FloatArray]:
    exact = (places - offset) / step
    return np.rint(exact), np.abs(exact - np.rint(exact))


def _alone(steps: FloatArray, off: FloatArray) -> NDArray[np.bool_]:
    """Of several on one step the nearest."""
    return np.array([off[row] <= off[steps == steps[row]].min() for row in range(len(steps))])


def _doubled(turns: FloatArray) -> FloatArray:
    """Steps of an uneven scale: one each, two where a gap is twice as wide as both of its neighbours."""
    gaps = np.diff(turns)
    wide = np.zeros(len(gaps))
    around = np.maximum(gaps[:-2], gaps[2:])
    wide[1:-1] = (gaps[1:-1] > 1.75 * around) & (np.minimum(gaps[:-2], gaps[2:]) > 0.7 * around)
    return np.concatenate([[0.0], np.cumsum(1 + wide)])
