"""COCO's annotation files: boxes, polygons and key points of instances (cocodataset.org/#format-data).

Boxes and polygons are continuous coordinates. Key points are pixel indices, which ``PIXELS`` turns into the
centres of their pixels. ``problems`` lists everything that is wrong with a file; ``read`` raises the first problem.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kaname.data.formats.coco_masks import polygons_of, with_arrays, wrong_shape
from kaname.data.formats.coco_writing import attributes_of, document, edges_of, is_extent
from kaname.data.formats.files import (
    Folder,
    are_numbers,
    faults,
    image_size,
    is_number,
    read_json,
    shortened,
    size_remedy,
    sound,
    tails,
    write_json,
)
from kaname.data.formats.listed import read_listed
from kaname.data.formats.partners import RIVAL, Entry, rivals, wanted
from kaname.data.formats.skeleton import Skeleton
from kaname.data.formats.units import doubted, fault_of
from kaname.errors import InputError
from kaname.geometry.grid import PIXELS
from kaname.types import FloatArray, Sample, Size

TO_CORNERS = np.array([[1.0, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1]])  # rows of x, y, width, height
KeyPoints = Literal["index", "continuous"]
_REMEDY = "export the data set again in COCO's format"


def read(
    path: str | PathLike[str],
    images: str | PathLike[str] | None = None,
    category: str | int | None = None,
    *,
    only: Collection[Path] | None = None,
    keypoints: KeyPoints = "index",
) -> list[Sample]:
    """The images of a COCO file, in its order, each with its instances.

    Args:
        path: the JSON file.
        images: the folder of the images; every one must be there. Without it the file's names are kept.
        category: take only the instances of the category of this name, or of this ``category_id``.
        only: take only the images that are these files; the others need not be there.
        keypoints: what the file's key points are: pixel indices, as COCO itself has them (and this module writes), or
            continuous pixels, as tools write that multiply shares by the image's size (Label Studio's converter).

    Returns:
        A sample for every image, also for one without instances. ``boxes`` (M, 4), ``labels``, ``ids`` and
        ``polygons`` have one entry per instance; ``points[name]`` (M, 2) and ``visible[name]`` (M,) have one row per
        instance (0 missing with NaN, 1 hidden, 2 visible), for the key point names of the categories present.
        ``meta``: ``image_id``, ``areas`` (by instance id, crowds too, where the file has them), ``rle`` (instance id to
        the run-length encoding of an instance whose mask is not a polygon), ``crowd`` (the number of crowd instances,
        which are left out above), ``crowds`` (their masks as the file has them: polygons or an encoding;
        `kaname.data.formats.coco_masks` makes shapes of them), ``crowd_ids`` and
        ``attributes`` (how many nothing here holds).

    Raises:
        InputError: the first of ``problems``.
    """
    return sound(walk(Path(path), images, category, only, keypoints=keypoints))


def problems(
    path: str | PathLike[str],
    images: str | PathLike[str] | None = None,
    category: str | int | None = None,
) -> list[InputError]:
    """Everything that is wrong with a COCO file; takes the arguments of ``read``."""
    return faults(walk(Path(path), images, category))


def entries(
    path: Path, category: str | int | None = None, images: Path | None = None
) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """The images of a file in its order, each with its instances, crowds included, as the file has them, but checked.

    Args:
        images: the folder of the images, of which those are measured whose size the file does not state.

    Raises:
        InputError: the first of ``problems``, those of image files apart; or an image without a size.
    """
    reader = _Reader(path, read_json(path), category)
    instances, wrong = reader.instances()
    if wrong:
        raise wrong[0]
    folder = None if images is None else Folder(images)
    for entry in reader.images.values():
        size = _stated(entry)
        if instances.get(entry["id"]) and size is None:
            image = folder and folder.find(tails(entry["file_name"]))
            if image is None:
                raise reader.fault("image", entry["id"], "it has no width and height", "write them into the file")
            size = image_size(image)
        if size is not None:
            entry["height"], entry["width"] = size
    if wrong_unit := fault_of(_bare(reader.images.values(), instances), path, "index"):
        raise wrong_unit
    return [(entry, instances.get(entry["id"], [])) for entry in reader.images.values()]


def labels_of(content: Any) -> Counter[str]:
    """How many instances of each category the content of a file has; of what is no COCO none."""
    tables = [content.get(name) if isinstance(content, dict) else None for name in ("categories", "annotations")]
    if not all(isinstance(table, list) for table in tables):
        return Counter()
    categories, annotations = tables
    named = {one.get("id"): one.get("name") for one in categories or () if _has_id(one)}
    found = [one.get("category_id") for one in annotations or () if _has_id(one)]
    return Counter(str(named[number]) for number in found if isinstance(number, (int, str)) and number in named)


def write(
    path: str | PathLike[str],
    samples: Sequence[Sample],
    *,
    root: Path | None = None,
    skeleton: Skeleton | None = None,
) -> None:
    """Write samples as a COCO file; the same samples give the same bytes.

    Categories are the labels (``object`` where there is none), numbered as in the COCO file that they come from, else
    in order of appearance, with the names of their points as key points and the edges of that file, or of ``skeleton``.
    A sample with points and no box is one instance whose box is the extent of its points.
    ``root`` is the folder of the images: the file names them by their paths in it.

    Raises:
        InputError: a name with another number of points than the sample has boxes (COCO holds one per box), a box
            that is not finite, or two images of one name.
    """
    path = Path(path)
    write_json(path, document(samples, path, root, skeleton), tables=True)


def walk(
    path: Path,
    images: str | PathLike[str] | None,
    category: str | int | None,
    only: Collection[Path] | None = None,
    *,
    keypoints: KeyPoints = "index",
) -> Iterator[Sample | InputError]:
    """Every image's sample, or what is wrong; no samples if any annotation is wrong. The arguments are ``read``'s."""
    return doubted(_walk(path, images, category, only, keypoints), path, keypoints)


def _walk(
    path: Path,
    images: str | PathLike[str] | None,
    category: str | int | None,
    only: Collection[Path] | None,
    keypoints: KeyPoints,
) -> Iterator[Sample | InputError]:
    try:
        data = read_listed(path, "annotations", with_arrays)
        folder = None if images is None else Folder(Path(images))
        reader = _Reader(path, data, category, keypoints)
    except InputError as error:
        yield error
        return
    instances, wrong = reader.instances()
    yield from wrong
    files = None if only is None else {file.resolve() for file in only}
    named, unclear = _located(reader, folder)
    others = {} if folder is None else rivals(named, folder)
    seen: dict[str, Any] = {}
    for number, entry in enumerate(reader.images.values()):
        name, image, rival = entry["file_name"], named[number].image, others.get(number)
        if not wanted(named[number], rival, files):
            continue
        if name in seen:
            yield reader.fault("image", entry["id"], f"{name!r} also belongs to image {seen[name]}", "keep one of them")
        elif number in unclear:
            yield reader.fault("image", entry["id"], unclear[number].reason, unclear[number].remedy)
        elif rival is not None:
            yield reader.fault("image", entry["id"], rival.reason, RIVAL)
        elif image is None:
            remedy = None if folder is None else f"it is not in {folder.path}"
            yield reader.fault("image", entry["id"], f"{name!r} is missing", remedy)
        elif folder is not None and (reason := _other_size(image, entry)):
            remedy = size_remedy(image, (entry["height"], entry["width"]), image_size(image))
            yield reader.fault("image", entry["id"], reason, remedy)
        elif not wrong:
            yield reader.sample(image, entry, instances.get(entry["id"], []))
        seen.setdefault(name, entry["id"])


def _located(reader: _Reader, folder: Folder | None) -> tuple[list[Entry], dict[int, InputError]]:
    """The images of a file with the files found for them, and by number those for which several may be meant."""
    named: list[Entry] = []
    unclear: dict[int, InputError] = {}
    for number, entry in enumerate(reader.images.values()):
        name, image = entry["file_name"], None
        try:
            image = Path(name) if folder is None else folder.find(tails(name))
        except InputError as error:
            unclear[number] = error
        named.append(Entry(f"image {entry['id']}", name, image))
    return named, unclear


class _Reader:
    """A COCO file's tables, checked."""

    def __init__(self, path: Path, data: Any, category: str | int | None, keypoints: KeyPoints = "index") -> None:
        self.path, self.keypoints = path, keypoints
        if not isinstance(data, dict):
            raise InputError("not a COCO file: no object at the top", path=path, remedy=_REMEDY)
        tables: dict[str, list[Any]] = {}
        for name in ("images", "annotations", "categories"):
            table = data.get(name)
            if not isinstance(table, list):
                raise InputError(f"not a COCO file: it has no list of {name}", path=path, remedy=_REMEDY)
            tables[name] = table
        self.categories = self._by_id(tables["categories"], "category", "name")
        self.images = self._by_id(tables["images"], "image", "file_name")
        self.annotations = tables["annotations"]
        for number, entry in self.categories.items():
            names = entry.get("keypoints") or []
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise self.fault("category", number, f"its keypoints must be a list of names, got {shortened(names)}")
            if twice := [name for name, count in Counter(names).items() if count > 1]:
                raise self.fault("category", number, f"its keypoints name {twice[0]!r} twice", "give each another name")
        named = {number: entry["name"] for number, entry in self.categories.items()}
        self.wanted = {n for n, name in named.items() if category is None or str(category) in (str(n), name)}
        if category is not None and not self.wanted:
            known = ", ".join(f"{number} {name}" for number, name in named.items())
            raise InputError(f"no category {category!r}", path=path, remedy=f"it has: {known or 'none'}")

    def fault(self, kind: str, number: Any, reason: str, remedy: str | None = None) -> InputError:
        return InputError(reason, path=self.path, row=f"{kind} {number}", remedy=remedy or _REMEDY)

    def _by_id(self, table: list[Any], kind: str, name: str) -> dict[Any, dict[str, Any]]:
        entries: dict[Any, dict[str, Any]] = {}
        for position, entry in enumerate(table, start=1):
            if not _has_id(entry):
                raise InputError(f"{kind} at position {position} has no id", path=self.path, remedy=_REMEDY)
            if not isinstance(entry.get(name), str) or not entry[name]:
                raise self.fault(kind, entry["id"], f"it has no {name}")
            if entry["id"] in entries:
                raise self.fault(kind, entry["id"], f"duplicate {kind} id")
            entries[entry["id"]] = entry
        return entries

    def instances(self) -> tuple[dict[Any, list[dict[str, Any]]], list[InputError]]:
        """The instances wanted, by image, and what is wrong with any."""
        instances: dict[Any, list[dict[str, Any]]] = {}
        wrong: list[InputError] = []
        seen: set[Any] = set()
        for position, entry in enumerate(self.annotations, start=1):
            if not _has_id(entry):
                wrong.append(self.fault("annotation at position", position, "it has no id"))
                continue
            reason = "duplicate annotation id" if entry["id"] in seen else self._wrong(entry)
            seen.add(entry["id"])
            if reason is not None:
                wrong.append(self.fault("annotation", entry["id"], reason))
            elif entry["category_id"] in self.wanted:
                instances.setdefault(entry["image_id"], []).append(entry)
        return instances, wrong

    def _wrong(self, entry: dict[str, Any]) -> str | None:
        """What is wrong with one annotation."""
        for key, table in (("image", self.images), ("category", self.categories)):
            number = entry.get(f"{key}_id")
            if isinstance(number, (int, str)) and number not in table:  # some programs write 7 here and "7" there
                other = int(number) if isinstance(number, str) and number.isdecimal() else str(number)
                number = entry[f"{key}_id"] = other if other in table else number
            if not isinstance(number, (int, str)) or number not in table:
                return f"its {key} {number!r} is not in the list of {'images' if key == 'image' else 'categories'}"
        if entry.get("iscrowd") not in (None, 0, 1):
            return f"its iscrowd must be 0 or 1, got {shortened(entry['iscrowd'])}"
        box: Any = entry.get("bbox")
        if are_numbers(box) and len(box) in (5, 8):
            return f"its bbox is rotated ({len(box)} numbers): boxes are upright, x, y, width, height"
        if not are_numbers(box) or len(box) != 4:
            return f"its bbox must be four numbers (x, y, width, height), got {shortened(box)}"
        if box[2] < 0 or box[3] < 0:
            return f"its bbox has a negative size: {box[2]:g} x {box[3]:g}"
        attributes = entry.get("attributes")
        turned = attributes.get("rotation") if isinstance(attributes, dict) else entry.get("rotation")
        if isinstance(turned, (int, float)) and is_number(turned) and turned % 360:
            return f"its bbox is rotated by {turned:g} degrees (CVAT's attribute): boxes are upright"
        if reason := wrong_shape(entry, _stated(self.images[entry["image_id"]])):
            return reason
        names = self._names(entry)
        points: Any = entry.get("keypoints")
        if points is None or (not names and points == []):
            return None
        if not are_numbers(points) or len(points) != 3 * len(names):
            count = f"{len(points)} numbers" if isinstance(points, list) else shortened(points)
            return f"its keypoints must be x, y, v for each of its category's {len(names)} names, got {count}"
        if any(value not in (0, 1, 2) for value in points[2::3]):
            return "the visibility of a key point must be 0, 1 or 2"
        for name, x, y, seen in zip(names, points[::3], points[1::3], points[2::3], strict=True):
            if x == y == 0 and seen > 0 and max(box[:2]) > 1:  # outside its box
                return f"its key point {name!r} has visibility {seen} at (0, 0), which tools write where there is none"
        return None

    def _names(self, entry: dict[str, Any]) -> list[str]:
        """The key point names of an instance's category."""
        return list(self.categories[entry["category_id"]].get("keypoints") or ())

    def sample(self, image: Path, entry: dict[str, Any], instances: list[dict[str, Any]]) -> Sample:
        """One image with its instances."""
        single = [one for one in instances if not one.get("iscrowd")]
        boxes = np.array([one["bbox"] for one in single], dtype=np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        shapes = [one.get("segmentation") for one in single]
        points, visible = self._points(single)
        return Sample(
            image=image,
            points=points,
            visible=visible,
            size=_stated(entry),
            boxes=boxes,
            polygons=[polygons_of(shape) for shape in shapes],
            ids=[one["id"] for one in single],
            labels=[self.categories[one["category_id"]]["name"] for one in single],
            meta={
                "image_id": entry["id"],
                "file": entry["file_name"],
                "crowd": len(instances) - len(single),
                "crowds": [one.get("segmentation") for one in instances if one.get("iscrowd")],
                "areas": {one["id"]: one["area"] for one in instances if is_number(one.get("area"))},
                "crowd_ids": [one["id"] for one in instances if one.get("iscrowd")],
                "categories": {own["name"]: number for number, own in self.categories.items()},
                "skeletons": {own["name"]: edges for own in self.categories.values() if (edges := edges_of(own))},
                "extents": [one["id"] for one in single if is_extent(one)],
                "attributes": sum(map(attributes_of, instances)),
                "rle": {one["id"]: shape for one, shape in zip(single, shapes, strict=True) if isinstance(shape, dict)},
            },
        )

    def _points(self, single: list[dict[str, Any]]) -> tuple[dict[str, FloatArray], dict[str, np.ndarray]]:
        """For each name a row per instance, (M, 2) and (M,)."""
        names = dict.fromkeys(name for one in single for name in self._names(one))
        points = {name: np.full((len(single), 2), np.nan) for name in names}
        visible = {name: np.zeros(len(single), dtype=np.int64) for name in names}
        for row, one in enumerate(single):
            if not one.get("keypoints"):
                continue  # an instance need not have its category's key points
            values = np.array(one["keypoints"], dtype=np.float64).reshape(-1, 3)
            for name, (x, y, seen) in zip(self._names(one), values, strict=True):
                if seen > 0:
                    points[name][row], visible[name][row] = (x, y), int(seen)
        if self.keypoints == "index":
            points = {name: PIXELS.from_index(xy) for name, xy in points.items()}
        return points, visible


def _other_size(image: Path, entry: dict[str, Any]) -> str | None:
    """What is wrong where the image does not have the size that the file states."""
    stated: tuple[Any, Any] = (entry.get("height"), entry.get("width"))
    try:
        true = image_size(image)
    except InputError:  # whoever reads the image says why it cannot be read
        return None
    if not all(is_number(side) and side > 0 for side in stated) or true == stated:  # 0: unknown
        return None
    return f"{image.name!r} has {true[1]} x {true[0]} pixels, the file says {stated[1]} x {stated[0]}"


def _stated(entry: dict[str, Any]) -> Size | None:
    """The size of an image that the file states."""
    sides: list[Any] = [entry.get("height"), entry.get("width")]
    known = all(is_number(side) and side > 0 and side == int(side) for side in sides)  # 0: unknown
    return (int(sides[0]), int(sides[1])) if known else None


def _has_id(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("id"), (int, str))


def _bare(images: Iterable[dict[str, Any]], instances: Mapping[Any, list[dict[str, Any]]]) -> list[Sample]:
    """The boxes alone of each image."""
    known = [(entry, [one["bbox"] for one in instances.get(entry["id"], [])]) for entry in images]
    corners = [np.array(rows, dtype=np.float64).reshape(-1, 4) @ TO_CORNERS for _, rows in known]
    pairs = zip(known, corners, strict=True)
    return [Sample(Path(entry["file_name"]), boxes=boxes, size=_stated(entry)) for (entry, _), boxes in pairs]
