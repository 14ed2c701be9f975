"""Frames with the place of a small thing enlarged."""

from __future__ import annotations

import numpy as np
import pytest

from kaname.reporting import draw
from kaname.reporting.closeup import GAP, closeup

NOWHERE = np.full(2, np.nan)
BALL = np.array([700.5, 300.5])
HALF = (480 - GAP) // 2


def frame() -> np.ndarray:
    image = np.full((720, 1280, 3), 60, np.uint8)
    image[299:302, 699:702] = 255  # three pixels round BALL
    return image


def beside(right: float, down: float) -> np.ndarray:
    return BALL + np.array([right, down])


def windows(sheet: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return sheet[-HALF:, :HALF], sheet[-HALF:, -HALF:]


def has(image: np.ndarray, colour: draw.Colour) -> bool:
    return bool((np.abs(image.astype(int) - colour).max(axis=2) < 12).any())


def test_a_ball_of_three_pixels_can_be_seen() -> None:
    sheet = closeup(frame(), beside(1.0, 0.0), BALL, 4.0)
    assert sheet.shape == (270 + GAP + HALF, 480, 3) and sheet.dtype == np.uint8
    plain, marked = windows(sheet)
    rows, columns = np.nonzero(plain[..., 0] > 150)
    # The window is 48 px wide, so that a pixel is about 5 px; the ball is in its middle.
    assert 12 <= np.ptp(rows) + 1 <= 20 and 12 <= np.ptp(columns) + 1 <= 20
    assert rows.mean() == pytest.approx(HALF / 2, abs=1) and columns.mean() == pytest.approx(HALF / 2, abs=1)
    assert not has(plain, draw.RIGHT) and has(marked, draw.RIGHT) and has(sheet[:270], draw.RIGHT)
    assert not has(sheet, draw.WRONG) and not has(sheet, draw.MISSED)


def test_an_answer_far_away_has_a_window_of_its_own() -> None:
    sheet = closeup(frame(), beside(-400.0, 100.0), BALL, 4.0)
    ball, answer = windows(sheet)
    assert has(ball, draw.MISSED) and not has(ball, draw.WRONG)
    assert has(answer, draw.WRONG) and not has(answer, draw.MISSED) and answer[..., 1].max() < 100
    assert has(sheet[:270], draw.MISSED) and has(sheet[:270], draw.WRONG)


def test_a_wrong_answer_near_the_ball_is_in_its_window() -> None:
    plain, marked = windows(closeup(frame(), beside(9.0, 0.0), BALL, 4.0))
    assert has(marked, draw.WRONG) and has(marked, draw.MISSED) and plain[..., 0].max() > 200


def test_what_is_missing_is_not_drawn() -> None:
    missed, surplus = closeup(frame(), NOWHERE, BALL, 4.0), closeup(frame(), BALL, NOWHERE, 4.0)
    assert has(windows(missed)[1], draw.MISSED) and not has(missed, draw.WRONG)
    assert has(windows(surplus)[1], draw.WRONG) and not has(surplus, draw.MISSED)
    assert closeup(frame(), NOWHERE, NOWHERE, 4.0).shape == (270, 480, 3)


def test_places_at_and_beyond_the_border() -> None:
    for place in ((0.0, 0.0), (1280.0, 720.0), (1500.0, -90.0)):
        sheet = closeup(frame(), np.array(place), BALL, 4.0)
        assert sheet.shape == (270 + GAP + HALF, 480, 3)
    small = np.full((20, 30, 3), 90, np.uint8)
    assert closeup(small, np.array([3.0, 4.0]), np.array([3.0, 4.0]), 5.0, width=200).shape[1] == 200


def test_the_frame_itself_is_left_alone() -> None:
    image = frame()
    closeup(image, BALL, BALL, 4.0)
    np.testing.assert_array_equal(image, frame())
