from __future__ import annotations

import csv
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import kaname
from calling import Answer, call, snapshot
from kaname import config as configuration
from kaname.data.log import read_rows
from kaname.geometry.image import read_image
from kaname.inference import checkpoint
from kaname.recipes.gauge.config import GaugeConfig
from recipes.gauge.conftest import Trained
from recipes.gauge.dials import TRAIN

QUICK = (*TRAIN, "--epochs", 1, "--limit", 2)


def train(data: Path, *more: object) -> Answer:
    return call("gauge", "train", "--data", data, *more)


def test_the_files_of_a_run(trained: Trained) -> None:
    files = {path.name for path in trained.run.iterdir()}
    assert trained.run.parent == trained.data.parent / "runs" / "gauge" and trained.run.name.startswith("runs_20")
    assert {"model.pt", "last.pt", "loss.json", "parameters.json", "run.log", "log.csv", "tb", "config.yaml"} <= files
    assert not [path for path in trained.run.rglob("*") if "partial" in path.name or path.suffix == ".part"]
    rows = list(csv.DictReader((trained.run / "log.csv").open(encoding="utf-8")))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 41))
    losses = json.loads((trained.run / "loss.json").read_text())
    assert losses == {row["epoch"]: pytest.approx(float(row["train_loss"])) for row in rows}
    assert list((trained.run / "tb").glob("events.*"))
    parameters = json.loads((trained.run / "parameters.json").read_text(encoding="utf-8"))
    assert parameters["config"]["train"]["lr"] == 3e-2 and parameters["kaname"] == kaname.__version__
    assert parameters["config"]["size"] == 64 and parameters["card"]["channels"] == ["start", "middle", "end"]
    assert "epoch 40/40" in (trained.run / "run.log").read_text(encoding="utf-8")
    again = configuration.load(GaugeConfig, file=trained.run / "config.yaml")
    assert configuration.to_dict(again)["train"] == parameters["config"]["train"]


def test_the_configuration_of_a_run_works_from_anywhere(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data.parent)
    writes: list[str] = []
    replaced = os.replace
    monkeypatch.setattr(
        os, "replace", lambda source, target: (writes.append(Path(target).name), replaced(source, target))
    )
    train(Path(data.name), *QUICK, "--out-dir", tmp_path / "run").done()
    assert "config.yaml" in writes, "it must appear at its name whole"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = configuration.load(GaugeConfig, file=tmp_path / "run" / "config.yaml")
    assert again.data == data.resolve()
    call("gauge", "train", "--config", tmp_path / "run" / "config.yaml", "--out-dir", tmp_path / "again").done()


def test_val_keeps_to_the_limit(data: Path, tmp_path: Path) -> None:
    out = train(data, *TRAIN, "--epochs", 1, "--limit", 1, "--val", "--out-dir", tmp_path).done().out
    assert f"next: kaname gauge predict IMAGES --checkpoint {tmp_path / 'model.pt'} --out" in out
    assert "train (at most the first 1): 1 images" in out and "val (at most the first 1): 1 images" in out
    for part in ("train", "val"):
        settings = json.loads((tmp_path / part / "metrics.json").read_text(encoding="utf-8"))["settings"]
        assert (settings["limit"], settings["images"]) == (1, 1)
        assert len(list((tmp_path / part / "key_points").iterdir())) == 1
    call("gauge", "evaluate", "--checkpoint", tmp_path / "model.pt", "--out", tmp_path / "whole").done()
    settings = json.loads((tmp_path / "whole" / "metrics.json").read_text(encoding="utf-8"))["settings"]
    assert "limit" not in settings and settings["images"] == 2


def test_model_pt_is_the_best(trained: Trained) -> None:
    best, last = checkpoint.load(trained.model), checkpoint.load(trained.run / "last.pt")
    rows = list(csv.DictReader((trained.run / "log.csv").open(encoding="utf-8")))
    lowest = min(rows, key=lambda row: float(row["val_loss"]))
    assert best.card["trained"]["epoch"] == int(lowest["epoch"]) and last.card["trained"]["epoch"] == 40
    assert best.training is None and last.training is not None


def test_the_log_has_the_figures_of_the_report(trained: Trained) -> None:
    """Of weights that find something."""
    epoch = kaname.load(trained.model).card["trained"]["epoch"]
    row = read_rows(trained.run / "log.csv")[epoch - 1]
    report = json.loads((trained.run / "val" / "metrics.json").read_text(encoding="utf-8"))
    assert row["val_f1"] == pytest.approx(report["middle"]["f1"]["value"], rel=1e-6) and row["val_f1"] > 0
    assert row["val_pck_start_end"] == pytest.approx(report["start_end"]["pck"]["value"], rel=1e-6)


