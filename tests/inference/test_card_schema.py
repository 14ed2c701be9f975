"""Cards whose fields somebody has changed: each is refused by one line that names the field."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kaname
from kaname.errors import InputError
from kaname.inference import card as cards
from kaname.inference import checkpoint, checkpoint_card
from kaname.inference.card_schema import FIELDS, REQUIRED
from kaname.types import Points

GOLDEN = Path(__file__).parents[1] / "golden"
STRANGE: list[Any] = [
    None, True, 3, -1, 0, 1.5, float("inf"), float("nan"), 10**9, 10**30, 1e300, "x", "", [], {}, [1], [None], ["a"],
    [[]], [10**9, 10**9], [0, 4], [4, 4, 4], {"a": 1}, {"a": None}, {"a": {}}, {"kind": 3}, {"size": [9, 9]},
    {"heatmaps": {"channels": "start"}}, {"images": {"shape": "abc"}}, {"key": 3},
]  # fmt: skip


def card_of(name: str) -> dict[str, Any]:
    """The card of a golden file."""
    return dict(checkpoint_card.read(GOLDEN / name).card)


@pytest.mark.parametrize("name", ["gauge.pt", "ball.pt"])
def test_any_field_may_hold_anything(name: str) -> None:
    whole = card_of(name)
    for field in {*FIELDS, *whole} - {"format"}:
        for value in STRANGE:
            text = json.dumps({**whole, field: value})
            try:
                card = cards.read(text, Path("model.pt"))
                assert all(typed(card) is not None for typed in cards.TYPED.values())
            except InputError as error:
                assert field in str(error) and "\n" not in str(error) and len(str(error)) < 600, (field, value)


@pytest.mark.parametrize("field", REQUIRED)
def test_a_field_is_missing(field: str) -> None:
    card = {name: value for name, value in card_of("gauge.pt").items() if name != field}
    with pytest.raises(InputError, match=f"lacks the field '{field}'"):
        cards.read(json.dumps(card), Path("model.pt"))


@pytest.mark.parametrize("version", [float("nan"), "2", True, None, 0, -1, 1.5])
def test_a_version_is_a_whole_number(version: Any) -> None:
    with pytest.raises(InputError, match="'version' is not a whole number"):
        cards.read(json.dumps({**card_of("gauge.pt"), "version": version}), Path("model.pt"))


CHANGES: list[tuple[str, Any, str]] = [
    ("input_size", [10**9, 10**9], "input_size"), ("view", {"fit": "letterbox", "size": [10**9, 64]}, "view"),
    ("heads", {"heatmaps": {"channels": ["one"]}}, "heads"), ("heads", {"other": {"channels": ["a"] * 3}}, "other"),
    ("inputs", {"images": {"shape": [1e9]}}, "inputs"), ("backbone", {"kind": "small", "width": 10**9}, "backbone"),
    ("backbone", {"kind": "small"}, "card"), ("grid", {"stride_yx": [1e400, 1]}, "grid"),
    ("config", {"size": 10**12}, "config"), ("config", {"extract": 3}, "extract"), ("trained", 3, "trained"),
    ("frames", 10**6, "frames"), ("versions", [], "versions"),
]  # fmt: skip


def changed(name: str, field: str, value: Any, place: Path) -> Path:
    """A golden file with another value in its card."""
    if name.endswith(".onnx"):
        onnx = pytest.importorskip("onnx")
        model = onnx.load(GOLDEN / name)
        (entry,) = (one for one in model.metadata_props if one.key == "kaname")
        entry.value = json.dumps({**json.loads(entry.value), field: value})
        onnx.save(model, place / name)
    else:
        content = checkpoint.read(GOLDEN / name, remedy="")
        card = {**json.loads(content["card"]), field: value}
        checkpoint.write(place / name, {**content, "card": json.dumps(card)}, remedy="")
    return place / name


@pytest.mark.parametrize("name", ["gauge.pt", "gauge.onnx", "ball.pt"])
def test_a_changed_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    for field, value, said in CHANGES:
        if name.endswith(".onnx") and said == "card":
            continue  # an export's backbone is only shown
        path = changed(name, field, value, tmp_path)
        with pytest.raises(InputError) as refused:
            model = kaname.load(path)
            pytest.fail(f"{field} = {value!r} was read as {model.card[field]!r}")
        assert said in str(refused.value) and str(path) in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", ["deflated", "overlapping"])
def test_records_that_unpack_to_more_are_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with (
        zipfile.ZipFile(GOLDEN / "gauge.pt") as source,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if kind == "deflated" else zipfile.ZIP_STORED) as target,
    ):
        for one in source.namelist():
            target.writestr(one, source.read(one))
        if kind == "deflated":
            target.writestr("archive/data/99", bytes(1 << 24))
        else:
            first = target.infolist()[0]
            target.filelist += [first] * (path.stat().st_size // max(first.file_size, 1) + 2)
    for read in (checkpoint_card.read, checkpoint.load):
        with pytest.raises(InputError, match="compressed"):
            read(path)


def test_a_file_as_it_is_still_answers() -> None:
    answer = kaname.load(GOLDEN / "gauge.pt").predict(np.zeros((40, 50, 3), np.uint8))
    assert isinstance(answer, Points) and answer.size == (40, 50)
