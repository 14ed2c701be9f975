"""The verb ``split``: labelled images divided into sets, so that nothing on one side is nearly on another. No torch.

What belongs together goes into one set as a whole: what a recipe says (a video, a match), what ``--group`` says, and
near copies, which are looked for in all images. Shares are therefore only about met; the counts are printed.

A recipe gives its images as `Unit` values to `divide`, and writes the sets in a form that its own ``train`` reads.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated

from cyclopts import Parameter

from kaname.errors import InputError

SETS = ("train", "val", "test")

Group = Annotated[
    str | None,
    Parameter(
        help="What stays together besides near copies: folder; prefix (names that differ in their number alone); "
        "or a regular expression, such as 'IMG_(.+)_', whose first group in the name counts."
    ),
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SplitFlags:
    """The flags of every ``split``."""

    val: Annotated[float, Parameter(help="Share that chooses the weights.")] = 0.2
    test: Annotated[float, Parameter(help="Share that is kept for the very end.")] = 0.0
    seed: Annotated[int, Parameter(help="The same images and seed give the same sets.")] = 0
    group: Group = None


@dataclass(frozen=True)
class Unit:
    """One image, or one frame.

    Attributes:
        name: its path below the data, with ``/``; what ``--group`` looks at.
        image: its file.
        keys: what it shares with those that it belongs together with.
    """

    name: str
    image: Path
    keys: tuple[Hashable, ...] = field(default=())


def shares_of(flags: SplitFlags) -> list[float]:
    """The shares of train, val and test.

    Raises:
        InputError: a share outside 0..1, nothing left to train on, or nothing to validate on.
    """
    for name in ("val", "test"):
        if not 0 <= getattr(flags, name) < 1:
            raise InputError(f"--{name} is a share from 0 to 1, got {getattr(flags, name):g}", remedy="0.2 is usual")
    train = 1 - flags.val - flags.test
    if train < 1e-9:
        raise InputError(f"--val {flags.val:g} and --test {flags.test:g} leave nothing to train on", remedy="lower one")
    if not flags.val:
        raise InputError("--val 0 leaves nothing to choose the weights by", remedy="give it a share, such as 0.2")
    return [train, flags.val, flags.test]


def divide(units: Sequence[Unit], flags: SplitFlags, *, what: str = "images") -> dict[str, list[int]]:
    """The positions of ``units`` in ``train``, ``val`` and, where it has a share, ``test``; prints the counts.

    Args:
        what: the units are called.

    Raises:
        InputError: an image that cannot be read, a ``--group`` that a name does not match, or fewer groups than sets.
    """
    from kaname.data.parts import together
    from kaname.data.split import alike, near_duplicates, prints

    shares = shares_of(flags)
    names = [name for name, share in zip(SETS, shares, strict=True) if share]
    shares = [share for share in shares if share]
    keys = [(*unit.keys, *group_key(unit.name, flags.group)) for unit in units]
    known = prints([unit.image for unit in units])
    links = [(one, other) for one, other, _ in alike(known)]
    position = {unit.image: number for number, unit in enumerate(units)}
    while True:
        groups = together(len(units), links, keys)
        parts = _filled(groups, shares, flags.seed)
        if parts is None:
            raise InputError(
                f"{len(units)} {what} in {len(groups)} groups that stay together cannot become {len(names)} sets",
                remedy="label others, or leave --group out"
                if flags.group
                else "label others: these are near copies of each other, or one whole",
            )
        # Of a frame with many copies `alike` names the nearest only: none may be left between the sets.
        chosen = [known.of(part) for part in parts]
        crossing = [
            (position[pair.first], position[pair.second])
            for at, one in enumerate(chosen)
            for other in chosen[at + 1 :]
            for pair in near_duplicates(one, other)
        ]
        if not crossing:
            break
        links += crossing
    _say(units, groups, keys, dict(zip(names, parts, strict=True)), shares, what)
    return dict(zip(names, parts, strict=True))


def group_key(name: str, group: str | None) -> tuple[Hashable, ...]:
    """What ``--group`` says of a name, as a key; nothing where it says nothing.

    >>> group_key("a/psi_0001.jpg", "prefix"), group_key("a/b.jpg", "folder"), group_key("A_7_1.png", "A_([0-9]+)")
    ((('group', 'psi'),), (('group', 'a'),), (('group', '7'),))

    Raises:
        InputError: a pattern that is none, or that the name does not match.
    """
    from kaname.metrics.intervals import name_prefix

    if group is None or group == "none":
        return ()
    if group == "folder":
        return (("group", PurePosixPath(name).parent.as_posix()),)
    if group == "prefix":
        return (("group", name_prefix(name)),)
    try:
        match = re.search(group, name)
    except re.error as error:
        reason = f"--group {group!r} is neither folder nor prefix nor a regular expression ({error})"
        raise InputError(reason, remedy="such as 'IMG_(.+)_'") from error
    if match is None:
        raise InputError(f"--group {group!r} is not in the name {name!r}", remedy="write a pattern that all names have")
    return (("group", match[1] if match.re.groups else match[0]),)


def place(source: Path, target: Path) -> None:
    """Put a file where a set wants it: the same bytes without taking room again, or a copy on another disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def say_next(*commands: Sequence[object]) -> None:
    """Print the commands that come next, given by their words after ``kaname``, as a shell takes them."""
    print("next:")
    for words in commands:
        print(f"  {shlex.join(['kaname', *map(str, words)])}")


def _filled(groups: Sequence[Sequence[int]], shares: Sequence[float], seed: int) -> list[list[int]] | None:
    """Groups dealt into parts of which none is empty; None where there are fewer groups than parts."""
    from kaname.data.parts import deal

    if len(groups) < len(shares):
        return None
    total = sum(map(len, groups))
    held = [max(1, round(total * share)) for share in shares[1:]]
    parts = deal(groups, [max(1, total - sum(held)), *held], seed)
    home = {member: number for number, group in enumerate(groups) for member in group}
    while not all(parts):
        whole = [{home[member] for member in part} for part in parts]
        giver = max((at for at, own in enumerate(whole) if len(own) > 1), key=lambda at: len(parts[at]))
        given = groups[min(whole[giver], key=lambda number: (len(groups[number]), number))]
        parts[parts.index([])] = sorted(given)
        parts[giver] = [member for member in parts[giver] if member not in given]
    return parts


def _say(
    units: Sequence[Unit],
    groups: Sequence[Sequence[int]],
    keys: Sequence[Sequence[Hashable]],
    sets: Mapping[str, Sequence[int]],
    shares: Sequence[float],
    what: str,
) -> None:
    tied = [group for group in groups if len(group) > 1]
    if tied:
        near = sum(len({tuple(keys[member]) for member in group}) > 1 or not keys[group[0]] for group in tied)
        copies = f", {near} of them by near copies" if near else ""
        print(f"kept together: {sum(map(len, tied))} {what} in {len(tied)} groups{copies}")
    listed = ", ".join(f"{name} {len(members)}" for name, members in sets.items())
    print(f"{len(units)} {what}: {listed}")
    asked = ", ".join(f"{name} {len(units) * share:.0f}" for name, share in zip(sets, shares, strict=True))
    if any(abs(len(own) - len(units) * share) >= 1 for own, share in zip(sets.values(), shares, strict=True)):
        print(f"the shares would be {asked}; they differ because groups are not divided")
