"""Masks of a frame: a picture a tool, or one picture of classes (pseudo masks). No torch.

Class 0 is the background; class *i* + 1 is the skeleton's *i*-th class. A tool's picture is
``VIDEO_frame_ID_TOOL[N]_mask.png``, set where it is at least 128, ``1`` for a second instance; a pseudo mask
``VIDEO/VIDEO_frame_ID.png`` holds the classes themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaname.data.cache import ArrayCache, content_key
from kaname.data.formats.mot_kp_files import frame_of
from kaname.data.formats.skeleton import Skeleton
from kaname.data.frame_source import identity_of
from kaname.errors import InputError
from kaname.geometry.label_image import read_labels, read_mask
from kaname.types import Size

FORMAT = "classes 3"  # part of every key in a cache: changes when the arrays of an entry do
UNKNOWN = 255  # of a pixel whose class nobody knows
_NAME = re.compile(r"(.+_frame_\d+)_([a-zA-Z_-]+?)(\d*)_mask", re.DOTALL)

Classes = NDArray[np.uint8]


@dataclass(frozen=True)
class ClassMasks:
    """Where the masks of a frame are.

    Attributes:
        tools: the pictures of each class, by its number.
        pseudo: a picture of classes; it counts where it is.
        count: of classes, without the background.
    """

    tools: Mapping[int, tuple[Path, ...]] = field(default_factory=dict)
    pseudo: Path | None = None
    count: int = 0

    def __bool__(self) -> bool:
        return self.pseudo is not None or bool(self.tools)

    def read(self, size: Size, cache: ArrayCache | None = None) -> Classes | None:
        """The class of each pixel, ``(height, width)``; later classes over earlier ones. None without masks.

        Args:
            size: of the frame.
            cache: of pictures that were put together before: a frame may have seven.

        Raises:
            InputError: a mask of another size, with a value that is no class, or that is set nowhere but not empty.
        """
        if cache is None or not self:
            return self._read(size)
        paths = [] if self.pseudo is None else [self.pseudo]
        parts = [f"{number} {identity_of(path)}" for number in sorted(self.tools) for path in self.tools[number]]
        key = content_key([FORMAT, f"{self.count} {size}", *(parts if not paths else map(identity_of, paths))])
        stored = cache.get(key)
        if stored is None:
            classes = self._read(size)
            assert classes is not None  # there are some
            cache.put(key, {"classes": classes})
            return classes
        return np.array(stored["classes"])

    def _read(self, size: Size) -> Classes | None:
        if self.pseudo is not None:
            classes = read_labels(self.pseudo, expected=size)
            if (wrong := classes[classes > self.count]).size:
                reason = f"the value {int(wrong[0])} in a pseudo mask of {self.count} classes"
                raise InputError(reason, path=self.pseudo, remedy=f"values are 0 (background) .. {self.count}")
            return classes.astype(np.uint8)
        if not self.tools:
            return None
        classes = np.zeros(size, np.uint8)
        for number in sorted(self.tools):
            for path in self.tools[number]:
                classes[read_mask(path, expected=size)] = number
        return classes


def find_masks(folder: Path, pseudo: Path | None, skeleton: Skeleton) -> dict[tuple[str, int], ClassMasks]:
    """The masks of frames by video and number.

    Args:
        folder: of tools' pictures; may be missing.
        pseudo: of pseudo masks; may be missing.

    Raises:
        InputError: a picture whose name no frame or class has.
    """
    names = list(skeleton.groups)
    numbers = {_plain(name): number for number, name in enumerate(names, 1)}
    tools: dict[tuple[str, int], dict[int, list[Path]]] = {}
    for path in sorted(folder.glob("*_mask.png")) if folder.is_dir() else []:
        match = _NAME.fullmatch(path.stem)
        frame = frame_of(match[1]) if match else None
        if match is None or frame is None or _plain(match[2]) not in numbers:
            reason = "a mask is called VIDEO_frame_ID_TOOL_mask.png"
            raise InputError(reason, path=path, remedy=f"tools: {', '.join(names)}")
        tools.setdefault(frame, {}).setdefault(numbers[_plain(match[2])], []).append(path)
    found: dict[tuple[str, int], ClassMasks] = {
        frame: ClassMasks({number: tuple(paths) for number, paths in own.items()}, count=len(names))
        for frame, own in tools.items()
    }
    for path in sorted(pseudo.glob("*/*.png")) if pseudo is not None and pseudo.is_dir() else []:
        frame = frame_of(path.stem)
        if frame is not None:
            found[frame] = ClassMasks(pseudo=path, count=len(names))
    return found


def _plain(name: str) -> str:
    """A tool's name without what its spellings differ in: ``needle_holder``, ``needleholder``, ``needle-holder``."""
    return re.sub(r"[^a-z]", "", name.lower())
