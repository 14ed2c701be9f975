"""Several terms of different weights: one gradient however the samples are split, and nothing happens twice."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from kaname.data.dataset import Addressed, to_batch
from kaname.data.log import read_rows
from kaname.training.loop import Run
from kaname.training.runtime import Runtime
from kaname.training.settings import RunOptions
from kaname.training.update import Update, means, sums_of
from kaname.types import Batch, StepOutput, Term
from training.tiny_task import Net, Squares, make_settings, make_task, run, step, three


def furthest(one: nn.Module, other: nn.Module) -> float:
    return max((a - b).abs().max().item() for a, b in zip(one.parameters(), other.parameters(), strict=True))


def cut(*sizes: int) -> list[Batch]:
    """Augmented samples in batches of so many."""
    addressed, found, start = Addressed(Squares(sum(sizes))), [], 0
    for size in sizes:
        rows = [addressed[0, index, True] for index in range(start, start + size)]
        found.append(to_batch(addressed.collate(rows), torch.device("cpu")))
        start += size
    return found


def exact(model: nn.Module, batches: list[Batch], task_step: Callable[..., StepOutput]) -> None:
    """Gradients of the loss as it is defined, with every graph in memory at once."""
    outputs = [task_step(model, batch) for batch in batches]
    loss = torch.zeros(())
    for name, term in outputs[0].terms.items():
        total = sum(output.terms[name].sum for output in outputs)
        loss = loss + term.factor * total / sum(output.terms[name].weight for output in outputs)
    loss.backward()


def update_of(model: nn.Module, task_step: Callable[..., StepOutput], clip: float = 0.0) -> Update:
    runtime = Runtime(make_settings())
    return Update(task_step, runtime.setup_model(model), model, runtime, clip)


def test_any_split_gives_the_same_weights_and_logs(tmp_path: Path) -> None:
    """22 samples in steps of 8: the last step is uneven, and every term counts something else in every batch."""
    ends, logs = {}, {}
    for size, accumulate in ((8, 1), (4, 2), (2, 4), (1, 8)):
        settings = make_settings(epochs=3, batch_size=size, accumulate=accumulate, optimizer="sgd", lr=0.05, clip=0.5)
        work = run(tmp_path / str(size), settings, noise=False, step=three)
        ends[size], logs[size] = work.raw, read_rows(tmp_path / str(size) / "log.csv")
        assert work.progress.step == 9
    for size in (4, 2, 1):
        assert furthest(ends[8], ends[size]) < 1e-6
        for one, other in zip(logs[8], logs[size], strict=True):
            assert list(one) == list(other)
            assert all(other[name] == pytest.approx(one[name], abs=1e-5) for name in one if name != "seconds")
    assert furthest(ends[8], make_task(make_settings(), noise=False).model) > 1e-2
    names = ["train_loss", "train_squared", "train_bright", "train_samples"]
    assert [name for name in logs[8][0] if name.startswith("train")] == names
    assert sorted(name for name in logs[8][0] if name.startswith("val")) == [
        "val_bright", "val_loss", "val_samples", "val_squared",
    ]  # fmt: skip
    row = logs[8][-1]
    expected = row["train_squared"] + 0.25 * row["train_bright"] + 3 * row["train_samples"]
    assert row["train_loss"] == pytest.approx(expected)


@pytest.mark.parametrize("sizes", [(8,), (4, 4), (3, 1, 4), (1, 2, 3, 2)], ids=str)
@pytest.mark.parametrize("task_step", [three, step])
def test_nothing_moves_twice(sizes: tuple[int, ...], task_step: Callable[..., StepOutput]) -> None:
    """Dropout and batch statistics: gradients, buffers and random state are those of plain passes in their order."""
    torch.manual_seed(0)
    model = Net(noise=True).train()
    plain, batches = copy.deepcopy(model), cut(*sizes)
    update = update_of(model, task_step)
    torch.manual_seed(5)
    exact(plain, batches, task_step)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    total = update.backward(iter(batches), len(batches))
    assert torch.equal(torch.rand(3), drawn)
    for (name, one), other in zip(model.named_buffers(), plain.buffers(), strict=True):
        assert torch.equal(one, other), name
    assert update.apply(torch.optim.SGD(model.parameters(), lr=0.0), {name: v.item() for name, v in total.items()})
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None)
        if one.grad is not None and other.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("size", [1, 2])
def test_what_a_weighing_costs(size: int) -> None:
    """One forward pass without gradients for each further batch of a step, none for terms that share a weight."""
    calls: list[bool] = []

    def counting(inner: Callable[..., StepOutput]) -> Callable[..., StepOutput]:
        return lambda model, batch: (calls.append(torch.is_grad_enabled()), inner(model, batch))[1]

    for task_step, expected in ((three, [True] + [False] * (size - 1) + [True] * (size - 1)), (step, [True] * size)):
        calls.clear()
        update_of(Net(), counting(task_step)).backward(iter(cut(*[2] * size)), size)
        assert calls == expected


@pytest.mark.parametrize("task_step", [three, step])
def test_sums_that_half_precision_could_not_hold(task_step: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """fp16: a loss summed over cells is scaled by a power of two to about a mean, a loss of means is one already."""
    seen: list[float] = []
    gradients = []
    for precision in ("fp32", "fp16"):
        torch.manual_seed(0)
        model = Net(noise=False)
        update = update_of(model, task_step)
        monkeypatch.setattr(update.runtime, "precision", precision)
        monkeypatch.setattr(Runtime, "backward", lambda self, loss: (seen.append(loss.item()), loss.backward())[1])
        sums = {name: value.item() for name, value in update.backward(iter(cut(4, 4)), 2).items()}
        assert update.apply(torch.optim.SGD(model.parameters(), lr=0.0), sums)
        gradients.append([value.grad for value in model.parameters() if value.grad is not None])
    assert all(abs(loss) < 4 for loss in seen[2:])
    if task_step is step:
        assert max(seen[:2]) > 30 and all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))
        assert len(update.shares) == 1 and torch.tensor(float(update.shares[0])).frexp().mantissa == 0.5
    else:
        assert seen[:2] == seen[2:]


def test_a_term_that_counts_nothing_adds_nothing(tmp_path: Path) -> None:
    def empty(model: nn.Module, batch: Batch) -> StepOutput:
        output = three(model, batch)
        nothing = Term(output.terms["bright"].sum * 0, torch.zeros(()), 5.0)
        return StepOutput({**output.terms, "bright": nothing})

    def without(model: nn.Module, batch: Batch) -> StepOutput:
        terms = dict(three(model, batch).terms)
        del terms["bright"]
        return StepOutput(terms)

    settings = make_settings(epochs=1, accumulate=2, optimizer="sgd", lr=0.05)
    one, other = (run(tmp_path / each.__name__, settings, step=each, noise=False) for each in (empty, without))
    assert furthest(one.raw, other.raw) < 1e-7
    row = one.journal.rows[0]
    assert row["train_bright"] == 0.0 and row["train_loss"] == pytest.approx(other.journal.rows[0]["train_loss"])


def test_a_step_keeps_to_its_terms(tmp_path: Path) -> None:
    def changing(model: nn.Module, batch: Batch) -> StepOutput:
        return three(model, batch) if len(batch.index) == 4 else step(model, batch)

    task = make_task(make_settings(), train=6, step=changing)
    with pytest.raises(ValueError, match="different terms or weights"):
        Run(task, make_settings(accumulate=2), RunOptions(tmp_path)).fit()


def test_terms_may_come_and_go_between_steps(tmp_path: Path) -> None:
    """A term that begins in a later epoch is in the log from then on."""
    began = [False]

    def growing(model: nn.Module, batch: Batch) -> StepOutput:
        output = three(model, batch)
        return output if began[0] else StepOutput({name: output.terms[name] for name in ("squared", "bright")})

    settings = make_settings(epochs=2, accumulate=2)
    work = run(tmp_path, settings, step=growing, before_epoch=lambda epoch: began.__setitem__(0, epoch > 0))
    assert "train_samples" not in work.journal.rows[0] and work.journal.rows[1]["train_samples"] > 0


def test_means_of_one_term_go_by_no_name() -> None:
    (batch,) = cut(5)
    output = three(Net(noise=False), batch)
    alone = StepOutput({"squared": output.terms["squared"]})
    sums = {name: value.item() for name, value in sums_of(alone).items()}
    assert set(sums) == {"loss", "weight"} and list(means(sums)) == ["loss"]


def test_batches_come_one_at_a_time_where_one_weight_serves_all() -> None:
    taken: list[int] = []

    def lazily() -> Iterator[Batch]:
        for number, batch in enumerate(cut(2, 2, 2)):
            taken.append(number)
            yield batch

    def watching(model: nn.Module, batch: Batch) -> StepOutput:
        assert taken[-1] * 2 == int(batch.index[0])
        return step(model, batch)

    update_of(Net(), watching).backward(lazily(), 3)
    assert taken == [0, 1, 2]
