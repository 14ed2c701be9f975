"""A recipe's models: the card of a network, and the model of a file. Torch is imported only for checkpoints."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kaname import __version__
from kaname import config as configuration
from kaname.errors import InputError, located
from kaname.extras import require_package
from kaname.geometry.grid import Grid
from kaname.geometry.view import View
from kaname.inference.card import backbone_name, heads_of, start_of
from kaname.inference.card_schema import FOREIGN
from kaname.inference.model import Model, Runner
from kaname.inference.onnx_runner import OnnxRunner
from kaname.inference.request import Decode
from kaname.inference.runtimes import PLAIN, Running, may_have_gpu, ran_on
from kaname.pipeline.recipe import Recipe
from kaname.pipeline.running import Demand, Opening, Source, open_running
from kaname.pipeline.weights import file_for

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


def open_model(
    recipe: Recipe,
    path: Path,
    *,
    runtime: str | Running = "auto",
    changes: Mapping[str, Any] | None = None,
    demand: Demand | None = None,
) -> Model:
    """A model from a checkpoint or an ONNX export.

    Args:
        path: the file.
        runtime: what it runs on; a word is a device for torch (``auto``, ``cpu``, ``cuda``, ...), and then the file's
            own runtime runs it in fp32. An ONNX file chooses its device itself.
        changes: settings of the answers to use instead of the stored ones.
        demand: what is going to be asked of it, where the fastest runtime is wanted.

    Raises:
        InputError: an unusable file, a file of another recipe, an unknown or ill-typed setting, a runtime or a
            precision that cannot run it here.
    """
    running = Running(runtime) if isinstance(runtime, str) else runtime
    path = file_for(path, running)
    if running.plain:
        source = source_of(recipe, path, changes)
        return source.assemble(*source.open_plain(running.device))
    return open_running(source_of(recipe, path, changes), running, demand)


def opening_of(recipe: Recipe, path: Path, running: Running) -> Opening:
    """A file that is going to be opened on several runtimes.

    Raises:
        InputError: an unusable file, or a file of another recipe.
    """
    return Opening(source_of(recipe, file_for(path, running)), running)


def open_runner(
    path: Path, recipe: str, load: Callable[..., tuple[Runner, Mapping[str, Any]]], *, runtime: str
) -> tuple[Runner, Mapping[str, Any]]:
    """The runner and the card of an ONNX export or of a checkpoint.

    Args:
        path: the file.
        recipe: whose file it must be.
        load: opens a checkpoint, ``load(path, device=runtime)``.
        runtime: device for torch files (``auto``, ``cpu``, ``cuda``, ...); for an ONNX file ``auto`` or ``cpu``.

    Raises:
        InputError: an unusable file, a file of another recipe, a device for an ONNX file.
    """
    if path.suffix.lower() != ".onnx":
        return load(path, device=runtime)
    if runtime not in ("auto", "cpu"):
        reason = f"an ONNX export chooses its device itself, got {runtime!r}"
        raise InputError(reason, path=path, remedy="use --device auto or cpu")
    opened = OnnxRunner(path, device=runtime)
    if opened.card.get("recipe") != recipe:
        raise InputError(f"an export of the recipe {opened.card.get('recipe')!r}, not of {recipe!r}", path=path)
    return opened, opened.card


def source_of(recipe: Recipe, path: Path, changes: Mapping[str, Any] | None = None) -> Source:
    """How a recipe's file is opened."""
    ways = recipe.answering

    def load(place: Path, *, device: str) -> tuple[Runner, Mapping[str, Any]]:
        _check_checkpoint(place, recipe.name)
        require_package("torch", "a checkpoint")
        from kaname.inference.torch_runner import load_runner

        return load_runner(place, recipe.name, lambda card: build_again(recipe, card, place), device=device)

    def open_plain(device: str) -> tuple[Runner, Mapping[str, Any]]:
        return open_runner(path, recipe.name, load, runtime=device)

    def assemble(runner: Runner, card: Mapping[str, Any]) -> Model:
        with _describing(path):
            configuration.from_dict(recipe.schema.value, card["config"], source=str(path))
            settings = answer_settings(recipe, card["config"], changes)
            with located(path):
                feed = None if ways.feed is None else ways.feed(card, settings, path)
                mirror = None
                if getattr(settings, "flip_test", False):
                    from kaname.inference.mirror import Mirror  # most models are asked once

                    mirror = Mirror.of(card)
                closer = None if ways.closer is None else ways.closer(settings)
                return Model(card, runner, ways.decode(card, settings), feed, mirror, ways.reading, closer)

    return Source(path, recipe.name, open_plain, assemble, lambda card: thresholds(recipe, card, changes))


def thresholds(
    recipe: Recipe, card: Mapping[str, Any], changes: Mapping[str, Any] | None = None
) -> tuple[float | None, Callable[[float], Decode] | None]:
    """The score that a recipe's answers need, and a decode that asks another one; None of both where there is none."""
    if not recipe.answering.threshold:
        return None, None

    def decode_at(threshold: float) -> Decode:
        changed = {**(changes or {}), recipe.answering.threshold: threshold}
        return recipe.answering.decode(card, answer_settings(recipe, card["config"], changed))

    return getattr(answer_settings(recipe, card["config"], changes), recipe.answering.threshold), decode_at


def open_in_turn(
    recipe: Recipe,
    path: Path,
    *,
    running: Running = PLAIN,
    number: int = 0,
    changes: Mapping[str, Any] | None = None,
    demand: Demand | None = None,
) -> Model:
    """The model of process ``number`` among those at work, which keeps it: of several GPUs each takes the next."""
    path = file_for(path, running)
    if path.suffix.lower() != ".onnx":
        _check_checkpoint(path, recipe.name)
        if running.plain:
            require_package("torch", "a checkpoint")
        if running.device != "cpu" and may_have_gpu():
            from kaname.inference.device import device_in_turn

            running = replace(running, device=device_in_turn(running.device, number))
    key = (recipe.name, path, running, tuple(sorted((changes or {}).items())))
    if key not in _KEPT:
        _KEPT.clear()  # two would fill a GPU
        _KEPT[key] = open_model(recipe, path, runtime=running, changes=changes, demand=demand)
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


def _check_checkpoint(path: Path, recipe: str) -> None:
    """Refuse what is wrong with a checkpoint before torch is imported, which takes seconds."""
    from kaname.inference import checkpoint_card  # here, because an export needs no reader of archives

    checkpoint_card.read(path, recipe)


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
    """The section ``recipe.answering.section`` of a stored configuration, with changes; ``None`` values are ignored.

    Raises:
        InputError: an unknown or ill-typed setting.
    """
    given = {name: value for name, value in (changes or {}).items() if value is not None}
    schema = configuration.section(recipe.schema.value, recipe.answering.section)
    return configuration.from_dict(schema, {**stored.get(recipe.answering.section, {}), **given})


def describe_model(model: Model) -> str:
    """A model in a few words for reports, with its runtime where that is another than torch or onnxruntime in fp32."""
    card = model.card
    start = f" ({start_of(card)})" if start_of(card) else ""
    frames = f"{model.frames} frames of " if model.frames > 1 else ""
    height, width = model.input_size
    epoch = card.get("trained", {}).get("epoch", "?")
    runtime, precision = ran_on(model.runner)
    ran = "" if precision == "fp32" and runtime in ("own", "torch", "onnxruntime") else f", {runtime} {precision}"
    return f"{backbone_name(card['backbone'])}{start}, {frames}{width} x {height}, epoch {epoch}{ran}"
