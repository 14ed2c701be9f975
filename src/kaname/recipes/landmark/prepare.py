"""What a folder of annotated faces holds, its parts for training, validation and test (``check``, ``split``), and the
boxes of its faces (``predict``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from kaname.data.annotations import PARTS, Face, Faces, face_of, groups_of, read_faces
from kaname.data.boxes import Find
from kaname.data.formats import landmarks
from kaname.data.formats import skeleton as skeletons
from kaname.data.formats.landmarks import images_below
from kaname.data.parts import counts_of, deal
from kaname.data.sidecars import series_of, tags_of
from kaname.data.split import alike, prints
from kaname.errors import InputError
from kaname.files import write_text
from kaname.pipeline.flags import report_problems
from kaname.pipeline.split import group_key, say_next
from kaname.recipes.landmark.labels import box_of
from kaname.types import FloatArray, Frame

if TYPE_CHECKING:
    from kaname.pipeline.boxes import BoxSource
    from kaname.pipeline.flags import BoxFlags

Noted = TypeVar("Noted")
IMAGES, ANNOTATIONS, DATASETS = "data/raw", "data/annotated", "data/datasets"
GOALS = {"minimum": 100, "recommended size": 500, "ideal": 2000}  # images, by the document
SHOWN = 20  # tags, and pairs of near duplicates


def check(
    *,
    image_dir: Path = Path(IMAGES),
    annotation_dir: Path = Path(ANNOTATIONS),
    skeleton: str = "anime-face-28",
) -> None:
    """Report every problem of annotated faces by file, and what the set holds; exit code 2 if there is a problem."""
    found = read_faces(image_dir, annotation_dir, skeletons.find(skeleton))
    problems = [*found.problems, *found.double]
    images = list(dict.fromkeys(face.image for face in found.faces))
    for line in [*_holdings(found, image_dir), *_noted(problems, lambda: _tags(images)), *_copies(images, problems)]:
        print(line)
    print(_standing(len(images)))
    report_problems(problems)
    print("no problems")


def split(
    *,
    annotation_dir: Path = Path(ANNOTATIONS),
    output_dir: Path = Path(DATASETS),
    train_ratio: float | None = None,
    val_ratio: float = 0.2,
    test_ratio: float = 0.1,
    seed: int = 0,
    image_dir: Path | None = None,
    group: str | None = None,
) -> None:
    """Divide annotated faces at random: train.txt, val.txt and test.txt, one annotation file name a line.

    Faces of one image, near duplicates and images of one series stay together, and what ``group`` says
    (`kaname.pipeline.split.group_key`). Without ``train_ratio`` the rest trains.
    """
    rest = round(1 - val_ratio - test_ratio, 9)
    ratios = (rest if train_ratio is None else train_ratio, val_ratio, test_ratio)
    counts_of(0, ratios)  # a wrong ratio is told before anything is read
    for part, ratio in zip(PARTS, ratios, strict=True):
        if ratio == 0:
            raise InputError(f"{part} would be empty", remedy=f"give --{part}-ratio a share")
    images = image_dir or _images_at_hand(annotation_dir)
    found = read_faces(images, annotation_dir, None)
    report_problems(found.problems)
    faces = found.sound()
    counts = counts_of(len(faces), ratios)
    below = images or Path()
    groups = groups_of(
        faces,
        compare=images is not None,
        also=lambda image: group_key(_below(image, below), group),
    )
    parts = deal(groups, counts, seed)
    _refuse_empty(parts, ratios, len(faces), len(groups))
    for part, members in zip(PARTS, parts, strict=True):
        names = sorted(faces[number].name for number in members)
        write_text(output_dir / f"{part}.txt", "".join(f"{name}\n" for name in names))
    if found.unfinished:
        print(f"left out: {len(found.unfinished)} unfinished faces")
    if images is None:
        print(f"near duplicates were not looked for: no images in {IMAGES}; give --image-dir")
    if tied := [group for group in groups if len(group) > 1]:
        print(
            f"kept together: {sum(map(len, tied))} faces in {len(tied)} groups (one image, near duplicates, a series"
            f"{', --group' if group else ''})"
        )
    sizes = [len(part) for part in parts]
    if sizes != counts:
        wanted = ", ".join(f"{part} {count}" for part, count in zip(PARTS, counts, strict=True))
        print(f"the shares would be {wanted}; they differ because groups are not divided")
    listed = ", ".join(f"{part} {size}" for part, size in zip(PARTS, sizes, strict=True))
    print(f"{len(faces)} faces in {output_dir}: {listed}")
    named = {"--image-dir": images or IMAGES, "--annotation-dir": annotation_dir, "--split-dir": output_dir}
    say_next(["landmark", "train", *(word for pair in named.items() for word in pair)])


def boxes_of(flags: BoxFlags) -> BoxSource | None:
    """Where the boxes of faces come from: a folder of annotations, or what every recipe takes, YOLO's folder too.

    Raises:
        InputError: bad usage, as in `kaname.pipeline.boxes.source_of`.
    """
    from kaname.pipeline.boxes import BoxSource, source_of

    source, folder = source_of(flags, bare=True), flags.boxes
    if folder is None or not folder.is_dir() or (any(folder.rglob("*.txt")) and not any(folder.rglob("*.json"))):
        return source
    return BoxSource(lambda _: annotated_boxes(folder), {"boxes": {"file": folder.name}})


def annotated_boxes(annotations: Path) -> Find:
    """The boxes of the faces that are annotated of an image, which its path's end names.

    Raises:
        InputError: the first problem of the annotations; when asked, an image without an annotation, or with a face
            that has no box and is not finished.
    """
    members: dict[tuple[str, ...], list[FloatArray]] = {}
    nowhere: dict[tuple[str, ...], InputError] = {}
    for one in landmarks.walk(annotations, None):
        if isinstance(one, InputError):
            raise one
        image, face = PurePosixPath(one.annotation.image.replace("\\", "/")).parts, face_of(one)  # of Windows too
        boxes = members.setdefault(image, [])
        if face.box is not None or (one.annotation.finished and (face.visible > 0).any()):
            boxes.append(box_of(face))
            continue
        state = "has no landmark" if one.annotation.finished else "is not finished"
        reason, file = f"a face without a bbox that {state}", annotations / one.name
        remedy = "finish it with `kaname landmark annotate`, or give its bbox"
        nowhere[image] = InputError(reason, path=file if annotations.is_dir() else annotations, remedy=remedy)

    folders = {image[:-1] for image in members}

    def find(source: Path, frame: Frame) -> FloatArray:
        parts = source.resolve().parts
        named = (parts[-count:] for count in range(len(parts), 0, -1) if parts[-count:] in members)
        name = next(named, None)
        if name is None or _is_of_another(source.resolve(), name, folders):
            raise InputError("no annotation of this image", path=source, remedy=f"annotate it, or check {annotations}")
        if name in nowhere:
            raise nowhere[name]
        return np.array(members[name])

    return find


def _is_of_another(image: Path, name: tuple[str, ...], folders: Collection[tuple[str, ...]]) -> bool:
    """Whether an annotation's name, the end of the image's path, is that of an image further up: annotations name the
    image's own folder where they are of it, or the folder of images that is meant lies above."""
    places = image.parts[: -len(name)]
    longer = (place for place in folders if len(place) >= len(name))
    return any(image.parts[-len(place) - 1 : -1] == place for place in longer) or any(
        Path(*places[:count], *name).is_file() for count in range(1, len(places))
    )


