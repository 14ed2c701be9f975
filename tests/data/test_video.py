"""Frames with their time stamps, upright, one at a time."""

from __future__ import annotations

import gc
import itertools
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from kaname.data.seeking import VideoReader
from kaname.data.video import VideoWriter, folder_frames, folder_images, frame_count, frames, is_video, promised_frames
from kaname.errors import InputError
from kaname.geometry.image import write_image


def write_video(
    path: Path,
    images: Sequence[np.ndarray],
    *,
    rate: int = 25,
    times: Sequence[int] | None = None,
    turn: int = 0,
    mirror: tuple[bool, bool] = (False, False),
    codec: str = "libx264",
) -> Path:
    """An H.264 file; ``times`` are presentation times in thousandths of a second, ``turn`` the display's rotation."""
    with av.open(f"file:{path}", "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv444p" if codec == "libx264" else "yuv420p"
        stream.options = {"qp": "0"}
        if turn or any(mirror):
            if not hasattr(stream, "set_display_rotation"):
                pytest.skip("this version of PyAV reads display matrices and writes none")
            stream.set_display_rotation(turn, *mirror)
        if times is not None:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def grey(value: int) -> np.ndarray:
    return np.full((32, 48, 3), value, np.uint8)


def test_frames_in_order_with_their_times(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [grey(40 * number) for number in range(5)], rate=10)
    found = list(frames(path))
    assert [frame.index for frame in found] == [0, 1, 2, 3, 4]
    assert [frame.seconds for frame in found] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    for number, frame in enumerate(found):
        assert frame.image.shape == (32, 48, 3) and frame.image.dtype == np.uint8
        assert abs(int(frame.image.mean()) - 40 * number) <= 2


def test_times_come_from_the_file_not_from_the_rate(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [grey(0)] * 4, times=[0, 40, 500, 540])
    assert [frame.seconds for frame in frames(path)] == pytest.approx([0, 0.04, 0.5, 0.54], abs=1e-3)


@pytest.mark.parametrize("turn", [90, -90, 180])
def test_frames_stand_upright(tmp_path: Path, turn: int) -> None:
    image = grey(0)
    image[:16, :24] = 255  # bright at the top left of the stored frame
    found = next(frames(write_video(tmp_path / "a.mp4", [image], turn=turn))).image
    expected = np.rot90(image, turn // 90)
    assert found.shape == expected.shape and found.flags.c_contiguous
    assert np.abs(found.astype(int) - expected).max() < 10


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("mirror", [(True, False), (False, True)])
def test_mirrored_frames_are_shown_as_players_show_them(tmp_path: Path, turn: int, mirror: tuple[bool, bool]) -> None:
    image = grey(0)
    image[:16, :24] = 255  # bright at the top left of the stored frame
    image[:8, 24:] = 120
    path = write_video(tmp_path / "a.mp4", [image] * 3, turn=turn, mirror=mirror)
    expected = np.rot90(image, turn // 90)
    expected = expected[:, ::-1] if mirror[0] else expected[::-1]
    found = [frame.image for frame in frames(path)]
    with VideoReader(path) as reader:
        found.append(reader.read(2).image)
    for one in found:
        assert one.shape == expected.shape and one.flags.c_contiguous
        assert np.abs(one.astype(int) - expected).max() < 10


@pytest.mark.parametrize("name", ["12:30:00.mp4", "http:a.mp4", "a%03d.mp4", "-y.mp4", "concat:a|b.mp4", "file:x.mp4"])
def test_names_that_are_addresses_to_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with VideoWriter(Path(name)) as writer:
        for number in range(3):
            writer.write(grey(80 * number), number / 25)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert [frame.index for frame in frames(Path(name))] == [0, 1, 2] and frame_count(Path(name)) == 3
    with VideoReader(Path(name)) as reader:
        assert abs(int(reader.read(2).image.mean()) - 160) <= 3


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.ts", "libx264"),
        ("a.MTS", "libx264"),
        ("a.mpg", "mpeg2video"),
        ("a.wmv", "wmv2"),
        ("a.flv", "flv"),
        ("a.3gp", "libx264"),
    ],
)
def test_other_containers_by_number_as_in_order(tmp_path: Path, name: str, codec: str) -> None:
    given = [np.full((64, 96, 3), 20 + 8 * number, np.uint8) for number in range(28)]
    place = tmp_path / name
    written = write_video(tmp_path / f"x{place.suffix.lower().replace('.mts', '.ts')}", given, codec=codec)
    written.rename(place)
    assert is_video(place)
    found = list(frames(place))
    assert len(found) == len(given) and all(later.seconds > one.seconds for one, later in itertools.pairwise(found))
    with VideoReader(place) as reader:
        assert len(reader) == len(given)
        for number in (20, 3, 27, 0):
            np.testing.assert_array_equal(reader.read(number).image, found[number].image)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        list(frames(tmp_path / "none.mp4"))
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(InputError, match="damaged at its beginning"):
        list(frames(tmp_path / "text.mp4"))
    whole = write_video(tmp_path / "a.mp4", [grey(0)] * 3).read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError):
        list(frames(tmp_path / "half.mp4"))


