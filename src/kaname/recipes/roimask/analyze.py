"""``analyze``: statistics of a set as ``data_analyze.json``, and the class weights that training takes from them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from kaname.data.formats.files import read_json, write_json
from kaname.data.roi_statistics import CLASSES, class_weights, measure, summary
from kaname.errors import InputError
from kaname.recipes.roimask.config import WEIGHTS, RoimaskConfig

FILE = "data_analyze.json"

Weights = tuple[float, ...]


def analyze(path: Path, out: Path = Path(FILE), category: str = "1") -> None:
    """Count the pixels of background, target and others in all boxes; write them, and class weights for training."""
    statistics = measure(path, category)
    write_json(out, statistics)
    for line in summary(statistics):
        print(line)
    print(f"written: {out}")


def class_weights_of(config: RoimaskConfig) -> tuple[Weights | None, str, dict[str, Any] | None]:
    """A weight for each class of a network, where they come from, and the statistics behind them.

    Weights of a class without a pixel are 1: it never counts.

    Raises:
        InputError: statistics that are none, or of a file without persons.
    """
    loss, data = config.loss, config.data
    own, (low, high) = loss.own_weights(), loss.class_weight_clip
    if loss.class_weights == "none":
        return None, "", None
    if own is not None:
        return tuple(min(max(weight, low), high) for weight in own), "", None
    path = loss.statistics or (Path(FILE) if Path(FILE).is_file() else None)
    if path is not None:
        statistics, said = read_statistics(path), f"from {path}"
    else:
        source = data.annotations_of("train")
        stamp = source.stat().st_mtime_ns if source.is_file() else 0
        statistics, said = _measured(source, data.category, data.images_of("train"), stamp), f"counted in {source}"
    found = statistics[WEIGHTS[loss.class_weights]]
    if config.classes == 2:
        ratios = statistics["pixel_ratios"]
        merged = {"background": ratios["background"] + ratios["non_target"], "target": ratios["target"]}
        found = class_weights(merged)[WEIGHTS[loss.class_weights]]
    weights = (found[name] for name in CLASSES[: config.classes])
    return tuple(1.0 if one is None else min(max(float(one), low), high) for one in weights), said, statistics


def read_statistics(path: Path) -> dict[str, Any]:
    """The content of a file of ``analyze``; class weights that are not in it, as in the original's, from its ratios.

    Raises:
        InputError: it has no ratios, or counts no pixel of a person.
    """
    content = read_json(path)
    remedy = "write it with kaname roimask analyze"
    try:
        ratios = {name: float(content["pixel_ratios"][name]) for name in CLASSES}
        content = {**class_weights(ratios), **content}
        numbers = [content[key][name] for key in WEIGHTS.values() for name in CLASSES]
    except (KeyError, TypeError, ValueError) as error:
        named = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"not statistics of roimask ({named})", path=path, remedy=remedy) from error
    if not all(value is None or (isinstance(value, int | float) and 0 <= value < float("inf")) for value in numbers):
        raise InputError("a class weight in it is not a number", path=path, remedy=remedy)
    if not content.get("total_instances") or not ratios["target"] > 0:
        raise InputError("statistics of a file without persons", path=path, remedy="analyze the training file")
    return content


@functools.lru_cache(maxsize=4)
def _measured(path: Path, category: str, images: Path, stamp: int) -> dict[str, Any]:
    return measure(path, category, images=images if images.is_dir() else None)
