"""One image of a CVAT file on its way to a ``Sample``, and everything that can be wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree
from xml.parsers.expat import ExpatError

import numpy as np

from kaname.data.formats.faces import DEFAULT_SKELETON
from kaname.data.formats.files import Folder, is_number, read_text, shortened, size_remedy, tails
from kaname.data.formats.skeleton import Skeleton, find
from kaname.errors import InputError
from kaname.geometry.image import image_size
from kaname.types import FloatArray, Sample, Size

Value = TypeVar("Value")
Placed = tuple[tuple[float, float], int]  # a place and its visibility
REMEDY = 'export the task from CVAT as "CVAT for images 1.1"'
MISSING = ((np.nan, np.nan), 0)


@dataclass
class Instance:
    """Points that belong together, and their box."""

    label: str
    group: str = ""
    points: dict[str, Placed] = field(default_factory=dict)
    box: tuple[float, ...] | None = None


class _NoEntities(ElementTree.TreeBuilder):
    """Refuses a document type, the only place where entities can be defined: a small file could become gigabytes."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise InputError("it declares a document type, which label files never do", remedy=REMEDY)


def parse(path: Path) -> ElementTree.Element:
    """The top element of a CVAT file.

    Raises:
        InputError: no such file, not UTF-8, not XML (with the line), a document type, or another kind of XML.
    """
    text = read_text(path)
    parser = ElementTree.XMLParser(target=_NoEntities())
    try:
        parser.feed(text)
        root = parser.close()
    except InputError as error:
        raise InputError(error.reason, path=path, remedy=error.remedy) from error
    except (ElementTree.ParseError, ExpatError) as error:
        reason = f"not XML: {str(error).partition(':')[0]}" if text.strip() else "the file is empty"
        raise InputError(reason, path=path, row=getattr(error, "position", (1, 0))[0], remedy=REMEDY) from error
    except (ValueError, RecursionError) as error:
        raise InputError("not a label file", path=path, remedy=REMEDY) from error
    if root.tag != "annotations":
        raise InputError(f"not a CVAT file: its top element is <{root.tag}>", path=path, remedy=REMEDY)
    if root.find("track") is not None:
        reason = "tracks of a video, not shapes of images"
        raise InputError(reason, path=path, remedy='export it as "CVAT for images 1.1"')
    return root


