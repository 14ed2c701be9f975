"""Groups, files, overrides and flags to one configuration."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

import kaname
from kaname import config as configuration
from kaname.errors import InputError
from kaname.models.settings import LoraSettings, held_epochs
from kaname.recipes.tracknet.config import ModelSettings, TracknetConfig
from kaname.recipes.tracknet.labels import data_group
from recipes.tracknet.clips import TINY, call, write_set

GOLDEN = Path(__file__).parents[2] / "golden"


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
    training = found["training"]
    assert (training["optimizer"], training["lr"], training["weight_decay"]) == ("adamw", 5e-4, 0.05)
    assert (training["schedule"], training["warmup_epochs"], training["clip"]) == ("cosine", 5, 1.0)
    assert {"batch_size", "epochs", "amp", "log_dir", "ckpt_dir"} <= set(training) and training["epochs"] == 30
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
    call("train", "--data", "nope").refused("nope is not a folder, and there is no configuration data/nope")
    call("train", "--training", "missing.yaml").refused("missing.yaml", "does not exist")
    write("bad.yaml", "optimizer:\n  rl: 1\n")
    call("train", "--training", "bad.yaml").refused("bad.yaml:2", "training.optimizer.rl", "training.optimizer.lr")
    write("list.yaml", "- 1\n")
    call("train", "--data", "list.yaml").refused("list.yaml", "mapping")


def test_a_data_folder_in_the_place_of_a_name(tmp_path: Path) -> None:
    write_set(Path("match"), games=1, frames=2)
    assert data_group("match")[1] == {"data.root": Path("match")}
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
    training = found["training"]
    assert (training["optimizer"], training["lr"], training["weight_decay"]) == ("adamw", 1e-4, 0.1)
    assert found["data"]["sequence"]["length"] == 3 and found["training"]["epochs"] == 7
    assert training["schedule"] == "step" and found["training"]["ema"] == 0.999
    assert found["model"]["pretrained_model_name"] == "small:8" and found["model"]["pretrained"] is False
    assert found["training"]["save_every"] == "10steps" and found["training"]["logger"] == "none"
    assert printed("--lr", "1e-4", "training.optimizer.lr=1e-4")["training"]["lr"] == 1e-4
    line = call("train", "--lr", "1e-3", "training.optimizer.lr=1e-4").refused("training.lr is given twice")
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
        ("data.resize=[1,2,3]", ("data.resize must be 2 numbers",)),
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
    assert configuration.load(TracknetConfig, overrides=["training.amp=false"]).training.precision == "fp32"
    assert configuration.load(TracknetConfig).training.precision == "auto"
    call("train", "training.amp=false", "--precision", "bf16").refused("training.amp", "bf16")


@pytest.mark.parametrize(
    ("word", "held"),
    [("all", math.inf), ("none", 0), ("{epochs: 10}", 10), ("'epochs: 10'", 10), ("epochs: 10", 10), ("'epochs:3'", 3)],
)
def test_the_forms_of_freeze(word: str, held: int, tmp_path: Path) -> None:
    text = call("train", f"model.freeze={word}", "--print-config").done().out
    settings = configuration.load(TracknetConfig, overrides=[f"model.freeze={word}"]).model
    assert held_epochs(settings.freeze) == held and (0 < held < math.inf or settings.freeze == word)
    (tmp_path / "run.yaml").write_text(text, encoding="utf-8")
    again = configuration.load(TracknetConfig, file=tmp_path / "run.yaml")
    assert held_epochs(again.model.freeze) == held
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
    assert ModelSettings(freeze="all", lora=LoraSettings(4)).lora.rank == 4


def test_what_is_printed_comes_back(tmp_path: Path) -> None:
    words = ("--model", "small_unet", "--epochs", 5, "model.freeze={epochs: 2}", "data.split.train_games=[1,game2]",
             "model.decoder.channels=[C,32,16]", "model.decoder.upsample=[2,1]", "training.log_dir=logs")  # fmt: skip
    text = call("train", *words, "--print-config").done().out
    (tmp_path / "run.yaml").write_text(text, encoding="utf-8")
    assert printed("--config", tmp_path / "run.yaml") == yaml.safe_load(text)
    assert yaml.safe_load(text)["data"]["split"]["train_games"] == [1, "game2"]
    assert yaml.safe_load(text)["model"]["decoder"]["channels"] == ["C", 32, 16]
    call("train", "--config", tmp_path / "run.yaml", "--epochs", 6, "training.epochs=7").refused("given twice")


def test_the_numbers_of_visibilities(tmp_path: Path) -> None:
    asked = "training.loss.visibility_weights={1: 1, 2: 2.5, 3: 3}"
    weights = printed(asked)["loss"]["visibility_weights"]
    assert weights == {"absent": 1.0, "easy": 1.0, "hard": 2.5, "occluded": 3.0}
    own = write(str(tmp_path / "own.yaml"), "loss:\n  visibility_weights:\n    1: 1\n    2: 2\n")
    assert printed("--training", own)["loss"]["visibility_weights"]["hard"] == 2.0
    bad = write(str(tmp_path / "bad.yaml"), "loss:\n  visibility_weights:\n    1: 1\n    2: bad\n")
    call("train", "--training", bad).refused("bad.yaml:4", "visibility_weights.hard")
    twice = write(str(tmp_path / "twice.yaml"), "loss:\n  visibility_weights:\n    2: 1\n    hard: 2\n")
    call("train", "--training", twice).refused(
        "twice.yaml:4", "hard is given twice, as 1 by", "visibility_weights.hard"
    )
    call("train", asked, "training.loss.visibility_weights.hard=4").refused("hard is given twice")
    call("train", "training.loss.visibility_weights={4: 1}").refused("unknown key", "visibility_weights.4")


def test_logger_wandb_without_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "wandb", None)
    call("train", "--logger", "wandb").refused("needs wandb, which is not installed", "pip install")
    assert not list(Path().iterdir())


def test_without_the_network_it_says_what_needs_none(dots: Path) -> None:
    said = call("train", "--data", dots, "--dry-run").refused("facebook/dinov3-vitb16-pretrain-lvd1689m")
    assert "`--config small`" in said and "`--model small_unet`" in said


OLD = """
training:
  optimizer: {name: sgd, lr: 0.01, weight_decay: 0.2}
  scheduler: {name: step, warmup_epochs: 1}
  grad_clip: 0.5
  amp: false
  loss: {name: mse, visibility_weights: {2: 3.0, occluded: 2.0}}
  sampling: {hard: 4.0}
