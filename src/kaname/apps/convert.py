"""``kaname convert``: between label formats, by point name, with visibility."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from kaname.errors import InputError

Format = Literal["labelstudio", "coco"]


def convert(
    *,
    source_format: Annotated[Format, Parameter(name="--from", help="Format to read.")],
    target_format: Annotated[Format, Parameter(name="--to", help="Format to write.")],
    source: Annotated[Path, Parameter(name="--input", help="File to read.")],
    target: Annotated[Path, Parameter(name="--output", help="File to write.")],
    images: Annotated[Path | None, Parameter(help="Folder of the images; default: beside the file.")] = None,
) -> None:
    """Between label formats; what the target cannot hold is listed."""
    if source.resolve() == target.resolve():
        raise InputError("--input and --output are one file", path=target, remedy="choose another --output")
    samples = _format(source_format).read(source, images=images)
    for line in losses(samples, target_format):
        print(f"lost: {line}")
    target.parent.mkdir(parents=True, exist_ok=True)
    _format(target_format).write(target, samples)
    print(f"{len(samples)} images from {source} to {target}")


def losses(samples: list[Any], target: str) -> list[str]:
    """What the target format cannot hold, one line a kind with its count."""
    hidden = sum(int((values == 1).sum()) for sample in samples for values in sample.visible.values())
    polygons = sum(len(sample.polygons) for sample in samples)
    frames = sum(sample.frame is not None for sample in samples)
    rows = []
    if target == "labelstudio":
        rows += [(hidden, "points marked hidden (Label Studio knows only drawn points)"), (polygons, "polygons")]
    rows.append((frames, "frame numbers"))
    return [f"{count} {what}" for count, what in rows if count]


def _format(name: str) -> Any:
    return importlib.import_module(f"kaname.data.formats.{name}")
