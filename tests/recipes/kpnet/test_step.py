"""The loss of a step: any split into batches gives one gradient, and every term knows what counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kaname.recipes.kpnet import MAPS, SEGMENTATION, VISIBILITY
from kaname.recipes.kpnet.config import KpnetConfig, LossSettings, ModelSettings
from kaname.recipes.kpnet.step import step_of, summarise
from kaname.types import Batch, StepOutput

CHANNELS, CLASSES, CELLS, CANVAS = 4, 3, 8, 32
LOSS = LossSettings(seg_weight=0.15, hm_consist_weight=0.05, coord_consist_weight=0.05)
CONFIG = KpnetConfig(image_size=CANVAS, heatmap_size=CELLS, model=ModelSettings(backbone="small:8"), loss=LOSS)


class Plain(nn.Module):
    """A network in double precision: a layer for each head, on the mean of blocks of pixels."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.maps, self.classes = nn.Conv2d(3, CHANNELS, 3, padding=1), nn.Conv2d(3, CLASSES, 3, padding=1)
        self.states = nn.Linear(3, CHANNELS * 3)
        self.double()

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        cells = nn.functional.avg_pool2d(inputs["images"].double() / 255, CANVAS // CELLS)
        return {
            MAPS: Wide(self.maps(cells) * 4),
            VISIBILITY: Wide(self.states(cells.mean(dim=(2, 3)))),
            SEGMENTATION: Wide(self.classes(cells)),
        }


class Wide(Tensor):
    """A tensor that ``float()`` leaves in double precision."""

    @staticmethod
    def __new__(cls, value: Tensor) -> Any:
        return value.as_subclass(cls)

    def float(self, *_: Any, **__: Any) -> Tensor:
        return self.as_subclass(Tensor)


def targets(count: int) -> dict[str, Tensor]:
    """Frames of which the second has no point, the third no mask and the fourth no frame before."""
    random = torch.Generator().manual_seed(1)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=random)

    visible = (uniform(CHANNELS) * 4).long() - 1
    visible[1] = 0
    there = visible > 0
    points = torch.where(there[:, :, None], uniform(CHANNELS, 2) * CANVAS, torch.nan)
    classes = (uniform(CELLS, CELLS) * CLASSES).to(torch.uint8)
    classes[2] = 255
    seen = uniform(CANVAS, CANVAS) < 2
    seen[3] = False
    return {
        "heatmaps": (uniform(CHANNELS, CELLS, CELLS) * 255).to(torch.uint8),
        "there": there,
        "points": points,
        "scale": 1 + uniform(2),
        "visible": visible,
        "classes": classes,
        "before_images": (uniform(CANVAS, CANVAS, 3) * 255).to(torch.uint8),
        "forward": uniform(CANVAS, CANVAS, 2) * 2,
        "backward": uniform(CANVAS, CANVAS, 2) * 2,
        "seen": seen,
        "seen_before": seen.clone(),
        "images": (uniform(3, CANVAS, CANVAS) * 255).to(torch.uint8),
    }


def batch(rows: list[int]) -> Batch:
    chosen = {name: value[rows] for name, value in targets(4).items()}
    return Batch({"images": chosen.pop("images")}, chosen, torch.tensor(rows))


def gradient(config: KpnetConfig, splits: list[list[int]]) -> dict[str, Tensor]:
    """What the update makes of several batches: each term by its weight over all of them."""
    model = Plain().train()
    outputs = [step_of(config)(model, batch(rows)) for rows in splits]
    for name in outputs[0].terms:
        whole = sum(float(output.terms[name].weight) for output in outputs)
        for output in outputs:
            term = output.terms[name]
            (term.sum * term.factor / max(whole, 1)).backward(retain_graph=True)
    return {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("splits", [[[0, 1], [2, 3]], [[3], [2], [1, 0]], [[1], [0, 2, 3]]])
def test_any_split_gives_one_gradient(splits: list[list[int]]) -> None:
    whole, parts = gradient(CONFIG, [[0, 1, 2, 3]]), gradient(CONFIG, splits)
    assert set(whole) == set(parts) and len(whole) == 6
    for name, value in whole.items():
        assert float((value - parts[name]).norm()) <= 1e-9 * float(value.norm()), name


def test_each_term_counts_where_there_is_something() -> None:
    output: StepOutput = step_of(CONFIG)(Plain().train(), batch([0, 1, 2, 3]))
    weights = {name: float(term.weight) for name, term in output.terms.items()}
    assert weights["heatmap"] == weights["coordinates"] == 3  # one frame has no point
    assert weights["visibility"] == 4
    assert weights["segmentation"] == 3  # one has no mask
    assert weights["heatmap_consistency"] == 3  # one has no frame before
    assert not output.counts


def test_heads_that_weigh_nothing_are_in_the_graph() -> None:
    """Several processes, and the optimiser of a later stage, need a gradient of every parameter."""
    config = replace(CONFIG, loss=replace(LOSS, seg_weight=0, visibility_weight=0))
    found = gradient(config, [[0, 1, 2, 3]])
    assert len(found) == 6
    assert not found["classes.weight"].any() and found["maps.weight"].any()


def test_the_figures_of_a_perfect_and_of_a_wrong_answer() -> None:
    model = Plain().eval()
    counts = step_of(CONFIG)(model, batch([0, 1, 2, 3])).counts
    sums = {name: float(value) for name, value in counts.items()}
    visible = targets(4)["visible"]
    assert sums["seen"] == int((visible == 2).sum()) and sums["known"] == int((visible >= 0).sum())
    figures = summarise({**sums, "found": sums["seen"], "told": 0.0})
    assert figures["pck_by_channel"] == 1 and figures["visibility_accuracy"] == 0 and 0 <= figures["miou"] <= 1
