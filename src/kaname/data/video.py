"""Frames of a video with their time stamps, one at a time, so that memory stays flat over any length."""

from __future__ import annotations

import contextlib
import os
import struct
import warnings
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from kaname.data.damage import Decoder
from kaname.data.naming import IMAGE_ENDINGS, VIDEO_ENDINGS, holes, no_image, order
from kaname.errors import InputError, refuse_names
from kaname.files import REMEDY, whole_path
from kaname.geometry.image import read_image, refuse_large
from kaname.types import Frame, Image

MATRIX = struct.Struct("=9i")  # a, b, u, c, d, v, x, y, w of ISO/IEC 14496-12: (x, y) goes to (ax + cy, bx + dy)
Damaged = Literal["error", "blank"]
FOLDER_RATE = 25.0  # frames per second where nothing states it
TICKS = 90000  # per second, of a written file's clock
BT601 = 6  # the number of SMPTE 170M's colours in H.264
FILLED_BOXES = (b"moov", b"moof", b"mdat", b"free", b"mfra", b"sidx")  # of mp4 that a cut may go through
# FFmpeg's readers of them: others play what a file names (ffconcat, HLS), run a graph or ask a device.
CONTAINERS = (
    *("mov", "mp4", "matroska", "webm", "avi", "mpegts", "mpegtsraw", "mpeg", "mpegvideo", "asf", "flv", "live_flv"),
    *("ogg", "mxf", "nut", "ivf", "dv", "gif", "h264", "hevc", "m4v", "av1", "obu", "mjpeg", "yuv4mpegpipe", "wtv"),
)


def folder_images(folder: Path) -> list[Path]:
    """The images of a folder of frames in the order of their numbers (``2.jpg`` before ``10.jpg``).

    Raises:
        InputError: no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise InputError("the folder of frames does not exist", path=folder, remedy="check the path")
    files = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_ENDINGS and path.name[0] != "."]
    if not files:
        raise no_image(folder, "give a folder of frames")
    refuse_names(files)
    return sorted(files, key=lambda path: order(path.name))


def folder_frames(folder: Path, rate: float = FOLDER_RATE) -> Iterator[Frame]:
    """The images of a folder as frames, ``rate`` of them a second."""
    paths = folder_images(folder)
    if gaps := holes([path.name for path in paths]):
        between = f"{paths[gaps[0] - 1].name} and {paths[gaps[0]].name}"
        where = f"in {len(gaps)} places, the first between {between}" if len(gaps) > 1 else f"between {between}"
        warnings.warn(f"{folder}: frames are missing {where}: they are taken as consecutive", stacklevel=2)
    for number, path in enumerate(paths):
        yield Frame(number, number / rate, read_image(path), path.name, path)


def address(path: Path) -> str:
    """What FFmpeg is told so that it opens this file: a name like ``12:30.mp4`` would be an address to it."""
    return f"file:{os.path.abspath(path)}"


def opened(path: Path, **options: str) -> Any:
    """A video's container, open for reading.

    Raises:
        InputError: a file that names others instead of holding a video, whatever its own name.
        av.FFmpegError: not a video, or damaged.
    """
    import av

    silence()
    careful = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file", **options}
    try:
        return av.open(address(path), metadata_errors="replace", options=careful)
    except av.ArgumentError as error:
        reason = "not a container that holds its video itself (a playlist, say, or another kind of file)"
        raise InputError(reason, path=path, remedy="give the video, or convert it to mp4") from error


def silence() -> None:
    """Keep FFmpeg's messages out of Python's logging, where another package (torchvision up to 0.25) lets them in.

    A decoder's thread that has something to say waits for the interpreter, which whoever frees the decoder holds while
    it waits for that thread: for ever.
    """
    import av.logging

    if av.logging.get_level() is not None:
        av.logging.set_level(None)


def is_video(path: Path) -> bool:
    """Whether the file name ends like a video's."""
    return path.suffix.lower() in VIDEO_ENDINGS


