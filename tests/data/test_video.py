"""Frames with their time stamps, upright, one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from kaname.data.video import frames, is_video
from kaname.errors import InputError


def write_video(
    path: Path, images: Sequence[np.ndarray], *, rate: int = 25, times: Sequence[int] | None = None, turn: int = 0
) -> Path:
    """An H.264 file; ``times`` are presentation times in thousandths of a second, ``turn`` the display's rotation."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv444p"
        stream.options = {"qp": "0"}
        if turn:
            stream.set_display_rotation(turn)
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
