"""TrackNet's data sets: ``game1/Clip1/0000.jpg`` and a ``Label.csv`` for each clip, one ball per frame.

The files hold pixel indices: they pass through ``PIXELS``. ``tracknet_table`` says what a label file may look like,
``tracknet_layout`` which folders are clips (TrackNetV2's too). ``problems`` lists everything that is wrong; ``read``
raises the first problem.
"""

from __future__ import annotations

import itertools
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path

import numpy as np

from kaname.data.formats.files import faults, sound
from kaname.data.formats.tracknet_layout import Clip, find_clips, frames_in, some
from kaname.data.formats.tracknet_table import BALL, VISIBLE, Row, Table, read_table
from kaname.data.formats.tracknet_writing import write_clips
from kaname.data.formats.units import doubted
from kaname.data.frame_source import frame_places, frame_size
from kaname.data.naming import holes, order
from kaname.data.video import frames, is_video
from kaname.errors import InputError
from kaname.geometry.grid import PIXELS
from kaname.geometry.image import read_image
from kaname.types import Sample, Size

_READERS = 8  # threads that decode at once


def read(path: str | PathLike[str], images: str | PathLike[str] | None = None, *, check: bool = False) -> list[Sample]:
    """The frames of a clip, a game or a whole data set, in the order of games, clips and rows.

    Args:
        path: a label file, or the folder of a clip, of a game or of the games.
        images: where the frames are, if not next to the labels: the clip's folder of frames for a label file or a
            clip, or its video; otherwise a folder with the same games and clips, or matches with their videos.
        check: also decode every frame. Otherwise only the header of each clip's first frame is read, and of a video
            its packets and its first frame.

    Returns:
        A sample for each row: ``points["ball"]`` (1, 2), ``visible["ball"]`` (1,): 2 where the file says 1 or 2,
        1 where it says 3 (occluded), 0 with NaN where it says 0; ``image``, of a rally's video what stands for the
        frame (`kaname.data.frame_source`); ``size``; ``frame``, the row's number in its clip from 0; ``meta``:
        ``game`` and ``clip`` (names of the folders), ``visibility`` (0..3) and ``status`` (0 flying, 1 hit, 2 bounce,
        None where blank) of the file, ``dialect``.

    Raises:
        InputError: the first of ``problems``; without ``check`` the frames are not decoded.
    """
    return sound(_walk(Path(path), images, check=check))


def problems(path: str | PathLike[str], images: str | PathLike[str] | None = None) -> list[InputError]:
    """Everything that is wrong with a data set; decodes every frame. Takes the arguments of ``read``."""
    return faults(_walk(Path(path), images, check=True))


def write(path: str | PathLike[str], samples: Sequence[Sample], *, copy_frames: bool = False) -> None:
    """Write label files in the original's form; the same samples give the same bytes.

    Args:
        path: a name that ends in ``.csv`` is one clip's label file; any other is the folder of a data set, in which
            each clip gets ``GAME/CLIP/Label.csv`` by its samples' ``meta["game"]`` and ``meta["clip"]`` (names, or
            numbers as in ``game1`` and ``Clip1``).
        samples: one ball at most in each. ``meta["visibility"]`` is written where it agrees with the point's
            visibility, otherwise 0 for missing, 1 for visible and 3 for hidden; ``meta["status"]``, else blank.
            Rows are in the order of the frames' names, which must be that of ``frame``.
        copy_frames: also put the image files beside the labels. Without them, ``read`` needs ``images``.

    Raises:
        InputError: no samples, no game or clip, several balls in a frame, points but no ball,
            a ball outside its frame, two samples of one name in a clip, frame numbers against the order of names, a
            frame that cannot be copied.
    """
    write_clips(Path(path), samples, copy_frames=copy_frames)


def clips(path: str | PathLike[str], images: str | PathLike[str] | None = None) -> list[Clip]:
    """The clips of a data set, in the order of names (``Clip2`` before ``Clip10``); arguments as for ``read``.

    Raises:
        InputError: the first folder that is neither a clip nor a game nor a data set, or has no label file or two.
    """
    return sound(find_clips(Path(path), None if images is None else Path(images)))


