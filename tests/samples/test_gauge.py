from __future__ import annotations

import json
from collections import Counter

import cv2
import numpy as np
import pytest

from kaname.data.formats import labelstudio
from kaname.errors import InputError
from kaname.samples import gauge
from kaname.samples.camera import Camera, polar, turn
from kaname.samples.dial import paint_ticks
from kaname.samples.lettering import text_mask
from kaname.samples.painting import EXTENT
from kaname.samples.scale import Scale, Ticks

SMALL = 128


def draw(index: int, size: int = SMALL, seed: int = 3) -> gauge.Dial:
    return gauge.render(np.random.default_rng([seed, index]), size)


def centroid(image: np.ndarray, near: np.ndarray, reach: int) -> np.ndarray:
    """Centre of the darkness around a point, in continuous coordinates, measured without the package's own grid."""
    x, y = (int(v) for v in near)
    part = 255 - image[y - reach : y + reach + 1, x - reach : x + reach + 1, 1].astype(float)
    ys, xs = np.mgrid[y - reach : y + reach + 1, x - reach : x + reach + 1]
    return np.array([(part * (xs + 1 / 2)).sum(), (part * (ys + 1 / 2)).sum()]) / part.sum()


@pytest.mark.parametrize(("tilt", "roll", "bend"), [(0, 0, 0.0), (0, 33, 0.0), (25, 7, 0.0), (40, -60, 0.05)])
def test_points_lie_on_the_middle_of_the_drawn_ticks(tilt: float, roll: float, bend: float) -> None:
    rng = np.random.default_rng(5)
    errors = []
    for _ in range(6):
        inner = rng.uniform(0.7, 0.8)
        major = Ticks(inner, inner + rng.uniform(0.04, 0.1), rng.uniform(0.01, 0.03))
        angles = rng.uniform(0, 6) + np.arange(11) * 0.47
        scale = Scale(angles, np.arange(11.0), major, None, None, np.zeros(0), np.zeros(0), (), (0, 0, 0))
        canvas = np.full((570, 570, 3), 255, np.uint8)
        paint_ticks(canvas, scale)
        centre = tuple(rng.uniform(215, 233, 2))
        rotation = turn(np.radians(roll), np.radians(tilt), rng.uniform(0, 6))
        camera = Camera(rotation, 8.0, 190.0, centre, bend, (224.0, 224.0), 317.0)
        image = 255 - camera.bend_image(camera.warp(255 - canvas, EXTENT, (448, 448)))
        for point in camera.bend_points(camera.project(scale.points())):
            errors.append(centroid(image, point, 17) - point)
    assert np.abs(errors).max() <= 0.3
    assert np.abs(np.mean(errors, axis=0)).max() <= 0.05


def test_two_part_ticks_and_all_others_follow_the_annotators() -> None:
    angles = np.array([0.0, 1.0])
    for form, expected in (("plain", 0.8), ("wedge", 0.8), ("dot", 0.8), ("two-part", 0.775)):
        major = Ticks(0.7, 0.9, 0.03, form, joint=0.5)
        scale = Scale(angles, angles, major, None, None, np.zeros(0), np.zeros(0), (), (0, 0, 0))
        np.testing.assert_allclose(scale.points(), polar(expected, angles), atol=1e-12)


def test_camera_matches_a_hand_computed_view() -> None:
    head_on = Camera(np.eye(3), 5.0, 100.0, (200.0, 210.0))
    np.testing.assert_allclose(head_on.project(np.array([[1.0, 0], [0, -1]])), [[300, 210], [200, 110]])
    # half a radius nearer of five: 5 / 4.5 times as large
    np.testing.assert_allclose(head_on.project(np.array([[1.0, 0]]), 0.5), [[200 + 100 * 5 / 4.5, 210]])


def test_lens_points_and_lens_image_agree() -> None:
    camera = Camera(np.eye(3), 5.0, 100.0, (224.0, 224.0), 0.06, (224.0, 224.0), 317.0)
    points = np.random.default_rng(0).uniform(10, 430, (50, 2))
    np.testing.assert_allclose(camera.source(camera.bend_points(points)), points, atol=1e-6)


def test_a_picture_depends_on_seed_and_index_alone() -> None:
    first, again, other = draw(4), draw(4), draw(5)
    assert np.array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)
    for name in ("start", "middle", "end"):
        assert np.array_equal(first.points[name], again.points[name])


def test_drawing_does_not_touch_the_global_generators() -> None:
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    draw(0)
    assert np.array_equal(before, np.random.get_state()[1])


def test_two_hundred_draws_cover_the_variety_and_keep_every_notch_inside() -> None:
    dials = [draw(i, 96) for i in range(200)]
    for dial in dials:
        assert dial.image.shape == (96, 96, 3)
        assert dial.image.dtype == np.uint8
        assert dial.points["start"].shape == dial.points["end"].shape == (1, 2)
        points = np.concatenate(list(dial.points.values()))
        assert points.dtype == np.float64
        assert len(points) == dial.traits["notches"]
        assert points.min() > 0
        assert points.max() < 96
        assert dial.image.std() > 4
    traits = [dial.traits for dial in dials]
    counts = Counter(t["notches"] for t in traits)
    assert min(counts) <= 5
    assert max(counts) >= 21
    assert {t["form"] for t in traits} == {"plain", "two-part", "wedge", "dot"}
    assert {t["arcs"] for t in traits} >= {0, 1, 2}
    assert {t["numbered"] for t in traits} >= {1, 2}
    for key in ("inside", "second", "dark"):
        assert {t[key] for t in traits} == {True, False}
    tilts = np.array([t["tilt"] for t in traits])
    sweeps = np.abs([t["sweep"] for t in traits])
    assert tilts.max() > 35
    assert (tilts < 12).mean() > 0.3
    assert sweeps.min() < 215
    assert sweeps.max() > 310


