"""Frames by number are the frames of reading in order, whatever the file does with their order and times."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from kaname.data import seeking
from kaname.data.seeking import VideoReader, index_of
from kaname.data.video import frame_count, frames, promised_frames
from kaname.errors import InputError

COUNT = 60
X264 = {"crf": "20", "g": "12", "bf": "3", "b-adapt": "0", "b-pyramid": "normal", "sc_threshold": "0"}
OPEN = {**X264, "x264-params": "open-gop=1"}
REFRESH = {"crf": "20", "g": "12", "x264-params": "intra-refresh=1"}
X265 = {"x265-params": "keyint=12:min-keyint=12:open-gop=1:bframes=4:scenecut=0:log-level=none"}


def made(
    path: Path,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    *,
    times: Sequence[int] | None = None,
    turn: int = 0,
    count: int = COUNT,
) -> Path:
    """Frames with a bar that moves over noise, so that each differs from all others; ``times`` in milliseconds."""
    random = np.random.default_rng(0)
    noise = random.integers(0, 60, (64, 160, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = 64, 160, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.options = {} if options is None else options
        if turn:
            stream.set_display_rotation(turn)
        if times is not None:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for number in range(count):
            image = np.roll(noise, 3 * number, axis=0)
            image[:, 2 * number : 2 * number + 20] = 255 - number
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def edited(whole: Path, part: Path, skip: int) -> Path:
    """The same packets, the first ``skip`` of which an edit list hides."""
    with av.open(str(whole)) as source, av.open(str(part), "w") as target:
        stream = source.streams.video[0]
        out = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None and packet.pts is not None:
                packet.pts -= skip * 512
                packet.dts -= skip * 512
                packet.stream = out
                target.mux(packet)
    return part


def without_beginning(whole: Path, part: Path, skip: int) -> Path:
    """The same packets without the first ``skip``: it begins where an open group refers to what is gone."""
    with av.open(str(whole)) as source, av.open(str(part), "w") as target:
        stream = source.streams.video[0]
        out = target.add_stream_from_template(stream)
        for number, packet in enumerate(source.demux(stream)):
            if packet.dts is not None and number >= skip:
                packet.stream = out
                target.mux(packet)
    return part


def with_wrong_times(whole: Path, copy: Path) -> Path:
    """The same packets, each with its time of decoding as that of its display."""
    with av.open(str(whole)) as source, av.open(str(copy), "w") as target:
        stream = source.streams.video[0]
        out = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.pts, packet.stream = packet.dts, out
                target.mux(packet)
    return copy


def example(folder: Path, kind: str) -> Path:
    """A file of each kind."""
    uneven = np.cumsum(np.random.default_rng(1).choice([7, 33, 40, 250], COUNT)).tolist()
    if kind == "edit list":
        return edited(made(folder / "whole.mp4", options=X264), folder / "edited.mp4", 17)
    if kind == "edit list, open":
        return edited(made(folder / "whole.mp4", options=OPEN), folder / "edited.mp4", 14)
    if kind == "no beginning":
        return without_beginning(made(folder / "whole.mkv", options=OPEN), folder / "part.mkv", 12)
    if kind == "wrong times":
        return with_wrong_times(made(folder / "whole.mp4", options=X264), folder / "copy.mp4")
    return {
        "b-frames": lambda: made(folder / "a.mp4", options=X264),
        "open": lambda: made(folder / "a.mp4", options=OPEN),
        "open, mkv": lambda: made(folder / "a.mkv", options=OPEN),
        "open, ts": lambda: made(folder / "a.ts", options=OPEN),
        "hevc": lambda: made(folder / "a.mp4", "libx265", X265),
        "refresh": lambda: made(folder / "a.mp4", options=REFRESH),
        "one group": lambda: made(folder / "a.mp4", options={"g": "250"}),
        "rotated": lambda: made(folder / "a.mp4", options=X264, turn=90),
        "variable": lambda: made(folder / "a.mp4", options=OPEN, times=uneven),
        "variable, mkv": lambda: made(folder / "a.mkv", options=X264, times=uneven),
        "mpeg4": lambda: made(folder / "a.mp4", "mpeg4", {"g": "12", "bf": "2"}),
        "mpeg2": lambda: made(folder / "a.mkv", "mpeg2video", {"g": "12", "bf": "2"}),
        "vp8": lambda: made(folder / "a.webm", "libvpx", {"auto-alt-ref": "1", "lag-in-frames": "16", "g": "12"}),
        "vp9": lambda: made(folder / "a.webm", "libvpx-vp9", {"auto-alt-ref": "1", "lag-in-frames": "16", "g": "12"}),
        "avi": lambda: made(folder / "a.avi", options=X264),
        "mjpeg": lambda: made(folder / "a.avi", "mjpeg"),
    }[kind]()


KINDS = [
    "b-frames", "open", "open, mkv", "open, ts", "hevc", "refresh", "one group", "rotated", "variable", "variable, mkv",
    "edit list", "edit list, open", "no beginning", "mpeg4", "mpeg2", "vp8", "vp9", "avi", "mjpeg",
    "wrong times",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_any_order_gives_what_reading_in_order_gives(tmp_path: Path, kind: str) -> None:
    """The same bytes and times: at random, forwards by steps, backwards."""
    path = example(tmp_path, kind)
    whole = list(frames(path))
    assert len({frame.image.tobytes() for frame in whole}) == len(whole) >= COUNT - 20
    order = [*range(0, len(whole), 7), *range(len(whole) - 1, -1, -5)]
    order += np.random.default_rng(2).permutation(len(whole)).tolist()
    with VideoReader(path) as reader:
        assert len(reader) == len(whole)
        for number, frame in zip(order, reader.frames(order), strict=True):
            assert frame.index == number and np.array_equal(frame.image, whole[number].image), number
            assert frame.seconds == pytest.approx(whole[number].seconds, abs=1e-6)


def test_a_frame_is_decoded_from_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise every frame would cost the whole video before it."""
    path = made(tmp_path / "a.mp4", options=OPEN)
    decoded: list[int] = []
    original = seeking._frames_of

    def counted(packets: object):
        for frame in original(packets):  # type: ignore[arg-type]
            decoded.append(frame.pts)
            yield frame

    with VideoReader(path) as reader:
        monkeypatch.setattr(seeking, "_frames_of", counted)
        for number in (50, 3, 41, 44, 45):
            before = len(decoded)
            reader.read(number)
            assert len(decoded) - before <= 16, number
        assert len(decoded) < 60


