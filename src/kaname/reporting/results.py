"""Where the figures of an evaluation go, and how they are shown on screen. No torch.

Without ``--out`` they go to a folder of their own beside the model, so that no call writes over the figures of another
model, of other data or of another set; with ``--out`` those of the most telling set also go into that folder itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kaname.data.formats.files import read_json
from kaname.files import write_text

METRICS, PAGE, FOLDER = "metrics.json", "report.html", "evaluation"
PREDICTIONS = (".json", ".csv", ".txt")


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
    content = read_json(metrics)
    settings = content.get("settings", {}) if isinstance(content, dict) else {}
    folder = Path(str(settings.get("data")))
    same = all(settings.get(name) == value for name, value in sets.get(metrics.parent.name, {}).items())
    return settings.get("source") == source.name and data in (folder, folder.parent) and same


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


def figures_table(groups: Mapping[str, Mapping[str, Any]], metrics: Sequence[str]) -> list[list[str]]:
    """A row of cells for each group, below a heading."""
    rows = [[name, *(figure_cell(group[metric]) for metric in metrics)] for name, group in groups.items()]
    return [["group", *metrics], *rows]


def figure_cell(entry: Mapping[str, Any]) -> str:
    """A figure of ``metrics.json`` with its interval, as a cell of a table."""
    if entry["value"] is None:
        return "-"
    interval = "" if entry["low"] is None else f" [{entry['low']:.3f}, {entry['high']:.3f}]"
    return f"{entry['value']:.3f}{interval}"
