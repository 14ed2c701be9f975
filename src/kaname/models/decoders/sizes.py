"""From the decoder's settings to its options, and the sizes that go together: input, decoder, heatmap."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kaname.errors import InputError
from kaname.models.backbones.backbone import Backbone, check_size
from kaname.models.settings import DecoderSettings

WIDTHS = (256, 128, 64, 32, 16)  # of the stages that a remedy proposes


def decoder_options(decoder: DecoderSettings, backbone: Backbone) -> dict[str, Any]:
    """Arguments of `kaname.models.decoders.build_decoder`.

    Raises:
        InputError: channels that are not the backbone's, or a different number of stages.
    """
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
    if any(factor not in (1, 2) for factor in decoder.upsample):
        raise InputError(f"model.decoder.upsample is {list(decoder.upsample)}", remedy="factors are 1 or 2")
    return {"widths": list(widths), "factors": list(decoder.upsample), "mode": decoder.mode}


Pair = Sequence[int]  # width and height, as configurations write them


def check_sizes(decoder: DecoderSettings, backbone: Backbone, *, resize: Pair, heatmap: Pair) -> None:
    """Check that the heatmap is what the decoder gives for an input of the size ``resize``.

    Raises:
        InputError: it is not; the heatmap, the input or the decoder could change, and each way is named with its keys.
    """
    try:
        check_size((resize[1], resize[0]), backbone.multiple)
    except InputError as error:
        raise InputError(error.reason, remedy=f"{error.remedy} (data.resize is [width, height])") from error
    stride = backbone.strides[-1]
    factor = math.prod(decoder.upsample) if decoder.name == "upsample" else 1
    given = _heatmap(resize, stride, factor)
    if tuple(heatmap) == given and factor <= stride:
        return
    ways = _ways_of_small if backbone.description["kind"] == "small" else _ways
    choices = list(dict.fromkeys(ways(decoder, backbone, resize, heatmap, factor)))
    raise InputError(
        f"model.heatmap.size is {list(heatmap)}, but an input of {list(resize)} with a stride of {stride} and "
        f"upsampling by {factor} gives {list(given)}",
        remedy=f"set one of: {'; '.join(choices)}",
    )


def _heatmap(resize: Sequence[int], stride: int, factor: int) -> tuple[int, int]:
    """The ``(width, height)`` that the decoder gives for an input of this width and height."""
    return resize[0] * factor // stride, resize[1] * factor // stride


def _ways(decoder: DecoderSettings, backbone: Backbone, resize: Pair, size: Pair, factor: int) -> Iterator[str]:
    """Change the heatmap, the input, or the decoder; where the heatmap asked for cannot be had, the nearest one."""
    stride = backbone.strides[-1]
    usable = factor if factor <= stride else 1 << (stride.bit_length() - 1)
    if factor <= stride:
        yield f"model.heatmap.size={_listed(_heatmap(resize, stride, factor))}"
    inputs = _nearest_input([side * stride / usable for side in size], backbone.multiple, resize)
    yield (
        f"data.resize={_listed(inputs)}"
        + _also(size, _heatmap(inputs, stride, usable))
        + (f" {_stages(decoder, usable)}" if usable != factor else "")
    )
    wanted = math.sqrt(math.prod(size) / math.prod(resize)) * stride
    powers = [1 << power for power in range(stride.bit_length()) if 1 << power != factor]
    if powers:
        nearest = min(powers, key=lambda power: abs(math.log(power / wanted)))
        yield _stages(decoder, nearest) + _also(size, _heatmap(resize, stride, nearest))


def _ways_of_small(
    decoder: DecoderSettings, backbone: Backbone, resize: Pair, size: Pair, factor: int
) -> Iterator[str]:
    """The small U-Net has its decoder inside, and answers at half of the input's resolution or at all of it."""
    bare = "" if decoder.name == "linear" else "model.decoder.name=linear "
    for stride in (2, 1):
        yield f"{bare}model.heatmap.size={_listed(_heatmap(resize, stride, 1))}"
    inputs = _nearest_input([side * 2 for side in size], backbone.multiple, resize)
    yield f"{bare}data.resize={_listed(inputs)}" + _also(size, _heatmap(inputs, 2, 1))


def _nearest_input(wanted: Sequence[float], unit: int, now: Sequence[int]) -> tuple[int, ...]:
    """The legal width and height nearest to those wanted, other than ``now``, which the heatmap's own way keeps."""
    least, most = -(-16 // unit), 4096 // unit
    steps = [{min(most, max(least, near(side / unit))) for near in (math.floor, math.ceil)} for side in wanted]
    legal = [tuple(step * unit for step in pair) for pair in itertools.product(*steps)]
    others = [pair for pair in legal if pair != tuple(now)] or legal
    return min(others, key=lambda pair: math.dist(pair, wanted))


def _also(asked: Sequence[int], given: Sequence[int]) -> str:
    return "" if tuple(asked) == tuple(given) else f" model.heatmap.size={_listed(given)}"


def _stages(decoder: DecoderSettings, factor: int) -> str:
    """The decoder's keys for upsampling by a power of 2, in as many stages as it has, if these are enough."""
    stages = factor.bit_length() - 1
    if decoder.name == "upsample" and stages <= len(decoder.upsample):
        return f"model.decoder.upsample={_listed([2] * stages + [1] * (len(decoder.upsample) - stages))}"
    named = "" if decoder.name == "upsample" else "model.decoder.name=upsample "
    channels = ["C", *itertools.islice(WIDTHS, max(1, stages))]
    return f"{named}model.decoder.upsample={_listed([2] * stages or [1])} model.decoder.channels={_listed(channels)}"


def _listed(values: Iterable[Any]) -> str:
    return "[" + ",".join(map(str, values)) + "]"
