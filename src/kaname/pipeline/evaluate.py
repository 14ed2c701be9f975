"""The verb ``evaluate``: predictions on disk, figures from that file, a table, ``metrics.json`` and a page. No torch
where predictions are given."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from kaname import config as configuration
from kaname import zoo
from kaname.data.formats.files import write_json
from kaname.data.frame_source import read_frame
from kaname.errors import InputError, located, require
from kaname.inference.model import Model
from kaname.inference.request import Decode, Request
from kaname.pipeline.labelled import Labelled, Result, warn_unjudged
from kaname.pipeline.model import answer_settings, describe_model, open_model
from kaname.pipeline.nothing import Finds
from kaname.pipeline.recipe import Recipe
from kaname.pipeline.sources import sheets
from kaname.progress import Bar
from kaname.reporting.report import Report, Speed, command_line, data_hash, write_report
from kaname.reporting.results import ASKED, make_room, print_table, publish, results_folder
from kaname.types import Answer, Frame, Prediction


@dataclass(frozen=True)
class Scoring:
    """How a set is scored.

    Attributes:
        recipe: whose set it is.
        settings: of the answers (the section ``recipe.answering.section`` of the configuration).
        root: the data folder.
        how: the recipe's own ways of scoring.
        notes: further settings to report.
        pictures: draw every sample.
    """

    recipe: Recipe
    settings: Any
    root: Path
    how: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    pictures: bool = False


@dataclass(frozen=True)
class Page:
    """Where a page goes and what it is called; by default ``report.html`` beside the figures, named after the set."""

    path: Path | None = None
    title: str = ""
    command: str = ""


def evaluate(
    recipe: Recipe,
    labelled: Labelled | None = None,
    *,
    checkpoint: Path | None = None,
    predictions: Path | None = None,
    out: Path | None = None,
    split: str | None = None,
    changes: Mapping[str, Any] | None = None,
    how: Mapping[str, Any] | None = None,
    words: Sequence[str] = (),
    pictures: bool = False,
    device: str = "auto",
    limit: int = 0,
    overwrite: bool = False,
) -> dict[str, Result]:
    """Score sets of a data folder and print their tables.

    Each set's files go to ``out/<set>``; ``out/metrics.json`` is that of the most telling set. Without ``out`` they go
    to `kaname.reporting.results.results_folder`, so that no call overwrites the figures of another set or other data,
    or those that were made with other settings.

    Args:
        labelled: the data; default: what the model was trained with, changed by ``words``.
        split: a set's name, ``all``, or ``None`` for the most telling one.
        changes: settings of the answers to use instead of the stored ones; ``None`` values are ignored.
        how: the recipe's own ways of scoring; ``None`` values take what the data says.
        limit: score only the first N items of each set; 0 = all.
        overwrite: replace what ``out`` holds of another model, other data or other settings, as a whole.

    Raises:
        InputError: bad usage or input, an ``out`` that would mix results with the data, or that holds other results.
    """
    if (checkpoint is None) == (predictions is None):
        raise InputError("evaluate needs a model or predictions", remedy="give either --checkpoint or --predictions")
    given = {name: value for name, value in (changes or {}).items() if value is not None}
    if predictions is not None:
        refuse_early(given, recipe.judging.late, predictions)
    model = None if checkpoint is None else open_model(recipe, checkpoint, runtime=device, changes=given)
    stored = recipe.answering.made(predictions) if model is None else model.card["config"]
    settings = answer_settings(recipe, stored, given)
    require(labelled is not None or model is not None, "labels are needed to score predictions", "give --data")
    data: Labelled = labelled or recipe.judging.labelled(None, stored, words)
    sets, source = chosen_sets(data, split), checkpoint or predictions or data.root
    ways = {**data.ways, **{name: value for name, value in (how or {}).items() if value is not None}}
    named = stored.get("model") if model is None else describe_model(model)
    asked = asked_of(named, recipe.answering.section, settings, ways, limit)
    notes = {"source": source.name, **({"limit": limit} if limit else {}), "named": dict(data.named)}
    scoring = Scoring(recipe, settings, data.root, ways, notes, pictures)
    place = _place(scoring, data, sets, source, out, asked, overwrite=overwrite)
    results: dict[str, Result] = {}
    for name, whole in sets.items():
        results[name] = _score_set(scoring, model, source, whole[: limit or None], place / name)
        write_json(place / name / ASKED, {"asked": asked, "files": list(results[name].files)})
    warn_unjudged(sets if split is None else ())
    publish(place, list(results), headline="val" if "val" in results else list(results)[-1], whole=out is not None)
    return results


def _score_set(scoring: Scoring, model: Model | None, source: Path, items: Sequence[Any], folder: Path) -> Result:
    """Score a set, write its page and print its table."""
    recipe, limit = scoring.recipe, scoring.notes.get("limit")
    if model is None:
        found = Finds(recipe, scoring.settings).read(recipe.answering.read(source))
        result = replace(score_file(scoring, source, items, folder), said=found.said())
    else:
        result = score_model(scoring, model, items, folder)
    write_page(scoring, result, items, folder, model=model, source=source)
    print(f"\n{folder.name}{f' (at most the first {limit})' if limit else ''}: {result.title}")
    print_table(result.table)
    print("\n".join(result.said), end="\n" if result.said else "")
    return result


def _place(
    scoring: Scoring,
    labelled: Labelled,
    sets: Mapping[str, Sequence[Any]],
    source: Path,
    out: Path | None,
    asked: Mapping[str, Any],
    *,
    overwrite: bool,
) -> Path:
    """The folder that the figures go to, with room for them."""
    recipe = scoring.recipe
    telling = {name: {**recipe.judging.telling(sets).get(name, {}), "asked": asked} for name in sets}
    # Beside a shipped model is the installation.
    beside = source if zoo.beside(source) is None else Path(source.name)
    place = out or results_folder(beside, labelled.root, telling)
    labelled.refuse(place, sets)
    about = {"source": source.name, "data": labelled.root.resolve().as_posix(), "asked": asked}
    make_room(place, list(sets), about, recipe.answering.predictions, overwrite=overwrite)
    return place


def asked_of(model: Any, section: str, settings: Any, ways: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """What was asked for, beside the figures: the same again replaces its own alone."""
    answers = configuration.to_dict(settings)
    given = {"model": model, **{f"{section}.{name}": value for name, value in answers.items()}, **ways, "limit": limit}
    return json.loads(json.dumps(configuration.plain(given), default=str))


def refuse_early(given: Iterable[str], late: Sequence[str], predictions: Path) -> None:
    """Refuse settings that would have to be known before ``predictions`` were made: all but ``late``."""
    early = sorted(set(given) - set(late))
    if early:
        reason = f"--{early[0].replace('_', '-')} belongs to prediction, and these predictions are already made"
        raise InputError(reason, path=predictions, remedy="give it to predict, or score with --checkpoint")


def chosen_sets(labelled: Labelled, split: str | None) -> dict[str, Sequence[Any]]:
    """The items of the sets that ``split`` names; without it of the most telling one.

    Raises:
        InputError: there is no such set.
    """
    names = list(labelled.names)
    if split == "all" and labelled.together:
        return {split: [item for name in names for item in labelled.read(name)]}
    first = next((name for name in labelled.order if name in names), names[0])
    chosen = names if split == "all" else [split or first]
    if chosen[0] not in names:
        raise InputError(
            f"no set {split!r} here", path=labelled.root, remedy=f"sets: {', '.join(dict.fromkeys([*names, 'all']))}"
        )
    return {name: labelled.read(name) for name in chosen}


def score_model(scoring: Scoring, model: Model, items: Sequence[Any], folder: Path, *, title: str = "") -> Result:
    """Predict a set into ``folder``, and score that file."""
    recipe, speed, draw = scoring.recipe, Speed(scoring.recipe.answering.unit), scoring.recipe.judging.draw_outputs
    decode = recipe.answering.decode(model.card, recipe.judging.predicted(scoring.settings))
    current, finds = [(None, "")], Finds(recipe, scoring.settings)

    def watched(outputs: Mapping[str, Any], request: Request) -> list[Answer]:
        answers = timed(outputs, request)
        finds.saw(outputs)
        if scoring.pictures:
            item, name = current[0]
            draw(item, outputs, request, answers[-1], scoring.settings, model.card, folder, name)
        return answers

    timed = speed.timed("decode", decode)
    measured = with_times(model, speed, watched)

    def rows() -> Iterator[Prediction]:
        with Bar(f"predicting {title or folder.name}", sum(len(item.frames) for item in items)) as bar:
            for item, sheet in zip(items, sheets([item.frames[0] for item in items]), strict=True):
                current[0] = item, sheet
                for prediction in item_rows(measured, item, speed):
                    bar.advance()
                    yield prediction

    about = {
        "recipe": recipe.name,
        "model": describe_model(model),
        recipe.answering.section: configuration.to_dict(scoring.settings),
        **recipe.answering.about(model.card, scoring.how),
    }
    target = folder / recipe.answering.predictions[0]
    recipe.answering.write(target, finds.counting(rows()), about)
    asked = recipe.judging.asked(model, items, scoring.settings, scoring.how)
    result = score_file(replace(scoring, how={**scoring.how, **asked}), target, items, folder)
    return replace(result, speed={**speed.rows(), **conditions(model)}, said=finds.said())


def with_times(model: Model, speed: Speed, decode: Decode) -> Model:
    """The model with its stages timed, crops as they are made."""
    network = speed.timed("network", model.runner)
    setattr(network, "takes_fitted", getattr(model.runner, "takes_fitted", False))  # noqa: B010
    measured = model.using(network, decode)
    if model.view.fit == "crop":
        measured.feed = speed.timed("fit", model.feed)
    return measured


def item_rows(model: Model, item: Any, speed: Speed) -> Iterator[Prediction]:
    """The answers for an item's frames, in their order."""
    whole = model.view.fit != "crop"

    def part(name: str) -> AbstractContextManager[None]:
        return speed.stage("fit") if whole and name == "fit" else nullcontext()

    read = speed.timed("reading", partial(read_frame, expected=getattr(item, "size", None)))
    frames = (Frame(number, 0.0, read(path), path.name, path) for number, path in enumerate(item.frames))
    with located(item.frames[0].parent):
        for frame, answer in model.stream(frames, boxes_of(item, model), part=part):
            where = {"frame": frame.index, "file": frame.name} if model.of_video else {}
            ids = {name: getattr(item, name, None) for name in ("image_id", "category_id")}
            yield Prediction(item.source, answer, **ids, **where)