def _walk(path: Path, images: str | PathLike[str] | None, *, check: bool) -> Iterator[Sample | InputError]:
    """The samples of every clip, or what is wrong with it."""
    for clip in find_clips(path, None if images is None else Path(images)):
        if isinstance(clip, InputError):
            yield clip
            continue
        try:
            reader = _ClipReader(clip)
        except InputError as error:
            yield error
            continue
        samples = reader.samples()
        if check:
            reader.check_frames()
        yield from reader.faults or doubted(samples, clip.labels, "index")


class _ClipReader:
    """One clip's label file against its frames.

    Raises:
        InputError: the label file cannot be read, or there is no frame.
    """

    def __init__(self, clip: Clip) -> None:
        self.clip = clip
        self.table: Table = read_table(clip.labels)
        self.faults: list[InputError] = list(self.table.faults)
        self.video = is_video(clip.frames) and clip.frames.is_file()
        if not self.video and not clip.frames.is_dir():
            remedy = "put the folder or the video of its frames there, or name them (images)"
            raise InputError("the folder of its frames does not exist", path=clip.frames, remedy=remedy)
        self.frames = frame_places(clip.frames) if self.video else frames_in(clip.frames)
        if not self.frames:
            remedy = f"put the frames beside {clip.labels.name}, or name their folder (images)"
            raise InputError("a clip without frames", path=clip.frames, remedy=remedy)
        self.size: Size | None = None
        try:
            self.size = frame_size(self.frames[0])
        except InputError as error:
            self.faults.append(error)

    def samples(self) -> list[Sample]:
        """A sample for each row; what is wrong goes to ``faults``."""
        by_name = _by_name(self.frames)
        samples: list[Sample] = []
        taken: dict[Path, int] = {}
        for row in self.table.rows:
            frame = self._frame(row, by_name)
            if frame is None:
                continue
            if frame in taken:
                self._fault(row.line, f"{frame.name} is also labelled in line {taken[frame]}", "keep one of the rows")
                continue
            taken[frame] = row.line
            self._check_place(row)
            samples.append(self._sample(row, frame, len(samples)))
        self._check_order([sample.image.name for sample in samples], list(taken.values()))
        # A damaged row may be the label that a frame lacks.
        bare = [frame.stem if self.video else frame.name for frame in self.frames if frame not in taken]
        if len(bare) > len(self.table.faults):
            reason = f"{len(bare)} of {len(self.frames)} frames have no valid label: {some(bare)}"
            elsewhere = "cut the video where the labels end" if self.video else "move them elsewhere"
            self._fault(None, reason, f"label them (visibility 0 where there is no ball), or {elsewhere}")
        return samples

    def check_frames(self) -> None:
        """Decode every frame; damaged ones and those of another size than the first go to ``faults``."""
        if self.video:
            self._check_video()
            return
        with ThreadPoolExecutor(min(_READERS, os.cpu_count() or 1)) as pool:
            decoded = list(pool.map(_decoded, self.frames))
        known = {fault.path for fault in self.faults}
        sizes = Counter(size for size in decoded if not isinstance(size, InputError))
        usual = sizes.most_common(1)[0][0] if sizes else None
        for frame, size in zip(self.frames, decoded, strict=True):
            if isinstance(size, InputError):
                if os.fspath(frame) not in known:
                    self.faults.append(size)
            elif usual is not None and size != usual:
                reason = f"the frame has {_pixels(size)} pixels, most of its clip {_pixels(usual)}"
                self.faults.append(InputError(reason, path=frame, remedy="extract the clip's frames again"))

    def _check_video(self) -> None:
        """The same of a video, one frame at a time and up to the first that is wrong."""
        path, count = self.clip.frames, 0
        try:
            for frame in frames(path):
                size, count = frame.image.shape[:2], count + 1
                if self.size is not None and size != self.size:
                    reason = f"frame {frame.index} has {_pixels(size)} pixels, the first {_pixels(self.size)}"
                    raise InputError(reason, path=path, remedy="encode the video again at one size")
            if count != len(self.frames):
                reason = f"it has {len(self.frames)} frames by its packets, and {count} can be decoded"
                raise InputError(reason, path=path, remedy="encode the video again")
        except InputError as error:
            self.faults.append(error)

    def _fault(self, line: int | None, reason: str, remedy: str) -> None:
        self.faults.append(InputError(reason, path=self.clip.labels, row=line, remedy=remedy))

    def _frame(self, row: Row, by_name: Mapping[str, list[Path]]) -> Path | None:
        """The frame that a row names; None (and noted) where none or several may be meant."""
        frames = by_name.get(_key(row.name), [])
        if len(frames) > 1:
            frames = [frame for frame in frames if frame.name == row.name] or frames
        if len(frames) == 1:
            return frames[0]
        if frames:
            names = ", ".join(frame.name for frame in frames)
            self._fault(row.line, f"{row.name!r} may be {names}", "write the whole file name")
            return None
        reason, last = f"no frame {row.name!r} in {self.clip.frames}", self.frames[-1]
        there = f"the {len(self.frames)} frames run from {self.frames[0].name} to {last.name}; extract them again"
        if self.video:
            there = f"the video has {len(self.frames)} frames, from 0 to {last.stem}; give the one that was labelled"
        self._fault(row.line, reason, f"{there}, or drop the row")
        return None

    def _check_place(self, row: Row) -> None:
        if row.index is None or self.size is None:
            return
        x, y = PIXELS.from_index([row.index])[0]
        height, width = self.size
        if not (0 <= x <= width and 0 <= y <= height):
            reason = f"the ball at ({row.index[0]:g}, {row.index[1]:g}) lies outside the frame of {width} x {height}"
            self._fault(row.line, reason, "coordinates are pixels of the frame, from 0")

    def _check_order(self, names: Sequence[str], lines: Sequence[int]) -> None:
        for (before, name), line in zip(itertools.pairwise(names), lines[1:], strict=True):
            if order(name) < order(before):
                reason = f"{name} comes after {before}"
                self._fault(line, reason, "sort the rows by file name: their order is the clip's time")
                return
        if not self.faults and (missing := holes(names)):
            between = f"{names[missing[0] - 1]} and {names[missing[0]]}"
            several = f"in {len(missing)} places, the first between {between}"
            where = several if len(missing) > 1 else f"between {between}"
            reason = f"frames are missing {where}: rows are taken as consecutive"
            warnings.warn(f"{self.clip.labels}:{lines[missing[0]]}: {reason}", stacklevel=2)

    def _sample(self, row: Row, frame: Path, number: int) -> Sample:
        missing = np.full((1, 2), np.nan)
        return Sample(
            image=frame,
            points={BALL: missing if row.index is None else PIXELS.from_index([row.index])},
            visible={BALL: np.array([VISIBLE[row.visibility]], dtype=np.int64)},
            size=self.size,
            frame=number,
            meta={
                "game": self.clip.game,
                "clip": self.clip.name,
                "visibility": row.visibility,
                "status": row.status,
                "dialect": self.table.dialect,
            },
        )


def _pixels(size: Size) -> str:
    return f"{size[1]} x {size[0]}"


def _decoded(frame: Path) -> Size | InputError:
    try:
        height, width = read_image(frame).shape[:2]
    except InputError as error:
        return error
    return height, width


def _by_name(frames: Sequence[Path]) -> dict[str, list[Path]]:
    """Frames by what a row may call them: the file's name, without its ending, the number in place of it."""
    by_name: dict[str, list[Path]] = {}
    for frame in frames:
        for key in {_key(frame.name), _key(frame.stem)}:
            by_name.setdefault(key, []).append(frame)
    return by_name


def _key(name: str) -> str:
    """A frame's name in lower case; a bare number without its leading zeros."""
    return str(int(name)) if re.fullmatch(r"[0-9]{1,18}", name) else name.casefold()
