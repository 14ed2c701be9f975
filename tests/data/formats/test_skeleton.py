"""Skeletons: the two that ship, what comes out of a file, and every fault with its line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kaname.data.formats.skeleton import Group, Skeleton, Slot, find, read, swapped_pairs, write
from kaname.errors import InputError
from recipes.landmark.drawn_faces import SKELETON, points

SMALL = """name: small
classes:
  needle:
    id: 5
    points: [end, tip]
    edges: [[end, tip]]
    colour: "#0a0b0c"
    instances: 2
    order: x
  clamp:
    id: 1
    points: [left, right]
    colour: red
mirrored:
  clamp.left: clamp.right
positions:
  clamp.left: [0, 0.5]
"""


def shipped(root: Path, name: str) -> Skeleton:
    return read(root / "configs" / "skeleton" / f"{name}.yaml")


def test_oss25(root: Path) -> None:
    """27 channels: two hands of six points, four kinds of tools of three, two needles."""
    skeleton = shipped(root, "oss25")
    assert len(skeleton.channels) == 27 and len(skeleton.names) == 24
    hand = ["thumb", "middle", "index", "ring", "pinky", "back"]
    assert skeleton.channels[:6] == tuple(f"left_hand.{point}" for point in hand)
    assert skeleton.channels[12:15] == ("scissors.left", "scissors.right", "scissors.joint")
    assert skeleton.channels[21:] == (
        *("needle.end#1", "needle.tip#1", "needle.middle#1"),
        *("needle.end#2", "needle.tip#2", "needle.middle#2"),
    )
    assert [(slot.group, slot.instance, slot.start) for slot in skeleton.slots] == [
        *(("left_hand", 1, 0), ("right_hand", 1, 6), ("scissors", 1, 12), ("tweezers", 1, 15)),
        *(("needle_holder", 1, 18), ("needle", 1, 21), ("needle", 2, 24)),
    ]
    assert {name: group.id for name, group in skeleton.groups.items()} == {
        "left_hand": 0, "right_hand": 1, "scissors": 2, "tweezers": 3, "needle_holder": 4, "needle": 5,
    }  # fmt: skip
    expected = [*range(6, 12), *range(6), 13, 12, 14, 16, 15, 17, 19, 18, 20, *range(21, 27)]
    assert skeleton.permutation.tolist() == expected
    assert len(skeleton.edges) == 5 + 5 + 2 + 2 + 2 + 2 * 2 and set(skeleton.colours) == set(skeleton.channels)


def test_anime_face_28(root: Path) -> None:
    """28 points in five groups, with the document's pairs; 2, 23, 25 and 27 stay."""
    skeleton = shipped(root, "anime-face-28")
    pairs = [(0, 4), (1, 3), (5, 10), (6, 9), (7, 8), (11, 19), (12, 18), (13, 17), (14, 22), (15, 21), (16, 20),
             (24, 26)]  # fmt: skip
    expected = np.arange(28)
    for one, other in pairs:
        expected[[one, other]] = other, one
    assert skeleton.permutation.tolist() == expected.tolist()
    starts = [(slot.group, slot.start, slot.stop - 1) for slot in skeleton.slots]
    assert starts == [("contour", 0, 4), ("brows", 5, 10), ("eyes", 11, 22), ("nose", 23, 23), ("mouth", 24, 27)]
    assert [group.colour for group in skeleton.groups.values()] == [
        *((0, 0, 255), (0, 128, 0), (255, 255, 0), (255, 0, 255), (255, 0, 0)),
    ]
    assert skeleton.channels == skeleton.names and skeleton.kind == "groups"
    assert skeleton.names[2] == "chin" and skeleton.names[23] == "nose" and skeleton.names[27] == "mouth_lower"


@pytest.mark.parametrize("name", ["oss25", "anime-face-28"])
def test_there_and_back(root: Path, tmp_path: Path, name: str) -> None:
    """Through the card's JSON and through a file; a mirror twice is none."""
    skeleton = shipped(root, name)
    assert Skeleton.from_dict(json.loads(json.dumps(skeleton.to_dict()))) == skeleton
    write(tmp_path / "skeleton.yaml", skeleton)
    assert read(tmp_path / "skeleton.yaml") == skeleton
    permutation = skeleton.permutation
    assert permutation[permutation].tolist() == list(range(len(permutation)))


