from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from axis_lists import check_ranges
from kaname.errors import InputError
from kaname.samples import gauge
from kaname.samples.axes import Draws, table
from kaname.samples.painting import EXTENT
from kaname.samples.world import scene
from kaname.samples.world.axes import AXES
from kaname.samples.world.layout import room
from kaname.samples.world.plate import paint_row

SMALL = 96
DOCS = Path(__file__).resolve().parents[2] / "docs" / "gauge.md"


def draw(index: int, size: int = SMALL, without: Iterable[str] = ()) -> gauge.Dial:
    return gauge.render(np.random.default_rng([5, index]), size, variety="world", without=without)


@pytest.fixture(scope="module")
def dials() -> list[gauge.Dial]:
    return [draw(i) for i in range(240)]


def test_every_axis_takes_part_and_stays_in_its_range(dials: list[gauge.Dial]) -> None:
    check_ranges(AXES, [dial.traits for dial in dials], slack=0.15)


@pytest.mark.parametrize("name", sorted(AXES))
def test_an_axis_that_is_switched_off_is_absent_and_the_others_stay_as_they_were(
    name: str, dials: list[gauge.Dial]
) -> None:
    chosen = [i for i, dial in enumerate(dials) if dial.traits[name] != AXES[name].off][:5]
    pairs = [(dials[i], draw(i, without=(name,))) for i in chosen]
    assert all(without.traits[name] == AXES[name].off for _, without in pairs)
    assert any(not np.array_equal(with_it.image, without.image) for with_it, without in pairs)
    if AXES[name].group in ("light", "camera", "dirt"):  # nothing moves but by the lens itself, which is geometry
        assert all(np.array_equal(one.points["middle"], two.points["middle"]) for one, two in pairs)


def test_the_chances_of_the_other_axes_do_not_depend_on_what_is_left_out() -> None:
    for seed in range(30):
        whole, part = Draws(seed, AXES, frozenset()), Draws(seed, AXES, frozenset({"glare", "tilt", "marks"}))
        for name in AXES.keys() - {"glare", "tilt", "marks"}:
            assert (whole(name).value, whole(name).on) == (part(name).value, part(name).on)
            assert whole(name).rng.random() == part(name).rng.random()


def test_without_every_axis_a_dial_is_plain_and_head_on() -> None:
    for index in range(6):
        dial = draw(index, 160, without=AXES)
        assert all(dial.traits[name] == axis.off for name, axis in AXES.items())
        points = np.concatenate([dial.points[name] for name in ("start", "middle", "end")])
        assert len(points) == 6
        away = points - dial.pivot[0]
        radius = np.hypot(*away.T)
        assert np.ptp(radius) < 0.5
        turns = np.degrees(np.diff(np.unwrap(np.arctan2(away[:, 1], away[:, 0]))))
        np.testing.assert_allclose(turns, 54, atol=0.5)


def test_a_picture_depends_on_its_generator_alone() -> None:
    for index in range(4):
        one, two = draw(index), draw(index)
        assert np.array_equal(one.image, two.image)
        assert one.traits == two.traits
        for name in ("start", "middle", "end"):
            assert np.array_equal(one.points[name], two.points[name])


def test_every_notch_and_its_order_lie_within_the_picture(dials: list[gauge.Dial]) -> None:
    for index, dial in enumerate(dials):
        points = np.concatenate([dial.points[name] for name in ("start", "middle", "end")])
        assert dial.image.shape == (SMALL, SMALL, 3)
        assert dial.image.dtype == np.uint8
        assert len(dial.points["start"]) == len(dial.points["end"]) == 1
        assert len(points) >= 3
        assert (points > 0).all(), index
        assert (points < SMALL).all(), index
        x1, y1, x2, y2 = dial.boxes[0]
        inside = (points > [x1 - 0.5, y1 - 0.5]) & (points < [x2 + 0.5, y2 + 0.5])
        assert inside.all(), index
        assert dial.needle_tip.shape == dial.pivot.shape == (1, 2)


def seen_flat(
    seed: int, size: int = 448, *, only_notches: bool = False
) -> tuple[np.ndarray, np.ndarray, scene.Instrument]:
    """A printed face as the camera sees it, without anything on it or before it; its points."""
    off = {"sectors", "sub_dial", "fittings", "wear", "texts", "second_scale", "contrast", "lens", "paper"}
    draws = Draws(seed, AXES, frozenset(off))
    wide = draws("extent").value * size
    tool = scene._build(draws, int(np.clip(1.5 * EXTENT * wide, 64, 1400)))
    if only_notches:
        tool.plate.canvas[:] = tool.plate.paper
        paint_row(tool.plate.canvas, tool.plate.scale.notches, tool.plate.ink, tool.plate.paper)
    camera, points = scene._aim(draws, tool, size, wide)
    return camera.warp(tool.plate.canvas, EXTENT, (size, size)), points, tool


def scene_width(tool: scene.Instrument, points: np.ndarray) -> float:
    """About how many pixels wide a notch's mark is seen, at least, from how much the scale is squeezed."""
    plane = tool.plate.scale.notches.points()
    squeezed = np.linalg.svd((points - points.mean(0)), compute_uv=False) / np.linalg.svd(
        plane - plane.mean(0), compute_uv=False
    )
    return tool.plate.scale.notches.width * float(squeezed.min())


