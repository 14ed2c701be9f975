"""Data sets of dots, one model of three stacked frames that was trained on them, and its export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from models.tiny_vits import on_request
from recipes.tracknet.clips import TINY, call, write_set

SEEN = (1, 1, 1, 1, 0, 0, 0, 1, 1, 2, 3, 1, 1, 1, 0, 1)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@dataclass(frozen=True)
class Trained:
    """A run that found out what the dot is."""

    data: Path
    run: Path
    out: str

    @property
    def model(self) -> Path:
        return self.run / "best.pt"


@pytest.fixture(scope="session")
def dots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four games of one clip of 16 frames, some of them without a dot; read only."""
    return write_set(tmp_path_factory.mktemp("dots") / "data", visibility=SEEN)


@pytest.fixture(scope="session")
def trained(dots: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Three frames of 96 x 64 stacked into the small U-Net of width 8."""
    import torch

    torch.set_num_threads(1)
    run = tmp_path_factory.mktemp("trained") / "run"
    answer = call(
        "train", "--data", dots, *TINY, "--out-dir", run, "--epochs", 12, "--batch-size", 4, "--lr", "1e-2", "--ema",
        "0.9", "data.sequence.length=3", "data.absent=negative", "training.scheduler.warmup_epochs=1",
    ).done()  # fmt: skip
    return Trained(dots, run, answer.out)


@pytest.fixture(scope="session")
def exported(trained: Trained) -> Path:
    """The ONNX file of that model."""
    target = trained.run / "ball.onnx"
    call("export", "--checkpoint", trained.model, "--out", target, "--count", 4).done()
    return target


@pytest.fixture(scope="session")
def tiny_vit(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``tiny_vit(kind)`` -> the folder of a tiny transformer of that kind."""
    return on_request(tmp_path_factory)
