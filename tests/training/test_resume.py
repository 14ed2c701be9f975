"""Nothing is lost: a killed run ends with the same bytes, a stage goes on, and what does not fit is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from kaname.errors import InputError
from kaname.inference.card import from_nothing, start_of
from kaname.training.loop import Run
from kaname.training.settings import RunOptions
from training.tiny_task import Squares, content, make_settings, make_task, run, same, same_runs

TRIALS = Path(__file__).with_name("trials.py")


def trials(folder: Path, kills: int, seed: int, *more: str, timeout: int = 300) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(TRIALS), str(folder), str(kills), str(seed), *more], capture_output=True, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=timeout, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_killed_runs_end_with_the_same_bytes(tmp_path: Path) -> None:
    """Five kills in five different places, two signals to a whole process group, one of them during validation."""
    found = trials(tmp_path, 5, 1, "signals")
    assert not found["workers"], "two loader processes must give the bytes of none"
    assert found["epochs"] < 12, "the early stop was meant to be in play"
    assert found["kills"] >= 5
    for each in found["trials"]:
        assert each["code"] == 0 and not each["differs"] and not each["left"], each
    assert [each["code"] for each in found["signals"]] == [130, 143, 143]
    for each in found["signals"]:
        assert each["then"] == 0 and not each["differs"], each


@pytest.mark.slow
def test_a_hundred_kills(tmp_path: Path) -> None:
    found = trials(tmp_path, 100, 2, timeout=1800)
    bad = [each for each in found["trials"] if each["code"] != 0 or each["differs"] or each["left"]]
    assert not bad and found["kills"] >= 100


def half(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Path:
    """A run that ended in the middle of its second epoch, as if killed; its last.pt."""
    settings = make_settings(epochs=3, save_every="1steps", **changes)
    original, calls = Run._optimise, [0]

    def counted(self: Run, *arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == 9:
            raise RuntimeError("killed")
        return original(self, *arguments)

    monkeypatch.setattr(Run, "_optimise", counted)
    with pytest.raises(RuntimeError, match="killed"):
        run(folder, settings)
    monkeypatch.setattr(Run, "_optimise", original)
    return folder / "last.pt"


def test_the_log_goes_on_without_doubled_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half(tmp_path / "a", monkeypatch)
    work = run(tmp_path / "a", make_settings(epochs=3, save_every="1steps"), resume="auto")
    assert [row["epoch"] for row in work.journal.rows] == [1, 2, 3]
    rows = (tmp_path / "a" / "log.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in rows] == ["epoch", "1", "2", "3"]
    run(tmp_path / "b", make_settings(epochs=3, save_every="1steps"))
    assert not same_runs(tmp_path / "a", tmp_path / "b")
    log = (tmp_path / "a" / "run.log").read_text()
    assert "epoch 1/3" in log and "resuming" in log and "step 8" in log


def test_epochs_may_be_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half(tmp_path / "a", monkeypatch, schedule="constant")
    run(tmp_path / "a", make_settings(epochs=4, save_every="1steps", schedule="constant"), resume="auto")
    run(tmp_path / "b", make_settings(epochs=4, save_every="1steps", schedule="constant"))
    assert not same_runs(tmp_path / "a", tmp_path / "b")
    assert "train.epochs: 3 -> 4" in (tmp_path / "a" / "run.log").read_text()


def test_changed_decay_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half(tmp_path, monkeypatch)
    settings = make_settings(epochs=3, save_every="1steps", weight_decay=0.25)
    work = Run(make_task(settings), settings, RunOptions(tmp_path, resume="auto"))
    assert [group["weight_decay"] for group in work.optimizer.param_groups] == [0.25]
    assert work.progress.step == 8


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"batch_size": 2}, "batch_size was 4 and is 2"),
        ({"accumulate": 3}, "accumulate was 1 and is 3"),
        ({"seed": 5}, "seed was 0 and is 5"),
        ({"optimizer": "sgd"}, "train.optimizer was 'adam' and is 'sgd'"),
    ],
)
def test_what_would_move_the_position_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], part: str
) -> None:
    last = half(tmp_path, monkeypatch)
    before = last.read_bytes()
    with pytest.raises(InputError) as caught:
        run(tmp_path, make_settings(epochs=3, save_every="1steps", **changes), resume="auto")
    assert part in str(caught.value) and "another --out-dir" in str(caught.value)
    assert last.read_bytes() == before


def test_a_grown_data_set_is_refused_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half(tmp_path, monkeypatch)
    with pytest.raises(InputError, match="samples was 22 and is 23"):
        run(tmp_path, make_settings(epochs=3), resume="auto", train=23)


@pytest.mark.parametrize(("folder", "last", "said"), [("b", "21", False), ("a", "22", True)])
def test_exchanged_samples_are_said_and_a_folder_may_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, last: str, said: bool
) -> None:
    def named(place: str, final: str) -> None:
        monkeypatch.setattr(
            Squares, "name", lambda _, index: f"{place}/{final if index == 21 else index}.jpg", raising=False
        )

    named("a", "21")
    half(tmp_path, monkeypatch)
    named(folder, last)
    work = run(tmp_path, make_settings(epochs=3), resume="auto")
    assert any("as many samples as before, but not the same" in note for note in work.start.notes) is said


def test_a_stage_in_another_folder(tmp_path: Path) -> None:
    settings = make_settings(epochs=2, ema=0.99)
    run(tmp_path / "a", settings)
    before = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir() if path.is_file()}
    first = content(tmp_path / "a" / "last.pt")
    longer = make_settings(epochs=3, ema=0.99, lr=5e-3)
    work = Run(make_task(longer), longer, RunOptions(tmp_path / "b", resume=str(tmp_path / "a" / "last.pt")))
    assert same({name: value for name, value in work.raw.state_dict().items()}, first["model"])
    assert same(work.optimizer.state_dict()["state"], first["training"]["optimizer"])
    assert work.average is not None and same(work.average.state(), first["training"]["average"])
    assert work.schedule.rate(0) == 5e-3
    progress = work.fit()
    assert (progress.stage, progress.epoch, progress.step) == (2, 3, 18)
    log = (tmp_path / "b" / "run.log").read_text()
    assert "stage 2 from" in log and "train.lr: 0.01 -> 0.005" in log and "train.epochs: 2 -> 3" in log
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir() if path.is_file()}
    assert content(tmp_path / "b" / "last.pt")["card"]["trained"] == {"epoch": 3, "step": 18, "stage": 2}


def test_a_stage_draws_its_own_order(tmp_path: Path) -> None:
    seen: list[list[tuple[int, int]]] = [[]]
    settings = make_settings(epochs=1)
    task = make_task(settings)
    original = task.train.sample
    task.train.sample = lambda index, epoch: (seen[-1].append((index, epoch)), original(index, epoch))[1]  # type: ignore
    Run(task, settings, RunOptions(tmp_path / "a")).fit()
    seen.append([])
    Run(task, settings, RunOptions(tmp_path / "b", resume=str(tmp_path / "a" / "last.pt"))).fit()
    assert [index for index, _ in seen[0][:22]] != [index for index, _ in seen[1][:22]]
    assert {epoch for _, epoch in seen[0]}.isdisjoint({epoch for _, epoch in seen[1]})


def test_a_stage_in_the_same_folder_keeps_the_one_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, make_settings(epochs=2))
    best, log = (tmp_path / "model.pt").read_bytes(), (tmp_path / "log.csv").read_bytes()
    for changes in ({}, {"num_workers": 1}, {"lr": 0.5}, {"optimizer": "sgd"}):
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
        work = run(tmp_path, make_settings(epochs=2, **changes), resume="auto")
        assert "this run is finished (2 epochs)" in capsys.readouterr().out
        assert work.progress.finished and (work.progress.stage, work.progress.epoch) == (1, 2)
        assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    work = run(tmp_path, make_settings(epochs=2), resume=str(tmp_path / "last.pt"))
    assert work.progress.stage == 2
    assert (tmp_path / "model.stage1.pt").read_bytes() == best
    assert (tmp_path / "log.stage1.csv").read_bytes() == log
    assert [row["epoch"] for row in work.journal.rows] == [1, 2]


def test_a_stage_that_was_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path / "one", make_settings(epochs=1))
    settings = make_settings(epochs=2, save_every="1steps")
    source = str(tmp_path / "one" / "last.pt")
    whole = run(tmp_path / "whole", settings, resume=source)
    original, calls = Run._optimise, [0]

    def counted(self: Run, *arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == 4:
            raise RuntimeError("killed")
        return original(self, *arguments)

    monkeypatch.setattr(Run, "_optimise", counted)
    with pytest.raises(RuntimeError, match="killed"):
        run(tmp_path / "cut", settings, resume=source)
    with pytest.raises(InputError, match="already holds a run"):  # saying the same again must not start it again
        run(tmp_path / "cut", settings, resume=source)
    again = run(tmp_path / "cut", settings, resume="auto")
    assert again.progress.stage == whole.progress.stage == 2
    assert not same_runs(tmp_path / "whole", tmp_path / "cut")


def test_a_stage_may_change_what_trains(tmp_path: Path) -> None:
    run(tmp_path / "a", make_settings(epochs=1, ema=0.9))
    settings = make_settings(epochs=1, ema=0.9)
    task = make_task(settings)
    for parameter in task.model.parameters():
        parameter.requires_grad = True
    work = Run(task, settings, RunOptions(tmp_path / "b", resume=str(tmp_path / "a" / "last.pt")))
    work.fit()
    assert "the optimiser starts afresh: different parameters train" in (tmp_path / "b" / "run.log").read_text()


def test_weights_alone(tmp_path: Path) -> None:
    run(tmp_path / "a", make_settings(epochs=1))
    settings = make_settings(epochs=1, seed=3)
    work = Run(make_task(settings), settings, RunOptions(tmp_path / "b", init=tmp_path / "a" / "model.pt"))
    assert same(dict(work.raw.state_dict()), content(tmp_path / "a" / "model.pt")["model"])
    assert work.progress.stage == 1 and not work.optimizer.state_dict()["state"]
    work.fit()
    card = content(tmp_path / "b" / "last.pt")["card"]
    assert start_of(card) == "tuned from model.pt (epoch 1)" and not from_nothing(card)


def test_a_folder_that_holds_a_run_is_not_written_over(tmp_path: Path) -> None:
    run(tmp_path / "a", make_settings(epochs=1))
    run(tmp_path / "b", make_settings(epochs=1))
    for options in ({}, {"init": tmp_path / "a" / "model.pt"}, {"resume": str(tmp_path / "a" / "last.pt")}):
        with pytest.raises(InputError, match="already holds a run"):
            run(tmp_path / "b", make_settings(epochs=1), **options)


def test_a_bare_resume_without_a_run_starts_afresh(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "new", make_settings(epochs=1), resume="auto").progress.finished
    assert "starting afresh" in capsys.readouterr().out


def test_a_bare_resume_passes_over_a_damaged_newer_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    last = half(tmp_path, monkeypatch)
    whole = last.read_bytes()
    (tmp_path / "newer.pt").write_bytes(whole[: len(whole) // 2])
    assert run(tmp_path, make_settings(epochs=3, save_every="1steps"), resume="auto").progress.epoch == 3
    assert f"skipped: {tmp_path / 'newer.pt'}" in capsys.readouterr().out


def test_a_damaged_state_is_never_replaced_by_a_new_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last = half(tmp_path, monkeypatch)
    last.write_bytes(last.read_bytes()[:-1000])
    best = (tmp_path / "model.pt").read_bytes()
    for resume in ("auto", str(last)):
        with pytest.raises(InputError, match="damaged"):
            run(tmp_path, make_settings(epochs=3), resume=resume)
    assert (tmp_path / "model.pt").read_bytes() == best


@pytest.mark.parametrize("name", ["progress", "optimizer", "order", "average", "schedule"])
def test_a_state_with_a_part_missing_is_named(tmp_path: Path, name: str) -> None:
    run(tmp_path, make_settings(epochs=1, ema=0.5))
    found = torch.load(tmp_path / "last.pt", weights_only=True)
    del found["training"][name]
    torch.save(found, tmp_path / "last.pt")
    with pytest.raises(InputError, match=f"lacks {name!r}"):
        run(tmp_path / "b", make_settings(epochs=1, ema=0.5), resume=str(tmp_path / "last.pt"))


def test_what_cannot_be_resumed(tmp_path: Path) -> None:
    run(tmp_path / "a", make_settings(epochs=1))
    best, last = str(tmp_path / "a" / "model.pt"), str(tmp_path / "a" / "last.pt")
    settings = make_settings(epochs=1)
    with pytest.raises(InputError, match=r"weights only.*--init"):
        run(tmp_path / "b", settings, resume=best)
    with pytest.raises(InputError, match="cannot be combined"):
        run(tmp_path / "b", settings, resume=last, init=Path(best))
    with pytest.raises(InputError, match="does not exist"):
        run(tmp_path / "b", settings, resume=str(tmp_path / "none.pt"))
    with pytest.raises(InputError, match="recipe 'tiny', not of 'other'"):
        run(tmp_path / "b", settings, resume=last, recipe="other")
    for options in ({"resume": last}, {"init": Path(last)}):
        with pytest.raises(InputError, match=r"trained with model\.width = 6, this run has 7"):
            run(tmp_path / "b", settings, config={"model": {"width": 7}}, **options)
    assert not (tmp_path / "b").exists()


def test_a_state_of_before_the_loss_of_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last = half(tmp_path, monkeypatch)
    found = torch.load(last, weights_only=True)
    del found["training"]["progress"]["best_loss"]
    torch.save(found, last)
    assert run(tmp_path, make_settings(epochs=3, save_every="1steps"), resume="auto").progress.finished


def test_advice_for_random_weights_is_given_only_where_they_are(tmp_path: Path) -> None:
    settings, cold = make_settings(epochs=1), ["weights are random"]

    def said(name: str, **options: Any) -> bool:
        run(tmp_path / name, settings, cold=cold, **options)
        return cold[0] in (tmp_path / name / "run.log").read_text(encoding="utf-8")

    assert said("a") and not said("b", init=tmp_path / "a" / "model.pt")
    assert said("c", resume="auto")  # nothing is there yet
