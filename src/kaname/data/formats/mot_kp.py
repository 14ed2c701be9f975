"""MOT-KP text: key points of objects along a video, with ids (`mot_kp_rows` says how a row is made).

Two layouts: ``VIDEO.txt`` holds the frames of a video (``VIDEO_pred.txt`` predictions), ``VIDEO_frame_ID.txt`` one
frame. Files that begin with ``SYNAPSE_`` belong to a download tool and are passed over. An empty file of one frame is
a frame without objects; of a whole video it is an error. Frames whose images are there but for which a video's file has
no row are frames without objects too.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kaname.data.formats.files import each_sound, faults, image_size
from kaname.data.formats.mot_kp_files import (
    LabelFile,
    beside,
    frame_images,
    frame_name,
    frames_without_file,
    label_files,
)
from kaname.data.formats.mot_kp_rows import UNLABELLED, Row, Rows, doubles, parse_rows
from kaname.data.formats.mot_kp_writing import write_files
from kaname.data.formats.skeleton import Skeleton, find
from kaname.data.formats.units import doubted
from kaname.errors import InputError
from kaname.geometry.grid import PIXELS
from kaname.types import FloatArray, Sample, Size

DEFAULT_SKELETON = "oss25"
Names = Skeleton | str | PathLike[str] | None


def read(
    path: str | PathLike[str],
    images: str | PathLike[str] | None = None,
    *,
    skeleton: Names = None,
    predictions: bool | None = None,
) -> list[Sample]:
    """The frames of a label file or of a folder of them, in the order of videos and frames.

    Args:
        path: a file, or a folder of files of either layout.
        images: the folder of the frames' images (``VIDEO_frame_ID.png`` in it or in a folder of the video's name),
            which must all be there. By default they are looked for beside the labels and in ``../frames``, and a frame
            without one gets the path that it would have.
        skeleton: the classes and their points: the value, a file or a name; by default ``oss25``.
        predictions: as in `kaname.data.formats.mot_kp_rows.read_rows`; None: True for a file named ``..._pred.txt``.

    Returns:
        A sample for each frame. ``points["CLASS.POINT"]`` has a row for each object of the class, in the file's order;
        ``ids`` and ``labels`` (the class) one entry for each object. ``visible`` 0 is out of frame, with NaN.
        ``meta["video"]``; ``meta["unlabelled"]`` says by name for each row whether the point is *not labelled*
        (``visible`` 0 too), ``meta["hidden"]`` whether it is hidden at a place that nobody knows (the same);
        ``meta["scores"]`` has the confidences of predictions that state them, whose points then
        are visible where that is more than 0.

    Raises:
        InputError: the first of ``problems``.
    """
    return list(stream(path, images, skeleton=skeleton, predictions=predictions))


def stream(
    path: str | PathLike[str],
    images: str | PathLike[str] | None = None,
    *,
    skeleton: Names = None,
    predictions: bool | None = None,
) -> Iterator[Sample]:
    """As ``read``, a video in memory at a time; the first problem is raised where it is reached."""
    return each_sound(_walk(Path(path), images, skeleton, predictions))


def problems(
    path: str | PathLike[str],
    images: str | PathLike[str] | None = None,
    *,
    skeleton: Names = None,
    predictions: bool | None = None,
) -> list[InputError]:
    """Everything that is wrong with the files; takes the arguments of ``read``."""
    return faults(_walk(Path(path), images, skeleton, predictions))


def write(
    path: str | PathLike[str],
    samples: Sequence[Sample],
    *,
    skeleton: Names = None,
    root: Path | None = None,
    layout: Literal["video", "frame"] = "video",
    third: Literal["visibility", "confidence"] = "visibility",
) -> None:
    """Write label files; the same samples give the same bytes.

    Args:
        path: a name that ends in ``.txt`` is the file of one video; any other is a folder of files.
        samples: ``labels`` and ``ids`` name the objects; without them each row of a class is one, with an id of its
            own. A point may lack its class where one class alone has it. The frame is ``frame``, else the number in
            the image's name ``VIDEO_frame_ID``; the video ``meta["video"]``, else from that name. A point that a
            sample lacks is written as not labelled.
        skeleton: as in ``read``.
        root: not used; the other formats of ``kaname convert`` have it.
        layout: in a folder: a file for each ``video``, or for each ``frame`` (which can hold a frame without objects).
        third: of a triple; ``confidence`` takes ``meta["scores"]``.

    Raises:
        InputError: points or classes that the skeleton lacks, more objects than instances, a sample without a frame,
            two samples of one frame, samples of several videos for one file.
    """
    del root
    write_files(Path(path), samples, find_skeleton(skeleton), layout=layout, third=third)


def find_skeleton(skeleton: Names) -> Skeleton:
    """A skeleton from what a caller holds; by default that of the challenge's 27 channels."""
    return skeleton if isinstance(skeleton, Skeleton) else find(str(skeleton or DEFAULT_SKELETON))


def _walk(
    path: Path, images: str | PathLike[str] | None, skeleton: Names, predictions: bool | None
) -> Iterator[Sample | InputError]:
    try:
        names = find_skeleton(skeleton)
        files = label_files(path)
        folder = beside(path) if images is None else Path(images)
        known = {} if folder is None else frame_images(folder)
    except InputError as error:
        yield error
        return
    sizes: dict[str, dict[Size, Path]] = defaultdict(dict)  # of each video's images
    for file in files:
        of_video = {frame: image for (video, frame), image in known.items() if video == file.video}
        try:
            reader = _FileReader(file, of_video, names, predictions, strict=images is not None)
            yield from doubted(reader.samples(sizes[file.video]), file.path, "index")
        except InputError as error:
            yield error
    if path.is_dir() and images is not None:
        for video, frame in frames_without_file(files, known):
            name = known[video, frame]
            remedy = f"write {frame_name(video, frame)}.txt, empty where nothing is to be seen, or remove the image"
            yield InputError("an image without labels", path=name, remedy=remedy)