def boxes_of(item: Any, model: Model) -> Any:
    """An item's boxes ``(N, 4)``, where the network looks at boxes."""
    return getattr(item, "boxes", None) if model.takes_boxes else None


def score_file(scoring: Scoring, predictions: Path, items: Sequence[Any], folder: Path) -> Result:
    """Score a file of predictions; writes ``metrics.json`` and what else the recipe has into ``folder``."""
    recipe, made = scoring.recipe, scoring.recipe.answering.made(predictions)
    result: Result = recipe.judging.score(predictions, items, scoring.settings, scoring.how)
    labels = ((path, item.label(number)) for item in items for number, path in enumerate(item.frames))
    settings = {
        "recipe": recipe.name,
        "model": made.get("model"),
        "predictions": predictions.name,
        "set": folder.name,
        "data": scoring.root.resolve().as_posix(),
        "data_hash": data_hash(labels),
        recipe.answering.section: configuration.to_dict(scoring.settings),
        **result.settings,
        **scoring.notes,
    }
    result = replace(result, settings=settings)
    write_json(folder / "metrics.json", configuration.plain({**result.groups, "settings": settings}))
    for name, content in result.files.items():
        write_json(folder / name, content)
    return result


def write_page(
    scoring: Scoring,
    result: Result,
    items: Sequence[Any],
    folder: Path,
    *,
    model: Model | None,
    source: Path,
    page: Page = Page(),
) -> Path:
    """The page of a scored set; ``source`` is the checkpoint or the file of predictions."""
    recipe, settings = scoring.recipe, result.settings
    section = recipe.answering.section
    fields = dict(recipe.judging.page(result, items, folder, model))
    fields["notes"] = [*(f"N{line.removeprefix('warning: n')}." for line in result.said),
                       *fields.get("notes", ())]  # fmt: skip
    from_file = f"predictions were read from {source.name}"
    missing = {"speed": from_file, "curves": from_file} if model is None else {}
    log = source.parent / "log.csv"
    named = settings["model"] or "a model that the predictions do not name"
    what = "all sets" if settings["set"] == "all" else settings["set"]
    report = Report(
        title=page.title or f"{recipe.name}: evaluation of {what}",
        subtitle=f"{named}; {fields.pop('subtitle')}",
        metrics={**fields.pop("metrics", result.groups), "settings": settings},
        log=log if model is not None and log.is_file() else None,
        speed=result.speed,
        config=model.card["config"] if model is not None else {section: settings[section]},
        command=page.command or command_line(),
        missing={**fields.pop("missing", {}), **missing},
        **fields,
    )
    return write_report(page.path or folder / "report.html", report)


def conditions(model: Model) -> dict[str, str | float]:
    """What a model ran on: device, precision, input size."""
    device = getattr(model.runner, "device", None)
    session = getattr(model.runner, "session", None)
    ran = str(device) if device is not None else session.get_providers()[0] if session is not None else "unknown"
    height, width = model.input_size
    return {"device": ran, "precision": "fp32", "input": f"{height} x {width}", "images at a time": model.frames}
