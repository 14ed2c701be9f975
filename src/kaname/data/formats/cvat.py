"""CVAT's "CVAT for images 1.1": points, skeletons and boxes of images in one XML file (docs.cvat.ai, XML format).

Coordinates are continuous pixels, as on CVAT's canvas. Read are ``<skeleton>`` with its ``<points>``, ``<points>`` of
one point each, named by their label, ``<points>`` with a whole face in one shape, in the order of a skeleton, and
``<box>``. ``occluded="1"`` is a hidden point, ``outside="1"`` an absent one. Shapes of one ``group_id`` belong
together. Written are skeletons; sets of points of one name become shapes of many points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from kaname.data.formats.cvat_reading import ImageReader, parse
from kaname.data.formats.files import Folder, distinct_names, faults, image_size, labels_of_boxes, sound, visibility
from kaname.data.formats.partners import RIVAL, Entry, rivals
from kaname.data.formats.skeleton import Skeleton
from kaname.data.formats.units import doubted
from kaname.errors import InputError
from kaname.files import write_text
from kaname.types import FloatArray, Sample

DIGITS = 9  # after the point of a written coordinate


def read(
    path: str | PathLike[str],
    images: str | PathLike[str] | None = None,
    *,
    skeleton: Skeleton | None = None,
) -> list[Sample]:
    """The images of a file, in its order, each with its shapes.

    Args:
        path: the XML file.
        images: the folder of the images; every one must be there and have the size that the file states. Without it
            the file's names are kept.
        skeleton: what the points of a shape with as many points are called, in their order; by default that of 28
            landmarks.

    Returns:
        Samples with one row of ``points[name]`` for each skeleton, group or whole face, and with ``boxes`` if any of
        them has one; what shapes without a group hold more than once of a name is a set of points, as Label Studio's.
        ``meta``: ``ignored`` (other shapes, by kind), ``attributes`` (how many; they are not read), ``extents`` (ids
        of the boxes that nobody drew) and, of rows, ``parents`` (by name, the number of each point's row).

    Raises:
        InputError: the first of ``problems``.
    """
    return sound(walk(path, images, skeleton=skeleton))


def problems(
    path: str | PathLike[str],
    images: str | PathLike[str] | None = None,
    *,
    skeleton: Skeleton | None = None,
) -> list[InputError]:
    """Everything that is wrong with a file; takes the arguments of ``read``."""
    return faults(walk(path, images, skeleton=skeleton))


def walk(
    path: str | PathLike[str],
    images: str | PathLike[str] | None = None,
    *,
    skeleton: Skeleton | None = None,
) -> Iterator[Sample | InputError]:
    """Every image's sample or what is wrong with it; the arguments are ``read``'s."""
    return doubted(_walk(Path(path), images, skeleton), Path(path), "continuous")


def _walk(path: Path, images: str | PathLike[str] | None, skeleton: Skeleton | None) -> Iterator[Sample | InputError]:
    try:
        root = parse(path)
        folder = None if images is None else Folder(Path(images))
    except InputError as error:
        yield error
        return
    seen: dict[str, int] = {}
    elements = enumerate(root.iter("image"), start=1)
    readers = [ImageReader(path, element, position, folder, skeleton) for position, element in elements]
    others = {} if folder is None else rivals([Entry(one.row, one.name, one.image) for one in readers], folder)
    for position, reader in enumerate(readers, start=1):
        rival = others.get(position - 1) if reader.name not in seen else None
        sample = None if rival is not None else reader.sample()
        yield from reader.faults
        if rival is not None:
            yield reader.fault(rival.reason, RIVAL)
        elif reader.name in seen:
            reason = f"{reader.name!r} is also the image at position {seen[reader.name]}"
            yield reader.fault(reason, "keep one of them")
        elif sample is not None and not reader.faults:
            yield sample
        seen.setdefault(reader.name, position)
    if not seen:
        yield InputError("no image in this file", path=path, remedy='export the task as "CVAT for images 1.1"')


def write(path: str | PathLike[str], samples: Sequence[Sample], *, root: Path | None = None) -> None:
    """Write samples as CVAT would export them; the same samples give the same bytes.

    Args:
        path: the XML file.
        samples: a sample without a size is measured. Names with one point for each box (or one in all, without boxes)
            become skeletons, in which absent points are ``outside``; others become shapes of several points.
        root: the folder of the images: the file names them by their paths in it.

    Raises:
        InputError: a box without a label, or two images of one name.
    """
    path = Path(path)
    top = ElementTree.Element("annotations")
    ElementTree.SubElement(top, "version").text = "1.1"
    names = distinct_names([sample.image for sample in samples], path, root)
    for number, (name, sample) in enumerate(zip(names, samples, strict=True)):
        height, width = image_size(sample.image) if sample.size is None else sample.size
        facts = {"id": str(number), "name": name, "width": str(width), "height": str(height)}
        _add_shapes(ElementTree.SubElement(top, "image", facts), sample, path)
    top.insert(1, _meta(top))
    ElementTree.indent(top)
    text = ElementTree.tostring(top, encoding="unicode")
    write_text(path, f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n')


def _meta(top: ElementTree.Element) -> ElementTree.Element:
    """The task with its labels, as an export has it: readers such as Datumaro's take no file without it."""
    kinds: dict[tuple[str, str], set[str]] = {}  # by name and the skeleton that it is part of
    for image in top.iter("image"):
        for shape in image:
            kind = {"box": "rectangle"}.get(shape.tag, shape.tag)
            kinds.setdefault((shape.attrib["label"], ""), set()).add(kind)
            for part in shape:
                kinds.setdefault((part.attrib["label"], shape.attrib["label"]), set()).add(part.tag)
    meta = ElementTree.Element("meta")
    task = ElementTree.SubElement(meta, "task")
    ElementTree.SubElement(task, "size").text = str(len(top.findall("image")))
    ElementTree.SubElement(task, "mode").text = "annotation"
    labels = ElementTree.SubElement(task, "labels")
    for (name, parent), own in kinds.items():
        label = ElementTree.SubElement(labels, "label")
        one = next(iter(own)) if len(own) == 1 else "any"
        facts = {"name": name, "type": "skeleton" if "skeleton" in own else one, "parent": parent}
        for key, value in facts.items():
            if value:
                ElementTree.SubElement(label, key).text = value
        ElementTree.SubElement(label, "attributes")
    return meta


def _add_shapes(image: ElementTree.Element, sample: Sample, path: Path) -> None:
    labels = labels_of_boxes(sample, path)
    rows = len(sample.boxes) or 1
    faces = bool(sample.points) and all(len(xy) == rows for xy in sample.points.values())
    extents = sample.meta.get("extents", ())
    drawn = [row >= len(sample.ids) or sample.ids[row] not in extents for row in range(len(sample.boxes))]
    for row, box in enumerate(np.asarray(sample.boxes, np.float64)):
        if drawn[row]:
            corners = dict(zip(("xtl", "ytl", "xbr", "ybr"), map(_number, box.tolist()), strict=True))
            ElementTree.SubElement(image, "box", _shape(labels[row], row if faces else None) | corners)
    if not faces:
        for name in sample.points:
            _add_set(image, name, sample)
        return
    for row in range(rows):
        label = labels[row] if labels else sample.meta.get("skeleton") or "object"
        group = row if len(sample.boxes) and drawn[row] else None
        facts = {key: value for key, value in _shape(label, group).items() if key != "occluded"}
        face = ElementTree.SubElement(image, "skeleton", facts)
        for name, xy in sample.points.items():
            seen = int(visibility(sample, name)[row])
            place = _places(xy[row : row + 1]) if seen else "0,0"
            state = {"outside": str(int(seen == 0)), "occluded": str(int(seen == 1)), "points": place}
            ElementTree.SubElement(face, "points", {"label": name, "source": "manual", **state})


def _add_set(image: ElementTree.Element, name: str, sample: Sample) -> None:
    """One shape of the points of a name that are seen, and one of the hidden ones."""
    visible = visibility(sample, name)
    for occluded, state in (("0", 2), ("1", 1)):
        if (visible == state).any():
            facts = _shape(name, None) | {
                "occluded": occluded,
                "points": _places(sample.points[name][visible == state]),
            }
            ElementTree.SubElement(image, "points", facts)


def _shape(label: str, row: int | None) -> dict[str, str]:
    facts = {"label": label, "source": "manual", "occluded": "0", "z_order": "0"}
    return facts if row is None else facts | {"group_id": str(row + 1)}


def _places(xy: FloatArray) -> str:
    return ";".join(f"{_number(x)},{_number(y)}" for x, y in xy.tolist())


def _number(value: float) -> str:
    """As people write it, to a billionth of a pixel."""
    number = round(value, DIGITS)
    return str(int(number)) if number.is_integer() else repr(number)
