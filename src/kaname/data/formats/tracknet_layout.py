"""Where the clips of a data set lie: the original's folders and those of TrackNetV2 and V3.

The original: ``game1/Clip1/0000.jpg`` and ``game1/Clip1/Label.csv``. What a folder holds makes it a game or a clip, not
its name: a folder with frames or a label file is a clip, a folder of clips is a game, a folder of games is a data set.

TrackNetV2 and V3: ``match1/csv/1_01_00_ball.csv`` for the frames ``match1/frame/1_01_00/0.png``, or where there is no
such folder for the video ``match1/video/1_01_00.mp4``; a match is a game and each rally a clip.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kaname.data.formats.tracknet_table import LABELS
from kaname.data.naming import IMAGE_ENDINGS, VIDEO_ENDINGS, order
from kaname.errors import InputError, refuse_names

BALL_ENDING = "_ball.csv"  # of a rally's label file
TABLES, FRAMES, VIDEOS = "csv", "frame", "video"  # folders of a match
RUN = ("config.yaml", "parameters.json")  # in the folder of a run
RECORDS = (".kaname-predict.json", ".kaname-draw.json", ".kaname-evaluate.json")  # beside results
LISTED = 5  # names in a message
_FOREIGN = re.compile(r"^\.|^__MACOSX$|^Thumbs\.db$|^desktop\.ini$")  # what operating systems leave there
_LAYOUT = (
    "a data set is game1/Clip1/0000.jpg and game1/Clip1/Label.csv, or match1/csv/NAME_ball.csv and match1/frame/NAME "
    "or match1/video/NAME.mp4"
)


@dataclass(frozen=True)
class Clip:
    """Where one clip lies: its game's and its own name, its label file and the folder of its frames, or its video."""

    game: str
    name: str
    labels: Path
    frames: Path


def find_clips(path: Path, images: Path | None) -> Iterator[Clip | InputError]:
    """The clips of a label file, a clip, a game or a data set, in order of names, or what is wrong with a folder."""
    if path.is_file():
        yield _of_file(path, images)
        return
    if not path.is_dir():
        yield InputError("neither a label file nor a folder", path=path, remedy="check the path")
        return
    if images is not None and not images.is_dir():
        yield InputError("the folder of images does not exist", path=images, remedy="check the path")
        return
    if _is_match(path.parent) and _name(path) == TABLES:
        path = path.parent
    if _is_match(path):
        yield from _of_match(path, images, _name(path))
        return
    if _is_clip(path):
        yield _clip(path, images or path, _name(path / ".."))
        return
    inside = _folders(path)
    if not inside:
        yield InputError(f"no clip here: no frames, no {LABELS}, no folders", path=path, remedy=_LAYOUT)
    for folder in inside:
        if _is_match(folder):
            yield from _of_match(folder, None if images is None else images / folder.name, folder.name)
            continue
        if _is_clip(folder):
            yield _clip(folder, folder if images is None else images / folder.name, _name(path))
            continue
        below = _folders(folder)
        if not below:
            yield InputError("neither a game nor a clip", path=folder, remedy=f"move it elsewhere; {_LAYOUT}")
        for one in below:
            if _is_match(one):  # train/match1, test/match1
                frames = None if images is None else images / folder.name / one.name
                yield from _of_match(one, frames, f"{folder.name}_{one.name}")
                continue
            yield _clip(one, one if images is None else images / folder.name / one.name, folder.name)


def _is_match(folder: Path) -> bool:
    """Whether a folder is a match as TrackNetV2 has it."""
    return any((folder / TABLES).glob(f"*{BALL_ENDING}"))


def _of_file(path: Path, images: Path | None) -> Clip:
    folder = path.parent
    rally = path.name[: -len(BALL_ENDING)] if path.name.lower().endswith(BALL_ENDING) else ""
    if rally and folder.name == TABLES:
        frames = folder.parent / FRAMES / rally if images is None else images
        if images is None and not frames.is_dir():
            frames = _videos(folder.parent / VIDEOS).get(rally, frames)
        return Clip(_name(folder / ".."), rally, path, frames)
    if rally:
        return Clip(_name(folder), rally, path, images or _videos(folder).get(rally, folder))
    return Clip(_name(folder / ".."), _name(folder), path, images or folder)


