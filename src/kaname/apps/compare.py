"""``kaname compare``: is B better than A, or is it chance? Two files of predictions of one recipe, sample by sample."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from kaname.config import merged
from kaname.errors import InputError
from kaname.pipeline.flags import OUT_NAMES
from kaname.recipes import RECIPES, recipe_of


def compare(
    a: Annotated[Path, Parameter(help="Predictions, or a folder that holds them.")],
    b: Annotated[Path, Parameter(help="The other predictions; differences are B - A.")],
    /,
    *overrides: Annotated[str, Parameter(help="key=value of the recipe's scoring, as tolerance=5.")],
    data: Annotated[
        Path | None, Parameter(help="The labelled data; default: what the metrics.json beside A names.")
    ] = None,
    split: Annotated[str | None, Parameter(help="One set of the data; default: all of them.")] = None,
    cluster: Annotated[
        str | None,
        Parameter(help="What is resampled whole: none; gauge: prefix (of file names); tracknet: clip, block."),
    ] = None,
    out: Annotated[Path | None, Parameter(name=OUT_NAMES, help="Folder for compare.json; default: that of B.")] = None,
    resamples: Annotated[int, Parameter(help="Resamples of the bootstrap.")] = 1000,
    flips: Annotated[int, Parameter(help="Random swaps of the permutation test, beyond 12 clusters.")] = 10_000,
    seed: Annotated[int, Parameter(help="The same seed gives the same answer.")] = 0,
) -> None:
    """Compare two files of predictions, image by image: difference, 95 % interval, p-value; writes compare.json."""
    from kaname.data.formats.files import write_json
    from kaname.reporting.compare import comparison, remarks, table
    from kaname.reporting.results import print_table

    for name, count in (("resamples", resamples), ("flips", flips)):
        if not 1 <= count <= 10_000_000:
            raise InputError(f"--{name} must lie in 1..10,000,000, got {count}", remedy="leave it out")
    if seed < 0:
        raise InputError(f"--seed must not be negative, got {seed}", remedy="leave it out for 0")
    files = [find_predictions(path, split) for path in (a, b)]
    recipes = [_recipe_named(path) for path in files]
    if recipes[0] != recipes[1]:
        reason = f"of the recipe {recipes[1]!r}, but A is of {recipes[0]!r}"
        raise InputError(reason, path=files[1], remedy="compare two files of one recipe")
    score = recipe_of(recipes[0]).judging.compare
    if score is None:
        raise InputError(f"predictions of {recipes[0]!r} cannot be compared", remedy="score each with `evaluate`")
    labelled, changes = data, merged(overrides, {}, "compare")
    if labelled is None:
        labelled, named = _data_beside(files[0])
        changes = {**named, **changes}
    first, second = (score(path, labelled, split=split, cluster=cluster, options=changes) for path in files)
    content = comparison(first, second, resamples=resamples, flips=flips, seed=seed)
    content["settings"] |= {"a": files[0].as_posix(), "b": files[1].as_posix()}
    target = (out or (files[1] if files[1].is_dir() else files[1].parent)) / "compare.json"
    write_json(target, json.loads(json.dumps(content, sort_keys=True)))
    print(f"A: {files[0]}\nB: {files[1]}\n{content['settings']['pairs']} paired {content['settings']['sample']}s\n")
    print_table(table(content))
    print("\n".join(["", *remarks(content), f"written to {target}"]))


def find_predictions(path: Path, split: str | None = None) -> Path:
    """The file of predictions: the path itself, or in a folder (or in a set's folder in it) what a recipe writes.

    Of several sets' folders it is the one of ``split``, else the one that the folder's metrics belong to.

    Raises:
        InputError: nothing there, or several.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError("there is no such file or folder", path=path, remedy="check the path")
    files = _written_by_recipes(path)
    if not files:
        files = [file for folder in sorted(path.iterdir()) if folder.is_dir() for file in _written_by_recipes(folder)]
    if len(files) > 1:
        content = _read(path / "metrics.json") if (path / "metrics.json").is_file() else {}
        settings = content.get("settings") if isinstance(content, dict) else None
        chosen = split or (settings.get("set") if isinstance(settings, dict) else None)
        files = [file for file in files if file.parent.name == chosen] or files
    if len(files) != 1:
        names = ", ".join(item.relative_to(path).as_posix() for item in files)
        what = f"several: {names}" if files else "no predictions"
        raise InputError(f"{what} in this folder", path=path, remedy=f"name the file ({_listed()})")
    return files[0]


def _written_by_recipes(folder: Path) -> list[Path]:
    """The file of predictions to prefer of each recipe, directly in a folder; the folder itself where a recipe writes
    many."""
    there = [
        next((folder / file for file in files if (folder / file).is_file()), None) for files in _file_names().values()
    ]
    found = list(dict.fromkeys(file for file in there if file is not None))
    return found or ([folder] if _writers_of(folder) else [])


def _writers_of(folder: Path) -> list[str]:
    """The recipes that write files of such names as a folder holds."""
    return [
        name for name, files in _file_names().items() if any("*" in file and any(folder.glob(file)) for file in files)
    ]


def _recipe_named(path: Path) -> str:
    """The recipe of a file of predictions: what it (or the JSON file of the same name beside it) says, else the one
    that writes such a name.

    Raises:
        InputError: the file names no recipe that this version has.
    """
    if path.is_dir():
        return _writers_of(path)[0]
    beside = path.with_suffix(".json")
    content = _read(beside) if beside.is_file() else None
    head = content if isinstance(content, dict) else _head_of_masks(content)
    name: Any = head.get("recipe")
    if name is None and path.suffix.lower() != ".json":
        writers = [recipe for recipe, files in _file_names().items() if path.name in files]
        name = writers[0] if len(writers) == 1 else None
    if name is None and _is_results(content):
        return "roimask"
    if name not in _file_names():
        reason = "not a file of predictions that names its recipe"
        raise InputError(reason, path=path, remedy=f"give one of {_listed()}")
    return name


def _is_results(content: Any) -> bool:
    """Whether it is a list of masks in COCO's form, as other programs write it too."""
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, dict) and {"image_id", "category_id", "segmentation"} <= first.keys()


def _head_of_masks(content: Any) -> Mapping[str, Any]:
    """What a list of masks says about its origin."""
    from kaname.data.formats.masks import read_head

    return read_head(content)


def _file_names() -> dict[str, Sequence[str]]:
    """For each recipe the files that hold its predictions, or what was made of them."""
    recipes = {name: recipe_of(name) for name in RECIPES}
    return {name: (*recipe.answering.predictions, *recipe.judging.scored) for name, recipe in recipes.items()}


def _listed() -> str:
    return ", ".join(dict.fromkeys(file for files in _file_names().values() for file in files))


def _read(path: Path) -> Any:
    from kaname.data.formats.files import read_json

    return read_json(path)


def _data_beside(predictions: Path) -> tuple[Path, Mapping[str, Any]]:
    """The data that an evaluation's ``metrics.json`` beside the predictions names, and options that tell its labels."""
    metrics = predictions / "metrics.json" if predictions.is_dir() else predictions.with_name("metrics.json")
    content = _read(metrics) if metrics.is_file() else None
    settings = content.get("settings") if isinstance(content, dict) else None
    named = settings.get("data") if isinstance(settings, dict) else None
    if not isinstance(named, str):
        raise InputError("labels are needed to compare predictions", path=predictions, remedy="give --data")
    return Path(named), settings.get("named", {})  # type: ignore[union-attr]
