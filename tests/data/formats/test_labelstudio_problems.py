"""Everything that can be wrong with a Label Studio export, each by its task."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kaname.data.formats import labelstudio
from kaname.errors import InputError

NAN = float("nan")


def point(x=50, y=50, label="start", **more):
    value = {"x": x, "y": y, "keypointlabels": [label]}
    return {
        "original_width": 60,
        "original_height": 40,
        "image_rotation": 0,
        "type": "keypointlabels",
        "value": value,
    } | more


def rectangle(**more):
    value = {"x": 10, "y": 20, "width": 50, "height": 25, "rotation": 0, "rectanglelabels": ["gauge"]} | more
    return point() | {"type": "rectanglelabels", "value": value}


def task(number=7, results=(), source="222ae49e-a.png", **more):
    return {"id": number, "annotations": [{"completed_by": 1, "result": list(results)}], "data": {"img": source}} | more


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / "images" / name)
    (tmp_path / "images" / "text.png").write_text("no image")
    Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(tmp_path / "images" / "narrow.png")
    return tmp_path


def save(folder: Path, content) -> Path:
    path = folder / "x.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


FILES = [
    ("", 1, "file is empty"),
    ('[\n {"id": 1,\n oops', 3, "not JSON"),
    ("[" * 100_000, None, "not a label file"),
    ("[" + "1" * 5000 + "]", None, "not a label file"),
    ("[]", None, "list of tasks is empty"),
    ("{}", None, "not a list of tasks but an object"),
    ("3", None, "a number"),
    ("null", None, "null"),
    ('"text"', None, "a string"),
]


@pytest.mark.parametrize(("text", "row", "words"), FILES)
def test_not_an_export(folder, text, row, words):
    path = save(folder, text)
    (problem,) = labelstudio.problems(path)
    assert words in problem.reason
    assert (problem.path, problem.row) == (str(path), row)
    assert problem.remedy
    with pytest.raises(InputError, match=words):
        labelstudio.read(path)


def test_no_such_file_folder_or_text(folder):
    assert "cannot be read" in labelstudio.problems(folder / "nowhere.json")[0].reason
    assert "cannot be read" in labelstudio.problems(folder)[0].reason
    (folder / "x.json").write_bytes(b'[{"id": "\xff"}]')
    assert "UTF-8" in labelstudio.problems(folder / "x.json")[0].reason
    path = save(folder, [task()])
    (problem,) = labelstudio.problems(path, folder / "nowhere")
    assert "folder of images does not exist" in problem.reason


def annotations(*given):
    return {"annotations": list(given)}


ONE = {"completed_by": 1, "result": []}
TASKS = [
    (3, "not a task but a number"),
    (task(data=None), "no data"),
    (task(data={}), "no image"),
    (task(data={"a": "1.png", "b": "2.png"}), "several images"),
    (task(data={"img": "  "}), "no image"),
    (task(data={"img": 5}), "no image"),
    (task(annotations=None), "no list of annotations"),
    (task(annotations=[3]), "no list of annotations"),
    (task(annotations=[]), "not annotated"),
    (task() | annotations({"was_cancelled": True, "result": []}), "its only annotation was cancelled"),
    (task() | annotations(ONE, {"completed_by": {"email": "b@x.org"}, "result": []}), "2 annotations, by 1, b@x.org"),
    (task() | annotations({"completed_by": 1}), "no list of results"),
    (task() | annotations({"result": ["x"]}), "no list of results"),
    (task(results=[point(value=None)]), "has no value"),
    (task(results=[point(value={"x": 1, "y": 1})]), "no label"),
    (task(results=[point(value={"x": 1, "y": 1, "keypointlabels": []})]), "0 labels"),
    (task(results=[point(value={"x": 1, "y": 1, "keypointlabels": ["start", "end"]})]), "2 labels"),
    (task(results=[point(value={"x": 1, "y": 1, "keypointlabels": [3]})]), "labels"),
    (task(results=[point(label="Zeiger"), point(label="Zeiger"), point(label="end")]), "'Zeiger' (2), 'end' (1)"),
    (task(results=[point(image_rotation=90)]), "rotated by 90 degrees"),
    (task(results=[rectangle(rotation=12)]), "rotated by 12 degrees"),
    (task(results=[point(x=100.5)]), "x 100.5"),
    (task(results=[point(y=-3)]), "outside the image"),
    (task(results=[point(x=NAN)]), "x nan"),
    (task(results=[point(x=float("inf"))]), "x inf"),
    (task(results=[point(x="3")]), "x '3'"),
    (task(results=[point(x=None)]), "x None"),
    (task(results=[point(x=True)]), "x True"),
    (task(results=[rectangle(width=95)]), "outside the image"),
    (task(results=[rectangle(y=0.5, height=-1)]), "outside the image"),
    (task(results=[rectangle(rectanglelabels=[])]), "0 labels"),
    (task(results=[point(), point(original_width=61)]), "different sizes: 60 x 40 and 61 x 40"),
    (task(results=[point(original_width=0)]), "original_width and original_height are 0 and 40"),
    (task(results=[point(original_width=None)]), "None and 40"),
    (task(results=[point(original_height="40")]), "'40'"),
    (task(source="222ae49e-none.png", results=[point()]), "'222ae49e-none.png' is missing"),
    (task(source="../x.json", results=[point()]), "is missing"),
    (task(source="222ae49e-text.png", results=[point()]), "not an image"),
    (task(source="222ae49e-narrow.png", results=[point()]), "annotated at 60 x 40, but 'narrow.png' has 50 x 40"),
    (task(source="a" * 5000 + ".png"), "is missing"),
    (task(source="a\0.png"), "is missing"),
]


@pytest.mark.parametrize(("entry", "words"), TASKS)
def test_one_wrong_task_among_right_ones(folder, entry, words):
    path = save(folder, [task(1, [point()], "222ae49e-b.png"), entry])
    found = labelstudio.problems(path, folder / "images", names={"start": "start"})
    (problem,) = found
    assert words in problem.reason
    assert problem.row in ("task 7", "task at position 2")
    assert problem.path == str(path)
    assert problem.remedy
    with pytest.raises(InputError) as error:
        labelstudio.read(path, images=folder / "images", names={"start": "start"})
    assert str(error.value) == str(problem)


def test_all_problems_are_listed(folder):
    tasks = [
        task(1, [point(x=101), point(y=-1), point(label="z")]),
        task(2, [point()], "b.png"),
        task(3, [point()], "222ae49e-b.png"),
        task(2, [point()], "222ae49e-none.png"),
    ]
    found = labelstudio.problems(save(folder, tasks), folder / "images", names={"start": "start"})
    assert [problem.row for problem in found] == ["task 1"] * 3 + ["task 3"] + ["task 2"] * 2
    assert "also belongs to task 2" in found[3].reason
    assert "duplicate" in found[4].reason
    assert "missing" in found[5].reason


def test_what_is_wrong_with_every_result_is_said_once(folder):
    turned = [point(x=10 * number, image_rotation=90) for number in range(5)]
    found = labelstudio.problems(save(folder, [task(results=turned)]), folder / "images")
    assert [problem.reason for problem in found] == ["the image was rotated by 90 degrees in Label Studio"]


def test_a_whole_turn_is_none(folder):
    (sample,) = labelstudio.read(save(folder, [task(results=[point(image_rotation=360)])]), folder / "images")
    assert sample.points["start"].tolist() == [[30, 20]]


def test_the_other_export_is_told(folder):
    entry = {"id": 1, "img": "a.png", "kp": [], "annotator": 1, "annotation_id": 3}
    found = labelstudio.problems(save(folder, [entry]), folder / "images")
    assert any("JSON, not as JSON-MIN" in str(problem) for problem in found)


def test_unknown_label_names_what_is_known(folder):
    path = save(folder, [task(results=[point(label="Zeiger")])])
    with pytest.raises(
        InputError, match=r"x.json:task 7: unknown labels: 'Zeiger' \(1\); known, in upper or lower case: end, start"
    ):
        labelstudio.read(path, names={"start": "start", "end": "end"})


def test_rounding_at_the_edge_is_no_problem(folder):
    (sample,) = labelstudio.read(save(folder, [task(results=[point(x=100.0000000001, y=-1e-12)])]))
    np.testing.assert_allclose(sample.points["start"], [[60, 0]], atol=1e-6)


def test_no_points_at_all_is_a_sample(folder):
    (sample,) = labelstudio.read(save(folder, [task()]), images=folder / "images")
    assert dict(sample.points) == {}
    assert sample.boxes.shape == (0, 4)
    assert sample.size == (40, 60)


junk = [None, True, 3, 2.5, "x", [], {}, [[]], [{}], {"a": 1}, [None], "-", NAN]


@pytest.mark.parametrize("key", ["id", "annotations", "data", "result", "value", "type", "x", "keypointlabels"])
@pytest.mark.parametrize("value", junk, ids=repr)
def test_junk_anywhere_gives_a_sample_or_an_input_error(folder, key, value):
    good = task(results=[point()])
    mark = good["annotations"][0]["result"][0]
    homes = {"result": good["annotations"][0], "value": mark, "type": mark, "x": mark["value"]}
    homes.get(key, mark["value"] if key == "keypointlabels" else good)[key] = value
    path = save(folder, [good])
    problems = labelstudio.problems(path, folder / "images")
    if problems:
        with pytest.raises(InputError):
            labelstudio.read(path, folder / "images")
    else:
        assert len(labelstudio.read(path, folder / "images")) == 1
