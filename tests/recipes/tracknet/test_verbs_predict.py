"""Videos and folders to balls on disk, drawings and exports, with a model that knows the dot."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest

import kaname
from calling import snapshot
from data.test_video import stored, write_video
from kaname.data.video import frames
from kaname.errors import InputError
from kaname.geometry.image import read_image, write_image
from kaname.tracking.table import read_rows
from kaname.types import Points, Tracks
from recipes.tracknet.clips import SIZE, call, flight, picture, write_clip
from recipes.tracknet.conftest import Trained

PLACES = flight(14, 77)
RING = (255, 196, 0)


def pictures(size: tuple[int, int] = SIZE, count: int = 14) -> list[np.ndarray]:
    """The flight scaled to ``size``."""
    scale = np.array(size[::-1]) / SIZE[::-1]
    return [picture(place * scale, size, radius=2.5 * min(scale)) for place in PLACES[:count]]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def places(rows: Sequence[dict[str, str]]) -> np.ndarray:
    return np.array([(float(row["x"] or "nan"), float(row["y"] or "nan")) for row in rows])


def encode(path: Path, images: Sequence[np.ndarray], codec: str = "mpeg4") -> Path:
    """A file of another kind."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"q:v": "1", "qmin": "1"})
        stream.height, stream.width, stream.pix_fmt = *images[0].shape[:2], "yuv420p"
        stream.bit_rate = 4_000_000
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def match(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the flight as mp4, mov, avi and frames."""
    folder = tmp_path_factory.mktemp("match")
    write_video(folder / "a.mp4", pictures())
    write_video(folder / "b.mov", pictures())
    encode(folder / "c.avi", pictures())
    write_clip(folder / "d", PLACES)
    return folder


@pytest.mark.parametrize("name", ["ball.csv", "ball.svg", "overlay.mp4"])
def test_files_of_somebody_else_are_not_replaced(trained: Trained, match: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"mine")
    words = ("predict", match / "a.mp4", "--checkpoint", trained.model, "--out", tmp_path)
    call(*words).refused(f"this folder holds {name}", "--overwrite")
    assert (tmp_path / name).read_bytes() == b"mine"


def test_several_at_once_answer_alike(trained: Trained, match: Path, tmp_path: Path) -> None:
    """Two processes write what one writes; a video that cannot be read does not stop the others."""
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    sources = [match / "a.mp4", tmp_path / "broken.mp4", match / "d"]
    for count in (1, 2):
        words = ("--checkpoint", trained.model, "--out", tmp_path / f"{count}", "--overlay", "--jobs", count)
        failed = call("predict", *sources, *words)
        assert failed.code == 2 and "broken.mp4" in failed.err and "14 frames" in failed.out
    for name in ("a", "d"):
        one, two = tmp_path / "1" / name, tmp_path / "2" / name
        for file in ("ball.csv", "ball.json"):
            assert (one / file).read_bytes() == (two / file).read_bytes()
        # An encoder's bytes depend on how many threads it has.
        assert len(list(frames(one / "overlay.mp4"))) == len(list(frames(two / "overlay.mp4"))) == 14
    assert sorted(path.name for path in (tmp_path / "2").iterdir()) == ["a", "d"]
    call("predict", *sources, "--checkpoint", trained.model, "--out", tmp_path / "none", "--jobs", 0).refused(
        "--jobs must be at least 1"
    )
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", ["a.mp4", "b.mov", "c.avi", "d"])
def test_frames_in_are_rows_out(trained: Trained, match: Path, tmp_path: Path, name: str) -> None:
    answer = call("predict", match / name, "--checkpoint", trained.model, "--out", tmp_path / "out").done()
    rows = table(tmp_path / "out" / "ball.csv")
    assert [row["frame"] for row in rows] == [str(number) for number in range(14)]
    assert [float(row["time"]) for row in rows] == pytest.approx([number / 25 for number in range(14)], abs=1e-3)
    assert {row["coordinates"] for row in rows} == {"continuous"}
    assert {row["source"] for row in rows} <= {"detected", ""} and "14 frames" in answer.out
    off = np.linalg.norm(places(rows) - PLACES, axis=1)
    assert np.nanmedian(off) < 2.0 and np.isfinite(off).sum() >= 11
    notes = json.loads((tmp_path / "out" / "ball.json").read_text(encoding="utf-8"))
    assert notes["frames"] == 14 and notes["absent"] == "negative" and notes["detect"]["score_threshold"] == 0.5
    assert sorted(path.name for path in (tmp_path / "out").glob("[!.]*")) == ["ball.csv", "ball.json", "ball.svg"]


def test_a_variable_rate_an_odd_size_and_a_turned_camera(trained: Trained, tmp_path: Path) -> None:
    times = [0, 40, 45, 300, 310, 1000, 1001, 1500, 1600, 1700, 1800, 1900, 2500, 9000]
    write_video(tmp_path / "vfr.mp4", pictures(), times=times)
    write_video(tmp_path / "odd.mp4", pictures((97, 145)))
    write_video(tmp_path / "turned.mp4", [np.ascontiguousarray(np.rot90(image, -1)) for image in pictures()], turn=90)
    words = ("--checkpoint", trained.model, "--out", tmp_path / "out", "--overlay")
    call("predict", *(tmp_path / f"{name}.mp4" for name in ("vfr", "odd", "turned")), *words).done()
    vfr = table(tmp_path / "out" / "vfr" / "ball.csv")
    assert [float(row["time"]) for row in vfr] == pytest.approx([value / 1000 for value in times], abs=1e-3)
    for name, size in (("vfr", SIZE), ("odd", (97, 145)), ("turned", SIZE)):
        rows = table(tmp_path / "out" / name / "ball.csv")
        assert len(rows) == 14
        scale = np.array(size[::-1]) / SIZE[::-1]
        off = np.linalg.norm(places(rows) - PLACES * scale, axis=1)
        assert np.nanmedian(off / max(scale)) < 2.0 and np.isfinite(off).sum() >= 10, name
        drawn = list(frames(tmp_path / "out" / name / "overlay.mp4"))
        assert [frame.seconds for frame in drawn] == pytest.approx([float(row["time"]) for row in rows], abs=1e-3)
        assert drawn[0].image.shape[:2] == (size[0] + size[0] % 2, size[1] + size[1] % 2)


def test_the_ring_is_at_the_ball(trained: Trained, tmp_path: Path) -> None:
    """At a size where a ring can be seen."""
    size = (512, 768)
    write_video(tmp_path / "a.mp4", pictures(size))
    call("predict", tmp_path / "a.mp4", "--checkpoint", trained.model, "--out", tmp_path / "out", "--overlay").done()
    rows, drawn = table(tmp_path / "out" / "ball.csv"), list(frames(tmp_path / "out" / "overlay.mp4"))
    assert len(drawn) == 14
    before = np.stack([frame.image for frame in frames(tmp_path / "a.mp4")]).astype(int)
    checked = 0
    for row, frame, plain in zip(rows, drawn, before, strict=True):
        if not row["x"]:
            continue
        change = np.abs(frame.image.astype(int) - plain).sum(axis=2) > 120
        ys, xs = np.mgrid[: size[0], : size[1]]
        far = np.hypot(xs + 0.5 - float(row["x"]), ys + 0.5 - float(row["y"]))
        ring = 10 * 768 / 1280
        assert change[np.abs(far - ring) < 1].mean() > 0.8, "there is a ring"
        assert not change[far < ring - 4].any() or int(row["frame"]) > 0, "and the ball within is seen"
        checked += 1
    assert checked >= 12


def test_a_folder_with_a_hole(trained: Trained, tmp_path: Path) -> None:
    """It is said, and every row names its frame."""
    folder = write_clip(tmp_path / "d", PLACES)
    (folder / "0005.png").unlink()
    answer = call("predict", folder, "--checkpoint", trained.model, "--out", tmp_path / "out").done()
    assert "warning: " in answer.err and "missing between 0004.png and 0006.png" in answer.err
    rows = read_rows(tmp_path / "out" / "ball.csv")
    assert [row.file for row in rows] == [f"{n:04d}.png" for n in range(len(PLACES)) if n != 5]


def test_an_overlay_of_an_earlier_prediction_goes(trained: Trained, match: Path, tmp_path: Path) -> None:
    words = ("predict", match / "a.mp4", "--checkpoint", trained.model, "--out", tmp_path / "out")
    call(*words, "--overlay").done()
    assert (tmp_path / "out" / "overlay.mp4").is_file()
    assert "removed" in call(*words).done().out and not (tmp_path / "out" / "overlay.mp4").exists()


def test_smoothing(trained: Trained, tmp_path: Path) -> None:
    """Frames in which the ball is hidden are filled and marked."""
    images = pictures()
    for number in (5, 6):
        images[number] = picture(None)
    write_video(tmp_path / "a.mp4", images)
    words = ("predict", tmp_path / "a.mp4", "--checkpoint", trained.model)
    call(*words, "--out", tmp_path / "plain").done()
    answer = call(*words, "--out", tmp_path / "filled", "--smooth", "inpaint", "--overlay").done()
    plain, filled = (table(tmp_path / name / "ball.csv") for name in ("plain", "filled"))
    lost = [int(row["frame"]) for row in plain if not row["x"]]
    assert {5, 6} <= set(lost) and len(filled) == 14
    assert [filled[number]["source"] for number in (5, 6)] == ["filled", "filled"] and "2 filled" in answer.out
    assert np.linalg.norm(places(filled)[5:7] - PLACES[5:7], axis=1).max() < 8
    assert all(float(filled[number]["score"]) < 0.8 for number in (5, 6))
    call(*words, "--out", tmp_path / "none", "--smooth", "kalman", "--max-gap", 0).done()
    assert "filled" not in {row["source"] for row in table(tmp_path / "none" / "ball.csv")}
    for flag, value in (("--max-gap", -1), ("--fastest", 0), ("--fastest", "nan"), ("--max-filled", -1)):
        call(*words, "--out", tmp_path / "bad", flag, value).refused(flag)
    assert not (tmp_path / "bad").exists()


def test_a_logo_that_never_moves(trained: Trained, tmp_path: Path) -> None:
    """It shows where the ball is away; it is marked, counted and named, and kept where that is wished."""
    images, truth = [], []
    for seed in (77, 5, 9):
        images += [picture(place) for place in flight(12, seed)] + [picture((20.5, 50.5))] * 14
        truth += [False] * 12 + [True] * 14
    write_video(tmp_path / "a.mp4", images)
    words = ("predict", tmp_path / "a.mp4", "--checkpoint", trained.model, "--score-threshold", 0.2)
    answer = call(*words, "--out", tmp_path / "out", "--smooth", "inpaint").done()
    rows = table(tmp_path / "out" / "ball.csv")
    static = [row["source"] == "static" for row in rows]
    kept = call(*words, "--out", tmp_path / "kept", "--keep-static").done()
    answers = places(table(tmp_path / "kept" / "ball.csv"))
    there = np.hypot(*(answers - [20.5, 50.5]).T) < 2  # where the network sees the logo; not where there is no answer
    assert sum(static) >= 28 and list(there & truth) == static
    assert all(row["x"] == row["y"] == "" for row, one in zip(rows, static, strict=True) if one)
    about = json.loads((tmp_path / "out" / "ball.json").read_text(encoding="utf-8"))
    (spot,) = about["static_spots"]
    assert (spot["x"], spot["y"]) == pytest.approx((20.5, 50.5), abs=1.5) and spot["rows"] >= about["static"]
    counts = [about[name] for name in ("detected", "filled", "static")]
    said = "78 frames, {} detected, {} filled (at most 1 for each detected), {} static left out, {} without a ball"
    assert said.format(*counts, 78 - sum(counts)) in answer.out and about["static"] == sum(static)
    assert "static, left out" in (tmp_path / "out" / "ball.svg").read_text(encoding="utf-8")
    assert "static" not in {row["source"] for row in table(tmp_path / "kept" / "ball.csv")} and "static" not in kept.out


def test_frames_that_were_promised(trained: Trained, tmp_path: Path) -> None:
    data = bytearray(stored(tmp_path / "a.avi", 30, "mjpeg").read_bytes())
    place = data.index(b"00dc", len(data) // 2)
    data[place : place + 4] = b"JUNK"
    (tmp_path / "a.avi").write_bytes(bytes(data))
    answer = call("predict", tmp_path / "a.avi", "--checkpoint", trained.model, "--out", tmp_path / "out").done()
    assert "29 of 30 promised frames could be decoded" in answer.out and "29 frames" in answer.out
    answer = call("predict", stored(tmp_path / "b.avi", 30, "mjpeg"), "--checkpoint", trained.model, "--out",
                  tmp_path / "whole").done()  # fmt: skip
    assert "promised frames" not in answer.out


def test_settings_of_the_detection(trained: Trained, match: Path, tmp_path: Path) -> None:
    words = ("predict", match / "a.mp4", "--checkpoint", trained.model, "--out", tmp_path / "out", "--overwrite")
    call(*words, "score_threshold=0.999").done()
    assert not any(row["x"] for row in table(tmp_path / "out" / "ball.csv"))
    call(*words, "--score-threshold", 0.001, "detect.method=argmax").done()
    assert all(row["x"] for row in table(tmp_path / "out" / "ball.csv"))
    notes = json.loads((tmp_path / "out" / "ball.json").read_text(encoding="utf-8"))
    assert notes["detect"] == {"method": "argmax", "score_threshold": 0.001, "tolerance": 4.0}
    call(*words, "score_treshold=0.1").refused("score_treshold", "score_threshold")
    call(*words, "--score-threshold", 2).refused("score_threshold must lie in 0..1")
    call(*words, "--score-threshold", 0.2, "score_threshold=0.3").refused("detect.score_threshold is given twice")
    call(*words, "model.freeze=all").refused("neither a file nor a key of detect")


BAD = [
    "empty.mp4",
    "text.mp4",
    "cut.mp4",
    "cut.avi",
    "none.mp4",
    "no_images",
    "image.png",
    "broken",
    "mixed",
]


@pytest.mark.parametrize("name", BAD)
def test_bad_sources(trained: Trained, match: Path, tmp_path: Path, name: str) -> None:
    """One line that names the source or the frame; nothing at a final name."""
    source = tmp_path / "in" / name
    source.parent.mkdir()
    said = name
    if name == "empty.mp4":
        source.write_bytes(b"")
    elif name == "text.mp4":
        source.write_text("no video at all")
    elif name.startswith("cut"):
        whole = stored(tmp_path / f"whole{source.suffix}", 30, "libx264" if name.endswith("mp4") else "mpeg4",
                       **({"movflags": "faststart"} if name.endswith("mp4") else {})).read_bytes()  # fmt: skip
        source.write_bytes(whole[: int(len(whole) * 0.8)])
    elif name == "no_images":
        source.mkdir()
        (source / "notes.txt").write_text("x")
    elif name == "image.png":
        write_image(source, pictures()[0])
        said = "neither a video nor a folder"
    elif name in ("broken", "mixed"):
        write_clip(source, PLACES[:6], ending="jpg")
        victim = source / "0004.jpg"
        said = "0004.jpg" if name == "broken" else "frame 4 has 48 x 64 pixels, the one before 96 x 64"
        if name == "broken":
            victim.write_bytes(victim.read_bytes()[:400])
        else:
            write_image(victim, np.zeros((64, 48, 3), np.uint8))
    before = snapshot(tmp_path / "in")
    line = call("predict", source, "--checkpoint", trained.model, "--out", tmp_path / "out", "--overlay").refused(said)
    assert name in line
    assert snapshot(tmp_path / "in") == before
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(("ball", "overlay", ".ball", ".overlay"))]


@pytest.mark.parametrize("count", [1, 2])
def test_a_video_shorter_than_a_window_has_a_row_for_each_frame(trained: Trained, tmp_path: Path, count: int) -> None:
    source = tmp_path / "short.mp4"
    write_video(source, pictures(count=count))
    found = call("predict", source, "--checkpoint", trained.model, "--out", tmp_path / "out").done()
    assert f"{count} frames are fewer than the 3 that the model looks at together" in found.err
    assert [row["frame"] for row in table(tmp_path / "out" / "ball.csv")] == [str(number) for number in range(count)]


def test_words_that_make_no_prediction(trained: Trained, match: Path, tmp_path: Path) -> None:
    words = ("--checkpoint", trained.model, "--out", tmp_path / "out")
    call("predict", *words).refused("nothing to predict")
    call("predict", match / "d", *words, "--rate", 0).refused("--rate must be positive")
    call("predict", match / "d", "--checkpoint", tmp_path / "no.pt", "--out", tmp_path / "out").refused("no.pt")
    call("predict", match / "d", *words, "--device", "tpu").refused("tpu")
    assert not (tmp_path / "out").exists()
    call("predict", match / "d", *words, "--rate", 50).done()
    assert table(tmp_path / "out" / "ball.csv")[3]["time"] == "0.060000"
    other = write_clip(tmp_path / "x" / "d", PLACES[:4])
    call("predict", match / "d", other, other, *words).done()
    assert len(list((tmp_path / "out").rglob("ball.csv"))) == 3


def test_load_takes_every_source(trained: Trained, match: Path) -> None:
    model = kaname.load(trained.model, runtime="cpu")
    assert model.card["frames"] == 3 and model.card["absent"] == "negative" and model.card["fusion"] == "stack"
    files = sorted((match / "d").glob("*.png"))
    images = [read_image(path) for path in files]
    found = [model.predict(source) for source in (match / "d", str(match / "d"), files, images, np.stack(images))]
    for tracks in found:
        assert isinstance(tracks, Tracks) and list(tracks.frames) == list(range(14))
        for points, first in zip(tracks.points, found[0].points, strict=True):  # type: ignore[union-attr]
            assert list(points.xy) == ["ball"] and points.size == SIZE
            assert np.array_equal(points.xy["ball"], first.xy["ball"])
    video = model.predict(match / "a.mp4")
    assert isinstance(video, Tracks) and len(video.points) == 14
    assert video.times == pytest.approx([number / 25 for number in range(14)])
    for source in (images[0], files[0]):
        with pytest.raises(InputError, match="looks at 3 consecutive frames, and this is one image"):
            model.predict(source)
    with pytest.raises(InputError, match="boxes belong to one image"):
        model.predict(match / "a.mp4", boxes=[[0, 0, 9, 9]])


def test_the_export(trained: Trained, exported: Path, match: Path) -> None:
    """It was checked; here it answers other frames, without torch."""
    report = json.loads(exported.with_name("ball.onnx.parity.json").read_text(encoding="utf-8"))
    assert report["passed"] and report["images"] == 2 and report["points"] >= 4
    expected = kaname.load(trained.model, runtime="cpu").predict(match / "a.mp4")
    assert isinstance(expected, Tracks)
    script = (
        "import json, sys, kaname, numpy as np\n"
        "from kaname.geometry.image import read_image\n"
        f"from pathlib import Path\nmodel = kaname.load({str(exported)!r})\nfolder = Path({str(match / 'd')!r})\n"
        "images = [read_image(path) for path in sorted(folder.glob('*.png'))]\n"
        f"sources = [{str(match / 'a.mp4')!r}, folder, images, np.stack(images)]\n"
        "answers = [[p.xy['ball'].tolist() for p in model.predict(s).points] for s in sources]\n"
        "try:\n    model.predict(images[0])\nexcept kaname.InputError as error:\n    answers.append(str(error))\n"
        "assert 'torch' not in sys.modules\nprint(json.dumps(answers))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    video, folder, listed, array, refused = json.loads(done.stdout)
    assert folder == listed == array and "one image" in refused
    for one, points in zip(video, expected.points, strict=True):
        assert len(one) == len(points.xy["ball"])
        np.testing.assert_allclose(np.array(one).reshape(-1, 2), points.xy["ball"], atol=0.05)


def test_exports_that_cannot_be(trained: Trained, match: Path, tmp_path: Path) -> None:
    words = ("export", "--checkpoint", trained.model, "--out")
    call(*words, tmp_path / "x.onnx", "--count", 0).refused("--count")
    call(*words, tmp_path / "x.pt").refused("x.onnx")
    write_clip(tmp_path / "short", PLACES[:2])
    call(*words, tmp_path / "x.onnx", "--source", tmp_path / "short").refused("fewer than 3 frames", "short")
    assert [path.name for path in tmp_path.iterdir()] == ["short"]
    call(*words, tmp_path / "x.onnx", "--source", match / "a.mp4", "--count", 2).done()
    assert json.loads((tmp_path / "x.onnx.parity.json").read_text(encoding="utf-8"))["images"] == 2


def test_drawings(trained: Trained, match: Path, tmp_path: Path) -> None:
    call("draw", "--out", tmp_path / "none").refused("nothing to draw")
    call("draw", "--data", trained.data, "--out", tmp_path / "labels", "--limit", 5).done()
    assert len(list((tmp_path / "labels").rglob("*.jpg"))) == 5
    call("draw", "--data", trained.data, "--out", tmp_path / "bad", "--limit", -1).refused("--limit")
    call("predict", match / "a.mp4", "--checkpoint", trained.model, "--out", tmp_path / "out").done()
    balls = tmp_path / "out" / "ball.csv"
    call("draw", "--predictions", balls, "--source", match / "a.mp4", "--out", tmp_path / "drawn").done()
    assert len(list((tmp_path / "drawn").glob("frame_*.jpg"))) == 14
    call("draw", "--predictions", balls, "--out", tmp_path / "bad").refused("--source")
    call("draw", "--predictions", balls, "--data", trained.data, "--out", tmp_path / "bad").refused(
        "no row belongs to a clip"
    )
    assert not (tmp_path / "bad").exists()


def test_one_frame_models_answer_images(dots: Path, tmp_path: Path) -> None:
    from recipes.tracknet.clips import TINY

    call("train", "--data", dots, *TINY, "--epochs", 1, "--limit", 4, "data.sequence.length=1", "--out-dir",
         tmp_path / "run").done()  # fmt: skip
    model = kaname.load(tmp_path / "run" / "best.pt", runtime="cpu")
    one = model.predict(pictures()[0])
    assert isinstance(one, Points) and list(one.xy) == ["ball"]
    many = model.predict(np.stack(pictures(count=3)))
    assert isinstance(many, Tracks) and np.array_equal(many.points[0].xy["ball"], one.xy["ball"])
