"""What tuning a shipped model gained: its figures as it came and afterwards, pair by pair on one held-out set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaname import config as configuration
from kaname.pipeline.labelled import Result
from kaname.pipeline.recipe import Recipe
from kaname.reporting.compare import comparison, shown_p
from kaname.reporting.names import readable
from kaname.reporting.page import Cell, Interval, Table, interval
from kaname.reporting.results import figure_cell


@dataclass(frozen=True)
class Gain:
    """A shipped model before and after.

    Attributes:
        recipe: whose model it is.
        model: its name.
        before: ``{group: {metric: {"value", "low", "high", "n"}}}`` of the model as it came.
        after: the same of the tuned one.
        pairs: of the two, as in ``compare.json``.
        shown: group and metric of the figures to show.
    """

    recipe: str
    model: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    pairs: Mapping[str, Any]
    shown: Sequence[tuple[str, str]]

    def lines(self) -> list[str]:
        """Both in a line each, for the screen."""
        sides = (("as shipped", self.before), ("tuned", self.after))
        return [f"{self.recipe}, {self.model} {name}: {self._figures(groups)}" for name, groups in sides]

    def table(self) -> Table:
        """Both side by side, with the difference."""
        rows: list[list[Cell]] = []
        for group, metric in self.shown:
            pair, sides = self.pairs[group][metric], [one[group][metric] for one in (self.before, self.after)]
            change = pair["difference"]
            moved = None if change is None else Interval(change, pair["low"], pair["high"], pair["n"])
            name = f"{readable(group)}: {readable(metric)}"
            rows.append([name, *map(interval, sides), moved, shown_p(pair["p_value"], 3)])
        settings = self.pairs["settings"]
        note = (
            f"{settings['pairs']} {settings['sample']}s that neither trained nor chose weights, answered by the model "
            f"{self.model} as it is shipped and by the tuned one. 95 % intervals; that of the difference, and its "
            "p-value (a permutation test), over pairs of answers. For distances and errors, less is better."
        )
        return Table(["", "as shipped", "tuned", "tuned - as shipped", "p"], rows, "What tuning gained", note)

    def to_dict(self) -> dict[str, Any]:
        """``model``, ``as_shipped`` (as in metrics.json) and ``compare`` (as compare.json; B is the tuned one)."""
        return {"model": self.model, "as_shipped": self.before, "compare": configuration.plain(self.pairs)}

    def _figures(self, groups: Mapping[str, Any]) -> str:
        return ", ".join(f"{group} {metric} {figure_cell(groups[group][metric])}" for group, metric in self.shown)


def gain_of(
    recipe: Recipe,
    model: str,
    before: Result,
    after: Result,
    folders: tuple[Path, Path],
    shown: Sequence[tuple[str, str]],
) -> Gain:
    """Compare two evaluations of one set.

    Args:
        model: name of the shipped model.
        before, after: what ``evaluate`` returned of it and of the tuned one.
        folders: that they were written to.
        shown: group and metric of the figures to show.

    Raises:
        InputError: see `kaname.reporting.compare.comparison`.
    """
    assert recipe.judging.compare is not None
    settings = after.settings
    chosen = {"split": None, "cluster": None, "options": settings["named"]}
    files = [folder / settings["set"] / recipe.answering.predictions[0] for folder in folders]
    first, second = (recipe.judging.compare(file, Path(settings["data"]), **chosen) for file in files)
    return Gain(recipe.name, model, before.groups, after.groups, comparison(first, second), shown)
