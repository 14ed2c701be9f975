"""Files of predicted masks. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from kaname.config import from_dict
from kaname.data.formats import masks as files
from kaname.inference.card import heads_of
from kaname.recipes.roimask import MASKS
from kaname.recipes.roimask.config import AnswerSettings
from kaname.recipes.roimask.decode import choice_of
from kaname.types import Masks, Prediction


def about(card: Mapping[str, Any], how: Mapping[str, Any]) -> dict[str, Any]:
    """What a file of predictions says of its model: its classes, and the extractor's file."""
    named = card["extractor"].get("path") or card["config"]["extractor"]["backbone"]
    found = {"classes": list(heads_of(card)[MASKS].channels), "extractor": Path(named).name}
    return found | {"category_id": category_of(card)}


def category_of(card: Mapping[str, Any]) -> int:
    """What label files call what a model finds; 1 where neither its training's annotations nor its settings say it."""
    category = str(card["config"]["data"]["category"])
    known = card.get("category_id")
    return known if isinstance(known, int) else int(category) if category.isdecimal() else 1


def write(path: Path, predictions: Iterable[Prediction], about: Mapping[str, Any]) -> dict[str, int]:
    """A ``masks.json``: COCO results with the grid of each box."""
    head, count = dict(about), 0
    settings, category = head.pop("answers"), int(head.pop("category_id", 1))
    choice = choice_of(from_dict(AnswerSettings, settings))

    def rows() -> Iterable[Prediction]:
        nonlocal count
        for row in predictions:
            count += len(cast(Masks, row.answer).boxes)
            yield row

    files.write(path, rows(), settings=settings, choice=choice, category_id=category, **head)
    return {"masks": count}


def read(path: Path) -> Iterator[Prediction]:
    """The predictions of a file, an image at a time."""
    return files.stream(path, recipe="roimask")
