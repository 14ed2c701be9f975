"""The axes along which rendered dials differ, each with a name, a range and a switch.

Ranges come from what instruments, cameras and workshops are like, wider than any set of photographs shows; none is
fitted to a picture. Every axis draws from a generator of its own, so that a picture with one axis switched off is the
same picture in everything else, and the worth of an axis can be measured by leaving it out.

Adding a new axis: a line in ``AXES``, and code that asks for it with ``draws("name")`` where it matters. The pictures
of a seed change only by what the new axis draws.
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

from ...errors import InputError

Value = float | str | bool

CAREFUL = 0.45  # share of the pictures that a careful photographer took:
LESS = 0.4  # there the axes of light, camera and dirt take part so many times as often as ``chance`` says


@dataclass(frozen=True)
class Axis:
    """One way in which dials differ.

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


AXES: Mapping[str, Axis] = {
    # print: what stands on the face
    "sweep": Axis("print", 0.75, (50, 345), 270.0, "angle of the scale, degrees: fans, quarter, half and full circles"),
    "turned": Axis("print", 0.15, (-180, 180), 0.0, "middle of the scale away from straight up, degrees"),
    "reversed": Axis("print", 0.05, (), False, "values rise against the clock"),
    "spacing": Axis("print", 0.12, (0.55, 1.9), 1.0, "power of uneven marks: square root and logarithmic scales"),
    "count": Axis("print", 0.9, (3, 25), 6.0, "number of notches", 1.3),
    "divisions": Axis("print", 0.9, (1, 20), 5.0, "spaces between two notches", 1.5),
    "marks": Axis("print", 0.5, ("block", "wedge", "triangle", "dot", "diamond", "two-part", "hollow"), "bar",
                  "shape of the notches' marks"),
    "length": Axis("print", 0.9, (0.04, 0.26), 0.11, "length of a notch's mark, face radii", 1.4),
    "boldness": Axis("print", 0.9, (1.0, 6.0), 2.5, "width of a notch's mark over that of a thin one", 1.5),
    "stature": Axis("print", 0.9, (1.0, 3.2), 1.7, "length of a notch's mark over that of a thin one"),
    "hairline": Axis("print", 0.9, (0.003, 0.018), 0.009, "width of thin marks, face radii"),
    "alternate": Axis("print", 0.1, ("same", "other"), "none",
                      "marks leave a band outwards and inwards by turns, numerals on the same side or the other"),
    "ladder": Axis("print", 0.55, ("base", "tip", "rails", "band", "mirror"), "none", "lines along the scale"),
    "overrun": Axis("print", 0.12, (), False, "thin marks go on beyond the first or the last notch"),
    "ends": Axis("print", 0.12, ("block", "longer", "zero box"), "same", "first or last mark unlike the others"),
    "outward": Axis("print", 0.3, (), False, "thin marks share their inner ends instead of their outer ones"),
    "numerals": Axis("print", 0.5, ("outside", "turned", "missing", "on the ladder"), "inside", "where numbers stand"),
    "numbered": Axis("print", 0.25, ("every second", "without ends", "ends alone"), "all", "which notches have one"),
    "figures": Axis("print", 0.9, (0.07, 0.24), 0.13, "height of the numbers, face radii", 1.4),
    "lettering": Axis("print", 0.9, (0.5, 1.4), 1.0, "width of letters over that of a common font; the font too"),
    "second_scale": Axis("print", 0.3, ("inner", "outer", "shared", "several"), "none", "scales in other units"),
    "sub_dial": Axis("print", 0.06, (0.2, 0.42), 0.0, "radius of a small scale with its own pointer, face radii"),
    "sectors": Axis("print", 0.2, ("band", "pie", "marks", "disc"), "none", "coloured fields by the marks"),
    "paper": Axis("print", 0.5, ("cream", "grey", "yellow", "pastel", "metal"), "white", "colour of the face"),
    "contrast": Axis("print", 0.3, (0.3, 0.9), 1.0, "share of the ink's darkness that is left", 0.7),
    "dark": Axis("print", 0.17, (), False, "light marks on a dark face"),
    "back_lit": Axis("print", 0.06, (), False, "marks or face shine by themselves"),
    "texts": Axis("print", 0.9, (1, 9), 1.0, "lines and stamps on the face"),
    "fittings": Axis("print", 0.55, ("screws", "nail hole", "stop pin", "stamps", "window", "many"), "none",
                     "things on the face that can look like a notch"),
    "home_made": Axis("print", 0.07, (0.2, 1.0), 0.0, "unsteadiness of a print made by hand"),
    # geometry
    "layout": Axis("geometry", 0.35, ("square", "corner", "fan", "half"), "round", "shape of the instrument"),
    "tilt": Axis("geometry", 0.7, (0, 58), 0.0, "between the line of sight and the dial's axis, degrees", 1.8),
    "nearness": Axis("geometry", 0.7, (0.06, 0.42), 0.05, "face radius over the camera's distance", 1.5),
    "roll": Axis("geometry", 0.5, (-180, 180), 0.0, "turn of the whole dial in the picture, degrees; mostly small"),
    "extent": Axis("geometry", 0.9, (0.24, 1.3), 0.92, "width of the instrument over that of the picture"),
    "place": Axis("geometry", 0.7, (0, 1), 0.0, "how far from the middle, share of what keeps the notches inside", 2.0),
    "lens": Axis("geometry", 0.2, (-0.1, 0.1), 0.0, "radial distortion at the picture's corner"),
    # material
    "casing": Axis("material", 0.8, ("steel", "brass", "painted", "clear", "white", "none"), "black", "of the ring"),
    "ring": Axis("material", 0.8, (0.02, 0.34), 0.1, "width of the ring, face radii"),
    "depth": Axis("material", 0.7, (0.0, 0.3), 0.05, "height of the ring above the face, face radii"),
    "ring_marks": Axis("material", 0.12, ("bars", "notches", "dots", "screws"), "none", "marks on the ring itself"),
    "pointer": Axis("material", 0.85, ("red", "coloured", "light", "thin", "broad", "two-ended"), "black",
                    "look of the pointer"),
    "rest": Axis("material", 0.3, (), False, "the pointer rests on the start, or beyond an end"),
    "second_pointer": Axis("material", 0.14, ("red", "green", "yellow", "black"), "none", "set or drag pointer"),
    "flags": Axis("material", 0.1, (1, 3), 0.0, "limit marks clipped to the rim or painted across the scale"),
    "cover": Axis("material", 0.12, (), False, "a cover over the axis or over the lower part of the face"),
    # light
    "glare": Axis("light", 0.16, (50, 255), 0.0, "a bright band across the glass, grey levels"),
    "shade": Axis("light", 0.18, (0.25, 0.85), 0.0, "part of the dial in shade: share of the light lost"),
    "reflections": Axis("light", 0.3, (), False, "lamps, windows and veils in the glass"),
    "cast": Axis("light", 0.7, (0.05, 0.6), 0.0, "darkness of the shadows of ring and pointer"),
    "uneven": Axis("light", 0.6, (0.02, 0.4), 0.0, "slope of the light across the picture"),
    "exposure": Axis("light", 0.7, (70, 268), 225.0, "grey level of the brightest parts", 0.4),
    "tint": Axis("light", 0.6, (0.02, 0.3), 0.0, "warm or cold light: logarithm of red over blue", 1.6),
    # camera
    "focus": Axis("camera", 0.6, (0.3, 3.2), 0.0, "deviation of the blur, pixels at 448", 2.0),
    "shake": Axis("camera", 0.1, (2, 14), 0.0, "length of a shaken blur, pixels at 448"),
    "coarse": Axis("camera", 0.2, (0.25, 0.8), 1.0, "resolution of the picture before it was enlarged"),
    "noise": Axis("camera", 0.7, (0.5, 16), 0.0, "deviation of the sensor's noise, grey levels", 3.0),
    "sharpening": Axis("camera", 0.25, (0.2, 1.5), 0.0, "strength of the camera's sharpening"),
    "colourless": Axis("camera", 0.1, (), False, "a picture in grey"),
    "jpeg": Axis("camera", 0.7, (10, 95), 100.0, "quality of the file"),
    # dirt
    "soil": Axis("dirt", 0.25, (), False, "dust, scratches, drops and stains on the glass"),
    "liquid": Axis("dirt", 0.08, (-0.7, 0.8), 2.0, "height of the filling's surface, face radii; with bubbles"),
    "sticker": Axis("dirt", 0.08, (0.15, 0.5), 0.0, "size of stickers on glass or rim, face radii"),
    "wear": Axis("dirt", 0.12, (0.15, 0.6), 0.0, "how far the print has faded in places"),
    # distractors
    "background": Axis("distractors", 0.85, (), False, "walls, pipes, cloth; else an even grey"),
    "neighbour": Axis("distractors", 0.15, ("dial", "part", "plate"), "none", "a second instrument, or a part of one"),
    "grille": Axis("distractors", 0.15, (1, 4), 0.0, "groups of strokes behind: rulers, vents, threads, fences"),
    "bars": Axis("distractors", 0.12, (0.02, 0.2), 0.0, "black bars of a padded crop"),
    "finger": Axis("distractors", 0.06, (0.06, 0.25), 0.0, "width of something in front of the rim, picture widths"),
    "pipe": Axis("distractors", 0.4, (), False, "a pipe or stem behind"),
}  # fmt: skip


