"""The page in a real browser: what is seen is the image that is named, where the clicks go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from annotating import Hand, face_skeleton, paint, serving
from kaname.apps.annotate import open_project

pytest.importorskip("gradio", reason="needs gradio")

Person = Callable[..., Hand]


def test_a_broken_image_after_others_takes_no_clicks(tmp_path: Path, person: Person) -> None:
    paint(tmp_path / "raw" / "a.png", (50, 60))
    (tmp_path / "raw" / "b.png").write_bytes(b"no picture")
    project = open_project(tmp_path / "raw", tmp_path / "out", face_skeleton(), None)
    with serving(project) as address:
        hand = person(address)
        here = hand.at((10, 10))
        hand.click(*here)
        hand.idle()
        hand.button("Next")
        assert "cannot be shown: not an image" in hand.page.locator("#kn-hint").inner_text()
        assert hand.page.locator("#kn-kept").inner_text() == "not shown"
        assert not hand.page.locator("#kn-points").is_visible()
        hand.click(*here)
        hand.press("Backspace", "s")
        hand.idle()
        hand.button("Previous")
        places = hand.state()["places"]
        assert places[0] == [10, 10] and places[1:] == [None] * 27


def test_what_is_seen_and_clicked_agrees_on_another_screen(tmp_path: Path, person: Person) -> None:
    """A window that is moved to a screen of twice as many pixels keeps its size in CSS pixels."""
    wanted = [(10, 12), (150, 30), (90, 90)]
    paint(tmp_path / "raw" / "a.png", (100, 160), wanted)
    with serving(open_project(tmp_path / "raw", tmp_path / "out", face_skeleton(), None)) as address:
        hand = person(address)
        screen = {"width": 1400, "height": 900, "deviceScaleFactor": 2, "mobile": False}
        hand.page.context.new_cdp_session(hand.page).send("Emulation.setDeviceMetricsOverride", screen)
        hand.page.wait_for_function("() => devicePixelRatio === 2")
        hand.page.mouse.move(*hand.at((40, 40)))
        hand.ready()
        seen = hand.dots()
        assert len(seen) == len(wanted)
        for spot, pixel in zip(seen, sorted(wanted, key=lambda at: at[1]), strict=True):
            assert spot == pytest.approx(hand.at(pixel), abs=1)


def test_an_image_that_is_turned_meanwhile_is_shown_anew(tmp_path: Path, person: Person) -> None:
    paint(tmp_path / "raw" / "a.png", (100, 160), [(10, 12)])
    paint(tmp_path / "raw" / "b.png", (50, 50))
    with serving(open_project(tmp_path / "raw", tmp_path / "out", face_skeleton(), None)) as address:
        hand = person(address)
        paint(tmp_path / "raw" / "a.png", (160, 100), [(12, 149)])
        hand.button("Next")
        hand.button("Previous")
        hand.ready()
        assert hand.dots()[0] == pytest.approx(hand.at((12, 149)), abs=1)


def test_a_click_while_another_face_is_opened_belongs_to_none(tmp_path: Path, person: Person) -> None:
    paint(tmp_path / "raw" / "a.png", (50, 60))
    with serving(open_project(tmp_path / "raw", tmp_path / "out", face_skeleton(), None)) as address:
        hand = person(address)
        hand.click(*hand.at((10, 10)))
        hand.idle()
        hand.page.evaluate("""() => {
            const { fetch } = window, late = { act: 1500, save: 500 };
            window.fetch = async (path, ...more) => {
                await new Promise((done) => setTimeout(done, late[`${path}`.split("/").at(-1)] ?? 0));
                return fetch(path, ...more);
            };
        }""")
        hand.page.get_by_role("button", name="+ face").click()
        hand.click(*hand.at((30, 30)))
        hand.page.wait_for_selector("#kn-faces [aria-pressed=true]:has-text('Face 2')")
        hand.click(*hand.at((40, 40)))
        hand.page.wait_for_function("() => !window.kaname.page.steps.running", timeout=10_000)
        assert hand.page.evaluate("window.kaname.page.view.face") == 2
        assert [place for place in hand.state()["places"] if place] == [[40, 40]]


def test_a_name_reads_from_left_to_right(tmp_path: Path, person: Person) -> None:
    name = "0 name (1).png"
    paint(tmp_path / "raw" / name, (50, 60))
    with serving(open_project(tmp_path / "raw", tmp_path / "out", face_skeleton(), None)) as address:
        hand = person(address)
        lefts = hand.page.evaluate("""() => {
            const walk = document.createTreeWalker(document.getElementById("kn-file"), NodeFilter.SHOW_TEXT);
            const text = walk.nextNode(), range = document.createRange();
            return [...text.data].map((_, n) => {
                range.setStart(text, n); range.setEnd(text, n + 1); return range.getBoundingClientRect().left;
            });
        }""")
        assert len(lefts) == len(name) and lefts == sorted(lefts)
