"""The suturing scene: points lie on what they name, and say rightly whether they are seen."""

from __future__ import annotations

import numpy as np
import pytest

from kaname.samples.suture import RATE, Scene, Shot

SIZE = (135, 240)


@pytest.fixture(scope="module")
def shots() -> list[Shot]:
    return [
        Scene(np.random.default_rng(seed), SIZE, 2.0).shot(time / RATE) for seed in range(5) for time in (0, 29, 58)
    ]


def test_a_frame_depends_on_its_seed_and_time_alone() -> None:
    one, other = (Scene(np.random.default_rng(3), SIZE, 2.0) for _ in range(2))
    other.shot(0.5)
    assert (one.shot(0.2).image == other.shot(0.2).image).all()
    assert (one.shot(0.2).image != one.shot(0.9).image).any()


def test_masks_are_apart_and_hold_their_visible_points(shots: list[Shot]) -> None:
    for shot in shots:
        assert sum(mask.astype(int) for mask in shot.masks).max() <= 1  # type: ignore[union-attr]
        for thing, visible, mask in zip(shot.things, shot.visible, shot.masks, strict=True):
            for (x, y), seen in zip(thing.points, visible, strict=True):
                inside = 0 <= x < SIZE[1] and 0 <= y < SIZE[0]
                assert bool(seen > 0) is bool(inside)
                if inside:
                    near = mask[max(0, int(y) - 1) : int(y) + 2, max(0, int(x) - 1) : int(x) + 2]
                    assert bool(near.any()) is bool(seen == 2), thing.group


def test_everything_happens(shots: list[Shot]) -> None:
    """All classes, covered points, points out of frame, a second needle."""
    groups = {thing.group for shot in shots for thing in shot.things}
    assert groups == {"left_hand", "right_hand", "scissors", "tweezers", "needle_holder", "needle"}
    states = np.concatenate([visible for shot in shots for visible in shot.visible])
    assert {0, 1, 2} == set(states.tolist())
    assert {1, 2} == {sum(thing.group == "needle" for thing in shot.things) for shot in shots}


def test_things_move_smoothly() -> None:
    scene = Scene(np.random.default_rng(1), SIZE, 2.0)
    for before, after in zip(scene.things(0.5), scene.things(0.5 + 1 / RATE), strict=True):
        apart = np.linalg.norm(after.points - before.points, axis=1)
        assert 0 < apart.max() < 0.05 * SIZE[0], before.group
