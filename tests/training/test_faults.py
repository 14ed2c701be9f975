"""What stops a run from outside: one line each, the last good state named and whole, and the run goes on from it."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kaname.errors import InputError
from kaname.inference import checkpoint
from kaname.training.faults import explain, moves_in_forward
from kaname.training.loop import Run
from kaname.training.settings import RunOptions, TrainSettings
from kaname.types import Batch, StepOutput
from training.faulty import at, memory_runs_out
from training.tiny_task import Squares, make_settings, make_task, run, same_runs, scaled, step

EIGHT = TrainSettings(batch_size=8, num_workers=3, precision="fp32")
CPU = "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: not enough memory: you tried to allocate {}."
HALF = "lower --batch-size (--batch-size 4 --accumulate 2 makes the same steps), use --precision bf16"
WORKERS = "lower --num-workers (now 3) or --batch-size (now 8)"

LINES: list[tuple[BaseException, TrainSettings | None, str]] = [
    (MemoryError(), EIGHT, f"out of memory in main memory with --batch-size 8; {HALF}"),
    (RuntimeError(CPU.format("4294967296 bytes")), EIGHT, "--batch-size 8, while asking for 4.0 GiB more; lower"),
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79 GiB"),
     EIGHT, "out of memory on the device with --batch-size 8, while asking for 2.50 GiB more; lower --batch-size"),
    (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), EIGHT, "device"),
    (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), replace(EIGHT, batch_size=1, precision="bf16"),
     "with --batch-size 1; use a smaller input or backbone"),
    (MemoryError(), replace(EIGHT, batch_size=5, accumulate=3), "lower --batch-size (--batch-size 2), use"),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), EIGHT, "out of memory in main memory"),
    (MemoryError("Caught MemoryError in DataLoader worker process 0.\nOriginal ...\nUnable to allocate 7.28 TiB for"),
     EIGHT, f"out of memory in a loader process, while asking for 7.28 TiB more; {WORKERS}"),
    (MemoryError("Unable to allocate 7.28 TiB for an array"), None, "asking for 7.28 TiB more; use smaller images"),
    (RuntimeError("DataLoader worker (pid(s) 12, 13) exited unexpectedly"), EIGHT,
     f"a loader process ended without an error message; most likely memory ran out: {WORKERS}"),
    (RuntimeError("DataLoader worker (pid 12) is killed by signal: Killed. "), EIGHT, "killed by a signal (Killed);"),
    (RuntimeError("DataLoader worker (pid 12) is killed by signal: Bus error. It is possible that dataloader's workers "
                  "are out of shared memory."), EIGHT, "shared memory; lower --num-workers (now 3), or give /dev"),
    (RuntimeError("unable to open shared memory object </torch_1_2> in read-write mode"), None, "shared memory"),
    (OSError(errno.EMFILE, "Too many open files"), EIGHT, "too many open files; raise the limit (ulimit -n"),
    (RuntimeError("received 0 items of ancdata"), EIGHT, "too many open files"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "settings", "line"), LINES)
def test_the_lines(error: BaseException, settings: TrainSettings | None, line: str) -> None:
    found = explain(error, settings)
    assert found is not None and line in str(found) and "\n" not in str(found)


def test_real_errors_are_known() -> None:
    """The words of this torch and this NumPy, which a newer release may change."""
    for provoke in (lambda: torch.empty(10**15), lambda: np.empty(10**15)):
        with pytest.raises((RuntimeError, MemoryError)) as caught:
            provoke()
        assert "while asking for" in str(explain(caught.value, EIGHT))


@pytest.mark.parametrize("error", [RuntimeError("shapes (2, 3) and (4, 5)"), ValueError("x"), OSError("odd")])
def test_faults_of_our_own_stay_what_they_are(error: BaseException) -> None:
    assert explain(error, EIGHT) is None


@pytest.mark.gpu
def test_a_device_that_is_full(tmp_path: Path) -> None:
    def greedy(model: torch.nn.Module, batch: Batch) -> StepOutput:
        torch.empty(10**14, device="cuda")
        return step(model, batch)

    with pytest.raises(InputError, match="out of memory on the device with --batch-size 4"):
        run(tmp_path, make_settings(device="cuda"), step=greedy)


# ---- a fault in the middle of a run: what is whole is saved, and the run goes on to the same bytes


def bug() -> None:
    raise KeyError("a fault of ours")


@pytest.mark.parametrize("left", [["model.pt"], ["best.pt", "model.pt"], []])
def test_a_folder_that_was_made_anew_is_told_as_it_is(tmp_path: Path, left: list[str]) -> None:
    folder = tmp_path / "run"

    def remade() -> None:
        shutil.rmtree(folder)
        folder.mkdir()
        for name in left:
            (folder / name).touch()
        memory_runs_out()

    with pytest.raises(InputError) as caught:
        run(folder, make_settings(), noise=False, step=at(1, remade))
    said = f"weights are ({', '.join(left)})" if left else "nothing was saved yet"
    assert str(caught.value).endswith(said)


@pytest.mark.parametrize(("number", "saved"), [(1, 0), (3, 2), (8, 7)])
@pytest.mark.parametrize("fault", [memory_runs_out, bug])
def test_the_state_before_the_fault_is_saved(
    tmp_path: Path, whole: Callable[..., Path], number: int, saved: int, fault: Callable[[], None]
) -> None:
    settings = make_settings()
    with pytest.raises((InputError, KeyError)) as caught:
        run(tmp_path / "run", settings, noise=False, step=at(number, fault))
    last = tmp_path / "run" / "last.pt"
    kept = f"the last good state is {last}, step {saved}" if saved else "nothing was saved yet"
    log = (tmp_path / "run" / "run.log").read_text(encoding="utf-8").splitlines()[-1]
    assert kept in log and "stopped" in log
    if fault is memory_runs_out:
        assert str(caught.value).startswith(
            "out of memory on the device with --batch-size 4, while asking for 2.00 GiB"
        )
        assert str(caught.value).endswith(kept)
    run(tmp_path / "run", settings, noise=False, resume="auto")
    assert not same_runs(whole(settings, noise=False), tmp_path / "run")


def test_half_a_forward_pass_is_not_saved(tmp_path: Path, whole: Callable[..., Path]) -> None:
    """Running statistics have moved: the older state is the good one."""
    settings = make_settings()
    task = make_task(settings)
    assert moves_in_forward(task.model) and not moves_in_forward(make_task(settings, noise=False).model)
    with pytest.raises(InputError, match=r"last good state is .*last\.pt, step 6$"):  # of the first epoch's end
        run(tmp_path / "run", settings, step=at(9, memory_runs_out))
    run(tmp_path / "run", settings, resume="auto")
    assert not same_runs(whole(settings), tmp_path / "run")


@pytest.mark.parametrize(("ema", "saved"), [(0.0, 12), (0.9, 6)])
def test_memory_that_runs_out_in_validation(tmp_path: Path, whole: Callable[..., Path], ema: float, saved: int) -> None:
    """Averaged weights are validated, not saved in the place of the others."""
    settings = make_settings(ema=ema)
    with pytest.raises(InputError, match=rf"step {saved}$"):
        run(tmp_path / "run", settings, step=at(4, memory_runs_out, training=False))
    run(tmp_path / "run", settings, resume="auto")
    assert not same_runs(whole(settings), tmp_path / "run")


def test_memory_that_runs_out_in_the_optimiser(
    tmp_path: Path, whole: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, calls, original = make_settings(), itertools.count(1), torch.optim.Adam.step

    def stepped(self: torch.optim.Adam, closure: Any = None) -> Any:
        if next(calls) == 8:
            self.param_groups[0]["params"][-1].data.zero_()  # some weights have moved, some have not
            memory_runs_out()
        return original(self, closure)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.Adam, "step", stepped)
        with pytest.raises(InputError, match=r"step 6$"):
            run(tmp_path / "run", settings, noise=False)
    run(tmp_path / "run", settings, noise=False, resume="auto")
    assert not same_runs(whole(settings, noise=False), tmp_path / "run")


def test_a_dry_run_that_does_not_fit(tmp_path: Path) -> None:
    settings = make_settings()
    options = RunOptions(tmp_path / "run", dry_run=True)
    with pytest.raises(InputError, match=r"out of memory .* or use a smaller input or backbone$"):
        Run(make_task(settings, step=at(1, memory_runs_out)), settings, options).fit()
    assert not (tmp_path / "run").exists()


# ---- loader processes


class Deadly(Squares):
    """Sample 13 of the second epoch ends its loader process once, in one of many ways."""

    def __init__(self, count: int, fault: str, once: Path) -> None:
        super().__init__(count)
        self.fault, self.once = fault, once

    def sample(self, index: int, epoch: int) -> dict[str, np.ndarray]:
        if (index, epoch) == (13, 1) and not self.once.exists():
            self.once.touch()
            if self.fault == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            elif self.fault == "exit":
                os._exit(3)
            elif self.fault == "memory":
                np.empty(10**15)
            elif self.fault == "bug":
                raise ValueError("13 is not lucky")
            raise InputError("the image has vanished", path="13.png", remedy="put it back")
        return super().sample(index, epoch)


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (
            "killed",
            r"a loader process (was killed by a signal \(Killed\)|ended without an error message); most likely memory",
        ),
        (
            "exit",
            r"process ended without an error message; most likely memory ran out: lower --num-workers \(now 1\)",
        ),
        ("memory", r"out of memory in a loader process, while asking for .* more; lower --num-workers \(now 1\)"),
        ("input", r"13\.png: the image has vanished; put it back"),
        ("bug", "13 is not lucky"),
    ],
)
def test_a_loader_process_that_dies(tmp_path: Path, whole: Callable[..., Path], fault: str, line: str) -> None:
    """Nothing of the step has happened yet: everything before it is saved, running statistics or not."""
    settings = make_settings(num_workers=1, epochs=3)
    samples = Deadly(22, fault, tmp_path / "once")
    with pytest.raises(ValueError, match=line) as caught:  # InputError is one
        Run(replace(make_task(settings), train=samples), settings, RunOptions(tmp_path / "run")).fit()
    step_of_13 = int(checkpoint.load(tmp_path / "run" / "last.pt").card["trained"]["step"])
    # A process that dies takes the batches along that it had prepared; one that says why has handed them over.
    assert 6 <= step_of_13 <= 11
    if fault != "bug":
        assert str(caught.value).endswith(f"the last good state is {tmp_path / 'run' / 'last.pt'}, step {step_of_13}")
    again = RunOptions(tmp_path / "run", resume="auto")
    Run(replace(make_task(settings), train=samples), settings, again).fit()
    assert not same_runs(whole(settings), tmp_path / "run")


# ---- numbers that are none


def bad_step(kind: str, number: int) -> Any:
    calls = itertools.count(1)

    def stepped(model: torch.nn.Module, batch: Batch) -> StepOutput:
        output = step(model, batch)
        if next(calls) < number or (kind == "validation" and torch.is_grad_enabled()):
            return output
        if kind == "gradient":  # a finite loss with an infinite slope
            zero = (model(batch.inputs["images"]) * 0).sum()
            term = output.terms["squared"]
            return StepOutput({**output.terms, "squared": term._replace(sum=term.sum + torch.sqrt(zero.abs()))})
        return scaled(output, float("nan"))

    return stepped


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("loss", r"the loss is not finite in epoch 1, step 5 \(samples \["),
        ("gradient", "a gradient is not finite in epoch 1, step 5"),
        ("validation", "the validation loss is not finite in epoch 1, step 7"),
    ],
)
def test_what_is_not_finite_stops_the_run(tmp_path: Path, kind: str, what: str) -> None:
    settings = make_settings(epochs=3, save_every="1steps")
    with pytest.raises(InputError, match=what) as caught:
        run(tmp_path, settings, step=bad_step(kind, 5), val=5)
    assert "lower --lr" in str(caught.value) and "\n" not in str(caught.value)
    assert f"the last good state is {tmp_path / 'last.pt'}, step" in str(caught.value)
    found = checkpoint.load(tmp_path / "last.pt")
    assert all(torch.isfinite(value).all() for value in found.model.values())
    assert run(tmp_path, settings, resume="auto").progress.finished


def test_a_state_on_its_way_to_infinity_is_not_saved(tmp_path: Path) -> None:
    """Without a state of the steps before: the one of the epoch's end stays, were it older or not."""
    with pytest.raises(InputError, match=r"last good state is .*, step 6$"):
        run(tmp_path, make_settings(), noise=False, step=bad_step("loss", 9 + 2))  # 2 calls were validation's


