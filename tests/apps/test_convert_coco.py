"""``kaname convert`` to COCO: numbers of categories, edges, areas; points outside, and faces of several kinds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from calling import Answer, call
from kaname.geometry.image import write_image


def convert(
    tmp_path: Path, content: Any, source: str = "coco", target: str = "coco", **more: str
) -> tuple[Any, Answer]:
    """What is written, and what was said."""
    (tmp_path / "in.json").write_text(json.dumps(content))
    words = [word for name, value in more.items() for word in (f"--{name}", value)]
    found = call("convert", "--from", source, "--to", target, "--input", tmp_path / "in.json",
                 "--output", tmp_path / "out.json", "--overwrite", *words).done()  # fmt: skip
    return json.loads((tmp_path / "out.json").read_text()), found


def coco() -> dict[str, Any]:
    """Two classes, of which the second comes first, with a skeleton and areas of its own."""
    cat = {"id": 18, "name": "cat", "keypoints": ["nose", "tail", "ear"], "skeleton": [[1, 2], [3, 1]]}
    common = {"iscrowd": 0, "segmentation": [[1, 1, 9, 1, 9, 9, 1, 9]]}
    return {
        "images": [{"id": 5, "file_name": "a.png", "height": 20, "width": 30}],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 18, "bbox": [1, 1, 8, 8], "area": 12.5, **common,
             "keypoints": [2, 2, 2, 8, 8, 2, 40, 5, 2], "num_keypoints": 3},
            {"id": 2, "image_id": 5, "category_id": 2, "bbox": [1, 1, 8, 8], "area": 64, **common},
        ],
        "categories": [{"id": 2, "name": "dog"}, cat],
    }  # fmt: skip


def test_coco_keeps_its_numbers_edges_and_areas(tmp_path: Path) -> None:
    written, found = convert(tmp_path, coco())
    assert {one["name"]: one["id"] for one in written["categories"]} == {"dog": 2, "cat": 18}
    assert [one["category_id"] for one in written["annotations"]] == [18, 2]
    assert written["categories"][1]["skeleton"] == [[1, 2], [3, 1]]
    assert [one["area"] for one in written["annotations"]] == [12.5, 64]
    assert "categories:" not in found.out


def test_the_label_of_one_skeleton_is_its_category(tmp_path: Path) -> None:
    """Also where nobody drew a box; and what peers read without asking is there."""
    (tmp_path / "in.xml").write_text(
        '<annotations><image id="0" name="a.png" width="30" height="20"><skeleton label="fox">'
        '<points label="nose" points="4,5"/><points label="tail" points="9,8"/></skeleton></image></annotations>'
    )
    words = ["--input", tmp_path / "in.xml", "--output", tmp_path / "out.json"]
    call("convert", "--from", "cvat", "--to", "coco", *words).done()
    written = json.loads((tmp_path / "out.json").read_text())
    assert [one["name"] for one in written["categories"]] == ["fox"]
    assert written["info"] == {} and written["licenses"] == []


def test_points_outside_their_image_are_named(tmp_path: Path) -> None:
    _, found = convert(tmp_path, coco())
    assert "warning: 1 points lie outside their image, the first in a.png: 'ear' at (40.5, 5.5)" in found.out


def test_where_the_source_has_no_numbers_they_are_listed(tmp_path: Path) -> None:
    (tmp_path / "in.xml").write_text(
        '<annotations><version>1.1</version><image id="0" name="a.png" width="30" height="20">'
        '<box label="dog" xtl="1" ytl="1" xbr="9" ybr="9" occluded="0"/>'
        '<box label="cat" xtl="1" ytl="1" xbr="8" ybr="9" occluded="0"/></image></annotations>'
    )
    out = tmp_path / "out.json"
    found = call("convert", "--from", "cvat", "--to", "coco", "--input", tmp_path / "in.xml", "--output", out).done()
    assert "categories: 1 dog, 2 cat" in found.out
    assert [one["name"] for one in json.loads(out.read_text())["categories"]] == ["dog", "cat"]


def test_edges_are_those_of_the_skeleton(tmp_path: Path) -> None:
    call("landmark", "sample", "--out", tmp_path / "faces", "--count", 2).done()
    out = tmp_path / "out.json"
    call("convert", "--from", "landmarks", "--to", "coco", "--input", tmp_path / "faces" / "annotated",
         "--images", tmp_path / "faces" / "images", "--output", out).done()  # fmt: skip
    (category,) = json.loads(out.read_text())["categories"]
    edges = category["skeleton"]
    assert len(edges) > 10 and {end for edge in edges for end in edge} <= set(range(1, 29))


def test_faces_of_several_kinds_in_one_folder(tmp_path: Path) -> None:
    """Their files are told apart, and how to go on."""
    for name, count in (("a", 68), ("b", 19), ("c", 68)):
        write_image(tmp_path / f"{name}.png", np.zeros((99, 99, 3), np.uint8))
        rows = "\n".join(f"{number + 1} {number + 2}" for number in range(count))
        (tmp_path / f"{name}.pts").write_text(f"version: 1\nn_points: {count}\n{{\n{rows}\n}}\n")
    words = ("convert", "--from", "pts", "--to", "coco", "--input", tmp_path, "--output", tmp_path / "out.json")
    call(*words).refused("19 points in 1 (b.png); 68 points in 2 (a.png, c.png)", "a folder of its own")
