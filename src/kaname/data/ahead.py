"""Items that another thread prepares while the ones before them are used: stages of one stream at work together.

>>> list(ahead(iter("abc"), 2))
['a', 'b', 'c']
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator, Iterable
from typing import Any, TypeVar, cast

T = TypeVar("T")


class _Ended:
    """What comes after the last item: the error that ended it, or None."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(items: Iterable[T], most: int) -> Generator[T, None, None]:
    """The same items in their order, made in a thread of its own, at most ``most`` before they are asked for.

    An error comes after the items that were made before it. Whoever stops early (or is interrupted) waits for the item
    that is being made, no longer; ``items`` is closed then where it is a generator, so that its files are.

    Args:
        items: whatever yields them; nobody else may use it meanwhile.
        most: items that wait; 0 makes each one when it is asked for, in this thread.
    """
    if most <= 0:
        yield from items
        return
    waiting: queue.Queue[Any] = queue.Queue(most)
    stopped = threading.Event()

    def make() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                waiting.put(item)
                if stopped.is_set():
                    break
        except BaseException as raised:  # whatever it is, it belongs to whoever asks for the next item
            error = raised
        finally:
            if isinstance(items, Generator):
                cast(Generator[T, None, None], items).close()
        waiting.put(_Ended(error))

    thread = threading.Thread(target=make, name="ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := waiting.get(), _Ended):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        while thread.is_alive():
            with contextlib.suppress(queue.Empty):
                waiting.get(timeout=0.01)  # make room: it may be waiting to leave an item here
        thread.join()
