"""Files that describe themselves: written atomically, read with ``weights_only=True``, refused when anything is off.

A checkpoint is a ``torch.save`` file of plain types: ``card`` (JSON text: recipe, resolved configuration, sizes,
channels, versions, ...), ``model`` (tensors) and, in ``last.pt``, ``training`` (optimiser, moving average, position).
"""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kaname.errors import InputError

FORMAT = "kaname-checkpoint"
VERSION = 1
CARD_FIELDS = ("format", "version", "recipe", "config", "input_size", "channels", "backbone")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory: its card, its weights and, where it holds them, the state of its training."""

    path: Path
    card: Mapping[str, Any]
    model: Mapping[str, torch.Tensor]
    training: Mapping[str, Any] | None


def save(path: Path, *, card: Mapping[str, Any], model: Mapping[str, torch.Tensor], training: Mapping[str, Any] | None) -> None:
    """Write a checkpoint; at ``path`` stands the old file or the whole new one, never a part.

    Raises:
        InputError: the folder is missing, read-only or full.
    """
    content: dict[str, Any] = {
        "card": json.dumps({"format": FORMAT, "version": VERSION, **card}, ensure_ascii=False, sort_keys=True),
        "model": dict(model),
    }
    if training is not None:
        content["training"] = dict(training)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        reason = error.strerror if isinstance(error, OSError) else str(error).split("\n")[0]
        raise InputError(
            f"the checkpoint cannot be written ({reason})", path=path, remedy="free space or choose another --out-dir"
        ) from error


def load(path: Path, *, recipe: str | None = None) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        InputError: missing, truncated, holding pickled objects, not Kaname's, of a newer version or of another recipe.
    """
    if not path.is_file():
        raise InputError("the checkpoint does not exist", path=path, remedy="check the path")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for damaged and foreign files
        raise InputError(_unreadable(error), path=path, remedy="use a whole checkpoint that kaname wrote") from error
    if not isinstance(content, dict) or not isinstance(content.get("card"), str):
        raise InputError(
            "this file holds tensors but no kaname card", path=path, remedy="use a checkpoint that kaname wrote"
        )
    card = read_card_text(content["card"], path, recipe)
    model = content.get("model")
    if not isinstance(model, dict) or not all(isinstance(value, torch.Tensor) for value in model.values()):
        raise InputError("the checkpoint holds no weights", path=path, remedy="use a whole checkpoint")
    return Checkpoint(path=path, card=card, model=model, training=content.get("training"))


def read_card_text(text: str, path: Path, recipe: str | None) -> dict[str, Any]:
    """Parse and check a card: kind, version, fields and, where asked, its recipe."""
    try:
        card = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError("the card is not JSON", path=path, remedy="use a checkpoint that kaname wrote") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise InputError("the card is not kaname's", path=path, remedy="use a checkpoint that kaname wrote")
    if not isinstance(card.get("version"), int) or card["version"] > VERSION:
        raise InputError(
            f"written by a newer kaname (card version {card.get('version')}, this one reads {VERSION})",
            path=path,
            remedy="update kaname",
        )
    for name in CARD_FIELDS:
        if name not in card:
            raise InputError(f"the card lacks the field {name!r}", path=path, remedy="use a checkpoint that kaname wrote")
    if recipe is not None and card["recipe"] != recipe:
        raise InputError(
            f"a checkpoint of the recipe {card['recipe']!r}, not of {recipe!r}",
            path=path,
            remedy=f"use `kaname {card['recipe']} ...` or another file",
        )
    return card


def load_weights(model: torch.nn.Module, checkpoint: Checkpoint) -> None:
    """Put the weights into ``model``; every name and shape must fit, or nothing is loaded.

    Raises:
        InputError: naming the first tensors that are missing, unexpected or of another shape.
    """
    own = model.state_dict()
    missing = sorted(set(own) - set(checkpoint.model))
    surplus = sorted(set(checkpoint.model) - set(own))
    shapes = [
        f"{name} {tuple(checkpoint.model[name].shape)} instead of {tuple(value.shape)}"
        for name, value in own.items()
        if name in checkpoint.model and checkpoint.model[name].shape != value.shape
    ]
    problems = [f"{kind}: {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}" for kind, names in
                (("missing", missing), ("not part of the network", surplus), ("other shape", shapes)) if names]  # fmt: skip
    if problems:
        raise InputError(
            f"the weights do not fit the network ({'; '.join(problems)})",
            path=checkpoint.path,
            remedy="use a checkpoint of the same configuration",
        )
    model.load_state_dict(dict(checkpoint.model))


def newest(folder: Path, names: tuple[str, ...], recipe: str, notice: Callable[[str], None]) -> Checkpoint | None:
    """The newest whole checkpoint of ``folder`` among ``names`` that can be resumed, or ``None``.

    ``notice`` is told of every damaged file that is passed over.
    """
    found = sorted((folder / name for name in names if (folder / name).is_file()), key=lambda path: -path.stat().st_mtime)
    for path in found:
        try:
            checkpoint = load(path, recipe=recipe)
        except InputError as error:
            notice(f"passed over: {error}")
            continue
        if checkpoint.training is not None:
            return checkpoint
    return None


def _unreadable(error: Exception) -> str:
    text = str(error)
    if "weights_only" in text.lower() or "Unsupported" in text:
        return "holds pickled objects, which can run code and are not loaded"
    return "not a readable checkpoint (damaged, truncated or of another program)"
