"""Skeletons: which points there are, and what belongs together; a YAML file, and a value in every model's card.

```yaml
name: oss25
classes:                        # objects of several kinds; a point is called CLASS.POINT
  needle:
    id: 5                       # in label files; unique
    points: [end, tip, middle]
    edges: [[end, middle], [middle, tip]]
    colour: gold                # a CSS name or "#rrggbb"
    instances: 2                # at once; their channels are needle.end#1 ... needle.middle#2
    order: id                   # which comes first: by track id, or by x from left to right
mirrored: {scissors.left: scissors.right}   # points that change places in a mirror; the others keep theirs
positions: {needle.tip: [0.5, 0.2]}         # a typical object: fractions of its box, (x, y)
```

One object with parts (a face) has ``groups`` in the place of ``classes``, without ids and instances; its points are
called by their own names. The order of the file is the order of the channels.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kaname.config import find_group, nearest
from kaname.data.formats.files import is_number, read_text
from kaname.errors import InputError
from kaname.files import write_text
from kaname.types import FloatArray
from kaname.yaml12 import parse_yaml, write_yaml

Colour = tuple[int, int, int]
Edge = tuple[str, str]
ORDERS = ("id", "x")
TURNED = 0.02  # of a face's extent by which a pair may lie the wrong way round: in profile it nearly coincides
REMEDY = "correct the skeleton"


@dataclass(frozen=True)
class Group:
    """Points that belong together: a class of objects, or a part of one object.

    Attributes:
        points: their names within the skeleton.
        edges: pairs of them, to be drawn as lines.
        colour: RGB, where it is given.
        id: number of the class in label files; None for a part.
        instances: how many of the class there can be at once.
        order: which instance takes the first channels: the one with the lowest track ``id``, or the leftmost (``x``).
    """

    points: tuple[str, ...]
    edges: tuple[Edge, ...] = ()
    colour: Colour | None = None
    id: int | None = None
    instances: int = 1
    order: Literal["id", "x"] = "id"


@dataclass(frozen=True)
class Slot:
    """The channels of one instance: ``channels[start:stop]``, as long as the group has points."""

    group: str
    instance: int
    start: int
    stop: int


@dataclass(frozen=True)
class Skeleton:
    """Named points with their groups, mirrored pairs and typical places.

    Attributes:
        name: of the skeleton.
        groups: by name, in the order of the channels.
        mirrored: pairs of points that change places when the image is mirrored.
        positions: by point, ``(x, y)`` as fractions of the object's box.

    Raises:
        InputError: a name that appears twice or is unknown, a point in two mirrored pairs, ...; its ``row`` is the key.
    """

    name: str
    groups: Mapping[str, Group]
    mirrored: tuple[Edge, ...] = ()
    positions: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kind = self.kind
        if not self.groups:
            raise _fault(kind, "a skeleton needs points")
        taken: set[Any] = set()
        for name, group in self.groups.items():
            for word in (*group.points, *([] if group.id is None else [group.id])):
                if word in taken:
                    raise _fault(f"{kind}.{name}", f"{word!r} appears twice")
                taken.add(word)
            if group.instances < 1 or group.order not in ORDERS:
                raise _fault(f"{kind}.{name}", "instances must be at least 1, and order id or x")
            for edge in group.edges:
                self._check_names(edge, f"{kind}.{name}.edges", group.points)
        paired: set[str] = set()
        owner = {point: group for group in self.groups.values() for point in group.points}
        for one, other in self.mirrored:
            key = f"mirrored.{one}"
            self._check_names((one, other), key, self.names)
            if one == other or {one, other} & paired:
                raise _fault(key, f"{one!r} and {other!r}: a point has one partner in the mirror, not itself")
            if owner[one].instances != owner[other].instances:
                raise _fault(key, f"{one!r} and {other!r} have different numbers of instances")
            paired |= {one, other}
        for point in self.positions:
            self._check_names((point,), f"positions.{point}", self.names)

    @staticmethod
    def _check_names(points: Sequence[str], key: str, known: Sequence[str]) -> None:
        for point in points:
            if point not in known:
                raise InputError(f"no point is called {point!r}", row=key, remedy=nearest(point, known))

    @property
    def kind(self) -> str:
        """``classes`` of objects, or ``groups`` of one object's points."""
        return "classes" if any(group.id is not None for group in self.groups.values()) else "groups"

    @property
    def names(self) -> tuple[str, ...]:
        """Every point once, however many instances there are."""
        return tuple(point for group in self.groups.values() for point in group.points)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Every instance of every group, in the order of the channels; instances count from 1."""
        slots: list[Slot] = []
        for name, group in self.groups.items():
            for instance in range(1, group.instances + 1):
                start = slots[-1].stop if slots else 0
                slots.append(Slot(name, instance, start, start + len(group.points)))
        return tuple(slots)

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """The points of every slot; where a group has several instances ``POINT#INSTANCE``."""
        return tuple(channel for slot in self.slots for channel in self._channels(slot))

    def _channels(self, slot: Slot) -> list[str]:
        group = self.groups[slot.group]
        ending = f"#{slot.instance}" if group.instances > 1 else ""
        return [f"{point}{ending}" for point in group.points]

    @property
    def edges(self) -> NDArray[np.int64]:
        """``(E, 2)`` channel numbers, of every slot."""
        edges = [
            [slot.start + self.groups[slot.group].points.index(point) for point in edge]
            for slot in self.slots
            for edge in self.groups[slot.group].edges
        ]
        return np.array(edges, dtype=np.int64).reshape(-1, 2)

    @property
    def colours(self) -> dict[str, Colour]:
        """The colour of every channel whose group has one."""
        coloured = [(slot, self.groups[slot.group].colour) for slot in self.slots]
        return {channel: colour for slot, colour in coloured if colour for channel in self._channels(slot)}

    @property
    def permutation(self) -> NDArray[np.int64]:
        """``(C,)``: channel *i* of a mirrored image is channel ``permutation[i]`` of the image; its own inverse."""
        partner = dict([*self.mirrored, *((other, one) for one, other in self.mirrored)])
        channels = self.channels
        place = {channel: number for number, channel in enumerate(channels)}
        order: list[int] = []
        for channel in channels:
            point, mark, instance = channel.rpartition("#") if channel not in self.names else (channel, "", "")
            order.append(place[f"{partner.get(point, point)}{mark}{instance}"])
        return np.array(order, dtype=np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as the YAML file has them; ``order`` keeps that of the groups where JSON sorts its keys."""
        groups: dict[str, dict[str, Any]] = {}
        for name, group in self.groups.items():
            prefix = "" if group.id is None else f"{name}."
            short = {point: point.removeprefix(prefix) for point in group.points}
            entry: dict[str, Any] = {} if group.id is None else {"id": group.id}
            entry["points"] = list(short.values())
            if group.edges:
                entry["edges"] = [[short[point] for point in edge] for edge in group.edges]
            if group.colour:
                entry["colour"] = "#{:02x}{:02x}{:02x}".format(*group.colour)
            if group.instances > 1:
                entry |= {"instances": group.instances, "order": group.order}
            groups[name] = entry
        more: dict[str, Any] = {
            "mirrored": dict(self.mirrored),
            "positions": {name: list(xy) for name, xy in self.positions.items()},
            "order": list(groups) if list(groups) != sorted(groups) else [],
        }
        return {"name": self.name, self.kind: groups, **{key: value for key, value in more.items() if value}}

    @classmethod
    def from_dict(cls, content: Any) -> Skeleton:
        """A skeleton from such values.

        Raises:
            InputError: whatever is wrong; its ``row`` is the key (``classes.needle.points``).
        """
        known = {
            "name": str,
            "classes": dict,
            "groups": dict,
            "mirrored": (dict, list),
            "positions": dict,
            "order": list,
        }
        top = _fields(content, "", known)
        if ("classes" in top) == ("groups" in top) or "name" not in top:
            raise _fault("", "a skeleton has a name, and either classes or groups")
        kind = "classes" if "classes" in top else "groups"
        order = top.get("order", list(top[kind]))
        if len(order) != len(top[kind]) or set(map(str, order)) != set(top[kind]):
            raise _fault("order", f"order must name each of the {kind} once")
        positions: dict[str, tuple[float, float]] = {}
        for point, xy in top.get("positions", {}).items():
            if not isinstance(xy, list) or len(xy) != 2 or not all(map(is_number, xy)):
                raise _fault(f"positions.{point}", f"a position is [x, y], got {xy!r}")
            positions[point] = (float(xy[0]), float(xy[1]))
        return cls(
            name=top["name"],
            groups={name: _group(name, top[kind][name], kind) for name in order},
            mirrored=_pairs(top.get("mirrored", {})),
            positions=positions,
        )


def read(path: Path) -> Skeleton:
    """The skeleton of a YAML file.

    Raises:
        InputError: whatever is wrong, with the line.
    """
    lines: dict[str, int] = {}
    content = parse_yaml(read_text(path), path=path, lines=lines)
    try:
        return Skeleton.from_dict(content)
    except InputError as error:
        row = str(error.row)
        while row not in lines and "." in row:  # the line of the nearest key above
            row = row.rpartition(".")[0]
        raise InputError(error.reason, path=path, row=lines.get(row), remedy=error.remedy) from error


def find(name: str) -> Skeleton:
    """The skeleton of a YAML file, or the one of this name in ``configs/skeleton``.

    Raises:
        InputError: there is none, with the names there are, or whatever is wrong with the file.
    """
    path = find_group("skeleton", name)
    if not path.is_file():
        return read(path)
    facts = path.stat()
    return _kept(path, facts.st_mtime_ns, facts.st_size)


def swapped_pairs(points: FloatArray, skeleton: Skeleton) -> list[tuple[str, str]]:
    """The flip pairs whose points lie the wrong way round: what is called left lies on the right.

    The pairs of a face agree on where its right is, also where the head is tilted; a pair that points against the
    others is swapped, and where the others point to the left of the image, all are. ``points`` is ``(N, 2)``.
    """
    place = {name: number for number, name in enumerate(skeleton.names)}
    given = [_left_first(pair) for pair in skeleton.mirrored]
    pairs = [pair for pair in given if np.isfinite(points[[place[name] for name in pair]]).all()]
    if not pairs:
        return []
    ways = np.array([points[place[right]] - points[place[left]] for left, right in pairs])
    mean = ways.mean(axis=0)
    least = -TURNED * np.nanmax(np.nanmax(points, axis=0) - np.nanmin(points, axis=0))
    along = ways @ mean / max(float(np.linalg.norm(mean)), 1e-9) if mean[0] >= 0 else ways[:, 0]
    against = along < least
    return [pair for pair, wrong in zip(pairs, against, strict=True) if wrong]


def write(path: Path, skeleton: Skeleton) -> None:
    """Write the YAML file; under its final name it is whole or not there."""
    write_text(path, write_yaml(skeleton.to_dict()))


@functools.lru_cache(maxsize=16)
def _kept(path: Path, _changed: int, _size: int) -> Skeleton:
    """The skeleton of a file as it was at this time: every face of a folder asks for it."""
    return read(path)


def _pairs(given: Any) -> tuple[Edge, ...]:
    """Pairs of points from ``{one: other}`` or ``[[one, other], ...]``."""
    if isinstance(given, dict):
        return tuple((one, str(other)) for one, other in given.items())
    for pair in given:
        if not isinstance(pair, list) or len(pair) != 2:
            raise _fault("mirrored", f"a pair is two points, as in {{left: right}} or [[left, right]], got {pair!r}")
    return tuple((str(one), str(other)) for one, other in given)


def _group(name: str, content: Any, kind: str) -> Group:
    key = f"{kind}.{name}"
    known: dict[str, type] = {"points": list, "edges": list, "colour": str}
    if kind == "classes":
        known |= {"id": int, "instances": int, "order": str}
    entry = _fields(content, key, known)
    if kind == "classes" and "id" not in entry:
        raise _fault(key, "a class needs an id")
    prefix = f"{name}." if kind == "classes" else ""
    points = entry.get("points", [])
    if not points or not all(isinstance(point, str) and point for point in points):
        raise _fault(f"{key}.points", "points must be a list of names")
    edges = entry.get("edges", [])
    if not all(isinstance(edge, list) and len(edge) == 2 for edge in edges):
        raise _fault(f"{key}.edges", "an edge is a pair of points")
    return Group(
        points=tuple(f"{prefix}{point}" for point in points),
        edges=tuple((f"{prefix}{one}", f"{prefix}{other}") for one, other in edges),
        colour=_colour(entry["colour"], f"{key}.colour") if "colour" in entry else None,
        id=entry.get("id"),
        instances=entry.get("instances", 1),
        order=entry.get("order", "id"),
    )


def _fields(content: Any, key: str, known: Mapping[str, type | tuple[type, ...]]) -> dict[str, Any]:
    """A mapping whose keys are known and whose values have these types."""
    if not isinstance(content, dict):
        raise _fault(key, f"{key or 'a skeleton'} must be a mapping of names to values")
    for name, value in content.items():
        place = f"{key}.{name}" if key else str(name)
        if name not in known:
            raise InputError(f"unknown key {name!r}", row=place, remedy=nearest(str(name), list(known)))
        given = known[name]
        kinds = given if isinstance(given, tuple) else (given,)
        if type(value) not in kinds:
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise _fault(place, f"{name} must be of type {wanted}, got {value!r:.60}")
    return content


def _colour(text: str, key: str) -> Colour:
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError as error:
        raise InputError(f"unknown colour {text!r}", row=key, remedy='write a name ("magenta") or "#rrggbb"') from error
    return red, green, blue


def _fault(key: str, reason: str) -> InputError:
    return InputError(reason, row=key or None, remedy=REMEDY)


def _left_first(pair: tuple[str, str]) -> tuple[str, str]:
    """A flip pair with the left one first: by their names where these say so, else as the skeleton has it."""
    one, other = pair
    words = [set(re.split(r"[\W_]+", name.lower())) for name in pair]
    return (other, one) if "right" in words[0] and "left" in words[1] else (one, other)
