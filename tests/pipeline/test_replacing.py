"""A folder of results is replaced by the same again, and by nothing else without a word."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from calling import call, snapshot
from kaname.errors import InputError
from kaname.files import write_text
from kaname.geometry.image import write_image
from kaname.lock import Held
from kaname.pipeline.replacing import drawing, record_of, results
from recipes.gauge.dials import write_data
from recipes.tracknet.clips import flight, picture

GOLDEN = Path(__file__).parents[1] / "golden"


def make(out: Path, names: list[str], *, made_of: str = "a", overwrite: bool = False) -> None:
    """Files of these names as the results of ``made_of``."""
    with results(record_of(out, "predict", {"sources": [made_of]}), [out / "points.json"], overwrite=overwrite):
        for name in names:
            write_text(out / name, made_of)


def names(folder: Path) -> set[str]:
    return {name for name in snapshot(folder) if not name.startswith(".")}


def test_the_same_again_replaces_itself_and_others_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(out, ["points.json", "pictures/1.jpg"])
    make(out, ["points.json", "pictures/1.jpg"])
    before = snapshot(out)
    with pytest.raises(InputError, match=r"sources 1 \(a\), not 1 \(b\).*--overwrite"):
        make(out, ["points.json"], made_of="b")
    assert snapshot(out) == before


def test_overwriting_replaces_the_whole_and_nothing_else(tmp_path: Path) -> None:
    make(tmp_path, ["points.json", "pictures/1.jpg", "pictures/2.jpg", "masks/1_0.png"])
    write_text(tmp_path / "pictures" / "mine.jpg", "mine")
    write_text(tmp_path / "notes.txt", "mine")
    make(tmp_path, ["points.json", "pictures/2.jpg"], made_of="b", overwrite=True)
    assert names(tmp_path) == {"points.json", "pictures/2.jpg", "pictures/mine.jpg", "notes.txt"}
    assert not (tmp_path / "masks").exists() and (tmp_path / "points.json").read_text() == "b"
    make(tmp_path, ["points.json", "pictures/2.jpg"], made_of="b")


def test_what_another_program_writes_meanwhile_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new file, one that was there before and changes, one of another process of ours, and a hidden one."""
    (tmp_path / "pictures").mkdir()
    (tmp_path / "log.txt").write_text("old")
    record = record_of(tmp_path, "predict", {"sources": ["a"]})
    script = (
        "import sys; from kaname.files import write_text; from pathlib import Path; write_text(Path(sys.argv[1]), 'x')"
    )
    monkeypatch.chdir(tmp_path.parent)
    with results(record, [], overwrite=False):
        write_text(Path(tmp_path.name, "points.json"), "a")  # relative, as --out may be
        (tmp_path / "log.txt").write_text("old and new")
        (tmp_path / "pictures" / "thumbs.db").write_text("of a viewer")
        subprocess.run([sys.executable, "-c", script, str(tmp_path / "masks" / "other.png")], check=True)
        write_text(tmp_path / "deep" / "er" / "1.txt", "a")
        write_text(tmp_path / "gone.txt", "a")
        (tmp_path / "gone.txt").unlink()
        write_text(tmp_path.parent / "elsewhere.txt", "a")
    assert json.loads(record.path.read_text())["results"].keys() == {"points.json", "deep/er/1.txt"}
    make(tmp_path, ["points.json"], made_of="b", overwrite=True)
    assert names(tmp_path) == {"points.json", "log.txt", "pictures/thumbs.db", "masks/other.png"}


def test_results_that_no_record_names_are_not_replaced(tmp_path: Path) -> None:
    write_text(tmp_path / "points.json", "of an earlier version")
    with pytest.raises(InputError, match=r"points\.json, and nothing says.*--overwrite"):
        make(tmp_path, ["points.json"])
    assert (tmp_path / "points.json").read_text() == "of an earlier version"
    make(tmp_path, ["points.json"], overwrite=True)
    assert (tmp_path / "points.json").read_text() == "a"


def test_work_that_fails_leaves_a_record_of_all_that_is_there(tmp_path: Path) -> None:
    make(tmp_path, ["points.json", "pictures/1.jpg"])
    record = record_of(tmp_path, "predict", {"sources": ["b"]})
    with pytest.raises(RuntimeError), results(record, [], overwrite=True):
        write_text(tmp_path / "pictures" / "2.jpg", "b")
        raise RuntimeError
    make(tmp_path, ["points.json"], made_of="c", overwrite=True)
    assert names(tmp_path) == {"points.json"}
    with pytest.raises(RuntimeError), results(record_of(tmp_path / "new", "predict", {}), [], overwrite=False):
        raise RuntimeError
    assert not (tmp_path / "new").exists()


