"""Device, precision and processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from kaname.errors import InputError
from kaname.inference.device import choose_device, choose_precision
from kaname.training.runtime import Runtime, processes, seed_weights
from training.test_sharding import clean
from training.tiny_task import make_settings, run


def test_what_a_launcher_started(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(os.environ) - set(clean()):
        monkeypatch.delenv(name)
    assert processes(1) == (1, 1) and processes(3) == (3, 1)
    with monkeypatch.context() as patch:
        for name, value in {"TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "6"}.items():
            patch.setenv(name, value)
        assert processes(1) == (2, 3) and processes(2) == (2, 3)
        with pytest.raises(InputError, match="torchrun has started 2 processes on this machine, --devices is 4"):
            processes(4)
    with monkeypatch.context() as patch:
        for name, value in {"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_NNODES": "2"}.items():
            patch.setenv(name, value)
        assert processes(4) == (4, 2)


def test_any_seed_is_one() -> None:
    drawn = []
    for seed in (0, 1, 10**20, 10**30):
        seed_weights(seed)
        drawn.append(torch.rand(1).item())
    assert len(set(drawn)) == 4


def test_devices_that_are_not_there() -> None:
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(InputError, match="unknown device 'toaster'"):
        choose_device("toaster")
    if not torch.cuda.is_available():
        for name in ("cuda", "cuda:1"):
            with pytest.raises(InputError, match="no CUDA device is visible"):
                choose_device(name)
    if not torch.backends.mps.is_available():
        with pytest.raises(InputError, match="mps"):
            choose_device("mps")


def test_precisions() -> None:
    cpu = torch.device("cpu")
    assert choose_precision("auto", cpu) in ("bf16", "fp32") and choose_precision("bf16", cpu) == "bf16"
    with pytest.raises(InputError, match="fp16 does not train on a CPU"):
        Runtime(make_settings(precision="fp16"))


def test_bf16_trains(tmp_path: Path) -> None:
    work = run(tmp_path, make_settings(epochs=2, precision="bf16"))
    assert work.raw.last.weight.dtype == torch.float32 and work.runtime.precision == "bf16"
    assert work.journal.rows[1]["train_loss"] < work.journal.rows[0]["train_loss"]


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_gpu_learns_what_the_cpu_learns(tmp_path: Path, precision: str) -> None:
    losses = []
    for name, changes in (("cpu", {}), ("cuda", {"device": "cuda", "precision": precision})):
        work = run(tmp_path / name, make_settings(epochs=3, ema=0.9, clip=1.0, **changes), noise=False)
        losses.append(work.journal.rows[-1]["val_loss"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-3 if precision == "fp32" else 0.1)


@pytest.mark.gpu
def test_a_gpu_run_resumes(tmp_path: Path) -> None:
    settings = make_settings(epochs=2, device="cuda", precision="fp16", num_workers=2)
    run(tmp_path / "a", make_settings(epochs=2, device="cuda", precision="fp16"))
    later = make_settings(epochs=1, device="cuda", precision="fp16")
    work = run(tmp_path / "b", later, resume=str(tmp_path / "a" / "last.pt"))
    assert work.progress.stage == 2 and settings.epochs == 2
