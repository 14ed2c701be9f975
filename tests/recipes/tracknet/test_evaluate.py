"""Figures by hand: counts as WASB's, groups, tolerances, clusters."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaname.errors import InputError
from kaname.recipes.tracknet import evaluate as figures
from kaname.recipes.tracknet.config import DetectSettings
from kaname.recipes.tracknet.labels import Clip
from kaname.tracking.table import write_rows
from kaname.tracking.trajectory import DETECTED, STATIC, Row

NOWHERE = (math.nan, math.nan)
SOURCE = Path("predictions.csv")


def clip(name: str, truth: Sequence[tuple[float, float]], visibility: Sequence[int], status: Sequence[int]) -> Clip:
    files = [Path(f"{number:04d}.jpg") for number in range(len(truth))]
    return Clip(name, files, np.array(truth, float).reshape(-1, 2), np.array(visibility), np.array(status), (720, 1280))


def answers(places: Sequence[tuple[float, float]], scores: Sequence[float], name: str = "game1/Clip1") -> list[Row]:
    return [
        Row(number, 0, *place, score, DETECTED if math.isfinite(place[0]) else "", name)
        for number, (place, score) in enumerate(zip(places, scores, strict=True))
    ]


# Nine frames: each outcome, just at and just beyond the tolerances of 4 and 5 px, at and above the threshold.
TRUTH = [(100, 100)] * 6 + [NOWHERE] * 2 + [(50, 50)]
SEEN = [1, 1, 2, 2, 1, 3, 0, 0, 3]
STATE = [0, 1, 2, 0, 0, 0, -1, -1, 1]
PLACES = [(104, 100), (100, 104.5), (103, 106), NOWHERE, (100, 100), (101, 100), (7, 7), (8, 8), NOWHERE]
SCORES = [0.9, 0.9, 0.9, 0.0, 0.5, 0.8, 0.9, 0.3, 0.0]


def scored(**more: Any) -> dict[str, Any]:
    settings = {"tolerance": 4.0, "score_threshold": 0.5, "occluded_absent": False, **more}
    frames = figures.align([clip("game1/Clip1", TRUTH, SEEN, STATE)], answers(PLACES, SCORES), SOURCE)
    return figures.evaluate(frames, **settings)[0]


def values(group: dict[str, Any], tolerance: int) -> dict[str, Any]:
    return {name: group[f"{name}_{tolerance}px"]["value"] for name in ("tp", "fp1", "fp2", "fn", "tn")}


def test_counts_by_hand() -> None:
    found = scored()
    whole = found["all"]
    assert values(whole, 4) == {"tp": 2, "fp1": 2, "fp2": 1, "fn": 3, "tn": 1}
    assert values(whole, 5) == {"tp": 3, "fp1": 1, "fp2": 1, "fn": 3, "tn": 1}
    assert whole["precision_4px"]["value"] == 2 / 5 and whole["recall_4px"]["value"] == 2 / 5
    assert whole["f1_4px"]["value"] == 2 * 2 / (2 * 2 + 3 + 3) and whole["accuracy_4px"]["value"] == 3 / 9
    assert whole["f1_5px"]["value"] == 6 / (6 + 2 + 3) and whole["f1_5px"]["n"] == 9
    distances = [4, 4.5, math.hypot(3, 6), 1]
    assert whole["l2_mean_px"]["value"] == pytest.approx(np.mean(distances)) and whole["l2_mean_px"]["n"] == 4
    assert whole["l2_median_px"]["value"] == pytest.approx(4.25)
    assert [whole[f"pck_{px}px"]["value"] for px in (2, 4, 5, 10)] == pytest.approx([1 / 7, 2 / 7, 3 / 7, 4 / 7])
    assert whole["pck_10px"]["n"] == 7
    for entry in whole.values():
        assert (entry["low"] is None) == (entry["high"] is None)


def test_a_static_row_is_no_ball(tmp_path: Path) -> None:
    """A miss where there is a ball, right where there is none; smoothed too, and whatever place the file says."""
    rows = [replace(row, source=STATIC if number in (2, 6) else row.source)
            for number, row in enumerate(answers(PLACES, SCORES))]  # fmt: skip
    write_rows(tmp_path / "ball.csv", rows)
    text = (tmp_path / "ball.csv").read_text(encoding="utf-8")
    (tmp_path / "ball.csv").write_text(text.replace(",,,0.900000,static", ",7,7,0.900000,static"), encoding="utf-8")
    clips = [clip("game1/Clip1", TRUTH, SEEN, STATE)]
    for smooth in ("none", "inpaint"):
        how = {"smooth": smooth, "occluded_absent": False, "absent": "mask"}
        found = figures.score(tmp_path / "ball.csv", clips, DetectSettings(), how)
        assert values(dict(found.groups["all"]), 4) == {"tp": 2, "fp1": 1, "fp2": 0, "fn": 4, "tn": 2}


def test_groups_by_visibility_and_status() -> None:
    found = scored()
    assert list(found) == ["all", "easy", "hard", "occluded", "absent", "flying", "hit", "bounce"]
    assert values(found["easy"], 4) == {"tp": 1, "fp1": 1, "fp2": 0, "fn": 1, "tn": 0}
    assert values(found["hard"], 4) == {"tp": 0, "fp1": 1, "fp2": 0, "fn": 1, "tn": 0}
    assert values(found["occluded"], 4) == {"tp": 1, "fp1": 0, "fp2": 0, "fn": 1, "tn": 0}
    assert values(found["absent"], 4) == {"tp": 0, "fp1": 0, "fp2": 1, "fn": 0, "tn": 1}
    assert values(found["hit"], 4) == {"tp": 0, "fp1": 1, "fp2": 0, "fn": 1, "tn": 0}
    assert values(found["bounce"], 5) == {"tp": 0, "fp1": 1, "fp2": 0, "fn": 0, "tn": 0}
    assert sum(found[name]["tp_4px"]["n"] for name in ("flying", "hit", "bounce")) == 7, "absent frames have no status"
    assert found["absent"]["recall_4px"]["value"] is None and found["absent"]["recall_4px"]["reason"]
    assert found["absent"]["l2_mean_px"] == {
        "value": None, "low": None, "high": None, "n": 0, "reason": "no frame has a value",
    }  # fmt: skip


def test_occluded_as_absent() -> None:
    found = scored(occluded_absent=True)
    assert values(found["all"], 4) == {"tp": 1, "fp1": 2, "fp2": 2, "fn": 2, "tn": 2}
    assert values(found["occluded"], 4) == {"tp": 0, "fp1": 0, "fp2": 1, "fn": 0, "tn": 1}
    assert found["all"]["pck_10px"]["n"] == 5


@pytest.mark.parametrize(
    ("tolerance", "names"), [(4, {"f1_4px", "f1_5px"}), (5, {"f1_5px"}), (2.5, {"f1_2.5px", "f1_5px"})]
)
def test_tolerances(tolerance: float, names: set[str]) -> None:
    assert {name for name in scored(tolerance=tolerance)["all"] if name.startswith("f1")} == names


def test_a_threshold_of_zero_counts_every_peak() -> None:
    assert values(scored(score_threshold=0.0)["all"], 4) == {"tp": 3, "fp1": 2, "fp2": 2, "fn": 2, "tn": 0}


def many(clips: int, frames: int) -> tuple[list[Clip], list[Row]]:
    random = np.random.default_rng(1)
    found, rows = [], []
    for number in range(clips):
        truth = random.uniform(100, 600, (frames, 2))
        name = f"game1/Clip{number + 1}"
        found.append(clip(name, truth.tolist(), [1] * frames, [0] * frames))
        rows += answers((truth + random.choice([0, 20], (frames, 1))).tolist(), [0.9] * frames, name)
    return found, rows


@pytest.mark.parametrize(
    ("clips", "frames", "how"),
    [(6, 30, "95 % bootstrap over clips"), (4, 60, "95 % bootstrap over blocks of 25 frames (few clips)")],
)
def test_intervals_are_over_clips_or_blocks(clips: int, frames: int, how: str) -> None:
    found, rows = many(clips, frames)
    aligned = figures.align(found, rows, SOURCE)
    groups, said = figures.evaluate(aligned, tolerance=4, score_threshold=0.5, occluded_absent=False)
    assert said == how
    for name in ("f1_4px", "pck_4px", "l2_mean_px", "l2_median_px"):
        entry = groups["all"][name]
        assert entry["low"] <= entry["value"] <= entry["high"] and entry["low"] < entry["high"], (name, entry)
    assert len(np.unique(aligned.blocks)) == clips * math.ceil(frames / 25)
    for one in range(clips):  # no block reaches over a clip's border
        assert not set(aligned.blocks[aligned.clips == one]) & set(aligned.blocks[aligned.clips != one])


def test_few_frames_have_no_interval() -> None:
    assert all(entry["low"] is None for entry in scored()["all"].values())


def test_rows_find_their_frames_in_any_order() -> None:
    found, rows = many(3, 4)
    one = figures.align(found, rows, SOURCE)
    other = figures.align(found, rows[::-1], SOURCE)
    assert np.array_equal(one.predicted, other.predicted) and one.names[5] == "game1/Clip2/0001.jpg"
    unnamed = [Row(row.frame, 0, row.x, row.y, row.score, row.source) for row in rows[:4]]
    assert np.array_equal(figures.align(found[:1], unnamed, SOURCE).predicted, one.predicted[:4])


@pytest.mark.parametrize("name", ["{}.png", "C:\\data\\{}.png", "/a/b/{}.png", "{}", "{}.jpg"])
def test_files_as_other_programs_name_them(name: str) -> None:
    found, rows = many(1, 4)
    rows = [replace(row, file=name.format(found[0].frames[row.frame].stem)) for row in rows]
    assert len(figures.align(found, rows, SOURCE).names) == 4


def test_rows_that_do_not_fit() -> None:
    found, rows = many(2, 4)
    unnamed = [Row(row.frame, 0, row.x, row.y, row.score, row.source) for row in rows[:4]]
    for clips, given, words in (
        (found, rows[:-1], "no row for frame 3 of game1/Clip2"),
        (found, [*rows, rows[2]], "frame 2 of game1/Clip1 is given twice"),
        (found, unnamed, "the rows name no clip, and there are 2 clips"),
        (found[:1], [*unnamed, Row(4, 0, 1, 1, 0.9, DETECTED)], "6: frame 4, but game1/Clip1 has 4 frames"),
        (found, [*rows, Row(9, 0, 1, 1, 0.9, DETECTED, "game1/Clip2")], "10: frame 9, but game1/Clip2 has 4"),
        (found, [*rows, Row(0, 0, 1, 1, 0.9, DETECTED)], "10: a row without a clip"),
        (found, [replace(rows[0], file="9999.jpg"), *rows[1:]], "2: frame 0 of game1/Clip1 is"),
    ):
        with pytest.raises(InputError, match=re.escape(words)) as caught:
            figures.align(clips, given, SOURCE)
        assert caught.value.path == str(SOURCE)
    figures.align(found[:1], rows, SOURCE)  # rows of clips that are not scored may be there


def test_the_table() -> None:
    found = scored()
    table = figures.table(found, 4.0)
    assert table[0][:3] == ["group", "frames", "precision_4px"] and [row[0] for row in table[1:]] == list(found)
    assert table[1][1:4] == ["9", "0.400", "0.400"] and "-" in table[5]
