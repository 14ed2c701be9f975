"""Server or browser killed between clicks: what was acknowledged is there again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from annotating import Command, Hand, free_port, paint

pytest.importorskip("gradio", reason="needs gradio")
tool = pytest.importorskip("playwright.sync_api", reason="needs playwright")

SIZE = (300, 400)
COUNT = 28


class Mortal:
    """A Chromium that can be killed; its person keeps the cookies, as a browser's profile does."""

    def __init__(self, driver: Any, program: str, folder: Path, address: str) -> None:
        self.driver, self.program, self.folder, self.address = driver, program, folder, address
        self.cookies: list[Any] = []
        self.acknowledged: list[list[int]] = []
        self.births = 0

    def start(self) -> None:
        self.births += 1
        profile = self.folder / f"profile{self.births}"
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--remote-debugging-port=0",
            f"--user-data-dir={profile}",
        ]
        self.process = subprocess.Popen(
            [self.program, *flags, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        told = profile / "DevToolsActivePort"
        for _ in range(1200):
            if told.is_file() and "\n" in told.read_text():
                break
            time.sleep(0.05)
        browser = self.driver.chromium.connect_over_cdp(f"http://127.0.0.1:{told.read_text().split()[0]}")
        context = browser.contexts[0]
        if self.cookies:
            context.add_cookies(self.cookies)
        page = context.pages[0]
        page.set_viewport_size({"width": 1200, "height": 800})
        page.on("response", self._answered)
        self.hand = Hand(page, self.address)
        self.cookies = context.cookies()

    def _answered(self, answer: Any) -> None:
        if answer.url.endswith("/kaname/act") and answer.status == 200:
            action = answer.request.post_data_json["action"]
            if action["kind"] == "place" and action["at"] not in self.acknowledged:
                self.acknowledged.append(action["at"])

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def scene(tmp_path: Path, chromium: str) -> Iterator[tuple[Command, Mortal]]:
    paint(tmp_path / "raw" / "a.png", SIZE)
    port = free_port()
    command = Command(["--image-dir", str(tmp_path / "raw"), "--output-dir", str(tmp_path / "out")], port)
    command.start()
    with tool.sync_playwright() as driver:
        mortal = Mortal(driver, chromium, tmp_path, f"http://localhost:{port}")
        mortal.start()
        yield command, mortal
        mortal.kill()
    command.kill()


@pytest.mark.parametrize("deaths", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_no_acknowledged_click_is_lost(scene: tuple[Command, Mortal], deaths: int) -> None:
    command, mortal = scene
    chance = random.Random(deaths)
    clicked: list[list[int]] = []
    sure = 0
    for death in range(deaths):
        victim = ("server", "browser")[death % 2]
        if len(clicked) > COUNT - 4:
            mortal.hand.button("Clear All")
            clicked = []
        mortal.acknowledged.clear()
        waits = chance.randint(0, 3)  # before this click everything is acknowledged
        for number in range(chance.randint(1, 4)):
            if number == waits:
                mortal.hand.idle()
            pixel = [chance.randrange(10, SIZE[1] - 10), chance.randrange(10, SIZE[0] - 10)]
            mortal.hand.page.keyboard.down("Shift")  # places even where another point lies
            mortal.hand.click(*mortal.hand.at((pixel[0], pixel[1])))
            mortal.hand.page.keyboard.up("Shift")
            clicked.append(pixel)
            mortal.hand.page.wait_for_timeout(chance.choice([0, 1, 5, 20, 60]))
        if victim == "server":
            command.kill()
            known = list(mortal.acknowledged)
            command.start()
            there = [place for place in mortal.hand.state()["places"] if place is not None]
            assert there == clicked, (death, "the page sends again what was not acknowledged")
        else:
            known = list(mortal.acknowledged)
            mortal.kill()
            mortal.start()
            there = [place for place in mortal.hand.state()["places"] if place is not None]
            assert there == clicked[: len(there)], (death, "in order, without a gap")
        assert all(pixel in there for pixel in known), (death, victim, known, there)
        clicked, sure = there, sure + len(known)
    assert sure > 0, "something was acknowledged, and found again"
