"""Frames of a video by their number, each the same bytes as reading the video in order gives.

What a frame's number is depends on every frame before it: players hide frames by edit lists, store them in another
order than they show them, and space them unevenly. So the index lists the time stamp of each shown frame, and a frame
is decoded from the last key frame that is shown no later, on to the one with its stamp. Where a file cannot be indexed
this way, or a frame does not come from there (the first frames of an open group of pictures refer to the group before),
earlier key frames are tried, and in the end the video is read in order.
"""

from __future__ import annotations

import contextlib
import itertools
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.data.damage import ONE_FRAME_A_PACKET, STREAMED
from kaname.data.video import Damaged, frames, opened, picture, refuse_cut
from kaname.errors import InputError
from kaname.geometry.image import refuse_large
from kaname.types import Frame

TRIED = 30  # frames that are decoded to see whether stamps tell the order; a frame is stored at most 16 places late
TRIES = 3  # key frames from which a frame is decoded before the video is read from its beginning


@dataclass(frozen=True)
class VideoIndex:
    """Where the frames of a video are.

    Attributes:
        stamps: ``(N,)`` presentation time of each frame, in ticks; empty where the video can only be read in order.
        keys: ``(K, 2)`` presentation and decoding time of each key frame, by the first.
        count: N.
        tick: seconds of a tick.
    """

    stamps: NDArray[np.int64]
    keys: NDArray[np.int64]
    count: int
    tick: float

    @property
    def seconds(self) -> NDArray[np.float64]:
        """The time of each frame ``(N,)``; empty where the file does not tell."""
        return np.asarray(self.stamps * self.tick, np.float64)


def index_of(path: Path, *, damaged: Damaged = "error") -> VideoIndex:
    """The index of a video: all of its packets are read, and only its first frames decoded, unless it needs more.

    Args:
        path: the video.
        damaged: ``"blank"``: one that cannot be indexed past its damage is counted as `frames` reads it.

    Raises:
        InputError: missing, not a video, without frames, or damaged.
    """
    import av

    if not path.is_file():
        raise InputError("the video does not exist", path=path, remedy="check the path")
    try:
        index = _by_packets(path) or _by_decoding(path)
    except av.FFmpegError as error:
        if damaged == "blank":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # whoever reads it counts what is lost
                seen = _Seen()
                for _ in frames(path, seen, damaged=damaged):
                    pass
            return VideoIndex(np.zeros(0, np.int64), np.zeros((0, 2), np.int64), seen.count, 1.0)
        raise InputError(f"the video is damaged ({error.strerror})", path=path, remedy="encode it again") from error
    if not index.count:
        raise InputError("the video has no frames", path=path, remedy="encode it again")
    return index


