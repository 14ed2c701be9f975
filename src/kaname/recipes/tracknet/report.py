"""The page of an evaluation and of a training run of ``tracknet``: what ``reporting`` shows, gathered. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kaname.inference.model import Model
from kaname.metrics import detection
from kaname.metrics.calibration import Bin, calibration
from kaname.metrics.intervals import LEAST
from kaname.recipes.tracknet import evaluate as figures
from kaname.recipes.tracknet.labels import Clip
from kaname.recipes.tracknet.pictures import MARKS, Marked, extremes, trajectory
from kaname.reporting.page import Section, Table
from kaname.reporting.report import Headline, Report, command_line, data_hash, write_report
from kaname.reporting.results import PAGE

if TYPE_CHECKING:
    from kaname.recipes.tracknet.scoring import Result


def write(
    result: Result, clips: Sequence[Clip], folder: Path, *, model: Model | None, source: Path, path: Path | None = None,
    title: str = "", command: str = "",
) -> Path:  # fmt: skip
    """Write the page of one scored set, and its best and worst frames into ``folder/best`` and ``folder/worst``.

    Args:
        result: of ``scoring.score_model`` or ``score_file``.
        clips: the set.
        folder: where the set's ``metrics.json`` lies.
        model: the model; None where predictions were read from a file.
        source: the checkpoint or the file of predictions.
        path: the page; default: ``folder/report.html``.
        title: default: names the set.
        command: default: this process's command line.
    """
    settings = result.settings
    detect = settings["detect"]
    tolerance = detect["tolerance"]
    marked = Marked.of(result.frames, detect, occluded_absent=settings["occluded_counts_as_absent"])
    shown = extremes(marked, clips, folder)
    log = source.parent / "log.csv"
    missing = {"pictures": "no frame has a ball or an answer"}
    if shown.unreadable:
        missing["pictures"] = "no frame could be read"
    if model is None:
        missing |= {part: f"predictions were read from {source.name}" for part in ("speed", "curves")}
    report = Report(
        title=title or f"tracknet: evaluation of {'all sets' if settings['set'] == 'all' else settings['set']}",
        subtitle=f"{settings['model'] or 'a model that the predictions do not name'}; {settings['frames']} frames of "
        f"{settings['clips']} clips ({', '.join(settings['games'])})",
        notes=[*warnings(settings, result.made), *shown.unreadable],
        metrics=chosen_figures(result.groups, tolerance),
        metrics_note=f"Rows are the labels' visibility and status; distances are pixels of the original frames, found "
        f"means within {tolerance:g} px. {settings['intervals']}. A dash: no frame of this kind has a value. Answers "
        "where there is no ball stand in the row absent alone, so the precision of the others does not know them.",
        headline=_headline(tolerance),
        log=log if model is not None and log.is_file() else None,
        worst=shown.pictures["worst"],
        best=shown.pictures["best"],
        pictures_note=MARKS,
        sections=[counts(result.groups, tolerance), *trajectory(marked, clips)],
        calibration={"ball": bins(result.frames, tolerance, settings)},
        calibration_note=f"A peak is right within {tolerance:g} px of a ball; peaks that are too low to be an answer "
        f"(score_threshold {detect['score_threshold']:g}) count here too. Errors are distances in pixels.",
        speed=result.speed,
        config={"detect": detect} if model is None else model.card["config"],
        command=command or command_line(),
        data={
            "folder": settings["data"], "frames": settings["frames"], "clips": settings["clips"],
            "hash": settings["data_hash"],
        },
        missing=missing,
    )  # fmt: skip
    return write_report(path or folder / PAGE, report)


def _headline(tolerance: float) -> tuple[Headline, ...]:
    return (
        Headline(f"F1 within {tolerance:g} px", "all", f"f1_{tolerance:g}px"),
        Headline("Precision", "all", f"precision_{tolerance:g}px"),
        Headline("Recall", "all", f"recall_{tolerance:g}px"),
        Headline("Median distance of the answers", "all", "l2_median_px", "px"),
    )


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
        lines.append(f"Smoothed ({settings['smooth']}) before scoring: filled places count as answers.")
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
    distance = detection.distances(
        frames.predicted, frames.score, frames.truth, frames.visibility, -1.0,
        occluded_absent=settings["occluded_counts_as_absent"],
    )  # fmt: skip
    there = np.isfinite(frames.predicted).all(axis=1)
    errors = np.where(np.isnan(distance), np.inf, distance)
    return calibration(np.clip(frames.score[there], 0, 1), errors[there], tolerance)


def hash_of(clips: Sequence[Clip]) -> str:
    """The hash of a set: its frames' labels, names and sizes of files."""

    def label(clip: Clip, number: int) -> bytes:
        x, y = np.round(clip.xy[number], 3).tolist()
        told = (clip.name, number, int(clip.visibility[number]), int(clip.status[number]), x, y)
        return repr(told).encode()

    return data_hash((path, label(clip, number)) for clip in clips for number, path in enumerate(clip.frames))
