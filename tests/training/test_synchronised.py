"""BatchNorm in training: held or synchronised, a batch of 8 gives one gradient however many processes share it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from kaname.training.synchronised import SynchronisedBatchNorm, synchronise
from training.test_sharding import TORCHRUN, clean

SCRIPT = Path(__file__).with_name("two_batch_norms.py")


def found(path: Path, *cases: str, launcher: tuple[str, ...] = ()) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, *launcher, str(SCRIPT), str(path), *cases],
        capture_output=True, text=True, env=clean(), timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return torch.load(path, weights_only=True)


def alike(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Within 1e-6 of each tensor's norm."""
    assert list(one) == list(other)
    pairs = [(one[name].double(), other[name].double()) for name in one]
    return all(bool((b - a).norm() <= 1e-6 * a.norm() + 1e-12) for a, b in pairs)


@pytest.mark.slow
def test_a_batch_of_8_gives_one_gradient(tmp_path: Path) -> None:
    """With held statistics as 8, as 2 x 4 and in two processes; with synchronised ones in two processes as in one."""
    alone = found(tmp_path / "alone.pt", "held1", "held2", "train1", "train2")
    shared = found(tmp_path / "shared.pt", "held1", "train1", launcher=(*TORCHRUN, "2"))
    for whole, other in (("held1", alone["held2"]), ("held1", shared["held1"]), ("train1", shared["train1"])):
        for part in ("gradients", "buffers"):
            assert alike(alone[whole][part], other[part]), (whole, part)
        assert other["sums"] == pytest.approx(alone[whole]["sums"], rel=1e-9)
    # The batch's own statistics of halves are others: what synchronising and holding are for.
    assert not alike(alone["train1"]["gradients"], alone["train2"]["gradients"])
    assert not alike(alone["train1"]["buffers"], alone["held1"]["buffers"])


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("affine", [True, False])
def test_alone_it_is_batch_norm(momentum: float | None, affine: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values, gradients and stored statistics of torch's, while training and after."""
    monkeypatch.setattr("kaname.training.synchronised.all_reduce", lambda value: value)
    torch.manual_seed(0)
    plain = nn.Sequential(nn.BatchNorm2d(5, momentum=momentum, affine=affine)).double()
    other = nn.Sequential(nn.BatchNorm2d(5, momentum=momentum, affine=affine)).double()
    if affine:
        for norms in (plain, other):
            norms[0].weight.data.copy_(torch.linspace(0.5, 2, 5))
            norms[0].bias.data.copy_(torch.linspace(-1, 1, 5))
    weights = list(other.parameters())
    synchronise(other, torch.device("cpu"))
    assert type(other[0]) is SynchronisedBatchNorm and list(other.state_dict()) == list(plain.state_dict())
    assert all(one is two for one, two in zip(weights, other.parameters(), strict=True))
    for round in range(3):
        images = [(torch.randn(4, 5, 6, 7).double() * 3 + round).requires_grad_()] * 2
        images = [image.detach().clone().requires_grad_() for image in images]
        for norms, image in zip((plain, other), images, strict=True):
            norms(image).pow(3).sum().backward()
        torch.testing.assert_close(images[0].grad, images[1].grad)
        for one, two in zip(plain.state_dict().values(), other.state_dict().values(), strict=True):
            torch.testing.assert_close(one, two)
    for one, two in zip(plain.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad)
    torch.testing.assert_close(plain.eval()(images[0]), other.eval()(images[0]))


def test_what_is_exchanged() -> None:
    """Plain BatchNorm alone; on a GPU by torch's own."""

    class Other(nn.BatchNorm2d):
        pass

    made = nn.Sequential(nn.BatchNorm2d(3), nn.Sequential(nn.BatchNorm2d(3), Other(3)), nn.GroupNorm(1, 3)).eval()
    synchronise(made, torch.device("cuda"))
    assert type(made[0]) is type(made[1][0]) is nn.SyncBatchNorm and not made[0].training
    assert type(made[1][1]) is Other and type(made[2]) is nn.GroupNorm
