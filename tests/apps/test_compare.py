"""``kaname compare`` from the command line, on files of predictions of the recipe ``gauge``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calling import Answer, call
from recipes.gauge.dials import CHANNELS, SIDE, task, write_flat, write_json

NAMES = [f"{kind}_{i}.png" for kind in "abcdef" for i in range(2)]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Twelve dials of six kinds, and their points with all notches in the middle."""
    folder = tmp_path_factory.mktemp("labelled")
    rows = write_flat(folder, NAMES)
    truth = {
        name: {**points, "middle": [*points["start"], *points["middle"], *points["end"]]}
        for name, points in zip(NAMES, rows, strict=True)
    }
    return folder, truth


def predictions(path: Path, rows: dict[str, Any], off: float = 0.0, noise: float = 0.0, **more: Any) -> Path:
    """A points.json of the true points, moved by ``off`` and by noise, in pixels at 448."""
    random, scale = np.random.default_rng(0), SIDE / 448
    images = []
    for name, points in rows.items():
        moved = {
            channel: (np.array(points[channel]).reshape(-1, 2) + scale * (off + noise * random.normal(size=2))).tolist()
            for channel in (*CHANNELS, *sorted(set(points) - set(CHANNELS)))
        }
        scores = {channel: [0.9] * len(found) for channel, found in moved.items()}
        images.append({"image": name, "size": [SIDE, SIDE], "points": moved, "scores": scores})
    head = {"format": "kaname-points", "version": 1, "recipe": "gauge", "model": "x", "settings": {}}
    return write_json(path, {**head, "images": images, **more})


def compare(*words: object) -> Answer:
    return call("compare", *words)


def content(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "compare.json").read_text(encoding="utf-8"))


def test_a_real_difference_is_found(labelled: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    data, truth = labelled
    a = predictions(tmp_path / "a" / "points.json", truth, off=4, noise=1)
    b = predictions(tmp_path / "b" / "points.json", truth, off=1, noise=1)
    answer = compare(a, b.parent, "--data", data, "--out", tmp_path / "out").done()
    assert "12 paired images" in answer.out and "p-values, not corrected" in answer.out
    text = (tmp_path / "out" / "compare.json").read_text(encoding="utf-8")
    found = json.loads(text)
    assert text == json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True) + "\n" and "NaN" not in text
    entry = found["middle"]["mean_distance_px"]
    assert entry["difference"] == pytest.approx(entry["b"] - entry["a"]) and entry["difference"] < -3
    assert entry["low"] <= entry["difference"] <= entry["high"] < 0
    assert (entry["p_value"], entry["n"], entry["better"]) == (2 / 2**12, 12, "b")
    assert set(found["settings"]) >= {"pairs", "only_a", "only_b", "cluster", "seed", "difference", "data", "a", "b"}
    again = compare(a, b, "--data", data, "--out", tmp_path / "again").done()
    assert content(tmp_path / "again") == found and "B - A" in again.out
    compare(b, a, "--data", data, "--out", tmp_path / "turned").done()
    turned = content(tmp_path / "turned")["middle"]["mean_distance_px"]
    assert turned["difference"] == pytest.approx(-entry["difference"]) and turned["better"] == "a"