def test_what_comes_out(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(SMALL)
    skeleton = read(tmp_path / "s.yaml")
    assert skeleton.channels == ("needle.end#1", "needle.tip#1", "needle.end#2", "needle.tip#2", *skeleton.names[2:])
    assert skeleton.groups["needle"] == Group(
        ("needle.end", "needle.tip"), (("needle.end", "needle.tip"),), (10, 11, 12), id=5, instances=2, order="x"
    )
    assert skeleton.slots[1] == Slot("needle", 2, 2, 4)
    assert skeleton.edges.tolist() == [[0, 1], [2, 3]]
    assert skeleton.permutation.tolist() == [0, 1, 2, 3, 5, 4]
    assert skeleton.colours["needle.tip#2"] == (10, 11, 12) and skeleton.colours["clamp.left"] == (255, 0, 0)
    assert skeleton.positions == {"clamp.left": (0.0, 0.5)}
    assert Skeleton.from_dict(skeleton.to_dict()) == skeleton


def test_instances_change_places_with_their_partners() -> None:
    """Mirrored classes of two instances: the first of one becomes the first of the other."""
    groups = {name: Group((f"{name}.tip",), id=number, instances=2) for number, name in enumerate(("left", "right"))}
    skeleton = Skeleton("s", groups, mirrored=(("left.tip", "right.tip"),))
    assert skeleton.permutation.tolist() == [2, 3, 0, 1]


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("name: small\n", "", None, "a skeleton has a name, and either classes or groups"),
        ("classes:", "groups:", 4, "unknown key 'id'"),
        ("classes:", "clases:", 2, "unknown key 'clases'; did you mean classes?"),
        ("    id: 1\n", "", 10, "a class needs an id"),
        ("    id: 1\n", "    id: one\n", 11, "id must be of type int, got 'one'"),
        ("    id: 1\n", "    id: 5\n", 10, "5 appears twice"),
        ("[left, right]", "[left, left]", 10, "'clamp.left' appears twice"),
        ("[left, right]", "[left, 7]", 12, "points must be a list of names"),
        ("[left, right]", "[]", 12, "points must be a list of names"),
        ("[[end, tip]]", "[[end, tipp]]", 6, "no point is called 'needle.tipp'; did you mean needle.tip"),
        ("[[end, tip]]", "[end, tip]", 6, "an edge is a pair of points"),
        ('"#0a0b0c"', "reddish", 7, "unknown colour 'reddish'"),
        ("instances: 2", "instances: 0", 3, "instances must be at least 1"),
        ("order: x", "order: y", 3, "order id or x"),
        ("clamp.left: clamp.right", "clamp.left: clamp.middle", 15, "no point is called 'clamp.middle'"),
        ("clamp.left: clamp.right", "clamp.left: clamp.left", 15, "not itself"),
        ("clamp.left: clamp.right", "clamp.left: clamp.right\n  clamp.right: needle.tip", 16, "one partner"),
        ("clamp.left: clamp.right", "clamp.left: needle.tip", 15, "different numbers of instances"),
        (
            "clamp.left: clamp.right",
            "clamp.left: clamp.right\n  clamp.left: needle.tip",
            16,
            "duplicate key 'clamp.left'",
        ),
        ("clamp.left: [0, 0.5]", "clamp.left: [0]", 17, r"a position is \[x, y\]"),
        ("clamp.left: [0, 0.5]", "clamp.up: [0, 1]", 17, "no point is called 'clamp.up'"),
        ("    id: 5\n", "    id: 5\n    ides: 5\n", 5, "unknown key 'ides'"),
    ],
)
def test_faults_name_their_line(tmp_path: Path, old: str, new: str, line: int | None, reason: str) -> None:
    path = tmp_path / "skeleton.yaml"
    assert old in SMALL
    path.write_text(SMALL.replace(old, new, 1))
    with pytest.raises(InputError, match=reason) as caught:
        read(path)
    assert caught.value.path == str(path) and caught.value.row == line and caught.value.remedy


