"""The models that come with the package: which there are, and what is known of each. No torch, no NumPy.

A shipped model is three files of this folder: ``NAME.pt`` (a checkpoint whose tensors lie in 16 bits), ``NAME.onnx``
(its export) and ``NAME.json`` (its facts, so that nobody has to open the others to list them). Cards of both repeat the
facts in the field ``zoo``. ``zoo/pack.py`` of the source tree writes all three.

``KANAME_ZOO`` names another folder of such files to be used in the place of this one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaname.errors import InputError

VARIABLE = "KANAME_ZOO"
FORMAT, VERSION = "kaname-shipped", 1
LIMIT = 8_000_000  # bytes of a checkpoint, and of an export
REQUIRED = (
    "recipe", "trained_on", "command", "commit", "licence", "figures", "input_size", "channels", "parameters", "bytes",
    "kaname",
)  # fmt: skip
OWN = "zoo"  # after --init: the shipped model of the recipe, whatever its name


@dataclass(frozen=True)
class Shipped:
    """A model that comes with the package.

    Attributes:
        name: what users call it.
        folder: where its files lie.
        facts: ``recipe``, ``trained_on``, ``command``, ``commit``, ``licence``, ``figures`` (metrics with ``value``,
            ``low``, ``high`` and ``n`` by set), ``input_size`` (height, width), ``frames``, ``parameters``, ``bytes``
            by ending, ``scores``, ``parity``.
    """

    name: str
    folder: Path
    facts: Mapping[str, Any]

    @property
    def recipe(self) -> str:
        """Whose model it is."""
        return str(self.facts["recipe"])

    @property
    def checkpoint(self) -> Path:
        """Its weights, to train on, to export, or to run with torch."""
        return self.folder / f"{self.name}.pt"

    @property
    def export(self) -> Path:
        """Its ONNX file, which predicts without torch."""
        return self.folder / f"{self.name}.onnx"

    def headline(self) -> str:
        """The first figure of each set: ``F1 0.97 (0.96 .. 0.98) on dials, ...``; empty where nothing was measured."""
        first = {name: next(iter(metrics.items()), None) for name, metrics in self.facts["figures"].items()}
        return ", ".join(f"{_figure(entry)} on {name}" for name, entry in first.items() if entry is not None)

    def figures(self) -> list[str]:
        """What it was measured to do, a line for each set: ``dials (192): F1 0.97 (0.96 .. 0.98), ...``."""
        return [
            f"{name}: {', '.join(map(_figure, metrics.items()))}" for name, metrics in self.facts["figures"].items()
        ]


def folder() -> Path:
    """Where shipped models lie."""
    given = os.environ.get(VARIABLE)
    return Path(given) if given else Path(__file__).parent


def shipped(place: Path | None = None) -> dict[str, Shipped]:
    """Every shipped model by its name; of a certain ``place`` where one is given.

    Raises:
        InputError: facts that cannot be read, or files that are missing beside them.
    """
    return {path.stem: _read(path) for path in sorted((place or folder()).glob("*.json"))}


def known() -> str:
    """The names there are, for remedies."""
    names = list(shipped())
    return f"shipped are {', '.join(names)}" if names else "no models are shipped with this version"


def find(name: str) -> Shipped:
    """The shipped model of a name.

    Raises:
        InputError: there is none, with the names there are.
    """
    models = shipped()
    if name not in models:
        raise InputError(f"there is no shipped model {name!r}", remedy=known())
    return models[name]


def of_recipe(recipe: str) -> Shipped | None:
    """The shipped model of a recipe, that of its own name first; None where there is none."""
    models = sorted((one for one in shipped().values() if one.recipe == recipe), key=lambda one: one.name != recipe)
    return models[0] if models else None


def beside(path: Path) -> Shipped | None:
    """The shipped model that a file is one of; None for any other file."""
    if path.parent != folder():
        return None
    return shipped().get(path.stem)


def _read(path: Path) -> Shipped:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError("the facts of this shipped model cannot be read", path=path, remedy=REMEDY) from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT or facts.get("version") != VERSION:
        raise InputError("not the facts of a shipped model of this version", path=path, remedy=REMEDY)
    if lacking := [name for name in REQUIRED if name not in facts]:
        raise InputError(f"the facts of this shipped model lack {lacking[0]!r}", path=path, remedy=REMEDY)
    model = Shipped(path.stem, path.parent, facts)
    for file in (model.checkpoint, model.export):
        if not file.is_file():
            raise InputError("a file of this shipped model is missing", path=file, remedy=REMEDY)
    return model


REMEDY = f"install kaname again, or unset {VARIABLE} where it names a folder of your own"


def _figure(entry: tuple[str, Mapping[str, Any]]) -> str:
    name, figure = entry
    value, low, high = (figure.get(key) for key in ("value", "low", "high"))
    text = f"{name} -" if value is None else f"{name} {value:.3g}"
    return text if low is None or high is None else f"{text} ({low:.3g} .. {high:.3g})"
