from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from axis_lists import check_ranges
from kaname.data.formats import skeleton as skeletons
from kaname.data.formats.skeleton import swapped_pairs
from kaname.errors import InputError
from kaname.samples import landmark
from kaname.samples.axes import table
from kaname.samples.face_axes import AXES, UPRIGHT

DOCS = Path(__file__).resolve().parents[2] / "docs" / "landmark.md"
STILL = ("light", "camera", "dirt")


def draw(index: int, without: Iterable[str] = (), variety: str = "rich") -> landmark.Face:
    return landmark.render(np.random.default_rng([6, index]), 96, variety=variety, without=without)


@pytest.fixture(scope="module")
def faces() -> list[landmark.Face]:
    return [draw(i) for i in range(160)]


def test_every_axis_takes_part_and_stays_in_its_range(faces: list[landmark.Face]) -> None:
    check_ranges(AXES, [face.traits for face in faces])


@pytest.mark.parametrize("name", sorted(AXES))
def test_a_face_without_an_axis_is_the_same_face_in_everything_else(name: str, faces: list[landmark.Face]) -> None:
    chosen = [i for i, face in enumerate(faces) if face.traits[name] != AXES[name].off]
    if name == "animal_ears":  # beasts have them in any case
        chosen = [i for i in chosen if not faces[i].traits["beast"]]
    chosen = chosen[:6]
    pairs = [(faces[i], draw(i, without=(name,))) for i in chosen]
    for one, two in pairs:
        assert two.traits == {**one.traits, name: AXES[name].off}
        if AXES[name].group not in ("geometry", "material"):
            assert np.array_equal(one.points, two.points, equal_nan=True)
    assert any(not np.array_equal(one.image, two.image) for one, two in pairs)


@pytest.mark.parametrize("name", ["glasses", "hat", "hand", "patch", "petals", "strands", "antenna", "cheeks", "nose",
                                  "mouth_open", "neighbour", "paint", "collar", "tails"])  # fmt: skip
def test_what_an_axis_draws_leaves_the_rest_of_the_picture_alone(name: str, faces: list[landmark.Face]) -> None:
    """Without light and camera, which spread a change over the picture, most pixels stay to the bit."""
    chosen = [i for i, face in enumerate(faces) if face.traits[name] != AXES[name].off][:6]
    for index in chosen:
        one, two = draw(index, STILL), draw(index, (*STILL, name))
        assert (one.image == two.image).all(axis=2).mean() > 0.6


def test_points_under_hands_and_patches_are_hidden(faces: list[landmark.Face]) -> None:
    for name in ("bars", "panels", "patch", "hand", "hat"):
        found = 0
        for index, face in enumerate(faces):
            if face.traits[name] != AXES[name].off:
                less = draw(index, (name,))
                assert (face.hidden >= less.hidden).all()
                found += int((face.hidden & ~less.hidden).sum())
        assert found or name in ("bars", "panels"), name


def test_groups_are_switched_off_together_and_unknown_names_refused(tmp_path: Path) -> None:
    camera = [name for name, axis in AXES.items() if axis.group == "camera"]
    assert np.array_equal(draw(3, ("camera",)).image, draw(3, camera).image)
    with pytest.raises(InputError, match="'glases'") as caught:
        landmark.write(tmp_path / "out", count=1, without=("glases",))
    assert "glasses" in str(caught.value.remedy)
    assert not (tmp_path / "out").exists()


def test_plain_faces_keep_few_axes() -> None:
    assert AXES.keys() > UPRIGHT
    for index in range(20):
        traits = draw(index, variety="plain").traits
        assert all(traits[name] == AXES[name].off for name in AXES.keys() - UPRIGHT)


def test_the_documented_list_is_the_list() -> None:
    assert table(AXES) in DOCS.read_text(encoding="utf-8")


def test_left_stays_left_in_the_picture() -> None:
    """The format calls the points by the sides of the image, and its reader refuses faces that stand on their heads."""
    skeleton = skeletons.find("anime-face-28")
    for index in range(150):
        face = landmark.render(np.random.default_rng([77, index]), 96)
        assert not swapped_pairs(np.where(face.visible[:, None], face.points, np.nan), skeleton)
