"""Files of weights that know no card: read strictly to start a training from, written for programs that take no more.

Both sides go by a layout, the `kaname.inference.card.Weights` of a network's card: what the file calls each tensor.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kaname.errors import InputError
from kaname.files import whole_file, writing
from kaname.inference import checkpoint
from kaname.inference.card import Weights, heads_of, weights_of
from kaname.inference.checkpoint import Checkpoint

ENDINGS = (".pth", ".pt", ".safetensors")
WRAPPER = "module."  # what torch's DataParallel puts before every name
REMEDY = "give a file of the same network, whole"
OTHERWISE = "free space or choose another --out"


@dataclass(frozen=True)
class Loaded:
    """What a network took from a file.

    Attributes:
        path: the file.
        mapped: the file's name of every tensor that was taken, and ours.
        fresh: the file's names of those that start anew, from random weights.
        points: how many points there are now.
    """

    path: Path
    mapped: Mapping[str, str]
    fresh: tuple[str, ...]
    points: int

    def lines(self) -> list[str]:
        """For the user: how many tensors came from where, by the parts of the network."""
        groups: dict[str, int] = {}
        for name in self.mapped:
            part = name.split(".")[0]
            groups[part] = groups.get(part, 0) + 1
        counted = ", ".join(f"{count:,} of {part}" for part, count in groups.items())
        anew = [f"{', '.join(self.fresh)} start anew, for {self.points} points"] if self.fresh else []
        return [f"weights of {self.path}: {len(self.mapped):,} tensors ({counted}), every one used", *anew]


def load_state_dict(path: Path, network: nn.Module, layout: Weights, *, last: str, new_head: bool = False) -> Loaded:
    """Put a file's weights into a network: all of them, or none and an error.

    Args:
        path: a file of ``torch.save`` (``{"state_dict": ...}`` with or without more, or the tensors alone), of
            safetensors, or a checkpoint of our own; the names may begin with ``module.``.
        network: with ``backbone`` and the buffers ``mean`` and ``std``.
        layout: the file's names. A checkpoint of our own says its names itself.
        last: beginning of our names of the layer with one channel for each point.
        new_head: leave that layer as the network was built, whatever the file has there.

    Raises:
        InputError: an unreadable file; a tensor that is missing, unknown or of another shape, by its name in the file;
            another number of points; a checkpoint of a network that normalises or upsamples otherwise.
    """
    given, own = _tensors(path, network, layout, new_head=new_head), network.state_dict()
    wanted = checkpoint.named_in_file(own, layout)
    ours = dict(zip(wanted, (name for name in own if name not in layout.without), strict=True))
    head = [name for name, our in ours.items() if our.startswith(last)]
    points, theirs = len(wanted[head[0]]), given.get(head[0])
    if new_head:
        given = {**given, **{name: wanted[name] for name in head}}
    elif theirs is not None and theirs.ndim and len(theirs) != points:
        reason = f"the file has {len(theirs)} points, the skeleton {points}"
        raise InputError(reason, path=path, remedy="give --new-head, which trains the last layer anew")
    given = {name: _whole(value, wanted.get(name)) for name, value in given.items()}
    checkpoint.check_fit(wanted, given, path=path, remedy=REMEDY)
    for name, value in given.items():
        if not torch.isfinite(value).all():
            raise InputError(f"{name} holds values that are not finite", path=path, remedy=REMEDY)
    network.load_state_dict({**own, **{our: given[name] for name, our in ours.items()}})
    fresh = tuple(head) if new_head else ()
    return Loaded(path, {name: our for name, our in ours.items() if name not in fresh}, fresh, points)


def write_state_dict(path: Path, opened: Checkpoint) -> int:
    """Write a checkpoint's tensors under the names of its card, and nothing else; returns how many there are.

    A warning says where the heatmaps go through a sigmoid or a softmax, which no such file can tell.

    Args:
        path: ``.pth`` or ``.pt`` (a plain dictionary), or ``.safetensors``; whole, or what it was before.

    Raises:
        InputError: another ending, or the file cannot be written.
    """
    if path.suffix.lower() not in ENDINGS:
        reason = f"an export is one of {', '.join(ENDINGS)} (weights) and .onnx, got {path.name!r}"
        raise InputError(reason, path=path, remedy=f"write {path.stem}.safetensors or {path.stem}.onnx")
    if kinds := sorted({head.activation for head in heads_of(opened.card).values()} - {"none"}):
        reason = f"its heatmaps go through a {' and a '.join(kinds)}, which a file of weights alone cannot say"
        warnings.warn(f"{path}: {reason}; other programs take them raw", stacklevel=2)
    with writing(path.parent, reason="cannot be made", remedy=OTHERWISE):
        path.parent.mkdir(parents=True, exist_ok=True)
    named = checkpoint.named_in_file(opened.model, weights_of(opened.card))
    tensors = {name: value.contiguous() for name, value in named.items()}
    if path.suffix.lower() != ".safetensors":
        checkpoint.write(path, tensors, remedy=OTHERWISE)
        return len(tensors)
    from safetensors.torch import save  # its save_file has a partial file of its own, which a kill would leave

    with whole_file(path, "wb", durable=True, remedy=OTHERWISE) as file:
        file.write(save(tensors))
    return len(tensors)


def _whole(value: Tensor, wanted: Tensor | None) -> Tensor:
    """A tensor in half precision in float32, where that is wanted: it loses nothing on its way there."""
    half = value.dtype in (torch.float16, torch.bfloat16)
    return value.to(torch.float32) if half and wanted is not None and wanted.dtype == torch.float32 else value


def _tensors(path: Path, network: nn.Module, layout: Weights, *, new_head: bool) -> dict[str, Tensor]:
    """What the file holds, under the names of the layout."""
    if path.suffix.lower() == ".safetensors" and path.is_file():
        return _unwrapped(_safetensors(path))
    content = checkpoint.read(path, remedy=REMEDY)
    if isinstance(content, dict) and isinstance(content.get("card"), str):
        opened = checkpoint.load(path)
        _same_network(opened.card, network, path, new_head=new_head)
        return checkpoint.named_in_file(opened.model, layout)
    inner = content.get(layout.key, content) if isinstance(content, dict) else content
    if not isinstance(inner, dict) or not inner or not all(isinstance(value, Tensor) for value in inner.values()):
        raise InputError(f"holds no {layout.key} of tensors", path=path, remedy=REMEDY)
    return _unwrapped(inner)


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        reason = f"not a readable file of safetensors ({str(error).splitlines()[0]})"
        raise InputError(reason, path=path, remedy=REMEDY) from error


def _unwrapped(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    wrapped = all(name.startswith(WRAPPER) for name in tensors)
    return {name.removeprefix(WRAPPER) if wrapped else name: value for name, value in tensors.items()}


def _same_network(card: Mapping[str, Any], network: Any, path: Path, *, new_head: bool) -> None:
    """What names and shapes do not tell: with another of these the same weights give other heatmaps."""
    own = {"mean_255": network.mean.flatten().tolist(), "std_255": network.std.flatten().tolist()}
    theirs, ours = ([head.activation for head in heads.values()] for heads in (heads_of(card), network.heads))
    for what, before, now in (
        ("upsampling of the fuse layers", card["backbone"].get("fuse"), network.backbone.description.get("fuse")),
        ("normalisation", {name: card.get(name) for name in own}, own),
        *([] if new_head else [("activation of the heatmaps", theirs, ours)]),
    ):
        if before != now:
            reason = f"trained with another {what} ({before}, here {now})"
            raise InputError(reason, path=path, remedy="set it as in the file")
