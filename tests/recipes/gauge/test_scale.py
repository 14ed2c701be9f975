from __future__ import annotations

import numpy as np
import pytest

from kaname.recipes.gauge.scale import Order, ordered

EVEN = np.radians(135 + 27.0 * np.arange(11))  # an everyday scale: eleven notches over 270 degrees, open below


def order_of(angles: np.ndarray, start: int | None, end: int | None) -> Order:
    order = ordered((angles + np.pi) % (2 * np.pi) - np.pi, start, end)
    assert order is not None
    return order


@pytest.mark.parametrize("sense", [1, -1])
@pytest.mark.parametrize("known", [(True, True), (True, False), (False, True)])
def test_start_or_end_tell_the_sense(sense: int, known: tuple[bool, bool]) -> None:
    """Whatever order the points come in."""
    shuffled = np.random.default_rng(3).permutation(11)
    place = np.argsort(shuffled)
    ends = [int(place[row]) if there else None for row, there in zip((0, 10), known, strict=True)]
    order = order_of(sense * EVEN[shuffled], *ends)
    assert order.sense == sense and shuffled[order.rows].tolist() == list(range(11))
    assert order.steps.tolist() == list(range(11)) and order.even
    assert order.sure == (1.0 if all(known) else 0.7)


def test_without_them_it_runs_clockwise_from_the_widest_gap() -> None:
    order = order_of(np.roll(EVEN, 4), None, None)
    assert order.sense == 1 and order.sure < 0.5
    assert ((order.rows - 4) % 11).tolist() == list(range(11))


def test_a_missing_notch_is_counted() -> None:
    order = order_of(np.delete(EVEN, [4, 7]), 0, 8)
    assert order.steps.tolist() == [0, 1, 2, 3, 5, 6, 8, 9, 10]
    assert 0.5 < order.sure < 1


@pytest.mark.parametrize("place", [4.5, 7.4])
def test_a_false_notch_between_two_is_left_out(place: float) -> None:
    angles = np.append(EVEN, EVEN[0] + np.radians(27 * place))
    order = order_of(angles, 0, 10)
    assert 11 not in order.rows and order.steps.tolist() == list(range(11))


@pytest.mark.parametrize("turns", [(0, 88, 140, 184, 270), (0, 96, 150, 186, 270)])
def test_one_false_notch_of_five_makes_no_uneven_scale(turns: tuple[float, ...]) -> None:
    order = order_of(np.radians(np.add(turns, 135)), 0, 4)
    assert order.rows.tolist() == [0, 1, 3, 4] and order.steps.tolist() == [0, 1, 2, 3] and order.even


def test_a_false_notch_in_the_gap_is_left_out() -> None:
    order = order_of(np.append(EVEN, np.radians(92)), 0, 10)
    assert order.rows.tolist() == list(range(11)) and order.sure < 1


@pytest.mark.parametrize("power", [0.6, 0.8, 1.25, 1.8])
def test_an_uneven_scale_is_not_repaired(power: float) -> None:
    angles = np.radians(135 + 270 * np.linspace(0, 1, 9) ** power)
    order = order_of(angles, 0, 8)
    assert order.rows.tolist() == list(range(9)) and order.steps.tolist() == list(range(9)) and not order.even


def test_of_an_uneven_scale_too_a_missing_notch_is_counted() -> None:
    angles = np.delete(np.radians(135 + 270 * np.linspace(0, 1, 11) ** 1.6), 6)
    assert order_of(angles, 0, 9).steps.tolist() == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10]


def test_start_and_end_in_one_on_a_full_circle() -> None:
    angles = np.radians(-90 + 36.0 * np.arange(10))
    order = order_of(angles, 0, 0)
    assert order.rows.tolist() == [*range(10), 0] and order.steps.tolist() == list(range(11))
    assert order.at(np.radians(180)) == pytest.approx(0.5)


def test_a_full_circle_whose_end_is_a_step_before_its_start() -> None:
    angles = np.radians(-90 + 36.0 * np.arange(10))
    for start, end in ((0, 9), (0, None)):
        order = order_of(angles, start, end)
        assert order.rows.tolist() == list(range(10)) and order.sense == 1


def test_two_and_three_notches() -> None:
    assert ordered(np.zeros(1), 0, None) is None
    two = order_of(np.radians([135.0, 45.0]), 0, 1)
    assert two.sense == 1 and two.at(np.radians(135)) == pytest.approx(0.5)
    three = order_of(np.radians([45.0, 135.0, -90.0]), 0, 1)
    assert three.sense == -1 and three.steps.tolist() == [0, 1, 2]


def test_beyond_the_ends_it_is_linear() -> None:
    order = order_of(EVEN, 0, 10)
    assert order.at(np.radians(-13.5)) == pytest.approx(-0.05)
    assert order.at(np.radians(270 + 27)) == pytest.approx(1.1)
