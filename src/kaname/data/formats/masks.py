"""Predicted masks on disk, ``masks.json``: a COCO results list that other programs read, with extra fields. No torch.

Each entry is one box: ``image_id``, ``category_id``, ``bbox`` (``[x, y, width, height]`` in continuous pixels),
``score`` (the mean probability inside the mask) and ``segmentation`` (the first class after the background, as RLE of
the image's size). Kaname adds ``image`` (the name), ``grid`` (by class the RLE on the grid of the box, of the cells
where it is the most probable), and where they are known ``region`` (``[x1, y1, x2, y2]`` on which the grid lies, if
that is not ``bbox``), ``instance``, ``frame``, ``seconds`` and ``file``. The first entry also holds ``kaname``:
``recipe``, ``model``, ``settings`` and further fields.

The same list with outlines instead of RLE is ``polygons.json``: ``segmentation`` holds the outer rings alone, and what
they enclose without belonging to the mask stands in ``holes``; RLE is the exact form that every program reads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.codecs.mask_regions import PLAIN, Choice, Region, outlines, regions, score
from kaname.data.formats import rle
from kaname.data.formats.files import is_number, write_listed
from kaname.data.formats.listed import once, read_listed
from kaname.data.formats.points import row_name
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.types import FloatArray, Masks, Prediction, Size

VERSION = 1
HEAD = "kaname"
GRID: Size = (56, 56)  # for masks of other programs, whose boxes have none


@dataclass(frozen=True)
class Result:
    """One entry.

    Attributes:
        image_id: of the image in its label file.
        image: its name; of other programs' files ``file_name``, or the ``image_id`` as text.
        category_id: of the object.
        box: ``(4,)`` in pixels; that of the mask where the file has none.
        region: ``(4,)`` on which the grid lies.
        score: in 0..1.
        segmentation: the mask's encoding; `kaname.data.formats.rle` decodes it.
        cells: where the file has a grid, its size and the bits of the cells of each class: an eighth of the memory.
        classes: names of the grid's classes, from 1.
        more: ``instance``, ``frame``, ``seconds``, ``file``.
    """

    image_id: int | str
    image: str
    category_id: int
    box: FloatArray
    region: FloatArray
    score: float
    segmentation: Mapping[str, Any]
    cells: tuple[Size, bytes] | None
    classes: Sequence[str]
    more: Mapping[str, Any]

    @property
    def size(self) -> Size:
        """``(height, width)`` of the image."""
        height, width = self.segmentation["size"]
        return int(height), int(width)

    @property
    def grid(self) -> NDArray[np.uint8] | None:
        """``(h, w)`` the class of each cell of the box, where the file has it."""
        if self.cells is None:
            return None
        size, bits = self.cells
        grid, count = np.zeros(size, np.uint8), len(self.classes) * size[0] * size[1]
        each = np.unpackbits(np.frombuffer(bits, np.uint8), count=count).view(np.bool_)
        for number, cells in enumerate(each.reshape(-1, *size), 1):
            grid[cells] = number
        return grid

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The mask on the image."""
        return rle.decode(self.segmentation)


def write(
    path: Path,
    rows: Iterable[Prediction],
    *,
    recipe: str,
    model: str,
    settings: Mapping[str, Any],
    image_ids: Mapping[str, int | str] | None = None,
    category_id: int = 1,
    choice: Choice = PLAIN,
    polygons: bool = False,
    **fields: Any,
) -> None:
    """Write a file of masks; under its final name it is whole or not there.

    Args:
        path: usually ``masks.json``.
        rows: predictions whose answers are ``Masks``; they are pasted one box at a time.
        recipe, model, settings, fields: as in `kaname.data.formats.points.write`.
        image_ids: from an image's name to its id in a label file; by default the row's own, else the number that the
            name is, as COCO names its images, else the name (of a video's frame ``SOURCE#FRAME``).
        category_id: of the entries of rows that do not say their own.
        choice: how probabilities become masks.
        polygons: outlines instead of RLE, in a file of their own.
    """
    how = {"image_ids": image_ids, "category_id": category_id, "choice": choice, "polygons": polygons}
    head = {"version": VERSION, "recipe": recipe, "model": model, "settings": dict(settings), **fields}
    entries = (entry for row in rows for entry in entries_of(row, **how))  # type: ignore[arg-type]
    write_listed(path, ({**entry, HEAD: head} if number == 0 else entry for number, entry in enumerate(entries)))


