"""Flow has the right direction and size, both ways; the start of a video; nothing computed twice, nothing stale."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from kaname.data.cache import ArrayCache
from kaname.data.flow import (
    METHODS,
    FlowSettings,
    PairSource,
    channels,
    consistent,
    differences,
    flow,
    foreground,
    pair_of,
    partner,
    sampled,
    still,
)
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.view import View

SIZE = (120, 160)
MOVE = np.array([5.0, -3.0])
EVERY = pytest.mark.parametrize("method", METHODS)


def texture(seed: int, size: tuple[int, int]) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    soft = cv2.GaussianBlur(noise, (0, 0), 2).astype(float)
    return ((soft - soft.mean()) * 4 + 128).clip(0, 255).astype(np.uint8)


def scene(place: np.ndarray) -> np.ndarray:
    """A textured square, its corner at ``place`` (x, y), on a ground that stands still."""
    image = texture(0, SIZE)
    x, y = place.astype(int)
    image[y : y + 50, x : x + 50] = texture(1, (50, 50))
    return image


CORNER = np.array([60, 40])


@EVERY
def test_direction_and_size(method: str) -> None:
    """The flow of the first picture's pixels says where they are in the second, right and down."""
    before, now = scene(CORNER), scene(CORNER + MOVE)
    there = flow(before, now, method)
    assert there.shape == (*SIZE, 2) and there.dtype == np.float32
    middle = CORNER + 25
    np.testing.assert_allclose(sampled(there, middle[None].astype(float))[0], MOVE, atol=0.3)
    assert np.abs(sampled(there, np.array([[20.0, 20.0]]))).max() < 0.1
    back = flow(now, before, method)
    np.testing.assert_allclose(sampled(back, (middle + MOVE)[None])[0], -MOVE, atol=0.3)


@EVERY
def test_a_dot_is_carried_by_it(method: str) -> None:
    """Moved by a part of a pixel: on the whole square the flow is right within a tenth."""
    image = texture(3, SIZE)
    shift = np.array([2.4, 1.3])
    moved = Affine.shift(*shift).image(image, SIZE)
    there = flow(image, moved, method)[30:-30, 30:-30].reshape(-1, 2)
    assert np.abs(np.median(there, axis=0) - shift).max() < 0.1


@EVERY
def test_what_is_badly_found_is_left_out(method: str) -> None:
    """Where there and back disagree, mostly at the edges of what moves, the flow is wrong; elsewhere it hardly is."""
    pair = pair_of(scene(CORNER + MOVE), scene(CORNER), method)
    truth = np.zeros((*SIZE, 2))
    x, y = (CORNER + MOVE).astype(int)
    truth[y : y + 50, x : x + 50] = -MOVE
    seen, wrong = pair.seen_in_both(), np.linalg.norm(pair.backward - truth, axis=2)
    assert seen.dtype == np.bool_ and 0.8 < seen.mean() < 0.999
    assert seen[y + 15 : y + 35, x + 15 : x + 35].mean() > 0.95
    assert wrong[~seen].mean() > 1 > 3 * wrong[seen].mean()


def test_the_check_by_hand() -> None:
    there = np.zeros((6, 8, 2), np.float32)
    there[..., 0] = 2.0
    back = -there
    good = consistent(there, back)
    assert good[:, :6].all() and not good[:, 6:].any()  # the last columns leave the picture
    assert not consistent(there, there).any()
    back[2, 5] = (-3.5, 0)  # |2 - 3.5|^2 > 0.01 (4 + 12.25) + 0.5
    assert not consistent(there, back)[2, 3] and consistent(there, back)[2, 5]


def test_sampling_is_bilinear_at_continuous_places() -> None:
    field = np.zeros((4, 5, 2), np.float32)
    field[1, 2] = (8, 4)
    points = np.array([[2.5, 1.5], [3.0, 1.5], [2.5, 1.75], [99, 99], [np.nan, 1]])
    np.testing.assert_allclose(sampled(field, points), [[8, 4], [4, 2], [6, 3], [0, 0], [np.nan] * 2], atol=1e-5)
    many = np.tile(points, (20000, 1))
    assert np.array_equal(sampled(field, many)[-5:], sampled(field, points), equal_nan=True)


def test_the_channels() -> None:
    motion = np.zeros((2, 2, 2), np.float32)
    motion[0, 1] = (10, -50)
    found = channels(motion, np.array([[0, 255], [51, 0]], np.uint8))
    assert found.shape == (3, 2, 2) and found.dtype == np.float32
    assert found[:2, 0, 1].tolist() == [0.5, -1]
    np.testing.assert_allclose(found[2], [[-1, 1], [-0.6, -1]], atol=1e-6)
    assert channels(motion, np.zeros((2, 2), np.uint8), scale=5)[0, 0, 1] == 1


