"""``evaluate`` of trackers' text files, in the original's spelling and ours: rules, refusals, files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from kaname.apps.compare import compare
from kaname.cli import main
from kaname.errors import InputError
from kaname.recipes.kpnet.judging import evaluate, step_of

SKELETON = """name: pairs
classes:
  tool: {id: 0, points: [left, right]}
  needle: {id: 5, points: [end, tip], instances: 2, order: id}
"""
Rows = list[tuple[int, int, int, float]]  # frame, id, class, how far right


def text(rows: Rows, third: str = "2") -> str:
    return "".join(
        f"{frame},{track},{kind},-1,-1,-1,-1,{100 + right:g},50,{third},{120 + right:g},50,{third}\n"
        for frame, track, kind, right in rows
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Truth of two videos: a tool in frames 0, 29 and 58, a needle in the last one of A."""
    (tmp_path / "gt").mkdir()
    (tmp_path / "trackers").mkdir()
    (tmp_path / "gt" / "skeleton.yaml").write_text(SKELETON)
    tool = [(frame, 1, 0, 0.0) for frame in (0, 29, 58)]
    (tmp_path / "gt" / "A.txt").write_text(text([*tool, (58, 4, 5, 200.0)]))
    (tmp_path / "gt" / "B.txt").write_text(text(tool))
    return tmp_path


def predict(place: Path, shift: float = 0.0, *, name: str = "", third: str = "2", more: Rows | None = None) -> None:
    folder = place / "trackers" / name
    folder.mkdir(exist_ok=True)
    tool = [(frame, 7, 0, shift) for frame in (0, 29, 58)]
    (folder / "A_pred.txt").write_text(text([*tool, (58, 4, 5, 200.0 + shift), *(more or [])], third))
    (folder / "B_pred.txt").write_text(text(tool, third))


def scored(place: Path, *words: object) -> dict[str, dict[str, dict[str, float]]]:
    """The groups of the metrics after the original's own command line."""
    call = ["--GT_FOLDER", place / "gt", "--TRACKERS_FOLDER", place / "trackers", "--OUTPUT_FOLDER", place / "out"]
    with pytest.raises(SystemExit) as stop:
        main(["kpnet", "evaluate", *map(str, [*call, *words])])
    assert not stop.value.code
    return json.loads((place / "out" / "metrics.json").read_text())


def table(place: Path) -> list[list[str]]:
    with (place / "out" / "hota" / "mot_challenge_kp_results.csv").open() as file:
        return list(csv.reader(file))


def test_the_original_spelling(place: Path) -> None:
    """A name without a folder of its own labels the folder; hidden or not, the third value plays no part."""
    predict(place, third="0")
    found = scored(place, "--TRACKERS_TO_EVAL", "oss25_det")
    assert found["all"]["hota"]["value"] == pytest.approx(1) and found["all"]["pck"]["value"] == 1
    assert table(place) == [
        ["TRACKER", "SEQ", "HOTA"],
        ["oss25_det", "A", "1.000000"],
        ["oss25_det", "B", "0.500000"],  # the needle is in neither: a class absent from both counts as 0
        ["oss25_det", "COMBINED_SEQ", "1.000000"],
    ]
    assert {path.name for path in (place / "out").iterdir()} == {
        "hota", "hota.json", "metrics.json", "report.html", "visibility.json",
    }  # fmt: skip


def test_the_figures_of_a_shift(place: Path) -> None:
    """8 px: exp(-64 / 200) = 0.726 is a match at 14 of 19 thresholds; a confidence says nothing of visibility."""
    predict(place, 8.0, third="0.9")
    found = scored(place)
    assert found["all"]["hota"]["value"] == pytest.approx(14 / 19)
    assert found["tool"]["pixel_error"]["value"] == pytest.approx(8)
    assert found["all"]["visibility"]["value"] is None and "do not say" in str(found["all"]["visibility"]["reason"])
    assert found["tool"]["identity_switches"]["value"] == 0 and found["tool"]["jitter"]["value"] == 0
    assert scored(place, "--similarity", "linear", "--scale-px", 2)["all"]["hota"]["value"] == 0
    assert scored(place, "--pck-px", 7)["all"]["pck"]["value"] == 0


