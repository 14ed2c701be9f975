"""A recipe's models: the card of a network, and the model of a file. Torch is imported only for checkpoints."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kaname import __version__
from kaname import config as configuration
from kaname.errors import InputError, located
from kaname.extras import require_package
from kaname.geometry.grid import Grid
from kaname.geometry.view import View
from kaname.inference import checkpoint_card
from kaname.inference.card import backbone_name, heads_of, start_of
from kaname.inference.card_schema import FOREIGN
from kaname.inference.mirror import Mirror
from kaname.inference.model import Model, Runner, open_runner
from kaname.pipeline.recipe import Recipe

_KEPT: dict[tuple[Any, ...], Model] = {}


def card_of(recipe: Recipe, config: Any, network: Any) -> dict[str, Any]:
    """What a file of this network says of itself, apart from ``recipe`` and ``config``."""
    from kaname.inference.card import described, inputs_of

    backbone = getattr(network, "backbone", None)
    card: dict[str, Any] = {
        "colour": "RGB",
        "skeleton": None,
        "flip_pairs": None,
        "versions": {"kaname": __version__},
        "backbone": {} if backbone is None else backbone.description,
        "pretrained": backbone is not None and backbone.pretrained,
        **described(network.inputs, network.heads),
    }
    if hasattr(network, "mean"):
        card |= {"mean_255": network.mean.flatten().tolist(), "std_255": network.std.flatten().tolist()}
    if hasattr(network, "heatmap_size"):  # one image, letterboxed, to maps over all of it; a recipe may say otherwise
        card |= {
            "input_size": list(network.size),
            "heatmap_size": list(network.heatmap_size),
            "view": View("letterbox", network.size).to_dict(),
            "grid": Grid.between(network.size, network.heatmap_size).to_dict(),
            "channels": list(next(iter(network.heads.values())).channels),
        }
    card |= dict(recipe.describe(config, network))
    return card | {"inputs": described(inputs_of(card), network.heads)["inputs"]}  # a crop is fed boxes too


def open_model(recipe: Recipe, path: Path, *, runtime: str = "auto", changes: Mapping[str, Any] | None = None) -> Model:
    """A model from a checkpoint or an ONNX export.

    Args:
        path: the file.
        runtime: device for torch files (``auto``, ``cpu``, ``cuda``, ...); an ONNX file chooses its device itself.
        changes: settings of the answers to use instead of the stored ones.

    Raises:
        InputError: an unusable file, a file of another recipe, an unknown or ill-typed setting.
    """

    def load(place: Path, *, device: str) -> tuple[Runner, Mapping[str, Any]]:
        checkpoint_card.read(place, recipe.name)  # refused before torch is imported, which takes seconds
        require_package("torch", "a checkpoint")
        from kaname.inference.torch_runner import load_runner

        return load_runner(place, recipe.name, lambda card: build_again(recipe, card, place), device=device)

    runner, card = open_runner(path, recipe.name, load, runtime=runtime)
    with _describing(path):
        configuration.from_dict(recipe.schema.value, card["config"], source=str(path))  # an export's is not built from
        settings = answer_settings(recipe, card["config"], changes)
        with located(path):
            feed = None if recipe.feed is None else recipe.feed(card, settings, path)
            mirror = Mirror.of(card) if getattr(settings, "flip_test", False) else None
            return Model(card, runner, recipe.decode(card, settings), feed, mirror)


def open_in_turn(
    recipe: Recipe, path: Path, *, device: str = "auto", number: int = 0, changes: Mapping[str, Any] | None = None
) -> Model:
    """The model of process ``number`` among those at work, which keeps it: of several GPUs each takes the next."""
    if path.suffix.lower() != ".onnx":
        checkpoint_card.read(path, recipe.name)  # refused before torch is imported, which takes seconds
        require_package("torch", "a checkpoint")
        from kaname.inference.device import device_in_turn

        device = device_in_turn(device, number)
    key = (recipe.name, path, device, tuple(sorted((changes or {}).items())))
    if key not in _KEPT:
        _KEPT.clear()  # two would fill a GPU
        _KEPT[key] = open_model(recipe, path, runtime=device, changes=changes)
    return _KEPT[key]


def build_again(recipe: Recipe, card: Mapping[str, Any], path: Path) -> Any:
    """The network that a card describes, with random weights; nothing is downloaded."""
    config = configuration.from_dict(recipe.schema.value, card["config"], source=str(path))
    with _describing(path), located(path):
        network = recipe.build(config, card=card)
    built, stated = (
        {name: len(head.channels) for name, head in heads.items()} for heads in (network.heads, heads_of(card))
    )
    if built != stated:
        reason = f"the card's field 'heads' (or 'channels') states {stated}, and its configuration makes {built}"
        raise InputError(reason, path=path, remedy=FOREIGN)
    return network


@contextlib.contextmanager
def _describing(path: Path) -> Iterator[None]:
    """Fields of a card that are each right and do not fit together are the fault of its file."""
    try:
        yield
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        reason = f"the fields of its card do not fit together ({type(error).__name__}: {error})"
        raise InputError(" ".join(reason.split()), path=path, remedy=FOREIGN) from error


def answer_settings(recipe: Recipe, stored: Mapping[str, Any], changes: Mapping[str, Any] | None = None) -> Any:
    """The section ``recipe.answers`` of a stored configuration, with changes; ``None`` values are ignored.

    Raises:
        InputError: an unknown or ill-typed setting.
    """
    given = {name: value for name, value in (changes or {}).items() if value is not None}
    schema = configuration.section(recipe.schema.value, recipe.answers)
    return configuration.from_dict(schema, {**stored.get(recipe.answers, {}), **given})


def describe_model(model: Model) -> str:
    """A model in a few words for reports."""
    card = model.card
    start = f" ({start_of(card)})" if start_of(card) else ""
    frames = f"{model.frames} frames of " if model.frames > 1 else ""
    height, width = model.input_size
    epoch = card.get("trained", {}).get("epoch", "?")
    return f"{backbone_name(card['backbone'])}{start}, {frames}{width} x {height}, epoch {epoch}"
