"""What users of the verbs can get wrong, and what a verb must not do."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import kaname
from kaname.cli import main
from kaname.data.annotations import read_faces
from kaname.data.formats import skeleton as skeletons
from kaname.errors import InputError
from kaname.geometry.image import write_image
from kaname.inference import checkpoint
from kaname.pipeline.model import card_of
from kaname.recipes.landmark import RECIPE
from kaname.recipes.landmark.config import DataSettings, LandmarkConfig, ModelSettings
from kaname.recipes.landmark.labels import labelled, training_sets
from kaname.recipes.landmark.model import build
from kaname.training.loop import Run
from recipes.landmark.faces import BONES, face, folder


def run(*words: object) -> None:
    """A command that must succeed."""
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    assert stop.value.code in (0, None)


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one line of a command that is refused."""
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    said = capsys.readouterr().err.strip()
    assert stop.value.code == 2 and said.startswith("error: ") and "\n" not in said, said
    return said


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network that has learned nothing, in a checkpoint."""
    config = LandmarkConfig(size=64, model=ModelSettings(backbone="small:4"), loss="bce")
    torch.manual_seed(0)
    network = build(config)
    path = tmp_path_factory.mktemp("model") / "best_model.pth"
    card = {**card_of(RECIPE, config, network), "recipe": "landmark", "config": kaname_config(config)}
    checkpoint.save(path, card=card, model=network.state_dict(), training=None)
    return path


def kaname_config(config: LandmarkConfig) -> dict:
    from kaname.config import plain, to_dict

    return plain(to_dict(config))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    random = np.random.default_rng(11)
    return folder(tmp_path / "data", {f"{name}.png": [face(random)] for name in "abcd"})


def test_an_export_never_replaces_its_checkpoint(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The weights alone under the checkpoint's name would be its end."""
    before = model.read_bytes()
    assert "checkpoint itself" in refused(capsys, "landmark", "export", "--checkpoint", model, "--out", model)
    assert model.read_bytes() == before


@pytest.mark.parametrize("name", ["new/x.pth", "new/x.pt", "new/x.safetensors"])
def test_weights_go_into_folders_that_are_made(model: Path, tmp_path: Path, name: str) -> None:
    run("landmark", "export", "--checkpoint", model, "--out", tmp_path / name)
    assert (tmp_path / name).stat().st_size > 1000


def test_weights_that_the_other_program_cannot_load_are_named(model: Path, tmp_path: Path) -> None:
    """Its network is HRNet; a file of a small one was written without a word."""
    with pytest.warns(UserWarning, match="of the backbone small:4; anime-face-detector loads hrnet_w18 alone"):
        run("landmark", "export", "--checkpoint", model, "--out", tmp_path / "x.pth")
    config = LandmarkConfig(size=64, model=ModelSettings(backbone="hrnet_w18", pretrained=False))
    network = build(config)
    card = {**card_of(RECIPE, config, network), "recipe": "landmark", "config": kaname_config(config)}
    checkpoint.save(tmp_path / "hrnet.pth", card=card, model=network.state_dict(), training=None)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        run("landmark", "export", "--checkpoint", tmp_path / "hrnet.pth", "--out", tmp_path / "y.pth")
    assert not [one for one in said if "hrnet_w18" in str(one.message)]


def test_another_ending_is_refused(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "landmark", "export", "--checkpoint", model, "--out", tmp_path / "x.foo")
    assert ".safetensors" in said and ".onnx" in said


def test_any_picture_is_answered(model: Path, place: Path, tmp_path: Path) -> None:
    """Pictures of one pixel, several boxes, none; with the flip test."""
    opened = kaname.load(model)
    assert opened.mirror is not None
    for height, width in ((1, 1), (1, 50), (50, 1), (30, 40)):
        points = opened.predict(np.zeros((height, width, 3), np.uint8))
        assert points.xy["nose"].shape == (1, 2)  # type: ignore[union-attr]
    image = np.full((80, 90, 3), 90, np.uint8)
    for count in (0, 1, 3):
        points = opened.predict(image, boxes=[[5, 5, 60, 60]] * count)
        assert points.xy["chin"].shape == (count, 2)  # type: ignore[union-attr]


