"""What the labels of one video tell a propagator: masks where there are some, else clicks. No torch.

Objects are told apart within a stretch of the video: of a class with one instance there is one, of others the track id
says which; a mask belongs to the object whose slot its name states (``needle`` the first, ``needle1`` the second).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kaname.data.formats import mot_kp
from kaname.data.formats.mot_kp_files import label_files
from kaname.data.formats.skeleton import Skeleton
from kaname.errors import InputError
from kaname.geometry.label_image import read_mask
from kaname.recipes.kpnet.classes import find_masks
from kaname.recipes.kpnet.config import DataSettings
from kaname.recipes.kpnet.labels import SETS, Thing, filled_slots, skeleton_of, things_of
from kaname.types import FloatArray, Size

if TYPE_CHECKING:
    from kaname.models.sam2 import Prompt

VISIBLE = 2
_INSTANCE = re.compile(r"(\d*)_mask$")

Key = tuple[int, Any]
"""An object: the number of its class, from 1, and what tells it from others of that class."""


@dataclass(frozen=True)
class Seen:
    """What is known of an object in a labelled frame.

    Attributes:
        points: ``(N, 2)`` its visible points.
        masks: pictures of it; a pixel belongs to it where one of them is set.
    """

    points: FloatArray = field(default_factory=lambda: np.zeros((0, 2)))
    masks: tuple[Path, ...] = ()

    def mask(self, size: Size) -> NDArray[np.bool_] | None:
        """Where it is, ``(height, width)``; None where no mask says so.

        Raises:
            InputError: a mask of another size than the frame, or that is set nowhere but not empty.
        """
        found = np.zeros(size, bool)
        for path in self.masks:
            found |= read_mask(path, expected=size)
        return found if found.any() else None


@dataclass(frozen=True)
class Annotated:
    """A labelled frame of a video.

    Attributes:
        number: of the frame.
        objects: what is in it.
        files: of its label and masks.
    """

    number: int
    objects: Mapping[Key, Seen]
    files: tuple[Path, ...]

    def prompts(self, size: Size) -> dict[Key, Prompt]:
        """What a propagator is told; an object without a mask and without a visible point is left out.

        Raises:
            InputError: as `Seen.mask`.
        """
        from kaname.models.sam2 import Prompt

        found: dict[Key, Prompt] = {}
        for key, seen in self.objects.items():
            mask = seen.mask(size)
            if mask is not None:
                found[key] = Prompt(mask=mask)
            elif len(seen.points):
                others = [other.points for name, other in self.objects.items() if name != key]
                found[key] = Prompt(inside=seen.points, outside=np.concatenate([np.zeros((0, 2)), *others]))
        return found


def annotated(data: DataSettings, video: str) -> list[Annotated]:
    """The labelled frames of a video, in its order, from all sets.

    Raises:
        InputError: the first problem of its labels, or there are none at all.
    """
    skeleton, found = skeleton_of(data), {}
    for part in SETS:
        folder = data.root / part
        things, files = _labels(folder / "mot", video, skeleton)
        masks = {number: own.tools for (name, number), own in find_masks(folder / "masks", None, skeleton).items()
                 if name == video}  # fmt: skip
        for number in things.keys() | masks.keys():
            tools = masks.get(number, {})
            paths = [path for own in tools.values() for path in own]
            label = [files[number]] if number in files else []
            objects = _objects(things.get(number, ()), tools, skeleton)
            found.setdefault(number, Annotated(number, objects, (*label, *paths)))
    if not found:
        remedy = f"label some of its frames ({video}_frame_NUMBER.txt), or leave it out"
        raise InputError(f"no labelled frame of the video {video!r}", path=data.root, remedy=remedy)
    return [found[number] for number in sorted(found)]


def _labels(folder: Path, video: str, skeleton: Skeleton) -> tuple[dict[int, list[Thing]], dict[int, Path]]:
    """The objects of a video's frames, and the file of each frame."""
    things: dict[int, list[Thing]] = {}
    files: dict[int, Path] = {}
    for file in label_files(folder) if folder.is_dir() else ():
        if file.video != video:
            continue
        for sample in mot_kp.read(file.path, skeleton=skeleton, predictions=False):
            number = int(sample.frame or 0)
            things[number], files[number] = list(things_of(sample, skeleton)), file.path
    return things, files


def _objects(things: Iterable[Thing], tools: Mapping[int, Sequence[Path]], skeleton: Skeleton) -> dict[Key, Seen]:
    numbers = {name: number for number, name in enumerate(skeleton.groups, 1)}
    several = {numbers[name] for name, group in skeleton.groups.items() if group.instances > 1}
    found: dict[Key, Seen] = {}
    slots: dict[int, list[Key]] = {}
    for slot, thing in filled_slots(list(things), skeleton):
        number = numbers[slot.group]
        key = (number, thing.id if number in several else 0)
        found[key] = Seen(thing.points[thing.visible == VISIBLE])
        slots.setdefault(number, []).append(key)
    for number, paths in sorted(tools.items()):
        for path in sorted(paths, key=_instance):
            free = [key for key in slots.get(number, ()) if not found[key].masks]
            place = _instance(path)
            named = slots.get(number, [])[place : place + 1]
            # A mask under another number than its object's still belongs to one of its class.
            key = next(iter([*named, *free]), (number, f"mask {place}" if number in several else 0))
            known = found.get(key, Seen())
            found[key] = Seen(known.points, (*known.masks, path))
    return found


def _instance(path: Path) -> int:
    """Which object of its class a mask shows, from 0."""
    match = _INSTANCE.search(path.stem)
    return int(match[1]) if match and match[1] else 0
