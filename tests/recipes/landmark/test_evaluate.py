"""Figures of faces against values that were worked out by hand, and which images they are about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from kaname.errors import InputError
from kaname.pipeline.answers import write
from kaname.pipeline.labelled import Result
from kaname.recipes.landmark.config import AnswerSettings
from kaname.recipes.landmark.evaluate import compare, face_sizes, score, summary_text
from kaname.recipes.landmark.labels import Picture, digest_of, labelled
from kaname.reporting.compare import comparison
from kaname.types import Points, Prediction
from recipes.landmark.faces import BONES, face, folder

SIZE = (120, 100)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


def read(place: Path) -> list[Picture]:
    config = {"data": {"images": place / "images", "annotations": place / "annotated"}}
    return list(labelled(None, config).read("all"))


def predictions(
    path: Path, rows: dict[str, Sequence[np.ndarray]], trained_on: Sequence[str] = (), **settings: float
) -> Path:
    """A file of predictions: for each image the faces ``(28, 2)`` in continuous pixels."""
    about = {
        "recipe": "landmark", "model": "by hand", "answers": settings, "skeleton": BONES.to_dict(),
        "trained_on": trained_on,
    }  # fmt: skip
    answers = []
    for source, faces in rows.items():
        xy = np.stack(faces) if faces else np.zeros((0, 28, 2))
        named = {name: xy[:, number] for number, name in enumerate(BONES.names)}
        scores = {name: np.full(len(xy), 0.5) for name in BONES.names}
        answers.append(Prediction(source, Points(named, scores, SIZE)))
    write(path, answers, about)
    return path


def value(result: Result, figure: str, group: str = "all") -> float | None:
    return result.groups[group][figure]["value"]


def test_errors_by_hand(tmp_path: Path, random: np.random.Generator) -> None:
    """Every landmark 3 px right and 4 px down of the truth: 5 px over the size of each normalisation."""
    points = face(random)
    pictures = read(folder(tmp_path, {"a.png": [points]}))
    file = predictions(tmp_path / "points.json", {"a.png": [points + 0.5 + (3, 4)]})
    result = score(file, pictures, AnswerSettings(), {})
    width, height = np.ptp(points, axis=0)
    left, right = points[11:17].mean(axis=0), points[17:23].mean(axis=0)
    expected = {
        "nme_bbox": 5 / max(width, height),
        "nme_bbox_sqrt": 5 / np.sqrt(width * height),
        "nme_interocular": 5 / np.linalg.norm(left - right),
        "nme_outer": 5 / np.linalg.norm(points[11] - points[19]),
    }
    for name, number in expected.items():
        assert value(result, name) == pytest.approx(number, rel=1e-6)
    assert value(result, "failure_rate") == 0.0
    assert value(result, "auc") == pytest.approx(1 - expected["nme_bbox"] / 0.1)
    assert summary_text(result).splitlines() == [
        "Number of samples: 1",
        f"NME (bbox): {expected['nme_bbox']:.4f}",
        f"NME (interocular): {expected['nme_interocular']:.4f}",
    ]


def test_the_curve_of_many_faces(tmp_path: Path, random: np.random.Generator) -> None:
    """AUC is the area under the share of faces below each error up to 0.1; failures are those above it."""
    faces = {f"{number}.png": [face(random)] for number in range(9)}
    pictures = read(folder(tmp_path, faces))
    errors = np.linspace(0.01, 0.17, 9)
    moved = {
        name: [points + 0.5 + (error * np.ptp(points, axis=0).max(), 0)]
        for (name, (points,)), error in zip(faces.items(), errors, strict=True)
    }
    result = score(predictions(tmp_path / "points.json", moved), pictures, AnswerSettings(), {})
    places = np.linspace(0, 0.1, 100_001)
    curve = (errors[None] <= places[:, None]).mean(axis=1)
    assert value(result, "auc") == pytest.approx(np.trapezoid(curve, places) / 0.1, abs=1e-3)
    assert value(result, "failure_rate") == pytest.approx((errors > 0.1).mean())
    assert result.groups["all"]["nme_bbox"]["low"] < errors.mean() < result.groups["all"]["nme_bbox"]["high"]


def test_hidden_and_absent_landmarks(tmp_path: Path, random: np.random.Generator) -> None:
    """Hidden ones stand apart, absent ones count nowhere."""
    points = face(random)
    points[27] = np.nan
    place = folder(tmp_path, {"a.png": [points]})
    file = place / "annotated" / "a.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"hidden": [23]}))
    moved = np.nan_to_num(points, nan=5.0) + 0.5
    moved[23] += (8, 0)
    result = score(predictions(tmp_path / "p.json", {"a.png": [moved]}), read(place), AnswerSettings(), {})
    size = np.nanmax(points, axis=0) - np.nanmin(points, axis=0)
    assert value(result, "nme_bbox", "hidden") == pytest.approx(8 / size.max())
    assert value(result, "nme_bbox", "seen") == pytest.approx(0, abs=1e-9)
    assert value(result, "nme_bbox") == pytest.approx(8 / size.max() / 27)
    assert value(result, "nme_bbox", "nose") == pytest.approx(8 / size.max())


def test_faces_find_their_partners(tmp_path: Path, random: np.random.Generator) -> None:
    """Whatever their order; one that is not found has failed, one too many is counted."""
    first, second, third = (face(random, corner, 30) for corner in (5, 40, 65))
    pictures = read(folder(tmp_path, {"a.png": [first, second], "b.png": [third]}))
    rows = {"a.png": [second + 0.5, first + 0.5, third + 0.5], "b.png": []}
    result = score(predictions(tmp_path / "points.json", rows), pictures, AnswerSettings(), {})
    assert value(result, "nme_bbox") == pytest.approx(0, abs=1e-9)
    assert value(result, "failure_rate") == pytest.approx(1 / 3) and value(result, "auc") == pytest.approx(2 / 3)
    assert result.settings["faces_not_found"] == 1 and result.settings["faces_without_truth"] == 1


def test_a_face_without_a_size_is_excluded_and_counted(tmp_path: Path, random: np.random.Generator) -> None:
    """No division by zero: one landmark has no extent."""
    lone = np.full((28, 2), np.nan)
    lone[23] = 50
    points = face(random)
    pictures = read(folder(tmp_path, {"a.png": [lone], "b.png": [points]}))
    rows = {"a.png": [np.full((28, 2), 60.0)], "b.png": [points + 0.5]}
    entry = score(predictions(tmp_path / "p.json", rows), pictures, AnswerSettings(), {}).groups["all"]
    for name in ("nme_bbox", "nme_bbox_sqrt", "nme_interocular", "nme_outer", "failure_rate", "auc"):
        assert entry[name]["n"] == 1 and entry[name]["excluded"] == 1
    assert set(face_sizes(lone, BONES).values()) == {None}


def test_training_images_stand_apart(tmp_path: Path, random: np.random.Generator) -> None:
    """By content, whatever they are called; where there are no others, it is said loudly."""
    faces = {name: [face(random)] for name in ("a.png", "b.png")}
    place = folder(tmp_path, faces)
    known = [digest_of(place / "images" / "b.png")]
    rows = {"a.png": [faces["a.png"][0] + 0.5], "b.png": [faces["b.png"][0] + 5.5]}
    pictures = read(place)
    result = score(predictions(tmp_path / "p.json", rows, known), pictures, AnswerSettings(), {})
    assert value(result, "nme_bbox") == pytest.approx(0, abs=1e-9) and result.settings["training_images"] == 1
    assert value(result, "nme_bbox", "training_images") > 0.05  # type: ignore[operator]
    everyone = [digest_of(picture.image) for picture in pictures]
    result = score(predictions(tmp_path / "p.json", rows, everyone), pictures, AnswerSettings(), {})
    assert result.settings["only_training_images"] and "EVERY ONE" in result.title
    assert "training_images" not in result.groups and result.groups["all"]["nme_bbox"]["n"] == 2


def test_images_of_one_name_in_two_folders(tmp_path: Path, random: np.random.Generator) -> None:
    """Each finds its own row by its path."""
    faces = {name: [face(random)] for name in ("cat/a.png", "dog/a.png")}
    pictures = read(folder(tmp_path, faces))
    assert [picture.source for picture in pictures] == ["cat/a.png", "dog/a.png"]
    rows = {f"{tmp_path}/images/{name}": [points + 0.5] for name, (points,) in reversed(faces.items())}
    result = score(predictions(tmp_path / "p.json", rows), pictures, AnswerSettings(), {})
    assert value(result, "nme_bbox") == pytest.approx(0, abs=1e-9)


def test_two_files_are_compared_face_by_face(tmp_path: Path, random: np.random.Generator) -> None:
    """As ``kaname compare`` asks."""
    faces = {f"{number}.png": [face(random)] for number in range(6)}
    place = folder(tmp_path, faces)
    file = predictions(tmp_path / "p.json", {name: [points + 3.5] for name, (points,) in faces.items()})
    options = {"annotations": place / "annotated"}
    scored = compare(file, place / "images", split=None, cluster=None, options=options)
    assert len(scored.values) == 6 and scored.cluster == "image"
    assert all(entry["all"]["nme_bbox"] > 0.04 for entry in scored.values.values())
    assert "nme_bbox" in scored.lower_is_better and "auc" not in scored.lower_is_better


def test_compared_as_it_was_evaluated(tmp_path: Path, random: np.random.Generator) -> None:
    """With the file's own limit of a failure, and without the images that the model has learned from."""
    faces = {f"{number}.png": [face(random)] for number in range(4)}
    place = folder(tmp_path, faces)
    rows = {name: [points + 3.5] for name, (points,) in faces.items()}
    known = [digest_of(place / "images" / "0.png")]
    file = predictions(tmp_path / "p.json", rows, known, failure=0.01)
    scored = compare(file, place, split=None, cluster=None, options={})
    result = score(file, read(place), AnswerSettings(failure=0.01), {})
    for figure in ("nme_bbox", "failure_rate", "auc"):
        values = [entry["all"][figure] for entry in scored.values.values()]
        assert np.mean(values) == pytest.approx(value(result, figure))  # type: ignore[arg-type]
    assert scored.left_out == {"0.png": "the model has learned from it"} and scored.settings["failure"] == 0.01
    other = compare(file, place, split=None, cluster=None, options={"failure": 0.2})
    assert other.settings["failure"] == 0.2
    with pytest.raises(InputError, match=r"failure of B is 0.2, of A 0.01"):
        comparison(scored, other)
    everyone = [digest_of(place / "images" / name) for name in faces]
    everything = compare(predictions(tmp_path / "q.json", rows, everyone), place, split=None, cluster=None, options={})
    assert len(everything.values) == 4 and not everything.left_out


