from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calling import call, snapshot
from kaname.data.formats import labelstudio
from kaname.geometry.image import write_image
from kaname.recipes.gauge.labels import read as read_set
from recipes.gauge.dials import CHANNELS, dial_points, draw_dial, task, write_flat, write_json

HEATMAPS = ("gauge", "heatmaps", "--annotation", "annotation.json", "--size", 64, "--directory")


def slow_maps(points: dict[str, Any], size: int, sigma: float) -> np.ndarray:
    """From the definition: at each cell's centre the greatest of the Gaussians of the channel's points."""
    centres = np.arange(size) + 0.5
    maps = np.zeros((3, size, size))
    for channel, name in enumerate(CHANNELS):
        for x, y in points[name]:
            squared = (centres[None, :] - x) ** 2 + (centres[:, None] - y) ** 2
            maps[channel] = np.maximum(maps[channel], np.exp(-squared / (2 * sigma**2)))
    return maps


# ---- heatmaps


@pytest.mark.parametrize("size", [64, 112, 448])
def test_heatmaps_are_gaussians_at_the_real_place(tmp_path: Path, size: int) -> None:
    (points,) = write_flat(tmp_path, ["a.png"])
    call("gauge", "heatmaps", "--annotation", "annotation.json", "--directory", tmp_path, "--size", size).done()
    maps = np.load(tmp_path / "labels" / "a.npy", allow_pickle=False)
    assert maps.dtype == np.float32 and maps.shape == (3, size, size)
    scaled = {name: np.array(xy) * size / 64 for name, xy in points.items()}
    assert np.abs(maps - slow_maps(scaled, size, 8 * size / 448)).max() < 1e-5


def test_a_point_on_the_centre_of_a_cell_has_the_peak_1(tmp_path: Path) -> None:
    write_flat(tmp_path, ["a.png"])
    points = {"start": [[10.5, 20.5]], "middle": [[30.5, 30.5]], "end": [[50.5, 20.5]]}
    write_json(tmp_path / "annotation.json", [task(1, "a.png", points)])
    call(*HEATMAPS, tmp_path).done()
    maps = np.load(tmp_path / "labels" / "a.npy")
    assert maps[0, 20, 10] == 1 and maps[1, 30, 30] == 1 and maps[2, 20, 50] == 1


def test_exact_points_are_written_beside_the_maps(tmp_path: Path) -> None:
    (points,) = write_flat(tmp_path, ["a.png"], size=(48, 80))
    call(*HEATMAPS, tmp_path).done()
    data = json.loads((tmp_path / "labels" / "a.json").read_text(encoding="utf-8"))
    assert {key: data[key] for key in ("format", "version", "image", "size")} == {
        "format": "kaname-points", "version": 1, "image": "a.png", "size": [48, 80],
    }  # fmt: skip
    assert "continuous pixels of this image" in data["coordinates"]
    for name in CHANNELS:
        assert np.allclose(data["points"][name], points[name], atol=1e-9)


def test_an_image_that_is_not_square_is_letterboxed(tmp_path: Path) -> None:
    (points,) = write_flat(tmp_path, ["a.png"], size=(32, 64))
    call(*HEATMAPS, tmp_path).done()
    moved = {name: np.array(xy) + np.array([0, 16]) for name, xy in points.items()}
    maps = np.load(tmp_path / "labels" / "a.npy")
    assert np.abs(maps - slow_maps(moved, 64, 8 * 64 / 448)).max() < 1e-5


NAMES = ["a-b-c.png", "my dial.png", "計器 1.png", "x.jpeg", "Y.JPG", "0a1b2c3d-z.png", "z.b.png"]


@pytest.mark.parametrize("prefix", ["/data/upload/1/0a1b2c3d-", "", "images/", "https://host/data/upload/2/ffffffff-"])
def test_names(tmp_path: Path, prefix: str) -> None:
    rows = write_flat(tmp_path, NAMES)
    tasks = [task(i + 1, name, rows[i], source=f"{prefix}{name}") for i, name in enumerate(NAMES)]
    write_json(tmp_path / "annotation.json", tasks)
    call(*HEATMAPS, tmp_path).done()
    assert sorted(path.name for path in (tmp_path / "labels").iterdir()) == sorted(
        f"{Path(name).stem}.{ending}" for name in NAMES for ending in ("npy", "json")
    )
    dials = {dial.image.name: dial for dial in read_set(tmp_path)}
    for name, points in zip(NAMES, rows, strict=True):
        assert np.allclose(dials[name].points["middle"], points["middle"])