def frames(path: Path, wanted: Container[int] | None = None, *, damaged: Damaged = "error") -> Iterator[Frame]:
    """The frames of a video in order.

    Args:
        path: the file.
        wanted: numbers of the frames to give, such as ``range(0, 10**9, 29)``; the others are decoded and checked, but
            not made into images, which takes longer than decoding them. None: all.
        damaged: what becomes of frames that damaged packets have lost: ``"error"``, or ``"blank"``: each is given with
            the picture before it (at the beginning after it), marked as ``lost``, and a warning counts them. Of frames
            that refer to a lost one, up to the next key frame, the decoder makes what it can.

    Raises:
        InputError: missing, not a video, without frames, or damaged (naming the last good frame).
    """
    from av import FFmpegError  # its name, for one left unfinished is closed when the module has been emptied

    if not path.is_file():
        raise InputError("the video does not exist", path=path, remedy="check the path")
    count, lost, decoder = 0, list[int](), None
    try:
        with opened(path) as container:
            if not container.streams.video:
                raise InputError("no video stream in this file", path=path, remedy="give an mp4, avi or mov file")
            stream = container.streams.video[0]
            refuse_large((stream.height, stream.width), path)
            # Several frames at once are faster, and an error in one of them takes others with it.
            stream.thread_type = "AUTO" if damaged == "error" else "SLICE"
            rate = float(stream.average_rate or 25)
            before = -1 / rate
            # AVI stores no order of display: of reordered frames it gives the time at which they were stored.
            stored = container.format.name == "avi" and stream.codec_context.has_b_frames
            decoder = Decoder(stream, container.format.name)
            for frame, whole in decoder.shown(container.demux(stream)):
                if not whole and damaged == "error":
                    raise _damage(path, count, decoder.reason)
                lost += [] if whole else [count]
                seconds = count / rate if stored or frame.time is None else float(frame.time)
                before = seconds if whole else before + 1 / rate
                if wanted is None or count in wanted:
                    yield Frame(count, before, picture(frame), path=path, lost=not whole)
                count += 1
            if decoder.errors and damaged == "error":
                raise _damage(path, count, decoder.reason)
    except FFmpegError as error:
        why = error.strerror or str(error)
        raise (_unreadable(path, why) if decoder is None else _damage(path, count, why)) from error
    if not count:
        raise InputError("the video has no frames", path=path, remedy="encode it again")
    refuse_cut(path, decoder.container, decoder.promised, count, decoder.cut)
    if lost:
        first = f"frame {lost[0]}" if len(lost) == 1 else f"{len(lost)} frames, the first {lost[0]},"
        warnings.warn(f"{path}: {first} of {count} lost in damaged packets: without an answer", stacklevel=2)


def _damage(path: Path, count: int, why: str) -> InputError:
    place = f"after frame {count - 1}" if count else "at its beginning"
    remedy = "encode it again, or predict with --damaged blank"
    return InputError(f"the video is damaged {place} ({why})", path=path, remedy=remedy)


def _unreadable(path: Path, why: str) -> InputError:
    """Of a file that does not open: there is no packet that could be left out."""
    if not path.stat().st_size:
        return InputError("the file is empty", path=path, remedy="copy or download it again")
    reason = f"not a video, or one that is cut short or damaged at its beginning ({why})"
    return InputError(reason, path=path, remedy="copy or download it again, or encode it again")