class ImageReader:
    """One image of a file.

    Attributes:
        name: as the file has it.
        image: its file.
        faults: everything that is wrong with it.
    """

    def __init__(
        self,
        path: Path,
        element: ElementTree.Element,
        position: int,
        folder: Folder | None,
        skeleton: Skeleton | None,
    ) -> None:
        self.path, self.element, self.folder = path, element, folder
        self.skeleton = skeleton or find(DEFAULT_SKELETON)
        self.name = element.get("name") or ""
        self.row = f"image {self.name or f'at position {position}'}"
        self.faults: list[InputError] = []
        self.image = self._noted(self._image)

    def fault(self, reason: str, remedy: str = REMEDY) -> InputError:
        """An error about this image."""
        return InputError(reason, path=self.path, row=self.row, remedy=remedy)

    def sample(self) -> Sample | None:
        """The sample, to be trusted only without faults."""
        image = self.image
        size = None if image is None else self._noted(self._size, image)
        faces: list[Instance] = []
        loose: dict[str, list[Placed]] = {}
        boxes: list[Instance] = []
        ignored: Counter[str] = Counter()
        for shape in self.element:
            if shape.tag == "skeleton":
                faces += filter(None, [self._noted(self._skeleton, shape)])
            elif shape.tag == "points":
                self._noted(self._points, shape, faces, loose)
            elif shape.tag == "box":
                boxes += filter(None, [self._noted(self._box, shape)])
            else:
                ignored[shape.tag] += 1
        if self.faults or image is None:
            return None
        return self._noted(self._joined, image, size, _grouped(faces), loose, boxes, ignored)

    def _noted(self, step: Callable[..., Value], *values: Any) -> Value | None:
        """What a step gives; None where something is wrong, which is noted."""
        try:
            return step(*values)
        except InputError as error:
            self.faults.append(error)
            return None

    def _image(self) -> Path:
        if not self.name.strip():
            raise self.fault("an image without a name")
        found = Path(self.name) if self.folder is None else self.folder.find(tails(self.name))
        if found is None:
            assert self.folder is not None
            raise self.fault(f"{self.name!r} is missing", f"it is not in {self.folder.path}")
        return found

    def _size(self, image: Path) -> Size:
        stated = self.element.get("height", ""), self.element.get("width", "")
        if not all(side.isdecimal() and 0 < int(side) < 10**7 for side in stated):
            raise self.fault(f"not a size: width {stated[1]!r}, height {stated[0]!r}")
        size = int(stated[0]), int(stated[1])
        if self.folder is None:
            return size
        try:
            true = image_size(image)
        except InputError as error:
            raise self.fault(f"{self.name!r}: {error.reason}", error.remedy or REMEDY) from error
        if true != size:
            reason = f"{self.name!r} has {true[1]} x {true[0]} pixels, the file says {size[1]} x {size[0]}"
            raise self.fault(reason, size_remedy(image, size, true))
        return size

    def _skeleton(self, shape: ElementTree.Element) -> Instance:
        face = Instance(self._label(shape), shape.get("group_id") or "")
        for part in shape.iter("points"):
            name, places = self._label(part), self._places(part)
            if name in face.points:
                raise self.fault(f"the point {name!r} comes twice in a skeleton", "keep one of them")
            if len(places) != 1:
                raise self.fault(f"the point {name!r} of a skeleton has {len(places)} places", "it has one")
            face.points[name] = MISSING if part.get("outside") == "1" else places[0]
        return face

    def _points(self, shape: ElementTree.Element, faces: list[Instance], loose: dict[str, list[Placed]]) -> None:
        """A whole face in one shape, a named point of a group, or points of one name."""
        label, places, group = self._label(shape), self._places(shape), shape.get("group_id") or ""
        names = self.skeleton.names
        if len(places) == len(names) > 1 and label not in names:
            faces.append(Instance(label, group, dict(zip(names, places, strict=True))))
        elif label == self.skeleton.name:
            reason = f"a face of {len(places)} points in one shape, but {label!r} has {len(names)}"
            raise self.fault(reason, "place the points that are missing, or label each point by its name")
        elif group not in ("", "0") and len(places) == 1:
            faces.append(Instance("", group, {label: MISSING if shape.get("outside") == "1" else places[0]}))
        elif shape.get("outside") == "1":
            loose.setdefault(label, []).append(MISSING)
        else:
            loose.setdefault(label, []).extend(places)

    def _box(self, shape: ElementTree.Element) -> Instance:
        corners = [self._number(shape.get(key)) for key in ("xtl", "ytl", "xbr", "ybr")]
        if corners[2] < corners[0] or corners[3] < corners[1]:
            raise self.fault(f"a box from ({corners[0]:g}, {corners[1]:g}) back to ({corners[2]:g}, {corners[3]:g})")
        if self._number(shape.get("rotation", "0")) % 360:
            raise self.fault(f"a box is rotated by {shape.get('rotation')} degrees", "draw it upright")
        return Instance(self._label(shape), shape.get("group_id") or "", box=tuple(corners))

    def _label(self, shape: ElementTree.Element) -> str:
        label = shape.get("label")
        if not label:
            raise self.fault(f"a shape <{shape.tag}> without a label")
        return label

    def _places(self, shape: ElementTree.Element) -> list[Placed]:
        text = shape.get("points", "")
        pairs = [pair.split(",") for pair in text.split(";")]
        if not all(len(pair) == 2 for pair in pairs):
            raise self.fault(f"points must be x,y;x,y;..., got {shortened(text)}")
        seen = 1 if shape.get("occluded") == "1" else 2
        return [((self._number(x), self._number(y)), seen) for x, y in pairs]

    def _number(self, text: str | None) -> float:
        try:
            number = float(text or "")
        except ValueError:
            number = np.nan
        if not is_number(number):
            raise self.fault(f"not a coordinate: {shortened(text)}")
        return number

    def _joined(
        self,
        image: Path,
        size: Size,
        faces: list[Instance],
        loose: dict[str, list[Placed]],
        boxes: list[Instance],
        ignored: Counter[str],
    ) -> Sample:
        """The sample of all shapes: rows of faces, or sets of points."""
        single = {name: places[0] for name, places in loose.items() if len(places) == 1}
        meta: dict[str, Any] = {"ignored": dict(ignored), "file": self.name}
        meta["attributes"] = sum(1 for _ in self.element.iter("attribute"))
        if faces and len(single) < len(loose):
            name = next(name for name in loose if name not in single)
            raise self.fault(f"{len(loose[name])} points {name!r} beside whole faces", "group the points of each face")
        one_face = len(single) == len(loose) and len(boxes) <= 1
        if not faces and loose and not one_face:  # sets
            return _sets(image, size, loose, boxes, meta)
        if single:
            faces = [*faces, Instance("", "", single)]
        rows = _with_boxes(faces, boxes)
        names = list(dict.fromkeys(name for face in rows for name in face.points))
        drawn = [face.box is not None for face in rows]
        if len(rows) > 1:
            for face in rows:
                face.box = face.box or _extent(face)
        meta["parents"] = {name: list(range(len(rows))) for name in names}
        meta["skeleton"] = rows[0].label or None if rows else None
        has_boxes = bool(rows) and rows[0].box is not None
        meta["label"] = None if has_boxes else meta["skeleton"]
        if has_boxes and not all(drawn):
            meta["extents"] = [number for number, given in enumerate(drawn, 1) if not given]
        return Sample(
            image=image,
            points={name: np.array([face.points.get(name, MISSING)[0] for face in rows]) for name in names},
            visible={
                name: np.array([face.points.get(name, MISSING)[1] for face in rows], dtype=np.int64) for name in names
            },
            size=size,
            boxes=np.array([face.box for face in rows], np.float64).reshape(-1, 4) if has_boxes else np.zeros((0, 4)),
            polygons=[[] for _ in rows] if has_boxes else [],
            ids=list(range(1, len(rows) + 1)) if has_boxes else [],
            labels=[face.label or "object" for face in rows] if has_boxes else [],
            meta=meta,
        )


