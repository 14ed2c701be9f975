from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calling import Answer, call, snapshot
from kaname.data.formats.heatmaps import read_heatmaps
from kaname.errors import InputError
from kaname.recipes.gauge import labels
from recipes.gauge.dials import TRAIN, write_data, write_json


def check(data: Path, *more: object) -> Answer:
    return call("gauge", "check", "--data", data, *more)


def as_files(data: Path, *, maps: bool, points: bool) -> None:
    """Label Studio's JSON of each set replaced by .npy and/or .json files."""
    for part in ("train", "val"):
        call("gauge", "heatmaps", "--annotation", data / part / "labels" / "annotation.json",
             "--directory", data / part, "--size", 64).done()  # fmt: skip
        (data / part / "labels" / "annotation.json").unlink()
        for path in (data / part / "labels").iterdir():
            if (path.suffix == ".npy" and not maps) or (path.suffix == ".json" and not points):
                path.unlink()


KINDS = {"studio": None, "npy": {"maps": True, "points": False}, "both": {"maps": True, "points": True},
         "json": {"maps": False, "points": True}}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_labels_trains(data: Path, kind: str) -> None:
    if KINDS[kind]:
        as_files(data, **KINDS[kind])
    assert "train: 4 dials" in check(data, "--size", 64).done().out
    before = snapshot(data)
    out = call("gauge", "train", "--data", data, *TRAIN, "--dry-run").done().out
    assert "images (4, 3, 64, 64) torch.uint8" in out and "heatmaps (4, 3, 64, 64)" in out
    assert snapshot(data) == before
    exact = [dial.points is not None for dial in labels.read(data / "train")]
    assert exact == [kind != "npy"] * 4


def test_labels_beside_the_images(data: Path) -> None:
    shutil.move(data / "train" / "labels" / "annotation.json", data / "train" / "annotation.json")
    (data / "train" / "labels").rmdir()
    write_json(data / "train" / "metrics.json", {"not": "labels"})
    check(data).done()


def test_a_folder_with_images_and_labels_alone(data: Path) -> None:
    assert "all: 4 dials" in check(data / "train").done().out
    call("gauge", "train", "--data", data / "train", *TRAIN, "--dry-run").done()


def wrong(data: Path, kind: str) -> tuple[Path, list[str]]:
    """One thing wrong with the set; the file that the message must name, and what it must say."""
    place = data / "train" / "labels"
    images = data / "train" / "images"
    maps = place / "train_2.npy"
    exact = place / "train_2.json"
    if kind == "image without label":
        maps.unlink()
        exact.unlink()
        return images / "train_2.png", ["no label"]
    if kind == "map without image":
        maps.rename(place / "other.npy")
        return place / "other.npy", ["no image", "train_"]
    if kind == "points without image":
        exact.rename(place / "other.json")
        return place / "other.json", ["no image"]
    if kind == "points of another":
        exact.write_text((place / "train_1.json").read_text())
        return exact, ["'train_1.png'"]
    values = np.load(maps)
    data_of = json.loads(exact.read_text())
    change: dict[str, Any] = {
        "nan": lambda: np.save(maps, np.where(values > 0.5, np.nan, values)),
        "shape": lambda: np.save(maps, values[:, :50, :50]),
        "channels": lambda: np.save(maps, values[:2]),
        "flat": lambda: np.save(maps, values[0]),
        "range": lambda: np.save(maps, values * 255),
        "objects": lambda: np.save(maps, np.array([{"a": 1}], dtype=object), allow_pickle=True),
        "text": lambda: maps.write_bytes(b"hello"),
        "cut": lambda: maps.write_bytes(maps.read_bytes()[:500]),
        "several": lambda: np.savez(maps.open("wb"), a=values),
        "outside": lambda: write_json(exact, data_of | {"points": data_of["points"] | {"end": [[64.5, 3]]}}),
        "not finite": lambda: exact.write_text(exact.read_text().replace(str(data_of["points"]["end"][0][0]), "NaN")),
        "names": lambda: write_json(exact, data_of | {"points": data_of["points"] | {"strat": []}}),
        "triples": lambda: write_json(exact, data_of | {"points": data_of["points"] | {"end": [[1, 2, 3], [4, 5, 6]]}}),
        "no points": lambda: write_json(exact, {"format": "kaname-points"}),
        "size": lambda: write_json(exact, data_of | {"size": [32, 32]}),
        "no size": lambda: write_json(exact, data_of | {"size": "big"}),
        "damaged": lambda: exact.write_text(exact.read_text()[:40]),
        "empty": lambda: write_json(exact, data_of | {"points": {"start": [], "middle": [], "end": []}}),
    }
    change[kind]()
    says = {
        "nan": ["NaN"], "shape": ["(3, 50, 50)", "(3, 64, 64)"], "channels": ["(2, 64, 64)"], "flat": ["(64, 64)"],
        "range": ["instead of 0..1"], "outside": ["outside"], "not finite": ["outside"], "names": ["'strat'"],
        "size": ["32 x 32", "64 x 64"],
        "empty": ["no points"],
    }  # fmt: skip
    at = maps if kind in ("nan", "shape", "channels", "flat", "range", "objects", "text", "cut", "several") else exact
    return at, says.get(kind, [])


