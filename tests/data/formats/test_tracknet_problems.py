"""Everything that can be wrong with a TrackNet data set: one clear line each, all of them listed."""

from __future__ import annotations

import pytest
from PIL import Image

from kaname.data.formats import tracknet
from kaname.data.formats.tracknet_table import HEADER
from kaname.errors import InputError

GOOD = ["0000.jpg,1,10,20,0", "0001.jpg,0,,,", "0002.jpg,2,30,5,2"]


def make(folder, rows=GOOD, count=3):
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (64, 36), (90, 120, 60)).save(folder / f"{number:04d}.jpg")
    if rows is not None:
        (folder / "Label.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    return folder


def only(path, **options):
    """The single problem, which ``read`` raises too."""
    (fault,) = tracknet.problems(path, **options)
    with pytest.raises(InputError) as caught:
        tracknet.read(path, check=True, **options)
    assert str(caught.value) == str(fault)
    assert fault.path and fault.reason and fault.remedy
    return fault


@pytest.mark.parametrize(
    ("rows", "row", "words"),
    [
        ([*GOOD[:2], "0002.jpg,2,64,5,0"], 4, "(64, 5) lies outside the frame of 64 x 36"),
        ([*GOOD[:2], "0002.jpg,2,5,35.6,0"], 4, "lies outside"),
        ([*GOOD[:2], "0002.jpg,2,-1,-1,0"], 4, "lies outside"),
        ([*GOOD, "0002.jpg,2,30,5,2"], 5, "0002.jpg is also labelled in line 4"),
        ([*GOOD, "2,2,30,5,2"], 5, "0002.jpg is also labelled in line 4"),
        ([GOOD[1], GOOD[0], GOOD[2]], 3, "0000.jpg comes after 0001.jpg"),
        ([*GOOD, "0003.jpg,0,,,"], 5, "no frame '0003.jpg'"),
        ([*GOOD, "0000.png,0,,,"], 5, "no frame '0000.png'"),
        ([*GOOD, "../Clip2/0000.jpg,0,,,"], 5, "no frame"),
        (GOOD[:1], None, "2 of 3 frames have no valid label: 0001.jpg, 0002.jpg"),
        ([*GOOD[:2], "0002.jpg,7,30,5,2"], 4, "the visibility is 7"),
        ([*GOOD[:2], "0002.jpg,0,30,5,2"], 4, "no ball (visibility 0), but a position"),
        ([*GOOD[:2], "0002.jpg,1,,,2"], 4, "without coordinates"),
        ([*GOOD[:2], "0002.jpg,1,nan,5,2"], 4, "x-coordinate is not a number"),
        ([], None, "no row after the header"),
    ],
)
def test_labels(tmp_path, rows, row, words):
    folder = make(tmp_path / "game1" / "Clip1", rows)
    fault = only(folder)
    assert words in fault.reason
    assert (fault.path, fault.row) == (str(folder / "Label.csv"), row)


def test_layouts(tmp_path):
    good = make(tmp_path / "data" / "game1" / "Clip1")
    assert tracknet.problems(good.parent.parent) == []
    assert "no Label.csv beside the frames" in only(make(tmp_path / "a" / "game1" / "Clip1", None)).reason
    assert "a clip without frames" in only(make(tmp_path / "b" / "game1" / "Clip1", count=0)).reason
    other = make(tmp_path / "c" / "game1" / "Clip1")
    (other / "Label.csv").rename(other / "rally.csv")
    assert (only(other).reason, only(other).remedy) == ("no Label.csv, only rally.csv", "rename it to Label.csv")
    assert len(tracknet.read(other / "rally.csv")) == 3  # named by the user, any name will do
    twice = make(tmp_path / "d" / "game1" / "Clip1")
    (twice / "label.csv").write_text("")
    if len(list(twice.glob("*.csv"))) == 2:  # not where capitals make no difference
        assert "2 label files" in only(twice).reason
    (tmp_path / "data" / "runs").mkdir()
    assert "neither a game nor a clip" in only(tmp_path / "data").reason
    (tmp_path / "data" / "runs" / "first").mkdir()
    assert "neither frames nor Label.csv" in only(tmp_path / "data").reason
    with pytest.raises(InputError, match="neither frames"):
        tracknet.clips(tmp_path / "data")
    (tmp_path / "empty").mkdir()
    assert "no clip here" in only(tmp_path / "empty").reason
    assert "neither a label file nor a folder" in only(tmp_path / "none").reason


def test_one_level_too_high(tmp_path):
    make(tmp_path / "all" / "data" / "game1" / "Clip1")
    fault = only(tmp_path / "all")
    assert fault.remedy == f"the data set is {tmp_path / 'all' / 'data'}"


def test_frames(tmp_path):
    root = tmp_path / "data"
    for name in ("Clip1", "Clip2", "Clip3"):
        make(root / "game1" / name)
    whole = (root / "game1" / "Clip1" / "0001.jpg").read_bytes()
    (root / "game1" / "Clip1" / "0001.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "game1" / "Clip1" / "0002.jpg").write_bytes(b"")
    Image.new("RGB", (32, 18)).save(root / "game1" / "Clip2" / "0001.jpg")
    (root / "game1" / "Clip3" / "0000.jpg").write_bytes(b"no picture")
    faults = tracknet.problems(root)
    assert [fault.path for fault in faults] == [
        str(root / "game1" / name) for name in ("Clip1/0001.jpg", "Clip1/0002.jpg", "Clip2/0001.jpg", "Clip3/0000.jpg")
    ]
    assert "damaged" in faults[0].reason and "empty" in faults[1].reason
    assert faults[2].reason == "the frame has 32 x 18 pixels, most of its clip 64 x 36"
    # Without a check only the first frames' headers are read.
    assert len(tracknet.read(root / "game1" / "Clip1")) == len(tracknet.read(root / "game1" / "Clip2")) == 3
    with pytest.raises(InputError, match=r"0000\.jpg"):
        tracknet.read(root)


def test_all_problems_are_listed(tmp_path):
    root = tmp_path / "data"
    make(root / "game1" / "Clip1", ["0000.jpg,1,99,5,0", "0001.jpg,9,1,1,0", "0001.jpg,0,,,", "0007.jpg,0,,,"])
    make(root / "game1" / "Clip2", None)
    make(root / "game2" / "Clip1")
    make(root / "game3" / "Clip1", ["x"])
    faults = tracknet.problems(root)
    assert [(fault.row, fault.reason.split(":")[0]) for fault in faults] == [
        (3, "the visibility is 9"),
        (2, "the ball at (99, 5) lies outside the frame of 64 x 36"),
        (5, f"no frame '0007.jpg' in {root / 'game1' / 'Clip1'}"),
        (None, "no Label.csv beside the frames"),
        (2, "1 fields, but the header has 5"),
        (None, "3 of 3 frames have no valid label"),
    ]


def test_only_first_frames_are_opened(tmp_path, monkeypatch):
    for name in ("Clip1", "Clip2"):
        make(tmp_path / "game1" / name)
    opened = []
    original = tracknet.frame_size
    monkeypatch.setattr(tracknet, "frame_size", lambda path: opened.append(path.name) or original(path))
    monkeypatch.setattr(tracknet, "read_image", None)
    assert len(tracknet.read(tmp_path / "game1")) == 6
    assert opened == ["0000.jpg", "0000.jpg"]