def test_the_card_says_everything(trained: Trained) -> None:
    card = kaname.load(trained.model).card
    assert card["recipe"] == "gauge" and card["input_size"] == [64, 64] and card["heatmap_size"] == [64, 64]
    assert card["channels"] == ["start", "middle", "end"] and card["sigma_px"] == pytest.approx(14 * 64 / 448)
    assert np.allclose(card["mean_255"], np.array([0.485, 0.456, 0.406]) * 255)
    assert np.allclose(card["std_255"], np.array([0.229, 0.224, 0.225]) * 255)
    assert card["grid"] == {"stride_yx": [1.0, 1.0], "origin": "centred"} and card["versions"]["kaname"]
    assert card["skeleton"] is None and card["flip_pairs"] is None and card["pretrained"] is False
    assert card["config"]["extract"]["bandwidth"] == 20


@pytest.mark.parametrize("part", ["train", "val"])
def test_val_writes_pictures_and_figures_of_both_sets(trained: Trained, part: str) -> None:
    names = sorted(path.stem for path in (trained.data / part / "images").iterdir())
    for folder, letter in (("heatmaps", "H"), ("key_points", "K")):
        found = sorted(path.name for path in (trained.run / part / folder).iterdir())
        assert found == [f"{letter}_{name}.jpg" for name in names]
        sheet = read_image(trained.run / part / folder / found[0])
        assert sheet.shape[1] > 1.2 * sheet.shape[0]  # 2 rows of 3
    figures = json.loads((trained.run / part / "key_point_metrics.json").read_text(encoding="utf-8"))
    assert sorted(Path(name).stem for name in figures["Individual results"]) == names
    assert figures["middle"]["Percentage of true where at least one predicted is close"] > 0.7
    assert json.loads((trained.run / part / "metrics.json").read_text(encoding="utf-8"))["settings"]["images"] == len(
        names
    )
    if part == "val":
        assert (trained.run / "metrics.json").read_text() == (trained.run / "val" / "metrics.json").read_text()


