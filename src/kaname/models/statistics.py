"""BatchNorm that keeps its stored statistics while its weights train."""

from __future__ import annotations

import functools

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def hold_statistics(model: nn.Module) -> None:
    """Keep every BatchNorm of a model in evaluation mode, which ``train()`` of the whole model does not undo.

    Its weights train all the same. Then no sample depends on another, and any split into batches or processes gives
    one gradient.
    """
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.__class__ = _held(type(module))
            module.eval()


@functools.cache
def _held(kind: type[_BatchNorm]) -> type[_BatchNorm]:
    """The kind whose ``train()`` leaves it evaluating; whatever else it does stays."""
    return type(f"Held{kind.__name__}", (kind,), {"train": lambda self, mode=True: kind.train(self, False)})
