"""Frames that damaged packets of a video have lost: which they are, by the time stamps of what was to be decoded."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

# Of these every packet is one frame; others hide frames in packets of their own.
ONE_FRAME_A_PACKET = ("h264", "hevc", "mpeg4", "mpeg1video", "mpeg2video", "mjpeg", "vp9", "av1")
STREAMED = ("mpegts", "mpeg", "asf", "flv")  # their packets say too little of which frames are shown


class Decoder:
    """Decodes the packets of a video one after the other, past damaged ones and pictures that a decoder has patched.

    Args:
        stream: that the packets are of.
        container: FFmpeg's name of its container.

    Attributes:
        container, promised: its name, and how many frames its header states (0 where it does not say).
        cut: whether its last packet is damaged.
        errors: packets that could not be decoded.
        reason: of the first packet that could not be decoded; empty while all could.
    """

    def __init__(self, stream: Any, container: str) -> None:
        self.exact = stream.codec_context.name in ONE_FRAME_A_PACKET and container not in STREAMED
        self.container, self.promised, self.cut = container, stream.frames, False
        self.reason = ""
        self.sound = False  # the first pictures of an open group or of a stream that refreshes slowly are never whole
        self.errors = self.lost = self._came = 0
        self._awaited: list[int] = []  # stamps of packets whose frames have not come

    def shown(self, packets: Iterable[Any]) -> Iterator[tuple[Any, bool]]:
        """Frames in the order of display, and whether each came: for one that was lost stands the one before it, at
        the beginning the one after."""
        last, held = None, 0
        for frame in itertools.chain(itertools.chain.from_iterable(map(self._decode, packets)), self._rest()):
            if frame is None and last is None:
                held += 1
                continue
            if frame is not None:
                yield from [(frame, False)] * held
                last, held = frame, 0
            yield last, frame is not None

    def _decode(self, packet: Any) -> list[Any]:
        """The frames that a packet gives; None for each that was lost before one of them."""
        import av

        self.cut = packet.is_corrupt if packet.size else self.cut
        if packet.size and packet.pts is not None and not packet.is_discard:
            heapq.heappush(self._awaited, packet.pts)
        try:
            decoded = packet.decode()
        except av.FFmpegError as error:
            self.reason, decoded = self.reason or str(error.strerror), []
            self.errors += 1
            if packet.size and packet.pts is None:  # which one cannot be told: about here
                self.lost += 1
                return [None]
        self._came += len(decoded)
        found: list[Any] = []
        for frame in decoded:
            found += [None] * self._passed(frame.pts)
            damaged = frame.is_corrupt and (self.sound or frame.key_frame)
            self.sound = self.sound or not frame.is_corrupt
            found.append(None if damaged else frame)
            if damaged:
                self.reason = self.reason or "a part of its picture cannot be decoded"
        return found

    def _rest(self) -> Iterator[None]:
        """What was lost behind the last frame, once that is known."""
        yield from [None] * self._passed(None)

    def _passed(self, stamp: int | None) -> int:
        """How many frames before one with this stamp (None: at all) were to come and have not."""
        count = 0
        # Decoders with several threads keep the error of the last packets to themselves.
        kept = stamp is None and self.exact and self._came + self.lost < self.promised
        if kept and self._awaited:
            self.reason = self.reason or "its last packets cannot be decoded"
        while self._awaited and (stamp is None or self._awaited[0] <= stamp):
            known = kept or (self.errors and (self.exact or self.lost < self.errors))
            if heapq.heappop(self._awaited) != stamp and known:
                count, self.lost = count + 1, self.lost + 1
        return count
