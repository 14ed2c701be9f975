from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calling import call, snapshot
from kaname.data.formats import labelstudio
from kaname.geometry.image import read_image, write_image
from recipes.gauge.dials import CHANNELS, TRAIN, dial_points, draw_dial, task, write_json

BOX = (20.0, 10.0, 120.0, 90.0)  # x, y, width, height of a dial of 120 x 90 in a photograph
PHOTOGRAPH = (160, 200)


def crop(images: Path, boxes: Path, out: Path, size: int = 64) -> Any:
    return call("gauge", "crop", "--images", images, "--boxes", boxes, "--out", out, "--size", size)


def photograph(folder: Path, name: str = "p.png", corners: tuple[tuple[float, float], ...] = ((20, 10),)) -> dict:
    """A photograph with a dial of 120 x 90 at each corner; returns the points in its pixels."""
    image = np.full((*PHOTOGRAPH, 3), 90, np.uint8)
    points: dict[str, list] = {channel: [] for channel in CHANNELS}
    for number, (left, top) in enumerate(corners):
        dial = dial_points(number, (90, 120))
        x, y = int(left), int(top)
        image[y : y + 90, x : x + 120] = draw_dial(dial, (90, 120))[: PHOTOGRAPH[0] - y, : PHOTOGRAPH[1] - x]
        for channel in CHANNELS:
            points[channel] += (np.array(dial[channel]) + np.array([x, y])).tolist()
    folder.mkdir(parents=True, exist_ok=True)
    write_image(folder / name, image)
    return points


def test_crop_moves_points_and_pads_with_black(tmp_path: Path) -> None:
    points = photograph(tmp_path / "photos")
    boxes = write_json(tmp_path / "boxes.json", [task(1, "p.png", points, PHOTOGRAPH, boxes=[BOX])])
    crop(tmp_path / "photos", boxes, tmp_path / "out", 240).done()
    image = read_image(tmp_path / "out" / "images" / "p.png")
    assert image.shape == (240, 240, 3)
    assert image[:30].max() == 0 and image[210:].max() == 0 and image[32:208].min() > 0  # 180 rows between 30 and 210
    (sample,) = labelstudio.read(tmp_path / "out" / "annotation.json", images=tmp_path / "out" / "images")
    for channel, label in (("start", "Start Notch"), ("middle", "Inbetween Notch"), ("end", "End Notch")):
        assert np.allclose(sample.points[label], (np.array(points[channel]) - (20, 10)) * 2 + (0, 30), atol=1e-6)
    # The dot of the start is where the point says: centroid of the red, measured without the package.
    redness = (image[..., 0].astype(float) - image[..., 1] > 60).astype(float)
    ys, xs = np.mgrid[:240, :240] + 0.5
    centroid = np.array([(redness * xs).sum(), (redness * ys).sum()]) / redness.sum()
    assert np.abs(centroid - sample.points["Start Notch"][0]).max() < 0.5


