from __future__ import annotations

import json
import math
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calling import Answer, call
from kaname.recipes.gauge import evaluate
from recipes.gauge.dials import CHANNELS, SIDE, dial_points, draw_dial, task, write_flat, write_json

EMPTY = {name: np.zeros((0, 2)) for name in CHANNELS}


def slow_figures(ours: list, real: list, tolerance: float) -> dict[str, float | None]:
    """The metrics word for word: nearest distances by loops, the matching by trying every assignment."""

    def distance(p: Any, q: Any) -> float:
        return math.hypot(p[0] - q[0], p[1] - q[1])

    few, many = sorted([ours, real], key=len)
    best = 0
    for chosen in permutations(range(len(many)), len(few)):
        best = max(best, sum(distance(few[i], many[j]) <= tolerance for i, j in enumerate(chosen)))
    return {
        "mean_distance_px": sum(min(distance(p, t) for t in real) for p in ours) / len(ours) if ours and real else None,
        "pck": sum(any(distance(p, t) <= tolerance for p in ours) for t in real) / len(real) if real else None,
        "non_assigned": sum(all(distance(p, t) > tolerance for t in real) for p in ours) / len(ours) if ours else 0.0,
        "precision": best / len(ours) if ours else None,
        "recall": best / len(real) if real else None,
        "f1": 2 * best / (len(ours) + len(real)) if ours or real else None,
    }


def test_figures_are_their_definitions() -> None:
    random = np.random.default_rng(0)
    for _ in range(120):

        def some(most: int) -> np.ndarray:
            return random.uniform(0, 40, (random.integers(0, most + 1), 2))

        predicted = {"start": some(1), "middle": some(5), "end": some(1)}
        truth = {"start": some(1), "middle": some(5), "end": some(1)}
        found = evaluate.image_figures(predicted, truth, 10.0)
        both = {"start_end": ([*predicted["start"], *predicted["end"]], [*truth["start"], *truth["end"]])}
        for group in evaluate.GROUPS:
            ours, real = both.get(group) or (list(predicted[group]), list(truth[group]))
            expected = slow_figures(ours, real, 10.0)
            assert found[group] == pytest.approx(expected), group


def test_empty_sets() -> None:
    point = {**EMPTY, "middle": np.array([[5.0, 5.0]])}
    assert evaluate.image_figures(EMPTY, point, 10)["middle"] == {
        "mean_distance_px": None, "pck": 0.0, "non_assigned": 0.0, "precision": None, "recall": 0.0, "f1": 0.0,
    }  # fmt: skip
    assert evaluate.image_figures(point, EMPTY, 10)["middle"] == {
        "mean_distance_px": None, "pck": None, "non_assigned": 1.0, "precision": 0.0, "recall": None, "f1": 0.0,
    }  # fmt: skip
    assert evaluate.image_figures(EMPTY, EMPTY, 10)["middle"] == {
        "mean_distance_px": None, "pck": None, "non_assigned": 0.0, "precision": None, "recall": None, "f1": None,
    }  # fmt: skip


def test_the_tolerance_counts_itself() -> None:
    truth = {**EMPTY, "middle": np.array([[0.0, 0.0]])}
    at = evaluate.image_figures({**EMPTY, "middle": np.array([[10.0, 0.0]])}, truth, 10)["middle"]
    beyond = evaluate.image_figures({**EMPTY, "middle": np.array([[10.001, 0.0]])}, truth, 10)["middle"]
    assert (at["pck"], at["non_assigned"], at["f1"]) == (1, 0, 1)
    assert (beyond["pck"], beyond["non_assigned"], beyond["f1"]) == (0, 1, 0)


# ---- through the command, from a file of predictions