class Poisoned(Squares):
    """NaN in one array of sample 13, which is a float image where ``key`` is one."""

    def __init__(self, count: int, key: str) -> None:
        super().__init__(count)
        self.key = key

    def sample(self, index: int, epoch: int) -> dict[str, np.ndarray]:
        row = super().sample(index, epoch)
        row["images"] = row["images"].astype(np.float32)
        row["flow"] = np.zeros((1, 4), np.float32)
        if index == 13:
            row[self.key] = np.where(
                np.arange(row[self.key].size).reshape(row[self.key].shape) == 5, np.nan, row[self.key]
            )
        return row


@pytest.mark.parametrize("key", ["images", "target", "mask"])
def test_nan_in_a_sample_is_found(tmp_path: Path, key: str) -> None:
    settings = make_settings(epochs=1, batch_size=2, accumulate=4)
    with pytest.raises(InputError, match=rf"\(NaN or infinity in {key} of sample 13\).*nothing was saved yet"):
        Run(replace(make_task(settings), train=Poisoned(22, key)), settings, RunOptions(tmp_path)).fit()
    assert not (tmp_path / "last.pt").exists()


def test_a_data_set_may_name_its_samples(tmp_path: Path) -> None:
    samples = Poisoned(22, "target")
    samples.name = lambda index: f"dial_{index}.png"  # type: ignore[attr-defined]
    settings = make_settings(epochs=1)
    with pytest.raises(InputError, match=r"NaN or infinity in target of sample dial_13\.png"):
        Run(replace(make_task(settings), train=samples), settings, RunOptions(tmp_path)).fit()