def test_the_same_file_twice(labelled: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    data, truth = labelled
    file = predictions(tmp_path / "points.json", truth, noise=3)
    compare(file, file, "--data", data).done()
    for group, metrics in content(tmp_path).items():
        for entry in metrics.values() if group != "settings" else ():
            assert (entry["difference"], entry["p_value"], entry["better"]) == (0, 1, None)


def test_kinds_are_resampled_whole(labelled: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    data, truth = labelled
    a = predictions(tmp_path / "a" / "points.json", truth, noise=3)
    b = predictions(tmp_path / "b" / "points.json", truth, off=1)
    compare(a, b, "--data", data, "--cluster", "prefix").done()
    found = content(tmp_path / "b")
    assert found["settings"]["cluster"] == "prefix" and found["settings"]["clusters"] == 6
    assert found["middle"]["pck"]["clusters"] == 6 and found["middle"]["pck"]["p_value"] >= 2 / 2**6


def test_images_of_one_file_alone_are_listed(labelled: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    data, truth = labelled
    a = predictions(tmp_path / "a" / "points.json", {name: truth[name] for name in NAMES[:6]})
    more = {name: truth[name] for name in NAMES[2:]} | {"other.png": truth[NAMES[0]], "clip.mp4#3": truth[NAMES[0]]}
    b = predictions(tmp_path / "b" / "points.json", more)
    answer = compare(a, b, "--data", data).done()
    settings = content(tmp_path / "b")["settings"]
    assert settings["pairs"] == 4 and settings["only_a"] == NAMES[:2] and settings["only_b"] == NAMES[6:]
    assert set(settings["left_out_b"]) == {"other.png", "clip.mp4#3"}
    entry = content(tmp_path / "b")["middle"]["f1"]
    assert (entry["low"], entry["high"], entry["p_value"]) == (None, None, None)
    assert entry["reason"].startswith("4 pairs") and "2 in A alone" in answer.out and "4 pairs" in answer.out


def test_options_of_the_recipe(labelled: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    data, truth = labelled
    a = predictions(tmp_path / "a" / "points.json", truth)
    b = predictions(tmp_path / "b" / "points.json", truth, off=5)
    compare(a, b, "--data", data, "tolerance=5").done()
    assert content(tmp_path / "b")["middle"]["pck"]["difference"] == -1
    compare(a, b, "--data", data).done()
    assert content(tmp_path / "b")["middle"]["pck"]["difference"] == 0
    compare(a, b, "--data", data, "truth=heatmap").done()
    assert content(tmp_path / "b")["settings"]["truth"] == "heatmap"
    compare(a, b, "--data", data, "tol=5").refused("tol", "tolerance")
    compare(a, b, "--data", data, "tolerance=wide").refused("tolerance")
    compare(a, b, "--data", data, "truth=guess").refused("guess")


def test_what_the_files_say_of_themselves_counts(labelled: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """The tolerance is that of ``evaluate``; two of them are two figures."""
    data, truth = labelled
    a = predictions(tmp_path / "a" / "points.json", truth, settings={"tolerance": 5.0})
    b = predictions(tmp_path / "b" / "points.json", truth, off=5, settings={"tolerance": 5.0})
    compare(a, b, "--data", data).done()
    found = content(tmp_path / "b")
    assert found["middle"]["pck"]["difference"] == -1 and found["settings"]["tolerance_px"] == 5
    wide = predictions(tmp_path / "wide" / "points.json", truth)
    compare(a, wide, "--data", data).refused("tolerance_px of B is 10.0, of A 5.0")
    compare(a, wide, "--data", data, "tolerance=3").done()
    found = predictions(tmp_path / "found" / "points.json", truth, truth="heatmap")
    compare(found, found, "--data", data).done()
    assert content(tmp_path / "found")["settings"]["truth"] == "heatmap"
    compare(found, wide, "--data", data).refused("truth of B is points, of A heatmap")


def test_a_needle_that_only_some_dials_and_models_have(tmp_path: Path) -> None:
    names = NAMES[:8]
    rows = write_flat(tmp_path / "data", names)
    truth = {
        name: {**points, "middle": [*points["start"], *points["middle"], *points["end"]], "needle_tip": [[20.0, 30.0]]}
        for name, points in zip(names, rows, strict=True)
    }
    tips = [{"needle_tip": [[20.0, 30.0]]} if number % 4 else {} for number in range(len(names))]
    called = {"labels": {"needle_tip": "Needle Tip"}}
    tasks = [task(i, name, rows[i] | tips[i], **called) for i, name in enumerate(names)]
    write_json(tmp_path / "data" / "annotation.json", tasks)
    a = predictions(tmp_path / "a" / "points.json", truth)
    b = predictions(tmp_path / "b" / "points.json", truth, off=1)
    compare(a, b, "--data", tmp_path / "data").done()
    found = content(tmp_path / "b")
    assert found["needle_tip"]["mean_distance_px"]["n"] == 6 and found["middle"]["f1"]["n"] == 8
    assert found["needle_tip"]["mean_distance_px"]["difference"] == pytest.approx(2**0.5)
    plain = {name: {channel: points[channel] for channel in CHANNELS} for name, points in truth.items()}
    compare(a, predictions(tmp_path / "c" / "points.json", plain, off=1), "--data", tmp_path / "data").done()
    found = content(tmp_path / "c")
    assert found["middle"]["f1"]["n"] == 8 and found["needle_tip"]["pck"]["n"] == 0
    assert found["needle_tip"]["pck"]["reason"] == "no pair has a value on both sides"


def test_the_data_that_an_evaluation_named(labelled: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    data, truth = labelled
    a = predictions(tmp_path / "all" / "points.json", truth)
    b = predictions(tmp_path / "b" / "points.json", truth, off=1)
    compare(a, b).refused("labels are needed", "--data")
    call("gauge", "evaluate", "--data", data, "--predictions", a, "--out", tmp_path).done()
    compare(a, b).done()
    assert content(tmp_path / "b")["settings"]["pairs"] == 12


def test_what_cannot_be_compared(labelled: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    data, truth = labelled
    a = predictions(tmp_path / "a" / "points.json", truth)
    other = predictions(tmp_path / "other.json", truth, recipe="jigsaw")
    nothing = write_json(tmp_path / "empty" / "notes.json", {"a": 1})
    compare(a, other, "--data", data).refused(str(other), "recipe")
    compare(a, nothing, "--data", data).refused(str(nothing), "points.json")
    compare(a, nothing.parent, "--data", data).refused("no predictions in this folder")
    compare(a, tmp_path / "nowhere", "--data", data).refused("nowhere")
    compare(a, a, "--data", data, "--cluster", "clip").refused("clip", "prefix")
    compare(a, a, "--data", data, "--split", "val").refused("no set 'val'")
    compare(a, a, "--data", data, "--resamples", 0).refused("--resamples")
    compare(a, a, "--data", data, "--seed", -1).refused("--seed")
    compare(a, a, "--data", data, "word").refused("word")
    compare(a).refused("B is missing")
    stranger = predictions(tmp_path / "s" / "points.json", {"x.png": truth[NAMES[0]]})
    compare(a, stranger, "--data", data).refused("no labelled image is in both files")
    assert not list(tmp_path.rglob("compare.json"))


def test_compare_needs_no_torch(labelled: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    data, truth = labelled
    file = predictions(tmp_path / "points.json", truth)
    words = ["compare", str(file), str(file), "--data", str(data)]
    script = (
        "import sys\nfrom kaname.cli import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit as error:\n    assert not error.code, error.code\n"
        "heavy = {'torch', 'transformers', 'timm', 'sklearn', 'lightning_fabric'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
