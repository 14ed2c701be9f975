"""What the formats share: files that are whole or not there, images found by the names in labels, samples checked."""

from __future__ import annotations

import filecmp
import functools
import io
import itertools
import json
import math
import os
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kaname.data.naming import IMAGE_ENDINGS, images_in
from kaname.errors import InputError, refuse_names
from kaname.files import whole_file, write_text, writing
from kaname.geometry.image import QUARTER_TURNS, exif_orientation, image_size  # noqa: F401 (for the formats)
from kaname.types import Sample, Size

Found = TypeVar("Found")

AT_ONCE = 1 << 20  # characters that are read in one go
GREATEST = 1e12  # of a coordinate


def read_text(path: Path) -> str:
    """The content of a UTF-8 file, without a byte order mark and with every line end as LF.

    Raises:
        InputError: no such file, or not UTF-8 (with the byte).
    """
    try:
        try:
            return _text(path)
        except UnicodeDecodeError:
            return path.read_text(encoding="utf-8-sig")  # says which byte of the whole it is
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 text (byte {error.start})", path=path, remedy="save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path, remedy="check the path") from error


def _text(path: Path) -> str:
    """The whole text of a file, which is never in memory as bytes too."""
    with path.open(encoding="utf-8-sig") as file:
        text = io.StringIO()
        shutil.copyfileobj(file, text, AT_ONCE)
        return text.getvalue()