def _of_match(folder: Path, images: Path | None, game: str) -> Iterator[Clip | InputError]:
    """The rallies of a match; ``images``: the folder of their folders of frames, or of their videos."""
    tables = [path for path in _inside(folder / TABLES) if path.name.lower().endswith(BALL_ENDING)]
    names = [path.name[: -len(BALL_ENDING)] for path in tables]
    place = folder / FRAMES if images is None else images
    there = {path.name: path for path in (_folders(place) if place.is_dir() else ())}
    if not there.keys() >= set(names):
        try:
            there = {**_videos(folder / VIDEOS if images is None else images), **there}
        except InputError as error:
            yield error
            return
    for name, path in zip(names, tables, strict=True):
        yield Clip(game, name, path, there.get(name, place / name))
    for name, other in there.items():
        if name not in names:
            remedy = f"label them, or move them elsewhere; looked for {folder / TABLES / (name + BALL_ENDING)}"
            yield InputError("frames without labels", path=other, remedy=remedy)


def _videos(folder: Path) -> dict[str, Path]:
    """The videos in a folder, by the names of their rallies.

    Raises:
        InputError: two of one name.
    """
    found: dict[str, Path] = {}
    for path in _inside(folder) if folder.is_dir() else ():
        if path.suffix.lower() in VIDEO_ENDINGS and path.is_file():
            other = found.setdefault(path.stem, path)
            if other != path:
                raise InputError(f"{other.name} has its name too", path=path, remedy="keep the one that was labelled")
    return found


def _clip(folder: Path, frames: Path, game: str) -> Clip | InputError:
    """A folder as a clip, or why it is not one."""
    tables = [path for path in _inside(folder) if path.suffix.lower() == ".csv"]
    labels = [path for path in tables if path.name.lower() == LABELS.lower()]
    if len(labels) == 1:
        return Clip(game, _name(folder), labels[0], frames)
    if labels:
        names = ", ".join(path.name for path in labels)
        return InputError(f"{len(labels)} label files: {names}", path=folder, remedy="keep one of them")
    others = [path.name for path in tables]
    if others:
        return InputError(f"no {LABELS}, only {some(others)}", path=folder, remedy=f"rename it to {LABELS}")
    if frames_in(folder):
        return InputError(f"no {LABELS} beside the frames", path=folder, remedy="label the clip, or move it elsewhere")
    deeper = any(map(_is_clip, _folders(folder)))
    remedy = f"the data set is {folder.parent}" if deeper else f"move it elsewhere; {_LAYOUT}"
    return InputError(f"neither frames nor {LABELS}", path=folder, remedy=remedy)


def _name(folder: Path) -> str:
    """A folder's name, also where the path is ``.`` or ends in ``..``."""
    return Path(os.path.abspath(folder)).name


def _is_clip(folder: Path) -> bool:
    return any(path.suffix.lower() in (".csv", *IMAGE_ENDINGS) for path in _inside(folder))


def _folders(folder: Path) -> list[Path]:
    return [path for path in _inside(folder) if path.is_dir() and not _is_made(path)]


def _is_made(folder: Path) -> bool:
    """Whether kaname wrote this folder (a run, predictions, pictures, figures), or all the folders in it: where the
    data is the working folder, such folders lie in it, with tables and pictures of their own."""
    if any(path.name.lower() == LABELS.lower() for path in _inside(folder)):
        return False
    if all((folder / name).is_file() for name in RUN) or any((folder / name).is_file() for name in RECORDS):
        return True
    inside = [path for path in _inside(folder) if path.is_dir()]
    return bool(inside) and not frames_in(folder) and all(map(_is_made, inside))


def frames_in(folder: Path) -> list[Path]:
    """The images of a folder, in the order of names."""
    return [path for path in _inside(folder) if path.suffix.lower() in IMAGE_ENDINGS]


def _inside(folder: Path) -> list[Path]:
    """What lies in a folder, in the order of names, without what operating systems leave there."""
    try:
        inside = [path for path in folder.iterdir() if not _FOREIGN.match(path.name)]
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=folder, remedy="check its permissions") from error
    refuse_names(inside)
    return sorted(inside, key=lambda path: order(path.name))


def some(names: Sequence[str]) -> str:
    """The first names of many, for messages."""
    return ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")
