"""The self-description inside every checkpoint and export, and what makes one acceptable. No torch.

A card is a plain dict. Besides what recipes add, version 2 has

- ``recipe``, ``config``, ``backbone``; ``channels`` and ``input_size`` (those of the first head and of the view);
- ``view``: how a picture or a box becomes the input (`View.to_dict`);
- ``inputs``: ``{name: {shape, dtype, batch}}``, what a file is fed (`kaname.types.Input`);
- ``heads``: ``{name: {channels, activation, groups}}``, what it answers (`kaname.types.Head`);
- ``grid``: how the cells of its maps lie in the input (`Grid.to_dict`), where it has maps;
- ``frames``, ``step``: of a network of video, the frames of a window and by how many it moves on (by default all);
- ``weights``: ``{key, names, without}``, how the tensors of a checkpoint are called (`Weights`);
- ``init``: of which shipped model training started, in words; ``zoo``: of a shipped model its facts (`kaname.zoo`).

What a file lacks, as those of version 1 do, is filled in when it is read: images letterboxed to ``input_size``, one
sigmoid head ``heatmaps`` of the ``channels``. Only this file knows that; all others ask it for the typed values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kaname.errors import InputError
from kaname.geometry.grid import Grid
from kaname.geometry.view import View
from kaname.inference import card_schema
from kaname.inference.card_schema import FOREIGN
from kaname.types import Head, Input

FORMAT = "kaname-checkpoint"
FITTED = "fitted"  # images that are in the view already, in the place of ``images`` and boxes
VERSION = 2


@dataclass(frozen=True)
class Weights:
    """How the tensors of a network are called in its checkpoint.

    Attributes:
        key: of the tensors in the file.
        names: pairs of a beginning of our names and what stands for it in the file.
        without: our names of buffers that are left out, because building the network makes them again.
    """

    key: str = "model"
    names: tuple[tuple[str, str], ...] = ()
    without: tuple[str, ...] = ()


def described(inputs: Mapping[str, Input], heads: Mapping[str, Head]) -> dict[str, Any]:
    """The fields ``inputs``, ``heads`` and ``channels`` of a network's card."""
    named = {name: {**asdict(head), "channels": list(head.channels)} for name, head in heads.items()}
    fed = {name: {**asdict(value), "shape": list(value.shape)} for name, value in inputs.items()}
    return {"inputs": fed, "heads": named, "channels": list(next(iter(heads.values())).channels)}


def view_of(card: Mapping[str, Any]) -> View:
    """How a picture or a box becomes the input."""
    return View.from_dict(card["view"]) if "view" in card else View("letterbox", tuple(card["input_size"]))


def grid_of(card: Mapping[str, Any]) -> Grid:
    """How the cells of the maps lie in the input."""
    if "grid" in card:
        return Grid.from_dict(card["grid"])
    return Grid.between(view_of(card).input_size, tuple(card["heatmap_size"])) if "heatmap_size" in card else Grid()


def heads_of(card: Mapping[str, Any]) -> dict[str, Head]:
    """What a file answers, by name."""
    if "heads" not in card:
        return {"heatmaps": Head(list(card.get("channels", ())))}
    return {name: Head(**values) for name, values in card["heads"].items()}


def inputs_of(card: Mapping[str, Any]) -> dict[str, Input]:
    """What a file is fed, by name; a crop takes boxes."""
    given = card.get("inputs") or {"images": {"shape": [None, None, 3 * card.get("frames", 1)], "dtype": "uint8"}}
    inputs = {name: Input(**values) for name, values in given.items()}
    if view_of(card).fit == "crop" and "images" in inputs:
        inputs.setdefault("boxes", Input((4,), batch="boxes"))
    return inputs


def weights_of(card: Mapping[str, Any]) -> Weights:
    """How the tensors of a checkpoint are called."""
    values = card.get("weights", {})
    names = tuple((str(own), str(theirs)) for own, theirs in values.get("names", ()))
    return Weights(str(values.get("key", "model")), names, tuple(values.get("without", ())))