def read_json(path: Path) -> Any:
    """The content of a UTF-8 JSON file.

    Raises:
        InputError: no such file, not UTF-8, or not JSON (with the line).
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        reason = f"not JSON: {error.msg} (column {error.colno})" if text.strip() else "the file is empty"
        raise InputError(reason, path=path, row=error.lineno, remedy="write it again as JSON") from error
    except (RecursionError, ValueError) as error:  # endless brackets, numbers with thousands of digits
        raise InputError("not a label file", path=path, remedy="export the labels again") from error


def write_json(path: Path, content: Any, *, tables: bool = False) -> None:
    """Write UTF-8 JSON, whole or not at all; missing folders are made.

    Args:
        path: the file.
        content: of it.
        tables: whether it is an object of lists, each entry of which has a line: json indents by Python alone, which
            takes minutes for the instances of a large COCO file.
    """
    write_text(path, (_in_lines(path, content) if tables else _json(path, content)) + "\n")


def write_listed(path: Path, rows: Iterable[Any], key: str = "", head: Mapping[str, Any] | None = None) -> None:
    """Write what `write_json` writes of ``[*rows]``, or with a ``key`` of ``{**head, key: [*rows]}``, row by row: those
    of a long video need not be in memory together.

    Nothing is made before there is a first row.
    """
    rows = iter(rows)
    first = list(itertools.islice(rows, 1))
    opening, closing = (_json(path, {**(head or {}), key: []})[:-3], "]\n}\n") if key else ("[", "]\n")
    margin = "\n  " if key else "\n "
    with whole_file(path, parents=True) as file:
        file.write(opening)
        for number, row in enumerate(itertools.chain(first, rows)):
            file.write(("," if number else "") + margin + _json(path, row).replace("\n", margin))
        file.write((margin[:-1] if first else "") + closing)


def _json(path: Path, content: Any, indent: int | None = 1) -> str:
    try:
        return json.dumps(content, ensure_ascii=False, indent=indent, allow_nan=False)
    except ValueError as error:
        raise InputError("a coordinate is NaN or infinite", path=path, remedy="leave missing points out") from error


def _in_lines(path: Path, content: Mapping[str, Any]) -> str:
    encode = functools.partial(_json, path, indent=None)
    lines = {
        name: "[\n" + ",\n".join(map(encode, table)) + "\n]" if table and isinstance(table, list) else encode(table)
        for name, table in content.items()
    }
    return "{\n" + ",\n".join(f"{encode(name)}: {text}" for name, text in lines.items()) + "\n}"


def make_folder(folder: Path) -> None:
    """A folder to write into, or an :class:`InputError` that says why it cannot be made."""
    with writing(folder, reason="cannot be made", remedy="choose another folder"):
        folder.mkdir(parents=True, exist_ok=True)


def files_below(folder: Path, endings: tuple[str, ...], missing: str) -> list[str]:
    """The files of a folder and its sub-folders by their endings (in small letters), as sorted paths relative to it;
    hidden ones are left out.

    Raises:
        InputError: no such folder (``missing`` says so), or it or one in it cannot be read.
    """
    if not folder.is_dir():
        raise InputError(missing, path=folder, remedy="check the path")
    found: list[str] = []
    walked: set[str] = set()  # links may lead in a circle
    for place, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        if os.path.realpath(place) in walked:
            folders.clear()
            continue
        walked.add(os.path.realpath(place))
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        here = Path(place).relative_to(folder)
        names = [one for one in files if not one.startswith(".") and one.lower().endswith(endings)]
        found += [(here / one).as_posix() for one in names]
        refuse_names(here / one for one in names)
    return sorted(found)


def _refuse(error: OSError) -> None:
    raise InputError(
        f"cannot be read: {error.strerror}", path=error.filename, remedy="check its permissions"
    ) from error


def image_files(folder: Path) -> list[Path]:
    """The images directly in a folder, sorted by name.

    Raises:
        InputError: the folder is missing or holds no image.
    """
    if not folder.is_dir():
        raise InputError("the image folder does not exist", path=folder, remedy="check the path")
    files = images_in(folder)[0]
    if not files:
        raise InputError("no image in this folder", path=folder, remedy=f"put {', '.join(IMAGE_ENDINGS)} files there")
    return files


def distinct_names(images: Sequence[Path], path: Path, root: Path | None = None) -> list[str]:
    """How a label file names its images: by file name, or by path below a common folder where two share a name.

    >>> distinct_names([Path("a/1.jpg"), Path("b/2.jpg")], Path("x.json"))
    ['1.jpg', '2.jpg']
    >>> distinct_names([Path("set/a/1.jpg"), Path("set/b/1.jpg")], Path("x.json"))
    ['a/1.jpg', 'b/1.jpg']
    >>> distinct_names([Path("set/a/1.jpg"), Path("set/2.jpg")], Path("x.json"), Path("set"))
    ['a/1.jpg', '2.jpg']

    Args:
        images: the files.
        path: the label file, for the message.
        root: the folder of the images: those below it are called by their paths in it.

    Raises:
        InputError: an image appears twice.
    """
    whole = [Path(os.path.abspath(image)) for image in images]
    names = [image.name for image in images]
    if root is not None and all(image.is_relative_to(os.path.abspath(root)) for image in whole):
        names = [image.relative_to(os.path.abspath(root)).as_posix() for image in whole]
    elif len(set(names)) < len(names):
        common = os.path.commonpath([image.parent for image in whole])
        names = [image.relative_to(common).as_posix() for image in whole]
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"two samples have the image {name!r}", path=path, remedy="keep one of them")
    return names


class Folder:
    """The images below a folder, found by names as labels write them.

    A name is looked for as it is, then regardless of Unicode composition, and as upload tools would have written the
    name of a file: spaces as ``_``, brackets and the like dropped.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise InputError("the folder of images does not exist", path=path, remedy="check the path")
        self.path = path
        self._written: dict[str, set[Path]] | None = None  # from how a name may be written to the files
        self._folders: dict[Path, bool] = {}  # whether each exists

    def find(self, names: Iterable[str]) -> Path | None:
        """The first of these names, each relative to the folder, that is a file; None if there is none.

        Raises:
            InputError: two files may be meant; both are named.
        """
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
            written_so = self._written.get(_composed(name.rsplit("/", 1)[-1]), set())
            if len(written_so) == 1:
                return next(iter(written_so))
            if written_so:
                several = " or ".join(sorted(repr(path.name) for path in written_so))
                raise InputError(f"{name!r} may be {several}", remedy="rename the one that is not meant")
        return None

    def elsewhere(self, source: str, found: Path) -> Path | None:
        """The file that a path with folders names more exactly than the one that was found, where there is one: from
        a folder above this one, and with other content (else it is a copy).

        >>> Folder(Path(".")).elsewhere("a.jpg", Path("a.jpg")) is None
        True
        """
        above, names = (self.path.absolute(), *self.path.absolute().parents), tails(source)
        for name in names[: len(names) - depth(source, found)]:
            for place in above if "/" in name else ():
                folder = place / name.rpartition("/")[0]
                if folder not in self._folders:
                    self._folders[folder] = folder.is_dir()
                other = place / name
                if self._folders[folder] and self._is_file(other) and not same_content(other, found):
                    return other
        return None

    @staticmethod
    def _is_file(path: Path) -> bool:
        try:
            return path.is_file()
        except (OSError, ValueError):  # a name that is too long for the disk or holds a zero byte
            return False


