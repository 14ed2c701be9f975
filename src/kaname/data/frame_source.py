"""The frames of one video by number, from its file or from images of single frames, for whatever needs a neighbour.

Both frames of a pair come from one kind of source: between a PNG and the same frame of an H.264 file lies compression,
which would look like motion.

Label files name frames by paths. Where the frames are in a video, ``VIDEO/12.png`` stands for frame 12 of it: the name
that an extracted frame would have, at a place where no file can be. ``read_frame`` reads both.
"""

from __future__ import annotations

import functools
import os
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kaname.data.seeking import VideoIndex, VideoReader, index_of
from kaname.data.video import is_video
from kaname.errors import InputError
from kaname.files import content_hash
from kaname.geometry.image import image_size, read_image
from kaname.types import Image, Size

OPEN = 4  # videos that a process keeps open
INDEXED = 1 << 12  # videos of which a process remembers where the frames are
MISSING = "give the video (--video-root) or that image, or train without motion: --missing-flow zero"


class FrameSource:
    """Frames by number. It may be sent to other processes, each of which opens the video for itself.

    Args:
        name: of the video, for messages.
        video: its file; where it exists, every frame comes from it.
        images: of single frames, by number.
    """

    def __init__(self, name: str, *, video: Path | None = None, images: Mapping[int, Path] | None = None) -> None:
        self.name, self.looked, self.images = name, video, dict(images or {})
        self.video = video if video is not None and video.is_file() else None

    @property
    def count(self) -> int | None:
        """How many frames there are; None where only some have an image."""
        return None if self.video is None else _index(*_state(self.video)).count

    def has(self, number: int) -> bool:
        """Whether a frame can be read."""
        count = self.count
        return number in self.images if count is None else 0 <= number < count

    def read(self, number: int) -> Image:
        """A frame, RGB uint8 at its own size.

        Raises:
            InputError: there is none, saying where it was looked for; or it is damaged.
        """
        if self.video is not None:
            return _reader(*_state(self.video)).read(number).image
        return read_image(self._image(number))  # type: ignore[return-value]

    def identity(self, number: int) -> str:
        """A hash of what a frame is read from, which changes with its content.

        Raises:
            InputError: as `read`.
        """
        return identity_of(self._image(number) if self.video is None else self.video)

    def _image(self, number: int) -> Path:
        if number not in self.images:
            where = "no video is known" if self.looked is None else f"there is no video {self.looked}"
            reason = f"frame {number} of {self.name} cannot be found: {where}, and no image of this frame"
            raise InputError(reason, path=self._place(), remedy=MISSING)
        return self.images[number]

    def _place(self) -> Path | None:
        first = next(iter(self.images.values()), None)
        return self.looked if first is None else first.parent


def frame_places(video: Path) -> list[Path]:
    """What stands for the frames of a video where files of images are asked for, in their order.

    Raises:
        InputError: as `kaname.data.seeking.index_of`.
    """
    return [video / f"{number}.png" for number in range(_index(*_state(video)).count)]


def frame_in(place: Path) -> tuple[Path, int] | None:
    """The video and the number of the frame that a path stands for; None where it is a file of its own."""
    video = place.parent
    if not (is_video(video) and place.stem.isdecimal()) or video.is_dir():
        return None
    return video, int(place.stem)


def file_of(place: Path) -> Path:
    """The file that a frame is read from."""
    found = frame_in(place)
    return place if found is None else found[0]


def read_frame(place: Path, *, at_least: Size | None = None, expected: Size | None = None) -> Image:
    """A frame from its own file or from its video, where the path stands for one. Of videos it is for one thread.

    Args:
        place: a path.
        at_least, expected: as of `kaname.geometry.image.read_image`; a video's frames are decoded at full size.

    Returns:
        RGB uint8 ``(height, width, 3)``; of a video the same bytes as reading it in order gives.

    Raises:
        InputError: as `read_image`; there is no such frame, or the video is damaged there.
    """
    found = frame_in(place)
    if found is None:
        return read_image(place, at_least=at_least, expected=expected)  # type: ignore[return-value]
    video, number = found
    image = _reader(*_state(video)).read(number).image
    if expected is not None and (size := image.shape[:2]) != tuple(expected):
        reason = f"frame {number} has {size[1]} x {size[0]} pixels, not {expected[1]} x {expected[0]} like the others"
        raise InputError(reason, path=video, remedy="encode the video again at one size")
    return image


def frame_size(place: Path) -> Size:
    """``(height, width)`` of what `read_frame` returns.

    Raises:
        InputError: as `read_frame`.
    """
    if frame_in(place) is None:
        return image_size(place)
    height, width = read_frame(place).shape[:2]
    return height, width


def identity_of(path: Path) -> str:
    """A hash of a file's content, computed again only where the file has changed.

    Raises:
        InputError: it cannot be read.
    """
    return _hashed(*_state(path))


def _state(path: Path) -> tuple[Path, int, int]:
    """A file as it is now: what is kept of it is good as long as this stays the same."""
    try:
        facts = path.stat()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path=path, remedy="check the path") from error
    return path, facts.st_mtime_ns, facts.st_size


_readers: OrderedDict[tuple[Path, int, int], VideoReader] = OrderedDict()  # of this process, the oldest use first
_inherited: list[Any] = []  # of the process that this one was forked from


def _reader(*state: Any) -> VideoReader:
    """An open video."""
    if state not in _readers:
        if len(_readers) >= OPEN:
            _readers.popitem(last=False)[1].close()
        _readers[state] = VideoReader(state[0], _index(*state), threads=False)
    _readers.move_to_end(state)
    return _readers[state]


def _start_afresh() -> None:
    """In a forked process: leave the parent's videos alone. Reading them moves its place in the file, and closing them
    was measured to crash."""
    global _readers  # noqa: PLW0603
    _inherited.append(_readers)
    _readers = OrderedDict()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh)


@functools.lru_cache(maxsize=INDEXED)
def _index(path: Path, *_state: Any) -> VideoIndex:
    return index_of(path)


@functools.lru_cache(maxsize=1 << 14)
def _hashed(path: Path, *_state: Any) -> str:
    return content_hash(path)
