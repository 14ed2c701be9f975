"""Label Studio's JSON: the real annotation, every name an image may have, round trips."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from contracts.formats import FormatContract
from kaname.data.formats import labelstudio
from kaname.data.formats.coco_sets import numbered
from kaname.errors import InputError
from kaname.types import Sample

ALIASES = {
    "start": "start",
    "start notch": "start",
    "end": "end",
    "end notch": "end",
    "middle": "middle",
    "inbetween notch": "middle",
    "middle notch": "middle",
}


class TestLabelStudio(FormatContract):
    module = labelstudio


def image(path: Path, size=(40, 60)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(path)
    return path


def point(x, y, label="start", **more):
    value = {"x": x, "y": y, "width": 0.4, "keypointlabels": [label]}
    return {
        "original_width": 60,
        "original_height": 40,
        "image_rotation": 0,
        "type": "keypointlabels",
        "value": value,
    } | more


def task(number=7, results=(), source="/data/upload/1/222ae49e-a.png", **more):
    return {"id": number, "annotations": [{"completed_by": 1, "result": list(results)}], "data": {"img": source}} | more


def save(folder: Path, tasks) -> Path:
    path = folder / "annotation.json"
    path.write_text(json.dumps(tasks, ensure_ascii=False), encoding="utf-8")
    return path


def test_real_annotation(gauge_data):
    samples = labelstudio.read(gauge_data / "annotation.json", images=gauge_data / "images", names=ALIASES)
    assert len(samples) == 7
    assert labelstudio.problems(gauge_data / "annotation.json", gauge_data / "images", names=ALIASES) == []
    for sample in samples:
        assert sample.image.is_file()
        assert sample.size == (448, 448)
        assert {name: len(xy) for name, xy in sample.points.items()}.keys() <= {"start", "middle", "end"}
        assert all((seen == 2).all() for seen in sample.visible.values())
    first = samples[0]
    np.testing.assert_allclose(first.points["start"], [[22.4457 * 4.48, 77.6583 * 4.48]])
    assert len(first.points["middle"]) == 9
    assert (first.meta["task"], first.meta["annotator"]) == (2, 1)
    assert first.meta["file"] == "/data/upload/1/e6f330ce-psi_0001.jpg"
    assert first.image.name == "psi_0001.jpg"
    # Without a mapping the file's own names stay; without a folder the images beside the file are found.
    own = labelstudio.read(gauge_data / "annotation.json")
    assert set(own[0].points) == {"Start Notch", "Inbetween Notch", "End Notch"}
    assert own[0].image == first.image


def test_round_trip_of_the_real_annotation(gauge_data, tmp_path):
    samples = labelstudio.read(gauge_data / "annotation.json", images=gauge_data / "images", names=ALIASES)
    labels = {"start": "Start Notch", "middle": "Inbetween Notch", "end": "End Notch"}
    labelstudio.write(tmp_path / "out.json", samples, names=labels)
    again = labelstudio.read(tmp_path / "out.json", images=gauge_data / "images", names=ALIASES)
    for one, other in zip(samples, again, strict=True):
        assert one.image == other.image
        assert one.meta["task"] == other.meta["task"]
        for name, xy in one.points.items():
            np.testing.assert_allclose(other.points[name], xy, atol=1e-9, rtol=0)


NAMES = [
    ("a.png", "/data/upload/1/222ae49e-a.png"),
    ("a.png", "222ae49e-a.png"),
    ("a.png", "a.png"),
    ("a.png", "hash-a.png"),
    ("my-dial-2.png", "/data/upload/1/222ae49e-my-dial-2.png"),
    ("my-dial-2.png", "my-dial-2.png"),
    ("my-dial-2.png", "/data/upload/1/my-dial-2.png"),
    ("222ae49e-a.png", "/data/upload/1/222ae49e-a.png"),
    ("two words.png", "/data/upload/1/222ae49e-two words.png"),
    ("two words.png", "/data/upload/1/222ae49e-two%20words.png"),
    ("two words (1).png", "/data/upload/1/222ae49e-two_words_1.png"),
    ("圧力計 1.png", "/data/upload/1/222ae49e-圧力計 1.png"),
    ("圧力計.png", "/data/upload/1/222ae49e-%E5%9C%A7%E5%8A%9B%E8%A8%88.png"),
    ("ガラス-計器.png", "/data/local-files/?d=dials/%E3%82%AC%E3%83%A9%E3%82%B9-計器.png"),
    (unicodedata.normalize("NFD", "ゲージ.png"), "/data/upload/1/222ae49e-ゲージ.png"),
    ("a.png", "/data/local-files/?d=some/folder/a.png"),
    ("folder/a.png", "/data/local-files/?d=some/folder/a.png"),
    ("a-b.png", "/data/local-files/?d=some-folder/a-b.png"),
    ("a.png", "s3://my-bucket/x/a.png"),
    ("a.png", "https://example.org/x-y/a.png?token=1-2&x=3"),
    ("a.png", "C:\\photos-2024\\a.png"),
    ("a.png", "/data/upload/1-2/222ae49e-a.png"),
    ("100%.png", "/data/upload/1/222ae49e-100%.png"),
    ("what?.png", "/data/upload/1/222ae49e-what?.png"),
    ("a.JPEG", "/data/upload/1/222ae49e-a.JPEG"),
]


@pytest.mark.parametrize(("name", "source"), NAMES)
def test_image_names(tmp_path, name, source):
    file = image(tmp_path / "photos" / name)
    path = save(tmp_path, [task(source=source, results=[point(50, 50)])])
    (sample,) = labelstudio.read(path, images=tmp_path / "photos")
    assert sample.image == file
    np.testing.assert_allclose(sample.points["start"], [[30, 20]])


def test_both_names_there(tmp_path):
    plain, prefixed = image(tmp_path / "a.png"), image(tmp_path / "left-a.png")
    path = save(tmp_path, [task(1, source="left-a.png"), task(2, source="a.png")])
    assert [sample.image for sample in labelstudio.read(path, images=tmp_path)] == [prefixed, plain]


@pytest.mark.parametrize(
    ("source", "name"),
    [("/data/upload/1/222ae49e-my-a.png", "my-a.png"), ("my-a.png", "my-a.png"), ("/data/upload/1/x-a.png", "a.png")],
)
def test_without_any_image_the_bare_name_stays(tmp_path, source, name):
    (sample,) = labelstudio.read(save(tmp_path, [task(source=source, results=[point(1, 2)])]))
    assert sample.image == Path(name)
    assert sample.size == (40, 60)


@pytest.mark.parametrize(
    "data", [{"image": "a.png"}, {"photo": "a.png", "note": "seen twice"}, {"img": "a.png", "b": "b.png"}]
)
def test_keys_of_the_image(tmp_path, data):
    image(tmp_path / "a.png")
    assert labelstudio.read(save(tmp_path, [task() | {"data": data}]), images=tmp_path)[0].image.name == "a.png"


def test_labels_in_any_case_and_in_file_order(tmp_path):
    marks = [point(9, 9, " MIDDLE notch"), point(1, 1, "Start"), point(5, 5, "inbetween NOTCH")]
    (sample,) = labelstudio.read(save(tmp_path, [task(results=marks)]), names=ALIASES)
    assert list(sample.points) == ["middle", "start"]
    np.testing.assert_allclose(sample.points["middle"][:, 0], [9 * 0.6, 5 * 0.6])


def test_legacy_completions_and_cancelled_ones(tmp_path):
    old = task()
    old["completions"] = [{"was_cancelled": True, "result": []}, {"id": 4, "result": [point(50, 50)]}]
    del old["annotations"]
    (sample,) = labelstudio.read(save(tmp_path, [old]))
    assert len(sample.points["start"]) == 1
    assert sample.meta["cancelled"] == 1
    assert sample.meta["annotator"] is None


def test_rectangles_and_ignored_kinds(tmp_path):
    value = {"x": 10, "y": 20, "width": 50, "height": 25, "rotation": 0, "rectanglelabels": ["gauge"]}
    box = point(0, 0) | {"type": "rectanglelabels", "value": value}
    marks = [box, point(5, 5), {"type": "choices", "value": {}}, {"type": "choices"}, {"type": "brushlabels"}]
    (sample,) = labelstudio.read(save(tmp_path, [task(results=marks)]), names=ALIASES)
    np.testing.assert_allclose(sample.boxes, [[6, 8, 36, 18]])
    assert sample.labels == ["gauge"]
    assert sample.meta["ignored"] == {"choices": 2, "brushlabels": 1}


def test_one_of_several_annotators(tmp_path):
    both = task()
    both["annotations"] = [
        {"completed_by": {"id": 3, "email": "a@x.org"}, "result": [point(10, 10)]},
        {"completed_by": 4, "result": [point(20, 20)]},
    ]
    path = save(tmp_path, [both])
    for who, x in ((3, 6), ("3", 6), ("a@x.org", 6), (4, 12)):
        assert labelstudio.read(path, annotator=who)[0].points["start"][0, 0] == pytest.approx(x)
    with pytest.raises(InputError, match=r"2 annotations, by a@x.org, 4"):
        labelstudio.read(path)
    with pytest.raises(InputError, match="no annotation by annotator 9"):
        labelstudio.read(path, annotator=9)


def test_image_turned_by_exif_and_byte_order_mark(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((60, 40, 3), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    path = tmp_path / "x.json"
    path.write_text("\ufeff" + json.dumps([task(source="a.jpg", results=[point(50, 50)])]), encoding="utf-8")
    assert labelstudio.read(path, images=tmp_path)[0].size == (40, 60)


# --- writing ---------------------------------------------------------------------------------------------------------


def sample_of(name="a.png", **more):
    points = {"start": np.array([[3.25, 4.125]]), "end": np.array([[60.0, 40.0], [0.0, 0.0]])}
    visible = {"start": np.array([2]), "end": np.array([2, 2])}
    return Sample(image=Path(name), points=points, visible=visible, size=(40, 60), **more)


@pytest.mark.parametrize("name", ["a.png", "a-b c.png", "圧力計.png", "100%25.png", "what?.png", "no#1.png", "-a.png"])
def test_written_names_come_back(tmp_path, name):
    file = image(tmp_path / "photos" / name)
    labelstudio.write(tmp_path / "x.json", [sample_of(name)])
    (back,) = labelstudio.read(tmp_path / "x.json", images=tmp_path / "photos")
    assert back.image == file
    assert labelstudio.read(tmp_path / "x.json")[0].image.name == name


def test_written_file(tmp_path):
    samples = [sample_of("圧力計.png", boxes=np.array([[1.5, 2, 30, 40]]), labels=["dial"]), sample_of("b.png")]
    labelstudio.write(tmp_path / "deep" / "x.json", samples, names={"start": "Start Notch"})
    labelstudio.write(tmp_path / "y.json", samples, names={"start": "Start Notch"})
    text = (tmp_path / "deep" / "x.json").read_text(encoding="utf-8")
    assert text == (tmp_path / "y.json").read_text(encoding="utf-8")
    assert "圧力計" in text
    assert list(tmp_path.glob("**/*partial")) == []
    tasks = json.loads(text)
    assert [one["id"] for one in tasks] == [1, 2]
    first = tasks[0]["annotations"][0]["result"][0]
    assert (first["original_width"], first["original_height"], first["image_rotation"]) == (60, 40, 0)
    assert first["value"]["keypointlabels"] == ["Start Notch"]
    back = labelstudio.read(tmp_path / "y.json", names=ALIASES)
    np.testing.assert_allclose(back[0].boxes, samples[0].boxes, atol=1e-9)
    assert back[0].labels == ["dial"]


def test_missing_points_are_left_out_and_size_is_measured(tmp_path):
    file = image(tmp_path / "a.png")
    points = {"start": np.array([[np.nan, np.nan], [5, 5], [7, 7]])}
    labelstudio.write(tmp_path / "x.json", [Sample(image=file, points=points, visible={"start": np.array([0, 2, 0])})])
    (back,) = labelstudio.read(tmp_path / "x.json", images=tmp_path)
    np.testing.assert_allclose(back.points["start"], [[5, 5]])
    assert back.size == (40, 60)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([sample_of(), sample_of()], "two samples have the image 'a.png'"),
        ([Sample(image=Path("a.png"), points={"a": np.array([[61.0, 2.0]])}, size=(40, 60))], r"\(61, 2\) of 'a.png'"),
        ([sample_of(boxes=np.array([[0.0, 0, 70, 40]]))], "outside its 60 x 40"),
        ([sample_of(boxes=np.array([[0.0, 0, 7, 4]]), labels=["a", "b"])], "1 boxes and 2 labels"),
        ([Sample(image=Path("nowhere.png"))], "no such file"),
    ],
)
def test_what_cannot_be_written(tmp_path, samples, words):
    with pytest.raises(InputError, match=words):
        labelstudio.write(tmp_path / "x.json", samples)
    assert list(tmp_path.iterdir()) == []


@given(
    st.tuples(st.integers(1, 9000), st.integers(1, 9000)),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.sampled_from("abc")), max_size=12),
)
def test_round_trip_within_a_billionth_of_a_pixel(tmp_path_factory, size, marks):
    points = {name: np.array([(x, y) for x, y, label in marks if label == name]).reshape(-1, 2) for name in "abc"}
    points = {name: xy * size[::-1] for name, xy in points.items() if len(xy)}
    path = tmp_path_factory.mktemp("round") / "x.json"
    labelstudio.write(path, [Sample(image=Path("a.png"), points=points, size=size)])
    (back,) = labelstudio.read(path)
    assert set(back.points) == set(points)
    for name, xy in points.items():
        np.testing.assert_allclose(back.points[name], xy, atol=1e-9, rtol=0)


def result_of(value: dict, kind: str | None) -> dict:
    stated = {} if kind is None else {"type": kind}
    return {"original_width": 100, "original_height": 80, "image_rotation": 0, "value": value, **stated}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"x": 30, "y": 50, "width": 0.4, "keypointlabels": ["Notch"]}, "keypointlabels"),
        ({"x": 30, "y": 50, "width": 0.4, "keypointlabels": ["Notch"]}, None),
        ({"x": 30, "y": 50, "width": 0.4, "labels": ["Notch"]}, "labels"),
    ],
)
def test_a_key_point_is_known_by_what_it_holds(tmp_path: Path, value: dict, kind: str | None) -> None:
    """Projects with shapes and labels apart, and other programs' files, do not say ``keypointlabels``."""
    bare = result_of({"x": 30, "y": 50, "width": 0.4}, "keypoint")
    other = result_of({"x": 3, "y": 5, "radiusX": 2, "radiusY": 2, "ellipselabels": ["Notch"]}, "ellipselabels")
    task = {
        "id": 7,
        "data": {"img": "a.png"},
        "annotations": [
            {"id": 1, "was_cancelled": True, "result": []},
            {"id": 2, "result": [result_of(value, kind), bare, other]},
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps([task]), encoding="utf-8")
    (sample,) = labelstudio.read(tmp_path / "a.json")
    assert sample.points["Notch"].tolist() == [[30.0, 40.0]]
    assert labelstudio.left_out([sample]) == [
        "cancelled annotations left out of task 7",
        "results of type 'ellipselabels' left out of task 7",
    ]


def test_a_shape_without_any_label_is_named(tmp_path: Path) -> None:
    bare = {"id": "x", "type": "keypoint", "value": {"x": 30, "y": 50, "width": 0.4}}
    task = {"id": 7, "data": {"img": "a.png"}, "annotations": [{"id": 2, "result": [bare]}]}
    (tmp_path / "a.json").write_text(json.dumps([task]), encoding="utf-8")
    found = labelstudio.left_out(labelstudio.read(tmp_path / "a.json"))
    assert found == ["results of type 'keypoint without a label' left out of task 7"]


def test_a_rectangle_with_its_label_apart(tmp_path: Path) -> None:
    value = {"x": 10, "y": 10, "width": 50, "height": 50, "labels": ["dial"]}
    task = {"id": 7, "data": {"img": "a.png"}, "annotations": [{"id": 2, "result": [result_of(value, "labels")]}]}
    (tmp_path / "a.json").write_text(json.dumps([task]), encoding="utf-8")
    (sample,) = labelstudio.read(tmp_path / "a.json")
    assert sample.boxes.tolist() == [[10.0, 8.0, 60.0, 48.0]] and list(sample.labels) == ["dial"]


def test_hidden_points_and_points_of_boxes(tmp_path):
    """As Label Studio exports choices of one region (perRegion) and regions that are part of another (parentID)."""
    image(tmp_path / "a.png")
    box = {"x": 0, "y": 0, "width": 50, "height": 100, "rotation": 0, "rectanglelabels": ["face"]}
    other = {**box, "x": 50}
    results = [
        point(10, 10, "nose", id="n1", parentID="b2"),
        point(80, 10, "nose", id="n2", parentID="b1"),
        {**point(10, 10, id="n1", type="choices"), "value": {"x": 10, "y": 10, "choices": ["Occluded"]}},
        {**point(0, 0, id="q", type="choices"), "value": {"choices": ["hidden"]}},
        {**point(80, 10, id="n2", type="choices"), "value": {"choices": ["sharp"]}},
        {**point(0, 0, id="b1", type="rectanglelabels"), "value": box},
        {**point(0, 0, id="b2", type="rectanglelabels"), "value": other},
    ]
    (sample,) = labelstudio.read(save(tmp_path, [task(results=results)]), tmp_path)
    assert sample.visible["nose"].tolist() == [1, 2] and sample.meta["parents"] == {"nose": [1, 0]}
    assert sample.meta["ignored"] == {"choices": 2}, "of the image, and one that says something else"
    ((row,), several, lost) = numbered([sample])
    assert row.points["nose"].tolist() == [[48.0, 4.0], [6.0, 4.0]] and row.visible["nose"].tolist() == [2, 1]
    assert (several, lost) == ({}, 0), "each point goes to the box that it is part of, wherever it lies"
