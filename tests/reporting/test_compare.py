"""Two scored files of a recipe that does not exist: counts a clip, as a ball's F1 needs them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from kaname.errors import InputError
from kaname.reporting.compare import Scored, comparison, remarks, shown_p, table


def f1(rows: np.ndarray) -> float | None:
    tp, fp, fn = rows.sum(axis=0)
    return float(2 * tp / (2 * tp + fp + fn)) if tp + fp + fn else None


def scored(right: float, *, clips: int = 8, frames: int = 10, seed: int = 0) -> Scored:
    """Frames of clips, each found with the probability ``right``."""
    random = np.random.default_rng(seed)
    values, clusters = {}, {}
    for clip in range(clips):
        for frame in range(frames):
            name = f"game1/Clip{clip}/{frame:04d}.jpg"
            hit = random.random() < right
            figures = {"f1": (int(hit), 0, int(not hit)), "distance_px": float(random.random()) if hit else None}
            values[name] = {"ball": figures}
            clusters[name] = f"Clip{clip}"
    return Scored(values, {"recipe": "ball"}, clusters, "clip", {"f1": f1}, frozenset({"distance_px"}))


def test_counts_by_clip() -> None:
    a, b = scored(0.6), scored(0.95, seed=1)
    content = comparison(a, b, resamples=300)
    entry = content["ball"]["f1"]
    whole = [f1(np.array([row["ball"]["f1"] for row in one.values.values()])) for one in (a, b)]
    assert (entry["a"], entry["b"]) == pytest.approx(whole)
    assert (entry["n"], entry["clusters"], entry["better"]) == (80, 8, "b")
    assert entry["low"] > 0 and entry["p_value"] == 2 / 2**8
    assert content["ball"]["distance_px"]["excluded"] > 0
    assert content["settings"]["cluster"] == "clip" and content["settings"]["clusters"] == 8
    json.dumps(content, allow_nan=False)
    rows = table(content)
    assert [row[:2] for row in rows[1:]] == [["ball", "f1"], ["ball", "distance_px"]]
    assert all(len(row) == len(rows[0]) for row in rows)


def test_what_is_better_depends_on_the_metric() -> None:
    names = [str(i) for i in range(10)]
    a, b = (
        Scored({name: {"g": {"far": value, "near": value}} for name in names}, {}, lower_is_better=frozenset({"far"}))
        for value in (2.0, 1.0)
    )
    found = comparison(a, b)["g"]
    assert (found["far"]["better"], found["near"]["better"]) == ("b", "a")


def test_remarks_name_what_was_left_out() -> None:
    a, b = scored(0.5, clips=3), scored(0.5, clips=4)
    lines = remarks(comparison(a, b, resamples=50))
    assert any("10 in B alone" in line and "and 5 more" in line for line in lines)
    assert any("3 clusters" in line for line in lines)
    with pytest.raises(InputError, match="no labelled image"):
        comparison(a, Scored({"x": a.values["game1/Clip0/0000.jpg"]}, {}))


def test_other_settings_are_named() -> None:
    a, b = (replace(scored(0.5), settings={"recipe": "ball", "threshold": value}) for value in (0.5, 0.3))
    content = comparison(a, b, resamples=10)
    assert content["settings"]["other_settings_of_b"] == {"threshold": 0.3}
    assert "threshold of B is 0.3, of A 0.5" in remarks(content)


def test_other_metrics_are_refused() -> None:
    a, b = scored(0.5), scored(0.5)
    moved = {name: {"ball": {"f1": row["ball"]["f1"], "f1_5px": row["ball"]["f1"]}} for name, row in b.values.items()}
    with pytest.raises(InputError, match="A alone has ball distance_px, B alone ball f1_5px"):
        comparison(a, replace(b, values=moved))


def test_a_p_value_is_never_shown_as_nothing() -> None:
    """None is: of random swaps the least is one in all of them."""
    assert [shown_p(value, 3) for value in (0.00049, 0.0005, 0.0312, 1.0, None)] == [
        "<0.001",
        "0.001",
        "0.031",
        "1.000",
        "-",
    ]
    assert shown_p(1 / 10_001, 4) == "0.0001" and shown_p(1e-7, 4) == "<0.0001"
