"""``kaname convert``: between label formats, by point name, with visibility."""

from __future__ import annotations

import contextlib
import importlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from kaname.errors import InputError
from kaname.files import writing
from kaname.pipeline.flags import CocoKeypoints

if TYPE_CHECKING:
    from kaname.types import Sample

Format = Literal["labelstudio", "coco", "tracknet", "landmarks", "cvat", "pts", "mot_kp", "dlc"]
FOLDERS = ("landmarks", "pts")  # formats with a file for each face
NUMBERED = ("landmarks", "pts", "cvat")  # formats in which points may have numbers in the place of names
SKELETAL = (*NUMBERED, "mot_kp")  # formats whose reader takes a skeleton
OBJECTS = ("mot_kp", "dlc")  # formats of objects along a video, without boxes
# Without that option FFmpeg may repeat and drop frames of videos with uneven times.
EXTRACT = "ffmpeg -i VIDEO -fps_mode passthrough -start_number 0 FOLDER/%d.png"
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
    coco_keypoints: CocoKeypoints = "index",
    overwrite: Annotated[bool, Parameter(help="Replace files that exist.", negative=())] = False,
) -> None:
    """Between label formats; what the target cannot hold is listed.

    COCO holds one point of a name for each instance: where Label Studio has several, they become ``NAME#1``,
    ``NAME#2``, ... of the box they lie in; on the way back they are points of one name again. landmarks and pts are
    folders with a file for each face; tracknet and mot_kp are a file or a folder. An object of mot_kp or dlc becomes a
    box, the extent of its points. What exists is replaced only with --overwrite; a folder may be written into several
    times, from different sources.
    """
    from kaname.data.formats.coco_sets import joined  # here, so that help answers without NumPy
    from kaname.data.formats.skeleton import find
    from kaname.data.frame_source import frame_in

    if source.resolve() == target.resolve():
        raise InputError("--input and --output are the same file", path=target, remedy="choose another --output")
    order = None if skeleton is None else find(skeleton)
    known: dict[str, Any] = {"skeleton": order} if source_format in SKELETAL and order else {}
    if source_format == "coco":
        known["keypoints"] = coco_keypoints
    samples: list[Sample] = _format(source_format).read(source, images=images, **known)
    if source_format == "coco" and target_format not in ("coco", *OBJECTS):
        samples = joined(samples)
    samples, lines = finished(samples) if target_format != "landmarks" else (samples, [])
    samples, told = named(samples, order, source)
    lines += told
    lines += [f"lost: {line}" for line in losses(samples, target_format)]
    samples, told = arranged(samples, source_format, target_format)
    if target_format in FOLDERS and source_format not in FOLDERS:
        samples, bare = pointed(samples)
        told += bare
    if target_format == "labelstudio":
        samples, cut = clipped(samples)
        told += cut
    for line in [*lines, *told, *outside(samples), *(categories(samples) if target_format == "coco" else [])]:
        print(line)
    order = order or (usual_skeleton(samples) if target_format == "coco" else None)
    options: dict[str, Any] = {"skeleton": order} if target_format in (*FOLDERS, "mot_kp", "coco") and order else {}
    if target_format != "tracknet":
        options["root"] = images or (Path() if source_format in NAMED_BY_FILE else None)
    if filmed := sum(frame_in(sample.image) is not None for sample in samples):
        print(f"{filmed} images are frames of videos, VIDEO/NUMBER.png; to use them elsewhere extract them: {EXTRACT}")
    with new_files(target, overwrite=overwrite) as place:
        _format(target_format).write(place, samples, **options)
    print(f"{len(samples)} images from {source} to {target}")


