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

from kaname.types import FloatArray, Size

DETECTED, FILLED = "detected", "filled"
DECAY = 0.8  # a filled position's score falls by this for every frame from the nearest detection
GATE_SIGMAS = 5.0
NOISE_PX = 1.0  # of a detection, in a frame REFERENCE_PX wide
REFERENCE_PX = 1280.0
ACCELERATION = 12.0  # px / frame^2 at REFERENCE_PX: from gravity, drag and the camera
LOST_AFTER = 3  # gated detections in a row that agree with each other start a new track (a hit, a cut)


@dataclass(frozen=True)
class Row:
    """One frame's answer.

    Attributes:
        frame: its number from 0.
        seconds: its time stamp.
        x, y: continuous pixels of the frame; NaN without an answer.
        score: 0..1.
        source: ``detected``, ``filled`` or empty.
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


Smoother = Callable[[Iterable[Row], Size, int, float], Iterator[Row]]


def unchanged(rows: Iterable[Row], size: Size, longest: int, fastest: float) -> Iterator[Row]:
    """The rows as they are."""
    del size, longest, fastest
    yield from rows


def inpaint(rows: Iterable[Row], size: Size, longest: int, fastest: float) -> Iterator[Row]:
    """Drop single jumps and bridge gaps between the detections on both sides.

    A detection is a jump where it is farther than ``fastest`` per frame from the detections before and after it,
    within ``longest`` + 1 frames, while these agree with each other. Gaps of at most ``longest`` frames are filled by
    the cubic through two detections on each side (linear where there are fewer), at most 1.5 times the straight line.

    Args:
        rows: in the order of frames.
        size: ``(height, width)`` of the frame in pixels.
        longest: most frames of a gap that is filled.
        fastest: most that the object moves per frame, in widths of the frame.
    """
    reach = longest + 1
    limit = fastest * size[1]
    before: deque[Row] = deque(maxlen=2)  # the last accepted detections
    waiting: deque[Row] = deque()
    for row in rows:
        waiting.append(row)
        # The oldest is decided when everything that could decide it has been seen.
        while len(waiting) > 2 * reach:
            yield from _settle(waiting, before, limit, longest)
    while waiting:
        yield from _settle(waiting, before, limit, longest)


def _settle(waiting: deque[Row], before: deque[Row], limit: float, longest: int) -> Iterator[Row]:
    """Decide the oldest waiting row, or a whole gap that begins with it."""
    row = waiting[0]
    if before and row.clip != before[-1].clip:
        before.clear()
    if row.there:
        waiting.popleft()
        if _is_jump(row, before, waiting, limit, longest):
            waiting.appendleft(replace(row, x=math.nan, y=math.nan, source=""))
            return
        before.append(row)
        yield row
        return
    after = _kept(list(waiting)[1 : 2 * longest + 2], before, limit, longest)
    gap = after[0].frame - row.frame if after else 0
    if not before or not after or gap > longest or before[-1].frame != row.frame - 1:
        yield waiting.popleft()
        return
    if math.hypot(after[0].x - before[-1].x, after[0].y - before[-1].y) > limit * (gap + 1):
        yield waiting.popleft()
        return
    for _ in range(gap):
        yield _filled(waiting.popleft(), list(before), after[:2])


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


def _filled(row: Row, before: list[Row], after: list[Row]) -> Row:
    known = [*before, *after]
    frames = np.array([entry.frame for entry in known], dtype=np.float64)
    places = np.array([(entry.x, entry.y) for entry in known])
    one, other = before[-1], after[0]
    share = (row.frame - one.frame) / (other.frame - one.frame)
    straight = np.array([one.x + share * (other.x - one.x), one.y + share * (other.y - one.y)])
    place = straight
    if len(known) == 4 and frames[1] - frames[0] <= 2 and frames[3] - frames[2] <= 2:
        curved = _lagrange(frames, places, row.frame)
        if math.dist(curved, straight) <= math.hypot(other.x - one.x, other.y - one.y) / 2:
            place = curved
    distance = min(row.frame - one.frame, other.frame - row.frame)
    score = min(one.score, other.score) * DECAY**distance
    return replace(row, x=float(place[0]), y=float(place[1]), score=score, source=FILLED)


def _lagrange(frames: FloatArray, places: FloatArray, at: float) -> FloatArray:
    """The polynomial through all ``places`` ``(K, 2)``, at one frame."""
    weights = [
        math.prod((at - frames[other]) / (frames[one] - frames[other]) for other in range(len(frames)) if other != one)
        for one in range(len(frames))
    ]
    return np.asarray(weights) @ places


class _Filter:
    """A Kalman filter of constant velocity with random acceleration; both axes share the uncertainty."""

    def __init__(self, row: Row, scale: float) -> None:
        self.state = np.array([[row.x, row.y], [0.0, 0.0]])
        self.noise = (NOISE_PX * scale) ** 2
        self.drift = (ACCELERATION * scale) ** 2
        self.spread = np.diag([self.noise, (4 * ACCELERATION * scale) ** 2])

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


def kalman(rows: Iterable[Row], size: Size, longest: int, fastest: float) -> Iterator[Row]:
    """A constant-velocity Kalman filter that looks only back: detections are gated and smoothed, gaps predicted.

    A detection farther than five deviations, or than ``fastest`` per frame, from where it should be is a jump, unless
    three in a row agree with each other: then the track starts again there. What would lie outside the frame is not
    filled. The arguments are those of ``inpaint``.
    """
    scale = size[1] / REFERENCE_PX
    track: _Filter | None = None
    last: Row | None = None
    strays: list[Row] = []
    for row in rows:
        if last is not None and (row.clip != last.clip or row.frame - last.frame > longest + 1):
            track, last, strays = None, None, []
        if track is None or last is None:
            if row.there:
                track, last = _Filter(row, scale), row
            yield row
            continue
        track.predict(1)
        if row.there:
            far = _speed(last, row) > fastest * size[1]
            if not far and track.distance(row) <= GATE_SIGMAS:
                track.update(row)
                strays, last = [], row
                yield replace(row, x=float(track.state[0, 0]), y=float(track.state[0, 1]))
                continue
            agrees = not strays or _speed(strays[-1], row) <= fastest * size[1]
            strays = [*strays, row] if agrees else [row]
            if len(strays) >= LOST_AFTER:
                track, last, strays = _Filter(row, scale), row, []
                yield row
                continue
        gap = row.frame - last.frame
        x, y = float(track.state[0, 0]), float(track.state[0, 1])
        if gap <= longest and 0 <= x <= size[1] and 0 <= y <= size[0]:
            yield replace(row, x=x, y=y, score=last.score * DECAY**gap, source=FILLED)
        else:
            yield replace(row, x=math.nan, y=math.nan, source="")


SMOOTHERS: dict[str, Smoother] = {"none": unchanged, "kalman": kalman, "inpaint": inpaint}