def refuse_cut(path: Path, kind: str, promised: int, count: int, cut: bool) -> None:
    """Raise an `InputError` where a file lacks its end.

    Args:
        path: the file.
        kind: FFmpeg's name of its container.
        promised: how many frames its header states; 0 where it does not say.
        count: how many there are.
        cut: whether its last packet is damaged.
    """
    if promised:
        cut = cut or (count < promised and _is_cut(path, promised))
        ending = f"it promises {promised} frames and ends after {count}"
    else:  # only these containers state lengths
        cut = any(name in kind for name in ("mp4", "matroska", "webm", "avi")) and (cut or _lacks_its_end(path))
        ending = f"it ends after {count} frames, in the middle of its data"
    if cut:
        raise InputError(f"the video is truncated: {ending}", path=path, remedy="copy it again, or cut it again")
    if count < promised and kind == "avi":
        warnings.warn(f"{path}: the header promises {promised} frames, {count} can be read", stacklevel=2)


def picture(frame: Any) -> Image:
    """A decoded frame as it is shown: a phone held upright stores its frames sideways, one held by its front camera
    mirrored, and both say so in the display matrix, which turns by quarters here."""
    from av.sidedata.sidedata import SideDataContainer

    image = frame.to_ndarray(format="rgb24", threads=1)  # by default FFmpeg starts new threads for each frame
    # Asked for its side data a frame keeps it, and that keeps the frame: both would stay until cycles are collected.
    noted = SideDataContainer(frame)  # pyright: ignore[reportCallIssue] (its stub lacks the argument)
    matrix = next((bytes(one) for one in noted if one.type.name == "DISPLAYMATRIX"), b"")
    if len(matrix) != MATRIX.size:
        return image
    right_x, right_y, _, down_x, down_y, *_ = MATRIX.unpack(matrix)  # where the stored picture's right and down go
    if abs(right_y) + abs(down_x) > abs(right_x) + abs(down_y):
        image = np.swapaxes(image, 0, 1)
        right_x, down_y = down_x, right_y
    image = image[:: -1 if down_y < 0 else 1, :: -1 if right_x < 0 else 1]
    return np.ascontiguousarray(image)


def _is_cut(path: Path, promised: int) -> bool:
    """Whether a file that gave fewer frames than its header promises lacks its end.

    An edit list may hide frames on purpose, and a recorder may have left some out: such a file is whole.
    """
    import av

    try:
        with opened(path, ignore_editlist="1") as container:
            if container.format.name == "avi":
                return _lacks_its_end(path)
            packets = container.demux(container.streams.video[0])
            return sum(1 for packet in packets if packet.size and not packet.is_corrupt) < promised
    except av.FFmpegError:
        return True


def _lacks_its_end(path: Path) -> bool:
    """Whether the outermost parts of the file, by the lengths that they state, reach beyond its end.

    AVI is one RIFF part, Matroska and WebM an EBML head and a segment (RFC 8794, RFC 9559), mp4 and mov a row of boxes
    (ISO/IEC 14496-12). A part of unknown length, as a live recording has it, says nothing. FFmpeg does not report it:
    it ends quietly where a file was cut between two packets or inside a table of them.
    """
    total, place, name = path.stat().st_size, 0, b""
    with path.open("rb") as file:
        if (head := file.read(4)) == b"RIFF":
            return int.from_bytes(file.read(4), "little") + 8 > total
        if head == b"\x1a\x45\xdf\xa3":
            for _ in ("head", "segment"):
                file.seek(place)
                if (end := _end_of_element(file)) is None:
                    return False
                place = end
            return place > total
        while place + 8 <= total:
            file.seek(place)
            head = file.read(16)
            length, name = int.from_bytes(head[:4], "big"), head[4:8]
            length = int.from_bytes(head[8:], "big") if length == 1 else length
            if length < 8:  # 0: up to the end of the file
                return False
            place += length
        return place > total and name in FILLED_BOXES  # others after the last one are a recorder's own


def _end_of_element(file: BinaryIO) -> int | None:
    """Where the EBML element ends whose identifier (of four bytes) starts here; None where it does not say."""
    first = file.read(5)[4:]
    width = 9 - first[0].bit_length() if first else 9  # leading zero bits count the bytes that follow
    if width > 8:
        return None
    length = int.from_bytes(first + file.read(width - 1), "big") - (1 << 7 * width)
    return None if length == (1 << 7 * width) - 1 else file.tell() + length