@contextlib.contextmanager
def new_files(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Where to write a file or a folder of files, which then are at ``target``; others that exist are not replaced.

    Raises:
        InputError: there is a file already (all are left as they were), or it cannot be written.
    """
    from kaname.data.formats.files import same_content

    remedy = "choose another --output, or replace it with --overwrite"
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        with writing(target):
            made = tempfile.TemporaryDirectory(
                prefix=f".{target.name[:60]}.", suffix=".partial", dir=target.parent, ignore_cleanup_errors=True
            )
            folder = stack.enter_context(made)
        place = Path(folder) / target.name
        try:
            yield place
        except InputError as error:  # say where it would have been
            if error.path is None or not Path(error.path).is_relative_to(place):
                raise
            path = target / Path(error.path).relative_to(place)
            raise InputError(error.reason, path=path, row=error.row, remedy=error.remedy) from error
        inside = [place] if place.is_file() else sorted(place.rglob("*"))
        files = [path.relative_to(place) for path in inside if path.is_file()]
        there = [name for name in files if (target / name).exists() and not same_content(target / name, place / name)]
        if there and not overwrite:
            more = f" and {len(there) - 1} more" if len(there) > 1 else ""
            raise InputError(f"the file exists{more}", path=target / there[0], remedy=remedy)
        for name in files:
            with writing(target / name):
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(place / name, target / name)


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


def pointed(samples: Sequence[Sample]) -> tuple[list[Sample], list[str]]:
    """The samples without instances of which no point is there, which make no face, and how many there were."""
    kept: list[Sample] = []
    left = 0
    for sample in samples:
        count = len(sample.boxes) or int(any(map(len, sample.points.values())))
        seen = [any(len(one) and one[row] > 0 for one in sample.visible.values()) for row in range(count)]
        left += count - sum(seen)
        rows = [row for row, there in enumerate(seen) if there]
        if rows:
            kept.append(sample if all(seen) else _rows(sample, rows))
    lines = [f"left out: {left} instances without a point"] if left else []
    if empty := len(samples) - len(kept):
        lines.append(f"left out: {empty} images without a face")
    return kept, lines


def named(samples: Sequence[Sample], skeleton: Any, source: Path) -> tuple[list[Sample], list[str]]:
    """Samples whose points have the skeleton's names where the file had only numbers, from 0 or from 1.

    CVAT numbers the points of a skeleton, and people do so where names are asked for.

    Args:
        samples: any.
        skeleton: as asked for; None: the default one, where it has as many points.
        source: for the message.

    Raises:
        InputError: images with more numbers than others, or with names: one order would not fit all.
    """
    from kaname.data.formats.faces import DEFAULT_SKELETON
    from kaname.data.formats.skeleton import find

    used = {name for sample in samples for name in sample.points}
    numbers = {name for name in used if name.isdecimal()}
    if not numbers:
        return list(samples), []
    wholes = {len(sample.points) for sample in samples if sample.points} if source.is_dir() else set()
    if numbers < used or len(wholes) > 1:
        what = "some images have names of points, others" if numbers < used else "images have different"
        listed, remedy = kinds_of(samples), "put the files of each kind into a folder of its own, and convert each"
        raise InputError(f"{what} numbers of points: {listed}", path=source, remedy=f"{remedy} with its --skeleton")
    order = (skeleton or find(DEFAULT_SKELETON)).names
    first = 0 if "0" in numbers else 1
    keys = {str(number): name for number, name in enumerate(order, first)}
    last = max(map(int, numbers))
    if numbers <= keys.keys() and last == first + len(order) - 1:
        parents = [sample.meta.get("parents", {}) for sample in samples]
        return [
            replace(
                sample,
                points={keys[name]: xy for name, xy in sample.points.items()},
                visible={keys[name]: one for name, one in sample.visible.items()},
                meta={**sample.meta, "parents": {keys[name]: one for name, one in known.items()}},
            )
            for sample, known in zip(samples, parents, strict=True)
        ], []
    if skeleton is not None:
        reason = f"points are numbered up to {last}, but the skeleton {skeleton.name!r} has {len(order)}"
        raise InputError(reason, path=source, remedy="give another --skeleton")
    return list(samples), [f"points are called by their numbers, up to {last}; --skeleton names them"]


def kinds_of(samples: Sequence[Sample]) -> str:
    """By the number of points in an image, how many images have it, and the names of some."""
    members: dict[int, list[str]] = {}
    for sample in samples:
        members.setdefault(len(sample.points), []).append(sample.image.name)
    return "; ".join(
        f"{count} points in {len(names)} ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})"
        for count, names in sorted(members.items())
        if count
    )


def outside(samples: Sequence[Sample]) -> list[str]:
    """One line where points lie outside their image, with their count and the first."""
    import numpy as np

    found: list[str] = []
    for sample in samples:
        if sample.size is None:
            continue
        for name, xy in sample.points.items():
            beyond = ((xy < 0) | (xy > sample.size[::-1])).any(axis=1)  # NaN is not
            found += [f"{sample.image.name}: {name!r} at ({x:g}, {y:g})" for x, y in np.asarray(xy)[beyond].tolist()]
    return [f"warning: {len(found)} points lie outside their image, the first in {found[0]}"] if found else []


def clipped(samples: Sequence[Sample]) -> tuple[list[Sample], list[str]]:
    """The samples with what of their boxes lies in the image, and how many boxes went beyond it."""
    import numpy as np

    from kaname.geometry.boxes import area, clip

    made, count = list(samples), 0
    for place, sample in enumerate(samples):
        if sample.size is None or not len(sample.boxes):
            continue
        inside = clip(sample.boxes, sample.size)
        beyond = (inside != sample.boxes).any(axis=1) & (area(inside) > 0)  # one wholly outside is an error
        made[place] = replace(sample, boxes=np.where(beyond[:, None], inside, sample.boxes))
        count += int(beyond.sum())
    return made, [f"lost: what of {count} boxes lies outside their image"] if count else []


def categories(samples: Sequence[Sample]) -> list[str]:
    """One line with the number of each category, where the source has none or others."""
    from kaname.data.formats.coco_writing import numbers_of

    labels = dict.fromkeys(label for sample in samples for label in sample.labels)
    numbers = numbers_of(samples, list(labels))
    known = {label: number for sample in samples for label, number in sample.meta.get("categories", {}).items()}
    if all(known.get(label) == number for label, number in numbers.items()):
        return []
    return [f"categories: {', '.join(f'{number} {label}' for label, number in numbers.items())}"]


def usual_skeleton(samples: Sequence[Sample]) -> Any:
    """That of 28 landmarks, or of hands and tools, where points have all names of it, or of one of its classes."""
    from kaname.data.formats.faces import DEFAULT_SKELETON
    from kaname.data.formats.mot_kp import DEFAULT_SKELETON as TOOLS
    from kaname.data.formats.skeleton import find

    used = {name for sample in samples for name in sample.points}
    known = (find(name) for name in (DEFAULT_SKELETON, TOOLS))
    whole = ((one, [set(group.points) <= used for group in one.groups.values()]) for one in known)
    return next((one for one, there in whole if (all(there) if one.kind == "groups" else any(there))), None)


def arranged(samples: Sequence[Sample], source: str, target: str) -> tuple[list[Sample], list[str]]:
    """Samples as the target takes them, and what there is to say of it.

    Label Studio's points are sets, which COCO and the formats of faces take with a row for each box.
    """
    from kaname.data.formats.coco_sets import numbered
    from kaname.data.formats.objects import boxed

    if source in OBJECTS and target not in ("tracknet", *OBJECTS):
        samples, left = boxed(samples)
        return samples, [f"left out: {left} objects without a visible or hidden point"] if left else []
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
    attributes = sum(sample.meta.get("attributes", 0) for sample in samples)
    rows += [(crowds, "instances that are crowds"), (others, "results that are neither points nor boxes")]
    rows.append((attributes, "attributes of shapes"))
    if target == "tracknet":
        boxes = sum(len(sample.boxes) for sample in samples)
        others = sum(len(points) for sample in samples for name, points in sample.points.items() if name != "ball")
        rows += [(boxes, "boxes"), (others, "points other than the ball")]
    else:
        clips = sum("clip" in sample.meta for sample in samples)
        rows += [
            (frames if target not in OBJECTS else 0, "frame numbers"),
            (clips, "labels of game, clip, kind of visibility and status"),
        ]
    if target != "mot_kp":
        marked = sum(bool(sample.meta.get("unlabelled")) for sample in samples)
        rows.append((marked if target != "dlc" else 0, "images with marks of points not labelled"))
        placeless = sum(sum(one) for sample in samples for one in sample.meta.get("hidden", {}).values())
        rows.append((placeless, "points that are hidden somewhere"))
    if target in OBJECTS:
        rows.append((sum(len(sample.boxes) for sample in samples), "boxes"))
    if target == "dlc":
        hidden = sum(int((one == 1).sum()) for sample in samples for one in sample.visible.values())
        rows.append((hidden, "marks of hidden points"))
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
        ids=chosen(sample.ids),
        meta={**sample.meta, **{key: chosen(sample.meta[key]) for key in lists if key in sample.meta}},
    )


def _format(name: str) -> Any:
    return importlib.import_module(f"kaname.data.formats.{name}")
