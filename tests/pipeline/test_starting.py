"""The settings that a training takes from a shipped model, and what is refused because the weights cannot fit."""

from __future__ import annotations

from pathlib import Path

import pytest

import shipping
from kaname import config as configuration
from kaname import zoo
from kaname.errors import InputError
from kaname.pipeline.starting import Start, start_of
from kaname.pipeline.weights import file_for, start_for
from kaname.recipes import recipe_of
from zoo_facts import model as listed


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "zoo"
    listed(place, "gauge")
    listed(place, "ball", recipe="tracknet")
    shipping.untrained("gauge", place / "gauge.pt")
    shipping.untrained("tracknet", place / "ball.pt")
    monkeypatch.setenv(zoo.VARIABLE, str(place))
    return place


def test_what_the_weights_depend_on_comes_from_the_card(folder: Path) -> None:
    start = start_of(recipe_of("gauge"), Path("zoo"))
    assert start is not None and start.source == "zoo gauge"
    assert start.values == {
        "size": 64, "model.backbone": "small:8", "model.decoder": "linear", "model.normalize": "imagenet",
        "model.pretrained": False, "extract.threshold": 0.5, "extract.min_score": 0.1, "extract.bandwidth": 20.0,
        "extract.clusters": "plain", "extract.presence": 0.0, "extract.second_look": 0.0, "extract.search": 3,
    }  # fmt: skip
    ball = start_of(recipe_of("tracknet"), Path("ball"))
    assert ball is not None and ball.values["data.sequence.length"] == 3 and ball.values["data.resize"] == [96, 64]


def test_a_file_is_no_shipped_model(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert start_for("gauge", None) is None and start_for("gauge", tmp_path / "a.pt") is None
    monkeypatch.chdir(tmp_path)
    Path("gauge").touch()
    assert start_for("gauge", Path("gauge")) is None
    with pytest.raises(InputError, match="that is a model of tracknet, not of gauge"):
        start_for("gauge", Path("ball"))
    with pytest.raises(InputError, match="no model of landmark is shipped"):
        start_for("landmark", Path("zoo"))


def test_what_cannot_fit_is_refused_and_sizes_are_free(folder: Path) -> None:
    schema = recipe_of("gauge").schema.value
    start = Start("gauge", {"size": 64, "model.backbone": "small:8", "model.pretrained": False})
    start.check(configuration.load(schema, overrides=["size=96", "model.backbone=small:8"]))
    reading = Start("gauge", {"size": 64, "extract.bandwidth": 12.0}, "extract")
    reading.check(configuration.load(schema, overrides=["extract.bandwidth=20"]))  # weights do not depend on it
    with pytest.raises(
        InputError, match=r"model\.backbone is 'small', and the weights of the shipped model gauge need"
    ):
        start.check(configuration.load(schema, overrides=["model.backbone=small"]))


def test_sections_agree_in_what_the_model_says_of_them(folder: Path) -> None:
    config = configuration.load(recipe_of("tracknet").schema.value)
    heatmap = configuration.to_dict(config)["model"]["heatmap"]
    Start("ball", {"model.heatmap": {"sigma": heatmap["sigma"], "size": [1, 1]}}).check(config)
    with pytest.raises(InputError, match=r"model\.heatmap is"):
        Start("ball", {"model.heatmap": {"sigma": heatmap["sigma"] + 1}}).check(config)


def test_torch_and_its_devices_take_the_checkpoint(folder: Path) -> None:
    from kaname.inference.runtimes import Running

    export = folder / "gauge.onnx"
    assert file_for(export, Running()) == file_for(export, Running("cpu", "openvino")) == export
    for running in (Running("cuda"), Running(runtime="torch"), Running(runtime="compile")):
        assert file_for(export, running) == folder / "gauge.pt"
    assert file_for(Path("my.onnx"), Running("cuda")) == Path("my.onnx")
