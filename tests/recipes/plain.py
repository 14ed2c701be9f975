"""What the recipes of the tests have in common: names of functions, and verbs without flags of their own.

A real recipe writes its own ``RECIPE`` and verbs. One of the tests is a package of two files: ``__init__.py`` holds
``Config``, ``labelled``, ``decode_of``, ``feed_of``, ``score``, ``truth`` and what `commands_of` and ``predict`` make;
``network.py`` holds ``build``, ``describe``, ``Samples`` and ``step_of``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from kaname.errors import InputError
from kaname.geometry.image import read_image
from kaname.pipeline import answers
from kaname.pipeline.answering import Answering
from kaname.pipeline.flags import (
    Checkpoint,
    OnnxFile,
    OutFolder,
    ParityCount,
    Results,
    TrainFlags,
    Weights,
    report_problems,
    resolve,
    run_options,
)
from kaname.pipeline.judging import Judging
from kaname.pipeline.part import Part
from kaname.pipeline.recipe import Recipe
from kaname.recipes import recipe_of

Data = Annotated[Path, Parameter(help="Folder with train/ and val/.")]
Predictions = Annotated[Path | None, Parameter(help="A file of predictions.")]
VERBS = {
    "sample": "Render a small data set.",
    "check": "Read a data set and report every problem.",
    "train": "Train.",
    "evaluate": "Score a model or a file of predictions.",
    "predict": "Predict.",
    "export": "Write an ONNX file.",
    "draw": "Draw labels or predictions.",
}


def recipe(name: str, summary: str, **own: Any) -> Recipe:
    """The value of a recipe of the tests; ``own`` are fields of its own, those of `Answering`
    and `Judging` under their names."""
    light, heavy = f"recipes.{name}:", f"recipes.{name}.network:"

    def read_sets(config: Any) -> dict[str, Any]:
        labelled = recipe_of(name).judging.labelled(config.data, {})
        return {each: labelled.read(each)[: config.train.limit or None] for each in labelled.names}

    answering, judging = own.pop("answering", {}), own.pop("judging", {})
    return Recipe(
        name=name,
        summary=summary,
        verbs={verb: (f"{light}{verb}", text) for verb, text in VERBS.items()},
        schema=Part(f"{light}Config"),
        read_sets=read_sets,  # type: ignore[arg-type]
        build=Part(f"{heavy}build"),
        samples=Part(f"{heavy}Samples"),
        step=Part(f"{heavy}step_of"),
        describe=Part(f"{heavy}describe"),
        answering=Answering(
            decode=Part(f"{light}decode_of"),
            feed=Part(f"{light}feed_of"),
            read=partial(answers.read, recipe=name),
            **answering,
        ),
        judging=Judging(
            labelled=Part(f"{light}labelled"), score=Part(f"{light}score"), truth=Part(f"{light}truth"), **judging
        ),
        **own,
    )


def commands_of(
    name: str, schema: type[Any], render: Callable[[Path, int, int], None]
) -> tuple[Callable[..., None], ...]:
    """``sample``, ``check``, ``train``, ``evaluate``, ``export`` and ``draw`` of a recipe."""

    def sample(*, out: OutFolder, count: int = 8, seed: int = 0) -> None:
        render(out, count, seed)

    def check(*, data: Data) -> None:
        labelled = recipe_of(name).judging.labelled(data, {})
        problems: list[InputError] = []
        for path in [path for each in labelled.names for item in labelled.read(each) for path in item.frames]:
            try:
                read_image(path)
            except InputError as error:
                problems.append(error)
        report_problems(problems)

    def train(*overrides: str, data: Data | None = None, flags: TrainFlags = TrainFlags()) -> None:
        config = resolve(recipe_of(name), flags, overrides, {"data": data})
        if config is not None:
            from kaname.pipeline.train import run

            run(recipe_of(name), config, run_options(recipe_of(name), flags, config.train, Path("runs")))

    def evaluate(
        *, data: Data, checkpoint: Checkpoint | None = None, predictions: Predictions = None, out: Results = None
    ) -> None:
        from kaname.pipeline.evaluate import evaluate as run

        folder = recipe_of(name).judging.labelled(data, {})
        run(recipe_of(name), folder, checkpoint=checkpoint, predictions=predictions, out=out)

    def export(*, checkpoint: Weights, out: OnnxFile, count: ParityCount = 8) -> None:
        from kaname.pipeline.export import export as run

        run(recipe_of(name), checkpoint, out, None, count)

    def draw(
        *, out: OutFolder, data: Data | None = None, predictions: Predictions = None, images: Path | None = None
    ) -> None:
        from kaname.pipeline.draw import draw as run

        folder = None if data is None else recipe_of(name).judging.labelled(data, {})
        run(recipe_of(name), folder, predictions, images, out, 0)

    return sample, check, train, evaluate, export, draw
