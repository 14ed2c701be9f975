"""Data sets of tiny dials, one model trained on them and its export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from calling import Answer, call
from recipes.gauge.dials import TRAIN, write_data, write_flat


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Two images and their annotation."""
    write_flat(tmp_path / "flat")
    return tmp_path / "flat"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four training and two validation images."""
    return write_data(tmp_path / "data", 4, 2)


@dataclass(frozen=True)
class Trained:
    """A run that found out what dots are."""

    data: Path
    run: Path
    answer: Answer

    @property
    def model(self) -> Path:
        return self.run / "model.pt"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The small U-Net trained on eight dials with ``--val --debug``, in the default folder."""
    import torch

    torch.set_num_threads(1)
    data = write_data(tmp_path_factory.mktemp("trained") / "training_data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(data.parent)
        answer = trained_on(data)
    return Trained(data, next((data.parent / "runs/gauge").glob("runs_*")), answer)


def trained_on(data: Path) -> Answer:
    """The command, called from where its run is to lie."""
    return call(
        "gauge", "train", "--data", data, *TRAIN[:-2], "--batch-size", 2, "--epochs", 40, "--learning-rate", "3e-2",
        "--val",
        "--debug", "train.optimizer=adamw", "sigma=14", "augment.rotate=15", "augment.crop=1.02",
        "augment.probability=0.6",
    ).done()  # fmt: skip


@pytest.fixture(scope="session")
def exported(trained: Trained) -> Path:
    """The ONNX file of that model."""
    target = trained.run / "gauge.onnx"
    call("gauge", "export", "--model-path", trained.model, "--out", target).done()
    return target
