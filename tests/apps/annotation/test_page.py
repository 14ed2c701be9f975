"""The page in a real browser: what is stored is what was clicked."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotating import FACE, MEAN, Hand, face_skeleton, paint, serving
from kaname.apps.annotate import open_project
from kaname.data.formats import skeleton
from kaname.data.formats.landmarks import read_annotation

pytest.importorskip("gradio", reason="needs gradio")

Person = Callable[..., Hand]


def spread(left: int, top: int, right: int, bottom: int, seed: int = 0) -> list[tuple[int, int]]:
    """28 pixels in four rows of seven, none on a line with another."""
    chance = np.random.default_rng(seed)
    across, down = np.linspace(left, right, 7), np.linspace(top, bottom, 4)
    room = int(min(across[1] - across[0], down[1] - down[0]) // 4)
    jitter = chance.integers(-room, room + 1, (28, 2)) if room else np.zeros((28, 2), int)
    return [(int(across[n % 7] + jitter[n, 0]), int(down[n // 7] + jitter[n, 1])) for n in range(28)]


def in_order(found: list[tuple[float, float]], wanted: list[tuple[int, int]]) -> list[tuple[float, float]]:
    """The dots of the screen in the order of the pixels: both lie in four rows of seven."""
    assert len(found) == len(wanted), (len(found), "dots are seen")
    rows = [sorted(found, key=lambda at: at[1])[start : start + 7] for start in range(0, 28, 7)]
    return [at for row in rows for at in sorted(row)]


def test_a_click_is_stored_as_the_pixel_that_was_seen(tmp_path: Path, person: Person) -> None:
    """Red dots of one pixel are found in a screenshot and clicked: the whole picture, zoomed in, and small ones."""
    cases = {
        # size of the picture, where the dots lie, presses of +, screen pixels in one of CSS
        "a.png": ((440, 500), (20, 20, 480, 420), 0, 1),
        "b.png": ((440, 500), (185, 165, 315, 275), 3, 1),
        "c/small.png": ((60, 48), (4, 4, 43, 55), 0, 1),
        "d/small.png": ((60, 48), (4, 4, 43, 55), 0, 2),
    }
    wanted = {name: spread(*where) for name, (_, where, _, _) in cases.items()}
    for name, (size, *_) in cases.items():
        paint(tmp_path / "raw" / name, size, wanted[name])
    project = open_project(tmp_path / "raw", tmp_path / "out", face_skeleton(), None)
    with serving(project) as address:
        hands = {ratio: person(address, device_scale_factor=ratio) for ratio in (1, 2)}
        for name, (_, _, zoomed, ratio) in cases.items():
            hand = hands[ratio]
            hand.page.evaluate("name => window.kaname.page.go(name)", name)
            hand.page.wait_for_selector(f"#kn-file:has-text('{name}')")
            hand.ready()
            hand.press(*["0"], *["+"] * zoomed)
            hand.ready()
            for x, y in in_order(hand.dots(), wanted[name]):
                hand.click(x, y)
            hand.idle()
            hand.button("Save Annotation")
            assert hand.page.locator("#kn-kept").inner_text() == "saved, finished"
        files = {path.name: read_annotation(path) for path in (tmp_path / "out").glob("*.json")}
        assert set(files) == {"a.json", "b.json", "c__small.json", "d__small.json"}
        for kept in files.values():
            assert kept.points.tolist() == [list(pixel) for pixel in wanted[kept.image]], kept.image
            assert (kept.size, kept.finished, kept.skeleton) == (cases[kept.image][0], True, "anime-face-28")
            assert (kept.visible == 2).all()
        hand.page.reload()
        hand.ready()
        assert hand.state()["places"] == [list(pixel) for pixel in wanted["d/small.png"]]


def test_points_are_corrected_hidden_skipped_and_undone(tmp_path: Path, person: Person) -> None:
    paint(tmp_path / "raw" / "a.png", (300, 400))
    wanted = spread(30, 30, 370, 270)
    project = open_project(tmp_path / "raw", tmp_path / "out", face_skeleton(), None)
    with serving(project) as address:
        hand = person(address)
        for pixel in wanted[:4]:
            hand.click(*hand.at(pixel))
        hand.drag(hand.at(wanted[1]), hand.at((111, 99)))
        wanted[1] = (111, 99)
        assert hand.state()["places"][:5] == [*map(list, wanted[:4]), None]
        hand.click(*hand.at(wanted[2]))  # chooses it
        hand.click(*hand.at((201, 151)))
        hand.press("ArrowLeft", "ArrowLeft", "ArrowUp", "Shift+ArrowDown")
        wanted[2] = (199, 160)
        hand.page.locator("#kn-points [data-point='0']").click()
        hand.click(*hand.at((50, 60)))
        wanted[0] = (50, 60)
        hand.click(*hand.at(wanted[4]))  # goes on with the next in order
        hand.press("h")
        hand.press("a")  # point 5
        hand.click(*hand.at(wanted[6]))
        assert hand.state()["places"][:8] == [*map(list, wanted[:5]), None, list(wanted[6]), None]
        assert hand.state()["marks"][:8] == [2, 2, 2, 2, 1, 0, 2, -1]
        hand.click(*hand.at((10, 10)))
        hand.press("z")
        assert hand.state()["places"][7] is None
        hand.button("Redo")
        assert hand.state()["places"][7] == [10, 10]
        hand.button("Clear Last")
        for pixel in wanted[7:]:
            hand.click(*hand.at(pixel))
        hand.press("s")
        hand.page.wait_for_selector("#kn-hint[data-kind=good]")
        kept = read_annotation(tmp_path / "out" / "a.json")
        assert kept.visible.tolist() == [2, 2, 2, 2, 1, 0, *[2] * 22] and kept.finished
        assert [place.tolist() for number, place in enumerate(kept.points) if number != 5] == [
            list(pixel) for number, pixel in enumerate(wanted) if number != 5
        ]
        assert np.isnan(kept.points[5]).all()
        hand.button("Clear All")
        assert hand.state()["marks"] == [-1] * 28
        hand.press("z")
        assert hand.state()["marks"] == kept.visible.tolist()
        assert hand.page.locator("#kn-kept").inner_text() == "saved, finished", "nothing differs from the file"


def test_what_is_not_finished_is_saved_as_such_and_found_again(tmp_path: Path, person: Person) -> None:
    for name in ("a.png", "b.png", "c.png"):
        paint(tmp_path / "raw" / name, (200, 200))
    project = open_project(tmp_path / "raw", tmp_path / "out", face_skeleton(), None)
    with serving(project) as address:
        hand = person(address)
        hand.click(*hand.at((20, 30)))
        hand.press("n")
        hand.page.wait_for_selector("#kn-where:has-text('Image 2 of 3')")
        kept = read_annotation(tmp_path / "out" / "a.json")
        assert not kept.finished and kept.points[0].tolist() == [20, 30] and (kept.visible[1:] == -1).all()
        hand.press("n")
        hand.page.wait_for_selector("#kn-where:has-text('Image 3 of 3')")
        assert not (tmp_path / "out" / "b.json").exists(), "nothing was said of it"
        hand.press(*["a"] * 27)
        hand.click(*hand.at((60, 61)))
        hand.press("s", "p")  # faster than the server answers
        hand.page.wait_for_selector("#kn-where:has-text('Image 2 of 3')")
        hand.press("n")
        hand.page.wait_for_selector("#kn-where:has-text('Image 3 of 3')")
        assert read_annotation(tmp_path / "out" / "c.json").finished
        assert hand.page.locator("#kn-done").inner_text() == "1 finished"
        hand.button("Next")
        assert "no further image" in hand.page.locator("#kn-hint").inner_text()
        hand.button("Next Unfinished")
        hand.page.wait_for_selector("#kn-where:has-text('Image 1 of 3')")
        assert hand.state()["places"][0] == [20, 30]
        hand.button("Undo")
        assert hand.state()["marks"] == [-1] * 28, "steps can be taken back after an image was left"


def test_two_clicks_place_the_mean_face(tmp_path: Path, person: Person) -> None:
    paint(tmp_path / "raw" / "a.png", (400, 400))
    project = open_project(tmp_path / "raw", tmp_path / "out", face_skeleton(), None)
    with serving(project) as address:
        hand = person(address)
        hand.press("m")
        hand.click(*hand.at((140, 200)))
        hand.click(*hand.at((260, 200)))
        state = hand.state()
        scale = 120 / (MEAN[19][0] - MEAN[11][0])
        true = [(140 + (x - MEAN[11][0]) * scale, 200 + (y - MEAN[11][1]) * scale) for x, y in MEAN]
        assert np.abs(np.array(state["places"]) - true).max() <= 1
        assert (state["places"][11], state["places"][19]) == ([140, 200], [260, 200])
        assert len(state["proposed"]) == 26
        start = state["places"][2]
        hand.drag(hand.at(tuple(start)), hand.at((205, 330)))
        assert hand.state()["places"][2] == [205, 330] and 2 not in hand.state()["proposed"]
        hand.press("s")
        hand.page.wait_for_selector("#kn-hint[data-kind=good]")
        assert read_annotation(tmp_path / "out" / "a.json").finished


def test_a_model_proposes_and_what_it_doubts_comes_first(tmp_path: Path, person: Person) -> None:
    shades = {"a.png": 200, "b.png": 120, "c.png": 160}
    for name, grey in shades.items():
        paint(tmp_path / "raw" / name, (200, 240), grey=grey)
    truth = np.array(MEAN) * 100 + 40.25

    def stand_in(image: np.ndarray, box: Any) -> tuple[np.ndarray, np.ndarray]:
        return truth if box is None else truth - 30, np.full(28, image[0, 0, 0] / 255)

    project = open_project(tmp_path / "raw", tmp_path / "out", face_skeleton(), stand_in, order="uncertain")
    assert project.album.images == ["b.png", "c.png", "a.png"]
    with serving(project) as address:
        hand = person(address)
        assert "b.png" in hand.page.locator("#kn-file").inner_text()
        assert hand.state()["places"] == np.floor(truth).astype(int).tolist()
        assert "score 0.47" in hand.page.locator("#kn-kept").inner_text()
        hand.press("n")  # a proposal that nobody looked at is not saved
        hand.page.wait_for_selector("#kn-file:has-text('c.png')")
        assert not list((tmp_path / "out").glob("*.json"))
        hand.drag(hand.at(tuple(np.floor(truth[0]).astype(int).tolist())), hand.at((55, 100)))
        hand.press("s")
        hand.page.wait_for_selector("#kn-hint[data-kind=good]")
        kept = read_annotation(tmp_path / "out" / "c.json")
        assert kept.finished and kept.points[0].tolist() == [55, 100]
        assert kept.points[1:].tolist() == np.floor(truth[1:]).tolist()
        hand.press("b")
        hand.drag(hand.at((30, 30)), hand.at((150, 160)))
        hand.button("Propose")
        assert hand.state()["places"][1] == kept.points[1].tolist(), "what is saved is no proposal any more"
        hand.button("Clear All")
        hand.press("b")
        hand.drag(hand.at((30, 30)), hand.at((150, 160)))
        hand.button("Propose")
        assert hand.state()["places"] == np.floor(truth - 30).astype(int).tolist()


def test_two_people_at_once_do_not_mix(tmp_path: Path, person: Person) -> None:
    for name in ("a.png", "b.png"):
        paint(tmp_path / "raw" / name, (200, 200))
    project = open_project(tmp_path / "raw", tmp_path / "out", face_skeleton(), None)
    with serving(project) as address:
        one, other = person(address), person(address)
        other.press("n")
        other.page.wait_for_selector("#kn-where:has-text('Image 2')")
        for number in range(3):
            one.click(*one.at((20 + 10 * number, 30)))
            other.click(*other.at((20 + 10 * number, 150)))
        assert one.state()["places"][:3] == [[20, 30], [30, 30], [40, 30]]
        assert other.state()["places"][:3] == [[20, 150], [30, 150], [40, 150]]
        other.press("p")
        other.page.wait_for_selector("#kn-where:has-text('Image 1')")
        assert other.state()["marks"] == [-1] * 28, "the steps of another are not shown"
        assert one.page.locator("#kn-where").inner_text() == "Image 1 of 2"
        other.press(*["a"] * 28)
        other.button("Save Annotation")
        one.click(*one.at((50, 30)))
        one.idle()
        assert "Somebody else has saved" in one.page.locator("#kn-warning").inner_text()
        asked: list[str] = []
        one.page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
        one.button("Save Annotation")
        assert asked and read_annotation(tmp_path / "out" / "a.json").finished
        one.page.once("dialog", lambda dialog: dialog.accept())
        one.button("Save Annotation")
        assert read_annotation(tmp_path / "out" / "a.json").points[3].tolist() == [50, 30]


def test_what_a_lost_session_left_is_offered(tmp_path: Path, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    paint(tmp_path / "raw" / "a.png", (200, 200))
    project = open_project(tmp_path / "raw", tmp_path / "out", face_skeleton(), None)
    with serving(project) as address:
        lost = person(address)
        lost.click(*lost.at((20, 30)))
        lost.idle()
        hand = person(address)
        assert not hand.page.locator("#kn-adopt").is_visible(), "that one may still be at work"
        monkeypatch.setattr("kaname.apps.annotation.project.GONE_AFTER", 0.0)
        hand.page.evaluate("window.kaname.page.tellPresence()")
        hand.page.locator("#kn-adopt").click()
        assert hand.state()["places"][0] == [20, 30]
        assert not hand.page.locator("#kn-adopt").is_visible()


def test_several_faces_have_files_and_boxes_of_their_own(tmp_path: Path, person: Person) -> None:
    paint(tmp_path / "raw" / "a.png", (200, 200))
    project = open_project(tmp_path / "raw", tmp_path / "out", face_skeleton(), None)
    with serving(project) as address:
        hand = person(address)
        for face, corner in ((1, 20), (2, 120)):
            if face == 2:
                hand.page.get_by_role("button", name="+ face").click()
                hand.page.wait_for_selector("#kn-faces [aria-pressed=true]:has-text('Face 2')")
            hand.click(*hand.at((corner, corner)))
            hand.click(*hand.at((corner + 50, corner + 40)))
            hand.press(*["a"] * 26)
            hand.button("Save Annotation")
        one, two = (read_annotation(tmp_path / "out" / name) for name in ("a.json", "a.face2.json"))
        assert one.points[0].tolist() == [20, 20] and two.points[0].tolist() == [120, 120]
        assert one.box == (15.5, 16.5, 60, 48), "the extent of the landmarks x 1.2"
        assert two.box == (115.5, 116.5, 60, 48)
        assert hand.page.locator("#kn-faces").inner_text().split("\n") == ["Face 1", "Face 2", "+ face"]


def test_the_page_fits_loads_nothing_from_elsewhere_and_says_nothing_wrong(tmp_path: Path, browser: Any) -> None:
    paint(tmp_path / "raw" / ("a_long_name_of_an_image_" * 6 + ".png"), (200, 200))
    project = open_project(tmp_path / "raw", tmp_path / "out", face_skeleton(), None)
    seen: list[str] = []
    with serving(project) as address:
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport={"width": 1400, "height": 900}, color_scheme=scheme)
            page = context.new_page()
            page.on("pageerror", lambda error: seen.append(str(error)))
            page.on("response", lambda answer: answer.url.startswith(address) or seen.append(answer.url))
            page.on("response", lambda answer: answer.status < 400 or seen.append(answer.url))
            hand = Hand(page, address)
            look_at(hand, 1400, scheme)
            page.set_viewport_size({"width": 480, "height": 900})
            look_at(hand, 480, scheme)
            context.close()
    assert not seen


def look_at(hand: Hand, width: int, scheme: str) -> None:
    page = hand.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.scrollHeight") <= 900 or width == 480
    words = ("Clear Last", "Clear All", "Save Annotation", "Next", "Previous", "Next Unfinished", "Undo", "Mean Face")
    for name in words:
        assert page.get_by_role("button", name=name, exact=True).is_visible(), name
    assert page.locator("#kn-next-name").inner_text() == "contour left upper"
    assert page.locator("#kn-reference circle[data-point]").count() == 28
    assert page.locator("#kn-canvas").bounding_box()["height"] >= 400
    save = page.get_by_role("button", name="Save Annotation").bounding_box()
    assert save["y"] + save["height"] <= 900  # without scrolling, also on a narrow screen
    script = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).every(one => one < 90)"
    assert page.evaluate(script) == (scheme == "dark")
    hand.idle()


def test_what_is_in_the_middle_stays_there_when_the_window_changes(tmp_path: Path, person: Person) -> None:
    """A phone that is turned, say, with the picture zoomed in."""
    paint(tmp_path / "raw" / "a.png", (400, 400))
    project = open_project(tmp_path / "raw", tmp_path / "out", face_skeleton(), None)
    script = "(({ stage }) => stage.spot([stage.canvas.clientWidth / 2, stage.canvas.clientHeight / 2]))"
    with serving(project) as address:
        hand = person(address)
        hand.page.mouse.move(*hand.at((100, 300)))
        hand.press("+", "+", "+", "+")
        before = hand.page.evaluate(f"{script}(window.kaname.page)")
        hand.page.set_viewport_size({"width": 420, "height": 800})
        hand.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert hand.page.evaluate(f"{script}(window.kaname.page)") == pytest.approx(before, abs=0.5)


def test_colours_of_the_guide_and_a_skeleton_without_a_mean_face(tmp_path: Path, person: Person) -> None:
    paint(tmp_path / "raw" / "a.png", (200, 200))
    plain = skeleton.read(FACE)
    bare = skeleton.Skeleton(plain.name, plain.groups, plain.mirrored)
    project = open_project(tmp_path / "raw", tmp_path / "out", bare, None)
    with serving(project, palette="guide") as address:
        hand = person(address)
        colours = hand.page.evaluate("window.kaname.page.about.points.map(point => point.colour)")
        runs = [colours.index(colour) for colour in dict.fromkeys(colours)]
        assert runs == [0, 5, 11, 14, 20] and colours[17] == colours[11] != colours[14] == colours[16]
        assert not hand.page.locator("#kn-reference").is_visible()
        assert not hand.page.get_by_role("button", name="Mean Face").is_visible()
        hand.click(*hand.at((100, 100)))
        assert hand.state()["places"][0] == [100, 100]


def test_a_broken_image_is_said_and_can_be_passed_by(tmp_path: Path, person: Person) -> None:
    paint(tmp_path / "raw" / "b.png", (50, 50))
    (tmp_path / "raw" / "a.png").write_bytes(b"no picture")
    project = open_project(tmp_path / "raw", tmp_path / "out", face_skeleton(), None)
    with serving(project) as address:
        hand = person(address)
        assert "cannot be shown" in hand.page.locator("#kn-hint").inner_text()
        hand.button("Next")
        hand.page.wait_for_selector("#kn-where:has-text('Image 2 of 2')")
        hand.click(*hand.at((10, 10)))
        assert hand.state()["places"][0] == [10, 10]


@pytest.mark.slow
def test_seconds_for_a_face(tmp_path: Path, person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    """Printed, not asserted: seconds of the page itself for 28 points, by hand and with proposals."""
    paint(tmp_path / "raw" / "a.png", (600, 500))
    truth = np.array(MEAN) * 300 + 100.5
    pixels = np.floor(truth).astype(int).tolist()
    said = []
    for name, model in (("by hand", None), ("with proposals", lambda image, box: (truth, np.ones(28)))):
        project = open_project(tmp_path / "raw", tmp_path / name, face_skeleton(), model)
        with serving(project) as address:
            hand = person(address)
            started = time.monotonic()
            for pixel in pixels if model is None else []:
                hand.click(*hand.at(tuple(pixel)))
            for pixel in pixels[:3] if model else []:
                hand.drag(hand.at(tuple(pixel)), hand.at((pixel[0] + 4, pixel[1] + 3)))
                hand.clicks += 1
            hand.button("Save Annotation")
            said.append(f"{name}: {time.monotonic() - started:.1f} s, {hand.clicks + 1} clicks")
        assert read_annotation(tmp_path / name / "a.json").finished
    with capsys.disabled():
        print("\n" + "; ".join(said))
