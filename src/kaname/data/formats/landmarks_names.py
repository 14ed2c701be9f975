"""Which file an annotated face has, and which faces a folder holds: files are found by what they say inside."""

from __future__ import annotations

import contextlib
import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

from kaname.data.formats.files import IMAGE_ENDINGS, files_below, read_json
from kaname.data.formats.landmarks_file import Annotation, is_sidecar, read_annotation
from kaname.errors import InputError

_STEM, _FOLDERS, _NAME, _PRINT = range(4)  # a file's name: the image's stem, with its folders, its ending, a print
_FACE = re.compile(r"\.face([2-9]|[1-9][0-9]+)$")


def images_below(folder: Path) -> list[str]:
    """The images of a folder and its sub-folders, as sorted paths relative to it; hidden ones are left out.

    Raises:
        InputError: no such folder.
    """
    return files_below(folder, IMAGE_ENDINGS, "the folder of images does not exist")


def annotation_names(folder: Path) -> list[str]:
    """The ``.json`` files of a folder and its sub-folders, likewise; sidecars of the crawler are among them.

    Raises:
        InputError: no such folder.
    """
    return files_below(folder, (".json",), "the folder of annotations does not exist")


def read_folder(folder: Path) -> dict[str, Annotation | InputError]:
    """Every annotated face of a folder by the name of its file, or what is wrong with the file; sidecars are not.

    Raises:
        InputError: no such folder.
    """
    found: dict[str, Annotation | InputError] = {}
    for name in annotation_names(folder):
        try:
            content = read_json(folder / name)
            if not is_sidecar(content):
                found[name] = read_annotation(folder / name, content=content)
        except InputError as error:
            found[name] = error
    return found


class ImageFolder:
    """The images below a folder, found by the paths that annotations state.

    A path counts as it is, then regardless of how its accents are composed, then with the ``\\`` of Windows between
    folders; a file of the same name in another folder is another image.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise InputError("the folder of images does not exist", path=path, remedy="check the path")
        self.path = path
        self._names: dict[str, str] | None = None

    def find(self, image: str) -> Path | None:
        """The file of a relative path; None if there is none."""
        with contextlib.suppress(OSError, ValueError):  # a name that is too long for the disk
            if (self.path / image).is_file():
                return self.path / image
        known, name = self._known(), _composed(image)
        found = known.get(name) or known.get(PurePosixPath(name.replace("\\", "/")).as_posix())
        return None if found is None else self.path / found

    def remedy(self, image: str) -> str:
        """What to do about an image that was not found: images of its name in other folders are named."""
        name = PurePosixPath(_composed(image).replace("\\", "/")).name.casefold()
        others = [one for key, one in self._known().items() if PurePosixPath(key).name.casefold() == name]
        return f"did you mean {' or '.join(map(repr, others[:3]))}?" if others else f"it is not in {self.path}"

    def _known(self) -> dict[str, str]:
        if self._names is None:
            self._names = {_composed(one): one for one in images_below(self.path)}
        return self._names


def _composed(path: str) -> str:
    return unicodedata.normalize("NFC", path)


def face_of(name: str) -> int:
    """Which face of its image a file is of, by its name.

    >>> face_of("a.json"), face_of("a.face3.json")
    (1, 3)
    """
    match = _FACE.search(name.removesuffix(".json"))
    return int(match[1]) if match else 1


def file_name(image: str, images: Iterable[str], face: int = 1, *, taken: Collection[str] = ()) -> str:
    """The name of the file of a new annotation.

    It is the image's stem; where two images share one, their folders and then the endings join it. A face after the
    first adds its number.

    >>> file_name("furry/a.png", ["a.png", "furry/a.png"]), file_name("b.png", ["b.jpg", "b.png"], face=2)
    ('furry__a.json', 'b.png.face2.json')

    Args:
        image: relative path of the image.
        images: all images of the folder.
        face: from 1.
        taken: names that files of other images have already (of an earlier state of the folder).
    """
    mine = PurePosixPath(image).as_posix()
    level = _levels((*images, image))[mine]
    others = {one.casefold() for one in taken}
    while (name := face_file(_called(mine, level), face)).casefold() in others and level < _PRINT:
        level += 1
    return name


def file_stems(images: Iterable[str]) -> dict[str, str]:
    """What the files of all these images are called by `file_name`, without the number of a face and ``.json``."""
    return {image: _called(image, level) for image, level in _levels(images).items()}


def face_file(stem: str, face: int = 1, ending: str = ".json") -> str:
    """The file of a face of the image that goes by ``stem``.

    >>> face_file("a"), face_file("a", 2)
    ('a.json', 'a.face2.json')
    """
    return f"{stem}.face{face}{ending}" if face > 1 else f"{stem}{ending}"


def _levels(images: Iterable[str]) -> dict[str, int]:
    """How much of each path its file's name holds, so that no two names are the same."""
    everyone = sorted({PurePosixPath(one).as_posix() for one in images})
    level = {one: _NAME if _FACE.search(PurePosixPath(one).stem) else _STEM for one in everyone}
    while True:
        owners: defaultdict[str, list[str]] = defaultdict(list)
        for one in everyone:
            owners[_called(one, level[one]).casefold()].append(one)  # some disks ignore case
        crowded = [one for one in owners.values() if len(one) > 1]
        if not crowded:
            return level
        for group in crowded:  # those that say least of themselves say more
            least = min(level[one] for one in group)
            level |= {one: least + 1 for one in group if level[one] == least}


def _called(image: str, level: int) -> str:
    """The image's name without ``.json``: its stem, with its folders, with its ending, or with a print of its path."""
    path = PurePosixPath(image)
    folders = "".join(f"{part}__" for part in path.parent.parts) if level > _STEM else ""
    if level >= _PRINT:
        return f"{folders}{path.name}.{hashlib.blake2b(image.encode(), digest_size=8).hexdigest()}"
    return f"{folders}{path.name if level == _NAME else path.stem}"
