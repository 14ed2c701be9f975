"""The self-description inside every checkpoint and export, and what makes one acceptable. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kaname.errors import InputError

FORMAT = "kaname-checkpoint"
VERSION = 1
FIELDS: Mapping[str, type] = {
    "recipe": str, "config": dict, "input_size": list, "channels": list, "backbone": dict,
}  # fmt: skip
FOREIGN = "use a file that kaname wrote"


def write(card: Mapping[str, Any]) -> str:
    """A card as JSON text, with its format and version."""
    return json.dumps({"format": FORMAT, "version": VERSION, **card}, ensure_ascii=False, sort_keys=True)


def read(text: object, path: Path, recipe: str | None = None) -> dict[str, Any]:
    """A card from its JSON text.

    Raises:
        InputError: not Kaname's, of a newer version, with a field missing or of another type, or of another recipe
            than ``recipe`` where that is asked for.
    """
    try:
        card = json.loads(text) if isinstance(text, str) else None
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError("the card is not JSON", path=path, remedy=FOREIGN) from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise InputError("the card is not kaname's", path=path, remedy=FOREIGN)
    version = card.get("version")
    if not isinstance(version, int) or version > VERSION:
        reason = f"written by a newer kaname (card version {version}, this one reads {VERSION})"
        raise InputError(reason, path=path, remedy="update kaname")
    for name, kind in FIELDS.items():
        if name not in card:
            raise InputError(f"the card lacks the field {name!r}", path=path, remedy=FOREIGN)
        if not isinstance(card[name], kind):
            raise InputError(f"the card's field {name!r} is not a {kind.__name__}", path=path, remedy=FOREIGN)
    sizes = card["input_size"]
    if len(sizes) != 2 or not all(type(side) is int and side > 0 for side in sizes):
        raise InputError("the card's field 'input_size' is not (height, width)", path=path, remedy=FOREIGN)
    if recipe is not None and card["recipe"] != recipe:
        raise InputError(
            f"of the recipe {card['recipe']!r}, not of {recipe!r}",
            path=path,
            remedy=f"use `kaname {card['recipe']} ...` or another file",
        )
    return card
