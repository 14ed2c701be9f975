"""Splits by whole groups (games, videos), and the search for frames that are on both sides of a split.

Neighbouring frames of a video are nearly equal: a split frame by frame measures memory instead of skill, so there is
none here. What a split by group cannot see is a clip that was copied into another group; ``near_duplicates`` finds it.

A frame is compared by two prints of its grey thumbnail: a difference hash of 512 bits (is a cell brighter than its
neighbour to the left, than its neighbour above, on 17 x 17 cells), and, for what the hash finds alike, the 18 x 32
cells themselves with their mean and contrast evened out. Measured on 175 broadcast frames (two clips of one "game" and
one of another, all of one match under the same camera) and on 284 frames of a second match under a nearly still one:

==============================================  ================  ========================
pair                                            hash, bits        greatest cell difference
==============================================  ================  ========================
re-encoded (JPEG 95 to 30)                      0 .. 23           0 .. 4
resized (320 to 1920 wide, JPEG 80)             0 .. 24           0 .. 10
brighter by 15 % (partly clipped)               0 .. 22           0 .. 16
consecutive frames of a clip                    0 .. 16           2 .. 64
10 or more frames apart in a clip               2 .. 91           7 .. 165 (97 % over 20)
two clips of one game                           12 .. 102         58 .. 187
two games of one match, same camera             75 .. 141         91 .. 158
two matches                                     230 .. 274        180 .. 193
==============================================  ================  ========================

A hash of 64 bits is not enough: copies differ by up to 6 of them and the two games by as few as 6. Nor is the hash
alone enough for a camera that never moves: a third of the frames far apart in one clip, and under the still camera all,
lie within its threshold; there the cells tell, by the players. Ten rendered matches (7,680 frames) lie 133 bits or
more apart. What neither print finds are copies that are cropped (85 bits at 2 %), mirrored, or carry a new overlay.
"""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kaname.data.formats.files import image_size
from kaname.data.frame_source import frame_in, read_frame
from kaname.errors import InputError
from kaname.types import Sample

HASH_BITS = 40  # of 512; copies reach 25, other games begin at 77
CELL_LEVELS = 20.0  # greatest cell difference at a contrast of 50; copies reach 16, other games begin at 91

