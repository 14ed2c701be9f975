"""One object's positions along a video: jumps are gated, gaps filled with a marked, lower confidence.

Every smoother takes rows as they come and gives as many back in the same order. It holds a bounded number of them, so
memory stays flat. A position judged to be a jump loses its coordinates and keeps its score; a filled one has the source
``filled``.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from kaname.tracking.filling import ACCELERATION, NOISE_PX, REFERENCE_PX, SEEN, Budget, flown, slowest
from kaname.types import FloatArray, Size

DETECTED, FILLED, STATIC = "detected", "filled", "static"
DECAY = 0.8  # a filled position's score falls by this for every frame from the nearest detection
GATE_SIGMAS = 5.0
FOLLOWED = 3  # detections of a track that may be predicted from
LOST_AFTER = 3  # gated detections in a row that agree with each other start a new track (a hit, a cut)


@dataclass(frozen=True)
class Row:
    """One frame's answer.

    Attributes:
        frame: its number from 0.
        seconds: its time stamp.
        x, y: continuous pixels of the frame; NaN without an answer.
        score: 0..1.
        source: ``detected``, ``filled``, ``static`` (without a position: what was detected is a spot that never moves)
            or empty.
        clip, file: the clip and the file that the frame comes from; empty where there is only one.
    """

    frame: int
    seconds: float
    x: float
    y: float
    score: float
    source: str
    clip: str = ""
    file: str = ""

    @property
    def there(self) -> bool:
        """Whether the row has a position."""
        return math.isfinite(self.x) and math.isfinite(self.y)


Smoother = Callable[[Iterable[Row], Size, int, float, float], Iterator[Row]]


def unchanged(rows: Iterable[Row], size: Size, longest: int, fastest: float, share: float) -> Iterator[Row]:
    """The rows as they are."""
    del size, longest, fastest, share
    yield from rows


def inpaint(rows: Iterable[Row], size: Size, longest: int, fastest: float, share: float) -> Iterator[Row]:
    """Drop single jumps and bridge gaps between the detections on both sides.

    A detection is a jump where it is farther than ``fastest`` per frame from the detections before and after it,
    within ``longest`` + 1 frames, while these agree with each other. Gaps of at most ``longest`` frames are filled
    where the object can have flown through them (`kaname.tracking.filling`), inside the frame.

    Args:
        rows: in the order of frames.
        size: ``(height, width)`` of the frame in pixels.
        longest: most frames of a gap that is filled.
        fastest: most that the object moves per frame, in widths of the frame.
        share: most filled rows for each detected one, counted from the beginning of a clip.
    """
    reach = longest + 1
    gaps = _Gaps(size, longest, fastest * size[1], share)
    for row in rows:
        gaps.waiting.append(row)
        # The oldest is decided when everything that could decide it has been seen.
        while len(gaps.waiting) > 2 * reach:
            yield from gaps.settle()
    while gaps.waiting:
        yield from gaps.settle()


class _Gaps:
    """The rows that ``inpaint`` still holds, and the last detections that it gave back."""

    def __init__(self, size: Size, longest: int, limit: float, share: float) -> None:
        self.size, self.longest, self.limit, self.share = size, longest, limit, share
        self.before: deque[Row] = deque(maxlen=SEEN)
        self.waiting: deque[Row] = deque()
        self.budget = Budget(share, longest)

    def settle(self) -> Iterator[Row]:
        """Decide the oldest waiting row, or a whole gap that begins with it."""
        row = self.waiting[0]
        if self.before and row.clip != self.before[-1].clip:
            self.before.clear()
            self.budget = Budget(self.share, self.longest)
        if row.there:
            self.waiting.popleft()
            if _is_jump(row, self.before, self.waiting, self.limit, self.longest):
                self.waiting.appendleft(replace(row, x=math.nan, y=math.nan, source=""))
                return
            self.before.append(row)
            self.budget.detected()
            yield row
            return
        after = _kept(list(self.waiting)[1 : 2 * self.longest + 2], self.before, self.limit, self.longest)
        gap = after[0].frame - row.frame if after else 0
        if not self.before or not after or gap > self.longest or self.before[-1].frame != row.frame - 1:
            yield self._missed()
            return
        places = flown(_places(self.before), _places(after[:SEEN]), self.size[1], self.limit)
        if places is None or not self.budget.spend(gap):
            yield from (self._missed() for _ in range(gap))
            return
        for place in places.tolist():
            yield self._filled(self.waiting.popleft(), place, self.before[-1], after[0])

    def _missed(self) -> Row:
        self.budget.missed()
        return self.waiting.popleft()

    def _filled(self, row: Row, place: list[float], one: Row, other: Row) -> Row:
        (x, y), (height, width) = place, self.size
        if not (0 <= x <= width and 0 <= y <= height):
            return row
        score = min(one.score, other.score) * DECAY ** min(row.frame - one.frame, other.frame - row.frame)
        return replace(row, x=x, y=y, score=score, source=FILLED)


def _places(rows: Iterable[Row]) -> FloatArray:
    return np.array([(row.frame, row.x, row.y) for row in rows], dtype=np.float64)


def _kept(rows: list[Row], before: deque[Row], limit: float, longest: int) -> list[Row]:
    """The detections of one clip that come after a gap, without those that will be dropped as jumps."""
    there = [row for row in rows if row.there and before and row.clip == before[-1].clip]
    kept: list[Row] = []
    for number, row in enumerate(there):
        if not _is_jump(row, [*before, *kept], there[number + 1 :], limit, longest):
            kept.append(row)
    return kept


def _is_jump(row: Row, before: Iterable[Row], waiting: Iterable[Row], limit: float, longest: int) -> bool:
    near = [earlier for earlier in before if row.frame - earlier.frame <= longest + 1]
    later = [other for other in waiting if other.there and other.clip == row.clip]
    later = [other for other in later if other.frame - row.frame <= longest + 1]
    if not near or not later:
        return False
    one, other = near[-1], later[0]
    return _speed(one, row) > limit and _speed(row, other) > limit and _speed(one, other) <= limit


def _speed(one: Row, other: Row) -> float:
    return math.hypot(other.x - one.x, other.y - one.y) / max(1, other.frame - one.frame)


class _Filter:
    """A Kalman filter of constant velocity with random acceleration; both axes share the uncertainty."""

    def __init__(self, row: Row, scale: float) -> None:
        self.state = np.array([[row.x, row.y], [0.0, 0.0]])
        self.noise = (NOISE_PX * scale) ** 2
        self.drift = (ACCELERATION * scale) ** 2
        self.spread = np.diag([self.noise, (4 * ACCELERATION * scale) ** 2])
        self.seen = 1

    def predict(self, frames: int) -> None:
        step = float(frames)
        move = np.array([[1.0, step], [0.0, 1.0]])
        shock = np.array([[step**4 / 4, step**3 / 2], [step**3 / 2, step**2]]) * self.drift
        self.state, self.spread = move @ self.state, move @ self.spread @ move.T + shock

    def distance(self, row: Row) -> float:
        """How many deviations a detection is away."""
        gap = math.hypot(row.x - self.state[0, 0], row.y - self.state[0, 1])
        return gap / math.sqrt(self.spread[0, 0] + self.noise)

    def update(self, row: Row) -> None:
        gain = self.spread[:, 0] / (self.spread[0, 0] + self.noise)
        self.state = self.state + gain[:, None] * (np.array([row.x, row.y]) - self.state[0])
        self.spread = self.spread - gain[:, None] * self.spread[0]
        self.seen += 1

    def inside(self, size: Size) -> bool:
        """Whether what is followed lies in the frame."""
        return 0 <= self.state[0, 0] <= size[1] and 0 <= self.state[0, 1] <= size[0]

    def moves(self, width: int, fastest: float) -> bool:
        """Whether it has been followed for long enough to know that it moves, and no faster than it can."""
        return self.seen >= FOLLOWED and slowest(width) <= math.hypot(*self.state[1]) <= fastest * width


def kalman(rows: Iterable[Row], size: Size, longest: int, fastest: float, share: float) -> Iterator[Row]:
    """A constant-velocity Kalman filter that looks only back: detections are gated and smoothed, gaps predicted.

    A detection farther than five deviations, or than ``fastest`` per frame, from where it should be is a jump, unless
    three in a row agree with each other: then the track starts again there. What would lie outside the frame, and what
    does not move, is not filled. The arguments are those of ``inpaint``.
    """
    scale = size[1] / REFERENCE_PX
    track: _Filter | None = None
    last: Row | None = None
    strays: list[Row] = []
    budget = Budget(share, longest)
    for row in rows:
        if last is not None and row.clip != last.clip:
            budget = Budget(share, longest)
        if last is not None and (row.clip != last.clip or row.frame - last.frame > longest + 1):
            track, last, strays = None, None, []
        if track is None or last is None:
            if row.there:
                track, last = _Filter(row, scale), row
                budget.detected()
            yield row
            continue
        track.predict(1)
        if row.there:
            far = _speed(last, row) > fastest * size[1]
            if not far and track.distance(row) <= GATE_SIGMAS:
                track.update(row)
                budget.detected()
                strays, last = [], row
                yield replace(row, x=float(track.state[0, 0]), y=float(track.state[0, 1]))
                continue
            agrees = not strays or _speed(strays[-1], row) <= fastest * size[1]
            strays = [*strays, row] if agrees else [row]
            if len(strays) >= LOST_AFTER:
                track, last, strays = _Filter(row, scale), row, []
                budget.detected()
                yield row
                continue
        gap = row.frame - last.frame
        if gap <= longest and track.inside(size) and track.moves(size[1], fastest) and budget.spend(1):
            x, y = track.state[0].tolist()
            yield replace(row, x=x, y=y, score=last.score * DECAY**gap, source=FILLED)
        else:
            budget.missed()
            yield replace(row, x=math.nan, y=math.nan, source=STATIC if row.source == STATIC else "")


SMOOTHERS: dict[str, Smoother] = {"none": unchanged, "kalman": kalman, "inpaint": inpaint}
