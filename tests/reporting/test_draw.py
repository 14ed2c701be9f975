from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from kaname.errors import InputError
from kaname.geometry.image import read_image
from kaname.reporting import draw

NAMES = ["start", "middle", "end"]


def photo(height: int = 448, width: int = 448) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def heatmaps(size: int = 448) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    centres = [(0.2, 0.7), (0.5, 0.2), (0.8, 0.7)]
    sigma = size / 40
    maps = [np.exp(-((x - a * size) ** 2 + (y - b * size) ** 2) / (2 * sigma**2)) for a, b in centres]
    return np.stack(maps).astype(np.float32)


@pytest.mark.parametrize("point", [(100.5, 60.5), (100.25, 60.75), (17.0, 33.0)])
def test_a_cross_is_centred_on_its_point(point: tuple[float, float]) -> None:
    image = np.zeros((120, 200, 3), np.uint8)
    drawn = draw.points_overlay(image, {"a": np.array([point])}, {"a": (255, 255, 255)}, legend=False)
    weight = drawn[..., 0].astype(float)
    rows, columns = np.indices(weight.shape)
    centre = [(columns * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum()]
    # The centroid is a pixel index; a pixel's centre lies half a pixel further in continuous coordinates.
    np.testing.assert_allclose(np.array(centre) + 0.5, point, atol=0.08)


def test_overlays_leave_their_input_alone_and_keep_its_shape() -> None:
    image = photo(300, 500)
    before = image.copy()
    points = draw.points_overlay(image, {"start": np.array([[20.0, 30.0]]), "end": np.zeros((0, 2))})
    maps = draw.heatmap_overlay(image, heatmaps(64), NAMES)
    np.testing.assert_array_equal(image, before)
    for drawn in (points, maps):
        assert drawn.shape == image.shape and drawn.dtype == np.uint8
        assert (drawn != image).any()


def test_points_that_are_missing_or_outside_are_left_out() -> None:
    image = photo()
    points = np.array([[np.nan, np.nan], [-1e9, 5], [1e12, 1e12], [np.inf, 3]])
    np.testing.assert_array_equal(draw.points_overlay(image, {"a": points}, legend=False), image)


def test_a_picture_that_is_not_rgb_uint8_is_refused() -> None:
    with pytest.raises(InputError, match="RGB uint8"):
        draw.points_overlay(np.zeros((5, 5), np.uint8), {})


def test_overlay_is_strongest_where_the_heatmap_is_high() -> None:
    drawn = draw.heatmap_overlay(photo(), heatmaps(), NAMES, {"start": (255, 0, 0)}, legend=False)
    assert drawn[round(0.7 * 448), round(0.2 * 448), 0] > 240
    assert drawn[440, 440].tolist() == [68, 68, 68]


def test_overlay_takes_nan_and_refuses_wrong_names() -> None:
    maps = heatmaps(32)
    maps[0] = np.nan
    assert draw.heatmap_overlay(photo(), maps, NAMES).shape == (448, 448, 3)
    with pytest.raises(InputError, match="2 names"):
        draw.heatmap_overlay(photo(), maps, NAMES[:2])


def test_heatmap_grid_shows_predicted_over_true(tmp_path: Path) -> None:
    path = tmp_path / "H_計器 1.jpg"
    truth = heatmaps(320)
    predicted = np.zeros_like(truth)
    predicted[0, :5] = np.nan
    sheet = draw.heatmap_grid(predicted, truth, NAMES, path)
    read = read_image(path)
    assert read.shape == sheet.shape
    assert abs(read.astype(int) - sheet).mean() < 4
    # Viridis: 1 is yellow, 0 is dark violet. The lower half holds the truth with its peaks, the upper half none.
    yellow = (sheet.astype(int) @ [1, 1, -2]) > 280
    middle_bar_free = yellow[:, :310]
    half = len(sheet) // 2
    assert middle_bar_free[half:].any() and not middle_bar_free[:half].any()


def test_key_point_grid_marks_in_red(tmp_path: Path) -> None:
    path = tmp_path / "K_a.jpg"
    predicted = {"start": np.array([[100.0, 200.0]])}
    sheet = draw.key_point_grid(photo(), predicted, {"end": np.array([[5.0, 5.0]])}, NAMES, path)
    red = (sheet == draw.RED).all(axis=2)
    height, width = red.shape
    counts = [
        [red[i * height // 2 : (i + 1) * height // 2, j * width // 3 : (j + 1) * width // 3].any() for j in range(3)]
        for i in range(2)
    ]
    assert counts == [[True, False, False], [False, False, True]]
    assert cv2.imread(str(path)) is not None


@pytest.mark.parametrize("size", [(40, 60), (1000, 300), (448, 448)])
def test_sheets_take_any_size(tmp_path: Path, size: tuple[int, int]) -> None:
    maps = np.zeros((3, *size), np.float32)
    assert draw.heatmap_grid(maps, maps, NAMES, tmp_path / "h.jpg").shape[1] > 3 * 100
    sheet = draw.key_point_grid(photo(*size), {}, {}, NAMES, tmp_path / "k.jpg")
    assert sheet.ndim == 3


def test_long_and_foreign_names_do_not_break(tmp_path: Path) -> None:
    names = ["開始の目盛り", "a" * 300, "line\nbreak"]
    draw.heatmap_grid(heatmaps(64), heatmaps(64), names, tmp_path / "h.png")
    drawn = draw.points_overlay(photo(60, 80), {name: np.array([[3.0, 4.0]]) for name in names})
    assert drawn.shape == (60, 80, 3)


def test_comparison_colours_found_missed_and_wrong() -> None:
    truth = np.array([[100.0, 100.0], [300.0, 100.0]])
    found = np.array([[103.0, 100.0], [200.0, 300.0], [np.nan, np.nan]])
    drawn = draw.comparison(photo(), found, truth, 10.0, legend=False)

    def holds(place: tuple[int, int], colour: tuple[int, int, int]) -> bool:
        x, y = place
        window = drawn[y - 14 : y + 15, x - 14 : x + 15].astype(int)
        return bool((np.abs(window - colour).sum(axis=2) < 40).any())

    right, missed, wrong = draw.PALETTE[:3]
    assert holds((100, 100), right) and not holds((100, 100), missed) and not holds((100, 100), wrong)
    assert holds((300, 100), missed) and not holds((300, 100), right)
    assert holds((200, 300), wrong) and not holds((200, 300), missed)
    ring = np.abs(drawn[:, :, :].astype(int) - missed).sum(axis=2) < 40
    rows, columns = np.nonzero(ring)
    distance = np.hypot(columns + 0.5 - 300, rows + 0.5 - 100)
    assert np.median(distance) == pytest.approx(10, abs=1), "as wide as the tolerance"


def test_comparison_of_nothing() -> None:
    nothing = np.zeros((0, 2))
    assert np.array_equal(draw.comparison(photo(), nothing, nothing, 5.0, legend=False), photo())
    assert not np.array_equal(draw.comparison(photo(), nothing, nothing, 5.0), photo())


def coloured(drawn: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """``(N, 2)`` places (x, y) of the pixels of about this colour."""
    rows, columns = np.nonzero(np.abs(drawn.astype(int) - colour).sum(axis=2) < 100)
    return np.column_stack([columns, rows]) + 0.5


@pytest.mark.parametrize("size", [64, 448, 1600])
def test_start_and_end_are_seen_whatever_lies_under_them(size: int) -> None:
    """``middle`` holds all notches, those of start and end too, and is drawn after start."""
    places = np.array([[0.3, 0.7], [0.5, 0.2], [0.7, 0.7]]) * size
    points = {"start": places[:1], "middle": places, "end": places[2:]}
    drawn = draw.points_overlay(photo(size, size), points, legend=False)
    for name, colour in zip(points, draw.PALETTE, strict=False):
        assert len(coloured(drawn, colour)) > 8, name


def test_what_was_found_is_not_hidden_by_its_mark() -> None:
    """A ball of three pixels, and its label round it."""
    image = photo()
    image[199:202, 199:202] = (240, 230, 60)
    points = {"true ball": np.array([[200.5, 200.5]]), "ball": np.array([[201.0, 200.5]])}
    drawn = draw.points_overlay(image, points, legend=False)
    np.testing.assert_array_equal(drawn[199:202, 199:202], image[199:202, 199:202])
    assert len(coloured(drawn, draw.PALETTE[0])) and (drawn != image).any()
    for ground in (0, 90, 255):
        plain = np.full((200, 200, 3), ground, np.uint8)
        there = draw.comparison(plain, points["ball"] / 2, points["true ball"] / 2, 10.0, legend=False)
        np.testing.assert_allclose(there[99:102, 99:102], plain[99:102, 99:102], atol=16)


def test_marks_stand_out_from_any_ground() -> None:
    """Dark marks have a light edge on a dark dial: somewhere beside the mark the picture is far from its ground."""
    for ground, far in ((10, 200), (245, 200)):
        plain = np.full((300, 300, 3), ground, np.uint8)
        for colour in (draw.RED, draw.INK if ground < 90 else draw.PAPER):
            drawn = draw.points_overlay(plain, {"a": np.array([[150.0, 150.0]])}, {"a": colour}, legend=False)
            assert np.abs(drawn.astype(int) - plain).max() > far


def test_a_name_has_one_colour() -> None:
    """Beside labels as without them; labels are paler then."""
    one = np.array([[100.0, 100.0]])
    alone = draw.points_overlay(photo(), {"start": one}, legend=False)
    both = draw.points_overlay(photo(), {"true start": one + 200, "start": one}, legend=False)
    assert len(coloured(alone, draw.PALETTE[0])) == len(coloured(both, draw.PALETTE[0])) > 8


def test_a_legend_goes_where_it_hides_no_mark() -> None:
    plain = np.full((300, 400, 3), 128, np.uint8)
    corners = np.array([[20.0, 20], [380, 20], [20, 280], [380, 280]])
    for occupied in range(4):
        points = {"ball": corners[:occupied]}
        drawn = draw.points_overlay(plain, points)
        changed = (drawn != draw.points_overlay(plain, points, legend=False)).any(axis=2)
        rows, columns = np.nonzero(changed)
        beside = np.hypot(rows.mean() - corners[:, 1], columns.mean() - corners[:, 0])
        assert beside.argmin() == occupied
        for x, y in points["ball"].astype(int):
            assert not changed[y - 15 : y + 15, x - 15 : x + 15].any()
