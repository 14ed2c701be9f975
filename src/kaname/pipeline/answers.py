"""Files of predictions by the kind of their answers, for a recipe without a format of its own. No torch.

Points go to a ``points.json``, masks to a ``masks.json``; both say what made them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kaname.data.formats import masks, points
from kaname.types import Prediction

MASKS = "masks.json"


def write(path: Path, predictions: Iterable[Prediction], about: Mapping[str, Any]) -> dict[str, int]:
    """Write predictions with the model and the settings (``about["answers"]``) that made them; returns how many."""
    head, count = dict(about), 0
    head["settings"] = head.pop("answers")

    def rows() -> Iterator[Prediction]:
        nonlocal count
        for count, row in enumerate(predictions, 1):  # noqa: B007 (it is what remains of the loop)
            yield row if row.source else replace(row, source=head["source"])

    (masks if path.name == MASKS else points).write(path, rows(), **head)
    return {"rows": count}


def read(path: Path, recipe: str) -> list[Prediction]:
    """The predictions of a file, which must be ``recipe``'s."""
    return (masks if isinstance(points.read_head(path), list) else points).read(path, recipe=recipe)


def made(path: Path) -> dict[str, Any]:
    """What a file says of all its rows: ``model``, the settings as ``answers``, and what else its recipe has told."""
    head = head_of(path)
    told = {name: value for name, value in head.items() if name not in ("images", "settings")}
    return {"model": None, **told, "answers": head.get("settings", {})}


def head_of(path: Path) -> dict[str, Any]:
    """All that a file says of its rows together; empty for another program's.

    Raises:
        InputError: it is not JSON.
    """
    content = points.read_head(path)
    return content if isinstance(content, dict) else masks.read_head(content)
