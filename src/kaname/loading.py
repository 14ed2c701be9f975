"""Opening any file that Kaname wrote, by what the file says about itself."""

from __future__ import annotations

import importlib
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaname.errors import InputError
from kaname.recipes import RECIPES, recipe_of

if TYPE_CHECKING:
    from kaname.inference.model import Model


def load(
    path: str | PathLike[str],
    *,
    runtime: str = "auto",
    precision: str = "fp32",
    device: str | None = None,
    sample: str | PathLike[str] | None = None,
) -> Model:
    """A model from a checkpoint (``model.pt``, ``best.pt``, ``last.pt``) or an ONNX export, or a shipped one.

    Args:
        path: the file, or the folder of a run, whose best weights count; nothing else needs to be known about it. Or
            the name of a shipped model (``kaname models``), such as ``gauge``: its export, which needs no torch.
        runtime: what runs it: ``torch``, ``compile`` (torch.compile), ``onnxruntime`` or ``openvino``; ``auto`` takes
            what was measured to be the fastest on this machine, by ``kaname bench MODEL``, by a long ``predict`` or by
            ``sample``, and where nothing was measured torch for a checkpoint and onnxruntime for an export. A device
            (``cpu``, ``cuda``, ``cuda:N``, ``mps``) is understood too, and runs the file's own runtime there.
        precision: ``fp32``, ``bf16`` or ``fp16``; ``auto`` allows any whose points were measured to move by at most
            0.3 px.
        device: where a checkpoint runs; by default a GPU if there is one.
        sample: an image, a folder or a video of the kind that will come: with ``auto`` the runtimes are compared on it
            now, unless that is remembered. This takes some seconds.

    Returns:
        A model with ``predict(source, boxes=None)`` and ``card``. ONNX files run without torch. Sent to another process
        (pickled) it opens its file again there, the same way.

    Raises:
        InputError: missing (with the names of the shipped models), damaged or foreign file, a recipe this version does
            not have, an unknown runtime or one that cannot run the file here.
    """
    from kaname.inference.runtimes import Running
    from kaname.pipeline.model import open_model
    from kaname.pipeline.running import Demand
    from kaname.pipeline.weights import weights_in
    from kaname.pipeline.windows import windows_of

    running = Running.of(runtime, precision=precision)
    running = running if device is None else replace(running, device=device)
    place = weights_in(Path(path))
    demand = None if sample is None else Demand(None, lambda model: windows_of(model, Path(sample), 4))
    model = open_model(recipe_of(known_recipe(read_card(place), place)), place, runtime=running, demand=demand)
    model.reopened = partial(load, place.resolve(), runtime=runtime, precision=precision, device=device)
    return model


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
