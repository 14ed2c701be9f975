"""One face while it is annotated, and everything that a person may do to it. Plain values, no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kaname.data.formats.files import is_number, shortened
from kaname.data.formats.landmarks import ABSENT, HIDDEN, SEEN, UNPLACED, Annotation
from kaname.data.formats.skeleton import Skeleton
from kaname.errors import InputError
from kaname.geometry.boxes import around, centre_size, clip, pad
from kaname.geometry.grid import PIXELS
from kaname.types import FloatArray, Size

Place = tuple[float, float]
Box = tuple[float, float, float, float]

# A face's box is the extent of its landmarks x 1.2: what detectors of faces give, and what training cuts out.
BOX_MARGIN = 0.1
OUTER_CORNERS = ("left_eye_upper_outer", "right_eye_upper_outer")


@dataclass(frozen=True)
class Face:
    """The points of one face.

    Attributes:
        places: of each point its pixel index (x, y); None where it is absent or not placed.
        marks: of each point -1 not placed, 0 absent, 1 hidden, 2 seen.
        proposed: points that a model or the mean face placed and nobody has touched yet.
        box: ``(x, y, width, height)`` that a person drew around the face, in continuous pixels.
    """

    places: tuple[Place | None, ...]
    marks: tuple[int, ...]
    proposed: frozenset[int] = frozenset()
    box: Box | None = None

    @classmethod
    def empty(cls, count: int) -> Face:
        """A face without points."""
        return cls((None,) * count, (UNPLACED,) * count)

    @property
    def left(self) -> list[int]:
        """The points that are neither placed nor absent."""
        return [number for number, mark in enumerate(self.marks) if mark == UNPLACED]

    @property
    def bare(self) -> bool:
        """Whether nothing at all was said of this face."""
        return self.box is None and all(mark == UNPLACED for mark in self.marks)

    def placed(self, number: int, place: Place, mark: int = SEEN, *, proposed: bool = False) -> Face:
        """The same face with one point at a place."""
        return self._with(number, place, mark, proposed=proposed)

    def marked(self, number: int, mark: int) -> Face:
        """The same face with one point absent, not placed, or (where it has a place) hidden or seen."""
        if mark in (ABSENT, UNPLACED):
            return self._with(number, None, mark)
        place = self.places[number]
        if place is None:
            raise InputError(f"point {number} has no place yet", remedy="click where it is, then mark it")
        return self._with(number, place, mark)

    def _with(self, number: int, place: Place | None, mark: int, *, proposed: bool = False) -> Face:
        places, marks = list(self.places), list(self.marks)
        places[number], marks[number] = place, mark
        touched = self.proposed | {number} if proposed else self.proposed - {number}
        return replace(self, places=tuple(places), marks=tuple(marks), proposed=touched)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the journal and the page."""
        return {
            "places": self.places,
            "marks": self.marks,
            "proposed": sorted(self.proposed),
            "box": self.box,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Face:
        """A face from such values."""
        places = tuple(None if place is None else (place[0], place[1]) for place in values["places"])
        box = values["box"]
        return cls(places, tuple(values["marks"]), frozenset(values["proposed"]), None if box is None else tuple(box))


def from_annotation(annotation: Annotation) -> Face:
    """The face that a file holds. A box that only repeats the extent of the points is not a drawn one."""
    places = tuple(
        (_plain(x), _plain(y)) if mark > 0 else None
        for (x, y), mark in zip(annotation.points, annotation.visible.tolist(), strict=True)
    )
    face = Face(places, tuple(annotation.visible.tolist()))
    drawn = annotation.box
    if (
        drawn is not None
        and (made := extent(face, annotation.size)) is not None
        and np.allclose(made, drawn, atol=0.02)
    ):
        drawn = None
    return replace(face, box=drawn)


def to_annotation(
    face: Face, image: str, size: Size, skeleton: str, *, finished: bool, other: Mapping[str, Any]
) -> Annotation:
    """What the file will hold. Of an unfinished face, proposals that nobody touched are left out."""
    marks = np.array(face.marks, dtype=np.int64)
    if not finished:
        marks[sorted(face.proposed)] = UNPLACED
    points = np.full((len(marks), 2), np.nan)
    for number in np.flatnonzero(marks > 0).tolist():
        points[number] = face.places[number]
    box = face.box or extent(face, size)
    return Annotation(image, size, points, marks, box, skeleton, finished, dict(other))


def extent(face: Face, size: Size) -> Box | None:
    """The box around the points, grown as detectors draw it, inside the image; None without an extent."""
    given = [place for place in face.places if place is not None]
    if not given:
        return None
    box = clip(pad(around(PIXELS.from_index(given)), BOX_MARGIN), size)
    x1, y1, x2, y2 = (round(float(side), 2) for side in box)
    return (x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)) if x2 > x1 and y2 > y1 else None