CASES = [
    "image without label", "map without image", "points without image", "points of another", "nan", "shape",
    "channels", "flat", "range", "objects", "text", "cut", "several", "outside", "not finite", "names",
    "triples", "no points", "size",
    "no size", "damaged", "empty",
]  # fmt: skip


@pytest.mark.parametrize("kind", CASES)
def test_check_and_train_name_what_is_wrong(data: Path, kind: str) -> None:
    as_files(data, maps=True, points=True)
    path, parts = wrong(data, kind)
    lines = check(data, "--size", 64)
    assert lines.code == 2 and all(line.startswith("error: ") for line in lines.err.splitlines()), lines.err
    assert any(str(path) in line and all(part in line for part in parts) for line in lines.err.splitlines()), lines.err
    if (
        path.suffix == ".npy" and kind != "map without image"
    ):  # the points are exact, so training needs the file no more
        (data / "train" / "labels" / "train_2.json").unlink()
    before = snapshot(data)
    call("gauge", "train", "--data", data, *TRAIN).refused(str(path), *parts)
    assert snapshot(data) == before


def test_check_reports_every_problem(data: Path) -> None:
    as_files(data, maps=True, points=True)
    place = data / "train" / "labels"
    np.save(place / "train_1.npy", np.zeros((2, 2)))
    (place / "train_2.json").write_text("{")
    (data / "val" / "images" / "val_1.png").write_bytes(b"nothing")
    lines = check(data).err.splitlines()
    assert len(lines) == 3 or len(lines) == 4
    for part in ("train_1.npy", "train_2.json", "val_1"):
        assert sum(part in line for line in lines) >= 1, lines


def test_one_class_in_maps_alone(data: Path) -> None:
    as_files(data, maps=True, points=False)
    for path in (data / "train" / "labels").glob("*.npy"):
        maps = np.load(path)
        maps[[0, 2]] = 0
        np.save(path, maps)
    check(data).err.splitlines()[0].index("no start notch")
    call("gauge", "train", "--data", data, *TRAIN, "--dry-run").refused(
        "train_1.npy", "no start notch", "--allow-missing"
    )
    check(data, "--allow-missing").done()
    call("gauge", "train", "--data", data, *TRAIN, "--dry-run", "--allow-missing").done()


def test_one_class_on_one_image(data: Path) -> None:
    path = data / "train" / "labels" / "annotation.json"
    tasks = json.loads(path.read_text())
    tasks[2]["annotations"][0]["result"].pop()
    write_json(path, tasks)
    call("gauge", "train", "--data", data, *TRAIN, "--dry-run").refused(
        str(path), "task 3", "train_3.png", "no end notch"
    )
    call("gauge", "train", "--data", data, *TRAIN, "--dry-run", "--allow-missing").done()
    call("gauge", "train", "--data", data, *TRAIN, "--dry-run", "allow_missing=true").done()


