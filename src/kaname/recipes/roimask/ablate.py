"""``ablate``: a table of experiments, each with several seeds, that goes on where it was stopped."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from kaname import config as configuration
from kaname import yaml12
from kaname.data.formats.files import read_json, write_json
from kaname.errors import InputError
from kaname.files import write_text
from kaname.metrics.intervals import mean, summary
from kaname.metrics.masks import LEAK, MIOU
from kaname.metrics.paired import paired_difference
from kaname.recipes.roimask import RECIPE
from kaname.recipes.roimask.evaluate import NO_CLASS, nothing
from kaname.reporting.page import Section, Table, Text, write_page

FIGURES = ("iou_target_mean", "miou_classes_1_2", "leak", "boundary_iou")
GROUPS = ("all", "crowded")
SCORES = "scores.json"
FIRST = "3 classes, crop, CE + Dice, weights log"
DEFAULT: Mapping[str, Mapping[str, Any]] = {
    FIRST: {},
    "2 classes": {"classes": 2},
    "roimap": {"head.name": "roimap"},
    "dynamic": {"head.name": "dynamic"},
    "CE alone": {"loss.dice_target_weight": 0},
    "CE + Dice + boundary": {"loss.boundary_weight": 1, "loss.boundary_from": 3},
    "no class weights": {"loss.class_weights": "none"},
    "class weights separation-aware": {"loss.class_weights": "separation-aware"},
}


STATISTICS: Mapping[str, Any] = {
    "iou_target_mean": mean, "boundary_iou": mean, "miou_classes_1_2": MIOU, "leak": LEAK,
}  # fmt: skip


@dataclass(frozen=True)
class Score:
    """A box of the validation set, as one run answered it: pixels by true and called class in ``table``."""

    name: str
    image: str
    crowded: bool
    iou: float | None
    table: list[int] | None
    boundary: float | None


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        experiments: by name, keys of the configuration that differ; the first is what the others are compared with.
        seeds: of each.
        shared: keys that all have.
    """

    experiments: Mapping[str, Mapping[str, Any]]
    seeds: Sequence[int] = (0, 1, 2)
    shared: Mapping[str, Any] = field(default_factory=dict)


def ablate(
    plan: str, out: Path, named: Mapping[str, Any], overrides: Sequence[str], *, seeds: int | None = None
) -> None:
    """Train and score every experiment with every seed; ``table.md`` and ``table.html``, with paired differences.

    Args:
        plan: a YAML file, or ``default``.
        out: folder of all runs and of the table.
        named: keys of the configuration that all have, None where they are not given.
        overrides: further ones, ``key=value``.
        seeds: how many; default: those of the plan.
    """
    chosen = read_plan(plan)
    if seeds is not None:
        chosen = replace(chosen, seeds=tuple(range(seeds)))
    shared = {**chosen.shared, **{key: one for key, one in named.items() if one is not None}}
    for line in report(chosen, run(chosen, out, shared, overrides), out):
        print(line)


def read_plan(name: str) -> Plan:
    """The documented plan, or that of a YAML file: ``experiments`` by name, ``seeds``, ``shared``.

    Raises:
        InputError: no such file, or not a plan.
    """
    if name == "default":
        return Plan(DEFAULT)
    path = Path(name)
    if not path.is_file():
        raise InputError("no such plan", path=path, remedy="give default or a YAML file")
    content = yaml12.parse_yaml(path.read_text(encoding="utf-8"), path=path)
    remedy = "write experiments: {NAME: {key: value}}, and seeds: [0, 1, 2]"
    experiments = content.get("experiments") if isinstance(content, dict) else None
    fits = isinstance(experiments, dict) and experiments and all(isinstance(one, dict) for one in experiments.values())
    seeds, shared = (
        (content.get("seeds", [0, 1, 2]), content.get("shared", {})) if isinstance(content, dict) else ([], {})
    )
    whole = isinstance(seeds, list) and seeds and all(isinstance(seed, int) for seed in seeds)
    if not fits or not whole or not isinstance(shared, dict):
        raise InputError("not a plan of experiments", path=path, remedy=remedy)
    assert isinstance(experiments, dict)
    return Plan(experiments, tuple(seeds), shared)


def run(plan: Plan, out: Path, shared: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, list[list[Score]]]:
    """Train and score what is not done yet; for each experiment the scores of each seed's run, box by box.

    Raises:
        InputError: a key that there is not, or a folder with the runs of another plan.
    """
    configs = {
        (name, seed): configuration.load(
            RECIPE.schema.value, overrides=overrides, flags={**shared, **changes, "train.seed": seed}
        )
        for name, changes in plan.experiments.items()
        for seed in plan.seeds
    }
    found: dict[str, list[list[Score]]] = {name: [] for name in plan.experiments}
    for number, ((name, seed), config) in enumerate(configs.items(), 1):
        folder = folder_of(out, name, seed)
        content = configuration.plain(configuration.to_dict(config))
        if not (folder / SCORES).is_file():
            print(f"run {number} of {len(configs)}: {name}, seed {seed}")
            _train_and_score(config, content, folder)
        stored = read_json(folder / SCORES)
        if stored["config"] != content:
            reason = f"{name}, seed {seed}, was run with another configuration"
            raise InputError(reason, path=folder, remedy="give another --out, or remove this folder")
        found[name].append([Score(**one) for one in stored["scores"]])
    return found