def _below(image: Path, folder: Path) -> str:
    """The path of an image in the folder of images, which is what its name is to ``--group``."""
    return (image.relative_to(folder) if image.is_relative_to(folder) else image).as_posix()


def _images_at_hand(annotation_dir: Path) -> Path | None:
    """The usual folder of images, where it holds the annotated ones."""
    usual = Path(IMAGES)
    if not usual.is_dir():
        return None
    missing = any(error.row == "image" for error in read_faces(usual, annotation_dir, None).problems)
    return None if missing else usual


def _refuse_empty(parts: Sequence[Sequence[int]], ratios: Sequence[float], faces: int, groups: int) -> None:
    empty = [part for part, members in zip(PARTS, parts, strict=True) if not members]
    if not empty:
        return
    enough = next((count for count in range(faces, 100_000) if all(counts_of(count, ratios))), None)
    need = f"annotate at least {enough} faces" if enough and enough > faces else "annotate other images"
    tied = f" in {groups} groups that stay together" if groups < faces else ""
    raise InputError(
        f"{' and '.join(empty)} would be empty: {faces} faces{tied}", remedy=f"{need}, or change the ratios"
    )


def _holdings(found: Faces, image_dir: Path) -> list[str]:
    """Lines on the faces, their sizes and points."""
    faces = found.faces
    images = list(dict.fromkeys(face.image for face in faces))
    lines = [f"{len(faces)} finished faces of {len(images)} images, {len(found.unfinished)} unfinished (left out)"]
    if image_dir.is_dir():
        annotated = len({face.image.resolve() for face in faces})
        everything = len(images_below(image_dir))
        lines[0] += f"; {everything - min(everything, annotated)} of {everything} images without a finished face"
    if not faces:
        return lines
    sizes = Counter(face.size for face in faces).most_common()
    shown = ", ".join(f"{width} x {height} ({count})" for (height, width), count in sizes[:3])
    lines.append(f"images: {shown}{f' and {len(sizes) - 3} other sizes' if len(sizes) > 3 else ''}")
    extents = np.array([_extent(face) for face in faces])
    extents = extents[np.isfinite(extents)]
    if len(extents):
        low, middle, high = np.percentile(extents, [0, 50, 100])
        lines.append(f"faces: {low:.0f} to {high:.0f} pixels (median {middle:.0f}; the longer side of their points)")
    visible = np.concatenate([face.visible for face in faces])
    hidden, absent = int((visible == 1).sum()), int((visible == 0).sum())
    share = 100 / max(1, len(visible))
    boxes = sum(face.box is not None for face in faces)
    lines.append(
        f"points: {len(visible)}, hidden {hidden} ({hidden * share:.1f} %), absent {absent} ({absent * share:.1f} %)"
    )
    return [*lines, f"boxes: {boxes} of {len(faces)} faces have one"]


