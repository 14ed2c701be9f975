"""One COCO file becomes two that ``check`` and ``train`` read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import calling
from kaname.config import from_dict
from kaname.recipes.roimask.config import DataSettings
from kaname.recipes.roimask.labels import read_set
from kaname.samples.roimask import write


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The COCO file of ten scenes, and their images."""
    folder = tmp_path_factory.mktemp("scenes")
    write(folder, count=10, val_count=4, size=(96, 128), seed=3)
    settings = DataSettings(root=folder / "data")
    return settings.annotations_of("train"), settings.images_of("train")


def test_check_and_train_read_what_split_writes(export: tuple[Path, Path], tmp_path: Path) -> None:
    file, images = export
    before = json.loads(file.read_text())
    answer = calling.call(
        "roimask", "split", "--annotations", file, "--images", images, "--out", tmp_path, "--val", 0.3
    ).done()
    command = next(line for line in answer.out.splitlines() if "roimask check" in line).split()[1:]
    assert "no problems" in calling.call(*command).done().out
    named = dict(zip(command[2::2], command[3::2], strict=True))
    data = from_dict(DataSettings, {name[2:].replace("-", "_"): value for name, value in named.items()})
    found = {part: {photo.image_id for photo in read_set(data, part)} for part in ("train", "val")}
    shown = {one["image_id"] for one in before["annotations"] if not one["iscrowd"]}
    assert found["train"] | found["val"] == shown and not found["train"] & found["val"]
    assert len(found["val"]) >= 3
    parts = [json.loads((tmp_path / f"instances_{name}.json").read_text()) for name in found]
    assert all(part["categories"] == before["categories"] for part in parts)
    kept = [one for part in parts for one in part["annotations"]]
    assert sorted(one["id"] for one in kept) == sorted(
        one["id"] for one in before["annotations"] if one["image_id"] in shown
    )


def test_refusals(export: tuple[Path, Path], tmp_path: Path) -> None:
    file, images = export
    words = ("roimask", "split", "--annotations", file, "--images", images, "--out", tmp_path)
    calling.call(*words, "--val", 1).refused("--val is a share")
    calling.call(*words, "--category", "dog").refused("dog")
    (tmp_path / "instances_val.json").write_text("{}")
    calling.call(*words).refused("it is there already")
