"""``visualize``: truth and predictions of a video on its frames; ``suggest``: the frames to label next. No torch."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kaname.data.formats import skeleton as skeletons
from kaname.data.formats.files import make_folder
from kaname.data.formats.mot_kp_files import frame_images, frame_name, label_files
from kaname.data.formats.mot_kp_rows import objects_of, parse_rows
from kaname.data.formats.skeleton import Skeleton
from kaname.data.frame_source import FrameSource
from kaname.errors import InputError
from kaname.files import write_text
from kaname.geometry.image import read_image, write_image
from kaname.metrics.hota_kp import Objects
from kaname.metrics.keypoint_objects import VISIBLE, pairs_of, rows_by_frame
from kaname.progress import Bar
from kaname.recipes.kpnet.classes import find_masks
from kaname.recipes.kpnet.labels import SETS
from kaname.recipes.kpnet.report import painted
from kaname.recipes.kpnet.trackers import read_truth, skeleton_name
from kaname.reporting.pairs import pairs_overlay
from kaname.reporting.results import print_table
from kaname.types import FloatArray, Image

MISS = 100.0  # pixels that a missed or a false point counts where frames are ordered
ALPHA = 0.4  # how far masks cover a frame
EMPTY = np.zeros((0, 2))


@dataclass(frozen=True)
class Shown:
    """What is drawn of a frame: places ``(N, 2)`` in its pixels."""

    number: int
    true: FloatArray
    predicted: FloatArray
    missed: FloatArray
    false: FloatArray
    hidden: FloatArray

    @property
    def badness(self) -> float:
        """Mean pixels that a point is off, where missed and false ones count `MISS`."""
        apart = np.minimum(np.linalg.norm(self.true - self.predicted, axis=1), MISS)
        wrong = len(self.missed) + len(self.false)
        return float((apart.sum() + MISS * wrong) / max(1, len(apart) + wrong))


def visualize(
    data_root: Path,
    video: str,
    predictions: Path,
    out: Path,
    *,
    gt_folder: Path | None = None,
    limit: int = 0,
    order: Literal["first", "worst"] = "first",
    seg_root: Path | None = None,
    video_root: Path | None = None,
    skeleton: str | None = None,
) -> list[Path]:
    """Write ``VIDEO_frame_ID_overlay.jpg`` of labelled frames; returns them in the order in which they were drawn.

    Args:
        predictions: MOT-KP text of the video.
        limit: how many frames; 0 = all.
        order: as they come, or the worst first.
        seg_root: of masks ``VIDEO/VIDEO_frame_ID.png`` to lay over the frames.

    Raises:
        InputError: no labels of the video, unusable predictions, or a frame that is nowhere.
    """
    if limit < 0:
        raise InputError(f"--limit must not be negative, got {limit}", remedy="0 draws all")
    truth_folder = gt_folder or data_root / "val" / "mot"
    bones = skeletons.find(skeleton_name(skeleton or own_skeleton(data_root), truth_folder))
    labels = read_truth(truth_folder, bones, [video])[video]
    numbers = sorted(
        {int(number) for one in labels.objects.values() for number in one.frames} | set(labels.frames or ())
    )
    predicted, _ = predicted_objects(predictions, bones)
    shown = [shown_frame(number, labels.objects, predicted) for number in numbers]
    if order == "worst":
        shown.sort(key=lambda one: -one.badness)
    read = frame_reader(data_root, video, video_root)
    masks = find_masks(Path(), seg_root, bones) if seg_root is not None else {}
    make_folder(out)
    written: list[Path] = []
    with Bar(f"drawing {video}", min(len(shown), limit or len(shown))) as bar:
        for one in shown[: limit or None]:
            image = read(one.number)
            if (video, one.number) in masks:
                classes = masks[video, one.number].read((image.shape[0], image.shape[1]))
                image = image if classes is None else painted(image, classes, bones, ALPHA)
            drawn = pairs_overlay(image, one.true, one.predicted, missed=one.missed, false=one.false, hidden=one.hidden)
            written.append(out / f"{frame_name(video, one.number)}_overlay.jpg")
            write_image(written[-1], drawn)
            bar.advance()
    print(f"{len(written)} pictures in {out}")
    return written


def own_skeleton(data_root: Path) -> str | None:
    """The skeleton of a data set, where it has one."""
    path = data_root / "skeleton.yaml"
    return str(path) if path.is_file() else None


def predicted_objects(path: Path, skeleton: Skeleton) -> tuple[dict[str, Objects], dict[int, float]]:
    """The objects of a file of predictions by class, and each frame's mean confidence where the file states them.

    A point with a confidence is visible where that is more than 0.

    Raises:
        InputError: the first fault of the file.
    """
    found = parse_rows(path, skeleton, predictions=True)
    if found.faults:
        raise found.faults[0]
    if not found.confidences:
        return objects_of(found.rows, skeleton), {}
    scores: dict[int, list[float]] = {}
    for row in found.rows:
        scores.setdefault(row.frame, []).extend(np.clip(row.third, 0, 1).tolist())
    rows = [replace(row, third=np.where(row.third > 0, VISIBLE, 0)) for row in found.rows]
    return objects_of(rows, skeleton), {number: float(np.mean(values)) for number, values in scores.items()}


def frame_reader(data_root: Path, video: str, video_root: Path | None) -> Callable[[int], Image]:
    """Reads a frame of a video by its number: from its image where there is one, else from the video's file."""
    images: dict[int, Path] = {}
    for part in SETS:
        folder = data_root / part / "frames"
        for (name, number), path in frame_images(folder).items() if folder.is_dir() else ():
            if name == video:
                images[number] = path
    path = (video_root or data_root / "movie") / f"{video}.mp4"
    if not images and not path.is_file():
        reason = f"neither images of {video!r} in {data_root} nor its video"
        raise InputError(reason, path=path, remedy="check --video and --data-root, or give --video-root")
    source = FrameSource(video, video=path)

    def read(number: int) -> Image:
        if number in images:
            return read_image(images[number])  # type: ignore[return-value]
        if not path.is_file():
            remedy = "give the video's folder with --video-root"
            raise InputError(f"no image of frame {number} of {video!r}, and no video", path=path, remedy=remedy)
        return source.read(number)

    return read


