"""From outputs to key points: a dot's place comes back, and what its visibility is."""

from __future__ import annotations

import numpy as np
import pytest

from kaname.codecs.heatmap import encode
from kaname.config import load
from kaname.data.formats.skeleton import Skeleton, find
from kaname.inference.request import Request
from kaname.recipes.kpnet.config import AnswerSettings, KpnetConfig
from kaname.recipes.kpnet.decode import decode_of, visibilities
from kaname.types import Frame, Points

SKELETON = find("oss25")
COUNT = len(SKELETON.channels)
SIZE = (1080, 1920)


def card_of(config: KpnetConfig) -> dict:
    return {"skeleton": SKELETON.to_dict(), "grid": config.grid.to_dict()}


def answered(config: KpnetConfig, maps: np.ndarray, states: np.ndarray, **settings: float) -> Points:
    frame = Frame(0, 0.0, np.zeros((*SIZE, 3), np.uint8))
    outputs = {"heatmaps": maps[None], "visibility": states.reshape(1, -1)}
    decode = decode_of(card_of(config), AnswerSettings(**settings))  # type: ignore[arg-type]
    return decode(outputs, Request([frame], config.view))[0]


@pytest.mark.parametrize("stretch", [False, True])
@pytest.mark.parametrize("words", [["image_size=540,960", "heatmap_size=196"], ["heatmap_size=196"]])
def test_a_dot_comes_back_within_a_twentieth_of_a_pixel(words: list[str], stretch: bool) -> None:
    """Through unequal strides, a padded canvas, stretch and letterbox, at 27 places of a large frame."""
    config = load(KpnetConfig, overrides=[*words, f"resize_only={str(stretch).lower()}"])
    random = np.random.default_rng(0)
    true = random.uniform((40, 40), (SIZE[1] - 40, SIZE[0] - 40), (COUNT, 2))
    places = config.view.into(SIZE).points(true)
    maps = encode(places, np.ones(COUNT), config.cells, config.grid, config.loss.sigma)
    found = answered(config, maps, np.tile([0.1, 0.2, 0.7], (COUNT, 1)))
    xy = np.array([found.xy[name][0] for name in SKELETON.channels])
    assert np.linalg.norm(xy - true, axis=1).max() < 0.05


def test_an_object_that_is_likeliest_out_of_frame_is_not_there() -> None:
    states = np.tile([0.45, 0.1, 0.45001], (COUNT, 1))
    slots = {slot.group: slot for slot in SKELETON.slots}
    needle = slots["needle"]  # the second one
    states[needle.start : needle.stop] = [0.4, 0.3, 0.3]
    visible = visibilities(states, SKELETON, 0.5)
    assert not visible[needle.start : needle.stop].any()
    assert (visible[: needle.start] == 2).all()


def test_points_of_an_object_that_is_there() -> None:
    states = np.tile([0.1, 0.2, 0.7], (COUNT, 1))
    states[0], states[1] = [0.6, 0.1, 0.3], [0.1, 0.5, 0.4]
    assert visibilities(states, SKELETON, 0.5)[:3].tolist() == [0, 1, 2]
    assert visibilities(states, SKELETON, 1.0)[:3].tolist() == [2, 1, 2]  # every point has a place


def test_an_absent_point_has_no_place() -> None:
    config = load(KpnetConfig, overrides=["image_size=64"])
    states = np.tile([0.1, 0.2, 0.7], (COUNT, 1))
    states[3] = [0.9, 0.05, 0.05]
    found = answered(config, np.full((COUNT, 16, 16), 0.5, np.float32), states)
    name = Skeleton.from_dict(SKELETON.to_dict()).channels[3]
    assert np.isnan(found.xy[name]).all() and found.visible[name][0] == 0


def test_a_point_that_is_likeliest_out_of_frame_is_out_of_frame() -> None:
    """Also where its object is there, and no state is more probable than one half."""
    states = np.tile([0.1, 0.2, 0.7], (COUNT, 1))
    states[2] = [0.4, 0.3, 0.3]
    assert visibilities(states, SKELETON, None)[:4].tolist() == [2, 2, 0, 2]


@pytest.mark.parametrize(("place", "kept"), [((100.0, 3.0), True), ((100.0, -6.0), True), ((100.0, -40.0), False)])
def test_a_place_beyond_the_border_is_out_of_frame(place: tuple[float, float], kept: bool) -> None:
    """In the border that a letterbox adds; up to a cell of 20 px it was meant to be on the edge."""
    config = load(KpnetConfig, overrides=["image_size=384"])
    true = np.tile([300.0, 300.0], (COUNT, 1))
    true[0] = place
    maps = encode(config.view.into(SIZE).points(true), np.ones(COUNT), config.cells, config.grid, 2.0)
    found = answered(config, maps, np.tile([0.1, 0.2, 0.7], (COUNT, 1)))
    name = SKELETON.channels[0]
    assert found.visible[name][0] == (2 if kept else 0)
    if kept:
        assert found.xy[name][0] == pytest.approx((place[0], max(place[1], 0.0)), abs=0.1)
    else:
        assert np.isnan(found.xy[name]).all()