def read(path: Path, *, recipe: str | None = None) -> list[Prediction]:
    """The masks of a file by image (and frame), in its order: on the grid of each box, 1 for the class of a cell.

    Boxes without a grid, of other programs, get one of ``GRID`` cells. What has the image's resolution is in
    :func:`read_results`.

    Raises:
        InputError: what :func:`read_results` raises, or boxes of one image with grids of different sizes.
    """
    return list(stream(path, recipe=recipe))


def stream(path: Path, *, recipe: str | None = None) -> Iterator[Prediction]:
    """As :func:`read`, an image at a time: the grids of all of them would take gigabytes."""
    groups: dict[tuple[str, Any], list[Result]] = {}
    for result in read_results(path, recipe=recipe):
        groups.setdefault((result.image, result.more.get("frame")), []).append(result)
    for (source, frame), results in groups.items():
        first = results[0]
        grids = [_grid_of(one) for one in results]
        if {one.shape for one in grids} != {grids[0].shape} or {one.size for one in results} != {first.size}:
            raise InputError("boxes of one image differ in their grids or sizes", path=path, row=source)
        classes = first.classes or ("target",)
        cells = np.stack(grids)[:, None] == np.arange(len(classes) + 1)[:, None, None]
        answer = Masks(
            probabilities=cells.astype(np.float32),
            boxes=np.stack([one.region for one in results]),
            classes=("background", *classes),
            size=first.size,
            ids=[one.more["instance"] for one in results] if "instance" in first.more else (),
            asked=np.stack([one.box for one in results]),
        )
        seconds, file = float(first.more.get("seconds", 0.0)), str(first.more.get("file", ""))
        yield Prediction(source=source, answer=answer, frame=frame, seconds=seconds, file=file)


def read_results(path: Path, *, recipe: str | None = None) -> list[Result]:
    """The entries of a file of masks, Kaname's or any COCO results list with masks.

    Raises:
        InputError: not such a list, another recipe's, or a malformed entry, with its number.
    """
    results, head = _read(path)
    theirs = read_head(head).get("recipe", recipe)
    if recipe is not None and theirs != recipe:
        reason = f"predictions of the recipe {theirs!r}, not of {recipe!r}"
        raise InputError(reason, path=path, remedy="score them with its evaluate")
    return list(results)


@once
def _read(path: Path) -> tuple[list[Result], list[Any]]:
    """The entries, and the first one as it stands in the file."""
    first: list[Any] = []

    def take(number: int, entry: Any) -> Result:
        first.extend([entry] if number == 1 else [])
        try:
            return _result(entry)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, MemoryError) as error:
            text = f"no {error}" if isinstance(error, KeyError) else str(error)
            reason = f"not a mask ({text[:100]})"
            raise InputError(reason, path=path, row=f"result {number}", remedy="predict again") from error

    results = read_listed(path, "", take)
    if not isinstance(results, list):
        raise InputError("not a COCO results list", path=path, remedy="it is a list with an entry for each mask")
    return results, first


def read_head(content: Any) -> dict[str, Any]:
    """What a file's content says about its origin: ``recipe``, ``model``, ``settings``; empty for other programs'."""
    first = content[0] if isinstance(content, list) and content else None
    head = first.get(HEAD) if isinstance(first, dict) else None
    return head if isinstance(head, dict) else {}


def entries_of(
    row: Prediction,
    image_ids: Mapping[str, int | str] | None = None,
    category_id: int = 1,
    choice: Choice = PLAIN,
    *,
    polygons: bool = False,
) -> Iterable[dict[str, Any]]:
    """The entries of one prediction, a mask at a time; the arguments are those of :func:`write`."""
    number = (image_ids or {}).get(row_name(row), _id_of(row))
    own = category_id if row.category_id is None else row.category_id
    for entry in _entries(row, choice, _rings if polygons else _runs):
        yield {"image_id": number, "category_id": own, **entry}


