"""Rallies straight from their videos: what is read, trained and scored is what extracted frames give."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from kaname import config as configuration
from kaname.data.formats import tracknet as label_files
from kaname.data.frame_source import OPEN, frame_places, read_frame
from kaname.data.seeking import index_of
from kaname.data.video import frames
from kaname.errors import InputError
from kaname.geometry.image import read_image, write_image
from kaname.recipes.tracknet.config import TracknetConfig
from kaname.recipes.tracknet.data import Windows
from kaname.recipes.tracknet.labels import clips
from recipes.tracknet.clips import TINY, call, flight, picture

COUNT = 20
# Three orders of storing frames: by their references to earlier and later ones, in order, and each for itself.
CODECS = {
    "1_01_00.mp4": ("libx264", {"g": "8", "bf": "3", "b-adapt": "0", "x264-params": "open-gop=1"}),
    "1_02_00.avi": ("mpeg4", {"g": "12", "bf": "0"}),
    "1_03_00.mkv": ("libx264", {"g": "100", "bf": "2", "b-adapt": "0"}),
}


def film(path: Path, places: np.ndarray, seed: int) -> Path:
    """A dot that flies before a ground of its own; all but AVI have uneven times, as phones record them."""
    codec, options = CODECS[path.name]
    patches = np.random.default_rng(seed).integers(10, 110, (8, 12, 3), dtype=np.uint8)
    ground = np.kron(patches, np.ones((8, 8, 1), np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt, stream.options = 64, 96, "yuv420p", {**options}
        stream.bit_rate = 4_000_000
        if path.suffix != ".avi":
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for number, place in enumerate(places):
            frame = av.VideoFrame.from_ndarray(np.maximum(picture(place, ground=0), ground), format="rgb24")
            if path.suffix != ".avi":
                frame.pts, frame.time_base = 40 * number + 13 * (number % 3), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def match(folder: Path, number: int) -> None:
    """Three rallies of one match, with their labels."""
    (folder / "csv").mkdir(parents=True)
    for place, name in enumerate(CODECS):
        places = flight(COUNT, 10 * number + place)
        film(folder / "video" / name, places, 10 * number + place)
        rows = [f"{at},1,{x - 0.5:.4f},{y - 0.5:.4f}" for at, (x, y) in enumerate(places)]
        text = "\n".join(["Frame,Visibility,X,Y", *rows]) + "\n"
        (folder / "csv" / f"{Path(name).stem}_ball.csv").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three matches as videos; read only."""
    root = tmp_path_factory.mktemp("filmed") / "data"
    for number in range(1, 4):
        match(root / f"match{number}", number)
    return root


