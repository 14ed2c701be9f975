"""What may be done to a face."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from annotating import FACE, MEAN, face_skeleton
from kaname.apps.annotation.face import (
    Face,
    anchors,
    changed,
    extent,
    from_annotation,
    to_annotation,
    with_mean_face,
    with_proposals,
)
from kaname.data.formats import skeleton
from kaname.data.formats.landmarks import read_annotation, write_annotation
from kaname.data.formats.skeleton import Group, Skeleton
from kaname.errors import InputError

SIZE = (200, 300)
EMPTY = Face.empty(28)


def placed(*pixels: tuple[int, int]) -> Face:
    face = EMPTY
    for number, pixel in enumerate(pixels):
        face = face.placed(number, pixel)
    return face


def test_a_face_goes_into_a_file_and_comes_back(tmp_path: Path) -> None:
    face = placed((0, 0), (299, 199), (7, 8), (5, 5)).marked(2, 1).marked(3, 0)
    for box in (None, (1.0, 2.5, 30.0, 40.0)):
        face = dataclasses.replace(face, box=box)
        write_annotation(
            tmp_path / "a.json", to_annotation(face, "a.png", SIZE, "x", finished=False, other={"by": "me"})
        )
        kept = read_annotation(tmp_path / "a.json")
        assert from_annotation(kept) == face
        assert kept.other == {"by": "me"} and not kept.finished
        assert kept.box == (box or (0, 0, 300, 200))


def test_places_between_pixels_are_kept(tmp_path: Path) -> None:
    annotation = to_annotation(placed((10, 20)), "a.png", SIZE, "x", finished=False, other={})
    annotation.points[0] = (10.25, 20.5)
    write_annotation(tmp_path / "a.json", annotation)
    assert from_annotation(read_annotation(tmp_path / "a.json")).places[0] == (10.25, 20.5)


def test_untouched_proposals_are_no_annotation_until_somebody_saves_the_face() -> None:
    face = with_proposals(placed((1, 1)), np.full((28, 2), 50.5), SIZE)
    assert face.proposed == frozenset(range(1, 28)) and face.places[1] == (50, 50) and face.places[0] == (1, 1)
    assert (to_annotation(face, "a", SIZE, "x", finished=False, other={}).visible[1:] == -1).all()
    assert (to_annotation(face, "a", SIZE, "x", finished=True, other={}).visible == 2).all()
    moved = face.placed(5, (9, 9))
    assert 5 not in moved.proposed and with_proposals(moved, np.full((28, 2), 60.5), SIZE).places[5] == (9, 9)


def test_proposals_stay_inside_and_may_be_missing() -> None:
    points = np.full((28, 2), np.nan)
    points[0], points[1], points[2] = (-5, 1000), (299.99, 199.99), (300, 200)
    face = with_proposals(EMPTY, points, SIZE)
    assert face.places[:4] == ((0, 199), (299, 199), (299, 199), None)


def test_clear_last_takes_the_highest_number() -> None:
    face = placed((1, 1), (2, 2), (3, 3)).placed(0, (9, 9))
    assert changed(face, {"kind": "clear_last"}, SIZE, face_skeleton()).places[:3] == ((9, 9), (2, 2), None)
    assert changed(EMPTY, {"kind": "clear_last"}, SIZE, face_skeleton()) == EMPTY
    assert changed(face.marked(4, 0), {"kind": "clear_last"}, SIZE, face_skeleton()) == face


@pytest.mark.parametrize("turn", [0, 30, -100, 180])
def test_the_mean_face_is_turned_scaled_and_moved_but_not_sheared(turn: float) -> None:
    centre, away = np.array([300.0, 300.0]), 60 * np.array([np.cos(np.radians(turn)), np.sin(np.radians(turn))])
    one, other = (tuple(np.floor(centre + side * away).astype(int).tolist()) for side in (-1, 1))
    face = with_mean_face(EMPTY, face_skeleton(), one, other, (600, 600))
    places, mean = np.array(face.places, float), np.array(MEAN)
    distances, true = (np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1)) for points in (places, mean))
    scale = distances[11, 19] / true[11, 19]
    assert np.abs(distances - true * scale).max() < 1.5, "rounded to pixels"
    sides = [np.linalg.det([points[19] - points[11], points[2] - points[11]]) for points in (places, mean)]
    assert sides[0] * sides[1] > 0, "not mirrored"
    assert face.places[11] == one and face.places[19] == other
    assert face.proposed == frozenset(range(28)) - {11, 19}


def test_the_mean_face_leaves_what_is_placed() -> None:
    face = placed((5, 6)).marked(3, 0)
    after = with_mean_face(face, face_skeleton(), (100, 100), (150, 100), SIZE)
    assert after.places[0] == (5, 6) and after.marks[3] == 0 and after.marks[4] == 2


def test_the_anchors_of_other_skeletons() -> None:
    assert anchors(face_skeleton()) == ("left_eye_upper_outer", "right_eye_upper_outer")
    plain = skeleton.read(FACE)
    without = Skeleton(plain.name, plain.groups, plain.mirrored)
    assert anchors(without) is None
    with pytest.raises(InputError, match="no mean face"):
        with_mean_face(EMPTY, without, (1, 1), (2, 2), SIZE)
    ears = {"ears": Group(("a", "b", "c", "d", "top"))}
    positions = {"a": (0.4, 0.5), "b": (0.6, 0.5), "c": (0.1, 0.2), "d": (0.9, 0.2), "top": (0.5, 0.0)}
    assert anchors(Skeleton("ears", ears, (("a", "b"), ("c", "d")), positions)) == ("c", "d")
    assert anchors(Skeleton("ears", ears, (), positions)) is None


def test_the_extent_lies_in_the_image() -> None:
    assert extent(EMPTY, SIZE) is None
    assert extent(placed((10, 10)), SIZE) is None, "one point has none"
    assert extent(placed((10, 10), (110, 60)), SIZE) == (0.5, 5.5, 120, 60)
    assert extent(placed((0, 0), (299, 199)), SIZE) == (0, 0, 300, 200)
