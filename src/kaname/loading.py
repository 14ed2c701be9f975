"""Opening any file that Kaname wrote, by what the file says about itself."""

from __future__ import annotations

import importlib
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaname.errors import InputError
from kaname.recipes import RECIPES, recipe_of

if TYPE_CHECKING:
    from kaname.inference.model import Model


def load(path: str | PathLike[str], *, runtime: str = "auto") -> Model:
    """A model from a checkpoint (``model.pt``, ``best.pt``, ``last.pt``) or an ONNX export.

    Args:
        path: the file, or the folder of a run, whose best weights count; nothing else needs to be known about it.
        runtime: where a checkpoint runs: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Returns:
        A model with ``predict(source, boxes=None)`` and ``card``. ONNX files run without torch.

    Raises:
        InputError: missing, damaged or foreign file, or a recipe this version does not have.
    """
    from kaname.pipeline.model import open_model
    from kaname.pipeline.weights import weights_in

    place = weights_in(Path(path))
    return open_model(recipe_of(known_recipe(read_card(place), place)), place, runtime=runtime)


def read_card(path: Path) -> dict[str, Any]:
    """The self-description of a checkpoint or an export."""
    if path.suffix.lower() == ".onnx":
        return importlib.import_module("kaname.inference.onnx_runner").read_card(path)
    return importlib.import_module("kaname.inference.checkpoint_card").read(path).card


def known_recipe(card: dict[str, Any], path: Path) -> str:
    """The card's recipe, if this version has it."""
    recipe = str(card.get("recipe"))
    if recipe not in RECIPES:
        remedy = f"update kaname; this version has {', '.join(RECIPES)}"
        raise InputError(f"of the recipe {recipe!r}, which this version does not have", path=path, remedy=remedy)
    return recipe