def _train_and_score(config: Any, content: Mapping[str, Any], folder: Path) -> None:
    from kaname.pipeline.evaluate import evaluate
    from kaname.pipeline.train import run as train
    from kaname.training.settings import RunOptions

    begun = (folder / "last.pt").is_file()
    train(RECIPE, config, RunOptions(out_dir=folder, resume="auto" if begun else None, command="kaname roimask ablate"))
    (result,) = evaluate(
        RECIPE, checkpoint=folder / RECIPE.best_name, out=folder / "evaluation", split="val", device=config.train.device
    ).values()
    scores = [asdict(score_of(roi)) for roi in result.details]
    write_json(folder / SCORES, {"config": content, "scores": scores})
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)  # the best weights stay; of many runs all are too many


def score_of(roi: Any) -> Score:
    """What is compared of a box."""
    table = None if roi.table is None else [int(count) for count in roi.table.ravel()]
    return Score(roi.name, roi.image, bool(roi.crowded), roi.target_iou, table, roi.boundary)


def folder_of(out: Path, name: str, seed: int) -> Path:
    """Where the run of an experiment with a seed is."""
    return out / slug(name) / f"seed_{seed}"


def slug(name: str) -> str:
    """An experiment's name as that of a folder."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def report(plan: Plan, found: Mapping[str, Sequence[Sequence[Score]]], out: Path) -> list[str]:
    """Write ``table.md``, ``table.html`` and ``table.json``; the lines of the first."""
    first_runs = next(iter(found.values()))
    made = {name: read_json(folder_of(out, name, plan.seeds[0]) / SCORES)["config"] for name in plan.experiments}
    two, first = {name for name, config in made.items() if config["classes"] == 2}, next(iter(plan.experiments))
    figures = {
        name: figures_of(runs, first_runs, two=name in two, beside_two=first in two) for name, runs in found.items()
    }
    heads = ["experiment", *(f"{group}: {one}" for group in GROUPS for one in FIGURES)]
    rows = [
        [name, *(_cell(entries, group, one) for group in GROUPS for one in FIGURES)]
        for name, entries in figures.items()
    ]
    note = (
        f"Each figure: the mean of {len(plan.seeds)} seeds with its 95 % interval over images; below it the paired "
        f'difference to "{first}" with its interval and the p-value of a permutation test over images.'
    )
    lines = ["| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows]]
    text = [*lines, "", note]
    write_text(out / "table.md", "\n".join(text) + "\n")
    write_json(out / "table.json", configuration.plain(figures))
    sections: list[Section] = [
        Table(heads, [[cell.replace("<br>", "; ") for cell in row] for row in rows]),
        Text([note]),
    ]
    write_page(out / "table.html", "roimask: ablation", sections)
    return text


def figures_of(
    runs: Sequence[Sequence[Score]],
    first: Sequence[Sequence[Score]],
    *,
    two: bool = False,
    beside_two: bool = False,
) -> dict[str, Any]:
    """By group and figure: ``value``, ``low``, ``high``, ``seeds`` (of each), and the ``difference`` to the first.

    A network of ``two`` classes has no figure of the third, and ``beside_two``, the first, none to be compared with.
    """
    entries: dict[str, Any] = {}
    for group in GROUPS:
        ours, theirs = ([_members(run, group) for run in some] for some in (runs, first))
        images = [score.image for score in ours[0]]
        for figure in FIGURES:
            if two and figure == "miou_classes_1_2":
                entries.setdefault(group, {})[figure] = {**nothing(NO_CLASS), "seeds": [], "difference": None}
                continue
            values, others = _values(ours, figure), _values(theirs, figure)
            statistic = STATISTICS[figure]
            known = len(values) == len(others) and len(values) > 0 and not (beside_two and figure == "miou_classes_1_2")
            entries.setdefault(group, {})[figure] = {
                **summary(values, images, statistic=statistic, reason="no such box"),
                "seeds": [summary(_values([run], figure), statistic=statistic)["value"] for run in ours],
                "difference": paired_difference(others, values, images, statistic=statistic) if known else None,
            }
    return entries


def _members(scores: Sequence[Score], group: str) -> list[Score]:
    return [score for score in scores if group == "all" or score.crowded]


def _values(runs: Sequence[Sequence[Score]], figure: str) -> Any:
    """Of each box the mean over the runs, or the sum of their tables."""
    if figure in ("miou_classes_1_2", "leak"):
        return np.sum([[score.table or [0] * 9 for score in scores] for scores in runs], axis=0)
    name = "iou" if figure == "iou_target_mean" else "boundary"
    values = [[np.nan if (one := getattr(score, name)) is None else one for score in scores] for scores in runs]
    return np.mean(values, axis=0)


def _cell(entries: Mapping[str, Any], group: str, figure: str) -> str:
    entry = entries[group][figure]
    if entry["value"] is None:
        return "none"
    spread = "" if entry["low"] is None else f" [{entry['low']:.3f}, {entry['high']:.3f}]"
    text, change = f"{entry['value']:.3f}{spread}", entry["difference"]
    if change is None or change["difference"] in (None, 0.0):
        return text
    limits = (
        "" if change["low"] is None else f" [{change['low']:+.3f}, {change['high']:+.3f}], p {change['p_value']:.2g}"
    )
    return f"{text}<br>{change['difference']:+.3f}{limits}"
