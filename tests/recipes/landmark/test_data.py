"""Training samples: what the network sees is what is annotated, changed at random or not; the sets of a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kaname.codecs.heatmap import decode
from kaname.errors import InputError
from kaname.metrics.points import nme
from kaname.recipes.landmark.config import NOTHING, AugmentSettings, DataSettings, LandmarkConfig
from kaname.recipes.landmark.data import Faces
from kaname.recipes.landmark.labels import labelled, training_sets
from kaname.recipes.landmark.prepare import annotated_boxes
from kaname.recipes.landmark.step import errors, mean_error
from kaname.types import Frame
from recipes.landmark.faces import BONES, face, folder


def config_of(place: Path, **more) -> LandmarkConfig:
    data = DataSettings(images=place / "images", annotations=place / "annotated", held_out=0.0)
    return replace(LandmarkConfig(data=data, size=128), **more)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    random = np.random.default_rng(5)
    return folder(tmp_path, {f"{number}.png": [face(random)] for number in range(4)})


def pictures(config: LandmarkConfig) -> list:
    return list(
        labelled(None, {"data": {"images": config.data.images, "annotations": config.data.annotations}}).read("all")
    )


@pytest.mark.parametrize(
    "change", [NOTHING, AugmentSettings(), replace(NOTHING, flip=1.0), replace(NOTHING, rotate=180.0, scale=0.5)]
)
def test_maps_lie_where_the_points_are(place: Path, change: AugmentSettings) -> None:
    """For every landmark that counts, the target's peak is its place in the crop."""
    config = config_of(place, augment=change)
    samples = Faces(config, pictures(config), augment=True)
    for index, epoch in ((index, epoch) for index in range(len(samples)) for epoch in range(4)):
        row = samples.sample(index, epoch)
        counts = row["weight"] > 0
        inner = counts & ((row["points"] > 8) & (row["points"] < 120)).all(axis=1)
        found, _ = decode(row["heatmaps"][inner], config.grid, "dark")
        np.testing.assert_allclose(found, row["points"][inner], atol=0.15)
        assert not row["heatmaps"][~counts].any() and np.isnan(row["points"][~counts]).all()
        assert row["images"].shape == (128, 128, 3) and row["heatmaps"].shape == (28, 32, 32)


def test_the_error_while_validating_is_that_of_evaluate(tmp_path: Path) -> None:
    """Over every landmark that is annotated: also those that do not train, hidden or outside the crop."""
    points = face(np.random.default_rng(4))
    place = folder(tmp_path, {"a.png": [points]}, box=(40.0, 40.0, 25.0, 25.0))
    file = place / "annotated" / "a.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"hidden": [0, 9, 23]}))
    config = config_of(place, hidden_weight=0.0)
    (picture,) = pictures(config)
    row = Faces(config, [picture], augment=False).sample(0, -1)
    assert 0 < (row["weight"] > 0).sum() < 25 and np.isfinite(row["points"]).all()
    maps = np.random.default_rng(0).uniform(0, 1, (1, 28, *config.cells)).astype(np.float32)
    targets = {name: torch.from_numpy(np.asarray(row[name]))[None] for name in ("points", "weight", "extent")}
    sums = errors(torch.from_numpy(maps), targets, config.grid, "dark")
    logged = mean_error({name: float(value) for name, value in sums.items()})
    found = config.view.into(picture.size, picture.boxes[0]).inverse().points(decode(maps[0], config.grid, "dark")[0])
    expected = nme(found, points + 0.5, np.ones(28), float(np.ptp(points, axis=0).max()))
    assert logged["nme"] == pytest.approx(expected, rel=1e-5)


def test_a_mirror_swaps_left_and_right(place: Path) -> None:
    """The picture is turned, and what was the left eye's corner is now the right one's."""
    config = config_of(place)
    plain, turned = (
        Faces(replace(config, augment=replace(NOTHING, flip=flip)), pictures(config), augment=True)
        for flip in (0.0, 1.0)
    )
    one, other = plain.sample(1, 0), turned.sample(1, 0)
    np.testing.assert_array_equal(other["images"], one["images"][:, ::-1])
    expected = one["points"][BONES.permutation]
    np.testing.assert_allclose(other["points"], np.stack([128 - expected[:, 0], expected[:, 1]], axis=1), atol=1e-4)
    left, right = BONES.names.index("left_eye_upper_outer"), BONES.names.index("right_eye_upper_outer")
    assert other["points"][left, 0] < other["points"][right, 0]


def test_the_crop_is_the_annotated_box_grown(tmp_path: Path) -> None:
    """A box of the file grows by a quarter; without one it is the landmarks' extent, grown by a fifth first."""
    points = face(np.random.default_rng(3))
    for name, box, side in (("with", (10.0, 20.0, 60.0, 40.0), 60 * 1.25), ("without", None, None)):
        place = folder(tmp_path / name, {"a.png": [points]}, box=box)
        config = config_of(place)
        (picture,) = pictures(config)
        extent = points.max(axis=0) - points.min(axis=0)
        wide = side or max(extent) * 1.2 * 1.25
        region = config.view.region(picture.boxes[0])
        np.testing.assert_allclose(region[2:] - region[:2], wide, rtol=1e-6)
        found = annotated_boxes(place / "annotated")(
            place / "images" / "a.png", Frame(0, 0.0, np.zeros((1, 1, 3), np.uint8))
        )
        np.testing.assert_allclose(found, picture.boxes)