def alike(name: str, other: str) -> bool:
    """Whether two names are one, as far as upload tools and file systems change names."""
    return _composed(name) == _composed(other) or _uploaded(name) == _uploaded(other)


def depth(source: str, image: Path) -> int:
    """How many parts a path and that of a file have in common at their ends; 0 where even their names differ."""
    pairs = zip(
        reversed(tails(source)[0].split("/") if tails(source) else ()), reversed(image.absolute().parts), strict=False
    )
    return sum(1 for _ in itertools.takewhile(lambda pair: alike(*pair), pairs))


def same_content(path: Path, other: Path) -> bool:
    """Whether two files are one, or copies; also where that cannot be told."""
    try:
        return path.samefile(other) or filecmp.cmp(path, other, shallow=False)
    except OSError:
        return True


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


def size_remedy(image: Path, stated: Size, true: Size) -> str:
    """What to do about an image of another size than was annotated: it may be the same one, turned by EXIF."""
    turned = exif_orientation(image)
    if stated == true[::-1] and turned in QUARTER_TURNS:
        same = f"it is the same image: that is its size without the rotation that its EXIF block states ({turned})"
        return f"{same}; annotate it upright, or turn its pixels and its labels and remove the EXIF orientation"
    return "put the image that was annotated there"


def is_number(value: object) -> bool:
    """Whether a value of JSON is a number that can be a coordinate; ``true``, ``NaN`` and ``Infinity`` cannot."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < GREATEST


def are_numbers(values: Any) -> bool:
    """Whether values of JSON are a list of numbers as `is_number` has them; a large file has millions."""
    if not isinstance(values, list) or not set(map(type, values)) <= {int, float}:
        return False
    return max(map(abs, values), default=0) < GREATEST and math.isfinite(sum(values))  # a NaN may pass the first


def shortened(value: object) -> str:
    """A value as Python shows it, for messages: at most 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def sound(read: Iterable[Found | InputError]) -> list[Found]:
    """What was read; raises the first fault in it."""
    return list(each_sound(read))


def each_sound(read: Iterable[Found | InputError]) -> Iterator[Found]:
    """What is read, one at a time; raises the first fault in it."""
    for item in read:
        if isinstance(item, InputError):
            raise item
        yield item


def faults(read: Iterable[object]) -> list[InputError]:
    """Every fault in what was read."""
    return [item for item in read if isinstance(item, InputError)]


def visibility(sample: Sample, name: str) -> NDArray[np.int64]:
    """For each point of a name 0, 1 or 2; 2 where the sample does not say, 0 where a coordinate is NaN."""
    xy = np.asarray(sample.points[name])
    visible = np.asarray(sample.visible.get(name, np.full(len(xy), 2)), dtype=np.int64)
    return np.where(np.isnan(xy).any(axis=1), 0, visible)


def labels_of_boxes(sample: Sample, path: Path) -> list[str]:
    """A label for each box, ``object`` where the sample has none; ``path`` is for the message."""
    labels = list(sample.labels) or ["object"] * len(sample.boxes)
    if len(labels) != len(sample.boxes):
        counts = f"{len(sample.boxes)} boxes and {len(labels)} labels"
        raise InputError(f"{sample.image.name!r} has {counts}", path=path, remedy="give each box one label")
    return labels
