"""What the pages and pictures of ``tracknet`` show: worst and best frames, the flight of one clip's ball. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.data.frame_source import read_frame
from kaname.inference.model import Model
from kaname.metrics import detection
from kaname.metrics.calibration import Bin, calibration
from kaname.metrics.intervals import LEAST
from kaname.pipeline.labelled import Result
from kaname.recipes.tracknet import evaluate as figures
from kaname.recipes.tracknet.labels import Clip
from kaname.reporting.closeup import closeup
from kaname.reporting.curves import curves
from kaname.reporting.extremes import Extremes, Shot, write_extremes
from kaname.reporting.page import Section, Svg, Table
from kaname.reporting.report import Headline
from kaname.tracking.trajectory import Row
from kaname.types import FloatArray

SHOWN = 3  # of each kind of fault; twice as many of the best
FLIGHT = 300  # frames of a clip that are plotted
MARKS = (
    "The boxes in a frame are enlarged below it. The wide ring is the labelled ball, as wide as the tolerance; the "
    "small one is the answer. Where the two are close, or one is missing, the place is shown without (left) and with "
    "marks (right); "
    "else the ball is on the left, the answer on the right. Green: found; amber: missed; red: wrong."
)


def page(result: Result, clips: Sequence[Clip], folder: Path, model: Model | None) -> dict[str, Any]:
    """The recipe's fields of the page of a scored set; worst and best frames go to ``folder/worst`` and ``/best``."""
    settings, (frames, about) = result.settings, result.details
    detect = settings["detect"]
    tolerance = detect["tolerance"]
    marked = Marked.of(frames, detect, occluded_absent=settings["occluded_counts_as_absent"])
    shown = extremes(marked, clips, folder)
    unseen = "no frame could be read" if shown.unreadable else "no frame has a ball or an answer"
    return {
        "subtitle": f"{settings['frames']} frames of {settings['clips']} clips ({', '.join(settings['games'])})",
        "notes": [*warnings(settings, about), *shown.unreadable],
        "metrics": chosen_figures(result.groups, tolerance),
        "metrics_note": f"Rows are the labels' visibility and status; distances are pixels of the original frames, "
        f"found means within {tolerance:g} px. {settings['intervals']}. A dash: no frame of this kind has a value. "
        "Answers where there is no ball are in the row absent alone, so the precision of the others does not know "
        "them.",
        "headline": (
            Headline(f"F1 within {tolerance:g} px", "all", f"f1_{tolerance:g}px"),
            Headline("Precision", "all", f"precision_{tolerance:g}px"),
            Headline("Recall", "all", f"recall_{tolerance:g}px"),
            Headline("Median distance of the answers", "all", "l2_median_px", "px"),
        ),
        "worst": shown.pictures["worst"],
        "best": shown.pictures["best"],
        "pictures_note": MARKS,
        "sections": [counts(result.groups, tolerance), *trajectory(marked, clips)],
        "calibration": {"ball": bins(frames, tolerance, settings)},
        "calibration_note": f"A peak is right within {tolerance:g} px of a ball; peaks that are too low to be an "
        f"answer (score_threshold {detect['score_threshold']:g}) count here too. Errors are distances in pixels.",
        "data": {
            "folder": settings["data"], "frames": settings["frames"], "clips": settings["clips"],
            "hash": settings["data_hash"],
        },
        "missing": {"pictures": unseen},
    }  # fmt: skip


