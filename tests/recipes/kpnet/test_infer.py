"""``infer``: the files of videos, their records, what is refused, and what a kill leaves."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from calling import snapshot
from contracts.commands import without_torch
from kaname.data.formats import mot_kp
from kaname.data.formats.mot_kp_rows import read_rows
from kaname.data.formats.skeleton import find
from kaname.data.seeking import VideoReader
from kaname.data.video import VideoWriter
from recipes.kpnet import tiny
from recipes.kpnet.tiny import infer

SKELETON = find("oss25")
COLUMNS = {number: 7 + 3 * (6 if number < 2 else 3) for number in range(6)}


def cells(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]


# ---- files


def test_the_files_of_a_video(made: Path, tmp_path: Path) -> None:
    """Of the frames that have an image, with as many columns as the class has points; ids count the slots."""
    said = infer(made, tmp_path / "out").done().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        f"{video}_pred.{ending}" for video in tiny.VIDEOS for ending in ("txt", "json")
    )
    rows = cells(tmp_path / "out" / "val00_pred.txt")
    assert {int(row[0]) for row in rows} <= {0, 6, 12, 18}
    for row in rows:
        assert len(row) == COLUMNS[int(row[2])] and row[3:7] == ["-1"] * 4
        assert {int(value) for value in row[9::3]} <= {0, 1, 2}
        assert int(row[1]) == int(row[2]) or (int(row[2]) == 5 and int(row[1]) in (5, 6))
    record = json.loads((tmp_path / "out" / "val00_pred.json").read_text())
    assert (record["frames"], record["rows"]) == (4, len(rows)) and record["settings"]["tracker"] == "none"
    assert record["inputs"]["checkpoint"]["name"] == "rgb.pt" and len(record["inputs"]["frames"]["sha256"]) == 64
    assert f"val00: 4 frames, {len(rows)} rows" in said
    samples = mot_kp.read(tmp_path / "out" / "val00_pred.txt", made / "data" / "val" / "frames" / "val00")
    assert len(samples) == 4


def test_the_numbers_are_those_of_the_model(made: Path, tmp_path: Path) -> None:
    """A thousandth of a pixel from what `kaname.load` answers, in index coordinates."""
    import kaname

    infer(made, tmp_path, "--videos", "val01").done()
    model = kaname.load(made / "rgb.pt", runtime="cpu")
    rows = read_rows(tmp_path / "val01_pred.txt", SKELETON, predictions=True)
    for frame in (0, 18):
        answer = model.predict(made / "data" / "val" / "frames" / "val01" / f"val01_frame_{frame}.png")
        for row in rows:
            if row.frame != frame or row.group == "needle":
                continue
            for name, xy, visible in zip(SKELETON.groups[row.group].points, row.points, row.third, strict=True):
                assert answer.visible[name][0] == visible
                if visible:
                    assert np.abs(answer.xy[name][0] - xy).max() <= 0.0006


def test_what_the_third_value_is(made: Path, tmp_path: Path) -> None:
    infer(made, tmp_path / "v").done()
    infer(made, tmp_path / "c", "--third", "confidence").done()
    one, other = (cells(tmp_path / name / "val00_pred.txt") for name in "vc")
    assert [row[:7] for row in one] == [row[:7] for row in other]
    for visible, sure in zip(one, other, strict=True):
        assert visible[7::3] == sure[7::3] and visible[8::3] == sure[8::3]
        for state, score in zip(map(int, visible[9::3]), map(float, sure[9::3]), strict=True):
            assert (state == 0) == (score == 0) and 0 <= score <= 1


def test_absent_objects_have_no_row_unless_asked_for(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scissors never, the second needle in one frame alone."""
    from kaname.recipes.kpnet import walking
    from kaname.tracking.bridge import Found

    slots = {(slot.group, slot.instance): slice(slot.start, slot.stop) for slot in SKELETON.slots}

    def detect(walk: walking.Walk, frame: object) -> Found:
        count = len(SKELETON.channels)
        xy, visible = np.arange(2.0 * count).reshape(count, 2) + 0.5, np.full(count, 2, np.int64)
        visible[slots["scissors", 1]] = 0
        if frame.index != 6:  # type: ignore[attr-defined]
            visible[slots["needle", 2]] = 0
        walk.seen = walking.Seen(frame, None, xy)  # type: ignore[arg-type]
        return Found(np.where((visible > 0)[:, None], xy, np.nan), visible, np.full(count, 0.5))

    monkeypatch.setattr(walking.Walk, "_detect", detect)
    infer(made, tmp_path / "plain", "--videos", "val00").done()
    infer(made, tmp_path / "all", "--videos", "val00", "--write-absent").done()
    plain, every = (cells(tmp_path / name / "val00_pred.txt") for name in ("plain", "all"))
    assert [(int(row[0]), int(row[1])) for row in plain] == [
        (frame, one) for frame in (0, 6, 12, 18) for one in (0, 1, 3, 4, 5, *([6] if frame == 6 else []))
    ]
    assert [(int(row[0]), int(row[1])) for row in every] == [
        (frame, one) for frame in (0, 6, 12, 18) for one in range(7)
    ]
    scissors = next(row for row in every if row[2] == "2")
    start = slots["scissors", 1].start
    assert scissors[7:] == [str(v) for n in range(start, start + 3) for v in (2 * n, 2 * n + 1, 0)]


