"""Videos with damaged packets in the middle: refused by the frame, or read on with the lost frames in their places."""

from __future__ import annotations

import warnings
from pathlib import Path

import av
import numpy as np
import pytest

from damaging import damaged, encoded, patched
from kaname import cli
from kaname.data.formats.files import read_json
from kaname.data.seeking import VideoReader
from kaname.data.video import VideoWriter, frames
from kaname.errors import InputError
from kaname.tracking.table import read_rows

COUNT = 40
GOLDEN = Path(__file__).parents[1] / "golden"


def pattern(number: int) -> np.ndarray:
    """A picture that says which one it is, by its brightness, with something in it that an encoder has to write."""
    noise = np.random.default_rng(number).integers(0, 24, (64, 96, 3))
    return (noise + 5 * number).astype(np.uint8)


def written(path: Path, codec: str, group: int) -> Path:
    return encoded(path, [pattern(number) for number in range(COUNT)], codec, group)


MEMBERS = [
    ("h264.mp4", "libx264", 1, [13]), ("h264.mov", "libx264", 1, [7, 8, 9, 30]), ("h264.mkv", "libx264", 1, [0]),
    ("h264.mkv", "libx264", 1, [0, 1, 20]), ("end.mp4", "libx264", 1, [COUNT - 1]),
    ("near.mp4", "libx264", 1, [COUNT - 2]), ("mpeg4.mp4", "mpeg4", 1, [11]),
    ("long.mp4", "libx264", 10, [29]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "codec", "group", "numbers"), MEMBERS)
def test_lost_frames_stand_in_their_places(
    tmp_path: Path, name: str, codec: str, group: int, numbers: list[int]
) -> None:
    whole = {frame.index: frame.image for frame in frames(written(tmp_path / name, codec, group))}
    path = damaged(tmp_path / name, numbers)
    with pytest.raises(InputError, match="--damaged blank") as refused:
        list(frames(path))
    before = numbers[0] - 1
    places = [f"after frame {before} " if before >= 0 else "at its beginning"]
    if int(av.__version__.split(".")[0]) < 18:  # its decoder keeps a good frame to itself when the last one fails
        places.append(f"after frame {before - 1} ")
    assert any(place in str(refused.value) for place in places)
    with pytest.warns(UserWarning, match=f"of {COUNT} lost in damaged packets") as said:
        found = list(frames(path, damaged="blank"))
    assert len(said) == 1 and str(numbers[0]) in str(said[0].message)
    assert [frame.index for frame in found] == list(range(COUNT))
    assert [frame.index for frame in found if frame.lost] == numbers
    assert np.allclose(np.diff([frame.seconds for frame in found]), 1 / 20, atol=1e-3)
    for frame in found:
        if not frame.lost and group == 1:
            assert np.array_equal(frame.image, whole[frame.index])
    kept = [frame.index for frame in found if not frame.lost]
    for frame in found:
        if frame.lost and group == 1:  # the picture before it, at the beginning the one after
            beside = max((one for one in kept if one < frame.index), default=kept[0])
            assert np.array_equal(frame.image, whole[beside])


def test_a_whole_video_is_read_as_before(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4") as writer:  # with frames in another order than they are stored
        for number in range(COUNT):
            writer.write(pattern(number), number / 20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain, blank = list(frames(tmp_path / "a.mp4")), list(frames(tmp_path / "a.mp4", damaged="blank"))
    assert len(plain) == len(blank) == COUNT and not any(frame.lost for frame in blank)
    assert all(np.array_equal(a.image, b.image) and a.seconds == b.seconds for a, b in zip(plain, blank, strict=True))


@pytest.mark.parametrize("recipe", ["tracknet", "gauge"])
def test_predict_leaves_lost_frames_blank(tmp_path: Path, recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = damaged(written(tmp_path / "a.mp4", "libx264", 1), [5, 6, 20])
    model = GOLDEN / {"tracknet": "ball.onnx", "gauge": "gauge.onnx"}[recipe]
    words = [recipe, "predict", str(path), "--checkpoint", str(model), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as refused:
        cli.main(words)
    said = capsys.readouterr()
    assert refused.value.code == 2 and "after frame 4 " in said.out + said.err and "--damaged" in said.out + said.err
    with pytest.raises(SystemExit) as done:
        cli.main([*words, "--damaged", "blank"])
    assert not done.value.code and f"3 frames, the first 5, of {COUNT} lost" in capsys.readouterr().err
    if recipe == "tracknet":
        rows = read_rows(tmp_path / "out" / "ball.csv")
        assert len(rows) == COUNT and not any(rows[number].there for number in (5, 6, 20))
    else:
        rows = read_json(tmp_path / "out" / "points.json")["images"]
        assert len(rows) == COUNT
        assert not any(len(points) for number in (5, 6, 20) for points in rows[number]["points"].values())


@pytest.mark.parametrize(("name", "codec", "group", "numbers"), MEMBERS)
@pytest.mark.parametrize("order", ["forwards", "back and forth"])
def test_frames_by_number_are_those_in_order(
    tmp_path: Path, name: str, codec: str, group: int, numbers: list[int], order: str
) -> None:
    path = damaged(written(tmp_path / name, codec, group), numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = list(frames(path, damaged="blank"))
    asked = list(range(COUNT)) if order == "forwards" else [30, 5, 29, 6, 13, 39, 0, 12, 8]
    with VideoReader(path, damaged="blank") as reader:
        assert len(reader) == COUNT
        for number in asked:
            frame = reader.read(number)
            assert (frame.index, frame.lost) == (number, number in numbers)
            assert group > 1 or np.array_equal(frame.image, whole[number].image)


@pytest.mark.parametrize("number", [0, 13, 20, COUNT - 1])
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4")])
def test_pictures_that_a_decoder_has_patched(tmp_path: Path, name: str, codec: str, number: int) -> None:
    """No error comes of them, and a part of the picture is made up: from there up to the next key frame."""
    whole = [frame.image for frame in frames(written(tmp_path / name, codec, 10))]
    path = patched(tmp_path / name, number)
    place = f"after frame {number - 1}" if number else "at its beginning"
    with pytest.raises(InputError, match=f"the video is damaged {place} .*--damaged blank"):
        list(frames(path))
    with pytest.warns(UserWarning, match="lost in damaged packets"):
        found = list(frames(path, damaged="blank"))
    assert len(found) == COUNT and found[number].lost
    after = 10 * (number // 10 + 1)
    for frame in (*found[:number], *found[after:]):
        assert not frame.lost and np.array_equal(frame.image, whole[frame.index])
    with pytest.raises(InputError, match="damaged"), VideoReader(path) as reader:
        reader.read(number)
