"""Networks of timm: convolutional pyramids with all their scales, and timm's transformers.

A pyramid gives every stage it has, fine to coarse (ConvNeXt: strides 4, 8, 16, 32); a plain transformer gives the patch
tokens of its last layer after the final norm, as `vit.py` does for those of Hugging Face. The input must divide by
the coarsest stride, so that cell *i* of every map covers ``[i, i + 1] * stride``.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kaname.errors import InputError
from kaname.files import at_home
from kaname.models import hub
from kaname.models.backbones import lite0
from kaname.models.backbones.backbone import IMAGENET_MEAN, IMAGENET_STD, Backbone, Notice, widen
from kaname.models.names import LITE0
from kaname.shapes import Float

FUSE = ("bilinear", "nearest")
NEW_CHANNELS = ("repeat", "zero")
COLOURS = 3
# Of a saved model's arguments those that a backbone decides itself.
OURS = ("num_classes", "global_pool", "in_chans", "features_only", "pretrained", "pretrained_cfg", "checkpoint_path")


class Pyramid(nn.Module):
    """timm's ``features_only`` network; maps that it gives with channels last are turned."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.channels_last = str(getattr(net, "output_fmt", "NCHW")).endswith("NHWC")

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> list[Float[Tensor, "batch _channels _height _width"]]:
        maps = self.net(images)
        return [value.permute(0, 3, 1, 2) for value in maps] if self.channels_last else list(maps)


class LastLayer(nn.Module):
    """A plain transformer's patch tokens after the final norm, as one map."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> list[Float[Tensor, "batch _channels _height _width"]]:
        net: Any = self.net
        return list(net.forward_intermediates(images, indices=1, norm=True, output_fmt="NCHW", intermediates_only=True))


def build_timm(
    name: str,
    *,
    pretrained: bool,
    in_channels: int = 3,
    description: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    notice: Notice = hub.to_stderr,
    size: tuple[int, int] | None = None,
) -> Backbone:
    """A network of timm by name, from a folder that timm saved, or again from its description.

    Args:
        options: further arguments of ``timm.create_model`` (plain JSON values), such as ``feature_location``; and
            ``fuse``, how the fuse layers of an HRNet upsample: ``nearest`` as timm's weights were trained, or
            ``bilinear`` (align_corners=False) as mmpose's were; and ``new_channels``, the kernels of input channels
            beyond the colours: ``repeat`` those of the colours, scaled (as timm does), or ``zero``, which keeps those
            of the colours, so that the first answers are those to the colours alone.
        size: ``(height, width)`` of the input, for networks that are made for one size; default: their own.

    Raises:
        InputError: see `kaname.models.backbones.build_backbone`.
    """
    if description is not None:
        architecture, arguments, overlay = str(description["name"]), dict(description["arguments"]), {}
        mean, std, described = description["mean"], description["std"], dict(description)
        fuse = description.get("fuse")
    else:
        architecture, arguments, overlay, card = _source(name, pretrained=pretrained)
        arguments |= dict(options or {})
        fuse, start = arguments.pop("fuse", None), arguments.pop("new_channels", "repeat")
        if start not in NEW_CHANNELS:
            raise InputError(f"unknown new_channels {start!r}", remedy=f"known: {', '.join(NEW_CHANNELS)}")
        mean, std = card.get("mean") or IMAGENET_MEAN, card.get("std") or IMAGENET_STD
        described = {"kind": "timm", "name": architecture, "arguments": arguments, "in_channels": in_channels}
        described |= {"mean": list(mean), "std": list(std), "licence": card.get("license") or hub.MODEL_CARD}
        described |= {"pretrained": pretrained} | ({} if fuse is None else {"fuse": fuse})
    body, channels, strides = _build(architecture, in_channels, arguments, size=size)
    if pretrained:
        overlay = overlay or _fetch(architecture, sum(weight.numel() for weight in body.parameters()), notice)
        body, channels, strides = _build(architecture, in_channels, arguments, pretrained=True, overlay=overlay)
    if description is None and start == "zero" and in_channels > COLOURS:
        _keep_colours(body, _build(architecture, COLOURS, arguments, pretrained=pretrained, overlay=overlay)[0])
    if fuse is not None:
        _upsample(body, fuse, architecture)
    return Backbone(
        body,
        channels=channels,
        strides=strides,
        multiple=max(strides),
        mean=mean,
        std=std,
        description=described,
    )


def _keep_colours(body: nn.Module, colours: nn.Module) -> None:
    """Give ``body`` the weights of the same network for the colours alone; kernels of further channels become 0."""
    known, state = colours.state_dict(), body.state_dict()
    for name, value in state.items():
        state[name] = (
            known[name] if known[name].shape == value.shape else widen(known[name], value.shape[1], start_at_zero=True)
        )
    body.load_state_dict(state)


def _upsample(body: nn.Module, fuse: str, architecture: str) -> None:
    """Let every upsampling layer of an HRNet work in this mode."""
    if fuse not in FUSE:
        raise InputError(f"unknown upsampling of fuse layers {fuse!r}", remedy=f"known: {', '.join(FUSE)}")
    layers = [module for module in body.modules() if isinstance(module, nn.Upsample)]
    if not layers:
        raise InputError(f"timm:{architecture} has no fuse layers that upsample", remedy="use hrnet_w18, or no fuse")
    for layer in layers:
        layer.mode, layer.align_corners = fuse, False if fuse == "bilinear" else None


@functools.cache
def timm_names() -> frozenset[str]:
    """All names that timm builds, with and without the tag of the weights."""
    import timm

    return frozenset([*timm.list_models(), *timm.list_models(pretrained=True)])


def _source(name: str, *, pretrained: bool = True) -> tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Architecture, its arguments, where else the weights are, and what the weights' card says."""
    import timm

    if name == LITE0:
        return lite0.ARCHITECTURE, {}, {"state_dict": lite0.weights()} if pretrained else {}, lite0.CARD
    folder = at_home(name)
    if folder.is_dir():
        return _folder(folder)
    if name not in timm_names():
        close = difflib.get_close_matches(name, timm_names(), n=3)
        remedy = f"did you mean {', '.join(f'timm:{other}' for other in close)}?" if close else "see timm.list_models()"
        raise InputError(f"timm has no model {name!r}", remedy=remedy)
    card = timm.get_pretrained_cfg(name)
    return name, {}, {}, card.to_dict() if card is not None else {}


