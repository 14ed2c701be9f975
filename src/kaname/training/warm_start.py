"""The weights of a shipped model for a network whose heads may be others: the only weights that are taken in part.

Everything but the heads must fit, tensor by tensor. A head that both have, with the same channels, is taken; one that
the run does not have is left out, and one that the model does not have starts from random weights. Heads lie either in
layers of their own, ``decoder.heads.NAME``, or as channels of the decoder's last layer, one head after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from kaname.errors import InputError
from kaname.inference.card import heads_of
from kaname.inference.checkpoint import Checkpoint
from kaname.types import Head

DECODER, HEADS = "decoder.", "decoder.heads."
Heads = Mapping[str, Head]


def fitted(network: nn.Module, opened: Checkpoint) -> tuple[Checkpoint, list[str]]:
    """The checkpoint of a shipped model with the tensors that this network has, and what to tell the user of it.

    Raises:
        InputError: another normalisation. Other tensors that do not fit are refused when they are loaded.
    """
    own, given = network.state_dict(), dict(opened.model)
    heads, theirs = cast(Heads, network.heads), heads_of(opened.card)
    _same_colours(own, opened)
    kept = {
        name for name, head in heads.items() if name in theirs and list(theirs[name].channels) == list(head.channels)
    }
    if set(heads) != kept or set(theirs) != kept:
        alone = {name for name in {*own, *given} if name.startswith(HEADS) and name.split(".")[2] not in kept}
        given = {name: value for name, value in given.items() if name not in alone}
        given |= {name: own[name] for name in alone & own.keys()}
        shared = {name for name in own.keys() & given.keys() if name.startswith(DECODER) and name not in alone}
        given |= {
            name: rows for name in shared if (rows := _rows(own[name], given[name], heads, theirs, kept)) is not None
        }
    zoo = opened.card["zoo"]
    epoch = (opened.card.get("trained") or {}).get("epoch", "?")
    said = [f"weights of the shipped model {zoo['name']} (epoch {epoch}; {zoo.get('trained_on', 'unknown data')})"]
    if left := [name for name in theirs if name not in kept]:
        said.append(f"left out of them: the head {', '.join(left)}")
    if fresh := [name for name in heads if name not in kept]:
        said.append(f"not in them, and trained from random weights: the head {', '.join(fresh)}")
    return replace(opened, model=given), said


def _rows(own: Tensor, given: Tensor, heads: Heads, theirs: Heads, kept: set[str]) -> Tensor | None:
    """A last layer for all heads: the rows of the heads that both have are the file's. None for any other layer."""
    counts, before = ({name: len(head.channels) for name, head in one.items()} for one in (heads, theirs))
    if (
        not own.ndim
        or not given.ndim
        or len(own) != sum(counts.values())
        or len(given) != sum(before.values())
        or own.shape[1:] != given.shape[1:]
    ):
        return None
    parts = dict(zip(counts, own.split(list(counts.values())), strict=True))
    known = dict(zip(before, given.split(list(before.values())), strict=True))
    return torch.cat([known[name] if name in kept else part for name, part in parts.items()])


def _same_colours(own: Mapping[str, Tensor], opened: Checkpoint) -> None:
    card: Mapping[str, Any] = opened.card
    for name, stated in (("mean", "mean_255"), ("std", "std_255")):
        if name in own and stated in card:
            ours = own[name].flatten().tolist()
            both = min(len(ours), len(card[stated]))  # more frames or inputs than the model has: tensors tell
            if any(abs(a - b) > 1e-3 for a, b in zip(ours[:both], card[stated][:both], strict=True)):
                reason = f"trained with images normalised by {card[stated]}, and this run has {ours}"
                raise InputError(reason, path=opened.path, remedy="leave the normalisation as it is in the model")