# ---- which videos, which frames


def test_lists_of_videos(made: Path, tmp_path: Path) -> None:
    names = tmp_path / "list.txt"
    names.write_text("val02.mp4\n# a comment\n\nval00\n", encoding="utf-8")
    infer(made, tmp_path / "out", "--videos", names).done()
    assert sorted(path.name for path in (tmp_path / "out").glob("*.txt")) == ["val00_pred.txt", "val02_pred.txt"]
    infer(made, tmp_path / "out", "--videos", "val01,train00").done()
    assert json.loads((tmp_path / "out" / "train00_pred.json").read_text())["frames"] == tiny.LENGTH


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--k", 0), ("--k must be at least 1, got 0",)),
        (("--vis-th", 2), ("--vis-th must lie in 0..1, got 2",)),
        (("--every", 0), ("--every must be at least 1, got 0",)),
        (("--smooth", "median", "--smooth-window", 0), ("--smooth-window must be at least 1, got 0",)),
        (("--grid-size", -1), ("--grid-size must not be negative",)),
        (("--jobs", 0), ("--jobs must be at least 1",)),
        (("--jobs", 2, "--ray", "auto"), ("--jobs is for this machine, --ray for others",)),
        (("--ray", "127.0.0.1:1"), ("no Ray answers at 127.0.0.1:1", "ray start --head")),
        (("--ray", "somewhere"), ("--ray is 'somewhere'", "HOST:PORT")),
        (("--videos", "val00,val09"), ("no video 'val09'", "movie/val09.mp4", "val/frames")),
        (("--videos", "val00,val01,val00"), ("'val00' is in the list twice",)),
        (("--videos", "no/list.txt"), ("no/list.txt", "no such list")),
        (("--image-size", "384"), ("--image-size is 384", "64,96", "leave --image-size out")),
        (("--heatmap-size", "196"), ("--heatmap-size is 196", "16,24", "leave --heatmap-size out")),
        (("--tracker", "cotracker", "--cotracker", "nowhere"), ("nowhere", "no checkout of CoTracker")),
    ],
)
def test_bad_words(made: Path, tmp_path: Path, words: tuple[object, ...], said: tuple[str, ...]) -> None:
    """One line each, and nothing is written."""
    if words[0] == "--ray":
        pytest.importorskip("ray")
    answer = infer(made, tmp_path / "out", *words)
    assert answer.code == 2 and answer.err.count("\n") == 1, (answer.err, answer.out)
    assert all(part in answer.err for part in said), answer.err
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