def test_crop_from_coco(tmp_path: Path) -> None:
    points = photograph(tmp_path / "photos")
    names = ["Start Notch", "Middle Notch", "end"]
    # COCO's key points are pixel indices: the centre of the top-left pixel is (0, 0).
    triples = [*(np.array(points["start"][0]) - 0.5), 2, *(np.array(points["middle"][0]) - 0.5), 1, 0, 0, 0]
    boxes = write_json(tmp_path / "boxes.json", {
        "images": [{"id": 1, "file_name": "p.png", "height": 160, "width": 200}],
        "categories": [{"id": 1, "name": "gauge", "keypoints": names}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": BOX, "keypoints": triples}],
    })  # fmt: skip
    crop(tmp_path / "photos", boxes, tmp_path / "out", 240).done()
    (sample,) = labelstudio.read(tmp_path / "out" / "annotation.json", images=tmp_path / "out" / "images")
    assert set(sample.points) == {"Start Notch", "Inbetween Notch"}
    assert (sample.visible["Start Notch"].tolist(), sample.visible["Inbetween Notch"].tolist()) == ([2], [1])
    assert np.allclose(sample.points["Start Notch"], (np.array(points["start"]) - (20, 10)) * 2 + (0, 30), atol=1e-6)


def test_crop_without_points_writes_images_alone(tmp_path: Path) -> None:
    photograph(tmp_path / "photos")
    boxes = write_json(tmp_path / "boxes.json", [task(1, "p.png", {}, PHOTOGRAPH, boxes=[BOX])])
    crop(tmp_path / "photos", boxes, tmp_path / "out").done()
    assert sorted(snapshot(tmp_path / "out")) == ["images/p.png"]


def test_several_dials_in_one_photograph(tmp_path: Path) -> None:
    corners = ((0, 0), (75, 70))
    points = photograph(tmp_path / "photos", corners=corners)
    boxes = [(0, 0, 120, 90), (75, 70, 120, 90)]
    # The dials overlap by their boxes only: the points of each lie in its own part.
    tasks = [task(1, "p.png", points, PHOTOGRAPH, boxes=boxes)]
    crop(tmp_path / "photos", write_json(tmp_path / "b.json", tasks), tmp_path / "out", 240).done()
    assert sorted(path.name for path in (tmp_path / "out" / "images").iterdir()) == ["p_1.png", "p_2.png"]
    samples = labelstudio.read(tmp_path / "out" / "annotation.json", images=tmp_path / "out" / "images")
    for sample, (left, top), number in zip(samples, corners, range(2), strict=True):
        expected = (np.array(points["start"][number]) - (left, top)) * 2 + (0, 30)
        assert np.abs(sample.points["Start Notch"] - expected).max(axis=1).min() < 1e-6


def test_a_box_that_reaches_beyond_the_photograph(tmp_path: Path) -> None:
    photograph(tmp_path / "photos")
    document = {
        "images": [{"id": 1, "file_name": "p.png", "height": 160, "width": 200}],
        "categories": [{"id": 1, "name": "gauge"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [150, 100, 100, 100]}],
    }
    crop(tmp_path / "photos", write_json(tmp_path / "b.json", document), tmp_path / "out", 64).done()
    image = read_image(tmp_path / "out" / "images" / "p.png")
    inner = np.flatnonzero(image.max(axis=(0, 2)) > 0)
    assert image.shape == (64, 64, 3)
    assert len(inner) == round(64 * 50 / 60)  # 50 x 60 pixels of it exist
    document["annotations"][0]["bbox"] = [300, 100, 50, 50]
    before = snapshot(tmp_path)
    crop(tmp_path / "photos", write_json(tmp_path / "b.json", document), tmp_path / "lost").refused("b.json", "p.png")
    assert not (tmp_path / "lost").exists() or not snapshot(tmp_path / "lost")
    assert before.keys() == snapshot(tmp_path).keys()


@pytest.mark.parametrize("kind", ["outside", "no box", "unknown", "twice", "damaged", "missing", "rotated"])
def test_crop_refuses(tmp_path: Path, kind: str) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    first, second = photograph(photos, "p.png"), photograph(photos, "q.png")
    labels = {"middle": "Needle"} if kind == "unknown" else {}
    rows = [
        task(1, "p.png", first, PHOTOGRAPH, boxes=[BOX]),
        task(2, "q.png", second, PHOTOGRAPH, boxes=[] if kind == "no box" else [BOX], labels=labels),
    ]
    if kind == "outside":
        rows[1] = task(2, "q.png", {**second, "end": [[2.0, 3.0]]}, PHOTOGRAPH, boxes=[BOX])
    elif kind == "twice":
        rows.append(task(3, "p.jpg", first, PHOTOGRAPH, boxes=[BOX]))
        photograph(photos, "p.jpg")
    elif kind == "damaged":
        whole = (photos / "q.png").read_bytes()
        (photos / "q.png").write_bytes(whole[: len(whole) // 2])
    elif kind == "missing":
        (photos / "q.png").unlink()
    elif kind == "rotated":
        rows[1]["annotations"][0]["result"][-1]["value"]["rotation"] = 12
    boxes = write_json(tmp_path / "b.json", rows)
    parts = {"outside": ["q.png", "1 of the points 'end' lie outside"],
             "no box": ["q.png", "no box"], "unknown": ["task 2", "Needle"],
             "twice": ["'p'", "twice"], "damaged": ["q.png"], "missing": ["q.png"], 
             "rotated": ["task 2", "12"]}  # fmt: skip
    crop(photos, boxes, out).refused(*parts[kind])
    assert not out.exists() or not snapshot(out)


def test_crop_names_every_photograph_without_a_box(tmp_path: Path) -> None:
    points = {name: photograph(tmp_path / "photos", f"{name}.png") for name in "pqrs"}
    rows = [task(number, f"{name}.png", points[name], PHOTOGRAPH) for number, name in enumerate("pqr", 1)]
    rows[2]["annotations"] = []
    rows.append(task(4, "s.png", points["s"], PHOTOGRAPH, boxes=[BOX]))
    answer = crop(tmp_path / "photos", write_json(tmp_path / "b.json", rows), tmp_path / "out")
    lines = answer.err.strip().splitlines()
    assert answer.code == 2 and len(lines) == 3 and all(line.startswith("error: ") for line in lines)
    for line, part in zip(lines, ("p.png: no box", "q.png: no box", "task 3: the task is not annotated"), strict=True):
        assert part in line
    assert not (tmp_path / "out").exists()
    document = {
        "images": [{"id": n, "file_name": f"{name}.png", "height": 160, "width": 200} for n, name in enumerate("pqs")],
        "categories": [{"id": 1, "name": "gauge"}],
        "annotations": [{"id": 1, "image_id": 2, "category_id": 1, "bbox": BOX}],
    }
    answer = crop(tmp_path / "photos", write_json(tmp_path / "c.json", document), tmp_path / "out")
    assert answer.code == 2 and [line.split(": ")[1].rsplit(":")[-1] for line in answer.err.strip().splitlines()] == [
        "p.png", "q.png",
    ]  # fmt: skip


def test_crop_says_what_the_boxes_do_not_know(tmp_path: Path) -> None:
    points = photograph(tmp_path / "photos")
    photograph(tmp_path / "photos", "forgotten.png")
    boxes = write_json(tmp_path / "b.json", [task(1, "p.png", points, PHOTOGRAPH, boxes=[BOX])])
    assert "not in b.json: forgotten.png" in crop(tmp_path / "photos", boxes, tmp_path / "out").done().out


@pytest.mark.parametrize("held", ["images/old.png", "annotation.json"])
def test_crop_overwrites_nothing(tmp_path: Path, held: str) -> None:
    points = photograph(tmp_path / "photos")
    (tmp_path / "out" / held).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "out" / held).write_text("kept")
    boxes = write_json(tmp_path / "b.json", [task(1, "p.png", points, PHOTOGRAPH, boxes=[BOX])])
    crop(tmp_path / "photos", boxes, tmp_path / "out").refused("already has")
    assert snapshot(tmp_path / "out") == {held: b"kept"}


def test_unknown_key_points_in_coco(tmp_path: Path) -> None:
    photograph(tmp_path / "photos")
    document = {
        "images": [{"id": 1, "file_name": "p.png", "height": 160, "width": 200}],
        "categories": [{"id": 1, "name": "person", "keypoints": ["nose"]}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": BOX, "keypoints": [50, 50, 2]}],
    }
    crop(tmp_path / "photos", write_json(tmp_path / "b.json", document), tmp_path / "out").refused(
        "'nose'", "start notch"
    )


def test_training_takes_a_sample_as_it_is(tmp_path: Path) -> None:
    call("gauge", "sample", "--out", tmp_path / "s", "--count", 5, "--seed", 1, "--size", 64).done()
    assert "train: 4 dials" in call("gauge", "check", "--data", tmp_path / "s").done().out
    call("gauge", "train", "--data", tmp_path / "s", *TRAIN, "--dry-run").done()
    call("gauge", "sample", "--out", tmp_path / "f", "--count", 2, "--layout", "flat", "--size", 64).done()
    call("gauge", "heatmaps", "--annotation", "annotation.json", "--directory", tmp_path / "f", "--size", 64).done()


def test_from_photographs_to_labels(tmp_path: Path) -> None:
    """crop, then heatmaps, then a set that training takes: as a user does it."""
    call("gauge", "sample", "--out", tmp_path / "s", "--count", 2, "--layout", "photographs", "--size", 256).done()
    crop(tmp_path / "s" / "images", tmp_path / "s" / "annotation.json", tmp_path / "out", 112).done()
    words = ("--annotation", tmp_path / "out" / "annotation.json", "--directory", tmp_path / "out", "--size", 112)
    call("gauge", "heatmaps", *words).done()
    assert "2 dials" in call("gauge", "check", "--data", tmp_path / "out", "--size", 112).done().out
