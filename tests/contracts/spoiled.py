"""Files that are no checkpoint of a recipe, in many ways."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import torch


def key_of(card: dict[str, Any]) -> str:
    """Under which key a checkpoint holds its tensors."""
    return card.get("weights", {}).get("key", "model")


class Evil:
    """Prints when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("run",)


def spoil(kind: str, good: Path, target: Path, recipe: str) -> str:
    """A file that is no checkpoint of ``recipe``, in one of many ways; returns a part of what must be said of it."""
    whole = good.read_bytes()
    texts = {"cut": whole[: len(whole) // 2], "text": b"no checkpoint", "empty": b"", "pickle": pickle.dumps(Evil())}
    if kind in texts:
        target.write_bytes(texts[kind])
        return "pickled" if kind == "pickle" else "readable"
    content = torch.load(good, weights_only=True)
    card = json.loads(content["card"])
    said = {"pickle in torch": "pickled", "tensors": "no kaname card", "recipe": "of the recipe 'other'",
            "newer": "newer kaname", "no config": "'config'", "lost tensor": "missing"}[kind]  # fmt: skip
    if kind == "pickle in torch":
        torch.save({"card": Evil(), "model": {}}, target)
        return said
    if kind == "tensors":
        torch.save({"weight": torch.zeros(3)}, target)
        return said
    if kind == "recipe":
        card["recipe"] = "other"
    elif kind == "newer":
        card["version"] = 99
    elif kind == "no config":
        del card["config"]
    elif kind == "lost tensor":
        weights = content[key_of(card)]
        weights.pop(next(iter(weights)))
    torch.save({**content, "card": json.dumps(card)}, target)
    return said