def test_boxes_that_miss_the_picture(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Outside of it, or without an area: one line with the picture's name."""
    write_image(tmp_path / "a.png", np.zeros((60, 80, 3), np.uint8))
    for box, reason in (([200, 200, 240, 240], "outside the image of 80 x 60"), ([5, 5, 5, 30], "no area")):
        (tmp_path / "boxes.json").write_text(json.dumps({"a.png": [box]}))
        words = ("landmark", "predict", tmp_path / "a.png", "--checkpoint", model, "--out", tmp_path / "out")
        said = refused(capsys, *words, "--boxes", tmp_path / "boxes.json")
        assert reason in said and "a.png" in said
    with pytest.raises(InputError, match="outside the image"):
        kaname.load(model).predict(np.zeros((60, 80, 3), np.uint8), boxes=[[-9, -9, -1, -1]])


def test_folders_are_read_with_their_sub_folders(model: Path, tmp_path: Path) -> None:
    for name in ("a.png", "furry/a.png", ".rejected/b.png"):
        (tmp_path / "raw" / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / "raw" / name, np.zeros((40, 40, 3), np.uint8))
    run("landmark", "predict", tmp_path / "raw", "--checkpoint", model, "--out", tmp_path / "out", "--no-flip-test")
    rows = json.loads((tmp_path / "out" / "points.json").read_text())["images"]
    assert len(rows) == 2 and len(list((tmp_path / "out" / "pictures").iterdir())) == 2


def problems(place: Path) -> list[str]:
    return [str(one) for one in read_faces(place / "images", place / "annotated", BONES).problems]


def change(path: Path, **fields: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_a_folder_of_boxes_may_be_that_of_yolo(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As the flag says; a folder of annotations goes on being one, and a detector beside it is too much."""
    points = face(np.random.default_rng(0))
    place, out = folder(tmp_path, {"a.png": [points]}, box=(10.0, 20.0, 60.0, 40.0)), tmp_path / "out"
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.4 0.4 0.2 0.2\n0 0.6 0.6 0.3 0.3\n")
    words = ("landmark", "predict", place / "images", "--checkpoint", model, "--overwrite", "--out", out, "--boxes")
    for boxes, count in ((tmp_path / "labels", 2), (place / "annotated", 1)):
        run(*words, boxes)
        (row,) = json.loads((out / "points.json").read_text())["images"]
        assert len(row["points"]["chin"]) == count
    capsys.readouterr()
    assert "not from both" in refused(capsys, *words, place / "annotated", "--detector", "d.onnx")


def test_faces_that_cannot_train_are_found(place: Path) -> None:
    """No landmark at all; a box elsewhere; another size is one fault, not one for every landmark."""
    change(place / "annotated" / "a.json", landmarks=[[None, None]] * 28, visible=[0] * 28)
    change(place / "annotated" / "b.json", bbox=[1000, 1000, 50, 50])
    change(place / "annotated" / "d.json", image_size={"width": 30, "height": 20})
    said = problems(place)
    assert len(said) == 3
    for name, reason in (("a", "is there"), ("b", "outside the image"), ("d", "30")):
        assert sum(f"{name}.json" in line and reason in line for line in said) == 1


def test_validation_images_do_not_train(place: Path, tmp_path: Path) -> None:
    """Where they are annotated in both folders, the validation keeps them, and it is said."""
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "a.json").write_bytes((place / "annotated" / "a.json").read_bytes())
    data = DataSettings(place / "images", place / "annotated", val_annotations=tmp_path / "val")
    with pytest.warns(UserWarning, match="do not train"):
        sets = training_sets(replace(LandmarkConfig(), data=data))
    assert [one.source for one in sets["val"]] == ["a.png"]
    assert [one.source for one in sets["train"]] == ["b.png", "c.png", "d.png"]
    with pytest.raises(InputError, match="two places choose"):
        replace(data, split=tmp_path)


def test_evaluate_takes_the_rest_from_training(place: Path) -> None:
    """Lists that are named alone count; other folders are one set."""
    lists = place / "lists"
    lists.mkdir()
    for part, names in (("train", "a.json\nb.json\n"), ("test", "c.json\nd.json\n")):
        (lists / f"{part}.txt").write_text(names)
    data = DataSettings(place / "images", place / "annotated", held_out=0.25)
    config = kaname_config(replace(LandmarkConfig(), data=data))
    assert set(labelled(None, config).names) == {"train", "val"}
    scored = labelled(None, config, [f"split={lists}"])
    assert [one.source for one in scored.read("test")] == ["c.png", "d.png"]
    assert list(labelled(None, config, [f"annotations={place / 'annotated'}"]).names) == ["all"]


def test_half_precision_starts_a_training(model: Path, tmp_path: Path) -> None:
    """Nothing is lost on the way from float16 to float32."""
    config = LandmarkConfig(size=64, model=ModelSettings(backbone="small:4"), loss="bce")
    own = torch.load(model, weights_only=True)["state_dict"]
    torch.save(
        {name: value.half() if value.is_floating_point() else value for name, value in own.items()}, tmp_path / "h.pth"
    )
    network = build(replace(config, model=replace(config.model, weights=tmp_path / "h.pth")))
    for name, value in kaname_weights(network).items():
        torch.testing.assert_close(value, own[name].half().to(value.dtype))


def kaname_weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    from kaname.recipes.landmark.model import layout_of

    return checkpoint.named_in_file(network.state_dict(), layout_of(network))  # type: ignore[arg-type]


def test_a_run_goes_on_without_the_weights_that_it_started_from(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be gone, and the working folder another one; the run ends as if it had never been cut."""
    monkeypatch.chdir(tmp_path)
    skeletons.write(tmp_path / "points.yaml", BONES)
    words = (
        *("landmark", "train", "--image-dir", place / "images", "--annotation-dir", place / "annotated"),
        *("--skeleton", "points.yaml", "--backbone", "timm:resnet10t", "--size", 64, "--batch-size", 2),
        *("--save-freq", 0, "--device", "cpu", "--num-workers", 0, "train.logger=none"),
    )
    run(*words, "--epochs", 1, "--output-dir", "first")
    (tmp_path / "first" / "best_model.pth").rename("start.pth")
    words = (*words, "--epochs", 2, "--checkpoint", "start.pth", "--output-dir")
    run(*words, tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(SystemExit, match="1"):
        patch.setattr(Run, "_optimise", failing(Run._optimise, 3))  # the first step of the second epoch
        main([str(word) for word in (*words, tmp_path / "cut")])
    (tmp_path / "start.pth").unlink()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    run("landmark", "train", "--config", tmp_path / "cut" / "config.yaml", "--output-dir", tmp_path / "cut", "--resume")
    for name in ("last.pt", "best_model.pth", "final_model.pth"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def failing(function: Callable[..., Any], number: int) -> Callable[..., Any]:
    """A function that is killed at its call of this number."""
    calls = iter(range(1, 1000))

    def called(*arguments: Any) -> Any:
        if next(calls) == number:
            raise RuntimeError("killed")
        return function(*arguments)

    return called


def test_a_run_goes_on_with_the_same_points_alone(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not with others that have come into the same file."""
    skeletons.write(tmp_path / "points.yaml", BONES)
    words = (
        *("landmark", "train", "--image-dir", place / "images", "--annotation-dir", place / "annotated"),
        *("--skeleton", tmp_path / "points.yaml", "--backbone", "small:4", "--size", 64, "--batch-size", 2),
        *("--epochs", 1, "--device", "cpu", "--num-workers", 0, "train.logger=none", "--output-dir", tmp_path / "run"),
    )
    run(*words)
    mirrored = tuple(pair for pair in BONES.mirrored if "contour" not in pair[0])
    assert len(mirrored) < len(BONES.mirrored)
    skeletons.write(tmp_path / "points.yaml", replace(BONES, mirrored=mirrored))
    capsys.readouterr()
    assert "other points or flip pairs" in refused(capsys, *words, "--resume", tmp_path / "run" / "last.pt")
