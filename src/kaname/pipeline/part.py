"""A function of a recipe, named where the recipe is described and imported when it is first called."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TARGET = re.compile(r"^[\w.]+:\w+$")


@dataclass(frozen=True)
class Part:
    """A function or class of a recipe, ``module:name``; imported when it is first called or asked for."""

    target: str

    @property
    def value(self) -> Any:
        """The function or class itself."""
        module, _, name = self.target.partition(":")
        return getattr(importlib.import_module(module), name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.value(*arguments, **named)


def parts(package: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields with a `Part` of ``package`` in the place of every text ``module:name``."""
    return {
        name: Part(f"{package}.{one}") if isinstance(one, str) and TARGET.match(one) else one
        for name, one in fields.items()
    }
