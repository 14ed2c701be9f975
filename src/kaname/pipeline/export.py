"""The verb ``export``: an ONNX file that gets its name only where it answers like the model on real images."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaname import config as configuration
from kaname.data.frame_source import read_frame
from kaname.errors import InputError
from kaname.inference.model import Model
from kaname.inference.request import Request
from kaname.pipeline.evaluate import boxes_of
from kaname.pipeline.model import open_model, thresholds
from kaname.pipeline.recipe import Recipe
from kaname.pipeline.windows import windows_of
from kaname.types import Frame

if TYPE_CHECKING:
    from kaname.inference.parity import Parity


def export(
    recipe: Recipe,
    checkpoint: Path,
    out: Path,
    source: Path | None,
    count: int,
    *,
    heads: Sequence[str] | None = None,
) -> Parity:
    """Export and check parity on images or windows of frames, from ``source`` or from the model's own data.

    Args:
        source: a folder of images, an image or a video.
        count: how many to compare, at least 1.
        heads: which outputs the file has; default: all that the network has.

    Raises:
        InputError: bad usage, no images to compare, or an export that answers differently.
    """
    if count < 1:
        remedy = f"the parity check needs {recipe.answering.unit}s"
        raise InputError(f"--count must be at least 1, got {count}", remedy=remedy)
    if checkpoint.suffix.lower() == ".onnx":
        reason = "an ONNX file cannot be exported again"
        raise InputError(reason, path=checkpoint, remedy="give the checkpoint it came from")
    model = open_model(recipe, checkpoint, runtime="cpu")
    from kaname.inference.export import export as write  # after what can be refused without torch

    if heads is not None:
        model = with_heads(model, heads)
    windows = own_windows(recipe, model, count) if source is None else windows_of(model, source, count)
    chosen = list(itertools.islice(windows, count))
    if not chosen:
        reason = f"fewer than {model.frames} frames: nothing to compare"
        raise InputError(reason, path=source, remedy="give more of them")
    parity = write(model, chosen, out, *thresholds(recipe, model.card))
    print(f"{out}: answers like {checkpoint} on {parity.images} {recipe.answering.unit}s ({parity.summary})")
    if parity.warning:
        print(f"warning: {parity.warning}")
    return parity


def with_heads(model: Model, heads: Sequence[str]) -> Model:
    """A torch model that answers with some of its outputs alone."""
    network: Any = model.runner.module.network  # type: ignore[attr-defined]
    network.heads = {name: network.heads[name] for name in heads}
    less = model.using(model.runner)
    less.card = {**model.card, "heads": {name: model.card["heads"][name] for name in heads}}
    return less


def own_windows(recipe: Recipe, model: Model, count: int) -> Iterator[tuple[str, Request]]:
    """Windows of the data that a model was trained with, spread over the items of its validation set.

    Raises:
        InputError: that data is gone.
    """
    config = model.card["config"]
    try:
        labelled = recipe.judging.labelled(None, config, ())
    except InputError as error:
        raise InputError(
            "the data this model was trained with is gone, and the parity check needs images",
            path=configuration.value_at(config, recipe.data),
            remedy="give your own with --images (or --source)",
        ) from error
    order = [name for name in ("val", "train", *labelled.names) if name in labelled.names]
    items = labelled.read(order[0])
    length = model.frames
    for item in items[:: max(1, len(items) // count)]:
        for start in range(0, len(item.frames) - length + 1, max(10, length)):
            paths = item.frames[start : start + length]
            frames = [Frame(number, 0.0, read_frame(path), path=path) for number, path in enumerate(paths, start)]
            name = f"{item.source}#{start}" if model.of_video else item.source
            yield name, model.request(frames, boxes_of(item, model))