def check_without(names: Iterable[str]) -> frozenset[str]:
    """The axes to leave out, checked; a group stands for all of its axes.

    Raises:
        InputError: a name that is neither; the remedy lists them all.
    """
    given = frozenset(names)
    groups = dict.fromkeys(axis.group for axis in AXES.values())
    if unknown := sorted(given - AXES.keys() - groups.keys()):
        remedy = f"groups: {', '.join(groups)}; axes: {', '.join(AXES)}"
        raise InputError(f"unknown axis {', '.join(map(repr, unknown))}", remedy=remedy)
    return frozenset(name for name, axis in AXES.items() if name in given or axis.group in given)


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
        without: names of the axes that are switched off.
        known: what has been drawn.
    """

    seed: int
    without: frozenset[str]
    known: dict[str, Drawn] = field(default_factory=dict)

    def __call__(self, name: str) -> Drawn:
        if name in self.known:
            return self.known[name]
        axis = AXES[name]
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
        """How much less often a careful photographer meets bad light, blur or dirt."""
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
        drawn.value, drawn.on = value, value != AXES[name].off
        return value

    @property
    def traits(self) -> dict[str, Value]:
        """The value of every axis."""
        return {name: self(name).value for name in AXES}


def table() -> str:
    """The list of axes as Markdown."""
    lines = ["| axis | group | share | range | otherwise | what it is |", "|---|---|---:|---|---|---|"]
    for name, axis in AXES.items():
        words = axis.span and isinstance(axis.span[0], str)
        span = ", ".join(axis.span) if words else " .. ".join(f"{v:g}" for v in axis.span) or "there"
        off = axis.off if isinstance(axis.off, str) else "absent" if axis.off is False else f"{axis.off:g}"
        lines.append(f"| `{name}` | {axis.group} | {axis.chance:.0%} | {span} | {off} | {axis.says} |")
    return "\n".join(lines) + "\n"
