"""``kaname convert``: between label formats, by point name, with visibility."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from kaname.errors import InputError

if TYPE_CHECKING:
    from kaname.types import Sample

Format = Literal["labelstudio", "coco", "tracknet", "landmarks", "cvat", "pts"]
FOLDERS = ("landmarks", "pts")  # formats with a file for each face
NUMBERED = ("landmarks", "pts", "cvat")  # formats in which points may have numbers in the place of names
NAMED_BY_FILE = ("landmarks", "cvat", "coco")  # formats that name an image by its path below the images' folder


def convert(
    *,
    source_format: Annotated[Format, Parameter(name="--from", help="Format to read.")],
    target_format: Annotated[Format, Parameter(name="--to", help="Format to write.")],
    source: Annotated[Path, Parameter(name="--input", help="File or folder to read.")],
    target: Annotated[Path, Parameter(name="--output", help="File or folder to write.")],
    images: Annotated[Path | None, Parameter(help="Folder of the images; default: beside the file.")] = None,
    skeleton: Annotated[
        str | None,
        Parameter(
            help="Names and order of points that have only numbers: a name or a YAML file; default anime-face-28."
        ),
    ] = None,
) -> None:
    """Between label formats; what the target cannot hold is listed.

    COCO holds one point of a name for each instance: where Label Studio has several, they become ``NAME#1``,
    ``NAME#2``, ... of the box they lie in; on the way back they are points of one name again. landmarks and pts are
    folders with a file for each face; tracknet is a file or a folder.
    """
    from kaname.data.formats.coco_sets import joined  # here, so that help answers without NumPy

    if source.resolve() == target.resolve():
        raise InputError("--input and --output are the same file", path=target, remedy="choose another --output")
    order = _order(skeleton, source_format, target_format)
    named = {"skeleton": order} if source_format in NUMBERED and order else {}
    samples: list[Sample] = _format(source_format).read(source, images=images, **named)
    if source_format == "coco" and target_format != "coco":
        samples = joined(samples)
    samples, lines = finished(samples) if target_format != "landmarks" else (samples, [])
    if source_format in NUMBERED:
        lines += numbers(samples, source)
    lines += [f"lost: {line}" for line in losses(samples, target_format)]
    samples, told = arranged(samples, source_format, target_format)
    for line in [*lines, *told]:
        print(line)
    options: dict[str, Any] = {"skeleton": order} if target_format in FOLDERS and order else {}
    if target_format != "tracknet":
        options["root"] = images or (Path() if source_format in NAMED_BY_FILE else None)
    target.parent.mkdir(parents=True, exist_ok=True)
    _format(target_format).write(target, samples, **options)
    print(f"{len(samples)} images from {source} to {target}")


def finished(samples: Sequence[Sample]) -> tuple[list[Sample], list[str]]:
    """The samples without unfinished faces, which other formats would take for whole ones, and how many there were."""
    kept: list[Sample] = []
    left = 0
    for sample in samples:
        flags = sample.meta.get("finished", ())
        if all(flags):
            kept.append(sample)
            continue
        left += sum(not flag for flag in flags)
        rows = [row for row, flag in enumerate(flags) if flag]
        if rows:
            kept.append(_rows(sample, rows))
    return kept, [f"left out: {left} unfinished faces"] if left else []


def numbers(samples: Sequence[Sample], source: Path) -> list[str]:
    """What there is to say of points that are called by numbers.

    Raises:
        InputError: images with more of them than others: one order would not fit all.
    """
    counts = {len(sample.points) for sample in samples if sample.points and all(map(str.isdecimal, sample.points))}
    if len(counts) > 1:
        reason = f"images of {' and of '.join(map(str, sorted(counts)))} points without names"
        raise InputError(reason, path=source, remedy="convert each kind on its own")
    return [f"points are called by their numbers, 0 to {max(counts) - 1}; --skeleton names them"] if counts else []


def arranged(samples: Sequence[Sample], source: str, target: str) -> tuple[list[Sample], list[str]]:
    """Samples as the target takes them, and what there is to say of it.

    Label Studio's points are sets, which COCO and the formats of faces take with a row for each box.
    """
    from kaname.data.formats.coco_sets import numbered

    if target not in ("coco", *NUMBERED) or source in ("coco", *FOLDERS):
        return list(samples), []
    rows, several, outside = numbered(samples)
    if target == "cvat" and (several or outside or source != "labelstudio"):  # it holds sets as they are
        return list(samples), []
    lines = [f"lost: {outside} points outside of every box"] if outside else []
    bare = sum(not len(sample.boxes) and any(map(len, sample.points.values())) for sample in rows)
    if bare and target == "coco":
        lines.append(f"added: {bare} boxes, each the extent of an image's points, because COCO keeps points in boxes")
    if several and target in FOLDERS:
        name, count = next(iter(several.items()))
        remedy = "a face has one point of each name; coco and cvat hold several"
        raise InputError(f"{count} points {name!r} in one face", remedy=remedy)
    lines += [
        f"several points {name!r} of one instance: written as {name}#1 to {name}#{count}"
        for name, count in several.items()
    ]
    return rows, lines


def losses(samples: Sequence[Sample], target: str) -> list[str]:
    """What the target format cannot hold, one line per kind with its count."""
    from kaname.data.formats.faces import DEFAULT_SKELETON

    polygons = sum(len(shapes) for sample in samples for shapes in sample.polygons)
    frames = sum(sample.frame is not None for sample in samples)
    rows = [(polygons, "polygons")] if target != "coco" else []
    if target != "coco":
        rows.append((sum(len(sample.meta.get("rle", ())) for sample in samples), "masks"))
    if target != "landmarks":
        others = sum(bool(entry) for sample in samples for entry in sample.meta.get("other", ()))
        rows.append((others, "faces' further fields"))
    crowds = sum(sample.meta.get("crowd", 0) for sample in samples)
    others = sum(sum(sample.meta.get("ignored", {}).values()) for sample in samples)
    rows += [(crowds, "instances that are crowds"), (others, "results that are neither points nor boxes")]
    if target == "tracknet":
        boxes = sum(len(sample.boxes) for sample in samples)
        others = sum(len(points) for sample in samples for name, points in sample.points.items() if name != "ball")
        rows += [(boxes, "boxes"), (others, "points other than the ball")]
    else:
        clips = sum("clip" in sample.meta for sample in samples)
        rows += [(frames, "frame numbers"), (clips, "labels of game, clip, kind of visibility and status")]
    if target in FOLDERS:
        plain = ("object", "face", DEFAULT_SKELETON)
        rows.append((sum(label not in plain for sample in samples for label in sample.labels), "labels of boxes"))
    return [f"{count} {what}" for count, what in rows if count]


def _rows(sample: Sample, rows: Sequence[int]) -> Sample:
    """The sample of some of its faces."""

    def chosen(entries: Any) -> Any:
        return [entries[row] for row in rows] if len(entries) else []

    lists = ("files", "finished", "unplaced", "other")
    return replace(
        sample,
        points={name: xy[list(rows)] for name, xy in sample.points.items()},
        visible={name: one[list(rows)] for name, one in sample.visible.items()},
        boxes=sample.boxes[list(rows)] if len(sample.boxes) else sample.boxes,
        polygons=chosen(sample.polygons),
        labels=chosen(sample.labels),
        meta={**sample.meta, **{key: chosen(sample.meta[key]) for key in lists}},
    )


def _order(skeleton: str | None, source: str, target: str) -> Any:
    """The skeleton that was asked for."""
    if skeleton is None:
        return None
    if source not in NUMBERED and target not in FOLDERS:
        raise InputError(
            f"--skeleton says nothing from {source} to {target}: their points have names", remedy="leave it"
        )
    from kaname.data.formats.skeleton import find

    return find(skeleton)


def _format(name: str) -> Any:
    return importlib.import_module(f"kaname.data.formats.{name}")
