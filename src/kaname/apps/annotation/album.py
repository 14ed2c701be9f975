"""The images of a page and the annotations that are saved of them."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kaname.apps.annotation.face import Face, from_annotation, to_annotation
from kaname.data.formats.files import IMAGE_ENDINGS, make_folder
from kaname.data.formats.landmarks import (
    Annotation,
    ImageFolder,
    face_of,
    file_name,
    images_below,
    read_annotation,
    read_folder,
    write_annotation,
)
from kaname.data.formats.skeleton import Skeleton
from kaname.errors import InputError
from kaname.files import no_link, sweep
from kaname.geometry.image import image_size
from kaname.types import Size

Key = tuple[str, int]
"""An image and which of its faces."""


class Missing(InputError):
    """An image or a face that is not there."""


@dataclass(frozen=True)
class Kept:
    """An annotation's file: its name below the folder, a digest and a time stamp of it, and what it holds."""

    name: str
    digest: str
    stamp: tuple[int, int]
    annotation: Annotation


class Album:
    """The images that are shown, in their order, and the annotations' files.

    Args:
        image_dir: folder of the images, read with its sub-folders.
        output_dir: folder of the annotations; it is made.
        skeleton: of every face.

    Attributes:
        images: relative paths in the order in which they are shown.
        outside: images that links lead to outside of the folder; they are never shown.

    Raises:
        InputError: no images, or an annotation that cannot be read, comes twice or is of another skeleton.
    """

    def __init__(self, image_dir: Path, output_dir: Path, skeleton: Skeleton) -> None:
        self.image_dir, self.output_dir, self.skeleton = image_dir, output_dir, skeleton
        self._root = Path(os.path.realpath(image_dir))
        inside = {name: self._inside(name) for name in images_below(image_dir)}
        self.images = [name for name, shown in inside.items() if shown]
        self.outside = [name for name, shown in inside.items() if not shown]
        if not self.images:
            endings = ", ".join(IMAGE_ENDINGS)
            raise InputError("no image in this folder", path=image_dir, remedy=f"put {endings} files there")
        self._known = frozenset(self.images)
        self._folder = ImageFolder(image_dir)
        self._kept: defaultdict[str, dict[int, Kept]] = defaultdict(dict)
        self._read()

    def path(self, image: str) -> Path:
        """The file of an image that is shown.

        Raises:
            Missing: there is no such image, or it leads out of the folder by now.
        """
        if image not in self._known or not self._inside(image):
            raise Missing("no such image in the folder", remedy="reload the page")
        return self.image_dir / image

    def size(self, image: str) -> Size:
        """``(height, width)`` of an image as it is shown."""
        return image_size(self.path(image))

    def kept(self, key: Key) -> Kept | None:
        """The saved annotation of a face, as the disk has it now."""
        known = self._kept[key[0]].get(key[1])
        if known is None:
            return None
        path = self.output_dir / known.name
        try:
            if _stamp(path) == known.stamp:
                return known
        except FileNotFoundError:
            del self._kept[key[0]][key[1]]
            return None
        return self._keep(known.name)

    def digest(self, key: Key) -> str:
        """What tells a face's file from what it was before; empty without a file."""
        kept = self.kept(key)
        return kept.digest if kept else ""

    def saved(self, key: Key) -> Face:
        """The face as its file has it; without a file it is empty."""
        kept = self.kept(key)
        return from_annotation(kept.annotation) if kept else Face.empty(len(self.skeleton.names))

    def faces(self, image: str) -> list[int]:
        """The numbers of the faces that are saved of an image."""
        return sorted(self._kept[image])

    def finished(self, image: str) -> bool:
        """Whether an image has faces, and all of them are finished."""
        kept = self._kept[image]
        return 1 in kept and all(one.annotation.finished for one in kept.values())

    def place(self, image: str) -> dict[str, Any]:
        """Where an image stands among the others, for the page."""
        number, count = self.images.index(image), len(self.images)
        done = [self.finished(name) for name in self.images]
        later = [*range(number + 1, count), *range(number)]
        return {
            "number": number + 1,
            "count": count,
            "finished": sum(done),
            "previous": self.images[number - 1] if number else None,
            "next": self.images[number + 1] if number + 1 < count else None,
            "unfinished": next((self.images[one] for one in later if not done[one]), None),
        }

    def write(self, key: Key, face: Face, *, finish: bool) -> str:
        """Save a face, on the disk when this returns.

        Args:
            key: which face.
            face: as it is; one of which nothing is said has its file removed.
            finish: whether it counts as finished, if all of its points are placed or absent.

        Returns:
            What happened, in words.
        """
        kept, image = self.kept(key), key[0]
        if face.bare:
            if kept is None:
                return "nothing to save: no point is placed"
            (self.output_dir / kept.name).unlink(missing_ok=True)
            del self._kept[image][key[1]]
            return f"removed {kept.name}: it holds no point any more"
        name = kept.name if kept else self._new_name(key)
        path, finished = self.output_dir / name, finish and not face.left
        other: Mapping[str, Any] = kept.annotation.other if kept else {}
        new = to_annotation(face, image, self.size(image), self.skeleton.name, finished=finished, other=other)
        write_annotation(path, new)
        with open(path, "rb+", opener=no_link) as file:  # on the disk before anybody is told
            os.fsync(file.fileno())
        self._keep(name)
        if finished:
            return f"saved {name}"
        left = int((new.visible < 0).sum())
        points = "1 point" if left == 1 else f"{left} points"
        return f"saved {name} as unfinished: {points} to go" if left else f"saved {name} as unfinished"

    def _new_name(self, key: Key) -> str:
        taken = [one.name for image, kept in self._kept.items() if image != key[0] for one in kept.values()]
        name = file_name(key[0], self.images, key[1], taken=taken)
        if (path := self.output_dir / name).exists():
            raise InputError("another file has this name", path=path, remedy="move it away, then save again")
        return name

    def _read(self) -> None:
        make_folder(self.output_dir)
        sweep(self.output_dir)
        for name, annotation in read_folder(self.output_dir).items():
            if isinstance(annotation, InputError):
                raise annotation
            image = self._named(annotation)
            if image not in self._known:
                continue  # of another folder, which may share this one
            other = self._kept[image].get(face_of(name))
            if other is not None:
                reason = f"{other.name} is of the same face of {image}"
                raise InputError(reason, path=self.output_dir / name, remedy="move one of them away")
            self._keep(name, annotation)

    def _keep(self, name: str, annotation: Annotation | None = None) -> Kept:
        path = self.output_dir / name
        stamp, digest = _stamp(path), hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
        known = read_annotation(path) if annotation is None else annotation
        count, wanted = len(known.visible), len(self.skeleton.names)
        if count != wanted:
            remedy = "choose its skeleton with --skeleton, or another --output-dir"
            raise InputError(f"{count} landmarks, and {self.skeleton.name} has {wanted}", path=path, remedy=remedy)
        image = self._named(known)
        self._kept[image][face_of(name)] = kept = Kept(name, digest, stamp, replace(known, image=image))
        return kept

    def _named(self, annotation: Annotation) -> str:
        """The image of an annotation as the album calls it, such as ``a/b.png`` for ``a\\b.png`` of Windows."""
        found = self._folder.find(annotation.image)
        return annotation.image if found is None else found.relative_to(self.image_dir).as_posix()

    def _inside(self, image: str) -> bool:
        return Path(os.path.realpath(self.image_dir / image)).is_relative_to(self._root)


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