class _FileReader:
    """One label file against the images of its video."""

    def __init__(
        self, file: LabelFile, images: Mapping[int, Path], skeleton: Skeleton, predictions: bool | None, *, strict: bool
    ) -> None:
        self.file, self.images, self.skeleton, self.strict = file, images, skeleton, strict
        if predictions is None and file.frame is None and file.path.stem != file.video:
            predictions = True
        self.found: Rows = parse_rows(file.path, skeleton, predictions=predictions)

    def samples(self, sizes: dict[Size, Path]) -> Iterator[Sample | InputError]:
        """A sample for each frame, or what is wrong with the file; ``sizes`` are those of its video so far."""
        if not self.found.rows and not self.found.faults and self.file.frame is None:
            yield self._fault("the file is empty", None, "label the video, or remove the file")
            return
        yield from self.found.faults
        if not self.found.confidences and (double := list(doubles(self.found.rows, self.file.path))):
            more = f" (and {len(double) - 1} more)" if len(double) > 1 else ""
            warnings.warn(f"{self.file.path}:{double[0].row}: {double[0].reason}{more}; both count", stacklevel=2)
        frames: dict[int, list[Row]] = defaultdict(list)
        for row in self.found.rows:
            frames[row.frame].append(row)
        if self.file.frame is not None:
            for number in sorted(frames.keys() - {self.file.frame}):
                remedy = f"rows of this file are of frame {self.file.frame}"
                yield self._fault(f"the row is of frame {number}", frames.pop(number)[0].line, remedy)
            frames[self.file.frame] = frames[self.file.frame]
        elif self.strict:
            frames.update({number: [] for number in self.images.keys() - frames.keys()})
        for number in sorted(frames):
            yield from self._frame(number, frames[number], sizes)

    def _frame(self, number: int, rows: Sequence[Row], sizes: dict[Size, Path]) -> Iterator[Sample | InputError]:
        image, size = self.images.get(number), None
        line = rows[0].line if rows else "frame " + str(number)
        if image is None and self.strict:
            name = frame_name(self.file.video, number)
            yield self._fault(f"no image {name!r}", line, "add the image, or remove the rows")
            return
        if image is not None:
            try:
                size = image_size(image)
            except InputError as error:
                yield error
                return
            first, usual = next(iter(sizes.items()), (size, image))
            sizes.setdefault(size, image)
            if size != first:
                reason = f"{size[1]} x {size[0]} pixels, but {usual.name} of the same video has {first[1]} x {first[0]}"
                yield InputError(reason, path=image, remedy="extract the video's frames again")
                return
            yield from self._outside(rows, size)
        name = f"{frame_name(self.file.video, number)}.png"
        yield self._sample(image or self.file.path.parent / name, number, rows, size)

    def _outside(self, rows: Sequence[Row], size: Size) -> Iterator[InputError]:
        def outside(points: FloatArray, third: FloatArray) -> NDArray[np.bool_]:
            return ((points < 0) | (points > size[::-1])).any(axis=1) & (third == 2)

        if self.found.confidences or not rows:
            return
        if not outside(np.concatenate([row.points for row in rows]), np.concatenate([row.third for row in rows])).any():
            return
        for row in rows:
            for point in np.flatnonzero(outside(row.points, row.third)).tolist():
                x, y = PIXELS.to_index(row.points[point]).tolist()  # as the file has it
                name = self.skeleton.groups[row.group].points[point]
                reason = f"the visible point {name} at ({x:g}, {y:g}) lies outside the image of {size[1]} x {size[0]}"
                yield self._fault(reason, row.line, "set its visibility to 0, or correct it")

    def _fault(self, reason: str, row: int | str | None, remedy: str) -> InputError:
        return InputError(reason, path=self.file.path, row=row, remedy=remedy)

    def _sample(self, image: Path, frame: int, rows: Sequence[Row], size: Size | None) -> Sample:
        points: dict[str, Any] = {}
        visible: dict[str, Any] = {}
        meta: dict[str, Any] = {"video": self.file.video}
        unlabelled: dict[str, list[bool]] = {}
        hidden: dict[str, list[bool]] = {}
        scores: dict[str, Any] = {}
        for group in dict.fromkeys(row.group for row in rows):
            objects = [row for row in rows if row.group == group]
            xy, third = np.array([row.points for row in objects]), np.array([row.third for row in objects])
            placeless, unknown = np.isnan(xy).any(axis=2), third == UNLABELLED
            there = (third > 0) & ~placeless
            placed = np.where(there[:, :, None], xy, np.nan)
            known = np.where(there, 2 if self.found.confidences else third, 0).astype(np.int64)
            for place, name in enumerate(self.skeleton.groups[group].points):
                points[name], visible[name] = placed[:, place], known[:, place]
                if self.found.confidences:
                    scores[name] = third[:, place]
            for marks, kept in ((() if self.found.confidences else unknown, unlabelled), (placeless, hidden)):
                for place in np.flatnonzero(np.any(marks, axis=0)).tolist():
                    kept[self.skeleton.groups[group].points[place]] = np.asarray(marks)[:, place].tolist()
        further = {"unlabelled": unlabelled, "hidden": hidden, "scores": scores}
        meta |= {name: value for name, value in further.items() if value}
        return Sample(
            image=image,
            points=points,
            visible=visible,
            size=size,
            ids=[row.track for row in rows],
            labels=[row.group for row in rows],
            frame=frame,
            meta=meta,
        )
