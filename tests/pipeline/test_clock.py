"""Parts of time that exclude each other."""

from __future__ import annotations

import pytest

from kaname.pipeline.clock import Clock, shares


class Time:
    """It passes when it is told to."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def test_inner_parts_are_taken_off_outer_ones() -> None:
    time = Time()
    clock = Clock(time)

    def frames() -> object:
        for _ in range(3):
            time.at += 1
            yield time.at

    def followed(items: object) -> object:
        for item in items:  # type: ignore[attr-defined]
            time.at += 10
            yield item

    for _ in clock.each("bridge", followed(clock.each("decode", frames()))):  # type: ignore[arg-type]
        time.at += 1000
        with clock.part("write"):
            time.at += 100
    assert clock.parts == {"bridge": 30.0, "decode": 3.0, "write": 300.0}


def test_a_part_that_fails_is_closed() -> None:
    time = Time()
    clock = Clock(time)
    with pytest.raises(ZeroDivisionError), clock.part("outer"), clock.part("inner"):
        time.at += 5
        raise ZeroDivisionError
    with clock.part("outer"):
        time.at += 2
    assert clock.parts == {"outer": 2.0, "inner": 5.0}


def test_a_line_of_many() -> None:
    works = [{"parts": {"decode": 1.0, "write": 1.0}, "seconds": 4.0}, {"parts": {"write": 3.0}, "seconds": 4.0}]
    assert shares(works) == "8.0 s: decode 12 %, write 50 %, other 38 %"
    assert shares([{}, {"seconds": 2.0}]) == ""
