"""The one form that every backbone has: an image in, feature maps out, and a description to rebuild it from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kaname.errors import InputError
from kaname.models.names import check_size
from kaname.shapes import Float

Notice = Callable[[str], None]
"""Takes one line for the user, before a download."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Backbone(nn.Module):
    """A feature extractor and what its users must know about it.

    Args:
        body: ``(B, C, H, W) -> feature maps``, fine to coarse.
        channels: for each map its number of channels.
        strides: for each map the input pixels in one of its cells; cell *i* covers ``[i, i + 1] * stride``.
        multiple: H and W must divide by this (1: any size).
        mean, std: of three colours in 0..1, the normalization that the weights were trained with.
        description: plain JSON values, enough for ``build_backbone(description=...)`` to build it again without a
            network and without the original folder; the weights come from a state dict.
    """

    def __init__(
        self,
        body: nn.Module,
        *,
        channels: Sequence[int],
        strides: Sequence[int],
        multiple: int,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        description: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.body = body
        self.channels = tuple(int(value) for value in channels)
        self.strides = tuple(int(value) for value in strides)
        self.multiple = int(multiple)
        self.mean = tuple(float(value) for value in mean)
        self.std = tuple(float(value) for value in std)
        self.description = dict(description)
        self.frozen = False
        self.frozen_for_now = False

    @property
    def in_channels(self) -> int:
        """Channels of the input, 3 unless asked for otherwise."""
        return int(self.description["in_channels"])

    @property
    def pretrained(self) -> bool:
        """Whether it started from pretrained weights."""
        return bool(self.description["pretrained"])

    @property
    def licence(self) -> str:
        """The licence of the weights where it is known, else where to look."""
        return str(self.description["licence"])

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> list[Float[Tensor, "batch _channels _height _width"]]:
        """Normalized images ``(B, C, H, W)`` to feature maps ``(B, channels[i], H / strides[i], W / strides[i])``.

        Raises:
            InputError: another number of channels, or a size that does not divide by `multiple`.
        """
        if images.shape[1] != self.in_channels:
            raise InputError(f"the backbone takes {self.in_channels} channels, got {images.shape[1]}")
        check_size((images.shape[2], images.shape[3]), self.multiple)
        return list(self.body(images))

    def train(self, mode: bool = True) -> Backbone:
        """As in torch, except that a frozen backbone stays in evaluation mode."""
        super().train(mode and not (self.frozen or self.frozen_for_now))
        return self


def freeze(backbone: Backbone, *, for_now: bool = False) -> None:
    """Keep the weights as they are: no gradients, and evaluation mode that ``train()`` of the whole model keeps.

    Frozen ``for_now``, the parameters still require gradients, so that they belong to the optimiser from the start;
    `Network` passes none to them.
    """
    if for_now:
        backbone.frozen_for_now = True
    else:
        backbone.frozen = True
        backbone.requires_grad_(False)
    backbone.eval()


def unfreeze(backbone: Backbone) -> None:
    """The opposite of `freeze`, either way; the mode is that of the next ``train()`` or ``eval()``."""
    if backbone.frozen:
        backbone.requires_grad_(True)
    backbone.frozen = backbone.frozen_for_now = False


def checkpoint_gradients(backbone: Backbone) -> None:
    """Keep fewer activations while training and compute them again in the backward pass: less memory, more time.

    Raises:
        InputError: the backbone does not know how.
    """
    model: Any = getattr(backbone.body, "model", None) or getattr(backbone.body, "net", backbone.body)
    if hasattr(model, "activation_checkpointing_enable"):  # transformers, from 5.23 on
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    elif hasattr(model, "gradient_checkpointing_enable"):
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    elif hasattr(model, "set_grad_checkpointing"):
        model.set_grad_checkpointing(True)
    else:
        reason = f"the backbone {backbone.description.get('kind')} has no gradient checkpointing"
        raise InputError(reason, remedy="leave it off, or lower the batch size")


def widen(
    weight: Float[Tensor, "out known kernel_height kernel_width"], channels: int, *, start_at_zero: bool = False
) -> Float[Tensor, "out {channels} kernel_height kernel_width"]:
    """Weights of a first layer for another number of input channels.

    The kernels are repeated over the channels and scaled by known / channels, so that the answer to an input whose
    channels are all alike stays what it was (as timm does it). With ``start_at_zero`` the known kernels are kept and
    the new ones are 0, so that the first answers are those to the known channels alone.
    """
    known = weight.shape[1]
    if start_at_zero:
        return torch.cat([weight, weight.new_zeros(len(weight), channels, *weight.shape[2:])], dim=1)[:, :channels]
    repeats = -(-channels // known)
    return weight.repeat(1, repeats, 1, 1)[:, :channels] * (known / channels)