@pytest.mark.parametrize(
    "labels",
    [
        {"start": "start", "middle": "middle", "end": "end"},
        {"start": "START NOTCH", "middle": "Middle Notch", "end": "End"},
        {"start": "Start", "middle": "inbetween notch", "end": "eNd NoTcH"},
    ],
)
def test_every_name_of_a_label(tmp_path: Path, labels: dict[str, str]) -> None:
    (points,) = write_flat(tmp_path, ["a.png"])
    write_json(tmp_path / "annotation.json", [task(1, "a.png", points, labels=labels)])
    call(*HEATMAPS, tmp_path).done()
    assert np.load(tmp_path / "labels" / "a.npy").max(axis=(1, 2)).min() > 0.9


def older(tasks: list[dict]) -> list[dict]:
    return [{**{k: v for k, v in t.items() if k != "annotations"}, "completions": t["annotations"]} for t in tasks]


def as_image(tasks: list[dict]) -> list[dict]:
    return [{**t, "data": {"image": t["data"]["img"]}} for t in tasks]


@pytest.mark.parametrize("change", [older, as_image])
def test_older_exports_and_the_other_key(flat: Path, change: Any) -> None:
    call(*HEATMAPS, flat).done()
    before = snapshot(flat / "labels")
    shutil.rmtree(flat / "labels")
    tasks = json.loads((flat / "annotation.json").read_text())
    write_json(flat / "annotation.json", change(tasks))
    call(*HEATMAPS, flat).done()
    assert before and snapshot(flat / "labels") == before, "the same labels, byte by byte"


def broken(tasks: list[dict], kind: str) -> Any:
    """Label Studio exports with one thing wrong in task 2."""
    second = tasks[1]
    results = second["annotations"][0]["result"]
    if kind == "cancelled":
        second["annotations"][0]["was_cancelled"] = True
    elif kind == "annotators":
        second["annotations"].append({**second["annotations"][0], "completed_by": 2})
    elif kind == "rotated":
        results[0]["image_rotation"] = 90
    elif kind == "missing image":
        second["data"]["img"] = "/data/upload/1/0a1b2c3d-lost.png"
    elif kind == "percent":
        results[0]["value"]["x"] = 100.5
    elif kind == "label":
        results[0]["value"]["keypointlabels"] = ["Logo"]
    elif kind == "no points":
        second["annotations"][0]["result"] = []
    elif kind == "no end":
        second["annotations"][0]["result"] = results[:-1]
    elif kind == "two starts":
        results[1]["value"]["keypointlabels"] = ["Start Notch"]
    elif kind == "twice":
        second["data"] = dict(tasks[0]["data"])
    elif kind == "size":
        for result in results:
            result["original_width"] = 128
    return tasks


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("cancelled", ["task 2", "cancelled"]),
        ("annotators", ["task 2", "2 annotations"]),
        ("rotated", ["task 2", "rotated by 90"]),
        ("missing image", ["task 2", "lost.png", "missing"]),
        ("percent", ["task 2", "outside"]),
        ("label", ["task 2", "Logo", "start notch"]),
        ("no points", ["task 2", "b.png", "no points"]),
        ("no end", ["task 2", "b.png", "no end notch", "--allow-missing"]),
        ("two starts", ["task 2", "b.png", "2 start notches"]),
        ("twice", ["task 2", "a.png", "task 1"]),
        ("size", ["task 2", "128"]),
    ],
)
def test_a_wrong_annotation_is_one_line_and_nothing_is_written(flat: Path, kind: str, parts: list[str]) -> None:
    tasks = json.loads((flat / "annotation.json").read_text())
    write_json(flat / "annotation.json", broken(tasks, kind))
    before = snapshot(flat)
    call(*HEATMAPS, flat).refused(str(flat / "annotation.json"), *parts)
    assert snapshot(flat) == before


@pytest.mark.parametrize("text", ["", "[]", "{}", "[1]", "null", '[{"id": 1', "\xff\xfe"])
def test_files_that_are_no_annotation(flat: Path, text: str) -> None:
    (flat / "annotation.json").write_text(text, encoding="latin-1")
    before = snapshot(flat)
    call(*HEATMAPS, flat).refused("annotation.json")
    assert snapshot(flat) == before


def test_one_class_only_in_the_whole_set(flat: Path) -> None:
    tasks = json.loads((flat / "annotation.json").read_text())
    for one in tasks:
        annotation = one["annotations"][0]
        annotation["result"] = [r for r in annotation["result"] if r["value"]["keypointlabels"] == ["Inbetween Notch"]]
    write_json(flat / "annotation.json", tasks)
    call(*HEATMAPS, flat).refused("task 1", "no start notch, only middle (3)")
    call(*HEATMAPS, flat, "--allow-missing").done()
    assert np.load(flat / "labels" / "a.npy")[[0, 2]].max() == 0


def test_an_image_without_a_task(flat: Path) -> None:
    write_image(flat / "images" / "c.png", draw_dial(dial_points(9)))
    before = snapshot(flat)
    call(*HEATMAPS, flat).refused("c.png", "no task")
    assert snapshot(flat) == before


