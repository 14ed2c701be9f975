"""What answers do with themselves: a picture, a table, a file, a line of text. No torch.

The methods of `kaname.types.Shown` call these functions; answers themselves know nothing but numbers.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from kaname.errors import InputError
from kaname.types import Frame, Image, Masks, Points, Tracks

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
GROUND = 32  # grey level under an answer whose image is not given
Given = Points | Masks | Tracks


def described(answer: Given) -> str:
    """An answer in a line.

    >>> described(Points({"start": np.zeros((1, 2)), "end": np.zeros((0, 2))}, {"start": np.array([0.5]),
    ...                  "end": np.zeros(0)}, (48, 64)))
    'Points(1 start, 0 end; 64 x 48 pixels; score 0.50)'
    """
    if isinstance(answer, Tracks):
        if not len(answer.frames):
            return "Tracks(no frames)"
        found = sum(_count(one) > 0 for one in answer.points)
        first, last = answer.frames[0], answer.frames[-1]
        span = f"frames {first} to {last}, {answer.times[0]:.2f} to {answer.times[-1]:.2f} s"
        return f"Tracks({len(answer.frames)} frames, something in {found} of them; {span}; {_pixels(answer.points[0])})"
    if isinstance(answer, Masks):
        boxes = "1 box" if len(answer.boxes) == 1 else f"{len(answer.boxes)} boxes"
        grid = " x ".join(map(str, answer.probabilities.shape[2:]))
        return f"Masks({boxes}; {', '.join(answer.classes)} on {grid} cells; {_pixels(answer)})"
    counts = ", ".join(f"{int(_there(xy).sum())} {name}" for name, xy in answer.xy.items())
    present = [answer.scores[name][_there(xy)] for name, xy in answer.xy.items() if name in answer.scores]
    scores = np.concatenate(present) if present else np.zeros(0)
    told = "nothing found" if not len(scores) else f"score {_range(float(scores.min()), float(scores.max()))}"
    return f"Points({counts or 'no names'}; {_pixels(answer)}; {told})"


def plot(answer: Given, image: Any = None) -> Image:
    """The answer drawn on its image, or on dark grey; of tracks the paths of all points.

    Args:
        image: a path, an RGB uint8 array ``(h, w, 3)``, a PIL image or a `Frame`; of tracks any frame of the video.

    Raises:
        InputError: an image of another size than the answer's, or tracks of masks.
    """
    from kaname.reporting.overlay import overlay

    one = answer
    if isinstance(answer, Tracks):
        if not len(answer.points) or isinstance(answer.points[0], Masks):
            raise InputError("there are no paths to draw", remedy="plot one frame's answer: tracks.points[0].plot(...)")
        one = answer.points[0]
    assert isinstance(one, (Points, Masks))
    ground = np.full((*one.size, 3), GROUND, np.uint8) if image is None else _pixels_of(image)
    if ground.shape[:2] != one.size:
        height, width = ground.shape[:2]
        reason = f"an answer for {one.size[1]} x {one.size[0]} pixels, on an image of {width} x {height}"
        raise InputError(reason, remedy="give the image that was predicted")
    return _paths(answer, ground) if isinstance(answer, Tracks) else overlay(ground, [one])


def save(answer: Given, path: str | PathLike[str], image: Any = None) -> None:
    """Write the picture of `plot` (.png, .jpg ...) or the table of `to_csv` (.csv), by the path's ending."""
    from kaname.geometry.image import write_image

    place = Path(path)
    if place.suffix.lower() == ".csv":
        to_csv(answer, place)
    elif place.suffix.lower() in PICTURES:
        write_image(place, plot(answer, image))
    else:
        remedy = f"use .csv for a table, or {', '.join(PICTURES)} for a picture"
        raise InputError(
            f"an answer is not saved as {place.suffix or 'a file without ending'!r}", path=place, remedy=remedy
        )


def to_csv(answer: Given, path: str | PathLike[str]) -> None:
    """Write `table`, a line a row; what is missing is empty."""
    from kaname.files import whole_file

    rows = list(table(answer))
    with whole_file(Path(path)) as file:
        writer = csv.DictWriter(file, columns_of(answer), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _cell(value) for name, value in row.items()})


