"""Truth and predictions of videos on their frames: ``visualize``, and ``draw`` of text files. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from kaname.data.formats import skeleton as skeletons
from kaname.data.formats.files import make_folder
from kaname.data.formats.mot_kp_files import frame_images, frame_name, label_file, label_files
from kaname.data.formats.mot_kp_rows import objects_of, parse_rows
from kaname.data.formats.skeleton import Skeleton
from kaname.data.frame_source import FrameSource
from kaname.data.naming import video_file
from kaname.errors import InputError
from kaname.geometry.image import read_image, write_image
from kaname.metrics.hota_kp import Objects
from kaname.metrics.keypoint_objects import VISIBLE, pairs_of, rows_by_frame
from kaname.pipeline.replacing import drawing, record_of
from kaname.progress import Bar
from kaname.recipes.kpnet.classes import find_masks
from kaname.recipes.kpnet.drawing import COLOURS, painted
from kaname.recipes.kpnet.labels import SETS
from kaname.recipes.kpnet.trackers import predicted_files, read_truth, skeleton_name
from kaname.reporting.draw import points_overlay
from kaname.reporting.pairs import pairs_overlay
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


def frame_files(data_root: Path, video: str) -> dict[int, Path]:
    """The images of a video's frames in a data set, by number."""
    images: dict[int, Path] = {}
    for part in SETS:
        folder = data_root / part / "frames"
        for (name, number), path in frame_images(folder).items() if folder.is_dir() else ():
            if name == video:
                images[number] = path
    return images


def frame_reader(data_root: Path, video: str, video_root: Path | None) -> Callable[[int], Image]:
    """Reads a frame of a video by its number: from its image where there is one, else from the video's file."""
    images = frame_files(data_root, video)
    path = video_file(video_root or data_root / "movie", video)
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


def draw_texts(predictions: Path, data_root: Path, out: Path, *, limit: int = 0, skeleton: str | None = None,
               overwrite: bool = False) -> None:  # fmt: skip
    """Draw ``VIDEO_pred.txt``, of a folder or one, on their frames, beside the labels where there are some.

    Frames that have an image are drawn; of a video without any, all predicted frames.

    Raises:
        InputError: nothing predicted, or a frame that is nowhere.
    """
    bones = skeletons.find(skeleton or own_skeleton(data_root) or skeleton_name(None, data_root))
    files = {label_file(predictions).video: predictions} if predictions.is_file() else predicted_files(predictions)
    if not files:
        raise InputError("no predictions (VIDEO_pred.txt)", path=predictions, remedy="check --predictions")
    pictures: list[tuple[str, int, dict[str, FloatArray]]] = []
    for video, path in files.items():
        predicted, _ = predicted_objects(path, bones)
        truth = (
            {}
            if (folder := _labelled_in(data_root, video)) is None
            else read_truth(folder, bones, [video])[video].objects
        )
        numbers = sorted({int(number) for one in predicted.values() for number in one.frames})
        shown = [number for number in numbers if number in frame_files(data_root, video)] or numbers
        pictures += [(video, number, {name: places_in(side, number) for name, side in (("labelled", truth),
                     ("predicted", predicted)) if side}) for number in shown]  # fmt: skip
    made_of = {"predictions": [predictions.absolute()], "data": [data_root.absolute()], "skeleton": skeleton}
    record = record_of(out, "draw", {**made_of, "limit": limit})
    readers = {video: frame_reader(data_root, video, None) for video in dict.fromkeys(one for one, _, _ in pictures)}
    with drawing(record, overwrite=overwrite) as place_of:
        for video, number, layers in pictures[: limit or None]:
            image = points_overlay(readers[video](number), layers, COLOURS)
            path = place_of(f"{frame_name(video, number)}.jpg")
            make_folder(out)
            write_image(path, image)
    print(f"{len(pictures[: limit or None])} pictures in {out}")


def _labelled_in(data_root: Path, video: str) -> Path | None:
    """The folder of labels that has a video."""
    for part in SETS:
        folder = data_root / part / "mot"
        if folder.is_dir() and any(folder.glob("*.txt")) and video in {one.video for one in label_files(folder)}:
            return folder
    return None


def places_in(objects: Mapping[str, Objects], number: int) -> FloatArray:
    """The points ``(N, 2)`` of a frame that are in it."""
    found = [EMPTY]
    for one in objects.values():
        chosen = one.frames == number
        points, visible = one.points[chosen].reshape(-1, 2), one.visible[chosen].reshape(-1)
        found.append(points[(visible > 0) & np.isfinite(points).all(axis=1)])
    return np.concatenate(found)


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
            both = there & np.isfinite(place).all(axis=1) & (others.visible[pairs[row]] > 0)
            parts["true"].append(xy[both])
            parts["predicted"].append(place[both])
            parts["missed"].append(xy[there & ~both])
        for alone in set(found) - set(pairs.values()):
            own = others.points[alone]
            parts["false"].append(own[(others.visible[alone] > 0) & np.isfinite(own).all(axis=1)])
    return Shown(number, **{name: np.concatenate(own) for name, own in parts.items()})