TYPED = {"view": view_of, "grid": grid_of, "heads": heads_of, "inputs": inputs_of, "weights": weights_of}


def write(card: Mapping[str, Any]) -> str:
    """A card as JSON text, with its format and version."""
    size = {"input_size": list(view_of(card).input_size)} if "view" in card else {}
    return json.dumps({**size, **card, "format": FORMAT, "version": VERSION}, ensure_ascii=False)


def read(text: object, path: Path, recipe: str | None = None) -> dict[str, Any]:
    """A card from its JSON text, as one of the newest version.

    Raises:
        InputError: not Kaname's, of a newer version, with a field missing or of another kind (`card_schema`), or of
            another recipe than ``recipe`` where that is asked for.
    """
    try:
        card = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError) as error:  # also of a number with thousands of digits
        raise InputError("the card is not JSON", path=path, remedy=FOREIGN) from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise InputError("not a kaname card", path=path, remedy=FOREIGN)
    version = card.get("version")
    if type(version) is not int or version < 1:
        raise InputError("the card's field 'version' is not a whole number from 1", path=path, remedy=FOREIGN)
    if version > VERSION:
        reason = f"written by a newer kaname (card version {version}, this one reads {VERSION})"
        raise InputError(reason, path=path, remedy="update kaname")
    card_schema.check(card, path)
    for name, typed in TYPED.items():
        try:
            typed(card)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise InputError(
                f"the card's field {name!r} cannot be read ({error})", path=path, remedy=FOREIGN
            ) from error
    if recipe is not None and card["recipe"] != recipe:
        raise InputError(
            f"of the recipe {card['recipe']!r}, not of {recipe!r}",
            path=path,
            remedy=f"use `kaname {card['recipe']} ...` or another file",
        )
    return {"view": view_of(card).to_dict(), **described(inputs_of(card), heads_of(card)), **card, "version": VERSION}


def backbone_name(description: Mapping[str, Any]) -> str:
    """A backbone as one writes it after ``--backbone``: a hub name or folder as it is, others behind their kind."""
    kind, name = description.get("kind"), description.get("name", "unknown")
    return str(name) if kind in (None, "vit") else f"{kind}:{name}" if name else str(kind)


def start_of(card: Mapping[str, Any]) -> str:
    """What a model's training began with, in words; empty where nothing of it could have been pretrained."""
    if card.get("init"):
        return f"tuned from {card['init']}"
    return {True: "pretrained", None: ""}.get(card.get("pretrained", False), "trained from scratch")


def from_nothing(card: Mapping[str, Any]) -> bool:
    """Whether a model's training began at random weights: neither pretrained ones nor those of another model."""
    return not card.get("init") and not card.get("pretrained")


def card_lines(card: Mapping[str, Any]) -> list[str]:
    """A model's card in three lines: what it is, what it takes, what it answers."""
    trained = card.get("trained") or {}
    start = f" ({start_of(card)})" if start_of(card) else ""
    epoch = f", epoch {trained['epoch']}" if "epoch" in trained else ""
    version = (card.get("versions") or {}).get("kaname")
    view, frames = view_of(card), int(card.get("frames", 1))
    what = "an RGB image" if frames == 1 else f"{frames} consecutive RGB frames"
    boxes = " and boxes" if {"boxes", "rois"} & set(inputs_of(card)) else ""
    height, width = view.input_size
    heads = "; ".join(f"{name} of {_listed(head.channels)}" for name, head in heads_of(card).items())
    network = f"{backbone_name(card.get('backbone') or {})}{start}{epoch}"
    return [
        f"{card.get('recipe', 'model')}: {network}{f', kaname {version}' if version else ''}",
        f"in:  {what}{boxes} of any size, seen at {width} x {height} ({view.fit})",
        f"out: {heads}",
    ]


def _listed(names: Sequence[str], most: int = 6) -> str:
    shown = ", ".join(names[:most])
    return f"{shown}, ... ({len(names)})" if len(names) > most else shown
