"""Parts of time that exclude each other."""

from __future__ import annotations

import threading

import pytest

from kaname.pipeline.clock import Clock, Profile, shares


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


def test_threads_at_work_at_once_share_the_time() -> None:
    """Decoding 4 s, of which the network worked 2 at the same time; the first thread waits and writes 1 s."""
    time = Time()
    clock = Clock(time)
    steps = [threading.Event() for _ in range(4)]

    def work() -> None:
        with clock.part("network"):
            steps[0].set()
            steps[1].wait(30)
        steps[2].set()

    with clock.part("decode"):
        time.at += 2
        thread = threading.Thread(target=work)
        thread.start()
        steps[0].wait(30)
        time.at += 2
        steps[1].set()
        steps[2].wait(30)
    with clock.part("write"):
        with clock.part(None):
            time.at += 50
        time.at += 1
    thread.join()
    assert clock.parts == {"decode": 3.0, "network": 1.0, "write": 1.0}
    assert clock.busy == {"decode": 4.0, "network": 2.0, "write": 1.0}


def test_a_profile_adds_up_to_the_wall_time() -> None:
    time = Time()
    profile = Profile(wanted=True)
    profile.clock = Clock(time)
    profile.began = time.at
    profile.part = profile.clock.part
    for _ in profile.waiting(profile.clock.each("decode", range(4))):
        time.at += 0.25
        with profile.part("network"):
            time.at += 0.5
    time.at += 1
    first, _, *rows = profile.lines(4, "frame")
    assert first == "where the time went: 4.00 s, 1.0 frames/s"
    assert [row.split()[:2] for row in rows] == [["decode", "0.00"], ["network", "2.00"], ["other", "2.00"]]
    assert rows[1].split()[-1] == "500.0" and Profile().lines(4, "frame") == []


def test_a_line_of_many() -> None:
    works = [{"parts": {"decode": 1.0, "write": 1.0}, "seconds": 4.0}, {"parts": {"write": 3.0}, "seconds": 4.0}]
    assert shares(works) == "8.0 s: decode 12 %, write 50 %, other 38 %"
    assert shares([{}, {"seconds": 2.0}]) == ""