def test_a_file_without_pictures(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44100, 0
        for packet in (*stream.encode(frame), *stream.encode()):
            container.mux(packet)
    with pytest.raises(InputError, match="no video stream"):
        list(frames(path))


def test_names() -> None:
    assert is_video(Path("A.MP4")) and is_video(Path("b.webm")) and not is_video(Path("c.png"))


def stored(path: Path, count: int, codec: str, **options: str) -> Path:
    """A file of ``count`` noisy frames; ``options`` are the container's."""
    random = np.random.default_rng(0)
    with av.open(str(path), "w", container_options=options) as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(count):
            image = random.integers(0, 40, (64, 96, 3), dtype=np.uint8)
            image[:, 2 * number : 2 * number + 8] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


FILES = [("a.mp4", "libx264"), ("a.mov", "libx264"), ("a.avi", "mpeg4"), ("b.avi", "mjpeg"), ("c.avi", "libx264")]


@pytest.mark.parametrize(("name", "codec"), FILES)
def test_every_frame_in_the_order_of_display(tmp_path: Path, name: str, codec: str) -> None:
    """Also H.264 in AVI, which stores no times of display: they would go to and fro."""
    path = stored(tmp_path / name, 30, codec)
    found = list(frames(path))
    assert [frame.seconds for frame in found] == pytest.approx([number / 25 for number in range(30)])
    bright = [int(np.flatnonzero(frame.image[32].mean(axis=1) > 150).mean()) for frame in found]
    assert bright == sorted(bright) and frame_count(path) == 30


@pytest.mark.parametrize(("name", "codec"), [*FILES, ("f.mp4", "libx264")])
@pytest.mark.parametrize("share", [0.9, 0.6])
def test_truncated_files(tmp_path: Path, name: str, codec: str, share: float) -> None:
    """Even by a few frames: what the header promises must be there."""
    whole = stored(tmp_path / name, 30, codec, **({"movflags": "faststart"} if name == "f.mp4" else {})).read_bytes()
    cut = tmp_path / f"cut_{name}"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=r"truncated|damaged") as caught:
        list(frames(cut))
    assert caught.value.path == str(cut)


FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [("a.mkv", "libx264", {}), ("a.webm", "libvpx", {}), ("g.mp4", "libx264", FRAGMENTS)],
)
def test_truncated_files_whose_header_counts_no_frames(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    """Their parts say how long they are."""
    path = stored(tmp_path / name, 30, codec, **options)
    assert len(list(frames(path))) == 30
    whole = path.read_bytes()
    for share in (0.95, 0.7, 0.5):
        cut = tmp_path / f"cut_{name}"
        cut.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError, match=r"truncated|damaged|no frames"):
            list(frames(cut))