def _id_of(row: Prediction) -> int | str:
    if row.image_id is not None:
        return row.image_id
    stem = Path(row.source).stem
    return int(stem) if row.frame is None and stem.isascii() and stem.isdecimal() else row_name(row)


def _entries(
    row: Prediction, choice: Choice, shape: Callable[[Region, Size], dict[str, Any]]
) -> Iterable[dict[str, Any]]:
    masks = row.answer
    assert isinstance(masks, Masks), "masks.json holds masks; points go to points.json"
    for number, region in enumerate(regions(masks, choice)):
        cells = masks.probabilities[number]
        grid = cells.argmax(axis=0)
        seen = masks.boxes[number].tolist()
        x1, y1, x2, y2 = seen if masks.asked is None else masks.asked[number].tolist()
        entry: dict[str, Any] = {
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            **({"region": seen} if seen != [x1, y1, x2, y2] else {}),
            "score": score(cells, choice),
            **shape(region, masks.size),
            "image": row.source,
            "grid": {name: rle.encode(grid == one) for one, name in enumerate(masks.classes) if one},
        }
        if len(masks.ids):
            entry["instance"] = masks.ids[number]
        if row.frame is not None:
            entry |= {"frame": row.frame, "seconds": row.seconds}
        yield entry | ({"file": row.file} if row.file else {})


def _runs(region: Region, size: Size) -> dict[str, Any]:
    whole = np.zeros(size, bool, order="F")  # as its runs go, which makes them ten times faster
    whole[region.rows, region.columns] = region.inside
    return {"segmentation": rle.encode(whole)}


def _rings(region: Region, size: Size) -> dict[str, Any]:
    outer, holes = ([ring.ravel().tolist() for ring in rings] for rings in outlines(region))
    return {"segmentation": outer, "holes": holes, "size": list(size)}


def _result(entry: Any) -> Result:
    if isinstance(entry["segmentation"], list):
        raise ValueError("its segmentation is outlines, results hold run lengths")
    named: Mapping[str, Any] = entry.get("grid", {})
    _, *lengths = rle.counts_each([entry["segmentation"], *named.values()])  # raises here, where its number is known
    given = entry["bbox"] if "bbox" in entry else rle.cut_out(entry["segmentation"]).extent
    x, y, width, height = (float(value) for value in given)
    if not all(map(math.isfinite, (x, y, width, height))) or width < 0 or height < 0:
        raise ValueError("its bbox is not x, y, width, height")
    if not isinstance(entry["image_id"], (int, str)) or not is_number(entry.get("score", 1.0)):
        raise ValueError("its image_id or its score is invalid")
    grids = [rle.drawn(own, *map(int, one["size"])) for own, one in zip(lengths, named.values(), strict=True)]
    box = np.array([x, y, x + width, y + height])
    region = np.array([float(value) for value in entry["region"]]) if "region" in entry else box
    if region.shape != (4,) or not np.isfinite(region).all() or (region[2:] < region[:2]).any():
        raise ValueError("its region is not x1, y1, x2, y2")
    return Result(
        image_id=entry["image_id"],
        image=str(entry.get("image", entry.get("file_name", entry["image_id"]))),
        category_id=int(entry["category_id"]),
        box=box,
        region=region,
        score=float(entry.get("score", 1.0)),
        segmentation=entry["segmentation"],
        cells=(grids[0].shape, np.packbits(np.stack(grids)).tobytes()) if grids else None,
        classes=tuple(map(str, named)),
        more={name: entry[name] for name in ("instance", "frame", "seconds", "file") if name in entry},
    )


def _grid_of(result: Result) -> NDArray[np.uint8]:
    grid = result.grid
    if grid is not None:
        return grid
    x1, y1, x2, y2 = result.region.tolist()
    if x2 <= x1 or y2 <= y1:
        return np.zeros(GRID, np.uint8)
    return Affine.crop(result.region, GRID).mask(result.mask.astype(np.uint8), GRID)
