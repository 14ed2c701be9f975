"""Items that another thread prepares: the same items, order and errors as without it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from kaname.data.ahead import ahead


def counted(count: int, made: list[int]) -> Iterator[int]:
    for number in range(count):
        made.append(number)
        yield number


@pytest.mark.parametrize("most", [0, 1, 3])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_the_same_items_in_their_order(most: int, count: int) -> None:
    assert list(ahead(iter(range(count)), most)) == list(range(count))


def test_it_works_while_an_item_is_used_and_not_further_than_allowed() -> None:
    made: list[int] = []
    items = ahead(counted(100, made), 2)
    assert next(items) == 0
    deadline = time.monotonic() + 30
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert made == [0, 1, 2, 3], "one in use, two that wait, one that waits to be put down"
    time.sleep(0.05)
    assert len(made) == 4
    items.close()


@pytest.mark.parametrize("most", [0, 2])
def test_an_error_comes_after_the_items_before_it(most: int) -> None:
    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("the third")

    items = ahead(failing(), most)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(OSError, match="the third"):
        next(items)


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit, ValueError])
def test_whoever_stops_early_leaves_no_thread_and_no_open_source(error: type[BaseException]) -> None:
    closed: list[str] = []

    def source() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.append(threading.current_thread().name)

    before = threading.active_count()
    items = ahead(ahead(source(), 2), 2)
    assert next(items) == 0
    if error is GeneratorExit:
        items.close()
    else:
        with pytest.raises(error):
            items.throw(error())
    assert closed == ["ahead"] and threading.active_count() == before


def test_stages_work_at_the_same_time() -> None:
    """Each of two stages waits for the other to have begun its next item: one after the other they would never meet."""
    meeting = threading.Barrier(2, timeout=30)

    def meet(items: Iterator[int]) -> Iterator[int]:
        for number in items:
            if number:
                meeting.wait()
            yield number

    found = []
    for number in ahead(meet(iter(range(5))), 1):
        if number < 4:
            meeting.wait()
        found.append(number)
    assert found == list(range(5))