def test_a_name_twice_in_a_file_is_shown_by_its_line(made: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("val00\n\nval01\nval00.mp4\n", encoding="utf-8")
    infer(made, tmp_path / "out", "--videos", tmp_path / "list.txt").refused("list.txt:4", "twice", "line 1")


def test_sizes_and_channels_that_are_stated(made: Path, tmp_path: Path) -> None:
    """The same is accepted; other channels are a warning that names both sides, and the file counts."""
    said = infer(made, tmp_path, "--image-size", "64x96", "--heatmap-size", "16,24", "--in-chans", 6).done()
    assert "--in-chans is 6, but the model has 3" in said.err
    assert len(list(tmp_path.glob("*_pred.txt"))) == 3


def test_every_nth_frame_of_a_video(made: Path, tmp_path: Path) -> None:
    infer(made, tmp_path, "--every", 5, "--write-absent", "--videos", "val00").done()
    assert sorted({int(row[0]) for row in cells(tmp_path / "val00_pred.txt")}) == [0, 5, 10, 15, 20]
    assert "video" in json.loads((tmp_path / "val00_pred.json").read_text())["inputs"]


@pytest.mark.parametrize("kind", ["B-frames", "variable rate", "rotated"])
def test_frames_in_are_frames_out(made: Path, tmp_path: Path, kind: str) -> None:
    """Each frame shows its number, and the detector reads it."""
    import av

    from kaname.recipes.kpnet import walking
    from kaname.tracking.bridge import Found

    path, count = tmp_path / "movie" / "odd.mp4", 40
    path.parent.mkdir()
    if kind == "variable rate":
        with VideoWriter(path, quality=0) as writer:
            for number in range(count):
                writer.write(np.full((64, 96, 3), 40 + 4 * number, np.uint8), 0.04 * number + 0.5 * (number // 7))
    else:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"crf": "0", "bf": "3", "g": "12"})
            stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
            if kind == "rotated":
                stream.set_display_rotation(90)
            for number in range(count):
                frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 40 + 4 * number, np.uint8), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    seen: list[int] = []

    def detect(walk: walking.Walk, frame: object) -> Found:
        assert frame.image.shape[:2] == ((96, 64) if kind == "rotated" else (64, 96))  # type: ignore[attr-defined]
        seen.append(round((float(frame.image.mean()) - 40) / 4))  # type: ignore[attr-defined]
        found = np.ones((27, 2)), np.full(27, 2), np.ones(27)
        walk.seen = walking.Seen(frame, None, found[0])  # type: ignore[arg-type]
        return Found(*found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walking.Walk, "_detect", detect)
        infer(made, tmp_path / "out", "--video-root", path.parent, "--videos", "odd").done()
    assert seen == list(range(count))
    assert [int(row[0]) for row in cells(tmp_path / "out" / "odd_pred.txt")][::7] == list(range(count))


def test_six_channels_are_those_of_the_video(made: Path, tmp_path: Path) -> None:
    """The flow comes from the frame before in the video, not from the image six frames earlier; the first takes the
    one after."""
    from kaname.recipes.kpnet import motion

    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    original = motion.pair_of

    def pair_of(image: np.ndarray, other: np.ndarray, method: str) -> object:
        pairs.append((image, other))
        return original(image, other, method)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(motion, "pair_of", pair_of)
        infer(made, tmp_path / "out", "--videos", "val00", model="six.pt").done()
    with VideoReader(made / "data" / "movie" / "val00.mp4") as reader:
        for (image, other), (number, before) in zip(pairs, [(0, 1), (6, 5), (12, 11), (18, 17)], strict=True):
            assert np.array_equal(image, reader.read(number).image) and np.array_equal(other, reader.read(before).image)


def test_six_channels_without_the_video(made: Path, tmp_path: Path) -> None:
    """No neighbour: an error that says where it looked, and no motion only where that is asked for."""
    words = ("--videos", "val00", "--video-root", tmp_path / "none")
    answer = infer(made, tmp_path / "out", *words, model="six.pt")
    answer.refused("frame 1 of val00", "none/val00.mp4", "--missing-flow zero")
    assert not list((tmp_path / "out").glob("*_pred.*"))
    infer(made, tmp_path / "out", *words, "--missing-flow", "zero", model="six.pt").done()


# ---- once, and not mixed


