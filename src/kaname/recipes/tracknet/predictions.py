"""Files of balls. No torch.

``ball.csv`` is a table of `kaname.tracking.table`; the JSON file of the same name beside it says what made it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kaname import config as configuration
from kaname.data.formats.files import read_json, write_json
from kaname.errors import InputError
from kaname.inference.card import from_nothing
from kaname.recipes.tracknet.config import DataSettings
from kaname.recipes.tracknet.decode import row_of
from kaname.tracking.table import COORDINATES, write_rows
from kaname.tracking.trajectory import DETECTED, FILLED, STATIC, Row
from kaname.types import Prediction


def about(card: Mapping[str, Any], how: Mapping[str, Any]) -> dict[str, Any]:
    """What a file of balls says about its model: how it was trained, on which games, and how they were scored."""
    data = configuration.from_dict(DataSettings, card["config"]["data"], section="data")
    trained_on = None
    if data.root.exists():
        from kaname.recipes.tracknet.labels import games_of, sets  # here, because of the formats of labels

        with contextlib.suppress(InputError):  # other data lies there now
            chosen = sets(data)
            trained_on = {"data": data.root.as_posix(), **{name: games_of(chosen[name]) for name in ("train", "val")}}
    fields = {"absent": card.get("absent"), "pretrained": not from_nothing(card), "trained_on": trained_on}
    fields |= {"occluded_absent": how["occluded_absent"]} if "occluded_absent" in how else {}
    smooth = how.get("smooth", "none")  # of rows that are not: those of `predict` are, as ``smooth`` says
    return fields | ({} if smooth == "none" else {"scored_smooth": smooth})


def write(path: Path, rows: Iterable[Prediction | Row], about: Mapping[str, Any]) -> dict[str, int]:
    """Write rows as they come, and what made them into the JSON file beside; returns how many have what."""
    counts = write_rows(path, (row if isinstance(row, Row) else row_of(row) for row in rows))
    kept = {"format": "kaname-balls", "coordinates": COORDINATES, **about, **counts}
    write_json(path.with_suffix(".json"), kept)
    shown = {"frames": counts["frames"], DETECTED: counts[DETECTED]}
    smooth = about.get("smooth", {})
    if smooth.get("name", "none") != "none":
        shown[f"filled (at most {smooth['max_filled']:g} for each detected)"] = counts[FILLED]
    if not about.get("keep_static", True):
        shown["static left out"] = counts[STATIC]
    return shown | {"without a ball": counts["frames"] - counts[DETECTED] - counts[FILLED] - counts[STATIC]}


def made(path: Path) -> dict[str, Any]:
    """What the JSON file beside a file of balls says about them."""
    beside = path.with_suffix(".json")
    content = read_json(beside) if beside.is_file() else None
    return dict(content) if isinstance(content, dict) else {}
