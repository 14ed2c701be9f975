"""The frames of one video by number, from its file or from images of single frames, for whatever needs a neighbour.

Both frames of a pair come from one kind of source: between a PNG and the same frame of an H.264 file lies compression,
which would look like motion.
"""

from __future__ import annotations

import functools
import os
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kaname.data.seeking import VideoReader
from kaname.errors import InputError
from kaname.files import content_hash
from kaname.geometry.image import read_image
from kaname.types import Image

OPEN = 4  # videos that a process keeps open
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
        return None if self.video is None else len(_reader(*_state(self.video)))

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
        _readers[state] = VideoReader(state[0], threads=False)
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


@functools.lru_cache(maxsize=1 << 14)
def _hashed(path: Path, *_state: Any) -> str:
    return content_hash(path)
