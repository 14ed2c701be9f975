"""Kaname: train, evaluate, run and ship models that answer *where*.

``kaname.load("best.pt")`` or ``kaname.load("model.onnx")`` gives a model that knows how it was trained;
``model.predict(source)`` answers in pixels of the original image. Everything is imported when it is first used, and
nothing of torch before a torch file is opened.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["InputError", "Masks", "Points", "Sample", "Tracks", "__version__", "load"]

_HOMES = {
    "InputError": "kaname.errors",
    "Masks": "kaname.types",
    "Points": "kaname.types",
    "Sample": "kaname.types",
    "Tracks": "kaname.types",
    "load": "kaname.loading",
}

if TYPE_CHECKING:
    from kaname.errors import InputError
    from kaname.loading import load
    from kaname.types import Masks, Points, Sample, Tracks


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kaname' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
