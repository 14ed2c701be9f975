"""The last lines of a run: where its model lies, its figures, what can be done with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kaname.data.log import read_rows
from kaname.pipeline.recipe import Recipe

if TYPE_CHECKING:
    from kaname.training.resume import Progress


def outcome(recipe: Recipe, progress: Progress, out: Path, *, scored: bool = False) -> list[str]:
    """The end of a run's story: where the model lies, its figures, what can be done with it; ``scored``: the figures of
    every set are there already."""
    best, epochs = out / recipe.best_name, progress.epoch
    rows = [row for row in read_rows(out / "log.csv") if row["epoch"] == progress.best_epoch]
    figures = ", ".join(f"{name} {value:.4g}" for row in rows for name, value in row.items() if name.startswith("val_"))
    came = f"epoch {progress.best_epoch} of {epochs}{f': {figures}' if figures else ', the last: nothing chose'}"
    then = f"evaluate --checkpoint {best} --out evaluation"
    if scored:
        then = f"predict {recipe.answering.unit.upper()}S --checkpoint {best} --out found"
    return [f"model: {best} ({came})", f"next: kaname {recipe.name} {then}"]