def predictions(path: Path, rows: dict[str, dict[str, Any]], size: tuple[int, int] = (SIDE, SIDE)) -> Path:
    """A points.json as another program would write it from the documented format."""
    images = [
        {"image": name, "size": list(size), "points": {c: np.array(points[c]).tolist() for c in CHANNELS},
         "scores": {c: [0.9] * len(points[c]) for c in CHANNELS}}
        for name, points in rows.items()
    ]  # fmt: skip
    head = {"format": "kaname-points", "version": 1, "coordinates": "continuous", "recipe": "gauge", "model": "x"}
    return write_json(path, {**head, "settings": {}, "images": images})


def all_notches(points: dict[str, Any]) -> dict[str, Any]:
    return {**points, "middle": [*points["start"], *points["middle"], *points["end"]]}


def score(data: Path, file: Path, *more: object) -> Answer:
    words = ("--data", data, "--predictions", file, "--out", file.parent / "scores", "--overwrite")
    return call("gauge", "evaluate", *words, *more)


def metrics(file: Path) -> dict[str, Any]:
    return json.loads((file.parent / "scores" / "metrics.json").read_text(encoding="utf-8"))


def test_perfect_predictions(flat: Path, tmp_path: Path) -> None:
    rows = {name: all_notches(dial_points(seed)) for seed, name in enumerate(["a.png", "b.png"])}
    file = predictions(tmp_path / "p" / "points.json", rows)
    assert "pck" in score(flat, file).done().out
    found = metrics(file)
    for group in evaluate.GROUPS:
        assert found[group]["pck"] == {"value": 1.0, "low": None, "high": None, "n": 2} | (
            {"reason": found[group]["pck"]["reason"]} if "reason" in found[group]["pck"] else {}
        )
        assert found[group]["mean_distance_px"]["value"] < 1e-6


def test_the_schema_of_metrics_json(tmp_path: Path) -> None:
    names = [f"{i}.png" for i in range(6)]
    rows = write_flat(tmp_path / "d", names)
    file = predictions(
        tmp_path / "points.json", {n: {**all_notches(p), "end": []} for n, p in zip(names, rows, strict=True)}
    )
    score(tmp_path / "d", file, "--tolerance", 12).done()
    text = (tmp_path / "scores" / "metrics.json").read_text(encoding="utf-8")
    found = json.loads(text)
    assert text == json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True) + "\n" and "NaN" not in text
    assert set(found) == {"middle", "start_end", "start", "end", "settings"}
    assert found["settings"]["tolerance_px"] == 12 and found["settings"]["images"] == 6
    for group in evaluate.GROUPS:
        assert set(found[group]) == set(evaluate.METRICS)
        for name, entry in found[group].items():
            assert {"value", "low", "high", "n"} <= set(entry)
            if entry["value"] is None:
                assert (
                    group == "end" and name in ("mean_distance_px", "precision") and entry["n"] == 0 and entry["reason"]
                )
            else:
                assert entry["low"] <= entry["value"] <= entry["high"] and entry["n"] == 6
    original = json.loads((tmp_path / "scores" / "all" / "key_point_metrics.json").read_text(encoding="utf-8"))
    keys = {"mean distance of predicted and true", "Percentage of true where at least one predicted is close",
            "Percentage non assigned predicted points"}  # fmt: skip
    assert set(original) == {"middle", "start_end", "Individual results"} and set(original["middle"]) == keys
    assert set(original["Individual results"]) == set(names)
    assert set(original["Individual results"]["0.png"]["start_end"]) == keys


def test_start_and_end_swapped(flat: Path, tmp_path: Path) -> None:
    rows = {}
    for seed, name in enumerate(["a.png", "b.png"]):
        points = all_notches(dial_points(seed))
        rows[name] = {**points, "start": points["end"], "end": points["start"]}
    file = predictions(tmp_path / "points.json", rows)
    score(flat, file).done()
    found = metrics(file)
    assert found["start_end"]["pck"]["value"] == 1 and found["middle"]["pck"]["value"] == 1
    assert found["start"]["pck"]["value"] == 0 and found["end"]["pck"]["value"] == 0