def _grouped(faces: Sequence[Instance]) -> list[Instance]:
    """Faces, with the single points of a group joined into one."""
    joined: list[Instance] = []
    for face in faces:
        known = next((one for one in joined if face.group not in ("", "0") and one.group == face.group), None)
        if known is None or face.points.keys() & known.points.keys():
            joined.append(Instance(face.label, face.group, dict(face.points)))
        else:
            known.points.update(face.points)
            known.label = known.label or face.label
    return joined


def _with_boxes(faces: Sequence[Instance], boxes: Sequence[Instance]) -> list[Instance]:
    """Each face with its box: the one of its group, else the smallest free one that holds most of its points.

    A box without a face is a row of its own.
    """
    free = list(boxes)
    for face in faces:
        mine = next((box for box in free if face.group not in ("", "0") and box.group == face.group), None)
        if mine is not None:
            free.remove(mine)
            face.box, face.label = mine.box, face.label or mine.label
    for face in faces:
        lonely = [box for box in free if box.group in ("", "0")]
        if face.box is None and lonely:
            best = max(lonely, key=lambda box: (_held(face, box), -_area(box)))
            if _held(face, best) or (len(faces) == len(boxes) == 1):
                free.remove(best)
                face.box, face.label = best.box, face.label or best.label
    return [*faces, *free]


def _held(face: Instance, box: Instance) -> int:
    assert box.box is not None
    x1, y1, x2, y2 = box.box
    return sum(x1 <= x <= x2 and y1 <= y <= y2 for (x, y), seen in face.points.values() if seen)


def _area(box: Instance) -> float:
    assert box.box is not None
    x1, y1, x2, y2 = box.box
    return (x2 - x1) * (y2 - y1)


def _extent(face: Instance) -> tuple[float, ...]:
    """The box around a face's points."""
    xy: FloatArray = np.array([place for place, seen in face.points.values() if seen] or [(0.0, 0.0)])
    return (*xy.min(axis=0).tolist(), *xy.max(axis=0).tolist())


def _sets(
    image: Path, size: Size, loose: dict[str, list[Placed]], boxes: list[Instance], meta: dict[str, Any]
) -> Sample:
    there = {name: [one for one in places if one[1]] for name, places in loose.items()}
    return Sample(
        image=image,
        points={name: np.array([xy for xy, _ in places]).reshape(-1, 2) for name, places in there.items()},
        visible={name: np.array([seen for _, seen in places], dtype=np.int64) for name, places in there.items()},
        size=size,
        boxes=np.array([box.box for box in boxes], np.float64).reshape(-1, 4),
        polygons=[[] for _ in boxes],
        labels=[box.label for box in boxes],
        meta=meta,
    )
