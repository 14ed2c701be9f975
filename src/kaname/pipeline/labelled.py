"""Labelled data as the pipeline scores it, and what a scored set is."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from kaname.errors import InputError

Kept = TypeVar("Kept")


class Item(Protocol):
    """A labelled image, or a labelled clip: its frames belong together, in their order.

    It may also have a ``size`` ``(height, width)``, and ``boxes`` ``(N, 4)`` in pixels of its frames, for a network
    that looks at boxes.

    Attributes:
        source: what predictions call it.
        frames: its image files, or what stands for frames of a video (`kaname.data.frame_source`).
    """

    @property
    def source(self) -> str: ...

    @property
    def frames(self) -> Sequence[Path]: ...

    def label(self, number: int) -> bytes:
        """The label of a frame, for a hash of the data."""
        ...


Sets = Mapping[str, Sequence[Any]]
"""Items by the name of their set."""


def beside(items: Sequence[Kept], shown: Callable[[Kept], bool]) -> list[tuple[Kept, tuple[Kept, ...]]]:
    """The items that are shown, each with the others that follow it; the first has those before it too.

    >>> beside("aBcD", str.isupper)
    [('B', ('a', 'c')), ('D', ())]
    """
    places = [place for place, one in enumerate(items) if shown(one)]
    spans = zip(places, [0, *places[1:]], [*places[1:], len(items)], strict=False)  # of none: none
    return [(items[place], (*items[begin:place], *items[place + 1 : end])) for place, begin, end in spans]


def warn_unjudged(names: Iterable[str]) -> None:
    """Say so where no set of these names is kept from training; ``check`` and ``evaluate`` ask."""
    if set(names) == {"train"}:
        reason = "there is no validation or test set: figures of what was trained on say nothing about other images"
        warnings.warn(f"{reason}; keep a part of it apart", stacklevel=2)


def without_points(sets: Sets, root: Path) -> Iterator[InputError]:
    """What is wrong with a training set of which no item has a point that is ``placed``; of another that is warned."""
    for name, items in sets.items():
        if any(item.placed for item in items):
            continue
        reason = f"not one point is placed in {name}, in {len(items)} frames"
        if name == "train":
            yield InputError(reason, path=root / name, remedy="label some of them")
        else:
            warnings.warn(f"{root / name}: {reason}: its figures say nothing of points", stacklevel=2)


def check_lengths(items: Iterable[Item], frames: int, *, remedy: str = "leave it out") -> None:
    """Refuse items with fewer frames than a window has.

    Raises:
        InputError: the first of them.
    """
    for item in items:
        if len(item.frames) < frames:
            reason = f"{item.source} has {len(item.frames)} frames, a window has {frames}"
            raise InputError(reason, path=item.frames[0].parent, remedy=remedy)


@dataclass(frozen=True)
class Labelled:
    """Labelled data to score.

    Attributes:
        root: the data folder.
        names: of its sets that hold something.
        read: ``(name) -> items`` of a set.
        order: names of sets: the first that is there is scored where none is named.
        together: whether ``all`` is one set; otherwise each is scored for itself.
        closed: whether no results may lie anywhere in ``root``, because its labels are found by walking through it.
        ways: the data's own ways of scoring.
        named: options with which ``compare`` finds the same labels again, where the folder alone does not say.
    """

    root: Path
    names: Sequence[str]
    read: Callable[[str], Sequence[Any]]
    order: Sequence[str] = ("val",)
    together: bool = False
    closed: bool = False
    ways: Mapping[str, Any] = field(default_factory=dict)
    named: Mapping[str, Any] = field(default_factory=dict)

    def refuse(self, out: Path, names: Iterable[str]) -> None:
        """Refuse to write results where images lie: they would be taken for a part of the data.

        Raises:
            InputError: ``out``, or the folder of a set in it, holds images of this data.
        """
        inside = self.closed and out.resolve().is_relative_to(self.root.resolve())
        for folder in (out, *(out / name for name in names)):
            if inside or (folder / "images").is_dir():
                reason = "results would be mixed with a data set"
                raise InputError(reason, path=folder, remedy="choose another --out")


@dataclass(frozen=True)
class Result:
    """A scored set.

    Attributes:
        groups: ``{group: {metric: {"value", "low", "high", "n"}}}``.
        settings: how the figures were made, for ``metrics.json``.
        table: rows for the screen, the first is the heading.
        title: the line above the table, after the name of the set.
        details: what the recipe's own page is drawn from.
        files: further JSON files beside ``metrics.json``, by name.
        speed: quantity to value, where a model was run.
        said: what must be said first, such as that nothing was found.
    """

    groups: Mapping[str, Mapping[str, Any]]
    settings: Mapping[str, Any]
    table: Sequence[Sequence[str]]
    title: str
    details: Any = None
    files: Mapping[str, Any] = field(default_factory=dict)
    speed: Mapping[str, str | float] = field(default_factory=dict)
    said: Sequence[str] = ()
