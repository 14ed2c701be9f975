"""What the pipeline knows of a recipe: one value of plain functions, imported when they are first called.

Adding a recipe: a folder with the files of the table in `kaname.recipes`, this value in its ``__init__.py``, and its
name in `kaname.recipes.RECIPES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kaname.pipeline.answering import Answering
from kaname.pipeline.judging import Judging
from kaname.pipeline.part import Part, parts


@dataclass(frozen=True, repr=False, eq=False)  # what nobody calls would cost the start of every command 10 ms
class Recipe:
    """A recipe: what its training needs, and how it answers and is judged; what is called is a `Part`.

    Attributes:
        name: of the command.
        summary: one line for the help.
        verbs: verb to (``module:function``, one line for the help); several verbs may share a function.
        schema: the dataclass of the configuration.
        read_sets: ``(config) -> Sets``: ``train`` and, where there is one, ``val``; checked for training.
        build: ``(config, card=None) -> nn.Module`` with tensors by name in and out, ``inputs`` and ``heads``; from the
            ``card`` of a file nothing is downloaded and no data is read.
        describe: ``(config, network) -> dict``: the card's fields that are this recipe's own.
        samples: ``(config, items, augment=) -> Samples``, with ``augmented``: whether a sample changes by epoch.
        step: ``(config) -> step`` of a `kaname.training.task.Task`.
        answering, judging: what comes after training.
        task: ``(config, network, samples, held_out) -> dict``: further fields of that task; ``card`` adds to its card.
        pictures: ``(config, items, epoch, folder)``: what is drawn of an epoch's files; ``items`` are those of ``val``.
        debug: ``(samples, folder)``: some samples as the network sees them.
        demo: ``(folder) -> (sections, figures)``, for ``kaname demo``.
        loop: section of the configuration that holds the `TrainSettings`.
        data: dotted key of the data folder in the configuration.
        paths: dotted keys of further files and folders that a run depends on.
        weights: dotted key of a file that training starts from; a resumed run does without it and builds by its card.
        fixed: dotted keys of model and input, which must not differ when a checkpoint is resumed.
        heads: dotted keys that decide on the activation of its heads; shipped weights bring theirs.
        best_name: file name of the best weights.
        offline: how the network is chosen that needs no pretrained weights, for remedies.
    """

    name: str
    summary: str
    verbs: Mapping[str, tuple[str, str]]
    schema: Part
    read_sets: Part
    build: Part
    describe: Part
    samples: Part
    step: Part
    answering: Answering
    judging: Judging
    task: Callable[..., Mapping[str, Any]] = lambda *_: {}
    pictures: Part | None = None
    debug: Callable[..., None] = lambda *_: None
    demo: Part | None = None
    loop: str = "train"
    data: str = "data"
    paths: Sequence[str] = ()
    weights: str = ""
    fixed: Sequence[str] = ()
    heads: Sequence[str] = ()
    best_name: str = "best.pt"
    offline: str = "`--config small`"

    @classmethod
    def of(cls, package: str, **own: Any) -> Recipe:
        """That of a package, whose functions have their usual names; ``own`` are other fields or names."""
        usual = {"read_sets": "labels:training_sets", "build": "model:build", "describe": "model:describe",
                 "samples": "data:Samples", "step": "step:step_of", "demo": "demo:DEMO"}  # fmt: skip
        return cls(name=package.rpartition(".")[2], **parts(package, usual | own))
