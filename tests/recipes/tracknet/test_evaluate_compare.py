"""``kaname compare`` on files of balls."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calling import Answer
from contracts.commands import without_torch
from kaname.cli import main
from kaname.metrics import detection
from kaname.metrics.intervals import bootstrap
from kaname.tracking.table import write_rows
from kaname.tracking.trajectory import DETECTED, Row
from recipes.tracknet.clips import flight, write_clip

FRAMES, CLIPS = 30, 6


def compare(*words: object) -> Answer:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(["compare", *(str(word) for word in words)])
            code = 0
        except SystemExit as error:
            code = int(error.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips of thirty frames in three games, some without a ball."""
    folder = tmp_path_factory.mktemp("compare") / "data"
    for clip in range(CLIPS):
        seen = [(0, 1, 1, 2, 1, 3)[(number + clip) % 6] for number in range(FRAMES)]
        write_clip(folder / f"game{clip // 2 + 1}" / f"Clip{clip % 2 + 1}", flight(FRAMES, clip), visibility=seen)
    return folder


def answers(path: Path, right: float, *, seed: int = 0, clips: int = CLIPS, named: bool = True, **made: Any) -> Path:
    """Each frame answered at its place with the probability ``right``, else 20 px beside it."""
    random = np.random.default_rng(seed)
    rows = []
    for clip in range(clips):
        name = f"game{clip // 2 + 1}/Clip{clip % 2 + 1}" if named else ""
        for number, place in enumerate(flight(FRAMES, clip)):
            x, y = place if random.random() < right else place + 20
            rows.append(Row(number, 0, float(x), float(y), 0.9, DETECTED, name))
    write_rows(path, rows)
    if made:
        path.with_suffix(".json").write_text(json.dumps(made), encoding="utf-8")
    return path


def content(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "compare.json").read_text(encoding="utf-8"))


def test_the_better_file_is_found(data: Path, tmp_path: Path) -> None:
    a = answers(tmp_path / "a" / "predictions.csv", 0.5)
    b = answers(tmp_path / "b" / "ball.csv", 0.95, seed=1)
    said = compare(a, b.parent, "--data", data).done().out
    found = content(tmp_path / "b")
    settings, entry = found["settings"], found["all"]["f1_4px"]
    assert f"{CLIPS * FRAMES} paired frames" in said and settings["pairs"] == CLIPS * FRAMES
    assert settings["cluster"] == "clip" and settings["clusters"] == CLIPS and settings["sample"] == "frame"
    assert entry["better"] == "b" and entry["low"] > 0 and entry["p_value"] == 2 / 2**CLIPS
    assert set(found["all"]) == {
        "f1_4px", "precision_4px", "recall_4px", "accuracy_4px", "pck_2px", "pck_4px", "pck_5px", "pck_10px",
        "l2_mean_px",
    }  # fmt: skip
    assert found["all"]["l2_mean_px"]["better"] == "b", "less is better"
    assert found["absent"]["accuracy_4px"] | {"n": 30} == found["absent"]["accuracy_4px"]
    assert "l2_mean_px" not in found["absent"] and found["hard"]["accuracy_4px"]["n"] == 30
    again = compare(a, b, "--data", data, "--out", tmp_path / "again").done()
    assert content(tmp_path / "again") == found and again.out.splitlines()[:-1] == said.splitlines()[:-1]