def changed(face: Face, action: Mapping[str, Any], size: Size, skeleton: Skeleton) -> Face:
    """The face after an action of the page.

    Args:
        face: as it is.
        action: ``kind`` is ``place`` (``point``, ``at``, optionally ``hidden``), ``mark`` (``point``, ``as``),
            ``clear_last``, ``clear_all``, ``mean`` (``at``: two places) or ``box`` (``at``: two corners, or None).
        size: ``(height, width)`` of the image.
        skeleton: of the face.

    Raises:
        InputError: an action that is none, or a place outside of the image.
    """
    kind = action.get("kind")
    if kind == "place":
        mark = HIDDEN if action.get("hidden") is True else SEEN
        return face.placed(_number(action, face), _pixel(action.get("at"), size), mark)
    if kind == "mark":
        marks = {"absent": ABSENT, "hidden": HIDDEN, "seen": SEEN, "open": UNPLACED}
        if (word := action.get("as")) not in marks:
            raise InputError(f"a point cannot be marked as {shortened(word)}", remedy=f"one of: {', '.join(marks)}")
        return face.marked(_number(action, face), marks[word])
    if kind == "clear_last":
        said = [number for number, mark in enumerate(face.marks) if mark != UNPLACED]
        return face.marked(said[-1], UNPLACED) if said else face
    if kind == "clear_all":
        return Face.empty(len(face.marks))
    if kind == "mean":
        one, other = (_pixel(place, size) for place in _two(action.get("at")))
        return with_mean_face(face, skeleton, one, other, size)
    if kind == "box":
        return replace(face, box=None if action.get("at") is None else _drawn(action["at"], size))
    raise InputError(f"no action of the page: {shortened(kind)}")


def anchors(skeleton: Skeleton) -> tuple[str, str] | None:
    """The two points that place the mean face: the outer corners of the eyes, else the mirrored pair furthest apart."""
    positions = skeleton.positions
    if set(skeleton.names) - set(positions):
        return None
    if set(OUTER_CORNERS) <= set(positions):
        return OUTER_CORNERS
    pairs = [pair for pair in skeleton.mirrored if np.hypot(*_between(positions, pair)) > 0]
    return max(pairs, key=lambda pair: float(np.hypot(*_between(positions, pair))), default=None)


def with_mean_face(face: Face, skeleton: Skeleton, one: Place, other: Place, size: Size) -> Face:
    """Both anchors where they were clicked, and what is not placed yet where the mean face has it.

    The mean face is turned, moved and scaled, never sheared, so that its anchors lie on the clicks.

    Raises:
        InputError: the skeleton has no mean face, or both clicks are one.
    """
    pair = anchors(skeleton)
    if pair is None:
        raise InputError(f"the skeleton {skeleton.name} has no mean face", remedy="give each point a position in it")
    if one == other:
        raise InputError("both clicks are on one pixel", remedy=f"click {pair[0]}, then {pair[1]}")
    names = skeleton.names
    mean = np.array([complex(*skeleton.positions[name]) for name in names])
    first, second = names.index(pair[0]), names.index(pair[1])
    here, there = (complex(*PIXELS.from_index([place])[0]) for place in (one, other))
    moved = here + (mean - mean[first]) * (there - here) / (mean[second] - mean[first])
    face = face.placed(first, one).placed(second, other)
    return with_proposals(face, np.column_stack([moved.real, moved.imag]), size)


def with_proposals(face: Face, points: FloatArray, size: Size) -> Face:
    """What is not placed yet, and what was only proposed, where ``points`` has it.

    Args:
        face: as it is.
        points: ``(N, 2)`` continuous; NaN where nothing is proposed. Places outside are moved to the border.
        size: ``(height, width)`` of the image.
    """
    height, width = size
    pixels = np.clip(np.floor(np.asarray(points, np.float64)), 0, [width - 1, height - 1])
    for number in {*face.left, *face.proposed}:
        if np.isfinite(pixels[number]).all():
            x, y = pixels[number]
            face = face.placed(number, (int(x), int(y)), proposed=True)
    return face


def _between(positions: Mapping[str, Place], pair: tuple[str, str]) -> Place:
    return positions[pair[1]][0] - positions[pair[0]][0], positions[pair[1]][1] - positions[pair[0]][1]


def _number(action: Mapping[str, Any], face: Face) -> int:
    number = action.get("point")
    if type(number) is not int or not 0 <= number < len(face.marks):
        raise InputError(f"no point {shortened(number)}", remedy=f"points are 0 to {len(face.marks) - 1}")
    return number


def _two(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) != 2:
        raise InputError(f"two places are needed, got {shortened(value)}")
    return value


def _pixel(value: Any, size: Size) -> Place:
    """A pixel of the image; whole numbers, for a click is stored as the pixel that it hit."""
    x, y = _two(value)
    height, width = size
    if type(x) is not int or type(y) is not int or not (0 <= x < width and 0 <= y < height):
        raise InputError(
            f"no pixel of the image: {shortened(value)}", remedy=f"x 0 to {width - 1}, y 0 to {height - 1}"
        )
    return x, y


def _drawn(value: Any, size: Size) -> Box:
    """The box between two corners in continuous pixels, inside the image."""
    corners = [_two(corner) for corner in _two(value)]
    if not all(is_number(side) for corner in corners for side in corner):
        raise InputError(f"corners are two pairs of numbers, got {shortened(value)}")
    box = clip(around(corners), size)
    if min(centre_size(box)[1]) < 2:
        raise InputError("the box is smaller than two pixels", remedy="draw it from corner to corner of the face")
    x1, y1, x2, y2 = (round(float(side), 2) for side in box)
    return x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)


def _plain(value: float) -> float:
    return int(value) if float(value).is_integer() else float(value)
