"""One export becomes two sets that ``check`` and ``train`` read."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import calling
from kaname.geometry.image import write_image
from kaname.pipeline.split import place
from kaname.recipes.gauge.config import GaugeConfig
from kaname.recipes.gauge.labels import training_sets
from kaname.samples.gauge import write
from recipes.gauge.dials import LABELS, task, write_json


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten rendered dials in one folder with one export."""
    folder = tmp_path_factory.mktemp("flat")
    write(folder / "dials", 10, 0, size=96, layout="flat", variety="full")
    return folder / "dials"


def names(folder: Path) -> dict[str, set[str]]:
    return {place.name: {image.stem for image in (place / "images").iterdir()} for place in folder.iterdir()}


@pytest.mark.parametrize(
    "words",
    [("--annotation", "annotation.json", "--images", "images"), ("--data", "."), ("--directory", ".")],
)
def test_check_and_train_read_what_split_writes(
    flat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(flat)
    out = tmp_path / "sets"
    answer = calling.call("gauge", "split", *words, "--out", out, "--val", 0.3, "--seed", 1).done()
    found = names(out)
    assert {name: len(own) for name, own in found.items()} == {"train": 7, "val": 3}
    assert found["train"] | found["val"] == {path.stem for path in (flat / "images").iterdir()}
    assert "10 dials: train 7, val 3" in answer.out
    assert f"kaname gauge train --data {out}" in answer.out
    checked = calling.call("gauge", "check", "--data", out).done()
    assert "train: 7 dials" in checked.out and "no problems" in checked.out
    read = training_sets(GaugeConfig(data=out))
    whole = {dial.name: dial for dial in training_sets(GaugeConfig(data=flat))["train"]}
    for part, dials in read.items():
        assert {dial.name for dial in dials} == found[part]
        for dial in dials:
            for name, xy in dial.points.items():
                np.testing.assert_allclose(xy, whole[dial.name].points[name], atol=1e-6)


def test_from_an_export_to_training_data(flat: Path, tmp_path: Path) -> None:
    """``heatmaps`` writes beside the images, and ``split`` takes that folder by the same flag."""
    folder, out = tmp_path / "dials", tmp_path / "training_data"
    shutil.copytree(flat / "images", folder / "images")
    words = ("--annotation", flat / "annotation.json", "--directory", folder, "--size", 448)
    calling.call("gauge", "heatmaps", *words, "--allow-missing").done()
    calling.call("gauge", "split", "--directory", folder, "--val", 0.2, "--out", out).done()
    for name, images in names(out).items():
        assert len(images) == {"train": 8, "val": 2}[name]
        labels = {path.name for path in (out / name / "labels").iterdir()}
        assert labels == {f"{stem}{ending}" for stem in images for ending in (".npy", ".json")}


def test_refusals_write_nothing(flat: Path, tmp_path: Path) -> None:
    out = tmp_path / "sets"
    calling.call("gauge", "split", "--out", out).refused("give --annotation FILE --images DIR, or --directory DIR")
    calling.call("gauge", "split", "--data", flat, "--out", out, "--val", 2).refused("--val is a share")
    assert not out.exists()
    calling.call("gauge", "split", "--data", flat, "--out", out).done()
    calling.call("gauge", "split", "--data", flat, "--out", out).refused("not empty")
    calling.call("gauge", "split", "--data", out, "--out", tmp_path / "more").refused("divided already: train, val")


def test_what_the_export_lacks_is_said(tmp_path: Path) -> None:
    """A dial without an end needs --allow-missing, and an image that nobody labelled is named."""
    tasks = []
    for number in range(4):
        patches = np.random.default_rng(number).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        write_image(tmp_path / f"{number}.png", np.kron(patches, np.ones((8, 8, 1), np.uint8)))
        points = {name: [[10.0, 20.0 + place]] for place, name in enumerate(LABELS) if name != "end"}
        if number < 3:
            tasks.append(task(number, f"{number}.png", points))
    write_json(tmp_path / "export.json", tasks)
    answer = calling.call("gauge", "split", "--annotation", tmp_path / "export.json", "--out", tmp_path / "sets").done()
    assert "not in export.json: 3.png" in answer.out
    assert f"kaname gauge check --data {tmp_path / 'sets'} --allow-missing" in answer.out
    calling.call("gauge", "check", "--data", tmp_path / "sets", "--allow-missing").done()


def test_check_of_one_export_in_two_sets_names_split(flat: Path, tmp_path: Path) -> None:
    """Each set lacks the images of the other, and is told what divides the export."""
    images = sorted((flat / "images").iterdir())
    for name, members in (("train", images[:7]), ("val", images[7:])):
        for image in members:
            place(image, tmp_path / name / "images" / image.name)
        place(flat / "annotation.json", tmp_path / name / "labels" / "annotation.json")
    answer = calling.call("gauge", "check", "--data", tmp_path)
    assert answer.code == 2 and "is divided by `kaname gauge split`" in answer.err
