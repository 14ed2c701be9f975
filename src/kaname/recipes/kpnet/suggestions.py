"""``suggest``: the frames of a video that are worth a label next. No torch."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaname.data.formats import skeleton as skeletons
from kaname.data.formats.files import make_folder
from kaname.data.formats.mot_kp_files import frame_name, label_files
from kaname.errors import InputError
from kaname.files import write_text
from kaname.geometry.image import write_image
from kaname.metrics.hota_kp import Objects
from kaname.recipes.kpnet.labels import SETS
from kaname.recipes.kpnet.pictures import frame_reader, own_skeleton, predicted_objects
from kaname.recipes.kpnet.trackers import skeleton_name
from kaname.reporting.results import print_table
from kaname.types import FloatArray


@dataclass(frozen=True)
class Clue:
    """Why a frame is worth a label; NaN where there is nothing to say.

    Attributes:
        jump: pixels by which the points leave the straight line through their neighbours in time.
        doubt: 1 - the confidence, or the share of points whose visibility or place came or went.
        apart: pixels between these predictions and the others, the detector's beside a bridge's.
    """

    number: int
    jump: float
    doubt: float
    apart: float


def suggest(
    data_root: Path,
    video: str,
    predictions: Path,
    out: Path,
    *,
    count: int = 50,
    beside: Path | None = None,
    video_root: Path | None = None,
    skeleton: str | None = None,
) -> list[int]:
    """Write the frames to label next as images and ``suggest.csv``; returns their numbers, the most telling first.

    Each clue ranks the frames; a frame's score is the mean of its ranks, 0..1. The best are taken one after the other,
    each as far from those before it as the count allows; frames that are labelled already are left out.

    Raises:
        InputError: unusable predictions, or no frame to choose from.
    """
    if count < 1:
        raise InputError(f"--count must be at least 1, got {count}", remedy="50 is usual")
    bones = skeletons.find(skeleton or own_skeleton(data_root) or skeleton_name(None, data_root))
    objects, confidence = predicted_objects(predictions, bones)
    others = None if beside is None else predicted_objects(beside, bones)[0]
    known = labelled_frames(data_root, video)
    clues = [one for one in clues_of(objects, confidence, others) if one.number not in known]
    if not clues:
        raise InputError("no predicted frame that is not labelled yet", path=predictions, remedy="predict more frames")
    scores = ranked(clues)
    chosen = spread([one.number for one in clues], scores, count)
    read = frame_reader(data_root, video, video_root)
    make_folder(out)
    rows = [["rank", "frame", "score", "jump_px", "doubt", "apart_px"]]
    places = {one.number: place for place, one in enumerate(clues)}
    for rank, number in enumerate(chosen, 1):
        one = clues[places[number]]
        values = [scores[places[number]], one.jump, one.doubt, one.apart]
        rows.append([str(rank), str(number), *("" if np.isnan(value) else f"{value:.3f}" for value in values)])
        write_image(out / f"{frame_name(video, number)}.png", read(number))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text(out / "suggest.csv", text.getvalue())
    print_table(rows[:21])
    print(f"{len(chosen)} frames and suggest.csv in {out}")
    return chosen


def labelled_frames(data_root: Path, video: str) -> set[int]:
    """The frames of a video that have labels already."""
    found: set[int] = set()
    for part in SETS:
        folder = data_root / part / "mot"
        for file in label_files(folder) if folder.is_dir() and any(folder.glob("*.txt")) else ():
            if file.video != video:
                continue
            lines = file.path.read_text(encoding="utf-8").splitlines() if file.frame is None else []
            found |= (
                {file.frame} if file.frame is not None else {int(float(line.split(",")[0])) for line in lines if line}
            )
    return found


def clues_of(
    objects: Mapping[str, Objects], scores: Mapping[int, float], others: Mapping[str, Objects] | None
) -> list[Clue]:
    """The clues of every predicted frame."""
    numbers = sorted({int(number) for one in objects.values() for number in one.frames})
    tracks = tracks_of(objects, numbers)
    beside = None if others is None else tracks_of(others, numbers)
    jump, doubt, apart = (np.full(len(numbers), np.nan) for _ in range(3))
    there: NDArray[np.bool_] = np.asarray(np.isfinite(tracks).all(axis=2), np.bool_)  # (frames, points)
    for place in range(1, len(numbers) - 1):
        bent = np.linalg.norm(tracks[place + 1] - 2 * tracks[place] + tracks[place - 1], axis=1) / 2
        known = bent[np.isfinite(bent)]
        jump[place] = known.max() if len(known) else np.nan
    for place in range(1, len(numbers)):
        doubt[place] = float((there[place] != there[place - 1]).mean()) if there.shape[1] else np.nan
    for place, number in enumerate(numbers):
        if number in scores:
            doubt[place] = 1 - scores[number]
        if beside is not None:
            distances = np.linalg.norm(tracks[place] - beside[place], axis=1)
            known = distances[np.isfinite(distances)]
            apart[place] = known.mean() if len(known) else np.nan
    return [Clue(*row) for row in zip(numbers, jump.tolist(), doubt.tolist(), apart.tolist(), strict=True)]


def tracks_of(objects: Mapping[str, Objects], numbers: Sequence[int]) -> FloatArray:
    """Places ``(frames, points, 2)`` of each point of each object of each class; NaN where it is not."""
    place = {number: row for row, number in enumerate(numbers)}
    columns: dict[tuple[str, object], int] = {}
    for name, one in objects.items():
        for track in one.ids:
            columns.setdefault((name, track), sum(objects[other].points.shape[1] for other, _ in columns))
    width = sum(objects[name].points.shape[1] for name, _ in columns)
    found = np.full((len(numbers), width, 2), np.nan)
    for name, one in objects.items():
        for frame, track, points, visible in zip(one.frames.tolist(), one.ids, one.points, one.visible, strict=True):
            if frame in place:
                start = columns[name, track]
                found[place[frame], start : start + len(points)] = np.where((visible > 0)[:, None], points, np.nan)
    return found


def ranked(clues: Sequence[Clue]) -> FloatArray:
    """The score ``(N,)`` of each frame: the mean over the clues of its rank in 0..1, 0 where it has none."""
    parts: list[FloatArray] = []
    for name in ("jump", "doubt", "apart"):
        values = np.array([getattr(one, name) for one in clues], np.float64)
        known = np.isfinite(values)
        if not known.any():
            continue
        order = np.searchsorted(np.sort(values[known]), np.where(known, values, -np.inf), side="left")
        parts.append(np.where(known, order / max(1, known.sum() - 1), 0.0))
    return np.mean(parts, axis=0) if parts else np.zeros(len(clues))


def spread(numbers: Sequence[int], scores: FloatArray, count: int) -> list[int]:
    """The best frames, each as far from those before it as the count allows: the gap is halved until they suffice."""
    order = [numbers[place] for place in np.argsort(-scores, kind="stable").tolist()]
    chosen: list[int] = []
    gap = max(1, (max(numbers) - min(numbers)) // max(1, count))
    while len(chosen) < min(count, len(order)):
        for number in order:
            if len(chosen) < count and all(abs(number - other) >= gap for other in chosen):
                chosen.append(number)
        gap = gap // 2
        if gap == 0:
            chosen += [number for number in order if number not in chosen][: count - len(chosen)]
    return chosen
