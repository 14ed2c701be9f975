"""A network with its view and its activations in one module: what predicts, and what is exported."""

from __future__ import annotations

import copy
import functools
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kaname.geometry.view import View
from kaname.inference import checkpoint
from kaname.inference.card import FITTED, view_of
from kaname.inference.device import choose_device
from kaname.memory import reuse_memory
from kaname.models.preprocess import Preprocess
from kaname.types import Head


class Deployed(nn.Module):
    """A file's inputs by name to answers by name: `kaname.inference.model.Runner` on tensors.

    ``images`` are uint8 ``(B, h, w, 3 * frames)`` of any size, ``boxes`` ``(N, 4)`` in their pixels; the network sees
    the images as the view shows them and the boxes in pixels of its input. ``fitted`` float32 ``(B, 3 * frames, rows,
    columns)`` are images that are in the view already. Its raw outputs go through the activations of its heads.

    Args:
        network: with ``heads`` and ``inputs``.
        view: how pictures become its input.
    """

    def __init__(self, network: nn.Module, view: View) -> None:
        super().__init__()
        self.preprocess = Preprocess(view)
        self.network = network

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        fed = dict(inputs)
        images, boxes = fed.get("images"), fed.get("boxes")
        if FITTED in fed:
            fed["images"] = fed.pop(FITTED)
        elif images is not None and self.preprocess.view.fit == "crop":
            fed["images"] = self.preprocess(images, fed.pop("boxes", None))
        elif images is not None:
            fed["images"] = self.preprocess(images)
            if boxes is not None:
                fed["boxes"] = self.preprocess.boxes(boxes, images)
        raw, heads = self.network(fed), cast(Mapping[str, Head], self.network.heads)
        return {name: activated(raw[name], head) for name, head in heads.items()}


def activated(raw: Tensor, head: Head) -> Tensor:
    """A head's answer ``(B, C, ...)`` from its raw values.

    ``sigmoid`` and ``none`` go value by value; ``softmax`` over the channels of each of its groups, which lie one after
    the other.
    """
    if head.activation == "sigmoid":
        return torch.sigmoid(raw)
    if head.activation == "softmax":
        return raw.unflatten(1, (head.groups, -1)).softmax(dim=2).flatten(1, 2)
    return raw


LOWER = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Lower(nn.Module):
    """A network whose products and convolutions are computed in a lower precision; its answers are fp32 again."""

    def __init__(self, network: nn.Module, kind: torch.dtype, device: str) -> None:
        super().__init__()
        self.network, self.kind, self.device = network, kind, device
        self.heads = network.heads

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with torch.autocast(self.device, self.kind):
            raw = self.network(inputs)
        return {name: value.float() for name, value in raw.items()}


class TorchRunner:
    """Runs a :class:`Deployed` module with the contract of ``inference.model.Runner``.

    Args:
        network: with ``heads`` and ``inputs``.
        view: how pictures become its input.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: fp32; bf16 and fp16 hold for the products and convolutions of the network alone
            (`torch.autocast`), so that the view and boxes keep their pixels.
        compiled: by `torch.compile`, whose first call takes many seconds; the view stays outside, because pictures of
            every new size would be compiled again.
    """

    takes_fitted = True

    def __init__(
        self,
        network: nn.Module,
        view: View,
        *,
        device: str = "auto",
        precision: str = "fp32",
        compiled: bool = False,
    ) -> None:
        self.device, self.precision = choose_device(device), precision
        self.runtime = "compile" if compiled else "torch"
        if self.device.type == "cpu":
            reuse_memory()
            answer_in_forks()
        if compiled:  # where there is no compiler of CUDA it says so at length
            logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
        run = network if precision == "fp32" else Lower(network, LOWER[precision], self.device.type)
        self.module = Deployed(cast(nn.Module, torch.compile(run)) if compiled else run, view).eval().to(self.device)

    def again(self, precision: str, *, compiled: bool) -> TorchRunner:
        """The same network in fp32, not a copy of it, in another arithmetic or compiled."""
        view, device = self.module.preprocess.view, str(self.device)
        return TorchRunner(self.module.network, view, device=device, precision=precision, compiled=compiled)

    def on_cpu(self) -> TorchRunner:
        """The same network on the processor, a copy where it is elsewhere."""
        if self.device.type == "cpu":
            return self
        view = self.module.preprocess.view
        return TorchRunner(copy.deepcopy(self.module.network), view, device="cpu")

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        with torch.inference_mode():
            given = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in inputs.items()}
            answers = self.module({name: tensor.to(self.device) for name, tensor in given.items()})
            return {name: tensor.float().cpu().numpy() for name, tensor in answers.items()}


@functools.cache
def answer_in_forks() -> None:
    """Let a process forked from this one compute in its one thread: it would wait for ever for those of its parent."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=functools.partial(torch.set_num_threads, 1))


def load_runner(
    path: Path, recipe: str, build: Callable[[Mapping[str, Any]], nn.Module], *, device: str
) -> tuple[TorchRunner, Mapping[str, Any]]:
    """A runner and the card of a checkpoint; ``build(card)`` makes its network, whose weights are then those of the
    file.

    Raises:
        InputError: an unusable file, a file of another recipe, weights that do not fit.
    """
    opened = checkpoint.load(path, recipe=recipe)
    network = build(opened.card)
    checkpoint.load_weights(network, opened)
    return TorchRunner(network, view_of(opened.card), device=device), opened.card
