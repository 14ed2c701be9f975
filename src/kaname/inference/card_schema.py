"""What the fields of a card must be: somebody may have changed them, and what they say is built and run. No torch.

Adding a field: one line in :data:`FIELDS`, where it is not as free as a setting.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from kaname.errors import InputError
from kaname.types import Activation

FOREIGN = "use a file that kaname wrote"
LARGEST_SIDE = 16384  # of pictures and maps
LARGEST_AREA = 1 << 26
LARGEST_NUMBER = 1 << 16  # channels, layers, ... of a network
DEEPEST = 32

Check = Callable[[Any], bool]


def _whole(low: int, high: int) -> Check:
    return lambda value: type(value) is int and low <= value <= high


def _number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < LARGEST_NUMBER**2 and math.isfinite(value)


def _positive(value: Any) -> bool:
    return _number(value) and value > 0


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _mapping_of(check: Check) -> Check:
    return lambda value: isinstance(value, dict) and all(map(check, value.values()))


def _pair_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and len(value) == 2 and all(map(check, value))


def _or_null(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _size(value: Any) -> bool:
    return _pair_of(_whole(1, LARGEST_SIDE))(value) and value[0] * value[1] <= LARGEST_AREA


def _modest(value: Any, depth: int = 0) -> bool:
    """Plain values of which a network can be built that fits into memory."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return depth < DEEPEST and all(_modest(item, depth + 1) for item in value)
    return type(value) not in (int, float) or (math.isfinite(value) and abs(value) <= LARGEST_NUMBER)


def _view(value: Any) -> bool:
    sizes = _mapping(value) and _size(value.get("size")) and _or_null(_size)(value.get("canvas"))
    return sizes and _positive(value.get("factor", 1.0)) and value.get("factor", 1.0) <= LARGEST_NUMBER


def _head(value: Any) -> bool:
    if not _mapping(value) or not _list_of(_text)(value.get("channels")) or len(value["channels"]) > LARGEST_NUMBER:
        return False
    groups = value.get("groups", 1)
    fits = _whole(1, LARGEST_NUMBER)(groups) and len(value["channels"]) % groups == 0
    return fits and value.get("activation", "sigmoid") in get_args(Activation)


def _input(value: Any) -> bool:
    shaped = _mapping(value) and _list_of(_or_null(_whole(1, LARGEST_AREA)))(value.get("shape"))
    return shaped and _text(value.get("dtype", "")) and _text(value.get("batch", ""))


def _weights(value: Any) -> bool:
    fine = _mapping(value) and _text(value.get("key", "")) and _list_of(_text)(value.get("without", []))
    return fine and _list_of(_pair_of(_text))(value.get("names", []))


def _zoo(value: Any) -> bool:
    if not _mapping(value) or not _text(value.get("name")) or not _mapping(value.get("scores", {})):
        return False
    return _mapping_of(_number)(value.get("scores", {}).get("quantiles", {}))


SIZE = f"(height, width), up to {LARGEST_SIDE} a side and {LARGEST_AREA / 1e6:.0f} million in all"
NUMBERS = f"a mapping whose numbers are at most {LARGEST_NUMBER}"
FIELDS: Mapping[str, tuple[Check, str]] = {
    "recipe": (_text, "a text"),
    "config": (_mapping, "a mapping"),
    "input_size": (_size, SIZE),
    "channels": (_list_of(_text), "a list of names"),
    "backbone": (lambda value: _mapping(value) and _modest(value), NUMBERS),
    "heatmap_size": (_or_null(_size), SIZE),
    "view": (_view, f"a fit, a size of {SIZE}, and perhaps a canvas and a factor"),
    "heads": (lambda value: bool(value) and _mapping_of(_head)(value), "channels, an activation and groups by name"),
    "inputs": (_or_null(_mapping_of(_input)), "a shape, a dtype and a batch axis by name"),
    "grid": (lambda value: _mapping(value) and _pair_of(_positive)(value.get("stride_yx")), "two strides, an origin"),
    "weights": (_weights, "a key, pairs of names, and names without"),
    "frames": (_whole(1, 1024), "a whole number in 1..1024"),
    "step": (_whole(1, 1024), "a whole number in 1..1024"),
    "in_chans": (_whole(1, 1024), "a whole number in 1..1024"),
    "roi_grid": (_size, SIZE),
    "padding": (_number, "a number"),
    "sigma_px": (_positive, "a positive number"),
    "sigma_cells": (_positive, "a positive number"),
    "score_threshold": (_number, "a number"),
    "skeleton": (_or_null(_mapping), "a mapping"),
    "motion": (_or_null(_mapping), "a mapping"),
    "extractor": (lambda value: value is None or (_mapping(value) and _modest(value)), NUMBERS),
    "trained": (_mapping, "a mapping"),
    "trained_on": (_list_of(_text), "a list of texts"),
    "versions": (_mapping, "a mapping"),
    "pretrained": (lambda value: value in (True, False, None), "true, false or null"),
    "mean_255": (_list_of(_number), "a list of numbers"),
    "std_255": (_list_of(_positive), "a list of positive numbers"),
    "colour": (_text, "a text"),
    "absent": (_or_null(_text), "a text"),
    "lies_on": (_text, "a text"),
    "init": (_text, "a text"),
    "zoo": (_zoo, "a mapping with texts, and scores with quantiles"),
}
REQUIRED = ("recipe", "config", "input_size", "channels", "backbone")


def check(card: Mapping[str, Any], path: Path) -> None:
    """Refuse a card with a field missing or of another kind, or with sizes that nothing real has.

    Raises:
        InputError: naming the field.
    """
    for name in REQUIRED:
        if name not in card:
            raise InputError(f"the card lacks the field {name!r}", path=path, remedy=FOREIGN)
    for name, (fits, what) in FIELDS.items():
        if name in card and not fits(card[name]):
            raise InputError(f"the card's field {name!r} is not {what}", path=path, remedy=FOREIGN)
    for name, value in _sizes(card["config"]):
        if not _modest(value):
            reason = f"the card's field 'config' holds {name} with a number above {LARGEST_NUMBER}"
            raise InputError(reason, path=path, remedy=FOREIGN)


def _sizes(config: Mapping[str, Any], prefix: str = "", depth: int = 0) -> list[tuple[str, Any]]:
    """The settings of a configuration that say how large something is, by their dotted keys."""
    found: list[tuple[str, Any]] = []
    for key, value in config.items():
        if isinstance(value, dict) and depth < DEEPEST:
            found += _sizes(value, f"{prefix}{key}.", depth + 1)
        elif "size" in key or key in ("channels", "width", "length"):
            found.append((f"{prefix}{key}", value))
    return found