def _folder(folder: Path) -> tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]:
    path = folder / "config.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        architecture, card = str(values["architecture"]), dict(values.get("pretrained_cfg") or {})
        given = dict(values.get("model_args") or {})
        arguments = {name: value for name, value in given.items() if name not in OURS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("not the config.json of a timm model", path=path, remedy="give an intact folder") from error
    if architecture not in timm_names():
        raise InputError(f"this timm has no architecture {architecture!r}", path=path, remedy="update timm")
    weights = next((folder / file for file in hub.WEIGHTS[:2] if (folder / file).is_file()), None)
    overlay = {"file": str(weights)} if weights else {}
    if weights is None:
        raise InputError("the folder has no model.safetensors", path=folder, remedy="give an intact folder")
    return architecture, arguments, overlay, card


def _fetch(architecture: str, parameters: int, notice: Notice) -> dict[str, Any]:
    """Where the weights lie after this: from the cache without asking the host, else downloaded after a line.

    An empty answer leaves the download to timm (weights that have a format of their own).
    """
    import timm

    card = timm.get_pretrained_cfg(architecture)
    if card is None or not card.has_weights:
        raise InputError(f"timm has no pretrained weights for {architecture}", remedy=hub.OTHERWISE)
    repository = str(card.hf_hub_id or "").split("@")[0]
    plain = bool(repository) and not card.hf_hub_filename
    cached = [path for file in hub.WEIGHTS[:2] if plain and (path := hub.cached_file(repository, file))]
    if cached:
        return {"file": cached[0]}
    if repository:
        hub.ensure_reachable(repository)
    notice(hub.download_line(f"timm:{architecture}", 4e-6 * parameters, card.license or hub.MODEL_CARD))
    return {}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("timm")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _build(
    architecture: str,
    in_channels: int,
    arguments: dict[str, Any],
    *,
    pretrained: bool = False,
    overlay: Mapping[str, Any] | None = None,
    size: tuple[int, int] | None = None,
) -> tuple[nn.Module, list[int], list[int]]:
    """The network with its channels and strides; ``arguments`` gets the ``img_size`` of one that is made for a size."""
    common: dict[str, Any] = {"in_chans": in_channels, "pretrained": pretrained}
    if overlay:
        common["pretrained_cfg_overlay"] = dict(overlay)
    try:
        with _quiet():
            net, channels, strides, free = _made(architecture, common, arguments, size)
    except Exception as error:  # timm raises whatever its models raise
        reason = f"timm cannot build {architecture} as a feature extractor ({hub.first_line(error)})"
        raise InputError(reason, remedy=hub.OTHERWISE) from error
    native, stated = _native(architecture), arguments.get("img_size")
    own = native if stated is None else _both(stated)
    promised = (channels, strides)
    if free:  # a small input is enough, but for networks that look at blocks of a certain size
        with contextlib.suppress(InputError):
            _try(net, architecture, in_channels, _both(2 * max(strides)), promised, native)
            return net, channels, strides
    at = size or own
    if at[0] % max(strides) == at[1] % max(strides) == 0:  # others are refused by the input's size
        _try(net, architecture, in_channels, at, promised, native)
    return net, channels, strides


def _made(
    architecture: str, common: Mapping[str, Any], arguments: dict[str, Any], size: tuple[int, int] | None
) -> tuple[nn.Module, list[int], list[int], bool]:
    """The network, its channels and strides, and whether it takes inputs of any size."""
    import timm

    # A folder states the size that its network was made for; what counts is the size that the input will have.
    sized = {"img_size": list(size)} if size and _made_for_one_size(architecture) else {}
    net: Any = timm.create_model(architecture, features_only=True, **common, **arguments)
    channels = list(net.feature_info.channels())
    strides = [int(value) for value in net.feature_info.reduction()]
    if len(set(strides)) > 1 or not hasattr(getattr(net, "model", None), "forward_intermediates"):
        if sized:
            with contextlib.suppress(TypeError):  # where it takes any size, or none but its own
                net = timm.create_model(architecture, features_only=True, **common, **{**arguments, **sized})
                arguments |= sized
        return Pyramid(net), channels, strides, not _made_for_one_size(architecture)
    # The features_only form of a transformer has lost its final norm: build the whole one, any input size.
    whole = {"num_classes": 0, "global_pool": "", **common, **arguments}
    free = True
    try:
        net = timm.create_model(architecture, dynamic_img_size=True, **whole)
    except TypeError:
        free = False
        net = timm.create_model(architecture, **{**whole, **sized})
        arguments |= sized
    return LastLayer(net), [int(net.num_features)], strides[:1], free


def _both(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def _native(architecture: str) -> tuple[int, int]:
    """``(height, width)`` of the images that a network was trained with."""
    import timm

    card = timm.get_pretrained_cfg(architecture)
    return (card.input_size[1], card.input_size[2]) if card is not None else (224, 224)


def _made_for_one_size(architecture: str) -> bool:
    """Whether a network has parts of the size of its input, such as a table of places."""
    import timm

    card = timm.get_pretrained_cfg(architecture)
    return card is not None and bool(card.fixed_input_size)


def _try(
    net: nn.Module,
    architecture: str,
    in_channels: int,
    size: tuple[int, int],
    promised: tuple[Sequence[int], Sequence[int]],
    native: tuple[int, int],
) -> None:
    """Refuse a network that does not give the maps that it promises, before anything is made of it."""
    trained = net.training
    try:
        with torch.no_grad():  # inference mode would spoil what a network caches
            maps = net.eval()(torch.zeros(1, in_channels, *size))
        given = [tuple(value.shape[1:]) for value in maps]
    except Exception as error:  # whatever its layers raise
        reason = f"timm:{architecture} does not take inputs of {size[0]} x {size[1]} ({hub.first_line(error)[:120]})"
        raise InputError(reason, remedy=f"it was made for {native[0]} x {native[1]}, or take another model") from error
    finally:
        net.train(trained)
    wanted = [(count, size[0] // stride, size[1] // stride) for count, stride in zip(*promised, strict=True)]
    if given != wanted:
        reason = f"the maps of timm:{architecture} do not lie on whole cells: {given}, not {wanted}"
        raise InputError(reason, remedy="take another model, such as timm:convnext_atto")
