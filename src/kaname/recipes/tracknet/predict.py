"""From heatmaps to the ball, and files of balls. No torch: an ONNX export predicts without it.

``ball.csv`` has a row for every frame: ``frame`` (from 0), ``time`` (seconds), ``x``, ``y``, ``score`` (the peak's
height), ``source`` (``detected`` or ``filled``), ``clip``, ``file``, ``coordinates``. Coordinates are continuous pixels
of the original frame, as the last column says: (0, 0) is the top-left corner of the top-left pixel. Without a ball
``x``, ``y`` and ``source`` are blank.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaname import config as configuration
from kaname.codecs.heatmap import decode
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.grid import Grid
from kaname.inference.model import Decode, Maps, Model, Runner, open_runner
from kaname.recipes.tracknet import BALL
from kaname.recipes.tracknet.detection import DetectSettings
from kaname.tracking.trajectory import DETECTED, FILLED, Row
from kaname.types import Points, Size

COLUMNS = ("frame", "time", "x", "y", "score", "source", "clip", "file", "coordinates")
NEEDED = ("frame", "x", "y", "score")
COORDINATES = "continuous"
ROUNDING = 1e-4  # by which other programs' scores may leave 0..1


def open_model(path: Path, *, runtime: str = "auto", detect: Mapping[str, Any] | None = None) -> Model:
    """A tracknet model from ``best.pt``, ``last.pt`` or an ONNX export.

    Args:
        path: the file.
        runtime: device for torch files (``auto``, ``cpu``, ``cuda``, ...); ignored by ONNX files.
        detect: settings of the detection to use instead of the stored ones.

    Raises:
        InputError: an unusable file, a file of another recipe, an unknown or ill-typed setting.
    """
    runner, card = open_runner(path, "tracknet", _load, runtime=runtime)
    stored = dict(card["config"]["detect"])
    settings = configuration.from_dict(DetectSettings, {**stored, **(detect or {})})
    return Model(card, runner, decoder_of(card, settings))


def _load(path: Path, *, device: str) -> tuple[Runner, Mapping[str, Any]]:
    from kaname.recipes.tracknet.card import load_runner

    return load_runner(path, device=device)


def decoder_of(card: Mapping[str, Any], settings: DetectSettings) -> Decode:
    """What turns the maps of a file with this card into balls."""
    (height, width), (rows, columns) = card["input_size"], card["heatmap_size"]
    grid = Grid.between((height, width), (rows, columns))
    return lambda maps, back, size: find_balls(maps, back, size, grid, settings)


def find_balls(maps: Maps, back: Affine, size: Size, grid: Grid, settings: DetectSettings) -> Points:
    """The ball of each map, by name.

    Args:
        maps: ``(T, h, w)`` in 0..1, one for each frame.
        back: from input pixels to pixels of the original frame.
        size: ``(height, width)`` of the original frame.
        grid: where the maps' cells lie in the input.
        settings: how peaks are refined, and the score above which one is a ball.

    Returns:
        ``ball``, for several maps ``ball_0``, ``ball_1``, ...: one point each, or none.
    """
    xy, scores = decode(maps, grid, settings.method)
    names = [BALL] if len(maps) == 1 else [f"{BALL}_{number}" for number in range(len(maps))]
    places = back.points(xy)
    found = [slice(number, number + int(score > settings.score_threshold)) for number, score in enumerate(scores)]
    return Points(
        xy={name: places[chosen] for name, chosen in zip(names, found, strict=True)},
        scores={name: scores[chosen] for name, chosen in zip(names, found, strict=True)},
        size=size,
    )


def row_of(points: Points, *, frame: int, seconds: float, clip: str = "", file: str = "") -> Row:
    """A frame's answer as a row."""
    if not len(points.xy[BALL]):
        return Row(frame, seconds, math.nan, math.nan, 0.0, "", clip, file)
    (x, y), score = points.xy[BALL][0].tolist(), float(points.scores[BALL][0])
    return Row(frame, seconds, x, y, score, DETECTED, clip, file)


@dataclass
class Count:
    """How many rows went into a file, and how many of them hold a ball."""

    rows: int = 0
    detected: int = 0
    filled: int = 0


def write_rows(path: Path, rows: Iterable[Row]) -> Count:
    """Write rows as they come; under its final name the file is whole or not there."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    count = Count()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(COLUMNS)
                for row in rows:
                    writer.writerow(_cells(row))
                    count.rows += 1
                    count.detected += row.source == DETECTED
                    count.filled += row.source == FILLED
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", path=path, remedy="check folder and disk") from error
    return count


def _cells(row: Row) -> list[str]:
    there = math.isfinite(row.x)
    x, y = (f"{row.x:.4f}", f"{row.y:.4f}") if there else ("", "")
    score = "" if math.isnan(row.score) else f"{row.score:.6f}"
    return [str(row.frame), f"{row.seconds:.6f}", x, y, score, row.source, row.clip, row.file, COORDINATES]


def read_rows(path: Path) -> list[Row]:
    """The rows of a ``ball.csv``.

    Raises:
        InputError: missing, without the columns ``frame, x, y, score``, other coordinates, or a value that is none.
    """
    return list(stream_rows(path))


def stream_rows(path: Path) -> Iterator[Row]:
    """As ``read_rows``, row by row."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in NEEDED if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"no column {missing[0]!r}", path=path, row=1, remedy=f"columns: {', '.join(COLUMNS)}")
            for cells in reader:
                yield _row(cells, path, reader.line_num)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"not a table of balls ({error})", path=path, remedy="predict again") from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path, remedy="check the path") from error


def _row(cells: Mapping[str, str | None], path: Path, line: int) -> Row:
    if None in cells or None in cells.values():
        raise InputError("not as many fields as the header has", path=path, row=line, remedy="correct the row")
    if (cells.get("coordinates") or COORDINATES) != COORDINATES:
        raise InputError(
            f"coordinates are {cells['coordinates']!r}, not {COORDINATES!r}", path=path, row=line,
            remedy="predict again, or leave that column out if they are continuous pixels",
        )  # fmt: skip
    try:
        x, y = (float(cells[name]) if cells[name] else math.nan for name in ("x", "y"))  # type: ignore[arg-type]
        score = float(cells["score"] or 0)
        score = 0.0 if math.isnan(score) and math.isnan(x) else score
        frame, seconds = int(cells["frame"] or ""), float(cells.get("time") or 0)
    except (TypeError, ValueError) as error:
        raise InputError(f"not a number: {error}", path=path, row=line, remedy="correct the row") from error
    if math.isnan(x) != math.isnan(y) or math.isinf(x) or math.isinf(y):
        raise InputError("x and y must both be numbers or both be blank", path=path, row=line, remedy="correct the row")
    for reason, fine in (
        (f"frame {frame} is none: they count from 0", frame >= 0),
        (f"the time {seconds} is none", math.isfinite(seconds)),
        (f"the score {score} lies outside 0..1", -ROUNDING <= score <= 1 + ROUNDING),
        ("a place without a score (1 where the program knows none)", bool(cells["score"]) or math.isnan(x)),
        (f"the source is {cells.get('source')!r}", (cells.get("source") or "") in ("", DETECTED, FILLED)),
    ):
        if not fine:
            raise InputError(reason, path=path, row=line, remedy="correct the row")
    source = cells.get("source") or (DETECTED if math.isfinite(x) else "")
    score = min(max(score, 0.0), 1.0)
    return Row(frame, seconds, x, y, score, source, cells.get("clip") or "", cells.get("file") or "")
