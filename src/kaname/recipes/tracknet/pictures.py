"""The frames and the flight that an evaluation's page shows: worst and best frames, and the way of one clip's ball."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.geometry.image import read_image
from kaname.metrics import detection
from kaname.recipes.tracknet import evaluate as figures
from kaname.recipes.tracknet.labels import Clip
from kaname.reporting.closeup import closeup
from kaname.reporting.curves import curves
from kaname.reporting.extremes import Extremes, Shot, write_extremes
from kaname.reporting.page import Section, Svg
from kaname.types import FloatArray

SHOWN = 3  # of each kind of fault; twice as many of the best
FLIGHT = 300  # frames of a clip that are plotted
MARKS = (
    "The boxes in a frame are enlarged below it. The ring is the labelled ball, as wide as the tolerance; the cross is "
    "the answer. Where the two are close, or one is missing, the place is shown without (left) and with marks (right); "
    "else the ball is on the left, the answer on the right. Green: found; amber: missed; red: wrong."
)


@dataclass(frozen=True)
class Marked:
    """Frames and how each came out.

    Attributes:
        frames: truth and answers.
        outcome: ``(N,)`` place in ``detection.OUTCOMES``.
        distance: ``(N,)`` px; infinite without an answer, NaN without a ball.
        answered: ``(N,)``.
        present: ``(N,)`` whether there is a ball to be found.
        tolerance: px.
    """

    frames: figures.Frames
    outcome: NDArray[np.int64]
    distance: FloatArray
    answered: NDArray[np.bool_]
    present: NDArray[np.bool_]
    tolerance: float

    @staticmethod
    def of(frames: figures.Frames, detect: Mapping[str, Any], *, occluded_absent: bool) -> Marked:
        """The frames by the settings of the detection."""
        told = (frames.predicted, frames.score, frames.truth, frames.visibility)
        threshold, tolerance = detect["score_threshold"], detect["tolerance"]
        outcomes = detection.outcomes(*told, tolerance, threshold, occluded_absent=occluded_absent)
        distance = detection.distances(*told, threshold, occluded_absent=occluded_absent)
        answered = (frames.score > threshold) & np.isfinite(frames.predicted).all(axis=1)
        return Marked(frames, outcomes.argmax(axis=1), distance, answered, ~np.isnan(distance), tolerance)

    def are(self, *names: str) -> NDArray[np.bool_]:
        """Which frames (N,) have one of these outcomes."""
        return np.isin(self.outcome, [detection.OUTCOMES.index(name) for name in names])


def extremes(marked: Marked, clips: Sequence[Clip], folder: Path) -> Extremes:
    """Draw the worst frames (wrong answers with the highest scores, missed balls, answers far off) and the best."""
    frames, taken = marked.frames, set[int]()
    here = np.isfinite(marked.distance)
    missed_first = 10 * frames.visibility + frames.score  # those that are easiest to see, then the lowest peaks
    worst = [
        *_first(marked.are("fp1", "fp2"), -frames.score, frames, SHOWN, taken),
        *_first(marked.are("fn"), missed_first, frames, SHOWN, taken),
        *_first(here, -marked.distance, frames, SHOWN, taken),
    ]
    best = _first(marked.are("tp"), marked.distance, frames, 2 * SHOWN, taken)
    paths = [path for clip in clips for path in clip.frames]

    def shot(number: int) -> Shot:
        name = frames.names[number]
        draw = partial(_drawn, paths[number], marked, number)
        return Shot(name.rsplit(".", 1)[0].replace("/", "_"), name, _caption(marked, number), draw)

    return write_extremes(folder, {"worst": [shot(number) for number in worst], "best": [shot(n) for n in best]})


def _first(among: NDArray[np.bool_], key: FloatArray, frames: figures.Frames, count: int, taken: set[int]) -> list[int]:
    """The frames with the least keys, one of a second, none that is already taken."""
    chosen: list[int] = []
    blocks: set[int] = set()
    candidates = np.flatnonzero(among)
    for number in candidates[np.argsort(key[candidates], kind="stable")].tolist():
        if len(chosen) < count and number not in taken and int(frames.blocks[number]) not in blocks:
            chosen.append(number)
            blocks.add(int(frames.blocks[number]))
    taken.update(chosen)
    return chosen


def _drawn(path: Path, marked: Marked, number: int) -> NDArray[np.uint8]:
    nowhere = np.full(2, np.nan)
    found = marked.frames.predicted[number] if marked.answered[number] else nowhere
    true = marked.frames.truth[number] if marked.present[number] else nowhere
    return closeup(read_image(path), found, true, marked.tolerance)


def _caption(marked: Marked, number: int) -> str:
    frames, outcome = marked.frames, detection.OUTCOMES[int(marked.outcome[number])]
    score, distance = float(frames.score[number]), float(marked.distance[number])
    seen = figures.VISIBILITIES[int(frames.visibility[number])]
    status = figures.STATUSES.get(int(frames.status[number])) if frames.visibility[number] else None
    kind = f"{seen}, {status}" if status else seen
    if outcome == "fp2":
        text = f"answer (score {score:.2f}) where no ball is to be found"
    elif outcome == "fn":
        peak = frames.predicted[number] - frames.truth[number]
        lower = f"; the highest peak has {score:.2f}, {np.hypot(*peak):.0f} px away" if np.isfinite(peak).all() else ""
        text = f"missed{lower}"
    else:
        text = f"{'found' if outcome == 'tp' else 'wrong'}, {distance:.1f} px away (score {score:.2f})"
    return f"{frames.names[number]} ({kind}): {text}"


def trajectory(marked: Marked, clips: Sequence[Clip]) -> list[Section]:
    """The ball's x and y over the frames of the clip with the most errors: truth as a line, answers as dots."""
    frames, error = marked.frames, marked.are("fp1", "fp2", "fn")
    if not len(frames.names):
        return []
    number = int(np.bincount(frames.clips, weights=error).argmax())
    whole = np.flatnonzero(frames.clips == number)
    # Of a long clip the part with the most errors.
    inside = np.concatenate([[0], np.cumsum(error[whole])])
    length = min(FLIGHT, len(whole))
    start = int((inside[length:] - inside[: len(inside) - length]).argmax())
    members = whole[start : start + length]
    drawings = [
        curves(
            _rows(marked, members, start, axis), ["found", "wrong", "label", "missed"], x="frame", title=title,
            dots=("found", "wrong", "missed"), broken=True, size=(260, 420),
        ) for axis, title in ((0, "x, px"), (1, "y, px, downwards"))
    ]  # fmt: skip
    part = "" if len(members) == len(whole) else f" Frames {start} to {start + len(members) - 1} of {len(whole)}."
    note = f"{clips[number].name}: {int(error[whole].sum())} errors in {len(whole)} frames, the most of a clip.{part}"
    return [Svg(drawings, heading="Flight of the ball", note=note)]


def _rows(marked: Marked, members: NDArray[np.int64], start: int, axis: int) -> list[dict[str, float | None]]:
    """A row a frame: the label, and its answer in the column of its outcome; a missed ball at its label."""
    truth, answer = marked.frames.truth[:, axis], marked.frames.predicted[:, axis]
    columns = {"found": marked.are("tp"), "wrong": marked.are("fp1", "fp2"), "missed": marked.are("fn")}
    rows: list[dict[str, float | None]] = []
    for frame, number in enumerate(members.tolist(), start):
        row: dict[str, float | None] = {"frame": frame}
        row["label"] = float(truth[number]) if marked.present[number] else None
        for name, mask in columns.items():
            row[name] = float((truth if name == "missed" else answer)[number]) if mask[number] else None
        rows.append(row)
    return rows
