"""Ids along time: nearest first, never more than instances, births, the gate, and two real flies."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kaname.data.formats.mot_kp_rows import read_rows
from kaname.data.formats.skeleton import Group, Skeleton
from kaname.errors import InputError
from kaname.tracking.identity import Identity


def at(x: float, y: float = 0.0) -> np.ndarray:
    """An object of two points."""
    return np.array([[x, y], [x + 10, y]])


def test_the_nearest_keeps_its_id() -> None:
    needles = Identity([5, 6], gate=100)
    assert needles.assign([at(0), at(200)]) == [5, 6]
    assert needles.assign([at(205), at(8)]) == [6, 5]  # the slots have changed places
    assert needles.assign([at(30)]) == [5] and needles.assign([at(190)]) == [6]


def test_distances_are_least_in_all_within_the_gate() -> None:
    """The first object's nearest id is the other's only one."""
    flies = Identity([0, 1], gate=50)
    flies.assign([at(0), at(40)])
    assert flies.assign([at(45), at(80)]) == [0, 1]  # 45 + 40 beats a single match and one beyond the gate


def test_birth_before_a_jump() -> None:
    needles = Identity([5, 6], gate=50)
    assert needles.assign([at(0)]) == [5]
    assert needles.assign([at(400)]) == [6], "another needle, not one that jumped"
    assert needles.assign([at(900)]) == [6], "never more ids than instances: the nearer one jumped"
    assert needles.assign([at(910), at(3)]) == [6, 5]
    assert Identity([7], gate=1).assign([at(0)]) == [7]


def test_absent_points_and_objects() -> None:
    """Distances are those of the points that both have; an object without any gets what is left."""
    flies = Identity([0, 1], gate=50)
    half = at(100)
    half[0] = np.nan
    assert flies.assign([at(0), half]) == [0, 1]
    nothing = np.full((2, 2), np.nan)
    assert flies.assign([nothing, at(103)]) == [0, 1]
    assert flies.assign([at(2), at(104)]) == [0, 1]
    assert flies.assign([]) == []


def test_between_detections_a_tracker_tells() -> None:
    """Two objects that cross: followed by the tracker they keep their ids, by distance alone they would swap."""
    flies = Identity([0, 1], gate=500)
    flies.assign([at(0), at(100)])
    for step in range(1, 11):
        flies.follow([at(10 * step), at(100 - 10 * step)], [0, 1])
    assert flies.assign([at(5), at(95)]) == [1, 0]


def test_a_run_goes_on_from_its_state() -> None:
    one = Identity([0, 1], gate=50)
    half = at(100)
    half[1] = np.nan
    one.assign([at(0), half])
    state = json.loads(json.dumps(one.state(), allow_nan=False))
    other = Identity([0, 1], gate=50)
    other.restore(state)
    assert other.assign([half + 3, at(3)]) == one.assign([half + 3, at(3)]) == [1, 0]


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="3 objects, but only 2 ids"):
        Identity([0, 1], gate=1).assign([at(0)] * 3)
    for ids, gate, reason in (([], 1, "ids must differ"), ([1, 1], 1, "ids must differ"), ([1], 0, "gate must be")):
        with pytest.raises(InputError, match=reason):
            Identity(ids, gate=gate)


def switches(given: list[list[int | str]]) -> int:
    """How often the id of a true object is another than at its time before, with rows in the order of true ids."""
    return sum(one != other for one, other in zip(given[1:], given, strict=False))


@pytest.mark.parametrize("every", [1, 10])
def test_real_flies_in_random_slots(shared_data: Path, every: int) -> None:
    """A detector that fills its slots anew in every frame: 900 frames, far fewer switches than without."""
    skeleton = Skeleton("flies", {"fly": Group(("fly.head", "fly.tail"), id=0, instances=2)})
    frames: dict[int, dict[int | str, np.ndarray]] = {}
    for row in read_rows(shared_data / "kpnet" / "flies" / "gt_2kp.txt", skeleton):
        seen = (row.third > 0)[:, None]
        frames.setdefault(row.frame, {})[row.track] = np.where(seen, row.points, np.nan)
    random, flies = np.random.default_rng(0), Identity([0, 1], gate=100)
    ordered: list[list[int | str]] = []
    shuffled: list[list[int | str]] = []
    for frame in sorted(frames)[::every]:
        turn = random.permutation(2)
        ids = flies.assign([frames[frame][int(one)] for one in turn])
        ordered.append([ids[int(np.flatnonzero(turn == one)[0])] for one in range(2)])
        shuffled.append([int(np.flatnonzero(turn == one)[0]) for one in range(2)])
    assert switches(shuffled) > 0.4 * len(ordered) and switches(ordered) <= 0.02 * len(ordered)