KILLED = """
import os, sys
from pathlib import Path
from kaname.files import write_text
from kaname.pipeline.replacing import drawing, record_of, results
out, verb = Path(sys.argv[1]), sys.argv[2]
record = record_of(out, verb, {"sources": ["a"]})
if verb == "draw":
    with drawing(record, overwrite=False) as place_of:
        for name in ("1.jpg", "2.jpg"):
            write_text(place_of(name), "killed")
        os.kill(os.getpid(), 9)
with results(record, [out / "points.json"], overwrite=False):
    for name in ("points.json", "pictures/1.jpg", "pictures/2.jpg"):
        write_text(out / name, "killed")
    os.kill(os.getpid(), 9)
"""


def test_a_process_that_was_killed_leaves_results_that_the_same_command_replaces(tmp_path: Path) -> None:
    """And others only where they are asked to, as a whole."""
    for name in ("same", "others"):
        subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / name), "predict"], check=False)
        assert names(tmp_path / name) == {"points.json", "pictures/1.jpg", "pictures/2.jpg"}
    make(tmp_path / "same", ["points.json", "pictures/1.jpg", "pictures/2.jpg"])
    assert (tmp_path / "same" / "points.json").read_text() == "a"
    with pytest.raises(InputError, match=r"sources 1 \(a\), not 1 \(b\)"):
        make(tmp_path / "others", ["points.json"], made_of="b")
    make(tmp_path / "others", ["points.json"], made_of="b", overwrite=True)
    assert names(tmp_path / "others") == {"points.json"}
    for name in ("same", "others"):
        assert [path.name for path in (tmp_path / name).glob(".*")] == [".kaname-predict.json"]


def test_pictures_of_a_process_that_was_killed_are_drawn_again(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), "draw"], check=False)
    write_text(tmp_path / "3.jpg", "a photograph")
    with drawing(record_of(tmp_path, "draw", {"sources": ["a"]}), overwrite=False) as place_of:
        write_text(place_of("2.jpg"), "a")
        with pytest.raises(InputError, match="no record"):
            place_of("3.jpg")
    assert names(tmp_path) == {"2.jpg", "3.jpg"} and (tmp_path / "2.jpg").read_text() == "a"


WAITING = """
import sys
from pathlib import Path
from kaname.files import write_text
from kaname.pipeline.replacing import record_of, results
out = Path(sys.argv[1])
with results(record_of(out, "predict", {"sources": ["a"]}), [], overwrite=False):
    print("begun", flush=True)
    sys.stdin.readline()
    write_text(out / "points.json", "a")
"""