def test_the_start_of_a_video() -> None:
    """The frame after, with its sign turned: what moves to the right does so in the first frame as well."""
    assert [partner(number, 2) for number in (0, 1, 2, 29)] == [(2, True), (3, True), (0, False), (27, False)]
    with pytest.raises(InputError, match="frame 0 has no frame 2 before or after it in a video of 2"):
        partner(0, 2, 2)
    frames = [scene(CORNER + MOVE * number) for number in range(3)]
    source = PairSource(frames.__getitem__, "v", View("stretch", SIZE), FlowSettings(), count=3)
    first, second = source.pair(0), source.pair(1)
    assert first.turned and not second.turned
    for number, pair in enumerate((first, second)):
        middle = (CORNER + MOVE * number + 25)[None]
        np.testing.assert_allclose(sampled(pair.motion, middle)[0], MOVE, atol=0.4)
        # The flow onto the other frame is never turned: it warps.
        sign = 1 if pair.turned else -1
        np.testing.assert_allclose(sampled(pair.backward, middle)[0], sign * MOVE, atol=0.4)
    assert np.array_equal(first.foreground, foreground(frames[0], frames[1])) and first.foreground.max() > 50


def test_a_frame_that_stands_still() -> None:
    pair = still(scene(CORNER))
    assert pair.still and not pair.motion.any() and not pair.foreground.any() and pair.seen_in_both().all()
    source = PairSource(lambda _: scene(CORNER), "v", View("letterbox", (60, 60)), FlowSettings())
    assert source.still(4).image.shape == (60, 60, 3)


def test_nothing_is_computed_twice_and_nothing_is_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [scene(CORNER + MOVE * number) for number in range(4)]
    reads: list[int] = []
    plain = View("stretch", SIZE)

    def read(number: int) -> np.ndarray:
        reads.append(number)
        return frames[number]

    def source(identity: str = "a", view: View | None = None, **settings: object) -> PairSource:
        cache = ArrayCache(tmp_path, budget=10**8)
        return PairSource(read, identity, view or plain, FlowSettings(**settings), cache=cache)  # type: ignore[arg-type]

    fresh = source().pair(1)
    assert reads == [1, 0] and source().has(1) and not source().has(2)
    again = source().pair(1)
    assert reads == [1, 0]
    for name in ("image", "other", "forward", "backward", "foreground"):
        assert np.array_equal(getattr(fresh, name), getattr(again, name)) and getattr(again, name).dtype == (
            getattr(fresh, name).dtype
        )
    assert again.forward.dtype == np.float16
    others = [
        source("b"), source(delta=2), source(method="dis"), source(view=View("stretch", (60, 80))),
        source(view=View("letterbox", SIZE)), source(view=View("stretch", SIZE, canvas=(128, 160))),
    ]  # fmt: skip
    keys = {one.key(3) for one in [source(), *others]}
    assert len(keys) == len(others) + 1 and source().key(2) not in keys
    assert source(scale=5).key(3) == source().key(3)  # applied when the channels are made
    wide = others[-1].pair(1)
    assert (
        wide.image.shape == (128, 160, 3) and not wide.image[:4].any() and np.array_equal(wide.image[4:-4], fresh.image)
    )


def test_settings() -> None:
    for options, reason in (
        ({"method": "tvl1"}, "--flow-method is 'tvl1'; use one of: farneback, dis"),
        ({"delta": 0}, "--flow-delta must be at least 1"),
        ({"scale": 0.0}, "scale of flow must be positive"),
    ):
        with pytest.raises(InputError, match=reason):
            FlowSettings(**options)  # type: ignore[arg-type]
    own, other = FlowSettings().to_dict(), FlowSettings("dis", 29).to_dict()
    assert differences(own, other) == "method farneback and dis, delta 1 and 29" and not differences(own, own)


def test_a_pair_under_a_map() -> None:
    """Everything of it turns together: what was at a place is found, by the flow, where it was before."""
    pair = pair_of(scene(CORNER + MOVE), scene(CORNER))
    middle = (CORNER + MOVE + 25)[None]
    for degrees in (25.0, -25.0):
        into = Affine.rotate(degrees, (80, 60))
        found = pair.under(into)
        place, before = into.points(middle), into.points(middle - MOVE)
        np.testing.assert_allclose(place + sampled(found.backward, place), before, atol=0.4)
        np.testing.assert_allclose(before + sampled(found.motion, before), place, atol=0.4)
        assert found.image.shape == (*SIZE, 3) and not found.image[0, 0].any() and found.foreground.dtype == np.uint8
        fresh = pair_of(found.image, found.other)  # what the method sees on the turned pictures
        np.testing.assert_allclose(sampled(fresh.backward, place), sampled(found.backward, place), atol=0.4)
