"""What the pipeline knows of a recipe: one value of plain functions, imported when they are first called.

Adding a recipe: a folder with the files of the table in `kaname.recipes`, this value in its ``__init__.py``, and its
name in `kaname.recipes.RECIPES`.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Part:
    """A function or class of a recipe, ``module:name``; imported when it is first called or asked for."""

    target: str

    @property
    def value(self) -> Any:
        """The function or class itself."""
        module, _, name = self.target.partition(":")
        return getattr(importlib.import_module(module), name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.value(*arguments, **named)


@dataclass(frozen=True, repr=False, eq=False)  # what nobody calls would cost the start of every command 10 ms
class Recipe:
    """A recipe; what is called is a `Part`, so that nothing is imported before it is needed.

    Attributes:
        name: of the command.
        summary: one line for the help.
        verbs: verb to (``module:function``, one line for the help); several verbs may share a function.
        schema: the dataclass of the configuration.
        read_sets: ``(config) -> Sets``: ``train`` and, where there is one, ``val``; checked for training.
        build: ``(config, card=None) -> nn.Module`` with tensors by name in and out, ``inputs`` and ``heads``; from the
            ``card`` of a file nothing is downloaded and no data is read.
        samples: ``(config, items, augment=) -> Samples``, with ``augmented``: whether a sample changes by epoch.
        step: ``(config) -> step`` of a `kaname.training.task.Task`.
        task: ``(config, network, samples, held_out) -> dict``: further fields of that task; ``card`` adds to its card.
        pictures: ``(config, items, epoch, folder)``: what is drawn of an epoch's files; ``items`` are those of ``val``.
        describe: ``(config, network) -> dict``: the card's fields that are this recipe's own.
        decode: ``(card, settings) -> decode``: from outputs to answers; ``settings``: section ``answers``.
        feed: ``(card, settings, path) -> feed`` of the file at ``path``, where that is more than images and boxes.
        closer: ``(settings) -> closer``: which part of an image is looked at again (`kaname.inference.second_look`).
        reading: ``(answer, low, high, unit) -> reading`` of a measuring instrument, for ``model.read``.
        read: ``(path) -> rows`` of a file of predictions, with ``source`` and ``frame``; by default, as the two
            below, of `kaname.pipeline.answers`.
        write: ``(path, predictions, about) -> counts``: such a file, with what made them.
        made: ``(path) -> about`` of such a file; empty where it does not say.
        about: ``(card, how) -> dict``: what a file of predictions says of its model besides its name and settings.
        labelled: ``(data, config, words) -> Labelled``; ``data`` None stands for the data of a stored configuration.
        score: ``(path, items, settings, how) -> Result``; ``how`` are the recipe's own ways of scoring.
        asked: ``(model, items, settings, how) -> how``: further ways of scoring, from what only a model can be asked.
        page: ``(result, items, folder, model) -> dict``: the recipe's fields of a `kaname.reporting.report.Report`.
        ways: ``(config) -> how``: the configuration's own ways of scoring.
        telling: ``(sets) -> dict``: by set, the settings that tell it from another of its name.
        predicted: ``(settings) -> settings`` with which ``evaluate`` predicts.
        draw_outputs: ``(item, outputs, request, answer, settings, card, folder)``: pictures of one sample.
        debug: ``(samples, folder)``: some samples as the network sees them.
        truth: ``(item, number, about)``: what is true of a frame, an answer or ``(N, 2)`` by layer to draw.
        layers: ``(row) -> dict``: what a row of a file of predictions says, the same way.
        compare: ``(path, data, split=, cluster=, options=) -> Scored``, for ``kaname compare``.
        demo: ``(folder) -> (sections, figures)``, for ``kaname demo``.
        loop: section of the configuration that holds the `TrainSettings`.
        data: dotted key of the data folder in the configuration.
        paths: dotted keys of further files and folders that a run depends on.
        weights: dotted key of a file that training starts from; a resumed run does without it and builds by its card.
        answers: section of the configuration that may change after training; ``flip_test`` in it is the pipeline's own.
        threshold: its key that an answer's score must exceed.
        presence: its key that the scores of several must reach together, else nothing of the image is answered.
        late: its keys that may change when predictions are already written.
        fixed: dotted keys of model and input, which must not differ when a checkpoint is resumed.
        heads: dotted keys that decide on the activation of its heads; shipped weights bring theirs.
        best_name: file name of the best weights.
        predictions: file names of its predictions, that of ``evaluate`` first.
        scored: further names of files that ``kaname compare`` takes; with ``*`` it takes the folder of them.
        unit: what is predicted one by one, in a word.
        offline: how the network is chosen that needs no pretrained weights, for remedies.
    """

    name: str
    summary: str
    verbs: Mapping[str, tuple[str, str]]
    schema: Part
    read_sets: Part
    build: Part
    samples: Part
    step: Part
    describe: Part
    decode: Part
    labelled: Part
    score: Part
    truth: Part
    read: Callable[..., Any]
    write: Callable[..., Any] = Part("kaname.pipeline.answers:write")
    made: Callable[..., Any] = Part("kaname.pipeline.answers:made")
    page: Callable[..., Mapping[str, Any]] = lambda result, items, *_: {"subtitle": f"{len(items)} scored"}
    layers: Callable[[Any], Any] = lambda row: row.answer
    task: Callable[..., Mapping[str, Any]] = lambda *_: {}
    feed: Callable[..., Any] | None = None
    closer: Callable[..., Any] | None = None
    reading: Callable[..., Any] | None = None
    about: Callable[..., Mapping[str, Any]] = lambda *_: {}
    ways: Callable[..., Mapping[str, Any]] = lambda *_: {}
    telling: Callable[..., Mapping[str, Any]] = lambda *_: {}
    predicted: Callable[[Any], Any] = lambda settings: settings
    asked: Callable[..., Mapping[str, Any]] = lambda *_: {}
    draw_outputs: Callable[..., None] = lambda *_: None
    debug: Callable[..., None] = lambda *_: None
    compare: Part | None = None
    demo: Part | None = None
    pictures: Part | None = None
    loop: str = "train"
    data: str = "data"
    paths: Sequence[str] = ()
    weights: str = ""
    answers: str = "answers"
    threshold: str = ""
    presence: str = ""
    late: Sequence[str] = ()
    fixed: Sequence[str] = ()
    heads: Sequence[str] = ()
    best_name: str = "best.pt"
    predictions: Sequence[str] = ("points.json",)
    scored: Sequence[str] = ()
    unit: str = "image"
    offline: str = "`--config small`"


def usual_parts(package: str, **others: str | Part) -> dict[str, Any]:
    """The fields of a `Recipe` whose functions have their usual names, as the files have theirs.

    Args:
        others: targets of what is called otherwise, or lies elsewhere, or that not every recipe has.
    """
    usual = {
        "schema": "config:Config", "read_sets": "labels:training_sets", "build": "model:build",
        "samples": "data:Samples", "step": "step:step_of", "describe": "model:describe",
        "decode": "decode:decode_of", "about": "decode:about", "labelled": "labels:labelled",
        "score": "evaluate:score", "page": "report:page", "truth": "report:truth", "compare": "evaluate:compare",
        "demo": "demo:DEMO",
    }  # fmt: skip
    read = functools.partial(Part("kaname.pipeline.answers:read"), recipe=package.rpartition(".")[2])
    targets = (usual | others).items()
    return {"read": read} | {name: one if isinstance(one, Part) else Part(f"{package}.{one}") for name, one in targets}