def test_two_commands_at_once_do_not_mix_their_results(tmp_path: Path) -> None:
    """The folder was empty when both began: the later one to end replaced what the other had said to be written."""
    out, words = tmp_path / "out", [sys.executable, "-c", WAITING]
    with subprocess.Popen([*words, str(tmp_path / "out")], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdin is not None and other.stdout is not None and other.stdout.readline() == "begun\n"
        for overwrite in (False, True):
            with pytest.raises(Held, match=rf"out: another command .* \(process {other.pid}\)"):
                make(out, ["points.json"], made_of="b", overwrite=overwrite)
        other.communicate("\n")
    assert {path.name for path in out.iterdir()} == {"points.json", ".kaname-predict.json"}
    with pytest.raises(InputError, match="made with sources"):
        make(out, ["points.json"], made_of="b")


def test_another_model_is_something_else_and_a_copy_of_it_is_not(tmp_path: Path) -> None:
    write_text(tmp_path / "a.pt", "weights")
    write_text(tmp_path / "copy.pt", "weights")
    write_text(tmp_path / "b.pt", "others")
    out = tmp_path / "out"
    for name, refused in (("a.pt", False), ("copy.pt", False), ("b.pt", True)):
        record = record_of(out, "predict", {}, tmp_path / name)
        try:
            with results(record, [], overwrite=False):
                write_text(out / "points.json", name)
            assert not refused
        except InputError as error:
            assert refused and "another model" in str(error)


def test_a_picture_never_replaces_a_photograph(tmp_path: Path) -> None:
    write_text(tmp_path / "1.jpg", "a photograph")
    record = record_of(tmp_path, "draw", {})
    for overwrite in (False, True):
        with pytest.raises(InputError, match="no record"), drawing(record, overwrite=overwrite) as place_of:
            place_of("1.jpg")
    assert (tmp_path / "1.jpg").read_text() == "a photograph"


def test_predict_evaluate_and_draw_of_dials(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", 1, 2)
    images = data / "val" / "images"
    first, model = sorted(images.iterdir())[0], GOLDEN / "gauge.onnx"
    out = tmp_path / "out"
    words = ("gauge", "predict", "--out", out, "--checkpoint", model)
    call(*words, images).done()
    pictures = len(list((out / "pictures").iterdir()))
    assert pictures == 2
    before = snapshot(out)
    call(*words, images).done()
    assert {name for name in snapshot(out)} == set(before)
    before = snapshot(out)
    for changed in ((*words, first), (*words, images, "--min-score", 0.01), (*words[:-1], GOLDEN / "gauge.pt", images)):
        call(*changed).refused(str(out), "made with", "--overwrite")
    assert snapshot(out) == before
    call(*words, first, "--overwrite").done()
    assert len(list((out / "pictures").iterdir())) == 1
    assert len(json.loads((out / "points.json").read_text())["images"]) == 1

    scores = tmp_path / "scores"
    words = ("gauge", "evaluate", "--checkpoint", model, "--data", data, "--out", scores)
    call(*words, "--pictures").done()
    call(*words, "--split", "train").done()  # another set of the same: it has a folder of its own
    call(*words).done()
    before = (scores / "val" / "metrics.json").read_bytes()
    call(*words, "--tolerance", 3).refused(str(scores), "extract.tolerance 10", "not 3", "--overwrite")
    assert (scores / "val" / "metrics.json").read_bytes() == before
    write_text(scores / "train" / "mine.txt", "mine")
    call(*words, "--tolerance", 3, "--overwrite").done()
    assert json.loads((scores / "val" / "metrics.json").read_text())["settings"]["tolerance_px"] == 3
    assert not (scores / "val" / "key_points").exists()  # pictures of the answers that were replaced
    assert [path.name for path in (scores / "train").iterdir() if path.is_file()] == ["mine.txt"]

    drawn = tmp_path / "drawn"
    words = ("gauge", "draw", "--data", data, "--out", drawn)
    for _ in range(2):
        call(*words).done()
    before = snapshot(drawn)
    call(*words, "--predictions", out / "points.json").refused(str(drawn), "predictions", "--overwrite")
    call(*words, "--limit", 1).refused("limit 0, not 1")
    assert snapshot(drawn) == before
    call(*words, "--limit", 1, "--overwrite").done()
    assert len(names(drawn)) == 1


def test_without_a_folder_other_settings_get_one_of_their_own(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", 1, 1)
    (tmp_path / "gauge.onnx").write_bytes((GOLDEN / "gauge.onnx").read_bytes())
    words = ("gauge", "evaluate", "--checkpoint", tmp_path / "gauge.onnx", "--data", data)
    for more in ((), (), ("--tolerance", 3)):
        call(*words, *more).done()
    assert sorted(path.name for path in (tmp_path / "evaluation").iterdir()) == ["gauge-data", "gauge-data-2"]


def test_predict_of_videos(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        for number, place in enumerate(np.asarray(flight(5, seed))):
            (tmp_path / name).mkdir(exist_ok=True)
            write_image(tmp_path / name / f"{number}.png", picture(place))
    out = tmp_path / "out"
    words = ("tracknet", "predict", "--checkpoint", GOLDEN / "ball.onnx", "--out", out)
    for _ in range(2):
        call(*words, tmp_path / "a").done()
    before = snapshot(out)
    call(*words, tmp_path / "b").refused(str(out), "made with", "(a), not", "--overwrite")
    call(*words, tmp_path / "a", "--smooth", "inpaint").refused(str(out), "--overwrite")
    assert snapshot(out) == before
    call(*words, tmp_path / "b", "--overwrite").done()
    assert snapshot(out)["ball.csv"] != before["ball.csv"]


def test_what_differs_is_said_shortly(tmp_path: Path) -> None:
    """Files of one name by their paths, of settings in settings those that differ."""

    def made(folder: str, fill: int) -> None:
        settings = {"sources": [f"{folder}/Clip1"], "smooth": {"name": "inpaint", "max_gap": fill}}
        with results(record_of(tmp_path, "predict", settings), [], overwrite=False):
            write_text(tmp_path / "ball.csv", "x")

    made("game1", 10)
    with pytest.raises(InputError) as caught:
        made("game2", 4)
    assert "sources 1 (game1/Clip1), not 1 (game2/Clip1); smooth.max_gap 10, not 4; choose" in str(caught.value)
