"""Sloth's JSON of tool points: objects, missing and hidden points, frames that nobody labelled, faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaname.data.formats import sloth
from kaname.errors import InputError
from kaname.geometry.image import write_image


def mark(point: str, owner: str, x: Any, y: Any, **more: Any) -> dict[str, Any]:
    return {"class": point, "id": owner, "x": x, "y": y, **more}


def file_of(tmp_path: Path, *images: list[dict[str, Any]]) -> Path:
    path = tmp_path / "labels.json"
    entries = [{"class": "image", "filename": f"/far/away/Raw/img_{number:03d}.png", "annotations": own}
               for number, own in enumerate(images, 1)]  # fmt: skip
    path.write_text(json.dumps(entries))
    return path


def test_objects_and_missing_points(tmp_path: Path) -> None:
    path = file_of(
        tmp_path,
        [],
        [mark("Head", "tool2", 5, 6), mark("Tip", "tool1", 1.5, 2), mark("Head", "tool1", 3, 4, occluded=True)],
    )
    (sample,) = sloth.read(path)
    assert (sample.frame, sample.ids, sample.meta["video"]) == (1, ["tool1", "tool2"], "labels")
    assert sample.points["Head"].tolist() == [[3, 4], [5, 6]] and sample.visible["Head"].tolist() == [1, 2]
    np.testing.assert_array_equal(sample.points["Tip"], [[1.5, 2], [np.nan, np.nan]])
    assert sample.meta["unlabelled"] == {"Tip": [False, True]} and sample.visible["Tip"].tolist() == [2, 0]
    skeleton = sloth.skeleton_of(path)
    assert skeleton.names == ("tool.Head", "tool.Tip") and skeleton.groups["tool"].instances == 2
    assert sloth.count_of(path) == 2


def test_images_are_found_by_the_end_of_their_names(tmp_path: Path) -> None:
    path = file_of(tmp_path, [mark("Head", "tool1", 5, 6)])
    (tmp_path / "images").mkdir()
    write_image(tmp_path / "images" / "img_001.png", np.zeros((20, 30, 3), np.uint8))
    (sample,) = sloth.read(path, tmp_path / "images")
    assert sample.size == (20, 30) and sample.image.is_file()


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ([mark("Head", "a", 1, 1), mark("Head", "a", 2, 2)], r"image 1 \(img_001.png\): Head of a is labelled twice"),
        ([mark("Head", "a", None, 1)], r"Head of a is at \(None, 1\)"),
        ([mark("Head", "a", float("nan"), 1)], r"Head of a is at \(nan, 1\)"),
        ([mark("Head", "a", 500, 1)], r"Head of a at \(500, 1\) lies outside the image of 30 x 20"),
    ],
)
def test_faults_name_image_and_point(tmp_path: Path, marks: list[dict[str, Any]], said: str) -> None:
    path = file_of(tmp_path, marks)
    write_image(tmp_path / "img_001.png", np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(InputError, match=said):
        sloth.read(path, tmp_path)


def test_other_json(tmp_path: Path) -> None:
    for content in ({}, [], [{"filename": "a.png"}]):
        (tmp_path / "labels.json").write_text(json.dumps(content))
        assert not sloth.is_sloth(tmp_path / "labels.json")
        with pytest.raises(InputError, match="not a file of labelled images"):
            sloth.read(tmp_path / "labels.json")


def test_the_published_labels(shared_data: Path) -> None:
    """Four videos; two of them have a point twice, which is named."""
    folder = shared_data / "kpnet" / "endovis_labels" / "train_labels"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data/kpnet/endovis_labels")
    counts = [sloth.count_of(path) for path in sorted(folder.glob("*.json"))]
    assert counts == [1107, 1125, 1124, 1123]
    samples = sloth.read(folder / "train4_labels.json")
    assert len(samples) == 238 and len(sloth.skeleton_of(folder / "train1_labels.json").channels) == 12
    assert sum(one.visible["TrackedPoint"].tolist().count(0) for one in samples) == 238 - 225
    faults = sloth.problems(folder / "train1_labels.json")
    assert [fault.row for fault in faults] == ["image 130 (img_000130_raw.png)", "image 180 (img_000180_raw.png)"]
