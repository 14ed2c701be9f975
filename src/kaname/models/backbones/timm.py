"""Networks of timm: convolutional pyramids with all their scales, and timm's transformers.

A pyramid gives every stage it has, fine to coarse (ConvNeXt: strides 4, 8, 16, 32); a plain transformer gives the patch
tokens of its last layer after the final norm, as `vit.py` does for those of Hugging Face. The input must divide by
the coarsest stride, so that cell *i* of every map covers ``[i, i + 1] * stride``.
"""

from __future__ import annotations

import difflib
import functools
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from kaname.errors import InputError
from kaname.models import hub
from kaname.models.backbones.backbone import IMAGENET_MEAN, IMAGENET_STD, Backbone, Notice, widen

FUSE = ("bilinear", "nearest")
NEW_CHANNELS = ("repeat", "zero")
COLOURS = 3


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
) -> Backbone:
    """A network of timm by name, from a folder that timm saved, or again from its description.

    Args:
        options: further arguments of ``timm.create_model`` (plain JSON values), such as ``feature_location``; and
            ``fuse``, how the fuse layers of an HRNet upsample: ``nearest`` as timm's weights were trained, or
            ``bilinear`` (align_corners=False) as mmpose's were; and ``new_channels``, the kernels of input channels
            beyond the colours: ``repeat`` those of the colours, scaled (as timm does), or ``zero``, which keeps those
            of the colours, so that the first answers are those to the colours alone.

    Raises:
        InputError: see `kaname.models.backbones.build_backbone`.
    """
    if description is not None:
        architecture, arguments, overlay = str(description["name"]), dict(description["arguments"]), {}
        mean, std, described = description["mean"], description["std"], dict(description)
        fuse = description.get("fuse")
    else:
        architecture, arguments, overlay, card = _source(name)
        arguments |= dict(options or {})
        fuse, start = arguments.pop("fuse", None), arguments.pop("new_channels", "repeat")
        if start not in NEW_CHANNELS:
            raise InputError(f"unknown new_channels {start!r}", remedy=f"known: {', '.join(NEW_CHANNELS)}")
        mean, std = card.get("mean") or IMAGENET_MEAN, card.get("std") or IMAGENET_STD
        described = {"kind": "timm", "name": architecture, "arguments": arguments, "in_channels": in_channels}
        described |= {"mean": list(mean), "std": list(std), "licence": card.get("license") or hub.MODEL_CARD}
        described |= {"pretrained": pretrained} | ({} if fuse is None else {"fuse": fuse})
    body, channels, strides = _build(architecture, in_channels, arguments)
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


def _source(name: str) -> tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Architecture, its arguments, where else the weights are, and what the weights' card says."""
    import timm

    folder = Path(name).expanduser()
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
        arguments = dict(values.get("model_args") or {})
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


@contextmanager
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
    arguments: Mapping[str, Any],
    *,
    pretrained: bool = False,
    overlay: Mapping[str, Any] | None = None,
) -> tuple[nn.Module, list[int], list[int]]:
    """The network with its channels and strides."""
    import timm

    common = dict(arguments) | {"in_chans": in_channels, "pretrained": pretrained}
    if overlay:
        common["pretrained_cfg_overlay"] = dict(overlay)
    try:
        with _quiet():
            net: Any = timm.create_model(architecture, features_only=True, **common)
            channels = list(net.feature_info.channels())
            strides = [int(value) for value in net.feature_info.reduction()]
            if len(set(strides)) > 1 or not hasattr(getattr(net, "model", None), "forward_intermediates"):
                return Pyramid(net), channels, strides
            # The features_only form of a transformer has lost its final norm: build the whole one, any input size.
            net = timm.create_model(architecture, num_classes=0, global_pool="", dynamic_img_size=True, **common)
            return LastLayer(net), [int(net.num_features)], strides[:1]
    except Exception as error:  # timm raises whatever its models raise
        reason = f"timm cannot build {architecture} as a feature extractor ({hub.first_line(error)})"
        raise InputError(reason, remedy=hub.OTHERWISE) from error