def test_the_key_points_are_red_crosses(trained: Trained) -> None:
    sheet = read_image(next((trained.run / "val" / "key_points").iterdir())).astype(int)
    red = (sheet[..., 0] > 180) & (sheet[..., 1] < 60) & (sheet[..., 2] < 60)
    assert red[: len(red) // 2].sum() > 50 and red[len(red) // 2 :].sum() > 50


def test_debug_writes_augmented_samples_and_shapes(trained: Trained) -> None:
    assert "image (64, 64, 3) uint8, heatmaps (3, 64, 64)" in trained.answer.out
    samples = sorted((trained.run / "debug").glob("*.png"))
    assert len(samples) == 8 and read_image(samples[0]).shape == (64, 64, 3)


def test_validate_is_evaluate_with_pictures(trained: Trained, tmp_path: Path) -> None:
    call("gauge", "validate", "--model-path", trained.model, "--data", trained.data, "--out", tmp_path).done()
    again, first = (json.loads((p / "val" / "metrics.json").read_text()) for p in (tmp_path, trained.run))
    assert again == first
    assert len(list((tmp_path / "val" / "key_points").iterdir())) == 3
    assert len(list((tmp_path / "train" / "heatmaps").iterdir())) == 8


def test_evaluate_takes_the_data_from_the_card(trained: Trained, tmp_path: Path) -> None:
    out = call("gauge", "evaluate", "--checkpoint", trained.model, "--out", tmp_path).done().out
    assert out.startswith("\nval: 3 images") or "val: 3 images" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.json", "report.html", "val"]
    plain = json.loads((tmp_path / "metrics.json").read_text())
    words = ("--checkpoint", trained.model, "--out", tmp_path / "w", "--clusters", "weighted", "--split", "all")
    call("gauge", "evaluate", *words, "--threshold", 0.7, "--min-score", 0.2).done()
    other = json.loads((tmp_path / "w" / "metrics.json").read_text())
    assert plain["settings"]["extract"]["threshold"] == 0.5
    assert other["settings"]["extract"] == {**plain["settings"]["extract"], "clusters": "weighted", "threshold": 0.7,
                                            "min_score": 0.2}  # fmt: skip
    assert (tmp_path / "w" / "train" / "metrics.json").is_file()


# ---- how a run is asked for


def test_a_bare_resume_takes_the_newest_run(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train(data, *QUICK).done()
    first = next(Path("runs/gauge").glob("runs_*"))
    time.sleep(1.1)  # folders carry the second
    out = train(data, *TRAIN, "--limit", 2, "--epochs", 2, "--resume").done().out
    assert list(Path("runs/gauge").glob("runs_*")) == [first] and str(first) in out
    assert (first / "log.csv").is_file()


def test_a_bare_resume_without_a_run_starts_afresh(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "starting afresh" in train(data, *QUICK, "--resume").done().out
    assert (next(Path("runs/gauge").glob("runs_*")) / "last.pt").is_file()


def test_a_dry_run_says_what_it_would_take_over(data: Path, tmp_path: Path) -> None:
    assert "starting afresh" in train(data, *TRAIN, "--dry-run", "--resume", "--out-dir", tmp_path / "run").done().out
    train(data, *QUICK, "--out-dir", tmp_path / "run").done()
    last = tmp_path / "run" / "last.pt"
    for words, part in (
        (("--init", last, "--out-dir", tmp_path / "b"), f"weights of {last} (epoch 1)"),
        (("--resume", last, "--out-dir", tmp_path / "b"), f"stage 2 from {last}"),
        (("--resume", last, "train.epochs=3", "--out-dir", tmp_path / "run"), "train.epochs: 1 -> 3"),
        (("--out-dir", tmp_path / "run"), f"a real run would be refused: {last}: this folder already holds a run"),
    ):
        one = () if "train.epochs=3" in words else ("--epochs", 1)
        assert part in train(data, *TRAIN, "--limit", 2, "--dry-run", *one, *words).done().out


@pytest.mark.parametrize("flag", [(), ("--val",), ("--debug",), ("--resume",)])
def test_a_dry_run_writes_nothing(data: Path, tmp_path: Path, flag: tuple[str, ...]) -> None:
    before = snapshot(tmp_path)
    folders = sorted(tmp_path.rglob("*"))
    out = train(data, *TRAIN, "--dry-run", *flag).done().out
    assert "images (4, 3, 64, 64)" in out and "heatmaps (4, 3, 64, 64)" in out and "loss" in out
    assert snapshot(tmp_path) == before and sorted(tmp_path.rglob("*")) == folders


def printed(*words: object) -> dict[str, Any]:
    return yaml.safe_load(call("gauge", "train", "--print-config", *words).done().out)


def test_the_defaults_are_the_document(tmp_path: Path) -> None:
    found = printed()
    assert found["size"] == 448 and found["sigma"] == 8 and not found["allow_missing"]
    assert found["model"] == {"backbone": "facebook/dinov2-small", "pretrained": True, "decoder": "linear",
                              "freeze": True, "norm": "train",
                              "normalize": "imagenet"}  # fmt: skip
    assert found["train"]["optimizer"] == "adam" and found["train"]["lr"] == 3e-4 and found["train"]["batch_size"] == 8
    assert found["train"]["epochs"] == 50 and found["train"]["schedule"] == "cosine"
    photo, shrink = found["augment"].pop("photo"), found["augment"].pop("shrink")
    assert shrink == 1 and {**photo, "probability": 0} == {
        **dict.fromkeys(photo, 0), "coarse": 1, "jpeg": 100,
    }, "what the document does not know is off"  # fmt: skip
    assert found["augment"] == {"probability": 0.9, "rotate": 180, "crop": 1.2, "colour_probability": 0.5,
                                "brightness": 0.2, "contrast": 0.2}  # fmt: skip
    assert found["extract"]["threshold"] == 0.5 and found["extract"]["bandwidth"] == 20
    assert found["extract"]["tolerance"] == 10
    assert printed("--data", tmp_path)["data"] == tmp_path.as_posix()


def test_flags_keys_and_files(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("size: 224\ntrain: {lr: 1.0e-3, epochs: 7}\nmodel: {normalize: none}\n", encoding="utf-8")
    found = printed("--config", file, "--learning_rate", "5e-4", "train.batch_size=3", "--schedule", "plateau")
    assert (found["size"], found["train"]["lr"], found["train"]["epochs"]) == (224, 5e-4, 7)
    assert found["train"]["batch_size"] == 3 and found["train"]["schedule"] == "plateau"
    assert found["model"]["normalize"] == "none"
    assert printed("--epochs", 3, "train.epochs=3")["train"]["epochs"] == 3
    call("gauge", "train", "--print-config", "--epochs", 3, "train.epochs=4").refused("train.epochs", "twice")
    call("gauge", "train", "--print-config", "train.epoch=4").refused("train.epochs")
    call("gauge", "train", "--print-config", "size=big").refused("size")
    call("gauge", "train", "--print-config", "--config", tmp_path / "none.yaml").refused("none.yaml")
    call("gauge", "train", "--print-config", "augment.crop=0.5").refused("augment.crop")
    call("gauge", "train", "--print-config", "extract.threshold=1").refused("extract.threshold")


@pytest.mark.parametrize("name", sorted(path.name for path in Path(__file__).parents[3].glob("configs/gauge/*.yaml")))
def test_every_configuration_file(root: Path, name: str) -> None:
    path = root / "configs" / "gauge" / name
    lines = path.read_text(encoding="utf-8").splitlines()
    chosen = "--init zoo" if name == "zoo.yaml" else f"--config configs/gauge/{name}"
    assert lines[0] == f"# kaname gauge train {chosen} --data training_data"
    assert printed("--config", path) != printed() or name == "default.yaml"


@pytest.mark.parametrize("normalize", ["none", "imagenet"])
def test_normalize(data: Path, tmp_path: Path, normalize: str) -> None:
    train(data, *QUICK, "--normalize", normalize, "--out-dir", tmp_path / "run").done()
    card = kaname.load(tmp_path / "run" / "model.pt").card
    expected = (
        ([0, 0, 0], [255, 255, 255]) if normalize == "none" else ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    )
    assert np.allclose(card["mean_255"], expected[0]) and np.allclose(card["std_255"], expected[1])


def test_the_plateau_schedule_acts(data: Path, tmp_path: Path) -> None:
    words = (
        "--schedule",
        "plateau",
        "train.plateau_patience=0",
        "train.plateau_factor=0.1",
        "--lr",
        "1e-12",
    )  # too small to change a loss
    train(data, *TRAIN, *words, "--epochs", 4, "--out-dir", tmp_path / "run", "train.optimizer=sgd").done()
    rates = [float(row["lr"]) for row in csv.DictReader((tmp_path / "run" / "log.csv").open(encoding="utf-8"))]
    assert rates[0] == 1e-12 and rates[-1] < 1e-12


def test_without_a_validation_set_the_last_is_the_best(data: Path, tmp_path: Path) -> None:
    train(data / "train", *QUICK, "--out-dir", tmp_path / "run", "--val").done()
    assert checkpoint.load(tmp_path / "run" / "model.pt").card["trained"]["epoch"] == 1
    assert (tmp_path / "run" / "all" / "metrics.json").is_file()


def test_a_run_folder_that_cannot_be(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    train(data, *QUICK, "--out-dir", tmp_path / "file").refused("file")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--size", 65), ["65", "nearest 64"]),
        (("--backbone", "smal"), ["smal", "small"]),
        (("--decoder", "huge"), ["huge"]),
        (("--epochs", 0), ["--epochs"]),
        (("--lr", "nan"), ["--lr"]),
    ],
)
def test_bad_values(data: Path, words: tuple[Any, ...], parts: list[str]) -> None:
    before = snapshot(data)
    base = [word for i, word in enumerate(TRAIN) if word not in words and (i == 0 or TRAIN[i - 1] not in words)]
    train(data, *base, *words).refused(*parts)
    assert snapshot(data) == before


# ---- checkpoints that are none


def test_a_checkpoint_whose_weights_are_another_decoder_s(trained: Trained, tmp_path: Path) -> None:
    """What its card says does not fit its weights; other files that are none are the contract's."""
    file = tmp_path / "model.pt"
    content = torch.load(trained.model, weights_only=True)
    card = json.loads(content["card"])
    card["config"]["model"]["decoder"] = "upsample"
    torch.save({**content, "card": json.dumps(card)}, file)
    image = next((trained.data / "val" / "images").iterdir())
    calls = [
        ("predict", "--model-path", file, image, "--out", tmp_path / "out"),
        ("export", "--model-path", file, "--out", tmp_path / "x.onnx"),
        ("evaluate", "--checkpoint", file, "--data", trained.data, "--out", tmp_path / "out"),
        ("train", "--data", trained.data, *TRAIN, "--init", file, "--out-dir", tmp_path / "run"),
    ]
    for words in calls:
        part = "model.decoder" if words[0] == "train" else "do not fit"
        call("gauge", *words).refused(str(file), part)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.pt"]
    with pytest.raises(kaname.InputError):
        kaname.load(file)


def test_a_finished_run_is_validated_when_asked(data: Path, tmp_path: Path) -> None:
    words = ("gauge", "train", "--data", data, *TRAIN, "--epochs", 1, "--out", tmp_path / "run")
    call(*words).done()
    before = (tmp_path / "run" / "last.pt").read_bytes()
    assert "finished" in call(*words, "--resume", "--val").done().out
    assert (tmp_path / "run" / "val" / "metrics.json").is_file() and (tmp_path / "run" / "train").is_dir()
    assert (tmp_path / "run" / "last.pt").read_bytes() == before
    assert len(call(*words, "--resume", "--val").done().out.splitlines()) == 1, "nothing is scored again"
