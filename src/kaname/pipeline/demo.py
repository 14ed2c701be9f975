"""``kaname demo``: a recipe from rendered data to an export, with the sections of a page.

Where a model of the recipe is shipped and its demo says how (`Demo.tuned`), that model is scored as it comes, tuned on
a few samples and scored again; else a network is trained from random weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaname import config as configuration
from kaname import zoo
from kaname.pipeline.gain import Gain, gain_of
from kaname.pipeline.labelled import Result
from kaname.pipeline.presets import Asked, resolve
from kaname.pipeline.recipe import Recipe
from kaname.pipeline.starting import Start, start_of
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
        overrides: ``key=value`` of the configuration; of a demo that tunes a shipped model they win over that model's
            settings and the preset ``zoo``.
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
        tuned: the demo where a model of the recipe is shipped: few samples to tune it on, and a set to score that no
            weights are chosen by.
        gained: group and metric of the figures that its page and its lines on the screen begin with.
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
    tuned: Demo | None = None
    gained: Sequence[tuple[str, str]] = ()


def run(recipe: Recipe, demo: Demo, out: Path) -> tuple[list[Section], dict[str, Any]]:
    """Sample, train, evaluate, export with the parity check, and predict with the export, below ``out``; of a shipped
    model evaluate it first, as it comes.

    Returns:
        The sections of the page and, for screen and tests, the figures: ``metrics`` (as in metrics.json), ``parity``,
        ``seconds`` by stage; where a shipped model was tuned, ``gain`` (see `kaname.pipeline.gain.Gain.to_dict`).
    """
    from kaname.pipeline.evaluate import evaluate
    from kaname.pipeline.export import export
    from kaname.pipeline.train import run as train

    shipped = zoo.of_recipe(recipe.name) if demo.tuned is not None else None
    demo = demo if shipped is None or demo.tuned is None else demo.tuned
    clock, gain = Laps(), None
    demo.sample(out)
    clock.lap("sample")
    start = None if shipped is None else start_of(recipe, Path(shipped.name))
    config, command = configured(recipe, demo, out, start), f"kaname demo {recipe.name}"
    scored = {"labelled": recipe.judging.labelled(None, configuration.to_dict(config), ()), **demo.evaluate}
    before = None
    if shipped is not None:
        plain = {**scored, "pictures": False}
        (before,) = evaluate(recipe, checkpoint=shipped.export, out=out / "as_shipped", **plain).values()
        clock.lap("evaluate")
    init = None if shipped is None else shipped.checkpoint
    train(recipe, config, RunOptions(out_dir=out / "run", init=init, command=command))
    clock.lap("train")
    model, exported = out / "run" / recipe.best_name, out / (demo.export or f"{recipe.name}.onnx")
    (result,) = evaluate(recipe, checkpoint=model, out=out / "evaluation", **scored).values()
    if shipped is not None and before is not None:
        gain = gain_of(recipe, shipped.name, before, result, (out / "as_shipped", out / "evaluation"), demo.gained)
        print("\n" + "\n".join(gain.lines()))
    clock.lap("evaluate")
    parity = export(recipe, model, exported, None, 16).to_dict()
    clock.lap("export")
    demo.predict(out, exported)
    clock.lap("predict")
    figures = {"metrics": {**result.groups, "settings": result.settings}, "parity": parity, "seconds": clock.seconds}
    return sections_of(demo, out, result, gain, figures), figures | ({"gain": gain.to_dict()} if gain else {})


def configured(recipe: Recipe, demo: Demo, out: Path, start: Start | None) -> Any:
    """The configuration that a demo trains with: its own words, over those of a shipped model to start from."""
    flags = {recipe.data: out / "data"} if demo.data is None else demo.data(out)
    schema = recipe.schema.value
    if start is None:
        return configuration.load(schema, groups=demo.groups, overrides=demo.overrides, flags=flags)
    config = resolve(schema, recipe.name, Asked(None, demo.overrides, flags, demo.groups, start=start)).config
    start.check(config)
    return config


def sections_of(demo: Demo, out: Path, result: Result, gain: Gain | None, figures: Mapping[str, Any]) -> list[Section]:
    """The recipe's part of the page."""
    log = out / "run" / "log.csv"
    drawings = [curves(log, names, title=title, logarithmic="oss" in title) for title, names in demo.curves.items()]
    pictures = list(demo.pictures(out, result))
    seconds = [[name, value] for name, value in figures["seconds"].items()]
    return [
        Text(demo.intro(result), heading=demo.heading),
        *([] if gain is None else [gain.table()]),
        metrics_table(demo.figures(result), heading=demo.table, note=demo.note(result)),
        *pictures[:1],
        Svg(drawings, heading="Training"),
        *pictures[1:],
        facts_table(figures["parity"], "Does the ONNX file answer the same?"),
        Table(["stage", "seconds"], seconds, heading="Time"),
        Text([OWN], code=demo.own, heading="Your own data"),
    ]