def shown_frame(number: int, truth: Mapping[str, Objects], predicted: Mapping[str, Objects]) -> Shown:
    """What is to be seen of a frame: objects are paired class by class, by least distance."""
    parts: dict[str, list[FloatArray]] = {name: [EMPTY] for name in ("true", "predicted", "missed", "false", "hidden")}
    for name, objects in truth.items():
        others = predicted[name]
        grid = (number,)
        rows, found = (rows_by_frame(one, grid).get(number, []) for one in (objects, others))
        pairs, _ = pairs_of(objects, others, rows, found)
        for row in rows:
            xy, states = objects.points[row], objects.visible[row]
            there = (states > 0) & np.isfinite(xy).all(axis=1)
            parts["hidden"].append(xy[there & (states == 1)])
            if row not in pairs:
                parts["missed"].append(xy[there])
                continue
            place = others.points[pairs[row]]
            both = there & np.isfinite(place).all(axis=1)
            parts["true"].append(xy[both])
            parts["predicted"].append(place[both])
            parts["missed"].append(xy[there & ~both])
        for alone in set(found) - set(pairs.values()):
            own = others.points[alone]
            parts["false"].append(own[(others.visible[alone] > 0) & np.isfinite(own).all(axis=1)])
    return Shown(number, **{name: np.concatenate(own) for name, own in parts.items()})


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
                found[place[frame], start : start + len(points)] = np.where((visible != 0)[:, None], points, np.nan)
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