@pytest.mark.parametrize("size", [(64, 64), (128, 128), (64, 128)])
def test_distances_are_pixels_at_448(tmp_path: Path, size: tuple[int, int]) -> None:
    (points,) = write_flat(tmp_path / "d", ["a.png"], size)
    scale = 448 / max(size)
    moved = {
        name: (np.array(xy) + np.array([6 / scale, 8 / scale])).tolist() for name, xy in all_notches(points).items()
    }
    file = predictions(tmp_path / "points.json", {"a.png": moved}, size)
    score(tmp_path / "d", file).done()
    assert metrics(file)["start_end"]["mean_distance_px"]["value"] == pytest.approx(10, abs=1e-6)
    score(tmp_path / "d", file, "--tolerance", 9.99).done()
    assert metrics(file)["start_end"]["pck"]["value"] == 0
    score(tmp_path / "d", file, "--tolerance", 10.01).done()
    assert metrics(file)["start_end"]["pck"]["value"] == 1


def test_truth_from_heatmaps(tmp_path: Path) -> None:
    """The original's truth: clusters of the label's map at 0.95; two notches within a bandwidth become one."""
    size = (448, 448)
    points = {"start": [[100.0, 300.0]], "middle": [[200.0, 100.0], [212.0, 100.0]], "end": [[350.0, 300.0]]}
    write_flat(tmp_path / "d", ["a.png"], size)
    write_json(tmp_path / "d" / "annotation.json", [task(1, "a.png", points, size)])
    file = predictions(tmp_path / "points.json", {"a.png": all_notches(points)}, size)
    score(tmp_path / "d", file).done()
    assert metrics(file)["middle"]["mean_distance_px"]["value"] < 1e-6
    score(tmp_path / "d", file, "--truth", "heatmap").done()
    found = metrics(file)
    assert found["settings"]["truth"] == "heatmap" and "1 images" in found["settings"]["truth_note"]
    assert found["middle"]["mean_distance_px"]["value"] == pytest.approx(12 / 4, abs=0.5)  # 0, 6, 6 and 0
    assert found["start_end"]["mean_distance_px"]["value"] < 0.5


def test_maps_alone_are_reported(tmp_path: Path) -> None:
    rows = write_flat(tmp_path / "d", ["a.png"])
    call("gauge", "heatmaps", "--annotation", "annotation.json", "--directory", tmp_path / "d").done()
    (tmp_path / "d" / "annotation.json").unlink()
    (tmp_path / "d" / "labels" / "a.json").unlink()
    file = predictions(tmp_path / "points.json", {"a.png": all_notches(rows[0])})
    score(tmp_path / "d", file).done()
    found = metrics(file)
    assert "re-extracted" in found["settings"]["truth_note"]
    assert found["middle"]["pck"]["value"] == 1 and found["middle"]["mean_distance_px"]["value"] < 1


def test_predictions_that_do_not_fit(flat: Path, tmp_path: Path) -> None:
    first, second = (all_notches(dial_points(seed)) for seed in (0, 1))
    file = predictions(tmp_path / "points.json", {"a.png": first})
    score(flat, file).refused(str(file), "b.png")
    predictions(file, {"a.png": first, "b.png": second}, (32, 32))
    score(flat, file).refused(str(file), "32 x 32", "64 x 64")
    predictions(file, {"a.png": first, "b.png#1": second, "b.png#2": second})
    score(flat, file).refused("b.png")
    assert not (tmp_path / "scores").exists()


def test_images_of_one_name_in_two_folders(tmp_path: Path) -> None:
    rows = {}
    for folder in ("x", "y"):
        points = dial_points(ord(folder))
        write_flat(tmp_path / folder, ["a.png"])
        write_json(tmp_path / folder / "annotation.json", [task(1, "a.png", points)])
        rows[(tmp_path / folder / "images" / "a.png").as_posix()] = all_notches(points)
    file = predictions(tmp_path / "points.json", rows)
    for folder in ("x", "y"):
        score(tmp_path / folder, file).done()
        assert metrics(file)["middle"]["mean_distance_px"]["value"] < 1e-6
    predictions(
        file, {f"elsewhere/{name}": row for name, row in zip(["p/a.png", "q/a.png"], rows.values(), strict=True)}
    )
    score(tmp_path / "x", file).refused("a.png", "several")


