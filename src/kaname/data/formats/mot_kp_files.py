"""Files and frames of MOT-KP's two layouts: ``VIDEO.txt`` for a video, or ``VIDEO_frame_ID.txt`` for a frame."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kaname.data.formats.files import IMAGE_ENDINGS
from kaname.errors import InputError

PREDICTED = "_pred"  # ending of a predictions' file name
FOREIGN = "SYNAPSE_"  # the download tool's own files begin with it
ENDING = ".txt"
_FRAME = re.compile(r"(.+)_frame_([0-9]{1,15})", re.DOTALL)

Frames = Mapping[tuple[str, int], Path]


@dataclass(frozen=True)
class LabelFile:
    """A label file: its video, and the frame where it is of one alone."""

    path: Path
    video: str
    frame: int | None = None


def frame_of(name: str) -> tuple[str, int] | None:
    """The video and the number that a frame's name states.

    >>> frame_of("A36O_frame_1798")
    ('A36O', 1798)
    >>> frame_of("A36O") is None
    True
    """
    match = _FRAME.fullmatch(name)
    return (match[1], int(match[2])) if match else None


def frame_name(video: str, frame: int) -> str:
    """How a frame's files are called, without their ending."""
    return f"{video}_frame_{frame}"


def label_file(path: Path) -> LabelFile:
    """What the name of a label file says."""
    frame = frame_of(path.stem)
    return LabelFile(path, path.stem.removesuffix(PREDICTED)) if frame is None else LabelFile(path, *frame)


def label_files(path: Path) -> list[LabelFile]:
    """The label files of a folder (not below it) in the order of videos and frames, or the one file.

    Raises:
        InputError: nothing there, a folder without label files, or two files of one frame.
    """
    if path.is_file():
        return [label_file(path)]
    if not path.is_dir():
        raise InputError("neither a label file nor a folder", path=path, remedy="check the path")
    inside = [one for one in path.iterdir() if one.suffix.lower() == ENDING and one.is_file()]
    files = [label_file(one) for one in inside if not one.name.startswith((".", FOREIGN))]
    if not files:
        remedy = f"labels are VIDEO{ENDING} or VIDEO_frame_NUMBER{ENDING}"
        raise InputError("no label file in this folder", path=path, remedy=remedy)
    files.sort(key=lambda file: (file.video, -1 if file.frame is None else file.frame, file.path.name))
    whole = {file.video: file for file in files if file.frame is None}
    seen: dict[tuple[str, int | None], LabelFile] = {}
    for file in files:
        other = seen.setdefault((file.video, file.frame), file)
        other = whole.get(file.video, other) if file.frame is not None else other
        if other is not file:
            raise InputError(f"labels of a frame that {other.path.name} holds as well", path=file.path,
                             remedy="keep one of the files")  # fmt: skip
    return files


def frame_images(folder: Path) -> dict[tuple[str, int], Path]:
    """The images ``VIDEO_frame_ID`` of a folder and of the folders in it, by video and frame.

    Raises:
        InputError: no such folder, or two images of one frame.
    """
    if not folder.is_dir():
        raise InputError("the folder of images does not exist", path=folder, remedy="check the path")
    found: dict[tuple[str, int], Path] = {}
    inside = list(folder.iterdir())
    for path in sorted([*inside, *(one for place in inside if place.is_dir() for one in place.iterdir())]):
        frame = frame_of(path.stem) if path.suffix.lower() in IMAGE_ENDINGS and path.name[0] != "." else None
        if frame is None:
            continue
        if frame in found:
            raise InputError(f"the image of a frame that {found[frame]} shows as well", path=path,
                             remedy="keep one of them")  # fmt: skip
        found[frame] = path
    return found


def beside(path: Path) -> Path | None:
    """Where the images of a label file or folder lie if nobody says: next to it, or in ``frames`` as in the layout."""
    folder = path if path.is_dir() else path.parent
    for place in (folder.parent / "frames", folder):
        if place.is_dir() and frame_images(place):
            return place
    return None


def frames_without_file(files: Sequence[LabelFile], images: Frames) -> list[tuple[str, int]]:
    """The frames with an image whose video has neither a file of its own nor one for that frame."""
    whole = {file.video for file in files if file.frame is None}
    single = {(file.video, file.frame) for file in files}
    return sorted(frame for frame in images if frame[0] not in whole and frame not in single)


def neighbours(image: Path, video: str, numbers: Sequence[int]) -> dict[int, Path]:
    """The images of frames with these numbers that lie beside an image, also with as many digits as it has."""
    digits = len(image.stem) - len(frame_name(video, 0)) + 1
    names = {f"{video}_frame_{text}{image.suffix}": one for one in numbers for text in (str(one), f"{one:0{digits}}")}
    return {number: path for name, number in names.items() if (path := image.with_name(name)).is_file()}
