"""``split``: one COCO file as two or three of the same images' folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kaname.data.formats import coco
from kaname.data.formats.files import read_json, write_json
from kaname.errors import InputError
from kaname.pipeline.flags import report_problems
from kaname.pipeline.split import SETS, SplitFlags, Unit, divide, say_next, shares_of


def split(annotations: Path, images: Path, out: Path, flags: SplitFlags, *, category: str = "1") -> None:
    """Write ``out/instances_{train,val,test}.json``; everything else in the file stays as it is.

    Args:
        annotations: the COCO file.
        images: the folder of its images.
        out: a folder without such files.
        category: name or number of what will be masked; images without any of it are left out.

    Raises:
        InputError: bad usage or annotations, or what `kaname.pipeline.split.divide` refuses; nothing is written then.
    """
    shares_of(flags)
    files = {name: out / f"instances_{name}.json" for name in SETS}
    if there := [path for path in files.values() if path.exists()]:
        raise InputError("it is there already", path=there[0], remedy="name a new folder, or remove it first")
    wanted = int(category) if category.isdecimal() else category
    report_problems(coco.problems(annotations, images, wanted))
    samples = coco.read(annotations, images=images, category=wanted)
    shown = [sample for sample in samples if len(sample.boxes)]
    if len(shown) < len(samples):
        print(f"left out: {len(samples) - len(shown)} images without an instance of category {category}")
    units = [Unit(sample.image.relative_to(images).as_posix(), sample.image) for sample in shown]
    parts = divide(units, flags)
    content = read_json(annotations)
    for name, members in parts.items():
        write_json(files[name], part_of(content, {shown[number].meta["image_id"] for number in members}), tables=True)
    named = {"images": images, "val-images": images, "annotations": files["train"], "val-annotations": files["val"]}
    named |= {} if category == "1" else {"category": category}
    words = [word for name, value in named.items() for word in (f"--{name}", value)]
    extractor = ["--extractor", "FILE.onnx", "--tensor", "NAME"]
    say_next(["roimask", "check", *words], ["roimask", "train", *words, *extractor])


def part_of(content: Mapping[str, Any], images: set[int | str]) -> dict[str, Any]:
    """The content of a COCO file with some of its images and what is annotated on them.

    >>> part_of({"images": [{"id": 1}, {"id": 2}], "annotations": [{"id": 7, "image_id": 2}], "info": {}}, {2})
    {'images': [{'id': 2}], 'annotations': [{'id': 7, 'image_id': 2}], 'info': {}}
    """
    return {
        **content,
        "images": [one for one in content["images"] if one["id"] in images],
        "annotations": [one for one in content["annotations"] if one["image_id"] in images],
    }
