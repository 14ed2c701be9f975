"""What an epoch's weights are chosen by."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from kaname.geometry.grid import Grid
from kaname.recipes.tracknet.config import DetectSettings, LossSettings, TracknetConfig
from kaname.recipes.tracknet.step import f1_of_sums, found_and_missed, step_of
from kaname.types import Batch


def batch_of(cells: list[tuple[int, int, float]], balls: list[tuple[float, float]], mask: list[float]) -> tuple:
    """One frame a row: its highest cell with its logit, where the ball is (cells; NaN: nowhere), how much it counts."""
    count = len(cells)
    logits = torch.full((count, 1, 8, 12), -9.0)
    for number, (column, row, height) in enumerate(cells):
        logits[number, 0, row, column] = height
    ball = torch.from_numpy(GRID.from_index(balls)).float()[:, None]
    empty = torch.zeros(count, 1, 8, 12, dtype=torch.uint8)
    targets = {
        "ball": ball, "present": torch.isfinite(ball).all(dim=2).to(torch.uint8), "mask": torch.tensor(mask)[:, None],
        "scale": torch.ones(count, 2), "heatmaps": empty,
        "fresh": torch.tensor(mask)[:, None] > 0,
    }  # fmt: skip
    return logits, targets


CELLS = [(5, 4, 2.0), (5, 4, 2.0), (5, 4, 2.0), (5, 4, -2.0), (5, 4, 2.0), (0, 0, -9.0), (5, 4, 2.0)]
NONE = (math.nan, math.nan)
BALLS = [(5.0, 4.0), (7.0, 4.0), (5.0, 5.4), (5.0, 4.0), NONE, NONE, (5.0, 4.0)]
MASK = [1.0, 0.5, 1.0, 1.0, 1.0, 1.0, 0.0]
GRID = Grid((3.0, 2.0))
CELL = DetectSettings(method="argmax")


def test_counts_by_hand() -> None:
    """Within 4 px (2 cells of 2 px across; 1.4 cells of 3 px down are 4.2). A frame that counts half in the loss counts
    as one, one that the window before has answered not at all."""
    logits, targets = batch_of(CELLS, BALLS, MASK)
    sums = {name: float(value) for name, value in found_and_missed(logits, targets, CELL, GRID).items()}
    assert sums == {"found": 2, "wrong": 2, "missed": 1}
    assert f1_of_sums(sums) == {"f1": pytest.approx(4 / (4 + 2 + 1))}
    loose = replace(CELL, tolerance=5.0, score_threshold=0.1)
    wide = {name: float(value) for name, value in found_and_missed(logits, targets, loose, GRID).items()}
    assert wide == {"found": 4, "wrong": 1, "missed": 0}
    assert f1_of_sums({"found": 0, "wrong": 0, "missed": 0}) == {"f1": 0}


@pytest.mark.parametrize("loss", ["focal", "mse", "bce"])
def test_the_step_sums_over_what_counts(loss: str) -> None:
    """A batch is the sum of its parts; frames that the mask leaves out add nothing."""
    logits, targets = batch_of(CELLS, BALLS, MASK)

    class Fixed(torch.nn.Module):
        def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {"heatmaps": logits[inputs["images"][:, 0, 0, 0].long()]}

    step = step_of(TracknetConfig(loss=LossSettings(loss)))  # type: ignore[arg-type]

    def run(rows: list[int], *, training: bool = True) -> tuple[float, float, set[str]]:
        images = torch.tensor(rows, dtype=torch.uint8)[:, None, None, None]
        part = {name: value[rows] for name, value in targets.items()}
        batch = Batch({"images": images}, part, torch.tensor(rows))
        output = step(Fixed().train(training), batch)
        (term,) = output.terms.values()
        return float(term.sum), float(term.weight), set(output.counts)

    whole, parts = run(list(range(7))), [run([number]) for number in range(7)]
    assert whole[0] == pytest.approx(sum(part[0] for part in parts), rel=1e-5)
    assert whole[1] == pytest.approx(sum(part[1] for part in parts)) and parts[6][:2] == (0, 0)
    assert parts[1][1] == pytest.approx(0.5 * parts[0][1])
    assert whole[2] == set() and run([0, 1], training=False)[2] == {"found", "wrong", "missed"}
