"""What is annotated twice is named: points, boxes, faces, objects of a video."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kaname.data.annotations import read_faces
from kaname.data.formats import mot_kp
from kaname.data.formats.duplicates import double_points, same_places
from kaname.data.formats.landmarks import Annotation, write_annotation
from kaname.types import Sample

PLACES = np.array([[10.0, 12.0], [30.0, 14.0], [np.nan, np.nan], [22.0, 40.0]])


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (PLACES, True),
        (PLACES + 0.6, True),
        (PLACES + 0.8, False),
        (np.where([[True], [True], [True], [False]], PLACES, np.nan), False),
        (np.full((4, 2), np.nan), False),
        (PLACES[:3], False),
    ],
)
def test_objects_at_one_place(other, same):
    assert same_places(PLACES, other) == same


@pytest.mark.parametrize("shift", [0.0, 0.5, 5.0])
def test_a_face_that_is_annotated_twice(tmp_path, shift):
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    seen = np.array([2, 2, 0, 1])
    for number, name in enumerate(("a.json", "a.face2.json")):
        box = (5.0 + number, 6.0, 40.0, 45.0)
        one = Annotation("a.png", (60, 80), PLACES + shift * number, seen, box=box, finished=True)
        write_annotation(tmp_path / "labels" / name, one)
    found = read_faces(tmp_path / "images", tmp_path / "labels", None)
    reasons = [fault.reason for fault in found.double]
    assert not found.problems and reasons == (
        [] if shift == 5 else ["the same face as in a.json: every landmark lies within a pixel"]
    )


@pytest.mark.parametrize("shift", [0.0, 0.4, 4.0])
def test_an_object_of_a_video_with_two_ids(tmp_path: Path, shift: float) -> None:
    skeleton = mot_kp.find_skeleton(None)
    name, group = next((name, group) for name, group in skeleton.groups.items() if group.instances > 1)
    place = np.arange(2 * len(group.points), dtype=float).reshape(-1, 2) * 7 + 20
    sample = Sample(
        tmp_path / "V_frame_0.png",
        points={point: np.array([place[n], place[n] + shift]) for n, point in enumerate(group.points)},
        visible={point: np.array([2, 2]) for point in group.points},
        ids=[1, 2],
        labels=[name, name],
        frame=0,
        meta={"video": "V"},
    )
    mot_kp.write(tmp_path / "V.txt", [sample])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert len(mot_kp.read(tmp_path / "V.txt")[0].ids) == 2
    said = [str(one.message) for one in caught]
    if shift == 4:
        assert not said
    else:
        assert len(said) == 1 and f"V.txt:2: the {name} with id 2 lies where that with id 1 does (line 1)" in said[0]


@pytest.mark.parametrize("seed", range(40))
def test_double_points_equal_their_definition(seed):
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 6, (int(rng.integers(0, 14)), 2))
    xy[rng.random(len(xy)) < 0.1] = np.nan
    kept: list[int] = []
    for row, place in enumerate(xy):
        if not any(np.hypot(*(place - xy[other])) < 1 for other in kept):
            kept.append(row)
    assert double_points(xy) == [row for row in range(len(xy)) if row not in kept]
