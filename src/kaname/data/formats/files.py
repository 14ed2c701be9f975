"""The files that formats deal with: JSON that is whole or not there, and images found by the names in labels."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kaname.errors import InputError
from kaname.geometry.image import image_size  # noqa: F401 (formats find it beside what else they need of files)

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_GREATEST = 1e12


def read_json(path: Path) -> Any:
    """The content of a UTF-8 JSON file.

    Raises:
        InputError: no such file, not UTF-8, or not JSON (with the line).
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 text (byte {error.start})", path=path, remedy="save it as UTF-8") from error
    except json.JSONDecodeError as error:
        reason = "the file is empty" if not error.doc.strip() else f"not JSON: {error.msg} (column {error.colno})"
        raise InputError(reason, path=path, row=error.lineno, remedy="write it again as JSON") from error
    except (RecursionError, ValueError) as error:  # brackets without end, numbers of thousands of digits
        raise InputError("not a label file", path=path, remedy="export the labels again") from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path, remedy="check the path") from error


def write_json(path: Path, content: Any) -> None:
    """Write UTF-8 JSON; under its final name the file is whole or not there."""
    try:
        text = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False)
    except ValueError as error:
        raise InputError("a coordinate is NaN or infinite", path=path, remedy="leave missing points out") from error
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text; under its final name the file is whole or not there."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(text, encoding="utf-8")
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", path=path, remedy="check folder and disk") from error


def make_folder(folder: Path) -> None:
    """A folder to write into, or an :class:`InputError` that says why it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be made ({error.strerror})", path=folder, remedy="choose another folder") from error


def images_in(folder: Path) -> tuple[list[Path], list[str]]:
    """The images right in a folder by their endings, sorted, and the names of the other files; hidden ones are none."""
    visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    images = [path for path in visible if path.suffix.lower() in IMAGE_ENDINGS]
    return images, [path.name for path in visible if path.is_file() and path.suffix.lower() not in IMAGE_ENDINGS]


def distinct_names(images: Sequence[Path], path: Path) -> list[str]:
    """What a label file calls its images: by their names, where two share one by their paths below a common folder.

    >>> distinct_names([Path("a/1.jpg"), Path("b/2.jpg")], Path("x.json"))
    ['1.jpg', '2.jpg']
    >>> distinct_names([Path("set/a/1.jpg"), Path("set/b/1.jpg")], Path("x.json"))
    ['a/1.jpg', 'b/1.jpg']

    Raises:
        InputError: one image stands twice; ``path`` is the file that would say so.
    """
    names = [image.name for image in images]
    if len(set(names)) < len(names):
        whole = [Path(os.path.abspath(image)) for image in images]
        common = os.path.commonpath([image.parent for image in whole])
        names = [image.relative_to(common).as_posix() for image in whole]
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"two samples are of the image {name!r}", path=path, remedy="keep one of them")
    return names


class Folder:
    """The images below a folder, found by names as labels write them.

    A name is looked for as it is, then (where that is unique) regardless of Unicode composition, and as upload tools
    would have written the name of a file: spaces as ``_``, brackets and the like dropped.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise InputError("the folder of images does not exist", path=path, remedy="check the path")
        self.path = path
        self._written: dict[str, set[Path]] | None = None  # from how a file may be written to the file

    def find(self, names: Iterable[str]) -> Path | None:
        """The first of these names, each relative to the folder, that is a file; None where none is."""
        tried = [name for name in names if name and ".." not in name.split("/")]
        for name in tried:
            if self._is_file(self.path / name):
                return self.path / name
        if self._written is None:
            self._written = {}
            for path in self.path.iterdir():
                for written in (_composed(path.name), _uploaded(path.name)):
                    self._written.setdefault(written, set()).add(path)
        for name in tried:
            found = self._written.get(_composed(name.rsplit("/", 1)[-1]), set())
            if len(found) == 1:
                return next(iter(found))
        return None

    @staticmethod
    def _is_file(path: Path) -> bool:
        try:
            return path.is_file()
        except (OSError, ValueError):  # a name too long for the disk, or with a zero byte, is no file
            return False


def _composed(name: str) -> str:
    """The name with accents and voicing marks as part of their letters; some file systems take them apart."""
    return unicodedata.normalize("NFC", name)


def _uploaded(name: str) -> str:
    """The name as an upload tool may change it."""
    return re.sub(r"[^-\w.]", "", _composed(name).strip().replace(" ", "_"))


def tails(name: str) -> list[str]:
    """A path and all its ends: ``a/b/c.jpg`` gives itself, ``b/c.jpg`` and ``c.jpg``."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    return ["/".join(parts[start:]) for start in range(len(parts))]


def is_number(value: object) -> bool:
    """Whether a value of JSON is a number that can be a coordinate (``true``, ``NaN`` and ``Infinity`` are none)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _GREATEST