def warnings(settings: Mapping[str, Any], made: Mapping[str, Any]) -> list[str]:
    """What a reader must know before believing the figures."""
    policies = {
        "mask": "absent: mask. Frames without a ball took no part in the loss; in these figures every frame counts.",
        "negative": "absent: negative. Frames without a ball taught the model to answer nothing.",
    }
    lines = [policies.get(settings["absent"], "How the model was taught frames without a ball is not known.")]
    trained_on = made.get("trained_on") or {}
    if trained_on.get("data") == settings["data"]:
        for name, what in (("train", "trained"), ("val", "chose the weights")):
            seen = sorted(set(settings["games"]) & set(trained_on.get(name, ())))
            if seen and name == "train":
                lines.append(f"Scored on games that it was trained on ({', '.join(seen)}): the figures flatter it.")
            elif seen:
                lines.append(f"These games {what} ({', '.join(seen)}): games it never saw say more.")
    elif made:
        lines.append("Whether the model was trained on these games is not known: its own data is another folder.")
    if made.get("pretrained") is False:
        lines.append("The backbone started from random weights, without pretraining.")
    hidden = settings["occluded_counts_as_absent"]
    lines.append(f"Occluded balls (visibility 3) count as {'no ball' if hidden else 'balls to be found'}.")
    if settings["smooth"] != "none":
        lines.append(f"Smoothed ({settings['smooth']}) before scoring: filled positions count as answers.")
    if settings["clips"] < LEAST:
        lines.append(
            f"{settings['clips']} clips are too few to resample: the intervals are those of blocks of frames, and how "
            "matches differ from each other is not in them."
        )
    if settings.get("limit"):
        lines.append(f"Only the first {settings['limit']} were scored.")
    return lines


def chosen_figures(groups: Mapping[str, Mapping[str, Any]], tolerance: float) -> dict[str, Any]:
    """The columns of the page's table, without the reasons for what has no value."""
    names = [f"{rate}_{tolerance:g}px" for rate in ("f1", "precision", "recall", "accuracy")]
    names += [*(f"pck_{threshold:g}px" for threshold in detection.PCK_PX), "l2_median_px", "l2_mean_px"]
    return {
        group: {name: {key: value for key, value in entries[name].items() if key != "reason"} for name in names}
        for group, entries in groups.items()
    }


def counts(groups: Mapping[str, Mapping[str, Any]], tolerance: float) -> Section:
    """How many frames of each kind have which outcome."""
    names = [f"{outcome}_{tolerance:g}px" for outcome in detection.OUTCOMES]
    rows = [
        [group, entries[names[0]]["n"], *(entries[name]["value"] for name in names)]
        for group, entries in groups.items()
    ]
    columns = ["", "frames", "tp: found", "fp1: too far", "fp2: no ball there", "fn: missed", "tn: rightly none"]
    return Table(columns, rows, heading="Counts", folded=True)


def bins(frames: figures.Frames, tolerance: float, settings: Mapping[str, Any]) -> list[Bin]:
    """Score against distance of every peak, those under the threshold too."""
    distance = frames.distances(-1.0, occluded_absent=settings["occluded_counts_as_absent"])
    there = np.isfinite(frames.predicted).all(axis=1)
    errors = np.where(np.isnan(distance), np.inf, distance)
    return calibration(np.clip(frames.score[there], 0, 1), errors[there], tolerance)


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
        threshold, tolerance = detect["score_threshold"], detect["tolerance"]
        outcomes = frames.outcomes(tolerance, threshold, occluded_absent=occluded_absent)
        distance = frames.distances(threshold, occluded_absent=occluded_absent)
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
    answer = marked.frames.predicted[number] if marked.answered[number] else nowhere
    true = marked.frames.truth[number] if marked.present[number] else nowhere
    return closeup(read_frame(path), answer, true, marked.tolerance)


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
    note = f"{clips[number].source}: {int(error[whole].sum())} errors in {len(whole)} frames, the most of a clip.{part}"
    return [Svg(drawings, heading="Flight of the ball", note=note)]


def _rows(marked: Marked, members: NDArray[np.int64], start: int, axis: int) -> list[dict[str, float | None]]:
    """A row per frame: the label, and its answer in the column of its outcome; a missed ball at its label."""
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


def truth(clip: Clip, number: int, about: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The true ball of a frame, where there is one."""
    xy = clip.xy[number : number + 1]
    return {"true ball": xy[np.isfinite(xy).all(axis=1)]}


def layers(row: Row) -> dict[str, np.ndarray]:
    """The ball of a row, where it has one."""
    return {"ball": np.array([(row.x, row.y)]) if row.there else np.zeros((0, 2))}
