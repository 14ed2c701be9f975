"""Training: what moves when, what is kept, what a run leaves behind."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import kaname
from calling import Answer, snapshot
from kaname import config as configuration
from kaname.inference import checkpoint
from kaname.recipes.tracknet.config import TracknetConfig
from kaname.training.runtime import Runtime
from recipes.tracknet.clips import TINY, call, flight, write_clip
from recipes.tracknet.conftest import Trained

TinyVit = Callable[[str], Path]
VIT = (
    "--device", "cpu", "--num-workers", 0, "--precision", "fp32", "--batch-size", 8, "data.resize=[96,64]",
    "model.heatmap.size=[48,32]", "model.decoder.channels=[C,16,16,8]", "--lr", "3e-3",
    "training.scheduler.warmup_epochs=0", "data.sequence.stride=2",
)  # fmt: skip


def train(data: Path, out: Path, *words: object) -> Answer:
    return call("train", "--data", data, "--out-dir", out, *words)


def weights(path: Path, part: str = "backbone.") -> dict[str, torch.Tensor]:
    return {name: value for name, value in checkpoint.load(path).model.items() if name.startswith(part)}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return set(one) == set(other) and all(torch.equal(value, other[name]) for name, value in one.items())


def log(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_weights_and_biases(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real package, which keeps its files in the run's folder when it is offline."""
    pytest.importorskip("wandb")
    for name, value in (("WANDB_MODE", "offline"), ("WANDB_SILENT", "true"), ("WANDB_CONSOLE", "off")):
        monkeypatch.setenv(name, value)
    words = (*TINY, "--logger", "wandb", "--limit", 4)
    train(trained.data, tmp_path / "run", *words, "--epochs", 1).done()
    name = (tmp_path / "run" / "tb" / "wandb_id").read_text(encoding="utf-8")
    train(trained.data, tmp_path / "run", *words, "--epochs", 2, "--resume").done()
    assert (tmp_path / "run" / "tb" / "wandb_id").read_text(encoding="utf-8") == name
    assert list((tmp_path / "run" / "tb").rglob(f"*{name}*.wandb"))


def test_what_is_not_finite_names_the_frames(trained: Trained, tmp_path: Path) -> None:
    """Frames without a ball have no place of it, which is not what is wrong here."""
    said = train(trained.data, tmp_path / "run", *TINY, "--lr", "1e38", "training.grad_clip=0").refused("is not finite")
    assert "Clip" in said and "ball of sample" not in said


def test_the_files_of_a_run(trained: Trained) -> None:
    files = {path.name for path in trained.run.iterdir()}
    assert {"best.pt", "last.pt", "loss.json", "parameters.json", "config.yaml", "run.log", "log.csv", "tb"} <= files
    rows = log(trained.run)
    assert [int(row["epoch"]) for row in rows] == list(range(1, 13))
    assert float(rows[-1]["train_loss"]) < 0.2 * float(rows[0]["train_loss"]) and float(rows[-1]["val_f1"]) > 0.8
    losses = json.loads((trained.run / "loss.json").read_text())
    assert losses == {row["epoch"]: pytest.approx(float(row["train_loss"])) for row in rows}
    best = max(rows, key=lambda row: (float(row["val_f1"]), -float(row["val_loss"])))
    assert checkpoint.load(trained.model).card["trained"]["epoch"] == int(best["epoch"])
    text = (trained.run / "config.yaml").read_text(encoding="utf-8")
    assert Path(yaml.safe_load(text)["data"]["root"]) == trained.data.resolve(), "it works from anywhere"
    again = configuration.load(TracknetConfig, file=trained.run / "config.yaml")
    parameters = json.loads((trained.run / "parameters.json").read_text(encoding="utf-8"))
    assert configuration.to_dict(again)["training"] == parameters["config"]["training"]
    assert "28 training and 6 validation samples" in trained.out


def test_the_card(trained: Trained) -> None:
    card = kaname.load(trained.model).card
    assert card["recipe"] == "tracknet" and card["input_size"] == [64, 96] and card["heatmap_size"] == [32, 48]
    assert card["frames"] == 3 and card["fusion"] == "stack" and card["channels"] == ["ball_0", "ball_1", "ball_2"]
    assert card["grid"] == {"stride_yx": [2.0, 2.0], "origin": "centred"} and card["absent"] == "negative"
    assert card["sigma_cells"] == 1.5 and card["score_threshold"] == 0.5 and card["pretrained"] is False
    assert len(card["mean_255"]) == 9 and card["colour"] == "RGB" and card["versions"]["kaname"]