@pytest.fixture(scope="module")
def extracted(filmed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as images of frames."""
    root = tmp_path_factory.mktemp("extracted") / "data"
    for video in filmed.glob("match*/video/*"):
        place = root / video.parent.parent.name / "frame" / video.stem
        place.mkdir(parents=True)
        for frame in frames(video):
            write_image(place / f"{frame.index}.png", frame.image)
        shutil.copytree(video.parent.parent / "csv", place.parent.parent / "csv", dirs_exist_ok=True)
    return root


def test_samples_name_the_video_and_the_frame(filmed: Path, extracted: Path) -> None:
    own, others = label_files.read(filmed, check=True), label_files.read(extracted, check=True)
    assert len(own) == len(others) == 9 * COUNT
    assert own[0].image == filmed / "match1" / "video" / "1_01_00.mp4" / "0.png"
    for one, other in zip(own, others, strict=True):
        assert (one.size, one.frame, one.image.name, one.meta) == (
            other.size,
            other.frame,
            other.image.name,
            other.meta,
        )
        assert np.array_equal(one.points["ball"], other.points["ball"])
        assert np.array_equal(read_frame(one.image), read_image(other.image))


def test_frame_n_is_frame_n(filmed: Path) -> None:
    """In any order, over more videos than stay open: the dot is where its label says."""
    samples = label_files.read(filmed)
    assert len({sample.image.parent for sample in samples}) > OPEN
    for number in np.random.default_rng(0).permutation(len(samples)).tolist():
        sample = samples[number]
        y, x = np.nonzero(read_frame(sample.image)[..., 1] > 170)
        assert np.hypot(*(sample.points["ball"][0] - (x.mean() + 0.5, y.mean() + 0.5))) < 0.7, sample.image


@pytest.mark.parametrize("augment", [False, True])
def test_training_samples_are_those_of_extracted_frames(filmed: Path, extracted: Path, augment: bool) -> None:
    words = ["data.resize=[96,64]", "model.heatmap.size=[48,32]", "data.sequence.length=3", "data.flip_prob=0.5"]
    config = configuration.load(TracknetConfig, overrides=words)
    own, others = (
        Windows(config, clips(label_files.read(root)), augment=augment) for root in (filmed, extracted)
    )  # fmt: skip
    assert len(own) == len(others) > 60
    for index in np.random.default_rng(1).permutation(len(own))[:40].tolist():
        one, other = own.sample(index, 3), others.sample(index, 3)
        assert all(np.array_equal(one[name], other[name], equal_nan=True) for name in one), own.name(index)


def test_every_command_takes_them(filmed: Path, extracted: Path, tmp_path: Path) -> None:
    """Training and its figures are, digit for digit, those of the extracted frames; with loader processes too."""
    logs, tables, ways = [], [], {"video": (filmed, 2), "images": (extracted, 0)}
    for name, (data, workers) in ways.items():
        assert "no problems" in call("check", "--data", data).done().out
        run = tmp_path / name
        words = [
            *(workers if word == 0 else word for word in TINY),
            "data.sequence.length=3",
            "data.absent=negative",
            "--lr",
            "1e-2",
        ]
        call("train", "--data", data, *words, "--epochs", 2, "--batch-size", 8, "--out-dir", run).done()
        logs.append([line.split(",")[:4] for line in (run / "log.csv").read_text().splitlines()])
        call("evaluate", "--checkpoint", run / "best.pt", "--data", data, "--out", tmp_path / f"e_{name}").done()
        table = next((tmp_path / f"e_{name}").rglob("predictions.csv")).read_text()
        tables.append(table)
    assert logs[0] == logs[1] and tables[0] == tables[1]
    model = tmp_path / "video" / "best.pt"
    out = tmp_path / "drawn"
    call("draw", "--data", filmed, "--out", out, "--limit", 3, "--predictions", _table(tmp_path / "e_video")).done()
    assert sorted(path.name for path in out.rglob("*.jpg")) == ["0.jpg", "1.jpg", "2.jpg"]
    call("export", "--checkpoint", model, "--out", tmp_path / "ball.onnx", "--count", 4).done()
    split = tmp_path / "split.yaml"
    assert "180 frames" in call("split", "--data", filmed, "--out", split, "--val", 0.3).done().out
    assert "no problems" in call("check", "--data", split).done().out


def _table(folder: Path) -> Path:
    return next(folder.rglob("predictions.csv"))


def test_the_hash_of_the_data_knows_the_videos(filmed: Path, tmp_path: Path) -> None:
    from kaname.reporting.report import data_hash

    def of(root: Path) -> str:
        return data_hash((sample.image, b"") for sample in label_files.read(root / "match1"))

    shutil.copytree(filmed / "match1", tmp_path / "match1")
    assert of(filmed) == of(tmp_path)
    film(tmp_path / "match1" / "video" / "1_02_00.avi", flight(COUNT, 99), 60)
    assert of(filmed) != of(tmp_path)


def test_a_copied_rally_leaks(filmed: Path, tmp_path: Path) -> None:
    shutil.copytree(filmed, tmp_path / "data")
    for part in ("csv", "video"):
        for path in (tmp_path / "data" / "match3" / part).iterdir():
            shutil.copyfile(tmp_path / "data" / "match1" / part / path.name, path)
    answer = call("check", "--data", tmp_path / "data")
    assert answer.code == 2 and "near copies of frames of" in answer.err
    assert "video/1_01_00.mp4" in answer.err


def test_they_are_converted_and_extracted(filmed: Path, tmp_path: Path) -> None:
    import calling

    words = ("convert", "--from", "tracknet", "--input", filmed / "match1")
    calling.call(*words, "--to", "tracknet", "--output", tmp_path / "out").done()
    text = (tmp_path / "out" / "match1" / "1_01_00" / "Label.csv").read_text()
    assert text.splitlines()[1].startswith("0.png,1,")
    out = calling.call(*words, "--to", "coco", "--output", tmp_path / "o.json").done().out
    assert "frames of videos" in out and "ffmpeg" in out
    samples = label_files.read(filmed / "match1")
    label_files.write(tmp_path / "whole", samples, copy_frames=True)
    again = label_files.read(tmp_path / "whole")
    assert len(again) == len(samples)
    for one, other in zip(again, samples, strict=True):
        assert np.array_equal(read_image(one.image), read_frame(other.image))
        assert np.allclose(one.points["ball"], other.points["ball"])


@pytest.fixture
def one(filmed: Path, tmp_path: Path) -> Path:
    shutil.copytree(filmed / "match1", tmp_path / "match1")
    return tmp_path / "match1"


def faults(match: Path) -> list[str]:
    return [str(fault) for fault in label_files.problems(match)]


def test_a_row_too_many_and_a_frame_without_a_row(one: Path) -> None:
    table = one / "csv" / "1_01_00_ball.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines, "20,0,0,0"]) + "\n")
    (fault,) = faults(one)
    assert "1_01_00_ball.csv:22: no frame '20' in" in fault and "the video has 20 frames, from 0 to 19" in fault
    table.write_text("\n".join(lines[:-1]) + "\n")
    (fault,) = faults(one)
    assert "1 of 20 frames have no valid label: 19; label them" in fault
    with pytest.raises(InputError, match="no valid label"):
        label_files.read(one)


def test_a_ball_outside_the_videos_frame(one: Path) -> None:
    table = one / "csv" / "1_02_00_ball.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:-1], "19,1,300,5"]) + "\n")
    assert ["the ball at (300, 5) lies outside the frame of 96 x 64" in fault for fault in faults(one)] == [True]


def test_a_damaged_video_is_a_fault_of_check_and_of_training(one: Path) -> None:
    video = one / "video" / "1_01_00.mp4"
    whole = bytearray(video.read_bytes())
    at = len(whole) // 2
    whole[at : at + 200] = bytes(200)
    video.write_bytes(whole)
    assert any("1_01_00.mp4" in fault and "damaged" in fault for fault in faults(one))
    with pytest.raises(InputError, match=r"1_01_00\.mp4: the video is damaged"):
        for place in frame_places(video):
            read_frame(place)
    video = one / "video" / "1_03_00.mkv"
    video.write_bytes(video.read_bytes()[:-600])
    assert any("1_03_00.mkv" in fault and "truncated" in fault for fault in faults(one))


def test_which_videos_belong_to_labels(one: Path) -> None:
    shutil.copyfile(one / "video" / "1_01_00.mp4", one / "video" / "1_01_00.MOV")
    assert any(" has its name too" in fault and "1_01_00.mp4" in fault for fault in faults(one))
    (one / "video" / "1_01_00.MOV").rename(one / "video" / "1_09_00.MOV")
    assert any("1_09_00.MOV: frames without labels" in fault for fault in faults(one))
    (one / "video" / "1_09_00.MOV").unlink()
    (one / "video" / "notes.txt").touch()
    assert not faults(one)
    folder = one / "frame" / "1_01_00"  # images come first
    folder.mkdir(parents=True)
    for number in range(COUNT):
        write_image(folder / f"{number}.png", picture(None))
    assert not faults(one)
    assert label_files.read(one)[0].image == folder / "0.png"
    (one / "video" / "1_02_00.avi").unlink()
    assert any("1_02_00: the folder of its frames does not exist" in fault for fault in faults(one))


def test_videos_elsewhere_and_beside_a_label_file(one: Path, tmp_path: Path) -> None:
    (one / "video").rename(tmp_path / "films")
    table = one / "csv" / "1_01_00_ball.csv"
    samples = label_files.read(one, tmp_path / "films")
    assert {sample.image.parent.name for sample in samples} == set(CODECS)
    video = tmp_path / "films" / "1_01_00.mp4"
    assert label_files.read(table, video)[3].image == video / "3.png"
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copyfile(table, alone / table.name)
    shutil.copyfile(video, alone / video.name)
    assert label_files.read(alone / table.name)[5].image == alone / video.name / "5.png"


def test_places_that_are_files(tmp_path: Path) -> None:
    """A folder that is called like a video holds images, and what is gone is said."""
    folder = tmp_path / "x.mp4"
    folder.mkdir()
    write_image(folder / "3.png", picture(None, ground=90))
    assert read_frame(folder / "3.png", expected=(64, 96))[0, 0].tolist() == [90, 90, 90]
    with pytest.raises(InputError, match=r"gone\.mp4"):
        read_frame(tmp_path / "gone.mp4" / "3.png")


def test_the_index_is_made_once(filmed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often videos are closed and opened again."""
    from kaname.data import frame_source

    made: list[Path] = []
    frame_source._index.cache_clear()
    monkeypatch.setattr(frame_source, "index_of", lambda path: made.append(path) or index_of(path))
    samples = label_files.read(filmed)
    for sample in samples[::7] * 2:
        read_frame(sample.image)
        assert len(frame_source._readers) <= OPEN
    assert len(made) == len(set(made)) == 9


def test_a_size_that_changes_within_a_video(one: Path) -> None:
    """Two recordings one after the other in one stream; the file is named, and the frame."""
    (one / "video" / "1_02_00.avi").unlink()
    parts: list[bytes] = []
    for place, size in enumerate([(64, 96), (48, 96)]):
        with av.open(str(one / f"part{place}.ts"), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.height, stream.width, stream.pix_fmt, stream.options = *size, "yuv420p", {"bf": "0"}
            for number in range(COUNT // 2):
                frame = av.VideoFrame.from_ndarray(picture(None, size, ground=50 + number), format="rgb24")
                frame.pts, frame.time_base = number + place * COUNT // 2, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        parts.append((one / f"part{place}.ts").read_bytes())
    (one / "video" / "1_02_00.ts").write_bytes(b"".join(parts))
    (fault,) = faults(one)
    assert "1_02_00.ts: frame 10 has 96 x 48 pixels, the first 96 x 64" in fault
    with pytest.raises(InputError, match=r"1_02_00\.ts: frame 12 has 96 x 48 pixels, not 96 x 64"):
        read_frame(one / "video" / "1_02_00.ts" / "12.png", expected=(64, 96))