def test_the_point_of_a_notch_lies_on_its_mark() -> None:
    checked = 0
    for seed in range(60):
        face, points, tool = seen_flat(seed)
        if tool.plate.scale.notches.form == "hollow" or scene_width(tool, points) < 1.5:
            continue
        ink, paper = np.array(tool.plate.ink, float), np.array(tool.plate.paper, float)
        for x, y in points:
            colour = face[int(y), int(x)].astype(float)
            share = (colour - paper) @ (ink - paper) / ((ink - paper) @ (ink - paper))
            assert share > 0.25, (seed, x, y)  # seen obliquely, marks are thin, and fainter than their ink
            checked += 1
    assert checked > 200


def test_the_point_is_the_middle_of_the_marks_darkness() -> None:
    """Isolated marks, seen obliquely: the centroid of each is its point, but for perspective within the mark."""
    errors = []
    for seed in range(25):
        face, points, tool = seen_flat(seed, only_notches=True)
        near = np.hypot(*(points[:, None] - points[None]).T) + 1e6 * np.eye(len(points))
        if tool.plate.scale.notches.form in ("two-part", "wedge", "triangle"):
            continue
        dark = np.abs(face.astype(float) - np.array(tool.plate.paper, float)).sum(axis=2)
        reach = int(near.min() / 2)
        for x, y in points:
            left, top = int(x) - reach, int(y) - reach
            part = dark[max(0, top) : top + 2 * reach + 1, max(0, left) : left + 2 * reach + 1]
            ys, xs = np.mgrid[0 : part.shape[0], 0 : part.shape[1]]
            middle = np.array([(part * (xs + 0.5)).sum(), (part * (ys + 0.5)).sum()]) / part.sum()
            errors.append(np.hypot(*(middle + np.array([max(0, left), max(0, top)]) - [x, y])))
    assert len(errors) > 100
    assert np.median(errors) < 0.25
    assert np.percentile(errors, 95) < 1


def test_the_pointer_points_where_the_picture_says() -> None:
    for index in range(8):
        dial = draw(index, 160, without=AXES)
        along = dial.needle_tip[0] - dial.pivot[0]
        length = np.hypot(*along)
        steps = dial.pivot[0] + np.outer(np.linspace(0.3, 0.85, 12), along)
        across = np.array([-along[1], along[0]]) / length * 9
        on = [int(dial.image[int(y), int(x), 1]) for x, y in steps]
        beside = [int(dial.image[int(y), int(x), 1]) for x, y in steps + across]
        assert np.median(on) < np.median(beside) - 60


def test_an_unknown_axis_is_refused_with_all_that_exist() -> None:
    with pytest.raises(InputError, match="'glaer'") as caught:
        draw(0, without=("glaer", "tilt"))
    assert all(name in str(caught.value.remedy) for name in AXES)
    with pytest.raises(InputError, match="variety world"):
        gauge.render(np.random.default_rng(0), 64, without=("glare",))


def test_a_group_stands_for_its_axes() -> None:
    whole = gauge.render(np.random.default_rng(3), 64, variety="world", without=("dirt", "jpeg"))
    dirt = [name for name, axis in AXES.items() if axis.group == "dirt"]
    same = gauge.render(np.random.default_rng(3), 64, variety="world", without=(*dirt, "jpeg"))
    assert len(dirt) > 2 and np.array_equal(whole.image, same.image)


def test_photographs_are_not_drawn_of_the_world(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="by the variety full alone"):
        gauge.write(tmp_path / "a", 1, 0, variety="world", layout="photographs")
    assert not (tmp_path / "a").exists()


def test_write_leaves_axes_out(tmp_path: Path) -> None:
    one = gauge.write(tmp_path / "one", 4, 3, size=64, layout="flat", variety="world", without=("jpeg", "glare"))
    two = gauge.write(tmp_path / "two", 4, 3, size=64, layout="flat", variety="world", processes=2)
    assert len(list((one / "images").iterdir())) == len(list((two / "images").iterdir())) == 4
    with pytest.raises(InputError, match="unknown axis"):
        gauge.write(tmp_path / "three", 1, 0, variety="world", without=("nothing",))
    assert not (tmp_path / "three").exists()


def test_the_documented_list_is_the_list() -> None:
    assert table(AXES) in DOCS.read_text(encoding="utf-8")


def test_room_is_the_distance_to_the_outline() -> None:
    square = np.array([[-1, -2], [3, -2], [3, 4], [-1, 4]], float)
    np.testing.assert_allclose(room(square, np.array([0, np.pi / 2, np.pi, -np.pi / 2])), [3, 4, 1, 2], atol=1e-9)


def test_a_picture_without_a_dial_is_as_it_was_drawn_and_never_even() -> None:
    for index in range(12):
        one, two = (gauge.render_nothing(np.random.default_rng([1, index]), 80) for _ in range(2))
        assert one.shape == (80, 80, 3)
        assert one.dtype == np.uint8
        assert np.array_equal(one, two)
        assert one.std() > 1
