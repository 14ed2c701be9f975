"""A film of rectangles of which everything is known, and a propagator that knows them.

Every picture carries the number of its frame in its lowest rows, so that whoever sees it knows which frame it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kaname.data.formats import mot_kp
from kaname.data.video import VideoWriter
from kaname.geometry.image import write_image
from kaname.types import Sample

SIZE = (64, 96)
RATE = 30.0
BITS, BLOCK = 12, 8
BONES = mot_kp.find_skeleton(None)
NUMBERS = {name: number for number, name in enumerate(BONES.groups, 1)}


@dataclass(frozen=True)
class Box:
    """An object that moves evenly, and is there from frame ``first`` to ``last``."""

    group: str
    id: int
    corner: tuple[float, float]
    sides: tuple[int, int] = (12, 12)
    speed: tuple[float, float] = (0.0, 0.0)
    first: int = 0
    last: int = 1 << 30

    def there(self, number: int) -> bool:
        return self.first <= number <= self.last

    def place(self, number: int) -> tuple[int, int, int, int]:
        x, y = (round(at + speed * number) for at, speed in zip(self.corner, self.speed, strict=True))
        return x, y, x + self.sides[0], y + self.sides[1]

    def mask(self, number: int) -> Any:
        found = np.zeros(SIZE, bool)
        if self.there(number):
            x1, y1, x2, y2 = self.place(number)
            found[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)] = True
        return found

    def points(self, number: int) -> Any:
        """Its points, all inside it."""
        count = len(BONES.groups[self.group].points)
        x1, y1, x2, y2 = self.place(number)
        shares = (np.arange(count)[:, None] + 1) / (count + 1)
        return np.array([x1, y1]) + shares * np.array([x2 - x1, y2 - y1])


BOXES = (
    Box("left_hand", 0, (4, 4), (30, 20), (0.2, 0.1)),
    Box("right_hand", 1, (60, 4), (20, 20), (0, 0.2), last=30),
    Box("scissors", 2, (20, 14), (24, 10), (0.2, 0)),
    Box("needle", 9, (50, 40), (8, 4), (-0.3, 0)),
    Box("needle", 6, (80, 40), (8, 4), (0, -0.3), first=12),
)
"""The scissors lie over the left hand; the second needle has the lower id, and comes later."""


@dataclass(frozen=True)
class Film:
    """A video with its objects."""

    name: str
    length: int
    boxes: Sequence[Box] = BOXES

    def image(self, number: int) -> Any:
        picture = np.full((*SIZE, 3), 90, np.uint8)
        for box in sorted(self.boxes, key=lambda box: NUMBERS[box.group]):
            picture[box.mask(number)] = (40 * NUMBERS[box.group] % 256, 20 * box.id + 30, 200)
        for bit in range(BITS):
            picture[-BLOCK:, bit * BLOCK : (bit + 1) * BLOCK] = 255 * (number >> bit & 1)
        return picture

    def classes(self, number: int) -> Any:
        """The class of each pixel; later ones over earlier ones."""
        found = np.zeros(SIZE, np.uint8)
        for box in self.boxes:
            np.maximum(found, box.mask(number) * np.uint8(NUMBERS[box.group]), out=found)
        return found

    def sample(self, number: int, hidden: Sequence[str] = ()) -> Sample:
        points: dict[str, Any] = {}
        visible: dict[str, Any] = {}
        there = [box for box in self.boxes if box.there(number)]
        for group in dict.fromkeys(box.group for box in there):
            own = np.stack([box.points(number) for box in there if box.group == group])
            for place, name in enumerate(BONES.groups[group].points):
                points[name] = own[:, place]
                visible[name] = np.full(len(own), 1 if group in hidden else 2)
        image = Path(f"{self.name}_frame_{number}.png")
        return Sample(image, points, visible, SIZE, ids=[box.id for box in there],
                      labels=[box.group for box in there], frame=number, meta={"video": self.name})  # fmt: skip

    def write(
        self,
        root: Path,
        labelled: Sequence[int],
        masked: Mapping[str, str] | None = None,
        *,
        hidden: Sequence[str] = (),
        part: str = "train",
    ) -> Path:
        """The data set's part of this video.

        Args:
            masked: classes of which there are masks, with what the first instance's file is called.
            hidden: classes whose points are all hidden.
        """
        mot_kp.write(root / part / "mot", [self.sample(number, hidden) for number in labelled], layout="frame")
        folder = root / part / "masks"
        folder.mkdir(parents=True, exist_ok=True)
        for number in labelled:
            for group, spelling in (masked or {}).items():
                boxes = [box for box in self.boxes if box.group == group and box.there(number)]
                for place, box in enumerate(sorted(boxes, key=lambda box: box.id)):
                    name = f"{self.name}_frame_{number}_{spelling}{place or ''}_mask.png"
                    write_image(folder / name, 255 * box.mask(number).astype(np.uint8))
        with VideoWriter(root / "movie" / f"{self.name}.mp4") as writer:
            for number in range(self.length):
                writer.write(self.image(number), number / RATE)
        return root


def number_of(picture: Any) -> int:
    """The number that a picture carries."""
    cells = picture[-BLOCK:].astype(float).mean(axis=(0, 2)).reshape(BITS, BLOCK).mean(axis=1)
    return sum(1 << bit for bit in range(BITS) if cells[bit] > 128)


def same(points: Any, others: Any) -> bool:
    """Whether these are the same points."""
    return points.shape == others.shape and np.allclose(points, others, atol=0.01)


@dataclass
class Seer:
    """A propagator that knows the film, and that everything it is told is about the object that it seems to be about.

    Attributes:
        seen: for each call whether it went backwards, and the numbers of the frames it answered.
        told: the prompts of each call, by the number of the frame and the object's class and id.
    """

    film: Film
    seen: list[tuple[bool, list[int]]] = field(default_factory=list)
    told: list[dict[int, dict[tuple[str, int], Any]]] = field(default_factory=list)
    each: Callable[[int], None] = lambda number: None

    def track(
        self, read: Callable[[int], Any], prompts: Mapping[int, Mapping[int, Any]], order: Sequence[int]
    ) -> Iterator[tuple[int, dict[int, Any]]]:
        names: dict[int, Box] = {}
        told: dict[int, dict[tuple[str, int], Any]] = {}
        for place, own in prompts.items():
            number = number_of(read(place))
            for key, prompt in own.items():
                box = self._meant(number, prompt)
                assert names.setdefault(key, box) == box, "one number for two objects"
                told.setdefault(number, {})[box.group, box.id] = prompt
        assert set(prompts[order[0]]) == set(names), "all are known at the beginning"
        answered: list[int] = []
        self.seen.append((len(order) > 1 and order[1] < order[0], answered))
        self.told.append(told)
        for place in order:
            number = number_of(read(place))
            self.each(number)
            answered.append(number)
            yield place, {key: box.mask(number) for key, box in names.items()}

    def _meant(self, number: int, prompt: Any) -> Box:
        there = [box for box in self.film.boxes if box.there(number)]
        if prompt.mask is not None:
            return next(box for box in there if (box.mask(number) == prompt.mask).all())
        fits = [box for box in there if same(box.points(number), prompt.inside)]
        assert len(fits) == 1
        others = [box.points(number) for box in there if box != fits[0]]
        assert len(prompt.outside) == sum(map(len, others))
        return fits[0]
