"""Two rows, the true above the predicted, one colour an instance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaname.errors import InputError
from kaname.geometry.image import read_image
from kaname.reporting.draw import INK, RED
from kaname.reporting.validation_picture import (
    DOCUMENTED,
    HEIGHT,
    Column,
    Pick,
    draw_validation,
    instance_colours,
    pick_images,
)
from kaname.types import Masks

GREY = 100


def column(name: str = "000000020992.jpg", size: tuple[int, int] = (210, 300), **more: object) -> Column:
    """Two squares as truth; the second alone is found."""
    height, width = size
    boxes = np.array([[20.0, 30, 120, 180], [150, 40, 260, 200]])
    truth = [np.zeros(size, bool) for _ in boxes]
    for mask, (x1, y1, x2, y2) in zip(truth, boxes.astype(int).tolist(), strict=True):
        mask[y1 + 25 : y2 - 25, x1 + 25 : x2 - 25] = True
    cells = np.zeros((2, 3, 10, 10), np.float32)
    cells[:, 0] = 1
    cells[1, 1, 3:7, 3:7], cells[1, 0, 3:7, 3:7] = 1, 0
    predicted = Masks(cells, boxes, ("background", "target", "non_target"), size)
    return Column(name, np.full((height, width, 3), GREY, np.uint8), boxes, truth, predicted, **more)


def halves(path: Path) -> tuple[np.ndarray, np.ndarray]:
    sheet = read_image(path).astype(int)
    return sheet[: len(sheet) // 2], sheet[len(sheet) // 2 :]


def pixels(part: np.ndarray, colour: tuple[int, ...] | np.ndarray) -> int:
    return int((np.abs(part - np.array(colour)).max(axis=2) <= 2).sum())


def test_truth_above_and_predictions_below(tmp_path: Path) -> None:
    path = tmp_path / "validation_all_images_epoch_0001.png"
    sheet = draw_validation([column()], path)
    np.testing.assert_array_equal(sheet, read_image(path))
    above, below = halves(path)
    scale = (HEIGHT / 210) ** 2
    for number, colour in enumerate(instance_colours(2)):
        half = np.rint((GREY + np.array(colour)) / 2)
        assert pixels(above, half) == pytest.approx(column().truth[number].sum() * scale, rel=0.05)
        assert (pixels(below, half) > 1000) == (number == 1)
    assert pixels(above, RED) > 1000 and not pixels(below, RED)  # boxes and numbers stand above alone
    assert pixels(above, INK) > 50 and pixels(below, INK) > 50  # titles


def test_columns_keep_their_aspect(tmp_path: Path) -> None:
    wide, tall = column(size=(210, 630)), column(size=(420, 300))
    sheet = draw_validation([wide, tall], tmp_path / "a.png")
    alone = [draw_validation([one], tmp_path / "a.png").shape[1] for one in (wide, tall)]
    assert alone[0] - alone[1] == round(HEIGHT * 630 / 210) - round(HEIGHT * 300 / 420)
    assert sheet.shape[1] == alone[0] + alone[1] - 16


def test_an_image_that_is_not_there_says_so(tmp_path: Path) -> None:
    missing = Column("000000020992.jpg", note="is not there")
    sheet = draw_validation([column(), missing], tmp_path / "a.png")
    assert pixels(sheet[:, -200:].astype(int), (235, 235, 235)) > 1000
    with pytest.raises(InputError, match="at least one image"):
        draw_validation([], tmp_path / "b.png")


def test_colours_differ() -> None:
    colours = instance_colours(60)
    assert len(set(colours)) == 60 and colours[:5] == instance_colours(5)


def test_missing_images_are_replaced() -> None:
    first, second, third, fifth = DOCUMENTED
    assert pick_images({"x.jpg": 9, **DOCUMENTED}) == [Pick(name, name) for name in DOCUMENTED]
    picks = pick_images({"a.jpg": 2, "b.jpg": 1, "c.jpg": 1, third: 3})
    assert [pick.name for pick in picks] == ["b.jpg", "a.jpg", third, None]
    assert picks[0].note == f"in place of {first}" and not picks[2].note
    assert picks[3] == Pick(fifth, None, "not there, nor any with 5 persons")
    twice = pick_images({"a.jpg": 1, "b.jpg": 1}, {"p.jpg": 1, "q.jpg": 1, "r.jpg": None})
    assert [pick.name for pick in twice] == ["a.jpg", "b.jpg", None]
    assert twice[2].note == "not there" and second
