from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pytest

from kaname.errors import InputError
from kaname.samples import face_axes, match_axes
from kaname.samples.axes import LESS, Axis, Draws, check_without, table
from kaname.samples.world import axes as world_axes

FEW: Mapping[str, Axis] = {
    "hat": Axis("material", 0.5, (), False, "a hat"),
    "turn": Axis("geometry", 0.8, (-3, 5), 0.0, "turn, degrees"),
    "kind": Axis("print", 0.5, ("red", "blue"), "none", "its colour"),
    "blur": Axis("camera", 1.0, (1, 2), 0.0, "blur"),
}
LISTS = {"dials": world_axes.AXES, "faces": face_axes.AXES, "matches": match_axes.AXES}


def test_an_axis_takes_part_as_often_as_it_says_within_its_range() -> None:
    drawn = [Draws(seed, FEW) for seed in range(2000)]
    for name, axis in FEW.items():
        on = [draws(name) for draws in drawn if draws(name).on]
        share = 0.55 + 0.45 * LESS if axis.group == "camera" else 1.0
        assert len(on) / 2000 == pytest.approx(axis.chance * share, abs=0.035)
        assert all(draws(name).value == axis.off for draws in drawn if not draws(name).on)
    turns = [draws("turn").value for draws in drawn if draws("turn").on]
    assert -3 <= min(turns) < -2.9 < 4.9 < max(turns) <= 5
    assert {draws("kind").value for draws in drawn} == {"none", "red", "blue"}
    assert {draws("hat").value for draws in drawn} == {True, False}


def test_leaving_an_axis_out_changes_no_other() -> None:
    for seed in range(50):
        whole, part = Draws(seed, FEW), Draws(seed, FEW, frozenset({"hat", "blur"}))
        assert (part("hat").value, part("blur").value) == (False, 0.0)
        for name in ("turn", "kind"):
            assert whole(name).value == part(name).value
            assert whole(name).rng.random() == part(name).rng.random()
        assert whole.own("x").random() == part.own("x").random() != whole.own("y").random()


def test_a_value_that_was_impossible_is_replaced() -> None:
    draws = Draws(3, FEW)
    assert draws.keep("turn", 1.5) == draws("turn").value == draws.traits["turn"] == 1.5
    assert draws("turn").on
    draws.keep("turn", 0.0)
    assert not draws("turn").on


def test_groups_and_unknown_names() -> None:
    assert check_without(FEW, ("camera", "hat")) == check_without(FEW, ("camera, hat,",)) == {"blur", "hat"}
    with pytest.raises(InputError, match="'hta'") as caught:
        check_without(FEW, ("hta",))
    assert all(name in str(caught.value.remedy) for name in (*FEW, "geometry"))


def test_the_table_says_it_all() -> None:
    lines = table(FEW).splitlines()
    assert lines[2] == "| `hat` | material | 50% | there | absent | a hat |"
    assert lines[4] == "| `kind` | print | 50% | red, blue | none | its colour |"


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_sound(name: str) -> None:
    groups = ("print", "geometry", "material", "light", "camera", "dirt", "distractors")
    axes = LISTS[name]
    assert list(dict.fromkeys(axis.group for axis in axes.values())) == list(groups)
    assert not axes.keys() & set(groups)
    for axis in axes.values():
        assert 0 < axis.chance <= 1
        assert axis.says
        assert len(axis.span) == 2 or not axis.span or isinstance(axis.span[0], str)
        assert axis.off not in axis.span if axis.span and isinstance(axis.span[0], str) else True


def test_what_is_drawn_for_a_dial_stays_what_it_was() -> None:
    """Trainings that go on with rendered dials must see the pictures with which they began."""
    found = hashlib.sha256()
    for seed in range(20):
        for name, value in Draws(seed, world_axes.AXES).traits.items():
            found.update(f"{name} {value if isinstance(value, str | bool) else round(value, 9)}".encode())
    assert found.hexdigest() == "8b9f5d386784af6b05d9f3096e2244199d1025178c9e7fe758461158f925c66a"
