"""Axes along which rendered pictures differ, each with a name, a range and a switch.

A renderer has a list of them (``world.axes`` for dials, ``face_axes``, ``match_axes``). Every axis draws from a
generator of its own, so that a picture with one axis switched off is the same picture in everything else, and the worth
of an axis can be measured by leaving it out.

Adding a new axis: a line in the renderer's list, and code that asks for it with ``draws("name")`` where it matters. The
pictures of a seed change only by what the new axis draws.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.random import Generator

from ..errors import InputError

Value = float | str | bool

CAREFUL = 0.45  # share of the pictures that somebody careful made:
LESS = 0.4  # there the axes of light, camera and dirt take part so many times as often as ``chance`` says


@dataclass(frozen=True)
class Axis:
    """One way in which pictures differ.

    Attributes:
        group: print, geometry, material, light, camera, dirt or distractors.
        chance: share of the pictures in which it takes part; in the others it has its ``off`` value.
        span: least and greatest value, or the options; () where it is only there or not.
        off: its value where it takes no part, and always where it is switched off.
        says: what it is, with its unit.
        skew: over 1 favours small values: the share of the range is a uniform number to this power.
    """

    group: str
    chance: float
    span: tuple[Any, ...]
    off: Value
    says: str
    skew: float = 1.0


def check_without(axes: Mapping[str, Axis], names: Iterable[str]) -> frozenset[str]:
    """The axes to leave out, checked; a group stands for all of its axes, and ``"glare,jpeg"`` for two.

    Raises:
        InputError: a name that is neither; the remedy lists them all.
    """
    given = frozenset(name.strip() for text in names for name in text.split(",")) - {""}
    groups = dict.fromkeys(axis.group for axis in axes.values())
    if unknown := sorted(given - axes.keys() - groups.keys()):
        remedy = f"groups: {', '.join(groups)}; axes: {', '.join(axes)}"
        raise InputError(f"unknown axis {', '.join(map(repr, unknown))}", remedy=remedy)
    return frozenset(name for name, axis in axes.items() if name in given or axis.group in given)


@dataclass
class Drawn:
    """What an axis has drawn for one picture; ``rng`` is for what else it needs, made when first asked for."""

    value: Any
    on: bool
    key: tuple[int, int]

    @cached_property
    def rng(self) -> Generator:
        return np.random.Generator(np.random.Philox(key=np.array(self.key, np.uint64)))


@dataclass
class Draws:
    """All axes of one picture; each is drawn once, the first time somebody asks for it.

    Attributes:
        seed: of the picture, under 2**62.
        axes: the renderer's list.
        without: names of the axes that are switched off.
        known: what has been drawn.
    """

    seed: int
    axes: Mapping[str, Axis]
    without: frozenset[str] = frozenset()
    known: dict[str, Drawn] = field(default_factory=dict)

    def __call__(self, name: str) -> Drawn:
        if name in self.known:
            return self.known[name]
        axis = self.axes[name]
        digest = hashlib.blake2b(f"{self.seed} {name}".encode(), digest_size=16).digest()
        chance, share = (int.from_bytes(part, "big") / 2**64 for part in (digest[:8], digest[8:]))
        on = chance < axis.chance * self._care(axis.group) and name not in self.without
        value: Any = axis.off
        if on and not axis.span:
            value = True
        elif on and isinstance(axis.span[0], str):
            value = axis.span[int(share * len(axis.span))]
        elif on:
            value = axis.span[0] + (axis.span[1] - axis.span[0]) * share**axis.skew
        self.known[name] = drawn = Drawn(value, on, self._key(name))
        return drawn

    def _care(self, group: str) -> float:
        """How much less often somebody careful meets bad light, blur or dirt."""
        careful = zlib.crc32(f"{self.seed} careful".encode()) / 2**32 < CAREFUL
        return LESS if careful and group in ("light", "camera", "dirt") else 1.0

    def _key(self, name: str) -> tuple[int, int]:
        return self.seed, zlib.crc32(name.encode())

    def own(self, name: str) -> Generator:
        """A generator for what no axis draws; it depends on the picture and this name alone."""
        return Drawn(None, True, self._key(f"own {name}")).rng

    def keep(self, name: str, value: Value) -> Any:
        """Give an axis that takes part the value that was possible, or its ``off`` value where nothing was."""
        drawn = self(name)
        drawn.value, drawn.on = value, value != self.axes[name].off
        return value

    @property
    def traits(self) -> dict[str, Value]:
        """The value of every axis."""
        return {name: self(name).value for name in self.axes}


def table(axes: Mapping[str, Axis]) -> str:
    """A list of axes as Markdown."""
    lines = ["| axis | group | share | range | otherwise | what it is |", "|---|---|---:|---|---|---|"]
    for name, axis in axes.items():
        words = axis.span and isinstance(axis.span[0], str)
        span = ", ".join(axis.span) if words else " .. ".join(f"{v:g}" for v in axis.span) or "there"
        off = axis.off if isinstance(axis.off, str) else "absent" if axis.off is False else f"{axis.off:g}"
        lines.append(f"| `{name}` | {axis.group} | {axis.chance:.0%} | {span} | {off} | {axis.says} |")
    return "\n".join(lines) + "\n"
