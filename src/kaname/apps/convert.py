"""``kaname convert``: between label formats, by point name, with visibility."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from kaname.errors import InputError

Format = Literal["labelstudio", "coco", "tracknet"]


def convert(
    *,
    source_format: Annotated[Format, Parameter(name="--from", help="Format to read.")],
    target_format: Annotated[Format, Parameter(name="--to", help="Format to write.")],
    source: Annotated[Path, Parameter(name="--input", help="File to read (tracknet: or folder).")],
    target: Annotated[Path, Parameter(name="--output", help="File to write (tracknet: or folder).")],
    images: Annotated[Path | None, Parameter(help="Folder of the images; default: beside the file.")] = None,
) -> None:
    """Between label formats; what the target cannot hold is listed.

    COCO holds one point of a name for each instance: where Label Studio has several, they become ``NAME#1``,
    ``NAME#2``, ... of the box they lie in; on the way back they are points of one name again.
    """
    from kaname.data.formats.coco_sets import joined, numbered  # here, so that help answers without NumPy

    if source.resolve() == target.resolve():
        raise InputError("--input and --output are one file", path=target, remedy="choose another --output")
    samples = _format(source_format).read(source, images=images)
    if source_format == "coco" and target_format != "coco":
        samples = joined(samples)
    lost = losses(samples, target_format)
    if target_format == "coco" and source_format != "coco":
        samples, several, outside = numbered(samples)
        lost += [f"{outside} points outside of every box"] if outside else []
        bare = sum(not len(sample.boxes) and any(map(len, sample.points.values())) for sample in samples)
        if bare:
            print(f"added: {bare} boxes, each the extent of an image's points, because COCO keeps points in boxes")
        for name, count in several.items():
            print(f"several points {name!r} of one instance: written as {name}#1 to {name}#{count}")
    for line in lost:
        print(f"lost: {line}")
    target.parent.mkdir(parents=True, exist_ok=True)
    _format(target_format).write(target, samples)
    print(f"{len(samples)} images from {source} to {target}")


def losses(samples: list[Any], target: str) -> list[str]:
    """What the target format cannot hold, one line a kind with its count."""
    hidden = sum(int((values == 1).sum()) for sample in samples for values in sample.visible.values())
    polygons = sum(len(shapes) for sample in samples for shapes in sample.polygons)
    frames = sum(sample.frame is not None for sample in samples)
    rows = []
    if target == "labelstudio":
        rows += [(hidden, "points marked hidden (Label Studio knows only drawn points)"), (polygons, "polygons")]
        rows.append((sum(len(sample.meta.get("rle", ())) for sample in samples), "masks"))
    crowds = sum(sample.meta.get("crowd", 0) for sample in samples)
    others = sum(sum(sample.meta.get("ignored", {}).values()) for sample in samples)
    rows += [(crowds, "instances that are crowds"), (others, "results that are neither points nor boxes")]
    if target == "tracknet":
        boxes = sum(len(sample.boxes) for sample in samples)
        others = sum(len(points) for sample in samples for name, points in sample.points.items() if name != "ball")
        rows += [(boxes, "boxes"), (polygons, "polygons"), (others, "points other than the ball")]
    else:
        clips = sum("clip" in sample.meta for sample in samples)
        rows += [(frames, "frame numbers"), (clips, "labels of game, clip, kind of visibility and status")]
    return [f"{count} {what}" for count, what in rows if count]


def _format(name: str) -> Any:
    return importlib.import_module(f"kaname.data.formats.{name}")