def test_nan_where_nothing_is_meant_is_no_fault(tmp_path: Path) -> None:
    samples = Poisoned(22, "target")
    samples.missing = ("target",)  # type: ignore[attr-defined]
    settings = make_settings(epochs=1)
    with pytest.raises(InputError, match=r"the loss is not finite .*\(samples \["):
        Run(replace(make_task(settings), train=samples), settings, RunOptions(tmp_path)).fit()


def test_gradients_whose_squares_are_not_finite(tmp_path: Path) -> None:
    """Gradients of 1e25 are numbers, their squares in the optimiser would be none."""
    settings = make_settings(save_every="1steps", epochs=1)
    with pytest.raises(InputError, match=r"a gradient is not finite .*step 2$"):
        run(tmp_path, settings, noise=False, step=at(3, lambda: None, scale=1e25))


def test_weights_that_are_not_finite_are_never_written(tmp_path: Path) -> None:
    def poison(model: Any, epoch: int) -> dict[str, float]:
        with torch.no_grad():
            model.norm.running_mean[0] = float("nan")
        return {"hits": 1.0}

    with pytest.raises(InputError, match="a weight is not finite"):
        run(tmp_path, make_settings(epochs=1), figures=poison, score=("hits", "max"))
    assert not (tmp_path / "model.pt").exists() and not (tmp_path / "last.pt").exists()
