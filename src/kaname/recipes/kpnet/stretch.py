"""One stretch of a video between labelled frames: the classes of its frames, from the prompts at its ends. No torch.

From the labelled frame at its beginning every object is followed forwards, with what is known at the other end. Then
what is known there is followed backwards, as far as forwards an object was not found, and fills just that. An object
that is not labelled at an end has not been there.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kaname.data.formats.mot_kp_files import frame_name
from kaname.data.seeking import VideoReader
from kaname.geometry.image import read_image, write_image
from kaname.recipes.kpnet.prompts import Annotated, Key
from kaname.types import Image, Size

if TYPE_CHECKING:
    from kaname.models.sam2 import Prompt, Propagator

KEPT = 128 << 20  # bytes of frames that are decoded at once where they are needed backwards
MANY = 32  # and so many frames at most

Known = Mapping[Key, "Prompt"]


@dataclass(frozen=True)
class Stretch:
    """Consecutive frames of a video.

    Attributes:
        numbers: of the frames, rising; those of labelled frames at its ends among them.
        begin: the labelled frame at its beginning; None before the first one.
        end: the labelled frame at its end, which belongs to the next stretch; None after the last one.
    """

    numbers: Sequence[int]
    begin: Annotated | None = None
    end: Annotated | None = None

    @property
    def own(self) -> Sequence[int]:
        """The frames that are written."""
        return self.numbers if self.end is None else self.numbers[:-1]

    @property
    def span(self) -> list[int | None]:
        """The labelled frames at its ends."""
        return [None if one is None else one.number for one in (self.begin, self.end)]


def stretches(numbers: Sequence[int], labelled: Sequence[Annotated]) -> list[Stretch]:
    """Cut the wanted frames of a video, which are rising and have the labelled ones among them, at these."""
    found = []
    for begin, end in pairwise([None, *labelled, None]):
        first = 0 if begin is None else bisect_left(numbers, begin.number)
        last = len(numbers) if end is None else bisect_right(numbers, end.number)
        stretch = Stretch(numbers[first:last], begin, end)
        if stretch.own:
            found.append(stretch)
    return found


@dataclass
class Painter:
    """Writes the classes of a stretch's frames.

    Attributes:
        stretch: whose.
        video: its name.
        size: ``(height, width)`` of its frames.
        folder: of the pictures ``VIDEO_frame_ID.png``.
    """

    stretch: Stretch
    video: str
    size: Size
    folder: Path
    missing: dict[int, set[Key]] = field(default_factory=dict)

    def paint(self, reader: VideoReader, propagator: Propagator) -> list[Path]:
        """All frames of the stretch; returns their pictures.

        Raises:
            InputError: a damaged video, or a mask of another size than its frames.
        """
        begin, end = (None if one is None else one.prompts(self.size) for one in (self.stretch.begin, self.stretch.end))
        wanted = set(end or {})
        for place, masks in self._forwards(reader, propagator, begin or {}, end or {}):
            self._write(place, _painted(masks, np.zeros(self.size, np.uint8)))
            found = {key for key, mask in masks.items() if mask.any()}
            self.missing[place] = (wanted & self._possible(place)) - found
        unfound = [place for place, keys in self.missing.items() if keys]
        if unfound:
            self._backwards(reader, propagator, begin or {}, end or {}, min(unfound))
        return [self._path(place) for place in range(len(self.stretch.own))]

    def _possible(self, place: int) -> set[Key]:
        """Which objects may be in a frame: in a labelled one just those of its labels."""
        if place == 0 and self.stretch.begin is not None:
            return set(self.stretch.begin.objects)
        return set() if self.stretch.end is None else set(self.stretch.end.objects)

    def _forwards(
        self, reader: VideoReader, propagator: Propagator, begin: Known, end: Known
    ) -> Iterator[tuple[int, dict[Key, NDArray[np.bool_]]]]:
        own = range(len(self.stretch.own))
        if not begin:
            yield from ((place, {}) for place in own)
            return
        ends = {0: begin, len(self.stretch.numbers) - 1: {key: end[key] for key in begin if key in end}}
        if self.stretch.end is None:
            ends = {0: begin}
        frames = _Frames(reader, self.stretch.numbers, backwards=False)
        for place, masks in _tracked(propagator, frames.read, ends, own):
            if place == 0:  # what is known counts, not what the network makes of it
                masks |= {key: prompt.mask for key, prompt in begin.items() if prompt.mask is not None}
            yield place, masks

    def _backwards(self, reader: VideoReader, propagator: Propagator, begin: Known, end: Known, lowest: int) -> None:
        last = len(self.stretch.numbers) - 1
        keys = set().union(*self.missing.values())
        known = {key: end[key] for key in end if key in keys}
        ends = {last: known, 0: {key: begin[key] for key in known if key in begin}}
        frames = _Frames(reader, self.stretch.numbers, backwards=True)
        for place, masks in _tracked(propagator, frames.read, ends, range(last, lowest - 1, -1)):
            filling = {key: masks[key] for key in self.missing.get(place, ()) if masks[key].any()}
            if filling:
                before = read_image(self._path(place), expected=self.size)[:, :, 0]
                self._write(place, _painted(filling, np.ascontiguousarray(before)))

    def _path(self, place: int) -> Path:
        return self.folder / f"{frame_name(self.video, self.stretch.numbers[place])}.png"

    def _write(self, place: int, classes: NDArray[np.uint8]) -> None:
        write_image(self._path(place), classes)


def _painted(masks: Mapping[Key, NDArray[np.bool_]], classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Later classes over earlier ones: of those that claim a pixel the highest has it."""
    for (number, _), mask in masks.items():
        np.maximum(classes, mask.view(np.uint8) * np.uint8(number), out=classes)
    return classes


def _tracked(
    propagator: Propagator, read: Callable[[int], Image], ends: Mapping[int, Known], order: Sequence[int]
) -> Iterator[tuple[int, dict[Key, NDArray[np.bool_]]]]:
    """A propagator's answers by our names of the objects; it knows numbers."""
    keys = sorted(ends[order[0]], key=lambda key: (key[0], str(key[1])))
    numbers: dict[Any, int] = {key: number for number, key in enumerate(keys, 1)}
    prompts = {place: {numbers[key]: known[key] for key in keys if key in known} for place, known in ends.items()}
    for place, masks in propagator.track(read, {at: own for at, own in prompts.items() if own}, order):
        yield place, {key: masks[numbers[key]] for key in keys}


class _Frames:
    """Frames by their place; backwards some are decoded at once, because a video is only decoded forwards."""

    def __init__(self, reader: VideoReader, numbers: Sequence[int], *, backwards: bool) -> None:
        self.reader, self.numbers, self.backwards = reader, numbers, backwards
        self.kept: dict[int, Image] = {}
        self.step = 1

    def read(self, place: int) -> Image:
        if place not in self.kept:
            first = max(0, place - self.step + 1) if self.backwards else place
            self.kept = {at: self.reader.read(self.numbers[at]).image for at in range(first, place + 1)}
            self.step = max(1, min(MANY, KEPT // self.kept[place].nbytes))
        return self.kept[place] if not self.backwards else self.kept.pop(place)
