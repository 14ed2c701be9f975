"""The colours of the points on the page: the skeleton's own, or those of the written guide."""

from __future__ import annotations

from typing import Literal

from kaname.data.formats.skeleton import Skeleton
from kaname.errors import InputError

Palette = Literal["skeleton", "guide"]

# The guide groups the points otherwise than the weights do: 14-16 and 20-22 are lower lids, and 23 is the nose.
GUIDE = (
    *["blue"] * 5,
    *["green"] * 6,
    *["yellow"] * 3,
    *["magenta"] * 3,
    *["yellow"] * 3,
    *["red"] * 8,
)
# Pure colours are hard to see on pictures: blue sinks into the dark, yellow into the light.
SCREEN = {"blue": "#3b82f6", "green": "#22c55e", "yellow": "#facc15", "magenta": "#e879f9", "red": "#ef4444"}
PURE = {
    (0, 0, 255): "blue",
    (0, 128, 0): "green",
    (255, 255, 0): "yellow",
    (255, 0, 255): "magenta",
    (255, 0, 0): "red",
}
NONE = "#38bdf8"


def hex_colours(skeleton: Skeleton, palette: Palette) -> list[str]:
    """A colour of CSS for each point.

    Raises:
        InputError: the guide's colours for a face that the guide does not describe.
    """
    if palette == "guide":
        if len(skeleton.names) != len(GUIDE):
            reason = f"the guide's colours are of {len(GUIDE)} points, {skeleton.name} has {len(skeleton.names)}"
            raise InputError(reason, remedy="leave --colours out")
        return [SCREEN[colour] for colour in GUIDE]
    given = skeleton.colours
    return [_on_screen(given[name]) if name in given else NONE for name in skeleton.names]


def _on_screen(colour: tuple[int, int, int]) -> str:
    return SCREEN[PURE[colour]] if colour in PURE else "#{:02x}{:02x}{:02x}".format(*colour)
