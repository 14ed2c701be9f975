"""What is done with the weights of an epoch: figures now and then, files, pictures; killed or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from kaname.inference import checkpoint
from kaname.training.loop import Run
from kaname.training.resume import Progress
from kaname.types import Batch, StepOutput, Term
from training.tiny_task import content, make_settings, names_of, run, same, same_runs, step, three


def draw(model: torch.nn.Module, epoch: int, folder: Path) -> None:
    """A picture of a kind: the weights that it is given."""
    assert len(list(folder.glob(f"checkpoints/epoch_{epoch:04d}_*.pth"))) == 1, "after the epoch's files"
    (folder / f"picture_{epoch}.txt").write_text(str(model.get_parameter("last.weight").tolist()), encoding="utf-8")


class Scores:
    """A figure that is asked for now and then; like a real one it depends on the weights alone."""

    def __init__(self) -> None:
        self.epochs: list[int] = []

    def __call__(self, model: torch.nn.Module, epoch: int) -> dict[str, float]:
        self.epochs.append(epoch)
        return {"val_hits": model.get_parameter("last.weight").abs().sum().item()}


@pytest.mark.parametrize(
    ("every", "epochs", "asked"), [(1, 3, [1, 2, 3]), (2, 5, [2, 4, 5]), (3, 6, [3, 6]), (0, 4, [4]), (9, 2, [2])]
)
def test_figures_have_their_interval(tmp_path: Path, every: int, epochs: int, asked: list[int]) -> None:
    scores = Scores()
    settings = make_settings(epochs=epochs, early_stop=1)
    work = run(tmp_path, settings, figures=scores, figures_every=every, score=("val_hits", "min"))
    rows = work.journal.rows
    assert scores.epochs == [epoch for epoch in asked if epoch <= len(rows)] and work.progress.best_epoch in asked
    assert [int(row["epoch"]) for row in rows if "val_hits" in row] == scores.epochs
    best = min((row["val_hits"], row["epoch"]) for row in rows if "val_hits" in row)
    assert (work.progress.best, work.progress.best_epoch) == best
    assert content(tmp_path / "model.pt")["card"]["trained"]["epoch"] == best[1]


def test_an_epoch_without_its_score_is_not_judged(tmp_path: Path) -> None:
    """Neither better than the best nor waited for, whoever left the figure out."""
    scores = iter([5.0, None, 7.0, None, None, 6.0, 4.0])

    def figures(model: torch.nn.Module, epoch: int) -> dict[str, float] | None:
        found = next(scores)
        return None if found is None else {"hits": found}

    settings = make_settings(epochs=9, early_stop=2)
    work = run(tmp_path, settings, figures=figures, score=("hits", "max"))
    # 7 in epoch 3 is the best; 6 and 4 in epochs 6 and 7 are waited for.
    assert (work.progress.best, work.progress.best_epoch, work.progress.epoch) == (7.0, 3, 7)
    assert content(tmp_path / "model.pt")["card"]["trained"]["epoch"] == 3


def test_a_score_that_never_comes_leaves_the_last_weights(tmp_path: Path) -> None:
    work = run(tmp_path, make_settings(epochs=3, early_stop=1), figures=lambda *_: None, score=("hits", "max"))
    assert work.progress.epoch == work.progress.best_epoch == 3
    assert same(content(tmp_path / "model.pt")["model"], content(tmp_path / "last.pt")["model"])


def test_judging() -> None:
    progress = Progress()
    assert progress.judge(3.0, "max") and not progress.judge(None, "max", absent=True)
    assert (progress.epoch, progress.best, progress.waited) == (2, 3.0, 0)
    assert not progress.judge(2.0, "max") and progress.waited == 1
    assert not progress.judge(None, "max", absent=True) and progress.waited == 1
    assert progress.judge(None, "max"), "without scores the last epoch is the best"


def test_files_and_pictures_are_of_the_validated_weights(tmp_path: Path) -> None:
    work = run(tmp_path, make_settings(epochs=3, ema=0.8), files=names_of, pictures=draw)
    rows = work.journal.rows
    assert work.progress.files == [name for row in rows for name in names_of(row)]
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {Path(n).name for n in work.progress.files}
    for number, name in enumerate(work.progress.files, start=1):
        found = checkpoint.load(tmp_path / name, recipe="tiny")
        assert found.training is None and found.card["trained"]["epoch"] == number
        picture = (tmp_path / f"picture_{number}.txt").read_text(encoding="utf-8")
        assert picture == str(found.model["last.weight"].tolist())
    best = content(tmp_path / work.progress.files[work.progress.best_epoch - 1])
    assert same(best["model"], content(tmp_path / "model.pt")["model"])
    assert not torch.equal(best["model"]["last.weight"], content(tmp_path / "last.pt")["model"]["last.weight"])


def test_a_further_stage_keeps_the_files_of_the_one_before(tmp_path: Path) -> None:
    task: dict[str, Any] = {"files": lambda row: [f"checkpoints/epoch_{int(row['epoch'])}.pth"]}
    run(tmp_path, make_settings(epochs=1), **task)
    before = (tmp_path / "checkpoints" / "epoch_1.pth").read_bytes()
    run(tmp_path, make_settings(epochs=1), resume=str(tmp_path / "last.pt"), **task)
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["epoch_1.pth", "epoch_1.stage1.pth"]
    assert (tmp_path / "checkpoints" / "epoch_1.stage1.pth").read_bytes() == before


@pytest.mark.parametrize("stop", range(1, 19, 3))
def test_killed_anywhere_it_ends_with_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """Three terms, accumulation, an average, a figure every second epoch, files and pictures of every epoch."""
    settings = make_settings(epochs=3, accumulate=2, ema=0.9, save_every="1steps", early_stop=2)
    task: dict[str, Any] = {
        "step": three, "figures": Scores(), "figures_every": 2, "score": ("val_hits", "min"), "files": names_of,
        "pictures": draw,
    }  # fmt: skip
    run(tmp_path / "whole", settings, **task)
    original, calls = checkpoint.save, [0]

    def killed(path: Path, **named: Any) -> None:
        calls[0] += 1
        if calls[0] == stop:
            raise KeyboardInterrupt
        original(path, **named)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "cut", settings, **task)
    run(tmp_path / "cut", settings, resume="auto" if (tmp_path / "cut" / "last.pt").exists() else None, **task)
    assert not same_runs(tmp_path / "whole", tmp_path / "cut")
    found = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.suffix in (".pth", ".txt")}
        for folder in (tmp_path / "whole", tmp_path / "cut")
    ]
    assert found[0] == found[1] and len(found[0]) == 6


def test_counts_become_figures(tmp_path: Path) -> None:
    def counting(model: torch.nn.Module, batch: Batch) -> StepOutput:
        return StepOutput(step(model, batch).terms, {"seen": torch.tensor(float(len(batch.index)))})

    work: Run = run(tmp_path, make_settings(epochs=1), step=counting, summarise=lambda sums: {"half": sums["seen"] / 2})
    assert work.journal.rows[0]["val_half"] == 2.5 and "train_seen" not in work.journal.rows[0]


def test_a_validation_set_that_counts_for_nothing_is_named(tmp_path: Path) -> None:
    """Its loss is a mean over nothing, written as 0, which is better than any other."""

    def unweighted(model: torch.nn.Module, batch: Batch) -> StepOutput:
        output = step(model, batch)
        if model.training:
            return output
        terms = {name: Term(term.sum * 0, term.weight * 0) for name, term in output.terms.items()}
        return replace(output, terms=terms)

    with pytest.warns(UserWarning, match="nothing in the validation set counts in the loss"):
        run(tmp_path, make_settings(epochs=1), step=unweighted)