@pytest.mark.parametrize("kind", ["cancelled", "unknown", "percent", "empty", "twice"])
def test_a_broken_annotation_in_training(data: Path, kind: str) -> None:
    path = data / "train" / "labels" / "annotation.json"
    tasks = json.loads(path.read_text())
    annotation = tasks[1]["annotations"][0]
    if kind == "cancelled":
        annotation["was_cancelled"] = True
    elif kind == "unknown":
        annotation["result"][0]["value"]["keypointlabels"] = ["Tip"]
    elif kind == "percent":
        annotation["result"][0]["value"]["y"] = -3
    elif kind == "empty":
        tasks = []
    elif kind == "twice":
        tasks.append({**tasks[1], "id": 99})
    write_json(path, tasks)
    before = snapshot(data)
    call("gauge", "train", "--data", data, *TRAIN).refused(str(path))
    assert snapshot(data) == before
    assert len(check(data).err.splitlines()) == 1


def test_labels_that_contradict_each_other(data: Path) -> None:
    path = data / "train" / "labels" / "annotation.json"
    call("gauge", "heatmaps", "--annotation", path, "--directory", data / "train", "--size", 64).done()
    check(data).done()
    tasks = json.loads(path.read_text())
    tasks[0]["annotations"][0]["result"][0]["value"]["x"] += 3
    write_json(path, tasks)
    check(data).refused("train_1.json", "task 1", "gauge heatmaps")
    write_json(data / "train" / "more.json", tasks)
    assert "task 1" in check(data).err


def test_an_annotated_image_that_training_would_not_read(data: Path) -> None:
    place = data / "train" / "images"
    (place / "sub").mkdir()
    shutil.move(place / "train_1.png", place / "sub" / "train_1.png")
    path = data / "train" / "labels" / "annotation.json"
    path.write_text(path.read_text().replace("/data/upload/1/0a1b2c3d-train_1", "images/sub/train_1"))
    check(data).refused("task 1", "'train_1'")


def test_two_images_of_one_stem(data: Path) -> None:
    place = data / "train" / "images"
    shutil.copy(place / "train_1.png", place / "train_1.bmp")
    assert "appears twice" in check(data).err


@pytest.mark.parametrize("text", ["empty", "missing", "no images", "val alone"])
def test_folders_that_hold_no_set(tmp_path: Path, text: str) -> None:
    data = tmp_path / "data"
    if text != "missing":
        data.mkdir()
    if text == "no images":
        (data / "train" / "images").mkdir(parents=True)
    if text == "val alone":
        write_data(data)
        shutil.rmtree(data / "train")
    before = snapshot(tmp_path)
    call("gauge", "train", "--data", data, *TRAIN).refused(str(data))
    assert snapshot(tmp_path) == before
    if text != "val alone":
        check(data).refused(str(data))


def test_labels_with_a_byte_order_mark(data: Path) -> None:
    path = data / "train" / "labels" / "annotation.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    check(data).done()


def test_heatmaps_within_rounding_are_taken(tmp_path: Path) -> None:
    maps = np.zeros((3, 8, 8), np.float64)
    maps[:, 4, 4] = 1 + 1e-7
    maps[0, 0, 0] = -1e-9
    np.save(tmp_path / "a.npy", maps)
    found = read_heatmaps(tmp_path / "a.npy", 3, 8)
    assert found.dtype == np.float32 and found.min() == 0 and found.max() == 1
    np.save(tmp_path / "a.npy", maps * 1.01)
    with pytest.raises(InputError, match=r"1\.01 instead of"):
        read_heatmaps(tmp_path / "a.npy", 3, 8)
