"""The loss: what it adds up, from when, and that no split of a batch changes a gradient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from kaname.data.dataset import stacked
from kaname.errors import InputError
from kaname.metrics import masks as metrics
from kaname.recipes.roimask.config import LossSettings
from kaname.recipes.roimask.labels import IGNORE
from kaname.recipes.roimask.model import build
from kaname.recipes.roimask.step import figures_of, losses_of, step_of
from kaname.training.update import scaled
from kaname.types import Batch
from recipes.roimask import crowds

EVERYTHING = {
    "loss__dice_non_target_weight": 0.5, "loss__boundary_weight": 0.3, "loss__contrast_weight": 0.2,
    "loss__touching_weight": 2.0, "loss__border_ignore": 1, "loss__focal_gamma": 2.0,
}  # fmt: skip


def batch_of(config: Any, count: int, *, seed: int = 0, epoch: int = 0) -> Batch:
    """Random features and classes of ``count`` boxes."""
    random = np.random.default_rng(seed)
    network = build(config)
    rows = []
    for _ in range(count):
        classes = (
            random.integers(0, 3, (4, 4))
            .repeat(network.head.mask_size[0] // 4, 0)
            .repeat(network.head.mask_size[1] // 4, 1)
        )
        classes = np.where(random.random(classes.shape) < 0.03, IGNORE, classes).astype(np.uint8)
        row: dict[str, Any] = {"classes": classes, "epoch": np.array(epoch)}
        if network.on_box:
            row["pooled"] = random.normal(size=(crowds.CHANNELS, 4, 4)).astype(np.float32)
        else:
            row |= {
                "features": random.normal(size=(crowds.CHANNELS, 12, 12)).astype(np.float32),
                "boxes": np.float32([0.1, 0.2, 0.6, 0.9]),
                "grid": random.integers(0, 3, network.grid).astype(np.uint8),
            }
        rows.append(row)
    tensors = stacked(rows)
    names = ("pooled",) if network.on_box else ("features", "boxes")
    inputs = {name: tensors.pop(name) for name in names}
    return Batch(inputs, tensors, torch.arange(count))


def document(logits: torch.Tensor, target: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The written plan's loss: weighted cross-entropy and the Dice of class 1, of one box."""
    entropy = functional.cross_entropy(logits, target, weight=weights, reduction="mean")
    true, found = (target == 1).float(), functional.softmax(logits, dim=1)[:, 1]
    return entropy + 1 - 2 * (found * true).sum() / (found.sum() + true.sum() + 1e-6)


def test_one_box_gives_the_written_plans_loss() -> None:
    """Within 1e-6, with class weights."""
    torch.manual_seed(0)
    logits, target = torch.randn(1, 3, 8, 8), torch.randint(0, 3, (1, 8, 8))
    weights = (0.6, 0.8, 1.6)
    total = 0.0
    for function, factor, _ in losses_of(LossSettings(), weights).values():
        value, count = function(logits, target, None)
        total += factor * float(value / count)
    assert abs(total - float(document(logits, target, torch.tensor(weights)))) <= 1e-6


@pytest.mark.parametrize("head", ["crop", "roimap", "dynamic"])
def test_any_split_of_a_batch_gives_one_gradient(folder: Path, head: str) -> None:
    """Eight at once, and two times four: within 1e-6, with every term."""
    sizes = {"crop": ([4, 4], [8, 8]), "roimap": (..., [24, 24]), "dynamic": ([4, 4], [24, 24])}[head]
    config = crowds.config_of(folder, head__name=head, head__roi_size=sizes[0], head__mask_size=sizes[1], **EVERYTHING)
    torch.manual_seed(0)
    network, step = build(config).train(), step_of(config)
    whole = batch_of(config, 8)

    def part(rows: slice) -> Batch:
        return Batch(
            {name: value[rows] for name, value in whole.inputs.items()},
            {name: value[rows] for name, value in whole.targets.items()},
            whole.index[rows],
        )

    def gradient(batches: list[Batch]) -> torch.Tensor:
        network.zero_grad()
        outputs = [step(network, batch) for batch in batches]
        weight = sum(float(next(iter(output.terms.values())).weight) for output in outputs)
        for output in outputs:
            scaled(output, [1 / weight]).backward()
        return torch.cat([value.grad.flatten() for value in network.parameters() if value.grad is not None])

    one, two = gradient([whole]), gradient([part(slice(0, 3)), part(slice(3, 8))])
    assert (one - two).norm() <= 1e-6 * one.norm() and one.norm() > 0


def test_terms_begin_in_their_epoch(folder: Path) -> None:
    """Before it they weigh nothing in training; while validating they always count."""
    config = crowds.config_of(folder, **EVERYTHING, loss__boundary_from=3, loss__dice_non_target_from=2)
    network, step = build(config), step_of(config)
    factors = {
        epoch: {name: term.factor for name, term in step(network, batch_of(config, 2, epoch=epoch)).terms.items()}
        for epoch in (-1, 0, 1, 2)
    }
    assert factors[0]["boundary"] == factors[0]["dice_non_target"] == factors[1]["boundary"] == 0
    assert factors[1]["dice_non_target"] == 0.5 and factors[2]["boundary"] == factors[-1]["boundary"] == 0.3
    assert set(factors[0]) == set(factors[2]) == {"ce", "dice_target", "dice_non_target", "boundary", "contrast"}


@pytest.mark.parametrize("head", ["crop", "roimap"])
def test_counts_are_the_figures(folder: Path, head: str) -> None:
    """What validation adds up gives the figures that the metrics give."""
    sizes = ([4, 4], [8, 8]) if head == "crop" else (..., [24, 24])
    config = crowds.config_of(folder, head__name=head, head__roi_size=sizes[0], head__mask_size=sizes[1])
    network, step, batch = build(config).eval(), step_of(config), batch_of(config, 6, epoch=-1)
    with torch.no_grad():
        sums = {name: float(value) for name, value in step(network, batch).counts.items()}
        logits = network(batch.inputs)["masks"]
    truth = batch.targets["classes"]
    if head == "roimap":
        rois = torch.cat([torch.zeros(6, 1), batch.inputs["boxes"]], dim=1)
        logits, truth = network.on_grid(logits, rois), batch.targets["grid"]
    tables = metrics.confusions(logits.argmax(dim=1).numpy(), truth.numpy(), 3, IGNORE)
    found = figures_of(3)(sums)
    assert found["miou_classes_1_2"] == pytest.approx(metrics.miou_classes_1_2(tables))
    assert found["leak"] == pytest.approx(metrics.leak(tables))
    assert found["iou_target_mean"] == pytest.approx(np.nanmean(metrics.target_iou(tables)))
    merged = tables[:, :, [0, 1]]
    merged = np.stack([merged[:, 0] + merged[:, 2], merged[:, 1]], axis=1)
    sums |= {"n02": 0.0, "n12": 0.0, "n22": 0.0}  # a network of two classes calls nothing a non-target
    assert figures_of(2)(sums)["iou_target"] == pytest.approx(metrics.ious(merged.sum(axis=0))[1])


def test_two_classes_have_no_losses_of_the_third(folder: Path) -> None:
    """Refused by name; without them it trains."""
    for key in ("dice_non_target_weight", "contrast_weight"):
        with pytest.raises(InputError, match="2 classes"):
            crowds.config_of(folder, classes=2, **{f"loss__{key}": 1})
    config = crowds.config_of(folder, classes=2)
    output = step_of(config)(build(config), batch_of(config, 2))
    assert torch.isfinite(output.terms["ce"].sum) and set(output.terms) == {"ce", "dice_target"}
