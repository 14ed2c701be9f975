"""From the decoder's settings to its options, and the sizes that go together: input, decoder, heatmap."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

from kaname.errors import InputError
from kaname.models.backbones import Backbone, check_size
from kaname.recipes.tracknet.config import SMALL, ModelSettings, TracknetConfig

WIDTHS = (256, 128, 64, 32, 16)  # of the stages that a remedy proposes


def decoder_options(settings: ModelSettings, backbone: Backbone) -> dict[str, Any]:
    """Arguments of `kaname.models.decoders.build_decoder`.

    Raises:
        InputError: channels that are not the backbone's, or not as many as there are stages.
    """
    decoder = settings.decoder
    if decoder.name == "linear":
        return {}
    own, *widths = decoder.channels or ("",)
    if own != "C" and own != backbone.channels[-1]:
        raise InputError(
            f"model.decoder.channels begins with {own!r}, the backbone has {backbone.channels[-1]} channels",
            remedy="write C for the backbone's own number",
        )
    if not all(isinstance(width, int) for width in widths) or not widths:
        raise InputError(f"model.decoder.channels is {list(decoder.channels)}", remedy="for example [C, 256, 128, 64]")
    if len(widths) != len(decoder.upsample):
        raise InputError(
            f"model.decoder.channels names {len(widths)} stages after the backbone's own, "
            f"model.decoder.upsample {len(decoder.upsample)}",
            remedy="for example [C, 256, 128, 64] and [2, 2, 2]",
        )
    return {"widths": list(widths), "factors": list(decoder.upsample), "mode": decoder.mode}


def check_sizes(config: TracknetConfig, backbone: Backbone) -> None:
    """Whether the heatmap is what the decoder gives.

    Raises:
        InputError: it is not: three keys could be changed, each is named with its value where there is a legal one.
    """
    decoder, size, resize = config.model.decoder, config.model.heatmap.size, config.data.resize
    check_size((resize[1], resize[0]), backbone.multiple)
    stride = backbone.strides[-1]
    factor = math.prod(decoder.upsample) if decoder.name == "upsample" else 1
    given = [side * factor // stride for side in resize]
    if list(size) == given and factor <= stride:
        return
    choices = list(_choices(config, backbone, factor))
    if backbone.description["kind"] == SMALL and decoder.name == "upsample":
        choices.append("--model small_unet")
    remedy = f"set one of: {'; '.join(choices)}" if choices else "use fewer factors of 2 in model.decoder.upsample"
    raise InputError(
        f"model.heatmap.size is {list(size)}, but an input of {list(resize)} with a stride of {stride} and upsampling "
        f"by {factor} gives {given}", remedy=remedy,
    )  # fmt: skip


def _choices(config: TracknetConfig, backbone: Backbone, factor: int) -> Iterator[str]:
    """What the heatmap's size, the input's size or the decoder could be, the others staying as they are."""
    decoder, size, resize = config.model.decoder, config.model.heatmap.size, config.data.resize
    stride = backbone.strides[-1]
    if factor <= stride:
        yield f"model.heatmap.size=[{resize[0] * factor // stride},{resize[1] * factor // stride}]"
        inputs = [side * stride // factor for side in size]
        exact = all(side * stride % factor == 0 for side in size)
        if exact and all(side % backbone.multiple == 0 and 16 <= side <= 4096 for side in inputs):
            yield f"data.resize=[{inputs[0]},{inputs[1]}]"
    whole, rests = zip(*(divmod(side * stride, other) for side, other in zip(size, resize, strict=True)), strict=True)
    if any(rests) or whole[0] != whole[1] or not 1 <= whole[0] <= stride or whole[0].bit_count() != 1:
        return
    stages = whole[0].bit_length() - 1
    if decoder.name == "upsample" and stages <= len(decoder.upsample):
        yield f"model.decoder.upsample={_listed([2] * stages + [1] * (len(decoder.upsample) - stages))}"
        return
    widths = [*itertools.islice(WIDTHS, max(1, stages))]
    named = "" if decoder.name == "upsample" else "model.decoder.name=upsample "
    factors = [2] * stages or [1]
    yield f"{named}model.decoder.upsample={_listed(factors)} model.decoder.channels={_listed(['C', *widths])}"


def _listed(values: list[Any]) -> str:
    return "[" + ",".join(map(str, values)) + "]"