def test_mirrored_pairs_may_be_lists() -> None:
    content = {"name": "s", "groups": {"g": {"points": ["l", "r"]}}}
    assert Skeleton.from_dict({**content, "mirrored": [["l", "r"]]}).mirrored == (("l", "r"),)
    with pytest.raises(InputError, match=r"a pair is two points, as in \{left: right\} or \[\[left, right\]\]"):
        Skeleton.from_dict({**content, "mirrored": ["l"]})


@pytest.mark.parametrize("content", [b"", b"- a\n", b"name: [", b"\xff\xfe", None])
def test_what_is_no_skeleton(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "skeleton.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read(path)
    assert caught.value.path == str(path)


def test_the_card_names_the_key() -> None:
    with pytest.raises(InputError) as caught:
        Skeleton.from_dict({"name": "s", "groups": {"a": {"points": ["b"], "edges": [["b", "c"]]}}})
    assert caught.value.row == "groups.a.edges"


def test_channels_survive_json_that_sorts_its_keys(root: Path) -> None:
    """A card's groups may come back in another order; the channels may not."""
    face = read(root / "configs" / "skeleton" / "anime-face-28.yaml")
    sorted_again = json.loads(json.dumps(face.to_dict(), sort_keys=True))
    assert Skeleton.from_dict(sorted_again).channels == face.channels
    sorted_again["order"][0] = "tail"
    with pytest.raises(InputError, match="order must name each"):
        Skeleton.from_dict(sorted_again)


@pytest.mark.parametrize("degrees", [-80, -45, 30, 60, 85])
def test_tilted_heads(degrees: float) -> None:
    """Pairs of a tilted head agree with each other; one that is swapped does not."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    xy = (points() - 64) @ turn.T
    assert swapped_pairs(xy, SKELETON) == []
    xy[[11, 19]] = xy[[19, 11]]
    assert swapped_pairs(xy, SKELETON) == [("left_eye_upper_outer", "right_eye_upper_outer")]


def test_a_face_that_is_mirrored_as_a_whole() -> None:
    """Left is left in the image; who takes it for the character's left has every pair wrong."""
    assert len(swapped_pairs(points()[SKELETON.permutation], SKELETON)) == 12
    xy = points()
    xy[:14] = np.nan
    assert swapped_pairs(xy, SKELETON) == [], "pairs of which one point is absent say nothing"


def test_pairs_that_a_skeleton_writes_the_other_way() -> None:
    ears = Skeleton.from_dict(
        {"name": "e", "groups": {"e": {"points": ["right_ear", "left_ear"]}}, "mirrored": {"right_ear": "left_ear"}}
    )
    assert swapped_pairs(np.array([[9.0, 0.0], [1.0, 0.0]]), ears) == []
    assert swapped_pairs(np.array([[1.0, 0.0], [9.0, 0.0]]), ears) == [("left_ear", "right_ear")]


def test_a_face_in_profile() -> None:
    """A pair that nearly coincides may lie the wrong way round by a little, as people place hidden points."""
    xy = points()
    extent = float(np.ptp(xy, axis=0).max())
    for share, expected in ((0.01, []), (0.03, [("mouth_left", "mouth_right")])):
        xy[26] = xy[24] - (share * extent, 0)
        assert swapped_pairs(xy, SKELETON) == expected


def test_a_skeleton_is_found_by_name_or_file(tmp_path: Path) -> None:
    """A file that changed is read again."""
    assert find("anime-face-28").names[23] == "nose"
    path = tmp_path / "mine.yaml"
    for point in ("a", "b2"):
        path.write_text(f"name: mine\ngroups: {{g: {{points: [{point}]}}}}\n")
        assert find(str(path)).names == (point,)
    with pytest.raises(InputError, match="did you mean anime-face-28"):
        find("anime-face")
    with pytest.raises(InputError, match="cannot be read"):
        find(str(tmp_path / "none.yaml"))