def promised_frames(source: Path) -> int:
    """How many frames a video's header states; 0 where it does not say, and of a folder."""
    import av

    if source.is_dir():
        return 0
    silence()
    try:
        with av.open(address(source), metadata_errors="replace") as container:
            return container.streams.video[0].frames
    except (av.FFmpegError, IndexError):
        return 0


def frame_count(source: Path) -> int:
    """About how many frames a video has (by its header; packets are counted where that does not say, as of a recording
    that was never closed), or how many images a folder; at least 1."""
    import av

    if source.is_dir():
        return len(folder_images(source))
    try:
        with opened(source) as container:
            stream = container.streams.video[0]
            if stream.frames:
                return stream.frames
            if container.duration:
                return max(1, round(container.duration / av.time_base * float(stream.average_rate or 25)))
            return max(1, sum(1 for packet in container.demux(stream) if packet.size))
    except (av.FFmpegError, IndexError, InputError):
        return 1


class VideoWriter:
    """An H.264 file of RGB frames with their own time stamps; under its final name it is whole or not there.

    A side of an odd number of pixels grows by one, as the format demands that every player shows.

    Args:
        path: ends in ``.mp4``.
        quality: constant rate factor, 0 (lossless) .. 51.
        exact: odd sides stay, in a format (4:4:4) that not every player shows.

    Raises:
        InputError: it cannot be written.
    """

    def __init__(self, path: Path, *, quality: int = 20, exact: bool = False) -> None:
        self.path, self.quality, self.exact = path, quality, exact
        self._container: Any = None
        self._stream: Any = None
        self._last, self._step = -1, TICKS // 25  # of the last frame and between two, in ticks

    def __enter__(self) -> VideoWriter:
        import av

        with contextlib.ExitStack() as stack:
            stack.enter_context(_reported(self.path))
            partial = stack.enter_context(whole_path(self.path, ending=".mp4", parents=True))
            silence()
            self._container = av.open(address(partial), "w")
            stack.push(self._finish)
            self._whole = stack.pop_all()
        return self

    def write(self, image: Image, seconds: float) -> None:
        """One RGB frame ``(h, w, 3)``, shown from ``seconds`` on; stamps must rise (a repeated one is moved on)."""
        from fractions import Fraction

        import av

        odd = image.shape[0] % 2, image.shape[1] % 2
        if not self.exact:
            image = np.pad(image, ((0, odd[0]), (0, odd[1]), (0, 0)), mode="edge")
        if self._stream is None:
            self._stream = self._container.add_stream("libx264", options={"crf": str(self.quality)})
            self._stream.height, self._stream.width = image.shape[:2]
            self._stream.pix_fmt = "yuv444p" if self.exact and any(odd) else "yuv420p"
            self._stream.codec_context.time_base = Fraction(1, TICKS)
            self._stream.codec_context.colorspace = BT601  # as PyAV converts; of large frames players guess another
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        stamp = max(self._last + 1, round(seconds * TICKS))
        self._step, self._last = stamp - self._last if self._last >= 0 else self._step, stamp
        frame.pts, frame.time_base = self._last, Fraction(1, TICKS)
        self._container.mux(self._stream.encode(frame))

    def __exit__(self, *raised: Any) -> None:
        self._whole.__exit__(*raised)

    def _finish(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        try:
            if kind is None and self._stream is not None:
                for packet in self._stream.encode(None):
                    packet.duration = self._step  # of the last one, which no other follows
                    self._container.mux(packet)
            self._container.close()
        except Exception:
            if kind is None:  # otherwise the error that stopped the work says more
                raise


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Turn the encoder's errors into one clear line."""
    import av

    try:
        yield
    except av.FFmpegError as error:
        raise InputError(f"cannot be written ({error.strerror})", path=path, remedy=REMEDY) from error
