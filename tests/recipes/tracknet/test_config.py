"""Groups, files, overrides and flags to one configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kaname import config as configuration
from kaname.errors import InputError
from kaname.recipes.tracknet.config import ModelSettings, TracknetConfig
from kaname.recipes.tracknet.keys import groups_of
from recipes.tracknet.clips import call, write_set


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder without ``configs``."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def printed(*words: object) -> dict[str, Any]:
    return yaml.safe_load(call("train", *words, "--print-config").done().out)


def write(path: str, text: str) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")
    return Path(path)


def test_the_documents_defaults() -> None:
    found = printed("--data", "tracknet", "--model", "vit_heatmap", "--training", "default")
    assert found == printed()
    assert found["data"]["root"] == "data/tracknet" and found["data"]["absent"] == "mask"
    assert found["data"]["resize"] == [512, 288] and found["data"]["sequence"] == {"length": 1, "stride": 1}
    assert found["model"]["pretrained_model_name"] == "facebook/dinov3-vitb16-pretrain-lvd1689m"
    assert found["model"]["decoder"]["channels"] == ["C", 256, 128, 64] and found["model"]["freeze"] == "all"
    assert found["model"]["decoder"]["upsample"] == [2, 2, 2]
    assert found["model"]["heatmap"] == {"size": [256, 144], "sigma": 2.0}
    assert found["training"]["optimizer"] == {"name": "adamw", "lr": 5e-4, "weight_decay": 0.05}
    assert found["training"]["scheduler"] == {"name": "cosine", "warmup_epochs": 5}
    assert {"batch_size", "epochs", "amp", "grad_clip", "log_dir", "ckpt_dir"} <= set(found["training"])
    plain = configuration.to_dict(TracknetConfig())
    assert {key: plain[key] for key in found} == found, "the package's files say what the dataclasses say"


def test_the_working_folders_configs_come_before_the_packages() -> None:
    write("configs/training/default.yaml", "epochs: 3\n")
    write("configs/model/mine.yaml", "freeze: none\n")
    found = printed("--model", "mine")
    assert found["training"]["epochs"] == 3 and found["training"]["batch_size"] == 8
    assert found["model"]["freeze"] == "none"
    by_path = printed("--training", write("elsewhere/t.yaml", "batch_size: 2\n"))
    assert by_path["training"]["batch_size"] == 2 and by_path["training"]["epochs"] == 30


def test_groups_that_are_none() -> None:
    call("train", "--model", "vit_heatmaps").refused("model/vit_heatmaps", "did you mean vit_heatmap?")
    call("train", "--data", "nope").refused("nope is no folder, and there is no configuration data/nope")
    call("train", "--training", "missing.yaml").refused("missing.yaml", "does not exist")
    write("bad.yaml", "optimizer:\n  rl: 1\n")
    call("train", "--training", "bad.yaml").refused("bad.yaml:2", "training.optimizer.rl", "training.optimizer.lr")
    write("list.yaml", "- 1\n")
    call("train", "--data", "list.yaml").refused("list.yaml", "mapping")


def test_a_data_folder_in_the_place_of_a_name(tmp_path: Path) -> None:
    write_set(Path("match"), games=1, frames=2)
    assert groups_of("match", None, None)[1] == {"data.root": Path("match")}
    assert printed("--data", "match")["data"]["root"] == "match"
    call("train", "--data", "match", "data.root=other", "--print-config").refused("data.root is given twice")
    # A folder of code that happens to be called like the configuration is not meant; one with clips is.
    Path("tracknet").mkdir()
    assert printed("--data", "tracknet")["data"]["root"] == "data/tracknet"
    write_set(Path("tracknet"), games=1, frames=2)
    assert printed("--data", "tracknet")["data"]["root"] == "tracknet"
    Path("empty").mkdir()
    assert printed("--data", "empty")["data"]["root"] == "empty"


def test_overrides_and_flags() -> None:
    found = printed(
        "training.optimizer.lr=1e-4", "data.sequence.length=3", "--epochs", 7, "--weight-decay", 0.1, "--schedule",
        "step", "--backbone", "small:8", "--no-pretrained", "--save-every", "10steps", "--logger", "none", "--ema",
    )  # fmt: skip
    assert found["training"]["optimizer"] == {"name": "adamw", "lr": 1e-4, "weight_decay": 0.1}
    assert found["data"]["sequence"]["length"] == 3 and found["training"]["epochs"] == 7
    assert found["training"]["scheduler"]["name"] == "step" and found["training"]["ema"] == 0.999
    assert found["model"]["pretrained_model_name"] == "small:8" and found["model"]["pretrained"] is False
    assert found["training"]["save_every"] == "10steps" and found["training"]["logger"] == "none"
    assert printed("--lr", "1e-4", "training.optimizer.lr=1e-4")["training"]["optimizer"]["lr"] == 1e-4
    line = call("train", "--lr", "1e-3", "training.optimizer.lr=1e-4").refused("training.optimizer.lr is given twice")
    assert "0.0001" in line and "0.001" in line


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("data.sequnce.length=3", ("data.sequnce", "data.sequence")),
        ("model.heatmap.sgima=1", ("model.heatmap.sgima", "did you mean model.heatmap.sigma")),
        ("training.epochs=many", ("training.epochs must be a whole number", "'many'")),
        ("training.epochs=0", ("training.epochs must be at least 1",)),
        ("training.optimizer.lr=-1", ("training.optimizer.lr must be positive",)),
        ("training.grad_clip=-1", ("training.grad_clip must not be negative",)),
        ("data.absent=maybe", ("data.absent must be one of mask, negative",)),
        ("data.resize=[1,2,3]", ("data.resize must be a list of 2 values",)),
        ("data.resize=[8,288]", ("data.resize", "16..4096")),
        ("data.sequence.length=0", ("data.sequence.length must lie in 1..64",)),
        ("data.flip_prob=1.5", ("data.flip_prob must lie in 0..1",)),
        ("data.crop=0", ("data.crop must lie in 0.1..1",)),
        ("model.heatmap.sigma=0", ("model.heatmap.sigma must be positive",)),
        ("model.freeze=some", ("model.freeze is 'some'", "all, none or {epochs: 10}")),
        ("model.freeze={epochs: 0}", ("model.freeze", "{epochs: 10}")),
        ("model.freeze={epoch: 3}", ("model.freeze", "{epochs: 10}")),
        ("model.freeze=true", ("model.freeze",)),
        ("model.lora.rank=-1", ("model.lora.rank",)),
        ("training.loss.visibility_weights.hard=-1", ("hard must not be negative",)),
        ("detect.score_threshold=1", ("detect.score_threshold",)),
        ("training.save_every=soon", ("save_every", "200steps")),
    ],
)  # fmt: skip
def test_values_that_are_none(word: str, parts: tuple[str, ...]) -> None:
    call("train", word, "--print-config").refused(*parts)


def test_amp_and_precision_must_agree() -> None:
    assert configuration.load(TracknetConfig, overrides=["training.amp=false"]).training.loop.precision == "fp32"
    assert configuration.load(TracknetConfig).training.loop.precision == "auto"
    call("train", "training.amp=false", "--precision", "bf16").refused("training.amp", "bf16")


@pytest.mark.parametrize(
    ("word", "held"),
    [("all", 0), ("none", 0), ("{epochs: 10}", 10), ("'epochs: 10'", 10), ("epochs: 10", 10), ("'epochs:3'", 3)],
)
def test_the_forms_of_freeze(word: str, held: int, tmp_path: Path) -> None:
    text = call("train", f"model.freeze={word}", "--print-config").done().out
    settings = configuration.load(TracknetConfig, overrides=[f"model.freeze={word}"]).model
    assert settings.held_epochs == held and (held or settings.freeze == word)
    (tmp_path / "run.yaml").write_text(text, encoding="utf-8")
    again = configuration.load(TracknetConfig, file=tmp_path / "run.yaml")
    assert again.model.held_epochs == held
    stored = configuration.from_dict(TracknetConfig, configuration.to_dict(again))
    assert stored == again


def test_freeze_in_a_file_and_over_it(tmp_path: Path) -> None:
    write("configs/model/held.yaml", "freeze:\n  epochs: 10\n")
    assert printed("--model", "held")["model"]["freeze"] == {"epochs": 10}
    assert printed("--model", "held", "model.freeze=none")["model"]["freeze"] == "none"
    assert printed("--model", "held", "model.freeze.epochs=4")["model"]["freeze"] == {"epochs": 4}


def test_lora_needs_a_frozen_backbone() -> None:
    with pytest.raises(InputError, match="LoRA is for a frozen backbone"):
        configuration.load(TracknetConfig, overrides=["model.lora.rank=4", "model.freeze=none"])
    assert ModelSettings(freeze="all").held_epochs == 0


def test_what_is_printed_comes_back(tmp_path: Path) -> None:
    words = ("--model", "small_unet", "--epochs", 5, "model.freeze={epochs: 2}", "data.split.train_games=[1,game2]",
             "model.decoder.channels=[C,32,16]", "model.decoder.upsample=[2,1]", "training.log_dir=logs")  # fmt: skip
    text = call("train", *words, "--print-config").done().out
    (tmp_path / "run.yaml").write_text(text, encoding="utf-8")
    assert call("train", "--config", tmp_path / "run.yaml", "--print-config").done().out == text
    assert yaml.safe_load(text)["data"]["split"]["train_games"] == [1, "game2"]
    assert yaml.safe_load(text)["model"]["decoder"]["channels"] == ["C", 32, 16]
    call("train", "--config", tmp_path / "run.yaml", "--epochs", 6, "training.epochs=7").refused("given twice")


def test_the_numbers_of_visibilities(tmp_path: Path) -> None:
    asked = "training.loss.visibility_weights={1: 1, 2: 2.5, 3: 3}"
    weights = printed(asked)["training"]["loss"]["visibility_weights"]
    assert weights == {"absent": 1.0, "easy": 1.0, "hard": 2.5, "occluded": 3.0}
    own = write(str(tmp_path / "own.yaml"), "loss:\n  visibility_weights:\n    1: 1\n    2: 2\n")
    assert printed("--training", own)["training"]["loss"]["visibility_weights"]["hard"] == 2.0
    bad = write(str(tmp_path / "bad.yaml"), "loss:\n  visibility_weights:\n    1: 1\n    2: bad\n")
    call("train", "--training", bad).refused("bad.yaml:4", "visibility_weights.hard")
    twice = write(str(tmp_path / "twice.yaml"), "loss:\n  visibility_weights:\n    2: 1\n    hard: 2\n")
    call("train", "--training", twice).refused("twice.yaml:4", "given twice, as 2 and as hard")
    call("train", asked, "training.loss.visibility_weights.hard=4").refused("hard is given twice")
    call("train", "training.loss.visibility_weights={4: 1}").refused("unknown key", "visibility_weights.4")


def test_logger_wandb_without_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "wandb", None)
    call("train", "--logger", "wandb").refused("wandb is not installed", "kaname[wandb]")
    assert not list(Path().iterdir())


def test_without_the_network_it_says_what_needs_none(dots: Path) -> None:
    said = call("train", "--data", dots, "--dry-run").refused("facebook/dinov3-vitb16-pretrain-lvd1689m")
    assert "`--model small_unet`" in said and "--backbone small" not in said