DAMAGE: dict[str, Any] = {
    "cut": lambda text: text[:100],
    "empty": lambda text: "",
    "list": lambda text: "[]",
    "no images": lambda text: json.dumps({"format": "kaname-points"}),
    "no points": lambda text: text.replace('"middle"', '"muddle"'),
    "text": lambda text: text.replace("[[", '[["x", 1], [', 1),
    "triple": lambda text: text.replace("[[", "[[1, ", 1),
    "nan": lambda text: text.replace("[[", "[[NaN, 1], [", 1),
    "scores": lambda text: text.replace("[0.9]", "[0.9, 0.8]", 1),
    "size": lambda text: text.replace("[64, 64]", "[64]", 1),
    "zero": lambda text: text.replace("[64, 64]", "[0, 64]", 1),
    "twice": lambda text: text.replace('"b.png"', '"a.png"'),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_of_predictions(flat: Path, tmp_path: Path, kind: str) -> None:
    file = predictions(
        tmp_path / "points.json", {"a.png": all_notches(dial_points(0)), "b.png": all_notches(dial_points(1))}
    )
    text = file.read_text(encoding="utf-8")
    changed = DAMAGE[kind](text)
    assert changed != text
    file.write_text(changed, encoding="utf-8")
    line = score(flat, file).refused(str(file))
    if kind not in ("cut", "empty", "list", "no images"):
        assert "image 1" in line or "image 2" in line
    assert not (tmp_path / "scores").exists()


def test_bad_usage(flat: Path, tmp_path: Path) -> None:
    file = predictions(tmp_path / "points.json", {"a.png": all_notches(dial_points(0))})
    call("gauge", "evaluate", "--data", flat).refused("--checkpoint", "--predictions")
    call("gauge", "evaluate", "--predictions", file).refused("--data")
    score(tmp_path / "nowhere", file).refused("nowhere", "does not exist")
    score(flat, tmp_path / "nothing.json").refused("nothing.json")
    assert score(flat, file, "--split", "val").refused("no set 'val' here").endswith("sets: all"), "each set once"
    score(flat, file, "--tolerance", "0").refused("tolerance")
    score(flat, file, "--truth", "guess").refused("guess")


def test_draw_labels_and_predictions(data: Path, tmp_path: Path) -> None:
    call("gauge", "draw", "--data", data, "--out", tmp_path / "labels").done()
    assert len(list((tmp_path / "labels" / "train").glob("*.jpg"))) == 4
    rows = {
        f"{part}_{n}.png": all_notches(dial_points(n))
        for part, c in (("train", 4), ("val", 2))
        for n in range(1, c + 1)
    }
    file = predictions(tmp_path / "points.json", rows)
    call("gauge", "draw", "--data", data, "--predictions", file, "--out", tmp_path / "both", "--limit", 3).done()
    assert len(list((tmp_path / "both").rglob("*.jpg"))) == 3
    predictions(file, {"val_1.png": all_notches(dial_points(0)), "val_2.png#1": EMPTY, "val_2.png#2": EMPTY})
    words = ("--predictions", file, "--images", data / "val" / "images", "--out", tmp_path / "alone")
    assert "2 pictures" in call("gauge", "draw", *words).done().out
    assert sorted(path.name for path in (tmp_path / "alone").glob("*.jpg")) == ["val_1.jpg", "val_2.jpg"]
    call("gauge", "draw", "--predictions", file, "--out", tmp_path / "none").refused("val_1.png", "--images")
    call("gauge", "draw", "--out", tmp_path / "none").refused("--data")
    assert draw_dial({}).shape == (64, 64, 3)
