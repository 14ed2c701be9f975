"""What is small in a large picture is looked at again by itself: images, lists and videos, whoever watches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from kaname.inference.model import Model
from kaname.inference.request import Closer, Request
from kaname.inference.second_look import REST
from kaname.types import FloatArray, Frame, Image, Points

SIDE = 32
CARD = {
    "input_size": [SIDE, SIDE],
    "fit": "letterbox",
    "inputs": {"images": {"shape": [None, None, 3], "dtype": "uint8"}},
    "heads": {"heatmaps": {"channels": ["spot"], "activation": "none"}},
}


def brightest(outputs: Mapping[str, Any], request: Request) -> list[Points]:
    """The brightest cell as a point of the picture, none where all is black."""
    cells = outputs["heatmaps"][0, 0]
    row, column = np.unravel_index(int(cells.argmax()), cells.shape)
    places = [[column + 0.5, row + 0.5]] if cells.max() > 0 else np.zeros((0, 2))
    xy = request.back().points(np.array(places, np.float64))
    return [Points({"spot": xy}, {"spot": np.ones(len(xy))}, request.size)]


def around(points: Points) -> FloatArray | None:
    """64 pixels around the point of a large picture."""
    if not len(points.xy["spot"]) or max(points.size) <= 64:
        return None
    low = np.maximum(points.xy["spot"][0] - 32, 0)
    return np.concatenate([low, low + 64])


def runner(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"heatmaps": inputs["fitted"].mean(axis=1, keepdims=True)}


setattr(runner, "takes_fitted", True)  # noqa: B010


def picture(x: int, y: int, side: int = 640) -> Image:
    image = np.zeros((side, side, 3), np.uint8)
    image[y : y + 3, x : x + 3] = 255
    return image


def error(points: Points, x: int, y: int) -> float:
    return float(np.hypot(*(points.xy["spot"][0] - (x + 1.5, y + 1.5))))


@pytest.fixture
def once() -> Model:
    return Model(CARD, runner, brightest)


@pytest.fixture
def twice() -> Model:
    return Model(CARD, runner, brightest, closer=Closer(around))


@pytest.mark.parametrize(("x", "y"), [(303, 205), (2, 3), (634, 400)])
def test_the_second_look_is_finer_and_in_pixels_of_the_picture(once: Model, twice: Model, x: int, y: int) -> None:
    image = picture(x, y)
    coarse, fine = once.predict(image), twice.predict(image)
    assert isinstance(coarse, Points) and isinstance(fine, Points) and fine.size == (640, 640)
    assert error(fine, x, y) < min(1.5, error(coarse, x, y))


def test_what_is_large_or_absent_is_looked_at_once(once: Model, twice: Model) -> None:
    for image in (picture(20, 30, side=60), np.zeros((640, 640, 3), np.uint8)):
        found, same = once.predict(image), twice.predict(image)
        assert isinstance(found, Points) and isinstance(same, Points)
        assert np.array_equal(found.xy["spot"], same.xy["spot"])


def test_a_second_look_that_finds_nothing_does_not_count(once: Model) -> None:
    beside = Model(CARD, runner, brightest, closer=Closer(lambda _: np.array([0.0, 0.0, 64.0, 64.0])))
    image = picture(303, 205)
    first, kept = once.predict(image), beside.predict(image)
    assert isinstance(first, Points) and isinstance(kept, Points)
    assert np.array_equal(first.xy["spot"], kept.xy["spot"])


def test_frames_of_a_stream_and_lists_are_looked_at_as_images_are(twice: Model) -> None:
    images = [picture(100 + 7 * n, 300) for n in range(5)]
    alone = [twice.predict(image) for image in images]
    frames = [Frame(n, n / 10, image) for n, image in enumerate(images)]
    for waiting in (0, 2):
        for (_, streamed), one in zip(twice.stream(iter(frames), waiting=waiting), alone, strict=True):
            assert isinstance(one, Points) and np.array_equal(streamed.xy["spot"], one.xy["spot"])


def test_who_watches_the_answers_sees_the_first_look(twice: Model) -> None:
    """Pictures of maps are of the whole image."""
    seen: list[Any] = []

    def watched(outputs: Mapping[str, Any], request: Request) -> list[Points]:
        seen.append(request.size)
        return brightest(outputs, request)

    image = picture(303, 205)
    watched_answer, answer = twice.using(runner, watched).predict(image), twice.predict(image)
    assert seen == [(640, 640)]
    assert isinstance(answer, Points) and isinstance(watched_answer, Points)
    assert np.array_equal(watched_answer.xy["spot"], answer.xy["spot"])


def test_a_search_ends_with_the_round_in_which_something_is_found() -> None:
    """A spot too faint for the whole picture shows in its quarters, of which the brightest counts."""
    asked: list[int] = []

    def quarters(size: tuple[int, int]) -> Iterator[FloatArray]:
        for count in (2, 4):
            asked.append(count)
            side = size[0] / count
            corners = np.array([(x * side, y * side) for y in range(count) for x in range(count)])
            yield np.concatenate([corners, corners + side], axis=1)

    def faint(outputs: Mapping[str, Any], request: Request) -> list[Points]:
        cells = outputs["heatmaps"]
        return brightest({"heatmaps": np.where(cells >= 5, cells, 0)}, request)

    def weight(points: Points) -> float:
        return float(len(points.xy["spot"]))

    image = picture(303, 205)
    seen = Model(CARD, runner, faint, closer=Closer(lambda _: None, quarters, weight))
    found, missed = seen.predict(image), Model(CARD, runner, faint).predict(image)
    assert isinstance(found, Points) and isinstance(missed, Points)
    assert not len(missed.xy["spot"]) and error(found, 303, 205) < 10 and asked == [2]
    assert not len(seen.predict(np.zeros((640, 640, 3), np.uint8)).xy["spot"]) and asked == [2, 2, 4]


def test_a_search_goes_on_after_what_it_is_not_sure_of() -> None:
    """Of the whole picture, then of its quarters; nothing is answered where it never is."""
    rounds = [np.array([[0.0, 0, 320, 320]]), np.array([[288.0, 192, 352, 256]])]

    def faint(outputs: Mapping[str, Any], request: Request) -> list[Points]:
        cells = outputs["heatmaps"]
        return brightest({"heatmaps": np.where(cells >= 5, cells, 0)}, request)

    def near(least: float) -> Closer:
        return Closer(
            lambda _: None,
            lambda _: rounds,
            lambda points: float(len(points.xy["spot"])),
            lambda points: error(points, 303, 205) < least,
        )

    for least, count in ((1.5, 1), (0.0, 0)):
        found = Model(CARD, runner, faint, closer=near(least)).predict(picture(303, 205))
        assert isinstance(found, Points) and len(found.xy["spot"]) == count


def test_a_search_of_a_video_rests_where_it_has_found_nothing() -> None:
    """Images are always searched; frames again after some, and at once after one that shows something."""
    searched = 0

    def whole(size: tuple[int, int]) -> Iterator[FloatArray]:
        nonlocal searched
        searched += 1
        yield np.array([[0.0, 0, *size[::-1]]])

    def bright(outputs: Mapping[str, Any], request: Request) -> list[Points]:
        cells = outputs["heatmaps"]
        return brightest({"heatmaps": np.where(cells >= 5, cells, 0)}, request)

    model = Model(CARD, runner, bright, closer=Closer(lambda _: None, whole, lambda points: len(points.xy["spot"])))
    dark, shown = np.zeros((640, 640, 3), np.uint8), np.full((640, 640, 3), 255, np.uint8)
    for number in range(3):
        model.predict(dark)
        assert searched == number + 1
    searched = 0
    with pytest.warns(UserWarning, match=f"{REST} frames in which nothing was seen were not searched: in a video"):
        answers = [len(points.xy["spot"]) for _, points in model.stream([dark] * (REST + 1) + [dark, shown, dark])]
    assert answers == [0] * (REST + 2) + [1, 0]
    assert searched == 3  # the first, the one after the rest, and the one after what was shown