@pytest.mark.parametrize("placed", [0, 3])
def test_an_unfinished_face_has_no_box(tmp_path: Path, placed: int) -> None:
    """Its few points do not say where it is; with a box it does, and other images do not mind."""
    faces = {"cats/a.png": [face(np.random.default_rng(3))], "b.png": [face(np.random.default_rng(4))]}
    place, frame = folder(tmp_path, faces), Frame(0, 0.0, np.zeros((1, 1, 3), np.uint8))
    path = place / "annotated" / "cats__a.json"
    content = json.loads(path.read_text())
    content["visible"] = [1] * placed + [None] * (28 - placed)
    content["landmarks"] = content["landmarks"][:placed] + [[None, None]] * (28 - placed)
    path.write_text(json.dumps({**content, "finished": False, "image": "cats\\a.png"}))
    find = annotated_boxes(place / "annotated")
    assert find(place / "images" / "b.png", frame).shape == (1, 4)
    with pytest.raises(InputError, match="a face without a bbox that is not finished") as caught:
        find(place / "images" / "cats" / "a.png", frame)
    assert caught.value.path == str(path)
    path.write_text(json.dumps({**content, "finished": False, "bbox": [10, 20, 30, 40]}))
    boxes = annotated_boxes(place / "annotated")(place / "images" / "cats" / "a.png", frame)
    assert boxes.tolist() == [[10, 20, 40, 60]]


def test_an_image_of_the_same_name_in_another_folder_has_no_annotation(tmp_path: Path) -> None:
    """Whether the one that is meant lies above, or others of that folder are annotated with it."""
    place = folder(tmp_path, {"a.png": [face(np.random.default_rng(3))]})
    frame, other = Frame(0, 0.0, np.zeros((1, 1, 3), np.uint8)), place / "images" / "y" / "a.png"
    other.parent.mkdir()
    other.write_bytes((place / "images" / "a.png").read_bytes())
    find = annotated_boxes(place / "annotated")
    assert find(place / "images" / "a.png", frame).shape == (1, 4)
    with pytest.raises(InputError, match="no annotation of this image"):
        find(other, frame)
    place = folder(
        tmp_path / "two", {"a.png": [face(np.random.default_rng(3))], "y/b.png": [face(np.random.default_rng(4))]}
    )
    find = annotated_boxes(place / "annotated")
    assert find(place / "images" / "y" / "b.png", frame).shape == (1, 4)
    with pytest.raises(InputError, match="no annotation of this image"):
        find(place / "images" / "y" / "a.png", frame)


def test_hidden_landmarks_count_as_asked(place: Path) -> None:
    """And absent ones not at all."""
    config = config_of(place, hidden_weight=0.25)
    (picture, *_) = pictures(config)
    visible = np.full(28, 2)
    visible[[3, 4]] = 1, 0
    changed = np.where(visible[:, None] > 0, picture.faces[0].points, np.nan)
    picture = replace(picture, faces=[replace(picture.faces[0], visible=visible, points=changed)])
    weight = Faces(config, [picture], augment=False).sample(0, -1)["weight"]
    assert weight[3] == 0.25 and weight[4] == 0 and (np.delete(weight, [3, 4]) == 1).all()


def test_sets_of_a_run(place: Path) -> None:
    """By lists, by a folder of validation annotations, by holding some out."""
    held = replace(config_of(place), data=replace(config_of(place).data, held_out=0.25))
    sets = training_sets(held)
    assert {name: len(members) for name, members in sets.items()} == {"train": 3, "val": 1}
    assert training_sets(held)["val"][0].source == sets["val"][0].source
    assert {name: len(members) for name, members in training_sets(config_of(place)).items()} == {"train": 4}
    lists = place / "datasets"
    lists.mkdir()
    for name, files in (("train", "0.json\n1.json\n"), ("val", "2.json\n"), ("test", "3.json\n")):
        (lists / f"{name}.txt").write_text(files)
    sets = training_sets(held)  # the lists beside the annotations
    assert [picture.source for picture in sets["train"]] == ["0.png", "1.png"]
    assert [picture.source for picture in sets["val"]] == ["2.png"]
    stored = {"data": {"images": place / "images", "annotations": place / "annotated", "split": lists}}
    scored = labelled(None, stored)
    assert set(scored.names) == {"train", "val", "test"} and scored.order[0] == "test"
    assert [picture.source for picture in scored.read("test")] == ["3.png"]


def test_nothing_to_train_on(place: Path) -> None:
    """Unfinished faces do not train."""
    import json

    for path in (place / "annotated").glob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"finished": False}))
    with pytest.raises(InputError, match="finished"):
        training_sets(config_of(place))