def test_frames_that_are_not_asked_for_are_not_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path / "a.mp4", options=X264)
    whole = list(frames(path))
    made_images: list[int] = []
    monkeypatch.setattr("kaname.data.video.picture", lambda frame: made_images.append(frame.pts) or np.zeros((1, 1, 3)))
    found = [frame.index for frame in frames(path, range(0, 10**9, 29))]
    assert found == [0, 29, 58] and len(made_images) == 3 and len(whole) == COUNT
    assert [frame.index for frame in frames(path, {7, 3})] == [3, 7] and len(made_images) == 5


def test_an_index_is_a_value(tmp_path: Path) -> None:
    path = made(tmp_path / "a.mp4", options=X264)
    index = index_of(path)
    np.testing.assert_allclose(index.seconds, np.arange(COUNT) / 25, atol=1e-9)
    with VideoReader(path, index) as reader:
        before = reader.read(20)
        reader.close()
        assert np.array_equal(reader.read(20).image, before.image)


def test_what_there_is_not(tmp_path: Path) -> None:
    path = made(tmp_path / "a.mp4", options=X264)
    with VideoReader(path) as reader:
        for number in (COUNT, -1):
            with pytest.raises(
                InputError, match=f"the video has 60 frames, no frame {number}; frames count from 0 to 59"
            ):
                reader.read(number)
    with pytest.raises(InputError, match="does not exist"):
        index_of(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(InputError, match="damaged"):
        index_of(tmp_path / "text.mp4")
    made(tmp_path / "b.mkv", options=X264)
    whole = (tmp_path / "b.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: int(len(whole) * 0.7)])
    with pytest.raises(InputError, match="truncated"):
        index_of(tmp_path / "cut.mkv")


def test_a_recording_that_was_never_closed_is_counted(tmp_path: Path) -> None:
    """Its header states neither frames nor a length."""
    path = made(tmp_path / "whole.mp4", count=40)
    with av.open(str(path)) as source, av.open(str(tmp_path / "a.mkv"), "w", options={"live": "1"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    assert promised_frames(tmp_path / "a.mkv") == 0 and frame_count(tmp_path / "a.mkv") == 40
