"""``check``: every problem of annotated images, and what the sets hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kaname.data.formats import coco, coco_masks
from kaname.data.formats.duplicates import double_boxes
from kaname.errors import InputError
from kaname.geometry.image import read_image
from kaname.pipeline.flags import report_problems
from kaname.progress import Bar
from kaname.recipes.roimask.config import DataSettings
from kaname.recipes.roimask.labels import SETS, Photo, outside, read_set, without_target
from kaname.types import Sample


def check(data: DataSettings) -> None:
    """Report every problem by file, and what each set holds; exit code 2 if there is a problem."""
    problems: list[InputError] = []
    if not any(data.annotations_of(part).is_file() for part in SETS):
        named = " nor ".join(str(data.annotations_of(part)) for part in SETS)
        raise InputError(
            f"no annotations: neither {named}", remedy="give --data, or --annotations and --val-annotations"
        )
    for part in SETS:
        path, images = data.annotations_of(part), data.images_of(part)
        if not path.is_file():
            problems.append(InputError(f"no annotations of {part}", path=path, remedy="check --data"))
            continue
        number = int(data.category) if data.category.isdecimal() else data.category
        found = list(coco.walk(path, images, number))
        samples = [one for one in found if isinstance(one, Sample)]
        problems += [one for one in found if isinstance(one, InputError)]
        problems += _unreadable(samples, part)
        problems += _without_mask(samples)
        beyond = list(outside([Photo(one, data.min_target, data.crowd) for one in samples], path))
        problems += beyond
        if len(samples) == len(found) and not beyond:
            photos = read_set(data, part)
            problems += without_target(data, part, photos)
            for line in holdings(data, part, photos, sum(int(one.meta["crowd"]) for one in samples)):
                print(line)
    report_problems(problems)
    print("no problems")


def _unreadable(samples: list[Sample], part: str) -> list[InputError]:
    problems: list[InputError] = []
    with Bar(f"reading {part}", len(samples)) as bar:
        for sample in samples:
            try:
                read_image(sample.image)
            except InputError as error:
                problems.append(error)
            bar.advance()
    return problems


def _without_mask(samples: list[Sample]) -> list[InputError]:
    problems: list[InputError] = []
    for sample in samples:
        try:
            coco_masks.shapes(sample)
        except InputError as error:
            problems.append(error)
    return problems


def holdings(data: DataSettings, part: str, photos: Sequence[Photo], crowds: int) -> list[str]:
    """What a set holds, in lines."""
    targets = sum(len(photo.candidates) for photo in photos)
    instances = sum(len(photo.sample.boxes) for photo in photos)
    flat = instances - sum(len(photo.boxes) for photo in photos)
    holes = [number for photo in photos for number in coco_masks.filled_holes(photo.sample)]
    people = Counter(len(photo.boxes) for photo in photos)
    listed = ", ".join(f"{number}: {people[number]}" for number in sorted(people)[:8])
    aspects = [(box[2] - box[0]) / (box[3] - box[1]) for photo in photos for box in photo.boxes]
    lines = [
        f"{part}: {len(photos)} images, {instances} instances, {targets} of them targets "
        f"(sides of at least {data.min_target:g} px), {crowds} crowds",
        f"{part}: images by number of instances: {listed or 'none'}",
    ]
    if aspects:
        lines.append(f"{part}: median width to height of a box {float(np.median(aspects)):.2f}")
    if double := [photo.sample.ids[row] for photo in photos for row, _ in double_boxes(photo.sample)]:
        shown = ", ".join(map(str, double[:10])) + (", ..." if len(double) > 10 else "")
        lines.append(f"{part}: {len(double)} instances have the box of another one ({shown}); each counts as it is")
    if flat:
        lines.append(f"{part}: {flat} boxes have no area in their image and are left out")
    if holes:
        shown = ", ".join(map(str, holes[:10])) + (", ..." if len(holes) > 10 else "")
        lines.append(f"{part}: {len(holes)} instances have a polygon inside another one, which COCO fills ({shown})")
    return lines


def sample(out: Path, *, count: int, val_count: int, seed: int, width: int, height: int) -> None:
    """Render a data set in the documented folders."""
    from kaname.samples.roimask import write

    write(out, count=count, val_count=val_count, size=(height, width), seed=seed)
    print(f"{count} and {val_count} rendered scenes in {out / 'data'}, an extractor in {out / 'ext_extractor'}")
