"""Where the figures of an evaluation go, and how they are shown on screen. No torch.

Without ``--out`` they go to a folder of their own beside the model, so that no call writes over the figures of another
model, of other data or of another set; with ``--out`` those of the most telling set also go into that folder itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kaname.data.formats.files import read_json
from kaname.errors import InputError
from kaname.files import write_text

METRICS, PAGE, FOLDER = "metrics.json", "report.html", "evaluation"
PREDICTIONS = (".json", ".csv", ".txt")
ASKED = ".kaname-evaluate.json"  # beside a set's figures: what was asked for, and the names of further files
DRAWN = ("worst", "best", "heatmaps", "key_points", "masks", "pictures")  # folders of a set's pictures


def results_folder(source: Path, data: Path, sets: Mapping[str, Mapping[str, Any]] | None = None) -> Path:
    """``evaluation/<source>-<data>`` beside the checkpoint or the predictions; with a number appended where results
    of another file, of other data or of another set lie there under these names.

    Predictions that an evaluation wrote itself are called by their path in it, such as
    ``evaluation/model-dials-val-points-dials``, so that folders do not nest.

    Args:
        source: the checkpoint or the file of predictions. A ``metrics.json`` names it as ``settings.source``.
        data: the data folder: ``settings.data`` is this folder, or a set's folder directly in it.
        sets: for each set to be scored, the ``settings`` that tell it from another of its name.
    """
    outer = _outside(source)
    inner = [part for part in source.parent.relative_to(outer).parts if part != FOLDER]
    first = outer / FOLDER / "-".join([*inner, source.stem, data.resolve().name])
    place, number = first, 1
    while not all(_is_of(path, source, data.resolve(), sets or {}) for path in place.glob(f"*/{METRICS}")):
        number += 1
        place = first.with_name(f"{first.name}-{number}")
    return place


def _outside(source: Path) -> Path:
    """The folder of a file, or for predictions the one in which the evaluation that wrote them put its results."""
    folder = source.parent
    if source.suffix.lower() not in PREDICTIONS:
        return folder
    while (folder / METRICS).is_file() and folder.parent != folder:
        folder = folder.parent
    return next((one.parent for one in [folder, *folder.parents] if one.name == FOLDER), folder)


def _is_of(metrics: Path, source: Path, data: Path, sets: Mapping[str, Mapping[str, Any]]) -> bool:
    settings = _settings(metrics)
    folder = Path(str(settings.get("data")))
    same = all(settings.get(name) == value for name, value in sets.get(metrics.parent.name, {}).items())
    return settings.get("source") == source.name and data in (folder, folder.parent) and same


def make_room(
    place: Path, names: Sequence[str], about: Mapping[str, Any], files: Sequence[str], *, overwrite: bool
) -> None:
    """Refuse a folder that holds figures of something else, or remove them where they may be replaced.

    Figures of the same model, data and settings stay: the sets that are scored replace their own, others are others.

    Args:
        place: the folder that holds a folder for each set.
        names: the sets to be scored.
        about: ``source``, ``data`` and ``asked`` of the settings that they will have.
        files: names of the files of predictions.

    Raises:
        InputError: without ``overwrite``, where there are figures of something else.
    """
    found = {path.parent: _differences(path, about) for path in (place / METRICS, *place.glob(f"*/{METRICS}"))}
    others = {folder: other for folder, other in found.items() if other}
    if not others:
        return
    folder, other = next(iter(others.items()))
    if not overwrite:
        remedy = "choose another --out-dir, or replace it with --overwrite"
        raise InputError(f"this folder holds figures made with {other}", path=folder, remedy=remedy)
    print(f"replaced in {place}: figures made with {other}")
    for folder in others:
        _empty(folder, files, pictures=folder.name in names or folder != place)


def _differences(metrics: Path, about: Mapping[str, Any]) -> str:
    """How the figures of a file were made otherwise, in words; "" where they were not, or are not there."""
    settings = _settings(metrics)
    if not settings:
        return ""
    flat, wanted = ({**one, **(one.get("asked") or {})} for one in (settings, about))
    names = ["source", *(about["asked"] if "asked" in settings else ())]
    parts = [name for name in names if flat.get(name) != wanted.get(name)]
    folder = Path(str(flat.get("data")))
    if Path(wanted["data"]) not in (folder, folder.parent):  # a set's own folder lies in the data's
        parts.append("data")
    return "; ".join(f"{name} {_said(flat.get(name))}, not {_said(wanted.get(name))}" for name in parts)


def _settings(metrics: Path) -> dict[str, Any]:
    """The settings of figures with what was asked for (``asked``) and further files (``files``), as far as known."""
    known: dict[str, Any] = {}
    for path in (metrics, metrics.with_name(ASKED)):
        content = read_json(path) if path.is_file() else None
        own = content.get("settings") if path == metrics and isinstance(content, dict) else content
        known |= own if isinstance(own, dict) else {}
    return known


def _said(value: Any) -> str:
    return "none" if value is None else "yes" if value is True else "no" if value is False else str(value)


def _empty(folder: Path, files: Sequence[str], *, pictures: bool) -> None:
    """Remove the results of a set by their names; what else lies there stays."""
    beside = [Path(name).with_suffix(".json").name for name in files]
    beside += [ASKED, *(Path(name).name for name in _settings(folder / METRICS).get("files", ()))]
    for path in (folder / name for name in (METRICS, PAGE, *files, *beside)):
        path.unlink(missing_ok=True)
    for place in (folder / name for name in DRAWN if pictures):
        for path in (*place.glob("*_*.jpg"), *place.glob("*_*.png")):
            path.unlink()
    for place in (*(folder / name for name in DRAWN), folder):
        with contextlib.suppress(OSError):  # not there, or it holds something else
            place.rmdir()


def publish(place: Path, names: Sequence[str], *, headline: str, whole: bool) -> None:
    """Say where the results are; with ``whole`` those of the set ``headline`` also go into ``place`` itself.

    Args:
        place: the folder that holds a folder for each set, with its ``metrics.json`` and ``report.html``.
        names: the sets.
        headline: the most telling of them.
        whole: whether the user named ``place``.
    """
    written = [place / name for name in names]
    if whole:
        for file in (METRICS, PAGE):
            write_text(place / file, (place / headline / file).read_text(encoding="utf-8"))
        written = [place, *written]
    print(f"\n{METRICS} and {PAGE} in {', '.join(map(str, written))}")


def entries(content: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Group, metric and entry of every figure of a ``metrics.json`` or ``compare.json``."""
    groups = {name: metrics for name, metrics in content.items() if name != "settings"}
    return [(group, metric, entry) for group, metrics in groups.items() for metric, entry in metrics.items()]


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of equal length as aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def all_first(groups: Mapping[str, Any]) -> dict[str, Any]:
    """Groups with ``all`` before the others."""
    return {**({"all": groups["all"]} if "all" in groups else {}), **groups}


def figures_table(groups: Mapping[str, Mapping[str, Any]], metrics: Sequence[str]) -> list[list[str]]:
    """A row of cells for each group, below a heading."""
    rows = [[name, *(figure_cell(group[metric]) for metric in metrics)] for name, group in all_first(groups).items()]
    return [["group", *metrics], *rows]


def figure_cell(entry: Mapping[str, Any]) -> str:
    """A figure of ``metrics.json`` with its interval, as a cell of a table."""
    if entry["value"] is None:
        return "-"
    interval = "" if entry["low"] is None else f" [{entry['low']:.3f}, {entry['high']:.3f}]"
    note = f" ({entry['note']})" if entry.get("note") else ""
    return f"{entry['value']:.3f}{interval}{note}"