class VideoReader:
    """The frames of a video by number. Close it, or use it in ``with``; it is for one thread.

    Args:
        path: the video.
        index: of this very file, where it is known.
        threads: whether several threads decode. A process that is forked while one of these is open never ends, so
            loader processes decode with one.
        damaged: what becomes of frames that damaged packets have lost (`kaname.data.video.frames`).

    Raises:
        InputError: as `index_of`.
    """

    def __init__(
        self, path: Path, index: VideoIndex | None = None, *, threads: bool = True, damaged: Damaged = "error"
    ) -> None:
        self.path, self.threads = path, threads
        self.damaged: Damaged = damaged
        self.index = index_of(path, damaged=damaged) if index is None else index
        self._broken = False  # one packet could not be decoded: only reading in order tells which frames are lost
        self._container: Any = None
        self._decoded: Iterator[Any] = iter(())
        self._passed: int | None = None  # the stamp of the last frame that was decoded
        self._in_order: Iterator[Frame] | None = None
        self._wanted = _From(0)
        self._next = 0  # number of the next frame of ``_in_order``

    def __len__(self) -> int:
        return self.index.count

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the reader may be used again."""
        if self._container is not None:
            self._container.close()
        self._container, self._decoded, self._passed, self._in_order, self._next = None, iter(()), None, None, 0

    def read(self, number: int) -> Frame:
        """One frame. Going forwards within a group of pictures costs no seek.

        Raises:
            InputError: the video has no such frame, or is damaged there.
        """
        import av

        if not 0 <= number < len(self):
            reason = f"the video has {len(self)} frames, no frame {number}"
            raise InputError(reason, path=self.path, remedy=f"frames count from 0 to {len(self) - 1}")
        try:
            frame = self._by_stamp(number) if len(self.index.stamps) and not self._broken else None
        except av.FFmpegError:
            self.close()
            frame, self._broken = None, self.damaged == "blank"
        return self._one_in_order(number) if frame is None else frame

    def frames(self, numbers: Iterable[int]) -> Iterator[Frame]:
        """The frames with these numbers, in their order; only these are made into images."""
        for number in numbers:
            yield self.read(number)

    def _by_stamp(self, number: int) -> Frame | None:
        wanted = int(self.index.stamps[number])
        before = int(np.searchsorted(self.index.keys[:, 0], wanted, side="right"))
        passed, last = self._passed, int(self.index.keys[before - 1, 0]) if before else None
        near = passed is not None and passed < wanted and (last is None or passed >= last)
        if near and (found := self._advance(wanted, number)) is not None:
            return found
        # Some containers seek by the time of display, others by that of decoding.
        for stamp in self.index.keys[max(0, before - TRIES) : before][::-1].ravel().tolist():
            if self._seek(stamp, wanted) and (found := self._advance(wanted, number)) is not None:
                return found
        self._restart()
        return self._advance(wanted, number)

    def _advance(self, wanted: int, number: int) -> Frame | None:
        """Decode on to the frame with this stamp; None where it does not come."""
        for frame in self._decoded:
            self._passed = frame.pts
            if frame.pts is None or frame.pts > wanted or frame.is_corrupt:
                return None  # reading in order says what is wrong with a picture that is not whole
            if frame.pts == wanted:
                return Frame(number, wanted * self.index.tick, picture(frame), path=self.path)
        return None

    def _restart(self) -> None:
        self.close()
        self._container = _open(self.path, threads=self.threads)
        self._decoded = _frames_of(self._container.demux(self._container.streams.video[0]))

    def _seek(self, stamp: int, wanted: int) -> bool:
        """Go to a key frame; False unless what comes from there begins with one shown no later than ``wanted``."""
        if self._container is None:
            self._container = _open(self.path, threads=self.threads)
        stream = self._container.streams.video[0]
        self._passed = None
        self._container.seek(stamp, stream=stream, backward=True, any_frame=False)
        packets = self._container.demux(stream)
        first = next(packets, None)
        if first is None or not first.is_keyframe or first.pts is None or first.pts > wanted:
            return False
        self._decoded = _frames_of(itertools.chain([first], packets))
        return True

    def _one_in_order(self, number: int) -> Frame:
        if number < self._next or self._in_order is None:
            self._wanted = _From(number)
            self._in_order = frames(self.path, self._wanted, damaged=self.damaged)
        self._wanted.first, self._next = number, number + 1
        frame = next(self._in_order, None)
        if frame is None or frame.index != number:
            raise InputError(f"frame {number} cannot be read", path=self.path, remedy="encode the video again")
        return frame


class _Seen:
    """No number, and how many were asked about: frames are counted without making images of them."""

    count = 0

    def __contains__(self, number: object) -> bool:
        self.count += 1
        return False


class _From:
    """The numbers from ``first`` on, which may grow while frames are read."""

    def __init__(self, first: int) -> None:
        self.first = first

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and number >= self.first


def _open(path: Path, *, threads: bool = True) -> Any:
    container = opened(path)
    if not container.streams.video:
        container.close()
        raise InputError("no video stream in this file", path=path, remedy="give an mp4, avi or mov file")
    refuse_large((container.streams.video[0].height, container.streams.video[0].width), path)
    if threads:
        container.streams.video[0].thread_type = "AUTO"
    else:
        container.streams.video[0].codec_context.thread_count = 1
    return container


def _frames_of(packets: Iterable[Any]) -> Iterator[Any]:
    for packet in packets:
        yield from packet.decode()


def _by_packets(path: Path) -> VideoIndex | None:
    """The index from the packets' stamps; None where these do not tell which frames are shown, and in which order."""
    import av

    with contextlib.closing(_open(path)) as container:
        stream = container.streams.video[0]
        if (
            stream.codec_context.name not in ONE_FRAME_A_PACKET
            and stream.codec.canonical_name not in ONE_FRAME_A_PACKET
        ):
            return None
        if container.format.name == "avi" and stream.codec_context.has_b_frames:  # it stores no order of display
            return None
        if container.format.name in STREAMED:
            return None
        promised, kind, tick, cut = stream.frames, container.format.name, float(stream.time_base), False
        shown: list[int] = []
        keys: list[tuple[int, int]] = []
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if packet.pts is None or packet.dts is None:
                return None
            cut = packet.is_corrupt
            if not packet.is_discard:
                shown.append(packet.pts)
            if packet.is_keyframe:
                keys.append((packet.pts, packet.dts))
    if not keys or len(set(shown)) < len(shown):
        return None
    refuse_cut(path, kind, promised, len(shown), cut)
    stamps, first = np.sort(np.array(shown, np.int64)), min(keys)[0]
    # What is stored before the first key frame, or refers to what was cut off before it, may be shown or not; stamps
    # that a program has copied wrongly, such as the times of decoding, do not rise from frame to frame.
    with contextlib.closing(_open(path)) as container:
        begin, known = list[int](), 0
        try:
            for frame in _frames_of(container.demux(container.streams.video[0])):
                if frame.pts is None:
                    return None
                begin.append(frame.pts)
                known += frame.pts >= first
                if known >= TRIED:
                    break
        except av.FFmpegError:
            if not known:
                raise
    later = stamps[stamps >= first]
    if not known or begin[-known:] != later[:known].tolist():
        return None
    stamps = np.concatenate([np.array(begin[:-known], np.int64), later])
    return VideoIndex(stamps, np.array(sorted(keys), np.int64), len(stamps), tick)


def _by_decoding(path: Path) -> VideoIndex:
    """The index from every decoded frame; without stamps where these do not rise from frame to frame."""
    with contextlib.closing(_open(path)) as container:
        stream = container.streams.video[0]
        stored = container.format.name == "avi" and stream.codec_context.has_b_frames
        promised, kind, tick, cut = stream.frames, container.format.name, float(stream.time_base), False
        found: list[int | None] = []
        keys: list[tuple[int, int]] = []
        for packet in container.demux(stream):
            cut = packet.is_corrupt if packet.size else cut
            if packet.is_keyframe and packet.pts is not None and packet.dts is not None:
                keys.append((packet.pts, packet.dts))
            found += [frame.pts for frame in packet.decode()]
    refuse_cut(path, kind, promised, len(found), cut)
    known = [stamp for stamp in found if stamp is not None]
    stamps = np.array(known, np.int64)
    if stored or len(known) < len(found) or not keys or (np.diff(stamps) <= 0).any():
        stamps = np.zeros(0, np.int64)
    return VideoIndex(stamps, np.array(sorted(keys), np.int64).reshape(-1, 2), len(found), tick)