def _extent(face: Face) -> float:
    placed = face.points[face.visible > 0]
    return float(np.ptp(placed, axis=0).max()) if len(placed) else float("nan")


def _tags(images: Sequence[Path]) -> list[str]:
    counts, sidecars = tags_of(images)
    if not sidecars:
        return ["tags: no sidecars of the crawler"]
    common = counts.most_common(SHOWN)
    more = f", and {len(counts) - len(common)} more" if len(counts) > len(common) else ""
    listed = ", ".join(f"{tag} {count}" for tag, count in common)
    series = Counter(key for keys in series_of(images) for key in set(keys))
    tied = sum(count > 1 for count in series.values())
    lines = [f"tags of {sidecars} images with a sidecar: {listed or 'none'}{more}"]
    return lines + ([f"series: {tied}, each on one side of a split"] if tied else [])


def _copies(images: Sequence[Path], problems: list[InputError]) -> list[str]:
    pairs = _noted(problems, lambda: alike(prints(images)))
    known = [f"  {images[one]} and {images[other]} ({bits} of 512 bits differ)" for one, other, bits in pairs[:SHOWN]]
    more = [f"  and {len(pairs) - SHOWN} more"] if len(pairs) > SHOWN else []
    return [f"near duplicates: {len(pairs)} pairs{', each on one side of a split' if pairs else ''}", *known, *more]


def _noted(problems: list[InputError], step: Callable[[], list[Noted]]) -> list[Noted]:
    """What a step lists; where something is wrong nothing, and what is wrong is noted."""
    try:
        return step()
    except InputError as error:
        problems.append(error)
        return []


def _standing(images: int) -> str:
    """Where the set stands against the document's sizes."""
    reached = [name for name, goal in GOALS.items() if images >= goal]
    goals = " / ".join(f"{goal:,}" for goal in GOALS.values())
    following = next(((name, goal) for name, goal in GOALS.items() if images < goal), None)
    at = f"the {reached[-1]} is reached" if reached else "under the minimum"
    ahead = f", {following[1] - images:,} more to the {following[0]}" if following else ""
    return f"{images:,} images against {goals} ({', '.join(GOALS)}): {at}{ahead}"
