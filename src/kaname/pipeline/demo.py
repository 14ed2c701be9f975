"""``kaname demo``: a recipe from nothing to an export, on rendered data, with the sections of a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaname import config as configuration
from kaname.pipeline.labelled import Result
from kaname.pipeline.recipe import Recipe
from kaname.progress import Laps
from kaname.reporting.curves import curves
from kaname.reporting.page import Section, Svg, Table, Text, facts_table, metrics_table
from kaname.training.settings import RunOptions

OWN = (
    "Put your folders in the place of the names. These commands download nothing; networks with pretrained weights, "
    "which learn more from few images, are in the recipe's documentation."
)


@dataclass(frozen=True)
class Demo:
    """What a recipe's demo is made of.

    Attributes:
        sample: ``(folder)``: render ``folder/data`` and what is predicted afterwards.
        overrides: ``key=value`` of the configuration.
        groups: files of the configuration's sections, by name.
        data: ``(folder) -> paths`` of what was rendered, by configuration key; default: ``folder/data`` is the data.
        predict: ``(folder, export)``: predict with the exported file.
        intro: ``(result) -> lines`` that say what was trained on what.
        figures: ``(result) -> groups`` of the table.
        note: ``(result) -> line`` about the figures.
        pictures: ``(folder, result) -> sections``.
        curves: titles and columns of ``log.csv``.
        own: the commands for the user's own data.
        heading, table: of the recipe's part and of its table.
        export: file name of the ONNX file; default: the recipe's name.
        evaluate: further arguments of `kaname.pipeline.evaluate.evaluate`.
    """

    sample: Callable[[Path], None]
    overrides: Sequence[str]
    predict: Callable[[Path, Path], None]
    intro: Callable[[Result], Sequence[str]]
    pictures: Callable[[Path, Result], Sequence[Section]]
    curves: Mapping[str, Sequence[str]]
    own: str
    heading: str
    table: str
    groups: Mapping[str, Path] = field(default_factory=dict)
    data: Callable[[Path], Mapping[str, Path]] | None = None
    figures: Callable[[Result], Mapping[str, Any]] = lambda result: result.groups
    note: Callable[[Result], str] = lambda result: str(result.settings["intervals"])
    export: str = ""
    evaluate: Mapping[str, Any] = field(default_factory=dict)


def run(recipe: Recipe, demo: Demo, out: Path) -> tuple[list[Section], dict[str, Any]]:
    """Sample, train, evaluate, export with the parity check, and predict with the export, below ``out``.

    Returns:
        The sections of the page and, for screen and tests, the figures: ``metrics`` (as in metrics.json), ``parity``,
        ``seconds`` by stage.
    """
    from kaname.pipeline.evaluate import evaluate
    from kaname.pipeline.export import export
    from kaname.pipeline.train import run as train

    clock = Laps()
    demo.sample(out)
    clock.lap("sample")
    flags = {recipe.data: out / "data"} if demo.data is None else demo.data(out)
    config = configuration.load(recipe.schema.value, groups=demo.groups, overrides=demo.overrides, flags=flags)
    train(recipe, config, RunOptions(out_dir=out / "run", command=f"kaname demo {recipe.name}"))
    clock.lap("train")
    model, exported = out / "run" / recipe.best_name, out / (demo.export or f"{recipe.name}.onnx")
    (result,) = evaluate(recipe, checkpoint=model, out=out / "evaluation", **demo.evaluate).values()
    clock.lap("evaluate")
    parity = export(recipe, model, exported, None, 16).to_dict()
    clock.lap("export")
    demo.predict(out, exported)
    clock.lap("predict")
    log = out / "run" / "log.csv"
    drawings = [curves(log, names, title=title, logarithmic="oss" in title) for title, names in demo.curves.items()]
    pictures = list(demo.pictures(out, result))
    sections: list[Section] = [
        Text(demo.intro(result), heading=demo.heading),
        metrics_table(demo.figures(result), heading=demo.table, note=demo.note(result)),
        *pictures[:1],
        Svg(drawings, heading="Training"),
        *pictures[1:],
        facts_table(parity, "Does the ONNX file answer the same?"),
        Table(["stage", "seconds"], [[name, value] for name, value in clock.seconds.items()], heading="Time"),
        Text([OWN], code=demo.own, heading="Your own data"),
    ]
    metrics = {**result.groups, "settings": result.settings}
    return sections, {"metrics": metrics, "parity": parity, "seconds": clock.seconds}
