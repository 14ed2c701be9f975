"""Cards: typed values from one place, versions before, and fields that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kaname.errors import InputError
from kaname.geometry.grid import Grid
from kaname.geometry.view import View
from kaname.inference import card as cards
from kaname.inference.card import Weights, described, grid_of, heads_of, inputs_of, view_of, weights_of
from kaname.types import Head, Input

PLAIN: dict[str, Any] = {
    "recipe": "gauge", "config": {}, "input_size": [32, 48], "channels": ["start", "end"], "backbone": {}
}  # fmt: skip
PATH = Path("model.pt")


def test_a_card_of_version_1_is_read_as_one_of_2() -> None:
    text = json.dumps({**PLAIN, "format": cards.FORMAT, "version": 1, "heatmap_size": [16, 12], "frames": 3})
    card = cards.read(text, PATH)
    assert card["version"] == cards.VERSION == 2
    assert view_of(card) == View("letterbox", (32, 48)) and grid_of(card) == Grid((2.0, 4.0))
    assert heads_of(card) == {"heatmaps": Head(["start", "end"], "sigmoid", 1)}
    assert inputs_of(card) == {"images": Input([None, None, 9], "uint8", "batch")}
    assert weights_of(card) == Weights("model", (), ())
    assert card["heads"]["heatmaps"]["channels"] == ["start", "end"] and card["view"]["fit"] == "letterbox"


def test_what_is_written_comes_back() -> None:
    view = View("crop", (64, 32), factor=1.25)
    inputs = {"images": Input((None, None, 6), "uint8"), "flow": Input((2, 64, 32))}
    heads = {
        "heatmaps": Head(["a", "b"]),
        "visible": Head(["0", "1", "2"] * 2, "softmax", 2),
        "raw": Head(["x"], "none"),
    }
    names = {"key": "state_dict", "names": [["decoder.", "head."]], "without": ["mean", "std"]}
    without_size = {name: value for name, value in PLAIN.items() if name not in ("input_size", "channels")}
    grid = Grid((4.0, 4.0), "aligned")
    card = {
        **without_size,
        "view": view.to_dict(),
        **described(inputs, heads),
        "grid": grid.to_dict(),
        "weights": names,
    }
    again = cards.read(cards.write(card), PATH, "gauge")
    assert view_of(again) == view and grid_of(again) == grid and heads_of(again) == heads
    assert inputs_of(again).keys() == {"images", "flow", "boxes"}, "a crop is fed boxes"
    assert inputs_of(again)["boxes"] == Input((4,), "float32", "boxes")
    assert weights_of(again) == Weights("state_dict", (("decoder.", "head."),), ("mean", "std"))
    assert again["input_size"] == [64, 32] and again["channels"] == ["a", "b"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("view", {"fit": "zoom", "size": [3, 3]}), ("view", 3), ("heads", {"a": {"channel": []}}), ("heads", [1]),
        ("inputs", {"images": 3}), ("grid", {"stride_yx": [0, 1], "origin": "centred"}), ("grid", {}),
        ("weights", {"names": [["a"]]}), ("weights", 3),
    ],
)  # fmt: skip
def test_fields_that_cannot_be_read(field: str, value: Any) -> None:
    text = json.dumps({**PLAIN, "format": cards.FORMAT, "version": 2, field: value})
    with pytest.raises(InputError, match=f"the card's field '{field}' (cannot be read|is not)") as caught:
        cards.read(text, PATH)
    assert caught.value.path == "model.pt" and "\n" not in str(caught.value)
