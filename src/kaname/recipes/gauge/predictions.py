"""Files of predicted dials. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kaname.data.formats import points as points_json
from kaname.data.formats.files import is_number
from kaname.errors import InputError
from kaname.recipes.gauge import CHANNELS, NEEDLE
from kaname.recipes.gauge.config import ExtractSettings, GaugeConfig
from kaname.types import Prediction


def about(card: Mapping[str, Any], how: Mapping[str, Any]) -> dict[str, Any]:
    """What a file of predictions says about its model: the sigma it was trained with, pixels at 448; and whether it was
    made to be scored with a truth from heatmaps."""
    return {"sigma": float(card["config"]["sigma"])} | ({"truth": "heatmap"} if how.get("truth") == "heatmap" else {})


def write(path: Path, predictions: Iterable[Prediction], about: Mapping[str, Any]) -> dict[str, int]:
    """Write ``points.json`` (`kaname.data.formats.points`) with the settings of the extraction and ``sigma``."""
    settings, told = about["extract"], ("recipe", "model", "sigma", "truth")
    fields = {name: about[name] for name in told if name in about}
    points_json.write(path, predictions, settings=settings, **fields)
    return {}


def read(path: Path) -> list[Prediction]:
    """The predictions of a ``points.json``."""
    return points_json.read(path, recipe="gauge", names=CHANNELS, also=NEEDLE)


def made(path: Path) -> dict[str, Any]:
    """What a ``points.json`` says about itself: ``model``, ``extract``, ``sigma`` and ``truth``, with defaults for what
    it lacks.

    Raises:
        InputError: bandwidth or sigma is not a length.
    """
    content = head if isinstance(head := points_json.read_head(path), dict) else {}
    settings = content.get("settings")
    extract = settings if isinstance(settings, dict) else {}
    sigma = content.get("sigma", GaugeConfig().sigma)
    for name, value in (("sigma", sigma), ("bandwidth", extract.get("bandwidth", ExtractSettings().bandwidth))):
        if not is_number(value) or value <= 0:
            raise InputError(f"{name} is {value!r}, not a length in pixels", path=path, remedy="predict again")
    truth = content.get("truth", "points")
    return {"model": content.get("model"), "extract": extract, "sigma": float(sigma), "truth": truth}
