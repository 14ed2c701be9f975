"""``kaname gauge read``: predictions, what they show, and pictures of how that was read. No torch here."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kaname.data.formats.files import make_folder
from kaname.data.video import is_video
from kaname.errors import located
from kaname.files import spreadsheet_text, whole_file
from kaname.geometry.grid import PIXELS
from kaname.pipeline.album import Album
from kaname.pipeline.boxes import BoxSource
from kaname.pipeline.predict import predict_images
from kaname.recipes.gauge import RECIPE
from kaname.recipes.gauge.reading import Reading, check_range, read_points
from kaname.reporting.draw import INK, PALETTE, PAPER, SHIFT, Colour, with_legend
from kaname.reporting.marks import rings
from kaname.types import Answer, FloatArray, Frame, Image, Points

FILE, PICTURES = "readings.csv", "pictures"
COLUMNS = ("file", "frame", "time", "value", "unit", "confidence", "reason")
READ = ""  # the reason of those that have an answer
LISTED = 3  # reasons that are named at the end
LEGEND = 320  # pixels of a picture in which start and end are named too
NOTCH, START, END, NEEDLE, ROUND = PALETTE[0], PALETTE[1], PALETTE[2], PALETTE[3], PALETTE[4]


def read(
    sources: Sequence[Path],
    checkpoint: Path,
    out: Path,
    ends: tuple[float, float],
    unit: str,
    *,
    boxes: BoxSource | None = None,
    pictures: bool = True,
    **how: Any,
) -> None:
    """Read dials into ``readings.csv``, one row an image, a box or a frame of a video, beside ``points.json``.

    Args:
        ends: values of the first notch and of the last.
        unit: of both.
        boxes: where those of the dials come from; a column says the number of each.
        pictures: draw how each was read, of a video as a video.
        how: ``changes``, ``running``, ``overwrite``, ``damaged`` and ``profile``, as in
            `kaname.pipeline.predict.predict_images`.

    Raises:
        InputError: a range that is none, a model that does not find the needle, and what predicting raises.
    """
    check_range(*ends)
    columns = COLUMNS if boxes is None else (*COLUMNS[:3], "box", *COLUMNS[3:])
    told, reasons = "", Counter[str]()
    with ExitStack() as stack:
        album = stack.enter_context(Album(out / PICTURES))
        tables: list[Any] = []

        def table() -> Any:
            if not tables:
                make_folder(out)
                tables.append(csv.DictWriter(stack.enter_context(whole_file(out / FILE)), columns, lineterminator="\n"))
                tables[0].writeheader()
            return tables[0]

        def each(source: Path, frame: Frame, name: str, answers: Sequence[Answer]) -> None:
            nonlocal told
            found: list[Reading] = []
            for number, points in enumerate(answers, 1):
                assert isinstance(points, Points)
                with located(checkpoint):
                    found.append(read_points(points, *ends, unit))
                where = {"box": number} if boxes is not None else {}
                table().writerow({**row_of(source, frame, found[-1]), **where})
                told = told or f"{frame.name or source.name}: {found[-1]}"
                reasons[found[-1].reason if found[-1].value is None else READ] += 1
            if pictures:
                album.show(source, frame, name, drawn(frame.image, found, ends))

        def finish() -> None:
            table()
            stack.close()

        own = {"boxes": boxes, "pictures": False, "each": lambda settings, card: each, "finish": finish}
        asked = {"range": list(ends), "unit": unit, "drawn": pictures}
        predict_images(RECIPE, sources, checkpoint, out, asked=asked, **own, **how)
    print("\n".join(said(told, reasons, out / FILE)))


def row_of(source: Path, frame: Frame, reading: Reading) -> dict[str, Any]:
    """A reading as a row of the table; of an image without a frame and a time."""
    film = is_video(source)
    return {
        "file": spreadsheet_text(frame.name or source.name),
        "frame": frame.index if film else "",
        "time": f"{frame.seconds:.3f}" if film else "",
        "value": "" if reading.value is None else f"{reading.value:.6g}",
        "unit": spreadsheet_text(reading.unit),
        "confidence": f"{reading.confidence:.3f}",
        "reason": reading.reason,
    }


def said(told: str, reasons: Counter[str], target: Path) -> list[str]:
    """What there is to say at the end: one reading alone is ``told``; of others how many have which reason."""
    read, total = reasons.pop(READ, 0), reasons.total()
    why = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common(LISTED))
    rest = f" ({why}{'; ...' if len(reasons) > LISTED else ''})" if total else ""
    return [*([told] if read + total == 1 else []), f"{read} read, {total} without an answer{rest}; {target}"]


def drawn(image: Image, readings: Sequence[Reading], ends: tuple[float, float]) -> Image:
    """An image with how its dials were read: ellipse, notches with their steps from 0, needle and value.

    Args:
        image: RGB uint8 ``(h, w, 3)``.
        readings: in pixels of it.
        ends: values of the first notch and of the last.
    """
    picture = np.array(image, order="C")
    for reading in readings:
        _draw(picture, image, reading)
    unit = f" {readings[0].unit}" if readings and readings[0].unit else ""
    rows: list[tuple[str, Colour]] = [(str(one), NEEDLE if one.value is not None else PAPER) for one in readings]
    if len(readings) == 1 and len(readings[0].notches) and min(picture.shape[:2]) >= LEGEND:
        rows += [(f"start {ends[0]:g}{unit}", START), (f"end {ends[1]:g}{unit}", END)]
    return with_legend(picture, rows, image) if rows else picture


def _draw(picture: Image, ground: Image, reading: Reading) -> None:
    reach = max(picture.shape[:2]) if reading.ellipse is None else 2.6 * reading.ellipse.radius
    radius, thin = max(4.5, reach / 60), max(1, round(reach / 300))
    if reading.ellipse is not None:
        _line(picture, reading.ellipse.outline(), ROUND, thin, closed=True)
    if len(reading.tip) and len(reading.pivot):
        _line(picture, np.concatenate([reading.pivot, reading.tip]), NEEDLE, 2 * thin)
    for points, colour, wide in (
        (reading.notches[1:-1], NOTCH, radius),
        (reading.notches[-1:], END, 1.3 * radius),
        (reading.notches[:1], START, 1.3 * radius),
        (reading.tip, NEEDLE, radius),
        (reading.pivot, NEEDLE, 1.3 * radius),
    ):
        rings(picture, points, colour, wide, max(2, round(radius / 4)), ground=ground)
    if reading.ellipse is not None:
        _numbers(picture, reading, reading.ellipse.centre, radius)


def _numbers(picture: Image, reading: Reading, centre: FloatArray, radius: float) -> None:
    """The step of each notch, beyond it as seen from the centre."""
    size = max(0.4, radius / 11)
    for place, step in zip(reading.notches, reading.steps, strict=True):
        text, away = str(round(step)), place - centre
        (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
        x, y = place + away / max(1.0, float(np.linalg.norm(away))) * 2.6 * radius + [-wide / 2, high / 2]
        corner = (
            round(float(np.clip(x, 1, picture.shape[1] - wide))),
            round(float(np.clip(y, high, picture.shape[0]))),
        )
        thick = max(1, round(radius / 8))
        for colour, width in ((INK, thick + 2), (PAPER, thick)):
            cv2.putText(picture, text, corner, cv2.FONT_HERSHEY_SIMPLEX, size, colour, width, cv2.LINE_AA)


def _line(picture: Image, points: FloatArray, colour: Colour, thickness: int, *, closed: bool = False) -> None:
    """A line with a dark edge."""
    way = [np.rint(PIXELS.to_index(points) * (1 << SHIFT)).astype(np.int32)]
    for ink, width in ((INK, thickness + 2), (colour, thickness)):
        cv2.polylines(picture, way, closed, ink, width, cv2.LINE_AA, SHIFT)
