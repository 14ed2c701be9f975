"""``predict``: any images and videos, with the files of ``infer``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from calling import Answer, call, snapshot
from kaname.data.formats.mot_kp_rows import read_rows
from kaname.data.formats.skeleton import find
from kaname.data.video import VideoWriter, frames

SKELETON = find("oss25")


def predict(made: Path, out: Path, *words: object) -> Answer:
    return call("kpnet", "predict", *words, "--ckpt", made / "rgb.pt", "--out", out, "--device", "cpu")


def test_frames_give_the_files_of_infer(made: Path, tmp_path: Path) -> None:
    """Of a folder with a folder for each video; and points.json and pictures, as every recipe."""
    frames_ = made / "data" / "val" / "frames"
    words = (
        "--data-root",
        made / "data",
        "--ckpt",
        made / "rgb.pt",
        "--out-dir",
        tmp_path / "infer",
        "--device",
        "cpu",
    )
    call("kpnet", "infer", *words).done()
    predict(made, tmp_path / "predict", frames_).done()
    whole = snapshot(tmp_path / "predict")
    for name, content in snapshot(tmp_path / "infer").items():
        if name.endswith(".txt"):
            assert whole[name] == content
        else:
            assert json.loads(whole[name])["inputs"] == json.loads(content)["inputs"]
    images = json.loads(whole["points.json"])["images"]
    assert len(images) == 12 and len([name for name in whole if name.startswith("pictures/")]) == 12


def test_a_video_with_every_nth_frame_and_its_overlay(made: Path, tmp_path: Path) -> None:
    """As many frames, at their times; drawn where points are seen, the frame itself elsewhere."""
    movie = made / "data" / "movie" / "val00.mp4"
    predict(made, tmp_path, movie, "--every", 3, "--overlay").done()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "val00_overlay.mp4",
        "val00_pred.json",
        "val00_pred.txt",
    ]
    record = json.loads((tmp_path / "val00_pred.json").read_text())
    assert record["frames"] == 8 and set(record["results"]) == {"val00_pred.txt", "val00_overlay.mp4"}
    rows = read_rows(tmp_path / "val00_pred.txt", SKELETON, predictions=True)
    assert sorted({row.frame for row in rows}) == list(range(0, 24, 3))
    drawn, plain = list(frames(tmp_path / "val00_overlay.mp4")), list(frames(movie, range(0, 24, 3)))
    assert [frame.seconds for frame in drawn] == pytest.approx([frame.seconds for frame in plain], abs=1e-3)
    apart = [np.abs(one.image.astype(int) - other.image).mean() for one, other in zip(drawn, plain, strict=True)]
    assert min(apart) > 1
    before = snapshot(tmp_path)
    assert "1 of 1 videos are finished" in predict(made, tmp_path, movie, "--every", 3, "--overlay").done().out
    assert snapshot(tmp_path) == before
    predict(made, tmp_path, movie).refused("every 3, not none")


def test_a_list_of_videos(made: Path, tmp_path: Path) -> None:
    movies = made / "data" / "movie"
    predict(made, tmp_path, movies / "val02.mp4", "--videos", "val00,val01", "--video-root", movies, "--jobs", 2).done()
    assert len(list(tmp_path.glob("*_pred.txt"))) == 3


def test_loose_images(made: Path, tmp_path: Path) -> None:
    """An image alone has a file of its own; a folder of numbered images is one video."""
    source = made / "data" / "val" / "frames" / "val00"
    (tmp_path / "clip").mkdir()
    for number, name in enumerate(["2.png", "10.png", "9.png"]):
        shutil.copy(sorted(source.iterdir())[number], tmp_path / "clip" / name)
    shutil.copy(next(source.iterdir()), tmp_path / "photo.png")
    predict(made, tmp_path / "out", tmp_path / "clip", tmp_path / "photo.png", "--no-pictures").done()
    assert sorted(path.name for path in (tmp_path / "out").glob("[!.]*")) == [
        "clip_pred.json", "clip_pred.txt", "photo_pred.json", "photo_pred.txt", "points.json",
    ]  # fmt: skip
    rows = read_rows(tmp_path / "out" / "clip_pred.txt", SKELETON, predictions=True)
    assert {row.frame for row in rows} <= {0, 1, 2}
    names = [entry["image"] for entry in json.loads((tmp_path / "out" / "points.json").read_text())["images"]]
    assert names == ["2.png", "9.png", "10.png", "photo.png"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("photo.png", "--every", 2), "--every is for videos"),
        (("photo.png", "--overlay"), "--overlay is for videos"),
        (("photo.png", "--jobs", 2), "--jobs is for videos"),
        (("nowhere.mp4",), "nowhere.mp4: there is no such file"),
        ((), "nothing to predict"),
        (("photo.png", "text.mp4", "--jobs", 0), "--jobs must be at least 1"),
        (("photo.png", "absent=2"), "absent must lie in 0..1, got 2"),
        (("--videos", "val00"), "give --video-root"),
        (("--videos", "val00,val07", "--video-root", "other"), "no video 'val07': there is no other/val07.mp4"),
        (("val00.mp4", "other/val00.mp4"), "another video is called val00 too"),
        (("val00.mp4", "val00.png"), "a video and images are both called val00"),
        (("a_frame_3.png", "other/a_frame_3.png"), "frame 3 of a is"),
    ],
)
def test_bad_words(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[object, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    source = made / "data" / "val" / "frames" / "val00" / "val00_frame_0.png"
    (tmp_path / "other").mkdir()
    for name in ("photo.png", "val00.png", "a_frame_3.png", "other/a_frame_3.png"):
        shutil.copy(source, name)
    for name in ("val00.mp4", "other/val00.mp4", "text.mp4"):
        Path(name).write_text("no video")
    predict(made, tmp_path / "out", *words).refused(said)
    assert not list((tmp_path / "out").glob("*_pred.*"))


def test_a_video_of_one_frame_without_motion(made: Path, tmp_path: Path) -> None:
    """There is no other frame: refused, and with --missing-flow zero shown as still, which is counted."""
    film = tmp_path / "one.mp4"
    with VideoWriter(film) as video:
        video.write(next(frames(made / "data" / "movie" / "val00.mp4")).image, 0.0)
    still = made / "data" / "val" / "frames" / "val00" / "val00_frame_0.png"
    shutil.copy(still, tmp_path / "photograph.png")
    words = ("--ckpt", made / "six.pt", "--device", "cpu")
    for source in (film, tmp_path / "photograph.png"):
        out = tmp_path / source.stem
        call("kpnet", "predict", source, *words, "--out", out).refused("--missing-flow zero")
        done = call("kpnet", "predict", source, *words, "--out", out, "--missing-flow", "zero").done()
        assert "1 of 1 frames have no other one to be compared with: no motion was shown there" in done.err
        assert (out / f"{source.stem}_pred.txt").is_file()
    labelled = tmp_path / "data" / "val"
    shutil.copytree(made / "data" / "val", labelled)
    scored = call("kpnet", "evaluate", *words, "--data-root", labelled.parent, "--missing-flow", "zero",
                  "--out", tmp_path / "scores").done()  # fmt: skip
    assert "labelled frames: " in scored.err and "no motion was shown there" in scored.err
