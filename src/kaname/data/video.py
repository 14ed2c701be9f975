"""Frames of a video with their time stamps, one at a time, so that memory stays flat over any length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaname.errors import InputError

VIDEO_ENDINGS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")


@dataclass(frozen=True)
class Frame:
    """One frame: its number from 0, its time in seconds from the stream's time stamps, RGB uint8 ``(h, w, 3)``."""

    index: int
    seconds: float
    image: NDArray[np.uint8]


def is_video(path: Path) -> bool:
    """Whether the file name ends like a video's."""
    return path.suffix.lower() in VIDEO_ENDINGS


def frames(path: Path) -> Iterator[Frame]:
    """The frames of a video in order.

    Raises:
        InputError: missing, not a video, without frames, or damaged (naming the last good frame).
    """
    import av

    if not path.is_file():
        raise InputError("the video does not exist", path=path, remedy="check the path")
    count = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise InputError("no video stream in this file", path=path, remedy="give an mp4, avi or mov file")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            rate = float(stream.average_rate or 25)
            for frame in container.decode(stream):
                seconds = float(frame.time) if frame.time is not None else count / rate
                # A telephone held upright stores its frames lying and says so; shown and answered is the turned one.
                turns = round(frame.rotation / 90) % 4
                image = frame.to_ndarray(format="rgb24")
                yield Frame(count, seconds, np.ascontiguousarray(np.rot90(image, turns)) if turns else image)
                count += 1
    except av.FFmpegError as error:
        place = f"after frame {count - 1}" if count else "at its beginning"
        raise InputError(
            f"the video is damaged {place} ({error.strerror})", path=path, remedy="encode it again"
        ) from error
    if not count:
        raise InputError("the video has no frames", path=path, remedy="encode it again")