"""
NEW = """
loss: {name: mse, visibility_weights: {hard: 3.0, occluded: 2.0}}
sampling: {hard: 4.0}
training:
  {optimizer: sgd, lr: 0.01, weight_decay: 0.2, schedule: step, warmup_epochs: 1, clip: 0.5, precision: fp32}
"""


def test_every_spelling_is_one_configuration(tmp_path: Path) -> None:
    """The document's keys, the loop's own, key=value and flags."""
    old, new = write(str(tmp_path / "old.yaml"), OLD), write(str(tmp_path / "new.yaml"), NEW)
    older = printed("--config", old)
    older["training"]["amp"] = True
    assert older == printed("--config", new)
    words = ("training.optimizer=sgd", "training.scheduler.name=step", "training.scheduler.warmup_epochs=1",
             "training.grad_clip=0.5", "training.loss.name=mse", "loss.visibility_weights.2=3",
             "training.loss.visibility_weights={3: 2}", "training.sampling.2=4")  # fmt: skip
    flags = ("--lr", "0.01", "--weight-decay", "0.2", "--precision", "fp32")
    assert printed(*words, *flags) == printed("--config", new)
    group = write(str(tmp_path / "group.yaml"), "\n".join(line[2:] for line in OLD.splitlines()[2:]))
    assert printed("--training", group, "training.amp=true", "--precision", "fp32") == printed("--config", new)
    # Over a file in one spelling, words in the other.
    assert printed("--config", old, "training.optimizer.lr=3")["training"]["lr"] == 3
    assert printed("--config", new, "training.optimizer.lr=3")["training"]["lr"] == 3
    assert printed("--config", old, "training.optimizer=adam")["training"]["optimizer"] == "adam"
    call("train", "--config", old, "training.optimizer=9").refused("training.optimizer must be one of")
    call("train", "training.lr=1", "training.optimizer.lr=2").refused("training.lr is given twice")


def test_errors_name_keys_and_lines_as_the_file_spells_them() -> None:
    write("own.yaml", "epochs: 3\noptimizer:\n  lr: -1\n")
    call("train", "--training", "own.yaml").refused("own.yaml:3", "training.optimizer.lr must be positive")
    write("run.yaml", "training:\n  grad_clip: -1\n")
    call("train", "--config", "run.yaml", "--epochs", 3).refused("run.yaml:2", "training.grad_clip must not be")
    write("loss.yaml", "loss:\n  name: mean\n")
    call("train", "--training", "loss.yaml").refused("loss.yaml:2", "loss.name must be one of mse, focal, bce")


@pytest.mark.parametrize("name", ["ball.pt", "ball_mse.pt", "ball.onnx"])
def test_cards_written_before(name: str) -> None:
    """A stored configuration in the document's spelling comes back, and is written in the loop's own."""
    stored = kaname.load(GOLDEN / name, runtime="auto" if name.endswith("onnx") else "cpu").card["config"]
    before = stored["training"]
    config = configuration.from_dict(TracknetConfig, stored)
    training = config.training
    assert (training.optimizer, training.lr) == (before["optimizer"]["name"], before["optimizer"]["lr"])
    assert (training.schedule, training.warmup_epochs) == ("cosine", before["scheduler"]["warmup_epochs"])
    assert training.clip == before["grad_clip"] == 1 and training.accumulate == before["accumulate"]
    assert config.loss.name == before["loss"]["name"] == ("mse" if "mse" in name else "focal")
    assert config.data.sequence.length == 3 and config.model.pretrained_model_name == "small:4"
    assert configuration.from_dict(TracknetConfig, configuration.to_dict(config)) == config


def test_a_run_goes_on_from_weights_written_before(dots: Path, tmp_path: Path) -> None:
    plain = [word for word in TINY if word not in ("--backbone", "small:8", "model.heatmap.sigma=1.5")]
    words = ("train", "--data", dots, *plain, "data.sequence.length=3", "--epochs", 1, "--limit", 4)
    same = ("--backbone", "small:4", "--init", GOLDEN / "ball.pt")
    call(*words, *same, "--out-dir", tmp_path / "run").done()
    call(*words, *same, "--out-dir", tmp_path / "new", "data.normalize=none").refused("data.normalize")


def test_the_step_schedule_steps(dots: Path, tmp_path: Path) -> None:
    """By default after two thirds and eight ninths of the epochs; before, after those that are given."""
    words = ("train", "--data", dots, *TINY, "--limit", 4, "--schedule", "step", "training.scheduler.warmup_epochs=0")
    for name, more, steps in (("default", (), (2, 3)), ("given", ("training.step_epochs=[1]",), (1,))):
        call(*words, *more, "--epochs", 3, "--lr", "1e-3", "--out-dir", tmp_path / name).done()
        with (tmp_path / name / "log.csv").open(newline="", encoding="utf-8") as file:
            rates = [float(row["lr"]) for row in csv.DictReader(file)]
        assert rates == pytest.approx([1e-3 * 0.1 ** sum(epoch >= step for step in steps) for epoch in range(3)])
