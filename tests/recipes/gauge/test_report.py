"""``report.html`` of evaluations and of training runs, and intervals over kinds of dials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calling import call
from kaname.geometry.image import read_image
from kaname.recipes.gauge.labels import read
from kaname.reporting.draw import MISSED, WRONG
from kaname.reporting.report import data_hash
from pages import page_of
from recipes.gauge.conftest import Trained
from recipes.gauge.dials import SIDE, TRAIN, dial_points, write_flat, write_json
from recipes.gauge.test_evaluate import all_notches, metrics, predictions, score


def shifted(points: dict[str, Any], off: float) -> dict[str, Any]:
    return {name: [[x + off, y] for x, y in xy] for name, xy in points.items()}


def hash_of(data: Path) -> str:
    return data_hash((dial.image, dial.label(0)) for dial in read(data))


def test_predictions_alone_give_a_page(tmp_path: Path) -> None:
    names = [f"{kind}_{i}.png" for kind in "ab" for i in range(5)]
    rows = write_flat(tmp_path / "d", names)
    found = {n: shifted(all_notches(p), 0.3 * i) for i, (n, p) in enumerate(zip(names, rows, strict=True))}
    file = predictions(tmp_path / "points.json", found)
    score(tmp_path / "d", file).done()
    page = page_of(tmp_path / "scores")
    assert page == page_of(tmp_path / "scores" / "all")
    assert page.count("Not here: predictions were read from points.json.") == 2, "neither curves nor speed"
    data_hash = metrics(file)["settings"]["data_hash"]
    assert data_hash in page and "10 images" in page and "reliability" not in page and "share right" in page
    # Ten images give five best and five worst, and no image is both.
    shown = {kind: sorted((tmp_path / "scores" / "all" / kind).iterdir()) for kind in ("worst", "best")}
    assert [len(paths) for paths in shown.values()] == [5, 5] and page.count("data:image/jpeg") == 10
    assert shown["worst"][0].name == "1_b_4.jpg" and shown["best"][0].name == "1_a_0.jpg"
    assert page.index("b_4.png") < page.index("a_0.png")
    assert read_image(shown["worst"][0]).shape == (448, 448, 3)


def test_a_labels_ring_is_wider_than_a_predictions_as_the_page_says(tmp_path: Path) -> None:
    (points,) = write_flat(tmp_path / "d", ["a.png"])
    nowhere = {name: [[32.0, 32.0]] if name == "middle" else [] for name in all_notches(points)}
    score(tmp_path / "d", predictions(tmp_path / "points.json", {"a.png": nowhere})).done()
    picture = read_image(next((tmp_path / "scores" / "all" / "worst").iterdir())).astype(int)
    widths = []
    for (x, y), colour in zip((points["middle"][0], (32.0, 32.0)), (MISSED, WRONG), strict=True):
        row, column = round(y * 448 / SIDE), round(x * 448 / SIDE)
        near = picture[row - 15 : row + 15, column - 15 : column + 15]
        columns = np.flatnonzero((abs(near - colour).max(axis=2) < 60).any(axis=0))
        widths.append(columns[-1] - columns[0])
    assert widths[0] > 1.5 * widths[1] > 0


def test_a_second_evaluation_leaves_no_old_pictures(flat: Path, tmp_path: Path) -> None:
    good, bad = (all_notches(dial_points(seed)) for seed in (0, 1))
    for rows in ({"a.png": good, "b.png": shifted(bad, 9)}, {"a.png": shifted(good, 9), "b.png": bad}):
        score(flat, predictions(tmp_path / "points.json", rows)).done()
    assert [path.name for path in (tmp_path / "scores" / "all" / "worst").iterdir()] == ["1_a.jpg"]
    assert "too few for intervals" in page_of(tmp_path / "scores")


def test_an_image_that_cannot_be_drawn_is_named(tmp_path: Path) -> None:
    """A file whose head is whole says its size, and is scored; its picture is missing and the page says so."""
    rows = write_flat(tmp_path / "d", ["a.jpg"])
    file = predictions(tmp_path / "points.json", {"a.jpg": all_notches(rows[0])})
    image = tmp_path / "d" / "images" / "a.jpg"
    image.write_bytes(image.read_bytes()[:700])
    score(tmp_path / "d", file).done()
    page = page_of(tmp_path / "scores")
    assert "a.jpg could not be drawn" in page and "Not here: no image could be read." in page


def test_intervals_over_kinds(tmp_path: Path) -> None:
    names = [f"{kind}_{i}.png" for kind in "abcdef" for i in range(3)]
    rows = write_flat(tmp_path / "d", names)
    # Each kind has an error of its own, so that images of a kind say the same thing three times.
    found = {n: shifted(all_notches(p), 0.2 * "abcdef".index(n[0])) for n, p in zip(names, rows, strict=True)}
    file = predictions(tmp_path / "points.json", found)
    widths = {}
    for cluster in ("none", "prefix"):
        score(tmp_path / "d", file, "--cluster", cluster).done()
        entry, settings = metrics(file)["middle"]["mean_distance_px"], metrics(file)["settings"]
        widths[cluster] = entry["high"] - entry["low"]
        assert settings["cluster"] == cluster and entry["n"] == 18
    assert widths["prefix"] > 1.4 * widths["none"]
    assert "6 groups" in settings["intervals"] and "6 groups" in page_of(tmp_path / "scores")
    score(tmp_path / "d", file, "--cluster", "moon").refused("moon")


def test_few_kinds_have_no_interval(tmp_path: Path) -> None:
    names = [f"{kind}_{i}.png" for kind in "ab" for i in range(4)]
    rows = write_flat(tmp_path / "d", names)
    file = predictions(tmp_path / "points.json", {n: all_notches(p) for n, p in zip(names, rows, strict=True)})
    score(tmp_path / "d", file, "--cluster", "prefix").done()
    assert metrics(file)["middle"]["f1"] == {"value": 1.0, "low": None, "high": None, "n": 8}
    assert "without an interval" in page_of(tmp_path / "scores")


def test_the_page_of_a_validated_run(trained: Trained) -> None:
    page = page_of(trained.run)
    assert page == page_of(trained.run / "val") and "Not here" not in page
    assert "random weights" in page and "it was trained on" not in page and "polyline" in page
    assert "images per second" in page and "backbone: small:8" in page and "40 epochs" in page
    assert "Scored on the images it was trained on" in page_of(trained.run / "train")


def test_every_run_has_a_page(data: Path, tmp_path: Path) -> None:
    words = ("gauge", "train", "--data", data, *TRAIN, "--epochs", 1)
    assert "report in" in call(*words, "--out", tmp_path / "run").done().out
    page = page_of(tmp_path / "run")
    assert "training, folder run" in page and "2 images" in page and "Only the first" not in page
    assert (tmp_path / "run" / "report" / "points.json").is_file() and not (tmp_path / "run" / "metrics.json").exists()
    content = json.loads((tmp_path / "run" / "report" / "metrics.json").read_text(encoding="utf-8"))
    assert content["settings"]["set"] == "val"
    call(*words, "--out", tmp_path / "few", "--limit", 1).done()
    assert "Only the first 1 images were scored" in page_of(tmp_path / "few")
    call(*words, "--out", tmp_path / "dry", "--dry-run").done()
    assert not (tmp_path / "dry").exists()


def test_a_run_without_validation_set_says_so(tmp_path: Path) -> None:
    write_flat(tmp_path / "d", ["a.png", "b.png"])
    call("gauge", "train", "--data", tmp_path / "d", *TRAIN, "--epochs", 1, "--out", tmp_path / "run").done()
    assert "Scored on the images it was trained on" in page_of(tmp_path / "run")


def test_the_hash_follows_the_labels(flat: Path) -> None:
    first = hash_of(flat)
    call("gauge", "heatmaps", "--annotation", "annotation.json", "--directory", flat).done()
    (flat / "annotation.json").rename(flat.parent / "away.json")
    assert hash_of(flat) == first, "the same points in another format"
    label = json.loads((flat / "labels" / "a.json").read_text(encoding="utf-8"))
    label["points"]["middle"][0][0] += 1
    write_json(flat / "labels" / "a.json", label)
    changed = hash_of(flat)
    assert changed != first
    for path in (flat / "labels").glob("*.json"):
        path.unlink()
    assert hash_of(flat) not in (first, changed), "heatmaps alone"


def test_the_hash_follows_what_images_hold(flat: Path) -> None:
    """Also where a changed file is as long as it was."""
    first, path = hash_of(flat), flat / "images" / "a.png"
    data = bytearray(path.read_bytes())
    data.extend(b"0")
    path.write_bytes(data)
    longer = hash_of(flat)
    path.write_bytes(data[:-1] + b"1")
    assert len({first, longer, hash_of(flat)}) == 3


@pytest.mark.parametrize("name", ["<script>alert(1)<", "計器 1", "a&b'c\"d"])
def test_names_of_files(tmp_path: Path, name: str) -> None:
    rows = write_flat(tmp_path / "d", [f"{name}.png".replace("/", "")])
    file = predictions(tmp_path / "points.json", {f"{name}.png": all_notches(rows[0])})
    score(tmp_path / "d", file).done()
    assert page_of(tmp_path / "scores").count("data:image/jpeg") == 1
