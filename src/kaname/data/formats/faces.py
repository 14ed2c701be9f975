"""Faces as rows of samples: what the formats that keep a face on its own (JSON of landmarks, ``.pts``) share.

In a sample of M faces ``points[name]`` has M rows and ``boxes`` M or none; a face has one point of each name, in the
order of a skeleton.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.config import nearest
from kaname.data.formats.files import distinct_names, image_size, visibility
from kaname.data.formats.skeleton import Skeleton, find
from kaname.errors import InputError
from kaname.geometry.grid import PIXELS
from kaname.types import FloatArray, Sample, Size

DEFAULT_SKELETON = "anime-face-28"
UNPLACED = -1


@dataclass(frozen=True)
class Face:
    """One face of one image.

    Attributes:
        file: the image's path below the folder of images.
        size: ``(height, width)`` of the image.
        points: ``(N, 2)`` continuous pixels, NaN where absent or not placed.
        visible: ``(N,)``: 0 absent, 1 hidden, 2 seen, -1 not placed yet.
        box: ``(x1, y1, x2, y2)``.
        skeleton: its name.
        finished: whether the face may be used.
        other: further fields of its file.
        name: of its file, where it has one already.
        number: which face of the image, from 1.
    """

    file: str
    size: Size
    points: FloatArray
    visible: NDArray[np.int64]
    box: FloatArray | None = None
    skeleton: str | None = None
    finished: bool = True
    other: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    number: int = 1

    def box_sides(self, digits: int) -> tuple[float, float, float, float] | None:
        """The box as ``(x, y, width, height)``, rounded."""
        if self.box is None:
            return None
        x1, y1, x2, y2 = self.box.tolist()
        x, y, width, height = (round(side, digits) for side in (x1, y1, x2 - x1, y2 - y1))
        return x, y, width, height


def rows_of(box: Sequence[float]) -> FloatArray:
    """``(x1, y1, x2, y2)`` of ``(x, y, width, height)``."""
    x, y, width, height = box
    return np.array([x, y, x + width, y + height], dtype=np.float64)


def named_points(count: int, skeleton: Skeleton | None, stated: str | None = None) -> tuple[str, ...]:
    """What ``count`` points are called: by the skeleton given, by the one that a file states, by the default one where
    the numbers agree, and else by their numbers from 0.

    Raises:
        InputError: a skeleton with another number of points.
    """
    if skeleton is None:
        try:
            skeleton = find(stated or DEFAULT_SKELETON)
        except InputError:
            if stated is None:
                raise
            raise InputError(f"the skeleton {stated!r} is not known", remedy="give its file with --skeleton") from None
        if stated is None and len(skeleton.names) != count:
            return tuple(map(str, range(count)))
    if len(skeleton.names) != count:
        reason = f"{count} points, but the skeleton {skeleton.name!r} has {len(skeleton.names)}"
        raise InputError(reason, remedy="give another --skeleton")
    return skeleton.names


def sample_of(image: Path, faces: Sequence[Face], names: Sequence[str]) -> Sample:
    """The faces of one image as its sample; all of them have a box, or none."""
    boxes = [face.box for face in faces if face.box is not None]
    return Sample(
        image=image,
        points={name: np.array([face.points[place] for face in faces]) for place, name in enumerate(names)},
        visible={
            name: np.array([max(int(face.visible[place]), 0) for face in faces], dtype=np.int64)
            for place, name in enumerate(names)
        },
        size=faces[0].size,
        boxes=np.array(boxes, dtype=np.float64).reshape(-1, 4),
        polygons=[[] for _ in boxes],
        labels=[face.skeleton or "face" for face in faces] if boxes else [],
        meta={
            "file": faces[0].file,
            "files": [face.name for face in faces],
            "skeleton": faces[0].skeleton,
            "finished": [face.finished for face in faces],
            "unplaced": [
                [names[place] for place in np.flatnonzero(face.visible == UNPLACED).tolist()] for face in faces
            ],
            "other": [dict(face.other) for face in faces],
        },
    )


def faces_of(samples: Sequence[Sample], path: Path, skeleton: Skeleton | None, root: Path | None) -> list[Face]:
    """The faces of samples; ``path`` is where they are going, for messages.

    Raises:
        InputError: unknown names, several points of one name in a face, two images of one name.
    """
    files = distinct_names([sample.image for sample in samples], path, root)
    skeleton = skeleton or _fitting(samples)
    names = _order(samples) if skeleton is None else skeleton.names
    faces: list[Face] = []
    for file, sample in zip(files, samples, strict=True):
        unknown = [name for name in sample.points if name not in names]
        if unknown:
            assert skeleton is not None
            reason = f"{sample.image.name!r} has a point {unknown[0]!r}, which {skeleton.name!r} lacks"
            raise InputError(reason, path=path, remedy=nearest(unknown[0], names))
        faces += _faces(sample, file, names, skeleton, path)
    return faces


def _faces(sample: Sample, file: str, names: Sequence[str], skeleton: Skeleton | None, path: Path) -> list[Face]:
    count = len(sample.boxes) or int(any(map(len, sample.points.values())))
    for name, xy in sample.points.items():
        if len(xy) not in (0, count):
            reason = f"{sample.image.name!r} has {len(xy)} points {name!r} and {count} faces"
            raise InputError(
                reason, path=path, remedy="a face has one point of each name, and several faces have boxes"
            )
    drawn = len(sample.boxes) > 1 or (len(sample.boxes) == 1 and not sample.meta.get("extents"))
    size = image_size(sample.image) if sample.size is None else sample.size
    faces: list[Face] = []
    for row in range(count):
        points, visible = np.full((len(names), 2), np.nan), np.zeros(len(names), dtype=np.int64)
        unplaced = _entry(sample, "unplaced", row, ())
        for place, name in enumerate(names):
            if len(sample.points.get(name, ())):
                visible[place] = visibility(sample, name)[row]
            if visible[place] > 0:
                points[place] = sample.points[name][row]
            elif name in unplaced:
                visible[place] = UNPLACED
        faces.append(
            Face(
                file=file,
                size=size,
                points=points,
                visible=visible,
                box=_area_of(np.asarray(sample.boxes[row], np.float64), points, several=count > 1) if drawn else None,
                skeleton=skeleton.name if skeleton else None,
                finished=_entry(sample, "finished", row, True),
                other=_entry(sample, "other", row, {}),
                name=_entry(sample, "files", row, None),
                number=row + 1,
            )
        )
    return faces


def _area_of(box: FloatArray, points: FloatArray, *, several: bool) -> FloatArray | None:
    """The box of a face; of one without an area, as tools write that know no boxes, none, or among several faces the
    pixels round the points."""
    there = points[np.isfinite(points).all(axis=1)]
    if (box[2:] > box[:2]).all():
        return box
    if not several or not len(there):
        return None
    return np.concatenate([PIXELS.to_index(there).min(axis=0), PIXELS.from_index(there).max(axis=0)])


def _entry(sample: Sample, key: str, row: int, default: Any) -> Any:
    """What the sample's meta says of one face."""
    entries = sample.meta.get(key, ())
    return entries[row] if row < len(entries) else default


def _fitting(samples: Sequence[Sample]) -> Skeleton | None:
    """The default skeleton, where it has every name of the samples."""
    default = find(DEFAULT_SKELETON)
    used = {name for sample in samples for name in sample.points}
    return default if used <= set(default.names) else None


def _order(samples: Sequence[Sample]) -> tuple[str, ...]:
    """The names of samples: numbers in their order, others as they come."""
    names = tuple(dict.fromkeys(name for sample in samples for name in sample.points))
    return tuple(sorted(names, key=int)) if all(name.isdecimal() for name in names) else names
