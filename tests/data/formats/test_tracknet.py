"""TrackNet's data sets: the real one, every layout, and round trips."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from contracts.formats import FormatContract
from kaname.data.formats import tracknet
from kaname.data.formats.tracknet_table import HEADER
from kaname.data.naming import holes
from kaname.errors import InputError
from kaname.geometry.image import write_image
from kaname.types import Sample

WIDTH, HEIGHT = 64, 36
ROWS = ["{0},1,10,20,0", "{1},0,,,", "{2},3,30.25,5,2", "{3},2,0,35,1"]


def frames(folder, count=4, start=0, name="{:04d}.jpg", size=(WIDTH, HEIGHT)):
    folder.mkdir(parents=True, exist_ok=True)
    names = [name.format(start + number) for number in range(count)]
    for one in names:
        Image.new("RGB", size, (90, 120, 60)).save(folder / one)
    return names


def clip(folder, labels="Label.csv", rows=ROWS, **options):
    names = frames(folder, **options)
    (folder / labels).write_text("\n".join([HEADER, *rows]).format(*names) + "\n", encoding="utf-8")
    return folder


class TestTracknet(FormatContract):
    """A table: rows that are cut off between two fields are all that can be told from a shorter whole one."""

    module = tracknet
    file = "Label.csv"
    names = ("コート (1).png", "コート (2).png", "コート (3).png")
    points = ({"ball": (3.25, 4.125)}, {"ball": (np.nan, np.nan)}, {"ball": (12.5, 7.25)})
    cuts = (1, 40, -40, -12)

    def sample(self, image, points, visible, number):
        return Sample(image=image, points=points, visible=visible, size=(40, 60), frame=number)

    def order_is_free(self):
        return False


@pytest.fixture
def root(tmp_path):
    for game, name in (("game1", "Clip1"), ("game1", "Clip2"), ("game1", "Clip10"), ("game2", "Clip1")):
        clip(tmp_path / "data" / game / name)
    (tmp_path / "data" / ".cache").mkdir()
    (tmp_path / "data" / "__MACOSX").mkdir()
    (tmp_path / "data" / "match.mp4").touch()
    (tmp_path / "data" / "game1" / "Clip1" / "._0000.jpg").touch()
    return tmp_path / "data"


def test_read(root):
    samples = tracknet.read(root)
    places = [(sample.meta["game"], sample.meta["clip"]) for sample in samples[::4]]
    assert places == [("game1", "Clip1"), ("game1", "Clip2"), ("game1", "Clip10"), ("game2", "Clip1")]
    first, second, third, fourth = samples[4:8]
    assert first.image == root / "game1" / "Clip2" / "0000.jpg"
    assert first.size == (HEIGHT, WIDTH)
    assert [sample.frame for sample in samples[4:8]] == [0, 1, 2, 3]
    # The file holds pixel indices, so the middle of the pixel lies half a pixel further.
    np.testing.assert_array_equal(first.points["ball"], [[10.5, 20.5]])
    np.testing.assert_array_equal(second.points["ball"], [[np.nan, np.nan]])
    np.testing.assert_array_equal(third.points["ball"], [[30.75, 5.5]])
    assert [sample.visible["ball"].tolist() for sample in (first, second, third, fourth)] == [[2], [0], [1], [2]]
    assert [sample.meta["visibility"] for sample in samples[4:8]] == [1, 0, 3, 2]
    assert [sample.meta["status"] for sample in samples[4:8]] == [0, None, 2, 1]
    assert {sample.meta["dialect"] for sample in samples} == {"tracknet"}
    assert tracknet.problems(root) == []


def test_every_level_reads_the_same(root, monkeypatch):
    samples = tracknet.read(root)
    assert same(tracknet.read(root / "game1"), samples[:12])
    assert same(tracknet.read(root / "game2" / "Clip1"), samples[12:])
    assert same(tracknet.read(os.fspath(root / "game2" / "Clip1" / "Label.csv")), samples[12:])
    monkeypatch.chdir(root / "game2" / "Clip1")
    for path in (".", "Label.csv", "../Clip1", "../Clip1/Label.csv", "../../game2"):
        assert same(tracknet.read(path), samples[12:])
    assert [one.name for one in tracknet.clips(root)] == ["Clip1", "Clip2", "Clip10", "Clip1"]


def same(left, right):
    def key(sample):
        ball, visible = sample.points["ball"].tolist(), sample.visible["ball"].tolist()
        return sample.image.name, sample.frame, sample.size, dict(sample.meta), repr(ball), visible

    return [key(sample) for sample in left] == [key(sample) for sample in right]


def test_frames_elsewhere(root, tmp_path):
    samples = tracknet.read(root)
    labels = tmp_path / "labels"
    tracknet.write(labels, samples)
    assert same(tracknet.read(labels, images=root), samples)
    assert tracknet.read(labels, images=root)[0].image == samples[0].image
    assert same(tracknet.read(labels / "game1", images=root / "game1"), samples[:12])
    assert same(tracknet.read(labels / "game2" / "Clip1", images=root / "game2" / "Clip1"), samples[12:])
    single = labels / "game2" / "Clip1" / "Label.csv"
    assert same(tracknet.read(single, images=root / "game2" / "Clip1"), samples[12:])
    with pytest.raises(InputError, match=r"a clip without frames.*images"):
        tracknet.read(labels)
    with pytest.raises(InputError, match="does not exist"):
        tracknet.read(labels, images=tmp_path / "nowhere")
    (root / "game2" / "Clip1").rename(root / "game2" / "Clip9")
    assert [str(fault.path) for fault in tracknet.problems(labels, images=root)] == [str(root / "game2" / "Clip1")]


@pytest.mark.parametrize("labels", ["label.csv", "LABEL.CSV", "Label.CSV"])
def test_capitals_of_the_label_file(tmp_path, labels):
    assert len(tracknet.read(clip(tmp_path / "Clip1", labels=labels))) == 4


def test_any_names_of_games_and_clips(tmp_path):
    clip(tmp_path / "data" / "final 2024" / "rally é")
    (sample, *_) = tracknet.read(tmp_path / "data")
    assert (sample.meta["game"], sample.meta["clip"]) == ("final 2024", "rally é")


@pytest.mark.parametrize(
    ("name", "first"),
    [("{:04d}.jpg", "0000"), ("{}.png", "0"), ("{:04d}.JPG", "0000.jpg"), ("frame_{:03d}.png", "frame_000")],
)
def test_rows_that_name_frames_in_other_ways(tmp_path, name, first):
    """By number, without the ending, in other capitals."""
    names = frames(tmp_path, 2, name=name)
    second = first.replace("0.jpg", "1.jpg") if ".jpg" in first else first[:-1] + "1"
    (tmp_path / "Label.csv").write_text(f"Frame,Visibility,X,Y\n{first},1,5,6\n{second},0,0,0\n")
    assert [sample.image.name for sample in tracknet.read(tmp_path)] == names


def test_a_number_that_two_frames_have(tmp_path):
    frames(tmp_path, 1, name="{}.jpg")
    frames(tmp_path, 1, name="{:04d}.jpg")
    (tmp_path / "Label.csv").write_text("Frame,Visibility,X,Y\n0,1,5,6\n")
    faults = tracknet.problems(tmp_path)
    assert "'0' may be 0.jpg, 0000.jpg" in faults[0].reason or "'0' may be 0000.jpg, 0.jpg" in faults[0].reason


def test_coordinates_reach_the_frame_s_edge(tmp_path):
    folder = clip(tmp_path / "a", rows=["{0},1,63.5,35.5,0", "{1},1,-0.5,-0.5,0", "{2},1,63,35,0", "{3},1,0,0.5,0"])
    np.testing.assert_array_equal(tracknet.read(folder)[0].points["ball"], [[WIDTH, HEIGHT]])
    np.testing.assert_array_equal(tracknet.read(folder)[1].points["ball"], [[0, 0]])


def test_real_data(shared_data, tmp_path):
    root = shared_data / "tracknet"
    samples = tracknet.read(root)
    assert len(samples) == 175
    assert {sample.size for sample in samples} == {(720, 1280)}
    assert [(clip.game, clip.name) for clip in tracknet.clips(root)] == [
        ("game1", "Clip1"),
        ("game1", "Clip2"),
        ("game2", "Clip1"),
    ]
    np.testing.assert_array_equal(samples[0].points["ball"], [[652.5, 289.5]])
    assert tracknet.problems(root) == []
    tracknet.write(tmp_path / "copy", samples)
    assert same(tracknet.read(tmp_path / "copy", images=root), samples)
    for one in tracknet.clips(root):
        written = (tmp_path / "copy" / one.game / one.name / "Label.csv").read_bytes()
        assert written == one.labels.read_bytes().replace(b"\r\n", b"\n")


def test_write_makes_the_layout(root, tmp_path):
    samples = tracknet.read(root)
    out = tmp_path / "out"
    tracknet.write(out, samples[::-1], copy_frames=True)
    assert same(tracknet.read(out), samples)
    labels = out / "game1" / "Clip2" / "Label.csv"
    assert (
        labels.read_text() == f"{HEADER}\n0000.jpg,1,10,20,0\n0001.jpg,0,,,\n0002.jpg,3,30.25,5,2\n0003.jpg,2,0,35,1\n"
    )
    tracknet.write(out, tracknet.read(out), copy_frames=True)  # onto themselves
    assert same(tracknet.read(out), samples)
    numbered = [replace(sample, meta={"game": 7, "clip": 3}) for sample in samples[:4]]
    tracknet.write(tmp_path / "numbered", numbered)
    assert (tmp_path / "numbered" / "game7" / "Clip3" / "Label.csv").is_file()


def test_write_one_clip_without_meta(root, tmp_path):
    points = {"ball": np.array([[3.5, 4.5]])}
    bare = [
        Sample(Path("10.jpg"), points, {"ball": np.array([1])}),
        Sample(Path("9.jpg"), points),
        Sample(Path("11.jpg")),
        Sample(Path("12.jpg"), {"ball": np.full((1, 2), np.nan)}, {"ball": np.array([0])}, meta={"visibility": 2}),
    ]
    tracknet.write(tmp_path / "one.csv", bare)
    assert (tmp_path / "one.csv").read_text() == f"{HEADER}\n9.jpg,1,3,4,\n10.jpg,3,3,4,\n11.jpg,0,,,\n12.jpg,0,,,\n"


SOUND = Sample(
    Path("0.jpg"),
    {"ball": np.array([[3.0, 4.0]])},
    {"ball": np.array([2])},
    (36, 64),
    frame=0,
    meta={"game": "game1", "clip": "Clip1"},
)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([], "no samples"),
        ([replace(SOUND, meta={"game": "game1"})], "nothing says of which clip it is"),
        ([replace(SOUND, meta={"game": "..", "clip": "Clip1"})], "cannot name a folder"),
        ([replace(SOUND, meta={"game": "a/b", "clip": "Clip1"})], "cannot name a folder"),
        ([replace(SOUND, meta={"game": True, "clip": "Clip1"})], "cannot name a folder"),
        ([SOUND, replace(SOUND, image=Path("elsewhere", "0.jpg"))], "two samples are named '0.jpg'"),
        ([SOUND, replace(SOUND, image=Path("1.jpg"))], "0.jpg is frame 0 and 1.jpg is frame 0"),
        ([replace(SOUND, points={"nose": np.zeros((1, 2))})], "no point named 'ball', only nose"),
        ([replace(SOUND, points={"ball": np.ones((2, 2))})], "2 balls"),
        ([replace(SOUND, visible={"ball": np.array([3])})], "the visibility 3 is not one of"),
        ([replace(SOUND, points={"ball": np.full((1, 2), np.nan)})], "a ball at (nan, nan)"),
        ([replace(SOUND, points={"ball": np.array([[65.0, 4.0]])})], "outside its frame of 64 x 36"),
        ([replace(SOUND, meta={**SOUND.meta, "status": 9})], "the status 9"),
    ],
)
def test_what_cannot_be_written(tmp_path, samples, words):
    with pytest.raises(InputError) as caught:
        tracknet.write(tmp_path / "out", samples)
    assert words in caught.value.reason and caught.value.remedy
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "game1").touch()
    with pytest.raises(InputError, match="cannot be written"):
        tracknet.write(tmp_path, [SOUND])


def test_frames_that_cannot_be_copied(tmp_path):
    with pytest.raises(InputError, match="cannot be copied"):
        tracknet.write(tmp_path, [SOUND], copy_frames=True)


COORDINATES = st.one_of(st.integers(0, 63).map(float), st.floats(-0.499, 35.499))


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 3), COORDINATES, st.floats(-0.499, 35.499), st.sampled_from([None, 0, 1, 2])),
        min_size=1,
        max_size=4,
    )
)
def test_round_trip(tmp_path_factory, rows):
    there = np.round([place for visibility, *place, _ in rows if visibility], 6).tolist()
    assume([0, 0] not in there and (not there or np.max(there) > 1.1))  # no ball, and shares of the frame
    folder = tmp_path_factory.mktemp("round") / "game3" / "Clip4"
    names = frames(folder, len(rows))
    samples = [
        Sample(
            folder / name,
            {"ball": np.array([[x + 0.5, y + 0.5]]) if visibility else np.full((1, 2), np.nan)},
            {"ball": np.array([(0, 2, 2, 1)[visibility]])},
            (HEIGHT, WIDTH),
            frame=number,
            meta={"game": "game3", "clip": "Clip4", "visibility": visibility, "status": status},
        )
        for number, (name, (visibility, x, y, status)) in enumerate(zip(names, rows, strict=True))
    ]
    root = folder.parent.parent
    tracknet.write(root, samples)
    again = tracknet.read(root)
    for sample, back, (_, x, _, _) in zip(samples, again, rows, strict=True):
        assert (back.image, back.frame, back.size) == (sample.image, sample.frame, sample.size)
        np.testing.assert_allclose(back.points["ball"], sample.points["ball"], rtol=0, atol=1e-6)
        np.testing.assert_array_equal(back.visible["ball"], sample.visible["ball"])
        assert {key: back.meta[key] for key in sample.meta} == dict(sample.meta)
        if x.is_integer() and sample.meta["visibility"]:
            assert f",{int(x)}," in (folder / "Label.csv").read_text().splitlines()[sample.frame + 1]
    text = (folder / "Label.csv").read_bytes()
    tracknet.write(root, again)
    assert (folder / "Label.csv").read_bytes() == text


def test_frames_that_are_missing_with_their_labels(tmp_path):
    """Nothing but the numbers tells; windows would be built over the hole."""
    lines = ["file name,visibility,x-coordinate,y-coordinate,status"]
    for number in (0, 1, 2, 5, 6, 7, 8):
        write_image(tmp_path / f"{number:04d}.png", np.zeros((8, 12, 3), np.uint8))
        lines.append(f"{number:04d}.png,0,,,")
    (tmp_path / "Label.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.warns(UserWarning, match=r"Label\.csv:5: frames are missing between 0002\.png and 0005\.png"):
        assert len(tracknet.read(tmp_path)) == 7


def test_names_that_count_otherwise():
    even, stamps = [f"{5 * number}.jpg" for number in range(6)], ["f33.jpg", "f66.jpg", "f100.jpg", "f133.jpg"]
    jumping, two = ["1.jpg", "4.jpg", "9.jpg", "16.jpg", "25.jpg"], ["a1.jpg", "a2.jpg", "b9.jpg"]
    assert [holes(names) for names in (even, stamps, jumping, two, [], ["7.jpg"])] == [[]] * 6
    assert holes([*even, "60.jpg"]) == [6]
    assert holes(["frame0001_v2.jpg", "frame0002_v2.jpg", "frame0005_v2.jpg"]) == [2]
    assert holes(["0001.jp2", "0002.jp2", "0009.jp2"]) == [2] and holes(["1 (1).jpg", "2 (1).jpg", "9 (1).jpg"]) == [2]