def test_an_avi_that_has_lost_a_frame_says_so(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.avi", 30, "mjpeg")
    data = bytearray(path.read_bytes())
    place = data.index(b"00dc", len(data) // 2)
    data[place : place + 8] = b"JUNK" + data[place + 4 : place + 8]
    path.write_bytes(bytes(data))
    with pytest.warns(UserWarning, match="promises 30 frames, 29 can be read"):
        assert len(list(frames(path))) == 29


@pytest.mark.parametrize(("kind", "codec"), [("mpegts", "libx264"), ("flv", "libx264"), ("mpeg", "mpeg1video")])
def test_a_container_that_is_called_otherwise(tmp_path: Path, kind: str, codec: str) -> None:
    """Only what states its lengths can lack its end."""
    made = tmp_path / "x.mp4"
    with av.open(str(made), "w", format=kind) as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        for number in range(10):
            picture = np.full((64, 96, 3), 20 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    assert len(list(frames(made))) == 10


def test_what_a_recorder_puts_behind_an_mp4(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.mp4", 12, "libx264", **FRAGMENTS)
    path.write_bytes(path.read_bytes() + b"SEFTgarbage that is no box")
    assert len(list(frames(path))) == 12


def test_a_live_recording_tells_no_length(tmp_path: Path) -> None:
    """Its segment is of unknown length, so that nothing can be missing."""
    found = list(frames(stored(tmp_path / "a.mkv", 12, "libx264", live="1")))
    assert len(found) == 12


def test_frames_that_an_edit_list_hides_are_not_lost(tmp_path: Path) -> None:
    """A file whose first frames are cut off without encoding again is whole."""
    whole, part = stored(tmp_path / "whole.mp4", 40, "libx264"), tmp_path / "part.mp4"
    with av.open(str(whole)) as source, av.open(str(part), "w") as target:
        stream = source.streams.video[0]
        out = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None and packet.pts is not None:
                packet.pts -= 10 * 512  # times before 0 are not shown
                packet.dts -= 10 * 512
                packet.stream = out
                target.mux(packet)
    found = list(frames(part))
    assert 25 <= len(found) <= 40 and found[0].seconds >= 0


def test_names_of_another_encoding(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.avi", 3, "mjpeg", fflags="+bitexact")
    data = path.read_bytes()
    title = b"INAM" + (4).to_bytes(4, "little") + b"\x8e\x87\xff\x00"  # no UTF-8
    listed = b"LIST" + (4 + len(title)).to_bytes(4, "little") + b"INFO" + title
    place = data.index(b"LIST", data.index(b"movi") - 12)
    data = data[:place] + listed + data[place:]
    path.write_bytes(data[:4] + (len(data) - 8).to_bytes(4, "little") + data[8:])
    assert len(list(frames(path))) == 3 and frame_count(path) == 3


@pytest.mark.parametrize("content", [b"", b"hello", bytes(5000)])
def test_files_of_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    for damaged in ("error", "blank"):
        with pytest.raises(InputError, match="damaged at its beginning" if content else "the file is empty") as refused:
            list(frames(tmp_path / "a.mp4", damaged=damaged))
        assert "download it again" in str(refused.value) and "--damaged" not in str(refused.value)
    assert frame_count(tmp_path / "a.mp4") == 1


def test_folders_of_frames(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        folder_images(tmp_path / "none")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "._1.png").write_text("x")
    with pytest.raises(InputError, match="contains no image"):
        folder_images(tmp_path)
    for number in (10, 9, 100):
        write_image(tmp_path / f"{number}.png", grey(number))
    with pytest.warns(UserWarning, match=r"missing between 10\.png and 100\.png"):
        found = list(folder_frames(tmp_path, 10))
    assert [int(frame.image[0, 0, 0]) for frame in found] == [9, 10, 100]
    assert [frame.seconds for frame in found] == pytest.approx([0, 0.1, 0.2]) and frame_count(tmp_path) == 3


@pytest.mark.parametrize(("size", "exact"), [((32, 48), False), ((33, 47), False), ((33, 47), True)])
def test_a_written_file_keeps_frames_and_times(tmp_path: Path, size: tuple[int, int], exact: bool) -> None:
    """Of a variable rate; a repeated stamp is moved on, an odd side grows by one pixel unless the size is to stay."""
    times = [0.0, 0.04, 0.04, 0.5, 0.52, 3.0]
    with VideoWriter(tmp_path / "new" / "a.mp4", quality=5, exact=exact) as writer:
        for number, seconds in enumerate(times):
            writer.write(np.full((*size, 3), 40 * number, np.uint8), seconds)
        assert not (tmp_path / "new" / "a.mp4").exists()
    found = list(frames(tmp_path / "new" / "a.mp4"))
    assert [frame.seconds for frame in found] == pytest.approx(times, abs=1e-3)
    assert found[0].image.shape == (*(side if exact else side + side % 2 for side in size), 3)
    assert [round(float(frame.image.mean()) / 40) for frame in found] == [0, 1, 2, 3, 4, 5]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.mp4"]


def test_a_written_file_has_the_rate_of_its_stamps_and_says_its_colours(tmp_path: Path) -> None:
    for rate, count in ((30, 40), (60000 / 1001, 12), (12.5, 3), (25, 1)):
        with VideoWriter(tmp_path / "a.mp4") as writer:
            [writer.write(np.zeros((32, 48, 3), np.uint8), number / rate) for number in range(count)]
        with av.open(str(tmp_path / "a.mp4")) as container:
            assert float(container.streams.video[0].average_rate or 0) == pytest.approx(rate, rel=1e-3)
            assert container.streams.video[0].codec_context.colorspace == 6  # SMPTE 170M


def test_a_file_that_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    for count in (0, 2):
        with pytest.raises(ValueError, match="stop"), VideoWriter(tmp_path / "a.mp4") as writer:
            for number in range(count):
                writer.write(grey(0), number / 25)
            raise ValueError("stop")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"), VideoWriter(tmp_path / "file" / "a.mp4"):
        pass
    with pytest.raises(InputError, match="cannot be written"), VideoWriter(tmp_path / "empty.mp4"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def write_with(path: Path) -> None:
    with VideoWriter(path) as writer:
        writer.write(grey(0), 0.0)


def test_messages_of_the_decoder_stay_out_of_python(tmp_path: Path) -> None:
    """Its threads would wait for the interpreter, and whoever frees the decoder for them; others let them in."""
    path = write_video(tmp_path / "a.mp4", [grey(0)] * 3, rate=10)
    ways = (lambda: list(frames(path)), lambda: promised_frames(path), lambda: write_with(tmp_path / "b.mp4"))
    for reading in ways:
        av.logging.set_level(av.logging.ERROR)
        reading()
        assert av.logging.get_level() is None


def frames_in_memory() -> int:
    # By its type: isinstance() would wake the lazy objects of other libraries.
    return sum(type(one) is av.VideoFrame for one in gc.get_objects())


def test_frames_are_let_go_at_once(tmp_path: Path) -> None:
    """None waits in a cycle for the garbage collector, which sees few objects where there are many pixels."""
    path = write_video(tmp_path / "a.mp4", [np.full((64, 64, 3), 9 * n, np.uint8) for n in range(20)], rate=10)
    gc.collect()
    gc.disable()
    before = frames_in_memory()  # other tests may have left some
    try:
        assert sum(1 for _ in frames(path)) == 20
        assert frames_in_memory() - before < 5
    finally:
        gc.enable()


def test_one_left_unfinished_ends_quietly_with_the_process(tmp_path: Path) -> None:
    """The interpreter closes it after it has emptied PyAV's modules, where an older one still holds it."""
    path = write_video(tmp_path / "a.mp4", [np.full((64, 64, 3), 9 * n, np.uint8) for n in range(5)])
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom kaname.data.video import frames\n"
        "os.kept = frames(Path(sys.argv[1]))\nprint(next(os.kept).index)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


def test_a_folder_of_videos_is_not_one_of_frames(tmp_path: Path) -> None:
    (tmp_path / "b.mp4").touch()
    with pytest.raises(InputError, match=r"name the videos themselves: .*b\.mp4"):
        folder_images(tmp_path)