def test_it_agrees_with_evaluate_and_with_resampled_frames(data: Path, tmp_path: Path) -> None:
    """Sums by clip give the same interval as drawing the clips' frames themselves."""
    a, b = (answers(tmp_path / name / "ball.csv", share, seed=3) for name, share in (("a", 0.5), ("b", 0.8)))
    compare(a, b, "--data", data, "--resamples", 200).done()
    entry = content(tmp_path / "b")["all"]["f1_4px"]
    main_words = ["tracknet", "evaluate", "--data", str(data), "--split", "all"]
    for side, file in (("a", a), ("b", b)):
        with pytest.raises(SystemExit) as ended, contextlib.redirect_stdout(io.StringIO()):
            main([*main_words, "--predictions", str(file), "--out", str(tmp_path / f"scored_{side}")])
        assert not ended.value.code
        scored = json.loads((tmp_path / f"scored_{side}" / "metrics.json").read_text(encoding="utf-8"))
        assert scored["all"]["f1_4px"]["value"] == pytest.approx(entry[side])
    statistic = detection.statistic("f1")
    rows = np.random.default_rng(0).integers(0, 2, (180, 2, 5)).astype(float)
    clips = [number // FRAMES for number in range(180)]

    def apart(pairs: np.ndarray) -> float | None:
        before, after = statistic(pairs[:, 0]), statistic(pairs[:, 1])
        return None if before is None or after is None else after - before

    from kaname.metrics.paired import paired_difference

    slow = bootstrap(rows, apart, clips, n=200)
    quick = paired_difference(rows[:, 0], rows[:, 1], clips, statistic=statistic, n=200)
    assert slow == pytest.approx((quick["low"], quick["high"]))


def test_few_clips_are_compared_by_blocks(data: Path, tmp_path: Path) -> None:
    a, b = (answers(tmp_path / name / "ball.csv", 0.7, seed=i, clips=3) for i, name in enumerate("ab"))
    compare(a, b, "--data", data).done()
    settings = content(tmp_path / "b")["settings"]
    assert settings["cluster"] == "block of 25 frames" and settings["clusters"] == 6
    compare(a, b, "--data", data, "--cluster", "clip").done()
    assert content(tmp_path / "b")["all"]["f1_4px"]["p_value"] is None
    compare(a, b, "--data", data, "--cluster", "none").done()
    assert "clusters" not in content(tmp_path / "b")["settings"]


def test_other_clips_are_left_out_and_named(data: Path, tmp_path: Path) -> None:
    a, b = answers(tmp_path / "a" / "ball.csv", 0.7), answers(tmp_path / "b" / "ball.csv", 0.7, clips=5)
    said = compare(a, b, "--data", data).done().out
    assert content(tmp_path / "b")["settings"]["pairs"] == 5 * FRAMES and "30 in A alone" in said
    compare(a, b, "--data", data, "--split", "test").done()
    found = content(tmp_path / "b")["settings"]
    assert found["pairs"] == FRAMES and set(found["left_out_a"].values()) == {"not in the set test"}
    write_clip(tmp_path / "other" / "game9" / "Clip1", flight(9, 0))
    compare(a, b, "--data", tmp_path / "other").refused("no row belongs to a clip")


def test_what_the_files_say_of_themselves_counts(data: Path, tmp_path: Path) -> None:
    a = answers(tmp_path / "a" / "ball.csv", 0.7, recipe="tracknet", detect={"score_threshold": 0.95})
    b = answers(tmp_path / "b" / "ball.csv", 0.7)
    said = compare(a, b, "--data", data).done().out
    assert content(tmp_path / "b")["all"]["recall_4px"]["a"] == 0
    assert "score_threshold of B is 0.5, of A 0.95" in said
    compare(a, b, "--data", data, "score_threshold=0.1").done()
    assert content(tmp_path / "b")["settings"]["other_settings_of_b"] == {}
    wide = answers(tmp_path / "c" / "ball.csv", 0.7, detect={"tolerance": 9.0})
    compare(b, wide, "--data", data).refused("A alone has", "f1_4px", "f1_9px")
    compare(b, wide, "--data", data, "tolerance=30", "occluded_absent=true", "smooth=inpaint").done()
    found = content(tmp_path / "c")
    assert found["all"]["f1_30px"]["b"] > 0.7 and found["settings"]["occluded_counts_as_absent"] is True


def test_a_file_of_one_video(data: Path, tmp_path: Path) -> None:
    a, b = (answers(tmp_path / name / "ball.csv", 0.7, seed=i, clips=1, named=False) for i, name in enumerate("ab"))
    compare(a, b, "--data", data).refused("name no clip", "clip=NAME", "game1/Clip1")
    compare(a, b, "--data", data, "clip=game1/Clip1").done()
    assert content(tmp_path / "b")["settings"]["pairs"] == FRAMES
    compare(a, b, "--data", data / "game1" / "Clip1").done()
    compare(a, b, "--data", data, "clip=game9/Clip1").refused("game9/Clip1")


def test_the_folder_of_an_evaluation(data: Path, tmp_path: Path) -> None:
    for name in "ab":
        file = answers(tmp_path / name / "test" / "predictions.csv", 0.7)
        file.with_name("metrics.json").write_text(json.dumps({"settings": {"data": data.as_posix()}}), encoding="utf-8")
    compare(tmp_path / "a", tmp_path / "b").done()
    assert content(tmp_path / "b" / "test")["settings"]["pairs"] == CLIPS * FRAMES
    answers(tmp_path / "b" / "val" / "predictions.csv", 0.7)
    compare(tmp_path / "a", tmp_path / "b").refused("several", "test/predictions.csv", "val/predictions.csv")


def test_bad_words(data: Path, tmp_path: Path) -> None:
    a = answers(tmp_path / "ball.csv", 0.7)
    for words, part in (
        (["tolernce=5"], "tolerance"), (["--cluster", "game"], "'game'"), (["smooth=butter"], "butter"),
        (["occluded_absent=3"], "occluded_absent"), (["tolerance=-1"], "tolerance"), (["--split", "night"], "night"),
    ):  # fmt: skip
        compare(a, a, "--data", data, *words).refused(part)
    gauge = tmp_path / "points.json"
    gauge.write_text(json.dumps({"format": "kaname-points", "recipe": "gauge", "images": []}), encoding="utf-8")
    compare(a, gauge, "--data", data).refused("'gauge'", "'tracknet'")


def test_no_torch(data: Path, tmp_path: Path) -> None:
    a = answers(tmp_path / "ball.csv", 0.7)
    without_torch([["compare", a, a, "--data", data]])[0].done()
