"""What light, lens, sensor and file do to a picture: nothing moves, and each change is as strong as was asked."""

from __future__ import annotations

import numpy as np
import pytest

from kaname.data.photo import coarser, glaring, noisy, recompressed, shaded, shaken, tinted

SIZE = (120, 160)


def blob(centre: np.ndarray) -> np.ndarray:
    ys, xs = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    away = np.hypot(xs - centre[0], ys - centre[1])
    return (200 * np.exp(-(away**2) / 32)).repeat(3).reshape(*SIZE, 3).astype(np.uint8)


@pytest.mark.parametrize("change", [lambda r, i: shaken(r, i, 13), lambda r, i: coarser(r, i, 0.5)])
def test_a_blurred_image_stays_in_its_place(change) -> None:
    centre = np.array([77.3, 61.8])
    ys, xs = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    for seed in range(12):
        changed = change(np.random.default_rng(seed), blob(centre))
        assert changed.max() < blob(centre).max()  # it is blurred
        weight = changed[..., 0].astype(float)
        found = np.array([(weight * xs).sum(), (weight * ys).sum()]) / weight.sum()
        assert np.abs(found - centre).max() < 0.2


@pytest.mark.parametrize("deviation", [2.0, 12.0])
def test_noise_has_the_deviation_that_was_asked_for(deviation: float) -> None:
    flat = np.full((400, 400, 3), 128, np.uint8)
    away = noisy(np.random.default_rng(0), flat, deviation).astype(float) - 128
    assert abs(away.mean()) < 1
    grey = away.mean(axis=2)  # the grain is common to the channels
    assert deviation * 0.9 < grey.std() < deviation * 1.4


def test_warm_light_has_more_red_over_blue_by_its_factor() -> None:
    flat = np.full((4, 4, 3), 100, np.uint8)
    for warmth in (-0.3, 0.3):
        red, _, blue = tinted(flat, warmth)[0, 0].astype(float)
        assert red / blue == pytest.approx(np.exp(warmth), rel=0.02)
    assert np.array_equal(tinted(flat, 0.0), flat)


def test_glare_only_brightens_and_shade_only_darkens_up_to_their_limits() -> None:
    flat = np.full((*SIZE, 3), 120, np.uint8)
    for seed in range(20):
        bright = glaring(np.random.default_rng(seed), flat, 90).astype(int)
        dark = shaded(np.random.default_rng(seed), flat, 0.6).astype(int)
        assert bright.min() >= 120 and bright.max() <= 211
        assert dark.min() >= 120 * 0.4 - 2 and dark.max() <= 120
    changed = [glaring(np.random.default_rng(seed), flat, 90).max() > 130 for seed in range(20)]
    assert sum(changed) > 10


def test_a_lower_quality_is_farther_from_the_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    far = [np.abs(recompressed(image, quality).astype(int) - image).mean() for quality in (95, 60, 15)]
    assert far[0] < far[1] < far[2]