def test_photographs_hold_the_dial_in_its_box() -> None:
    for i in range(4):
        dial = gauge.render_photograph(np.random.default_rng([1, i]), (240, 320))
        assert dial.image.shape == (240, 320, 3)
        x1, y1, x2, y2 = dial.boxes[0]
        assert 0 <= x1 < x2 <= 320
        assert 0 <= y1 < y2 <= 240
        points = np.concatenate(list(dial.points.values()))
        assert (points > [x1, y1]).all()
        assert (points < [x2, y2]).all()


def test_the_package_reads_what_it_writes(tmp_path) -> None:
    out = gauge.write(tmp_path / "set", 2, 8, size=SMALL, layout="flat")
    names = {label.lower(): name for name, label in gauge.LABELS.items()}
    samples = labelstudio.read(out / "annotation.json", out / "images", names=names)
    assert len(samples) == 2
    for index, sample in enumerate(samples):
        truth = draw(index, seed=8)
        assert sample.size == (SMALL, SMALL)
        for name, points in {**truth.points, **truth.needle}.items():
            np.testing.assert_allclose(sample.points[name], points, atol=1e-9)


def test_signs_that_a_font_lacks_come_from_another() -> None:
    assert np.array_equal(text_mask("°C", "cmr10", 30), text_mask("°C", "STIXGeneral", 30))
    assert not np.array_equal(text_mask("0.5", "cmr10", 30), text_mask("0.5", "STIXGeneral", 30))


def read_tasks(path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))


def test_write_makes_the_layout_that_training_reads(tmp_path) -> None:
    out = gauge.write(tmp_path / "set", 5, 11, size=SMALL, val_fraction=0.4)
    for part, indices in (("train", [0, 1, 2]), ("val", [3, 4])):
        tasks = read_tasks(out / part / "labels" / "annotation.json")
        assert len(tasks) == len(indices)
        for task, index in zip(tasks, indices, strict=True):
            prefix, name = task["data"]["img"].rsplit("/", 1)[1].split("-", 1)
            assert len(prefix) == 8
            assert int(prefix, 16) >= 0
            stored = cv2.imread(str(out / part / "images" / name))
            assert stored.shape == (SMALL, SMALL, 3)
            truth = draw(index, seed=11)
            # the file is the rendered picture, in RGB order, through one good JPEG
            assert np.abs(stored[..., ::-1].astype(int) - truth.image).mean() < 6
            result = task["annotations"][0]["result"]
            labels = Counter(r["value"]["keypointlabels"][0] for r in result)
            assert labels["Start Notch"] == labels["End Notch"] == 1
            assert labels["Inbetween Notch"] == len(truth.points["middle"])
            read = np.array([[r["value"]["x"], r["value"]["y"]] for r in result]) * SMALL / 100
            np.testing.assert_allclose(read, np.concatenate([*truth.points.values(), *truth.needle.values()]))
            assert all(r["original_width"] == r["original_height"] == SMALL for r in result)


def test_processes_and_count_change_nothing(tmp_path) -> None:
    one = gauge.write(tmp_path / "one", 17, 2, size=64, layout="flat", processes=1)
    two = gauge.write(tmp_path / "two", 18, 2, size=64, layout="flat", processes=2)
    assert read_tasks(one / "annotation.json") == read_tasks(two / "annotation.json")[:17]
    for path in sorted((one / "images").iterdir()):
        assert path.read_bytes() == (two / "images" / path.name).read_bytes()


def test_photographs_are_written_with_rectangles(tmp_path) -> None:
    out = gauge.write(tmp_path / "scenes", 2, 0, size=96, layout="photographs")
    for task in read_tasks(out / "annotation.json"):
        boxes = [r["value"] for r in task["annotations"][0]["result"] if r["type"] == "rectanglelabels"]
        assert len(boxes) == 1
        assert 0 < boxes[0]["width"] <= 100
        assert 0 <= boxes[0]["y"] <= 100 - boxes[0]["height"] + 1e-9


def test_one_image_goes_to_train(tmp_path) -> None:
    out = gauge.write(tmp_path / "one", 1, 0, size=64)
    assert len(list((out / "train" / "images").iterdir())) == 1
    assert not (out / "val").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"count": 0}, "count"),
        ({"seed": -1}, "seed"),
        ({"size": 20}, "size"),
        ({"size": 9999}, "4096"),
        ({"val_fraction": 1.0}, "val_fraction"),
        ({"layout": "coco"}, "layout"),
    ],
)
def test_bad_values_are_refused_with_a_remedy(tmp_path, change, words) -> None:
    values = {"count": 2, "seed": 0, "size": 64} | change
    with pytest.raises(InputError, match=words) as caught:
        gauge.write(tmp_path / "new", **values)
    assert caught.value.remedy
    assert not (tmp_path / "new").exists()


def test_a_folder_with_content_is_refused(tmp_path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty") as caught:
        gauge.write(tmp_path, 1, 0, size=64)
    assert caught.value.remedy
    assert [p.name for p in tmp_path.iterdir()] == ["kept.txt"]