def test_intervals_of_each_landmark_are_over_images(tmp_path: Path, random: np.random.Generator) -> None:
    """Faces of one image resemble each other: four images are too few, however many faces they show."""
    faces = {f"{number}.png": [face(random, corner, 30) for corner in (5, 60)] for number in range(4)}
    rows = {name: [points + 2.5 for points in shown] for name, shown in faces.items()}
    result = score(predictions(tmp_path / "p.json", rows), read(folder(tmp_path, faces)), AnswerSettings(), {})
    entry = result.files["landmark_metrics.json"]["nose"]
    assert (entry["n"], entry["low"]) == (8, None) and result.groups["all"]["nme_bbox"]["low"] is None


def test_annotations_lie_beside_the_images_that_are_compared(tmp_path: Path, random: np.random.Generator) -> None:
    """Of ``--data``: the folder of the images, or the one that ``landmark sample`` writes, with both in it."""
    faces = {f"{number}.png": [face(random)] for number in range(3)}
    place = folder(tmp_path, faces)
    file = predictions(tmp_path / "p.json", {name: [points + 3.5] for name, (points,) in faces.items()})
    for data in (place / "images", place):
        assert len(compare(file, data, split=None, cluster=None, options={}).values) == 3
    (place / "annotated").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"images: no folder of annotations.*annotations=DIR"):
        compare(file, place / "images", split=None, cluster=None, options={})