def test_a_dry_run_writes_nothing(
    dots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_vit: TinyVit
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KANAME_CACHE", str(tmp_path / "cache"))
    before = snapshot(dots)
    for words in ((*TINY, "data.sequence.length=1"), (*VIT, "--backbone", tiny_vit("dinov3_vit"), "data.flip_prob=0")):
        out = call("train", "--data", dots, *words, "--dry-run").done().out
        assert "heatmaps (8, 1, 32, 48)" in out and "nothing written" in out
    assert snapshot(dots) == before and not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_folders_of_the_configuration(dots: Path, tmp_path: Path) -> None:
    words = ("train", "--data", dots, *TINY, "--epochs", 1, "--limit", 4)
    call(*words, f"training.ckpt_dir={tmp_path / 'a'}", f"training.log_dir={tmp_path / 'logs'}").done()
    assert (tmp_path / "a" / "best.pt").is_file() and list((tmp_path / "logs").glob("events.*"))
    assert not (tmp_path / "a" / "tb").exists()
    both = (*words, "--out-dir", tmp_path / "b", "--logger", "none")
    call(*both, f"training.ckpt_dir={tmp_path / 'a'}").refused("given twice")
    (tmp_path / "own.yaml").write_text(f"ckpt_dir: {tmp_path / 'a'}\n", encoding="utf-8")
    place = both.index("--training") + 1
    call(*both[:place], tmp_path / "own.yaml", *both[place + 1 :]).done()
    assert (tmp_path / "b" / "best.pt").is_file() and not (tmp_path / "b" / "tb").exists()


@pytest.mark.parametrize(
    ("words", "moves"),
    [(("model.freeze=all",), False), (("model.freeze=none",), True), (("--no-pretrained", "model.freeze=all"), True)],
)
def test_freezing(dots: Path, tmp_path: Path, tiny_vit: TinyVit, words: tuple[str, ...], moves: bool) -> None:
    """Weights of a frozen backbone stay; random ones always train."""
    out = (*VIT, "--backbone", tiny_vit("dinov3_vit"), *words, "--epochs", 1)
    said = train(dots, tmp_path / "run", *out).done().out
    start = build_start(dots, tiny_vit("dinov3_vit"), *words)
    assert same(weights(tmp_path / "run" / "last.pt"), start) is not moves
    card = kaname.load(tmp_path / "run" / "last.pt").card
    assert card["pretrained"] is ("--no-pretrained" not in words)
    trainable, whole = (int(text.replace(",", "")) for text in said.split(" parameters train")[0].split()[-3::2])
    assert (trainable == whole) is moves


def build_start(data: Path, vit: Path, *words: str) -> dict[str, torch.Tensor]:
    """The backbone's weights before training."""
    from kaname.recipes.tracknet.model import build

    plain = [word for word in (*VIT, *words) if "=" in str(word)]
    flags = {"model.pretrained_model_name": str(vit), "model.pretrained": "--no-pretrained" not in words}
    torch.manual_seed(0)
    network = build(configuration.load(TracknetConfig, overrides=plain, flags=flags))  # type: ignore[arg-type]
    return {name: value for name, value in network.state_dict().items() if name.startswith("backbone.")}


def test_held_for_some_epochs_and_resumed_in_the_middle(
    dots: Path, tmp_path: Path, tiny_vit: TinyVit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is stopped in the second of two held epochs ends with the bytes of one that is not."""
    vit = tiny_vit("dinov3_vit")
    words = (
        *VIT,
        "--backbone",
        vit,
        "model.freeze={epochs: 2}",
        "--ema",
        "0.9",
        "--epochs",
        3,
        "--save-every",
        "1steps",
    )
    whole, part = tmp_path / "whole", tmp_path / "part"
    train(dots, whole, *words).done()
    original, calls = Runtime.backward, 0

    def stopping(self: Runtime, *arguments: Any, **named: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 5:  # of three steps an epoch
            raise KeyboardInterrupt
        original(self, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Runtime, "backward", stopping)
        assert train(dots, part, *words).code == 130
    progress = checkpoint.load(part / "last.pt").training["progress"]  # type: ignore[index]
    assert (progress["epoch"], progress["batch"], progress["step"]) == (1, 1, 4)
    start = build_start(dots, vit, "model.freeze={epochs: 2}")
    assert same(weights(part / "last.pt"), start)
    train(dots, part, *words, "--resume").done()
    assert not same(weights(whole / "last.pt"), start)
    for name in ("best.pt", "last.pt", "loss.json"):
        assert (part / name).read_bytes() == (whole / name).read_bytes(), name


def test_held_epochs_do_not_move_the_backbone(dots: Path, tmp_path: Path, tiny_vit: TinyVit) -> None:
    """Two epochs of two held ones: only the decoder has learnt; the third epoch moves the backbone."""
    vit = tiny_vit("dinov3_vit")
    words = (*VIT, "--backbone", vit, "model.freeze='epochs: 2'")
    train(dots, tmp_path / "two", *words, "--epochs", 2).done()
    start = build_start(dots, vit, "model.freeze='epochs: 2'")
    assert same(weights(tmp_path / "two" / "last.pt"), start)
    train(dots, tmp_path / "three", *words, "--epochs", 3).done()
    moved = weights(tmp_path / "three" / "last.pt")
    assert not same(moved, start)
    # A further stage of a finished run goes on with the backbone let loose.
    train(dots, tmp_path / "further", *words, "--epochs", 1, "--resume", tmp_path / "two" / "last.pt").done()
    assert not same(weights(tmp_path / "further" / "last.pt"), start)


def test_adapters(dots: Path, tmp_path: Path, tiny_vit: TinyVit) -> None:
    """Only they and the decoder train; the checkpoint needs no folder of weights."""
    vit = tiny_vit("dinov3_vit")
    words = (*VIT, "--backbone", vit, "model.lora.rank=2", "model.lora.alpha=4", "model.gradient_checkpointing=true")
    train(dots, tmp_path / "run", *words, "--epochs", 1).done()
    torch.manual_seed(0)
    before = build_start(dots, vit, "model.lora.rank=2", "model.lora.alpha=4")
    after = weights(tmp_path / "run" / "last.pt")
    assert set(before) == set(after)
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed and all("lora_" in name for name in changed)
    one = kaname.load(tmp_path / "run" / "last.pt", runtime="cpu")
    assert one.card["backbone"]["lora"] == {"rank": 2, "alpha": 4.0} and str(vit) not in json.dumps(
        one.card["backbone"]
    )
    other = (*VIT, "--backbone", vit, "model.lora.rank=4", "model.lora.alpha=4", "--epochs", 2)
    train(dots, tmp_path / "new", *other, "--init", tmp_path / "run" / "last.pt").refused("model.lora.rank")


@pytest.mark.slow
@pytest.mark.parametrize("fusion", ["concat", "attention"])
def test_exports_of_transformers_with_adapters(dots: Path, tmp_path: Path, tiny_vit: TinyVit, fusion: str) -> None:
    words = (*VIT, "--backbone", tiny_vit("dinov3_vit"), "model.lora.rank=2", f"model.fusion={fusion}")
    train(dots, tmp_path / "run", *words, "--epochs", 1, "data.sequence.length=3").done()
    target = tmp_path / "ball.onnx"
    call("export", "--checkpoint", tmp_path / "run" / "last.pt", "--out", target, "--count", 2).done()
    window = np.random.default_rng(0).integers(0, 255, (64, 96, 9), dtype=np.uint8)
    one = kaname.load(tmp_path / "run" / "last.pt", runtime="cpu")
    np.testing.assert_allclose(kaname.load(target).maps(window), one.maps(window), atol=1e-4)


def test_stored_features_give_the_same_losses(
    dots: Path, tmp_path: Path, tiny_vit: TinyVit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen backbone without random changes: with the cache, warm or cold, and without it."""
    monkeypatch.setenv("KANAME_CACHE", str(tmp_path / "cache"))
    for fusion in ("concat", "attention"):
        words = (*VIT, "--backbone", tiny_vit("dinov3_vit"), "--epochs", 2, "data.flip_prob=0", "data.brightness=0",
                 "data.contrast=0", "data.sequence.length=2", f"model.fusion={fusion}")  # fmt: skip
        found = []
        for name, budget in (("without", 0), ("cold", 1), ("warm", 1)):
            train(dots, tmp_path / fusion / name, *words, "--cache-budget", budget).done()
            found.append([(float(row["train_loss"]), float(row["val_loss"])) for row in log(tmp_path / fusion / name)])
        np.testing.assert_allclose(found[1], found[0], rtol=1e-5)
        assert found[2] == found[1]
    assert any((tmp_path / "cache").rglob("*"))


@pytest.mark.parametrize("changes", [(), ("data.absent=negative",), ("training.loss.name=mse",)])
def test_a_clip_without_a_ball_trains_without_faults(dots: Path, tmp_path: Path, changes: tuple[str, ...]) -> None:
    """Whole batches that the mask leaves out weigh nothing."""
    for game in (1, 2):
        write_clip(tmp_path / "data" / f"game{game}" / "Clip1", flight(4, game), visibility=[0] * 4)
    train(tmp_path / "data", tmp_path / "none", *TINY, *changes).refused("no frame of the training games with a ball")
    call("check", "--data", tmp_path / "data", "--no-leaks").refused("no frame of the training games has a ball")
    write_clip(tmp_path / "data" / "game1" / "Clip2", flight(4, 5))
    train(tmp_path / "data", tmp_path / "run", *TINY, "--epochs", 1, "--batch-size", 1, *changes).done()
    rows = log(tmp_path / "run")
    assert float(rows[0]["train_loss"]) >= 0 and float(rows[0]["val_f1"]) == 0


def test_what_may_not_change_when_a_run_goes_on(trained: Trained, tmp_path: Path) -> None:
    words: tuple[Any, ...] = ("train", "--data", trained.data, *TINY, "--out-dir", tmp_path, "--init", trained.model)
    call(*words, "data.sequence.length=1").refused("data.sequence.length = 3, this run has 1")
    call(*words, "data.sequence.length=3", "data.normalize=none").refused("data.normalize")
    call("train", "--data", trained.data, *TINY, "--out-dir", trained.run).refused("already holds a run")
    assert not list(tmp_path.iterdir())
