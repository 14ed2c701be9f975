"""What the pipeline knows of how a recipe's answers are judged: labels, figures, pages and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kaname.pipeline.part import Part, parts


@dataclass(frozen=True, repr=False, eq=False)
class Judging:
    """A recipe's figures and pictures; what is called is a `Part`.

    Attributes:
        labelled: ``(data, config, words) -> Labelled``; ``data`` None stands for the data of a stored configuration.
        score: ``(path, items, settings, how) -> Result``; ``how`` are the recipe's own ways of scoring.
        truth: ``(item, number, about)``: what is true of a frame, an answer or ``(N, 2)`` by layer to draw.
        layers: ``(row) -> dict``: what a row of a file of predictions says, the same way.
        page: ``(result, items, folder, model) -> dict``: the recipe's fields of a `kaname.reporting.report.Report`.
        draw_outputs: ``(item, outputs, request, answer, settings, card, folder, name)``: pictures of one sample.
        asked: ``(model, items, settings, how) -> how``: further ways of scoring, from what only a model can be asked.
        ways: ``(config) -> how``: the configuration's own ways of scoring.
        telling: ``(sets) -> dict``: by set, the settings that tell it from another of its name.
        predicted: ``(settings) -> settings`` with which ``evaluate`` predicts.
        compare: ``(path, data, split=, cluster=, options=) -> Scored``, for ``kaname compare``.
        late: keys of the answers' section that may change when predictions are already written.
        scored: further names of files that ``kaname compare`` takes; with ``*`` it takes the folder of them.
    """

    labelled: Part
    score: Part
    truth: Part
    layers: Callable[[Any], Any] = lambda row: row.answer
    page: Callable[..., Mapping[str, Any]] = lambda result, items, *_: {"subtitle": f"{len(items)} scored"}
    draw_outputs: Callable[..., None] = lambda *_: None
    asked: Callable[..., Mapping[str, Any]] = lambda *_: {}
    ways: Callable[..., Mapping[str, Any]] = lambda *_: {}
    telling: Callable[..., Mapping[str, Any]] = lambda *_: {}
    predicted: Callable[[Any], Any] = lambda settings: settings
    compare: Part | None = None
    late: Sequence[str] = ()
    scored: Sequence[str] = ()

    @classmethod
    def of(cls, package: str, **own: Any) -> Judging:
        """That of a recipe's package, whose functions have their usual names; ``own`` are other fields or names."""
        usual = {"labelled": "labels:labelled", "score": "evaluate:score", "truth": "report:truth"}
        return cls(**parts(package, {**usual, "page": "report:page", "compare": "evaluate:compare", **own}))