_SIDE = 16  # cells of the hash
_CELLS = (18, 32)  # rows and columns of the second print
_CONTRAST = 50.0  # standard deviation to which the second print is evened out
_FLAT = 3.0  # grey levels of standard deviation under which a frame (a fade, a black one) resembles all others
_LEAST = 64  # pixels of the shorter side that decoding must leave
_EXCESS = 0.002  # of a side that decoding may add
_REDUCED = (
    (8, cv2.IMREAD_REDUCED_GRAYSCALE_8),
    (4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
    (2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
    (1, cv2.IMREAD_GRAYSCALE),
)
_BLOCK = 2048  # frames of each side that are compared at once
_NEAREST = 16  # candidates by hash for each frame, which the cells then decide on
_READERS = 8  # threads that decode at once

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Split:
    """Samples by set, the groups (names) that went into each, and the groups that are in none."""

    train: list[Sample]
    val: list[Sample]
    test: list[Sample]
    groups: dict[str, list[str]]
    unused: list[str]


@dataclass(frozen=True)
class NearDuplicate:
    """Two image files that show the same picture, and by how many of 512 bits their hashes differ."""

    first: Path
    second: Path
    bits: int


@dataclass(frozen=True)
class Prints:
    """What frames are compared by.

    Attributes:
        paths: the N image files.
        signs: ``(N, 512)``, 1 or -1, the hash.
        cells: ``(N, 576)``, thumbnails with mean 0 and standard deviation 50.
        telling: ``(N,)``, False where a frame is so flat that nothing can be said.
    """

    paths: Sequence[Path]
    signs: FloatArray
    cells: FloatArray
    telling: NDArray[np.bool_]

    def of(self, rows: Sequence[int]) -> Prints:
        """Those of some of the frames."""
        return Prints([self.paths[row] for row in rows], self.signs[rows], self.cells[rows], self.telling[rows])


def by_group(
    samples: Sequence[Sample],
    *,
    train: Sequence[str | int],
    val: Sequence[str | int] = (),
    test: Sequence[str | int] = (),
    key: str = "game",
    part: str = "clip",
) -> Split:
    """Split samples by whole groups, or by whole parts of one; the order of samples stays.

    Args:
        samples: each with its group's name in ``meta[key]``.
        train, val, test: groups by name, or by the number in which the name ends: 1 and "1" mean "game1". A part is
            named ``GROUP/PART``; its set counts, whichever the rest of the group is in.
        key, part: the entries of ``meta`` that name the group and, where it has some, the part.

    Raises:
        InputError: a group that does not exist, or a number that several names end in; a group in two sets; no
            group in ``train``; a sample without a group.
    """
    members: dict[str, list[str]] = {}  # group to what its samples are of
    for sample in samples:
        if sample.meta.get(key) is None:
            raise InputError(f"it belongs to no {key}", path=sample.image, remedy=f"set meta[{key!r}]")
        members.setdefault(str(sample.meta[key]), []).append(_place(sample, key, part))
    clips = {place for places in members.values() for place in places} - set(members)
    owner: dict[str, str] = {}
    for name, wanted in (("train", train), ("val", val), ("test", test)):
        for group in [str(one) if str(one) in clips else _group(one, members, key) for one in wanted]:
            if owner.setdefault(group, name) != name:
                reason = f"the {key} {group!r} is in {owner[group]} and in {name}"
                raise InputError(reason, remedy="keep it in one: frames of both would resemble each other")
    of = {place: owner.get(place, owner.get(group)) for group, places in members.items() for place in places}
    sets = {
        name: [sample for sample in samples if of[_place(sample, key, part)] == name]
        for name in ("train", "val", "test")
    }
    if not sets["train"]:
        raise InputError(f"train has no {key}", remedy=f"there are: {', '.join(members) or 'no samples'}")
    groups = {name: [group for group in [*members, *sorted(clips)] if owner.get(group) == name] for name in sets}
    unused = [group for group, places in members.items() if all(of[place] is None for place in places)]
    return Split(**sets, groups=groups, unused=unused)


def _place(sample: Sample, key: str, part: str) -> str:
    """The group and the part of it that a sample is of; of a group without parts the group."""
    group, inner = str(sample.meta[key]), sample.meta.get(part)
    return group if inner is None else f"{group}/{inner}"


def named(wanted: Iterable[str | int], groups: Iterable[str]) -> set[str]:
    """The groups that names and numbers mean, as in `by_group`; one that means none is ignored."""
    groups = set(groups)
    words = {str(word) for word in wanted}
    numbers = {int(word) for word in words - groups if re.fullmatch("[0-9]+", word)}
    return {group for group in groups if group in words or _number(group) in numbers}


def near_duplicates(first: Sequence[Sample] | Prints, second: Sequence[Sample] | Prints) -> list[NearDuplicate]:
    """The frames of one set that are near copies of frames of another: re-encoded, resized, or of a copied clip.

    Args:
        first, second: samples, or their ``prints`` where a set is compared with several others.

    Returns:
        For each frame of ``first`` that has a near copy in ``second`` the nearest one, in the order of ``first``.
        Flat frames (black ones, fades) are not compared.

    Raises:
        InputError: an image that is missing or cannot be decoded.
    """
    one, other = (given if isinstance(given, Prints) else prints([s.image for s in given]) for given in (first, second))
    rows, columns = np.flatnonzero(one.telling), np.flatnonzero(other.telling)
    pairs: list[NearDuplicate] = []
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        candidates, bits = _candidates(one.signs[block], other.signs[columns])
        for row, candidate, distance in zip(block, columns[candidates], bits, strict=True):
            near, distance = candidate[distance <= HASH_BITS], distance[distance <= HASH_BITS]
            apart = np.abs(other.cells[near] - one.cells[row]).max(axis=1)
            best = int(apart.argmin()) if len(apart) else 0
            if len(apart) and apart[best] <= CELL_LEVELS:
                pairs.append(NearDuplicate(one.paths[int(row)], other.paths[int(near[best])], int(distance[best])))
    return pairs


def alike(known: Prints) -> list[tuple[int, int, int]]:
    """The near copies within one set: pairs of positions (the smaller first) and by how many bits they differ.

    Of a frame with many copies the nearest ones are named. Flat frames are not compared.
    """
    telling = np.flatnonzero(known.telling)
    pairs: dict[tuple[int, int], int] = {}
    for start in range(0, len(telling), _BLOCK):
        block = telling[start : start + _BLOCK]
        candidates, bits = _candidates(known.signs[block], known.signs[telling])
        for row, candidate, distance in zip(block, telling[candidates], bits, strict=True):
            near, distance = candidate[distance <= HASH_BITS], distance[distance <= HASH_BITS]
            apart = np.abs(known.cells[near] - known.cells[row]).max(axis=1, initial=0)
            for other, difference in zip(near[apart <= CELL_LEVELS], distance[apart <= CELL_LEVELS], strict=True):
                if other != row:
                    pairs[(min(int(row), int(other)), max(int(row), int(other)))] = int(difference)
    return [(*pair, difference) for pair, difference in sorted(pairs.items())]


def by_folder(duplicates: Sequence[NearDuplicate]) -> list[tuple[Path, Path, int]]:
    """Near duplicates counted by the folders (clips) of both sides, most first: (first, second, count)."""
    counts = Counter((one.first.parent, one.second.parent) for one in duplicates)
    return [(*folders, count) for folders, count in counts.most_common()]


def copies(sets: Mapping[str, Sequence[Path]]) -> list[InputError]:
    """A problem for each pair of folders of different sets with frames that are near copies of each other.

    Args:
        sets: the image files of each set.
    """
    known = {name: prints(paths) for name, paths in sets.items()}
    duplicates = {pair: near_duplicates(*(known[name] for name in pair)) for pair in itertools.combinations(known, 2)}
    return [
        InputError(
            f"{count} frames ({first}) are near copies of frames of {other} ({second}): scores would be too good",
            path=one, remedy="move the clips into one set",
        )
        for (first, second), near in duplicates.items() for one, other, count in by_folder(near)
    ]  # fmt: skip


def prints(paths: Sequence[Path]) -> Prints:
    """The prints of image files, decoded to thumbnails (JPEG at an eighth of its size), several at a time, and of
    frames of videos (`kaname.data.frame_source`).

    Raises:
        InputError: the first image that is missing or cannot be decoded.
    """
    with ThreadPoolExecutor(min(_READERS, os.cpu_count() or 1)) as pool:
        files = [path for path in paths if frame_in(path) is None]
        known = dict(zip(files, pool.map(_print, files), strict=True))
    # A video is read by one thread, which goes through it in the order of its frames.
    each = [known[path] if path in known else _print(path) for path in paths]
    rows, columns = _CELLS
    return Prints(
        paths=list(paths),
        signs=np.array([signs for signs, _, _ in each], np.float32).reshape(-1, 2 * _SIDE**2),
        cells=np.array([cells for _, cells, _ in each], np.float32).reshape(-1, rows * columns),
        telling=np.array([telling for _, _, telling in each], bool),
    )


def _group(wanted: Any, members: Mapping[str, object], key: str) -> str:
    """The name of the group that a name or a number means."""
    text = str(wanted)
    if text in members:
        return text
    counted = not isinstance(wanted, bool) and re.fullmatch("[0-9]+", text) is not None
    ending = [name for name in members if counted and _number(name) == int(text)]
    if len(ending) == 1:
        return ending[0]
    if ending:
        raise InputError(f"the {key} {wanted!r} may be {' or '.join(ending)}", remedy="write the whole name")
    raise InputError(f"there is no {key} {wanted!r}", remedy=f"there are: {', '.join(members) or 'no samples'}")


def _number(name: str) -> int | None:
    """The number in which a name ends."""
    match = re.search("[0-9]+$", name)
    return int(match.group()) if match else None


def _print(path: Path) -> tuple[NDArray[np.int8], FloatArray, bool]:
    """The hash (512,), the cells (576,) of one image, and whether they can be compared."""
    grey = _thumbnail(path)
    small = cv2.resize(grey, (_SIDE + 1, _SIDE + 1), interpolation=cv2.INTER_AREA).astype(np.int16)
    brighter = np.stack([small[:-1, 1:] > small[:-1, :-1], small[1:, :-1] > small[:-1, :-1]])
    cells = cv2.resize(grey, _CELLS[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
    contrast = float(cells.std())
    even = (cells - cells.mean()) * (_CONTRAST / max(contrast, 1.0))
    return np.where(brighter, 1, -1).astype(np.int8).ravel(), even.ravel(), contrast >= _FLAT


def _thumbnail(path: Path) -> NDArray[np.uint8]:
    """The grey image, as small as decoding makes it at once and as prints allow."""
    if frame_in(path) is not None:
        return np.asarray(cv2.cvtColor(read_frame(path), cv2.COLOR_RGB2GRAY), np.uint8)
    try:
        data = np.fromfile(path, np.uint8)  # imread would not take every name on every system
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path, remedy="check the path") from error
    size = image_size(path)
    flag = next(flag for step, flag in _REDUCED if all(_reducible(side, step) for side in size))
    grey = cv2.imdecode(data, flag)
    if grey is None:
        raise InputError("not an image that can be read", path=path, remedy="copy or extract it again")
    return np.asarray(grey, np.uint8)


def _reducible(side: int, step: int) -> bool:
    """Whether decoding at a fraction leaves enough pixels, and a last one that is nearly whole.

    540 rows at an eighth become 68 that stand for 544: the copy would be shifted by up to four rows.
    """
    reduced = -(-side // step)
    return step == 1 or (reduced >= _LEAST and reduced * step - side <= side * _EXCESS)


def _candidates(signs: FloatArray, others: FloatArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each hash (B, 512) its nearest others and their distances in bits, both (B, up to 16)."""
    nearest = np.zeros((len(signs), 0), np.int64)
    bits = np.zeros((len(signs), 0), np.int64)
    for start in range(0, len(others), _BLOCK):
        # Of signs, each bit that differs takes 2 from the product: one matrix product counts them all.
        distance = ((signs.shape[1] - signs @ others[start : start + _BLOCK].T) / 2).astype(np.int64)
        keep = min(_NEAREST, distance.shape[1])
        chosen = np.argpartition(distance, keep - 1, axis=1)[:, :keep]
        nearest = np.concatenate([nearest, chosen + start], axis=1)
        bits = np.concatenate([bits, np.take_along_axis(distance, chosen, axis=1)], axis=1)
    best = np.argsort(bits, axis=1, kind="stable")[:, :_NEAREST]
    return np.take_along_axis(nearest, best, axis=1), np.take_along_axis(bits, best, axis=1)