def test_the_grid_is_the_truths(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Frames between are left out, counted and said; in steps of one they are false; past the length nothing counts."""
    predict(place, more=[(7, 7, 0, 0.0), (30, 7, 0, 0.0)])
    found = scored(place)
    assert "note: 2 predicted objects lie off the grid of the labelled frames" in capsys.readouterr().out
    assert "2 predicted objects lie off" in (place / "out" / "report.html").read_text(encoding="utf-8")
    assert found["settings"]["predictions_off_the_grid"] == 2 and found["tool"]["det_pr"]["value"] == 1
    assert found["settings"]["frames"] == 6
    dense = scored(place, "--frame-step", 1)
    assert dense["settings"]["frames"] == 118 and dense["tool"]["det_pr"]["value"] == pytest.approx(6 / 8)
    short = scored(place, "--length", 29)
    assert short["settings"]["frames"] == 4 and short["settings"]["truth_off_the_grid"] == 3
    assert "3 true objects lie off the grid" in capsys.readouterr().out


def test_rows_out_of_frame_are_dropped_and_hidden_ones_stay(place: Path) -> None:
    (place / "gt" / "B.txt").write_text(text([(0, 1, 0, 0.0), (58, 1, 0, 0.0)]) + text([(29, 1, 0, 0.0)], "0"))
    predict(place)
    dropped = scored(place, "--videos", "B")["tool"]
    assert dropped["det_re"]["value"] == 1 and dropped["det_pr"]["value"] == pytest.approx(2 / 3)
    (place / "gt" / "B.txt").write_text(text([(0, 1, 0, 0.0), (58, 1, 0, 0.0)]) + text([(29, 1, 0, 0.0)], "1"))
    hidden = scored(place, "--videos", "B")["tool"]
    assert hidden["det_re"]["value"] == pytest.approx(2 / 3) and hidden["det_pr"]["value"] == pytest.approx(2 / 3)


def test_a_frame_of_a_file_of_its_own(place: Path) -> None:
    """The other layout of the truth; an empty file is a frame without objects, where a prediction is wrong."""
    for frame, content in ((0, text([(0, 1, 0, 0.0)])), (29, text([(29, 1, 0, 0.0)])), (58, "")):
        (place / "gt" / f"B_frame_{frame}.txt").write_text(content)
    (place / "gt" / "B.txt").unlink()
    predict(place)
    found = scored(place, "--videos", "B")["tool"]
    assert found["det_re"]["value"] == 1 and found["det_pr"]["value"] == pytest.approx(2 / 3)


def test_several_trackers(place: Path) -> None:
    """One table, one CSV, each beside the first; their folders are what ``kaname compare`` takes."""
    predict(place, name="near")
    predict(place, 8.0, name="far")
    found = scored(place, "--TRACKERS_TO_EVAL", "near,far")
    assert found["near"]["hota"]["value"] == pytest.approx(1) and found["far"]["pixel_error"]["value"] == 8
    assert [row[:2] for row in table(place)[1:]] == [
        [name, video] for name in ("near", "far") for video in ("A", "B", "COMBINED_SEQ")
    ]
    made = json.loads((place / "out" / "far" / "compare.json").read_text())
    assert made["all"]["hota"]["difference"] == pytest.approx(14 / 19 - 1) and made["settings"]["pairs"] == 2
    compare(place / "out" / "near", place / "out" / "far", out=place)
    again = json.loads((place / "compare.json").read_text())
    assert again["all"]["hota"] == made["all"]["hota"] and again["settings"]["sample"] == "video"
    compare(place / "trackers" / "near", place / "trackers" / "far", data=place / "gt", out=place)  # not scored yet
    assert json.loads((place / "compare.json").read_text())["all"] == again["all"]


def test_many_videos_have_a_p_value(place: Path) -> None:
    for number in range(6):
        (place / "gt" / f"C{number}.txt").write_text(text([(0, 1, 0, 0.0), (29, 1, 0, 0.0)]))
    for name, shift in (("near", 0.0), ("far", 8.0)):
        predict(place, shift, name=name)
        for number in range(6):
            rows: Rows = [(0, 1, 0, shift), (29, 1, 0, shift)]
            (place / "trackers" / name / f"C{number}_pred.txt").write_text(text(rows))
    scored(place)
    entry = json.loads((place / "out" / "near" / "compare.json").read_text())["all"]["hota"]
    assert entry["difference"] > 0 and entry["p_value"] < 0.05 and entry["n"] == 8  # "far" comes first by name


def test_any_ids(place: Path) -> None:
    """Texts, gaps and large numbers; an id that changes is a switch, and costs association."""
    tool = text([(frame, 1, 0, 0.0) for frame in (0, 29, 58)])
    (place / "gt" / "A.txt").write_text(tool.replace(",1,0,-1", ",left grasper,0,-1"))
    predict(place)
    rows = [text([(frame, 10**15, 0, 0.0)]) for frame in (0, 29, 58)]
    (place / "trackers" / "A_pred.txt").write_text("".join(rows))
    assert scored(place, "--videos", "A")["tool"]["hota"]["value"] == pytest.approx(1)
    (place / "trackers" / "A_pred.txt").write_text("".join(rows[:2]) + rows[2].replace(str(10**15), "x7"))
    found = scored(place, "--videos", "A")["tool"]
    assert found["identity_switches"]["value"] == 1 and found["det_a"]["value"] == pytest.approx(1)
    assert found["ass_a"]["value"] == pytest.approx((2 * 2 / 3 + 1 / 3) / 3)


def test_files_of_other_videos_are_named(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(place)
    (place / "trackers" / "Z_pred.txt").write_text("")
    scored(place)
    assert "not scored: Z_pred.txt" in capsys.readouterr().out


def test_an_empty_file_is_scored_as_such(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(place)
    (place / "trackers" / "B_pred.txt").write_text("")
    found = scored(place)
    assert "B_pred.txt is empty" in capsys.readouterr().out
    assert found["tool"]["det_re"]["value"] == pytest.approx(0.5)


def test_a_file_of_predictions_alone(place: Path) -> None:
    """``--predictions`` and the labels of a data set's ``val``."""
    predict(place)
    (place / "data" / "val").mkdir(parents=True)
    (place / "gt").rename(place / "data" / "val" / "mot")
    one = place / "trackers" / "B_pred.txt"
    evaluate(predictions=one, data_root=place / "data", out=place / "one")
    assert json.loads((place / "one" / "metrics.json").read_text())["settings"]["videos"] == ["B"]
    evaluate(predictions=place / "trackers", data_root=place / "data", out=place / "two", videos="A,B")
    assert json.loads((place / "two" / "metrics.json").read_text())["tool"]["hota"]["value"] == pytest.approx(1)


def bad(place: Path, kind: str) -> dict[str, object]:
    """Makes one thing wrong, and says how to call."""
    trackers, gt = place / "trackers", place / "gt"
    how: dict[str, object] = {}
    if kind == "missing":
        (trackers / "A_pred.txt").unlink()
        (trackers / "B_pred.txt").unlink()
        (trackers / "Z_pred.txt").write_text("")
    elif kind == "twice":
        (trackers / "A_pred.txt").write_text(text([(0, 1, 0, 0.0), (0, 1, 0, 9.0)]))
    elif kind == "ragged":
        (trackers / "A_pred.txt").write_text("0,1,0,-1,-1,-1,-1,1,1,2\n")
    elif kind == "nan":
        (trackers / "A_pred.txt").write_text(text([(0, 1, 0, 0.0)]).replace("100", "nan"))
    elif kind == "negative":
        (trackers / "A_pred.txt").write_text(text([(-3, 1, 0, 0.0)]))
    elif kind == "skeleton":
        (trackers / "A_pred.txt").write_text(text([(0, 1, 3, 0.0)]))
    elif kind == "unseen":
        for name in ("A", "B"):
            (gt / f"{name}.txt").write_text(text([(0, 1, 0, 0.0)], "1"))
    elif kind == "length":
        (gt / "A.txt").write_text(text([(29, 1, 0, 0.0)]))
        how["length"] = 5
    elif kind == "both":
        predict(place, name="det")
        how["trackers_to_eval"] = ["det"]
    elif kind == "nobody":
        how["trackers_to_eval"] = ["det", "klt"]
    elif kind == "listed twice":
        how["videos"] = "A,B,A"
    elif kind == "not there":
        how["videos"] = "A,E66F"
    elif kind == "empty truth":
        (gt / "B.txt").write_text("")
    elif kind == "step":
        how["frame_step"] = "0"
    elif kind == "nowhere":
        how["trackers_folder"] = place / "nowhere"
    return how


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", r"no predictions of 2 of 2 videos: A_pred.txt, B_pred.txt; predict them too"),
        ("twice", r"A_pred.txt:2: frame 0 has the tool with id 1 twice, also in line 1"),
        ("ragged", r"A_pred.txt:1: 10 columns, but a row of tool has 13"),
        ("nan", r"A_pred.txt:1: column 8 is 'nan'"),
        ("negative", r"A_pred.txt:1: the frame -3 is negative"),
        ("skeleton", r"A_pred.txt:1: the skeleton has no class 3"),
        ("unseen", "no visible point"),
        ("length", r"--length 5 lies before the first frame, 29"),
        ("both", "predictions both here and in det"),
        ("nobody", "no predictions of the tracker 'det'"),
        ("listed twice", "the video 'A' is in the list twice"),
        ("not there", "no labels of the video 'E66F'"),
        ("empty truth", r"B.txt: the file is empty"),
        ("step", "--frame-step is '0'"),
        ("nowhere", "the folder of trackers does not exist"),
    ],
)
def test_bad_input(place: Path, kind: str, said: str) -> None:
    """One line, and nothing is written."""
    predict(place)
    how = bad(place, kind)
    call = {"gt_folder": place / "gt", "trackers_folder": place / "trackers", "out": place / "out", **how}
    with pytest.raises(InputError, match=said) as error:
        evaluate(**call)  # type: ignore[arg-type]
    assert "\n" not in str(error.value) and not (place / "out").exists()


def test_steps() -> None:
    assert step_of("auto") is None and step_of("29") == 29
