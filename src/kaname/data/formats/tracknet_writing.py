"""From samples to the label files of TrackNet's clips."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kaname.data.formats.files import visibility
from kaname.data.formats.tracknet_table import (
    BALL,
    GREATEST,
    LABELS,
    STATUSES,
    VISIBLE,
    Row,
    number_text,
    table_text,
)
from kaname.data.frame_source import frame_in, read_frame
from kaname.data.naming import order
from kaname.errors import InputError
from kaname.files import whole_path, write_text
from kaname.geometry.grid import PIXELS
from kaname.geometry.image import write_image
from kaname.types import Sample

WRITTEN = {0: 0, 1: 3, 2: 1}  # from a sample's visibility to the file's, where its meta does not say


def write_clips(path: Path, samples: Sequence[Sample], *, copy_frames: bool) -> None:
    """What ``tracknet.write`` does; everything is checked before anything is written."""
    if not samples:
        raise InputError("no samples to write", path=path, remedy="a label file has at least one row")
    clips: dict[Path, list[Sample]] = {}
    for sample in samples:
        one = path.suffix.lower() == ".csv"
        labels = path if one else path / _folder(sample, "game") / _folder(sample, "clip") / LABELS
        clips.setdefault(labels, []).append(sample)
    texts = {labels: table_text(_rows(clip, labels)) for labels, clip in clips.items()}
    for labels, clip in clips.items():
        if copy_frames:
            _copy(clip, labels.parent)
        write_text(labels, texts[labels])


def _folder(sample: Sample, key: str) -> str:
    """The folder's name that a sample's game or clip gives."""
    name = sample.meta.get(key)
    if isinstance(name, int) and not isinstance(name, bool):
        return f"{'game' if key == 'game' else 'Clip'}{name}"
    if isinstance(name, str) and name.strip(". ") and not set(name) & set('/\\:*?"<>|\0'):
        return name
    reason = f"nothing says of which {key} it is" if name is None else f"its {key} {name!r} cannot name a folder"
    remedy = f"write one clip to a file that ends in .csv (in Python: set meta[{key!r}], as in game1 and Clip1)"
    raise InputError(reason, path=sample.image, remedy=remedy)


def _rows(clip: Sequence[Sample], labels: Path) -> list[Row]:
    """A clip's rows in the order of its frames' names."""
    ordered = sorted(clip, key=lambda sample: order(sample.image.name))
    for before, after in itertools.pairwise(ordered):
        one, other = before.image.name, after.image.name
        if one == other:
            raise InputError(f"two samples are named {one!r}", path=labels, remedy="rename an image")
        if before.frame is not None and after.frame is not None and before.frame >= after.frame:
            reason = f"{one} is frame {before.frame} and {other} is frame {after.frame}, but rows go by file name"
            raise InputError(reason, path=labels, remedy="name the images in the order of frames")
    return [_row(sample, line) for line, sample in enumerate(ordered, start=2)]


def _row(sample: Sample, line: int) -> Row:
    """One sample's row."""
    visible, index = _ball(sample)
    stated, status = sample.meta.get("visibility"), sample.meta.get("status")
    if stated not in VISIBLE or VISIBLE[stated] != visible:
        stated = WRITTEN[visible]
    if status is not None and status not in STATUSES:
        raise InputError(f"the status {status!r} is not one of {[*STATUSES]}", path=sample.image, remedy="leave it out")
    return Row(line, sample.image.name, int(stated), index, None if status is None else int(status))


def _ball(sample: Sample) -> tuple[int, tuple[float, float] | None]:
    """The visibility (0..2) and the pixel indices of a sample's ball, None at 0."""

    def fault(reason: str, remedy: str) -> InputError:
        return InputError(reason, path=sample.image, remedy=remedy)

    if not sample.points:
        return 0, None
    if BALL not in sample.points:
        raise fault(f"no point named {BALL!r}, only {', '.join(sample.points)}", f"rename the point to {BALL!r}")
    xy = np.asarray(sample.points[BALL], dtype=np.float64).reshape(-1, 2)
    visible = np.asarray(sample.visible.get(BALL, visibility(sample, BALL)))
    if len(xy) > 1 or len(visible) != len(xy):
        raise fault(f"{len(xy)} balls with {len(visible)} visibilities", "the format holds one ball per frame")
    if not len(xy) or visible[0] == 0:
        return 0, None
    if visible[0] not in WRITTEN:
        raise fault(f"the visibility {visible[0]} is not one of 0, 1, 2", "0 is missing, 1 hidden, 2 visible")
    height, width = sample.size or (GREATEST, GREATEST)
    if not ((xy >= 0) & (xy <= (width, height))).all():
        where = "" if sample.size is None else f" outside its frame of {width} x {height}"
        raise fault(f"a ball at ({xy[0, 0]:g}, {xy[0, 1]:g}){where}", "mark a missing ball with visibility 0")
    x, y = PIXELS.to_index(xy[0]).tolist()
    if number_text(x) == number_text(y) == "0":
        raise fault("a ball at pixel (0, 0), which files write where there is none", "move it, or mark it missing")
    return int(visible[0]), (x, y)


def _copy(clip: Sequence[Sample], folder: Path) -> None:
    """The image files of a clip into its folder."""
    for sample in clip:
        target = folder / sample.image.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if frame_in(sample.image) is not None:
                write_image(target, read_frame(sample.image))
            elif not (target.exists() and target.samefile(sample.image)):
                sample.image.open("rb").close()  # what cannot be read is no fault of the place it would go to
                with whole_path(target) as partial:
                    shutil.copyfile(sample.image, partial)
        except OSError as error:
            remedy = "check the image and the folder"
            raise InputError(f"cannot be copied: {error.strerror}", path=sample.image, remedy=remedy) from error
