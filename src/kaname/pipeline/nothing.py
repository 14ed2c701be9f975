"""A model that finds nothing says so: how high its maps reach, what a point needs, what to do. No torch here.

Without this an untrained model and a threshold that is too high both look like a photograph without anything in it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from kaname.data.formats.points import together
from kaname.inference.model import Model
from kaname.inference.request import Request, main_output
from kaname.pipeline.recipe import Recipe
from kaname.pipeline.unlike import note, surest
from kaname.types import Answer, Masks, Points

Row = TypeVar("Row", bound=Any)


class Finds:
    """Counts the points that a model finds, and knows how high its maps reach."""

    def __init__(self, recipe: Recipe, settings: Any) -> None:
        self.recipe, ways = recipe, recipe.answering
        self.threshold: float | None = getattr(settings, ways.threshold) if ways.threshold else None
        self.presence: float = getattr(settings, ways.presence) if ways.presence else 0.0
        # where the answers are made with a threshold of their own, their scores decide
        self.least = self.threshold if recipe.judging.predicted(settings) != settings else None
        self.answers, self.found, self.highest = set[Any](), 0, 0.0
        self.by_name: dict[str, int] = {}  # of sets of points
        self.card: Mapping[str, Any] = {}
        self.scores: list[float] = []  # of pictures, where the model knows what they usually are
        self.boxless = False  # whether a model of boxes was given whole pictures

    def watching(self, model: Model) -> Model:
        """The same model; how high its maps reach is noted."""
        self.card = model.card

        def decode(outputs: Mapping[str, Any], request: Request) -> list[Answer]:
            self.saw(outputs)
            return model.decode(outputs, request)

        def closely(outputs: Mapping[str, Any], request: Request) -> list[Answer]:
            self.saw(outputs, again=True)
            return model.decode(outputs, request)

        return model.using(model.runner, decode, closely)

    def saw(self, outputs: Mapping[str, Any], *, again: bool = False) -> None:
        """Note what a network put out; ``again``: of a part of the picture that it saw last."""
        if not outputs:
            return
        if not again:  # of what was not answered after all nobody needs to know how high it reached
            self.highest = max(self.highest, float(np.nan_to_num(main_output(outputs)).max(initial=0)))
        if "zoo" in self.card:
            scores = surest(main_output(outputs)).tolist()
            self.scores += [max(self.scores.pop(), *scores)] if again and self.scores else scores

    def _count(self, answer: Answer) -> None:
        self.found += count(answer, self.least)
        if not isinstance(answer, Masks) and not answer.visible:
            for name, xy in answer.xy.items():
                alone = Points({name: xy}, {name: answer.scores[name]}, answer.size)
                self.by_name[name] = self.by_name.get(name, 0) + count(alone, self.least)

    def counting(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The same rows; their images (or frames) are counted, and what was found there."""
        for row in rows:
            self.answers.add((getattr(row, "source", ""), row.frame))
            if (answer := getattr(row, "answer", None)) is not None:
                self._count(answer)
            yield row

    def read(self, rows: Iterable[Any]) -> Finds:
        """Count the rows of a file of predictions."""
        for row in self.counting(rows):
            answer = getattr(row, "answer", None)
            if answer is None:  # of one object
                self.highest = max(self.highest, row.score)
                self.found += row.there and row.score > (self.least or 0.0)
                continue
            highest = 0.0 if isinstance(answer, Masks) else np.nan_to_num(together(answer.scores)).max(initial=0)
            self.highest = max(self.highest, float(highest))
        return self

    def warn_unlike(self) -> None:
        """Warn where the pictures are unlike those that the model knows (`kaname.pipeline.unlike`)."""
        if line := note(self.card, self.scores, self.recipe.answering.unit, boxless=self.boxless):
            warnings.warn(line, stacklevel=2)

    def said(self) -> list[str]:
        """One line where nothing was found at all, or nothing of some names; else none."""
        missing = [name for name, found in self.by_name.items() if not found] if self.found else ["nothing"]
        if not missing or not self.answers:
            return []
        unit = f"{self.recipe.answering.unit}s"
        several = len(self.answers) > 1
        what = missing[0] if not self.found else " and ".join(f"no {name}" for name in missing)
        line = f"warning: {what} was found in {len(self.answers)} {unit if several else self.recipe.answering.unit}"
        learn = "train longer" if "zoo" not in self.card else "train on your own (--init zoo)"
        if self.found:
            return [f"{line}, though {self.found} other points were: {learn}, or label more of them"]
        if self.threshold is None:
            return [f"{line}: {learn}, or give other {unit}"]
        line += f": the highest score is {self.highest:.3g} and a point needs {self.threshold:g}"
        if self.highest > self.threshold and self.presence:
            key = f"{self.recipe.answering.section}.{self.recipe.answering.presence}"
            return [f"{line}, but too few reach {self.presence:g} ({key}); {key}=0 shows what there is"]
        flag = f"--{self.recipe.answering.threshold.replace('_', '-')}"
        return [f"{line}; {learn}, lower the threshold ({flag} {self.highest / 2:.1g}) or give other {unit}"]


def count(answer: Answer, least: float | None = None) -> int:
    """How many points an answer has, with a score above ``least`` where that is given, or how many masks."""
    if isinstance(answer, Masks):
        return int((answer.probabilities.argmax(axis=1) == 1).any(axis=(1, 2)).sum()) if len(answer.boxes) else 0
    if not answer.xy:
        return 0
    there = np.isfinite(together(answer.xy)).all(axis=1)
    if answer.visible:
        there &= together(answer.visible, answer.xy, unknown=1) > 0
    if least is not None:
        there &= together(answer.scores, answer.xy) > least
    return int(there.sum())