def test_what_is_finished_is_skipped_and_other_settings_are_refused(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    infer(made, out, "--videos", "val00").done()
    infer(made, out).done()
    before = snapshot(out)
    times = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert "3 of 3 videos are finished" in infer(made, out, "--k", 5).done().out, "without a tracker K does not count"
    infer(made, out, "--tracker", "klt").refused("val00_pred.json", "tracker none, not klt", "--overwrite")
    infer(made, out, model="six.pt").refused("another checkpoint (rgb.pt)")
    assert snapshot(out) == before and {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == times
    infer(made, out, "--third", "confidence", "--overwrite").done()
    assert json.loads((out / "val02_pred.json").read_text())["settings"]["third"] == "confidence"
    assert snapshot(out) != before


def test_smoothing_is_a_setting(made: Path, tmp_path: Path) -> None:
    """Off by default; other places, the same rows otherwise; its parameters count where they are used."""
    plain, smooth = tmp_path / "plain", tmp_path / "smooth"
    words = ("--every", 1, "--videos", "val00")
    infer(made, plain, *words).done()
    infer(made, smooth, *words, "--smooth", "one-euro", "--smooth-beta", 0.5).done()
    settings = json.loads((smooth / "val00_pred.json").read_text())["settings"]
    assert (settings["smooth"], settings["smooth_beta"], settings["smooth_window"]) == ("one-euro", 0.5, None)
    assert "1 of 1 videos are finished" in infer(made, plain, *words, "--smooth-beta", 0.5).done().out
    infer(made, plain, *words, "--smooth", "median").refused("smooth none, not median", "smooth_window none, not 3")
    infer(made, smooth, *words, "--smooth", "one-euro").refused("smooth_beta 0.5, not 0.02")
    one, other = (cells(folder / "val00_pred.txt") for folder in (plain, smooth))
    assert [row[:7] + row[9::3] for row in one] == [row[:7] + row[9::3] for row in other]
    moved = np.array([row[7::3] != after[7::3] for row, after in zip(one, other, strict=True) if len(row) == 25])
    assert moved.mean() > 0.2 and not moved[:2].any()


def test_a_file_of_another_program_is_not_written_over(made: Path, tmp_path: Path) -> None:
    tmp_path.joinpath("val00_pred.txt").write_text("mine\n", encoding="utf-8")
    infer(made, tmp_path, "--videos", "val00").refused("val00_pred.txt", "without a record", "--overwrite")
    assert (tmp_path / "val00_pred.txt").read_text() == "mine\n"
    infer(made, tmp_path, "--videos", "val00", "--overwrite").done()


def test_five_hundred_finished_videos_answer_without_torch(made: Path, tmp_path: Path) -> None:
    """From the records alone; nothing changes."""
    movies, out, name = tmp_path / "movie", tmp_path / "out", "val00"
    infer(made, out, "--videos", name, "--every", 12).done()
    movies.mkdir()
    for number in range(500):
        os.link(made / "data" / "movie" / f"{name}.mp4", movies / f"v{number}.mp4")
        for ending in ("txt", "json"):
            text = (out / f"{name}_pred.{ending}").read_text().replace(f"{name}_pred", f"v{number}_pred")
            (out / f"v{number}_pred.{ending}").write_text(text)
    shutil.copy(made / "rgb.pt", tmp_path / "rgb.pt")
    (tmp_path / "list.txt").write_text("\n".join(f"v{number}" for number in range(500)))
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    words = ["kpnet", "infer", "--ckpt", tmp_path / "rgb.pt", "--video-root", movies, "--out-dir", out, "--every", 12]
    began = time.monotonic()
    (answer,) = without_torch([[*words, "--data-root", tmp_path, "--videos", tmp_path / "list.txt"]])
    print(f"{time.monotonic() - began:.2f} s")
    assert "500 of 500 videos are finished" in answer.done().out
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_a_truncated_video_does_not_stop_the_others(made: Path, tmp_path: Path) -> None:
    movies = tmp_path / "movie"
    movies.mkdir()
    for video in tiny.VIDEOS:
        whole = (made / "data" / "movie" / f"{video}.mp4").read_bytes()
        (movies / f"{video}.mp4").write_bytes(whole if video != "val01" else whole[: len(whole) // 2])
    for processes in (1, 2):
        out = tmp_path / f"out{processes}"
        answer = infer(made, out, "--video-root", movies, "--every", 8, "--jobs", processes)
        answer.refused("val01.mp4")
        assert sorted(path.name for path in out.iterdir()) == sorted(
            f"{video}_pred.{ending}" for video in ("val00", "val02") for ending in ("txt", "json")
        )