def to_pandas(answer: Given) -> Any:
    """`table` as a pandas ``DataFrame``.

    Raises:
        InputError: pandas is not installed, with the line that installs it.
    """
    from kaname.extras import require_package

    require_package("pandas", "to_pandas()")
    import pandas

    return pandas.DataFrame(list(table(answer)), columns=columns_of(answer))


def columns_of(answer: Given) -> list[str]:
    """The columns of `table`."""
    if isinstance(answer, Tracks):
        return ["frame", "seconds", *(columns_of(answer.points[0]) if len(answer.points) else _POINT)]
    return list(_MASK if isinstance(answer, Masks) else _POINT)


_POINT = ("name", "row", "id", "x", "y", "score", "visible")
_MASK = ("row", "id", "x1", "y1", "x2", "y2", "score", "pixels")


def table(answer: Given) -> Iterator[dict[str, Any]]:
    """An answer as rows: of points one a point (``x``, ``y`` in continuous pixels, ``visible`` 0, 1 or 2), of masks one
    a box (that was asked about) with the mask's ``score`` and ``pixels``; of tracks these for each frame."""
    if isinstance(answer, Tracks):
        for frame, seconds, one in zip(answer.frames, answer.times, answer.points, strict=True):
            yield from ({"frame": frame, "seconds": seconds, **row} for row in table(one))
    elif isinstance(answer, Masks):
        yield from _mask_rows(answer)
    else:
        yield from _point_rows(answer)


def _point_rows(answer: Points) -> Iterator[dict[str, Any]]:
    for name, xy in answer.xy.items():
        seen = answer.visible.get(name, np.where(_there(xy), 2, 0))
        for row, (x, y) in enumerate(np.asarray(xy, np.float64).tolist()):
            known = answer.ids[row] if len(answer.ids) else None
            yield dict(
                zip(_POINT, (name, row, known, x, y, float(answer.scores[name][row]), int(seen[row])), strict=True)
            )


def _mask_rows(answer: Masks) -> Iterator[dict[str, Any]]:
    from kaname.codecs.mask_regions import regions, score

    boxes = answer.boxes if answer.asked is None else answer.asked
    for row, (region, cells) in enumerate(zip(regions(answer), answer.probabilities, strict=True)):
        known = answer.ids[row] if len(answer.ids) else None
        values = (row, known, *np.asarray(boxes[row], np.float64).tolist(), score(cells), int(region.inside.sum()))
        yield dict(zip(_MASK, values, strict=True))


def _paths(tracks: Tracks, ground: Image) -> Image:
    """The way of every point through the frames; where it is missing its line goes on at the next place."""
    from kaname.reporting.trail import trail_overlay

    ways: dict[tuple[str, Any], list[Any]] = {}
    for points in tracks.points:
        for name, xy in points.xy.items():
            for row in np.flatnonzero(_there(xy)).tolist():
                ways.setdefault((name, points.ids[row] if len(points.ids) else row), []).append(xy[row])
    for way in ways.values():
        ground = trail_overlay(ground, np.array(way), current=True, sure=True)
    return ground


def _pixels_of(image: Any) -> Image:
    from kaname.geometry.image import as_array, read_image
    from kaname.inference.request import check_image

    given = as_array(image.image if isinstance(image, Frame) else image)
    return check_image(given if not isinstance(given, (str, PathLike)) else read_image(given))


def _there(xy: Any) -> Any:
    return np.isfinite(np.asarray(xy, np.float64).reshape(-1, 2)).all(axis=1)


def _count(answer: Points | Masks) -> int:
    if isinstance(answer, Masks):
        return len(answer.boxes)
    return sum(int(_there(xy).sum()) for xy in answer.xy.values())


def _pixels(answer: Points | Masks) -> str:
    return f"{answer.size[1]} x {answer.size[0]} pixels"


def _range(low: float, high: float) -> str:
    return f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return ""
    return round(value, 4) if isinstance(value, float) else value
