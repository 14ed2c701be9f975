"""Sets of labelled images: what is marked twice, who annotated, folders by other names."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kaname.data.formats import labelstudio
from kaname.data.formats.duplicates import without_double_points
from kaname.data.pairs import sets, to_train_on
from kaname.errors import InputError
from kaname.recipes.gauge import labels

HEIGHT, WIDTH = 60, 80
DIAL = (("Start Notch", 10, 80), ("Inbetween Notch", 50, 10), ("End Notch", 90, 80))


def marks(*places: tuple[str, float, float]) -> list[dict]:
    sides = {"original_width": WIDTH, "original_height": HEIGHT, "type": "keypointlabels"}
    return [{**sides, "value": {"x": x, "y": y, "keypointlabels": [name]}} for name, x, y in places]


def data(folder: Path, *annotations: dict) -> Path:
    (folder / "images").mkdir(parents=True)
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(folder / "images" / "dial.png")
    task = {"id": 4, "data": {"image": "dial.png"}, "annotations": list(annotations)}
    (folder / "annotation.json").write_text(json.dumps([task]), encoding="utf-8")
    return folder


@pytest.mark.parametrize("shift", [0, 0.6, -1.2])
def test_a_notch_that_is_marked_twice_counts_once(tmp_path, shift):
    twice = ("Inbetween Notch", 50 + shift, 10)
    folder, known = data(tmp_path, {"result": marks(*DIAL, twice)}), labels.of(allow_missing=False)
    (fault,) = known.problems(folder)
    assert (
        "1 of the points 'middle' lie within a pixel of another one" in fault.reason
        and fault.row == "task 4 (dial.png)"
    )
    with pytest.warns(UserWarning, match="each counts once"):
        (dial,) = known.read(folder)
    assert (
        labels.truth_of(dial)["middle"].tolist() == [[8, 48], [72, 48], [40, 6]]
        or len(labels.truth_of(dial)["middle"]) == 3
    )


def test_a_notch_with_two_names_is_one_notch(tmp_path):
    folder, known = (
        data(tmp_path, {"result": marks(*DIAL, ("Inbetween Notch", 10, 80))}),
        labels.of(allow_missing=False),
    )
    assert any("'start' and 'middle' lie within a pixel" in fault.reason for fault in known.problems(folder))
    with pytest.warns(UserWarning, match="'start' and 'middle'"):
        (dial,) = known.read(folder)
    assert len(labels.truth_of(dial)["middle"]) == 3


def test_neighbours_stay_and_nothing_is_said(tmp_path):
    near = ("Inbetween Notch", 50 + 100 * 1.5 / WIDTH, 10)
    folder, known = data(tmp_path, {"result": marks(*DIAL, near)}), labels.of(allow_missing=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not list(known.problems(folder)) and len(labels.truth_of(known.read(folder)[0])["middle"]) == 4
    assert without_double_points({"a": np.full((2, 2), np.nan)})[1] == []


@pytest.mark.parametrize(
    ("annotations", "annotator", "x"),
    [
        ([{"completed_by": 1}, {"completed_by": 2, "ground_truth": True}], None, 20),
        ([{"completed_by": 1, "ground_truth": True}, {"completed_by": 1, "id": 9}], "1", 10),
        ([{"completed_by": 1, "id": 3}, {"completed_by": 1, "id": 2}], None, 10),
        ([{"completed_by": 1, "id": 3}, {"completed_by": 1, "id": 2}, {"completed_by": 2}], "1", 10),
        (
            [
                {"completed_by": {"id": 1}, "id": 3, "updated_at": "2024-01-01T10:00:00Z"},
                {"completed_by": {"id": 1}, "id": 2, "updated_at": "2024-02-01T10:00:00Z"},
            ],
            None,
            20,
        ),
    ],
    ids=["ground truth", "ground truth of one", "newest by id", "newest of the chosen", "newest by time"],
)
def test_which_annotation_counts(tmp_path, annotations, annotator, x):
    given = [{**one, "result": marks(("start", 10 * n, 50))} for n, one in enumerate(annotations, 1)]
    folder = data(tmp_path, *given)
    (sample,) = labelstudio.read(folder / "annotation.json", folder / "images", annotator=annotator)
    assert sample.points["start"][0, 0] == pytest.approx(x * WIDTH / 100)
    assert any("left out of task 4" in line for line in labelstudio.left_out([sample]))


@pytest.mark.parametrize(
    "annotations",
    [
        [{"completed_by": 1}, {"completed_by": 2}],
        [{"completed_by": 1, "ground_truth": True}, {"completed_by": 2, "ground_truth": True}],
        [{}, {}],
    ],
)
def test_annotations_of_which_none_counts_more(tmp_path, annotations):
    folder = data(tmp_path, *[{**one, "result": marks(("start", 10, 50))} for one in annotations])
    (fault,) = labelstudio.problems(folder / "annotation.json", folder / "images")
    assert "2 annotations" in fault.reason and "ground truth" in (fault.remedy or "")


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_folders_of_a_set_by_what_others_call_them(tmp_path, name):
    for part in ("train", name):
        data(tmp_path / part, {"result": marks(*DIAL)})
    assert sets(tmp_path) == {"train": tmp_path / "train", "val": tmp_path / name} == to_train_on(tmp_path)
    other = tmp_path / ("valid" if name == "val" else "val")
    other.mkdir()
    with pytest.raises(InputError, match="two folders of one set"):
        sets(tmp_path)


@pytest.mark.parametrize("orientation", [5, 6, 8])
def test_an_image_that_exif_turns_is_not_another_image(tmp_path, orientation):
    folder = data(tmp_path, {"result": marks(*DIAL)})
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(folder / "images" / "dial.png", exif=exif)
    (fault,) = labelstudio.problems(folder / "annotation.json", folder / "images")
    assert f"without the rotation that its EXIF block states ({orientation})" in (fault.remedy or "")
    Image.fromarray(np.zeros((WIDTH, HEIGHT, 3), np.uint8)).save(folder / "images" / "dial.png")
    (fault,) = labelstudio.problems(folder / "annotation.json", folder / "images")
    assert fault.remedy == "put the image that was annotated there"
