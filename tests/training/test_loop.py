"""The loop: sums and weights, position, schedules, averages, what it writes and when it stops."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kaname.data.log import read_rows
from kaname.errors import InputError
from kaname.inference import checkpoint
from kaname.training.journal import Journal
from kaname.training.loop import Run
from kaname.training.settings import RunOptions, TrainSettings
from kaname.types import Batch, StepOutput, Term
from training.tiny_task import content, make_settings, make_task, run, same, same_runs, step


def weights(work: Run) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in work.raw.state_dict().items()}


def furthest(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> float:
    return max(float((value - other[name]).abs().max()) for name, value in one.items() if value.is_floating_point())


def test_any_split_of_a_batch_gives_the_same_weights(tmp_path: Path) -> None:
    """22 samples in steps of 8: the last step is uneven, and every mask weighs something else."""
    ends = {}
    for size, accumulate in ((8, 1), (4, 2), (1, 8)):
        settings = make_settings(epochs=3, batch_size=size, accumulate=accumulate, optimizer="sgd", lr=0.1, clip=0.5)
        work = run(tmp_path / str(size), settings, noise=False)
        ends[size] = weights(work)
        assert work.progress.step == 9
    assert furthest(ends[8], ends[4]) < 1e-6 and furthest(ends[8], ends[1]) < 1e-6
    first = make_task(make_settings(), noise=False).model.state_dict()
    assert furthest(ends[8], first) > 1e-2


def test_the_gradient_is_that_of_one_mean_over_all_that_counts(tmp_path: Path) -> None:
    settings = make_settings(epochs=1, batch_size=2, accumulate=4, optimizer="sgd", lr=1.0, schedule="constant")
    task = make_task(settings, train=8, val=0, noise=False)
    plain = make_task(settings, train=8, val=0, noise=False).model
    rows = [task.train.sample(index, 0) for index in range(8)]
    images = torch.from_numpy(np.stack([row["images"] for row in rows])).permute(0, 3, 1, 2)
    targets = {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in ("target", "mask")}
    term = step(plain, Batch({"images": images}, targets, torch.arange(8))).terms["squared"]
    (term.sum / term.weight).backward()
    before = plain.last.weight.detach().clone()
    Run(task, settings, RunOptions(tmp_path)).fit()
    moved = before - task.model.last.weight.detach()
    # SGD's first step with momentum moves by the gradient times the learning rate.
    assert torch.allclose(moved, plain.last.weight.grad, atol=1e-6)


@pytest.mark.parametrize("workers", [0, 2])
def test_two_runs_are_one(tmp_path: Path, workers: int) -> None:
    settings = make_settings(epochs=2, ema=0.9, num_workers=workers)
    run(tmp_path / "a", settings)
    run(tmp_path / "b", make_settings(epochs=2, ema=0.9))
    assert not same_runs(tmp_path / "a", tmp_path / "b")


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    task = make_task(make_settings(seed=0)).model.state_dict()
    ends = []
    for seed in (0, 1):
        settings = make_settings(epochs=1, seed=seed)
        work = make_task(settings)
        work.model.load_state_dict(task)
        Run(work, settings, RunOptions(tmp_path / str(seed))).fit()
        ends.append({name: value.clone() for name, value in work.model.state_dict().items()})
    assert furthest(*ends) > 1e-4


def test_frozen_weights_never_change_and_are_not_stored_twice(tmp_path: Path) -> None:
    settings = make_settings(epochs=2, ema=0.9, weight_decay=0.1, optimizer="adamw", clip=1.0)
    task = make_task(settings)
    frozen = task.model.first.weight.clone()
    Run(task, settings, RunOptions(tmp_path)).fit()
    assert torch.equal(task.model.first.weight, frozen)
    training = content(tmp_path / "last.pt")["training"]
    assert len(training["optimizer"]) == 4 and set(training["average"]["weights"]) == set(training["parameters"])
    assert not any("first" in name for name in training["parameters"])


def test_files_of_a_run(tmp_path: Path) -> None:
    seen: list[int] = []
    work = run(tmp_path, make_settings(epochs=3), after_epoch=lambda rows: seen.append(len(rows)))
    assert {path.name for path in tmp_path.iterdir()} == {"model.pt", "last.pt", "log.csv", "run.log", "tb"}
    rows = read_rows(tmp_path / "log.csv")
    assert rows == work.journal.rows and seen == [1, 2, 3]
    assert list(rows[0]) == [
        "epoch", "step", "lr", "train_loss", "train_squared", "train_absolute", "val_absolute", "val_loss",
        "val_squared", "seconds",
    ]  # fmt: skip
    assert [row["step"] for row in rows] == [6, 12, 18]
    assert rows[0]["lr"] == pytest.approx(1e-2 * (1 + math.cos(math.pi * 5 / 18)) / 2)
    assert list((tmp_path / "tb").iterdir())
    best = min(rows, key=lambda row: row["val_loss"])
    assert content(tmp_path / "model.pt")["card"]["trained"]["epoch"] == best["epoch"] == work.progress.best_epoch


def test_the_logged_losses_are_true_means(tmp_path: Path) -> None:
    settings = make_settings(epochs=1, lr=1e-12, batch_size=4)
    task = make_task(settings, noise=False)
    Run(task, settings, RunOptions(tmp_path)).fit()
    (row,) = read_rows(tmp_path / "log.csv")
    for name, samples, epoch in (("train", task.train, 0), ("val", task.val, -1)):
        rows = [samples.sample(index, epoch) for index in range(len(samples))]
        images = torch.from_numpy(np.stack([row["images"] for row in rows])).permute(0, 3, 1, 2)
        targets = {key: torch.from_numpy(np.stack([row[key] for row in rows])) for key in ("target", "mask")}
        output = step(task.model.eval(), Batch({"images": images}, targets, torch.arange(len(rows))))
        for key, term in output.terms.items():
            assert row[f"{name}_{key}"] == pytest.approx((term.sum / term.weight).item(), rel=1e-5)
        assert row[f"{name}_loss"] == row[f"{name}_squared"]


def test_what_is_averaged_is_validated_and_kept(tmp_path: Path) -> None:
    seen: list[dict[str, torch.Tensor]] = []

    def figures(model: torch.nn.Module, epoch: int) -> dict[str, float]:
        assert not model.training
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return {"score": float(len(seen))}

    work = run(tmp_path, make_settings(epochs=2, ema=0.8), figures=figures, score=("score", "max"))
    assert work.average is not None and work.progress.best == 2.0
    kept = content(tmp_path / "model.pt")["model"]
    assert same(kept, seen[-1])
    assert all(torch.equal(kept[name], value) for name, value in work.average.weights.items())
    assert not torch.equal(kept["last.weight"], work.raw.last.weight)
    assert torch.equal(content(tmp_path / "last.pt")["model"]["last.weight"], work.raw.last.weight)


def test_early_stop_counts_epochs_without_a_better_score(tmp_path: Path) -> None:
    scores = iter([1.0, 3.0, 2.0, float("nan"), 2.9, 9.0])
    work = run(
        tmp_path, make_settings(epochs=6, early_stop=3), figures=lambda model, epoch: {"hits": next(scores)},
        score=("hits", "max"),
    )  # fmt: skip
    assert (work.progress.epoch, work.progress.best, work.progress.best_epoch) == (5, 3.0, 2)
    assert work.progress.finished and "stopped early" in (tmp_path / "run.log").read_text()


def test_equal_scores_are_told_apart_by_the_loss(tmp_path: Path) -> None:
    """A count that stays 0 must not keep the weights of the first epoch, nor end the run."""
    figures = iter([(0.0, 3.0), (0.0, 2.0), (0.0, 2.5), (0.0, 1.5), (1.0, 9.0), (1.0, 9.5)])
    work = run(
        tmp_path, make_settings(epochs=6, early_stop=2),
        figures=lambda model, epoch: dict(zip(("hits", "val_loss"), next(figures), strict=True)), score=("hits", "max"),
    )  # fmt: skip
    assert (work.progress.epoch, work.progress.best, work.progress.best_epoch) == (6, 1.0, 5)
    words = (tmp_path / "run.log").read_text().splitlines()
    assert [line.endswith("(best)") for line in words if " epoch " in line] == [True, True, False, True, True, False]


def test_a_score_that_is_nan_at_first_does_not_stay_the_best(tmp_path: Path) -> None:
    scores = iter([float("nan"), 5.0, 7.0])
    work = run(
        tmp_path, make_settings(epochs=3), figures=lambda model, epoch: {"px": next(scores)}, score=("px", "min")
    )
    assert (work.progress.best, work.progress.best_epoch) == (5.0, 2)


def test_without_validation_the_last_weights_are_the_best(tmp_path: Path) -> None:
    run(tmp_path, make_settings(epochs=3, early_stop=1), val=0)
    best, last = content(tmp_path / "model.pt"), content(tmp_path / "last.pt")
    assert best["card"]["trained"]["epoch"] == 3 and same(best["model"], last["model"])
    assert "no validation set" in (tmp_path / "run.log").read_text()


def test_clipping_bounds_the_step(tmp_path: Path) -> None:
    settings = make_settings(epochs=1, batch_size=22, optimizer="sgd", lr=1.0, clip=1e-3, schedule="constant")
    task = make_task(settings)
    before = {name: value.clone() for name, value in task.model.named_parameters()}
    Run(task, settings, RunOptions(tmp_path)).fit()
    moved = math.sqrt(sum((v - before[n]).pow(2).sum().item() for n, v in task.model.named_parameters()))
    assert moved == pytest.approx(1e-3, rel=1e-3)


def test_a_step_in_which_nothing_counts_changes_nothing(tmp_path: Path) -> None:
    def nothing(model: torch.nn.Module, batch: Batch) -> StepOutput:
        return StepOutput({"nothing": Term(model(batch.inputs["images"]).sum() * 0, torch.zeros(()))})

    settings = make_settings(epochs=1)
    task = make_task(settings, noise=False, step=nothing)
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    Run(task, settings, RunOptions(tmp_path)).fit()
    assert same(dict(task.model.state_dict()), before)


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = make_settings()
    task = make_task(settings)
    before = {name: value.clone() for name, value in task.model.named_parameters()}
    Run(task, settings, RunOptions(tmp_path / "none", dry_run=True)).fit()
    text = capsys.readouterr().out
    assert "images (4, 3, 12, 12)" in text and "mask (4, 1, 12, 12)" in text and "\nloss 0." in text
    assert not (tmp_path / "none").exists()
    assert all(torch.equal(value, before[name]) for name, value in task.model.named_parameters())


def test_an_empty_training_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="training set is empty"):
        run(tmp_path, make_settings(), train=0)


def test_a_log_of_another_program_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"log\.csv:2: not a log of a run"):
        Journal(tmp_path)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"epochs": 0}, "epochs"), ({"batch_size": 0}, "batch_size"), ({"accumulate": -1}, "accumulate"),
        ({"lr": 0.0}, "lr"), ({"lr": float("nan")}, "lr"), ({"ema": 1.0}, "ema"), ({"num_workers": -2}, "num_workers"),
        ({"device": "gpu"}, "device"), ({"save_every": "often"}, "save_every"), ({"save_every": "0"}, "save_every"),
        ({"clip": -1.0}, "clip"), ({"final_lr": 2.0}, "final_lr"), ({"step_epochs": (0,)}, "step_epochs"),
        ({"seed": -1}, "seed"), ({"plateau_factor": 0.0}, "plateau_factor"), ({"limit": -1}, "limit"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be(changes: dict[str, Any], part: str) -> None:
    with pytest.raises(InputError, match=rf"^{part} "):
        TrainSettings(**changes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (0, 0)),
        ("10", (600, 0)),
        ("1.5m", (90, 0)),
        ("2 minutes", (120, 0)),
        ("200steps", (0, 200)),
        ("1 step", (0, 1)),
    ],
)
def test_save_every(text: str, expected: tuple[float, int]) -> None:
    assert TrainSettings(save_every=text).saving() == expected


def test_minutes_between_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[str] = []
    monkeypatch.setattr(checkpoint, "save", lambda path, **named: saved.append(path.name))
    run(tmp_path, make_settings(epochs=1, save_every="0.0000001m"))
    assert saved.count("last.pt") == 6 + 2
