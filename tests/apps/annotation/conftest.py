"""A browser for the tests of the annotation page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    """A headless Chromium."""
    tool = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    pytest.importorskip("gradio", reason="needs gradio")
    with tool.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def person(browser: Any) -> Iterator[Callable[..., Any]]:
    """A new person with a browser profile of their own, at the page of an address."""
    from annotating import Hand

    opened: list[Any] = []

    def arrive(address: str, *, width: int = 1400, height: int = 900, **more: Any) -> Hand:
        context = browser.new_context(viewport={"width": width, "height": height}, **more)
        opened.append(context)
        return Hand(context.new_page(), address)

    yield arrive
    for context in opened:
        context.close()