def test_images_of_one_stem(tmp_path: Path) -> None:
    write_flat(tmp_path, ["a.png", "a.jpg"])
    call(*HEATMAPS, tmp_path).refused("task 2", "two images are named 'a'")
    assert not (tmp_path / "labels").exists()


@pytest.mark.parametrize("kind", ["text", "truncated", "empty"])
def test_an_image_that_is_none(tmp_path: Path, kind: str) -> None:
    write_flat(tmp_path, ["a.jpg", "b.jpg"])
    target = tmp_path / "images" / "b.jpg"
    whole = target.read_bytes()
    target.write_bytes({"text": b"no image", "truncated": whole[: len(whole) // 2], "empty": b""}[kind])
    before = snapshot(tmp_path)
    call(*HEATMAPS, tmp_path).refused("b.jpg")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(("size", "nearest"), [(450, 448), (0, 14), (-5, 14), (65, 64), (27, 28)])
def test_a_size_that_no_patch_divides(flat: Path, tmp_path: Path, size: int, nearest: int) -> None:
    words = ("--size", size, "--directory", flat, "--annotation", "annotation.json")
    call("gauge", "heatmaps", *words).refused(f"got {size}", f"nearest {nearest}")
    words = (
        "--images",
        flat / "images",
        "--boxes",
        flat / "annotation.json",
        "--out",
        tmp_path / "out",
        "--size",
        size,
    )
    call("gauge", "crop", *words).refused(f"got {size}", f"nearest {nearest}")
    assert not (flat / "labels").exists() and not (tmp_path / "out").exists()


@pytest.mark.parametrize("sigma", ["0", "-1", "nan"])
def test_a_sigma_that_is_none(flat: Path, sigma: str) -> None:
    call(*HEATMAPS, flat, "--sigma", sigma).refused("sigma")


def test_heatmaps_into_a_place_that_is_a_file(flat: Path) -> None:
    (flat / "labels").write_text("in the way")
    call(*HEATMAPS, flat).refused("labels")


def test_real_dials(tmp_path: Path, gauge_data: Path) -> None:
    (tmp_path / "images").symlink_to(gauge_data / "images")
    words = ("--annotation", gauge_data / "annotation.json", "--directory", tmp_path, "--size", 448)
    call("gauge", "heatmaps", *words).done()
    samples = labelstudio.read(gauge_data / "annotation.json", images=gauge_data / "images")
    assert len(list((tmp_path / "labels").glob("*.npy"))) == len(samples) == 7
    names = {"Start Notch": "start", "Inbetween Notch": "middle", "End Notch": "end"}
    for sample in samples[:2]:
        points: dict[str, Any] = {name: [] for name in CHANNELS} | {names[k]: v for k, v in sample.points.items()}
        maps = np.load(tmp_path / "labels" / f"{sample.image.stem}.npy")
        assert np.abs(maps - slow_maps(points, 448, 8)).max() < 1e-5
    call("gauge", "check", "--data", tmp_path, "--size", 448).done()


def test_every_task_that_is_wrong_is_named(tmp_path: Path) -> None:
    """In one go, not one after the other."""
    folder = tmp_path / "d"
    write_flat(folder, ["a.png", "b.png", "c.png"])
    tasks = json.loads((folder / "annotation.json").read_text(encoding="utf-8"))
    tasks[0]["annotations"][0]["was_cancelled"] = True
    tasks[1]["annotations"].append({**tasks[1]["annotations"][0], "id": 99, "completed_by": 5})
    for result in tasks[2]["annotations"][0]["result"]:
        result["image_rotation"] = 90
    write_json(folder / "annotation.json", tasks)
    answer = call("gauge", "heatmaps", "--annotation", "annotation.json", "--directory", folder, "--size", 112)
    assert answer.code == 2 and not (folder / "labels").exists()
    for entry in tasks:
        assert f"task {entry['id']}: " in answer.err, answer.err
    assert all(line.startswith("error: ") for line in answer.err.strip().splitlines())


def test_one_annotator_of_several(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    write_flat(folder, ["a.png", "b.png"])
    words = ("gauge", "heatmaps", "--annotation", "annotation.json", "--directory", folder, "--size", 112)
    call(*words).done()
    maps = np.load(folder / "labels" / "a.npy")
    tasks = json.loads((folder / "annotation.json").read_text(encoding="utf-8"))
    for entry in tasks:
        first = entry["annotations"][0]
        entry["annotations"] = [{**first, "completed_by": 4}, {**first, "id": 99, "completed_by": 5, "result": []}]
    tasks[1]["annotations"].append({"id": 100, "completed_by": 6, "was_cancelled": True, "result": []})
    write_json(folder / "annotation.json", tasks)
    assert "--annotator" in call(*words).err
    said = call(*words, "--annotator", "4").done().err
    assert f"cancelled annotations left out of task {tasks[1]['id']}" in said
    assert np.array_equal(np.load(folder / "labels" / "a.npy"), maps)
