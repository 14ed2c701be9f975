"""``report.html``: everything about a run or an evaluation on one page that opens offline and stays under 5 MB.

A recipe hands over plain values; this file knows no recipe. Where a part is missing, the
page says why.

For a new recipe: fill a :class:`Report` (all fields but the title may be missing) and call :func:`write_report`.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import fmean, median
from typing import Any, TypeVar

from kaname.data.frame_source import file_of
from kaname.data.log import read_rows
from kaname.errors import InputError
from kaname.files import content_hash
from kaname.metrics.calibration import Bin, expected_calibration_error
from kaname.reporting.curves import curves, reliability
from kaname.reporting.names import readable
from kaname.reporting.page import (
    Figure,
    Figures,
    Notes,
    Picture,
    Pictures,
    Section,
    Svg,
    Table,
    Text,
    interval,
    metrics_table,
    show_number,
    write_page,
)
from kaname.reporting.results import entries

T = TypeVar("T")

LIMIT = 5_000_000  # bytes of a page
PICTURES = 3_500_000  # bytes of its pictures
TEXT = 100_000  # characters of one block of text
ROWS = 1000  # epochs drawn in a curve
CHARTS = 8
LINES = 30  # notes
TOGETHER = 64  # files whose content one thread hashes in a row
PACKAGES = (
    "numpy",
    "scipy",
    "opencv-python-headless",
    "onnxruntime",
    "torch",
    "lightning-fabric",
    "transformers",
    "timm",
)


@dataclass(frozen=True)
class Headline:
    """A figure to show large: ``metrics[group][metric]`` under a label of plain words."""

    label: str
    group: str
    metric: str
    unit: str = ""


@dataclass(frozen=True)
class Report:
    """What a page shows.

    Attributes:
        title: what was run or scored, on what.
        subtitle: one line: the model, the number of samples.
        notes: what a reader must know first (random weights, scored on training images, images left out, ...).
        metrics: the content of ``metrics.json``.
        metrics_note: how to read the figures, in a sentence or two.
        headline: the figures that matter most.
        log: the run's ``log.csv``.
        worst: pictures of the samples with the largest errors, worst first, truth and prediction drawn.
        best: the same for those with the smallest.
        pictures_note: what the marks in the pictures mean.
        sections: what only this recipe shows, after the pictures.
        calibration: by name, the bins of score against error.
        calibration_note: when a point counts as right, and in what unit errors are.
        speed: quantity to value, as measured.
        config: the resolved configuration.
        command: the command line.
        data: what the data is: folder, number of samples, hash.
        versions: package to version; default: this installation's.
        missing: by part (``figures``, ``curves``, ``pictures``, ``calibration``, ``speed``, ``config``), why it is not
            there.
    """

    title: str
    subtitle: str = ""
    notes: Sequence[str] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    metrics_note: str = ""
    headline: Sequence[Headline] = ()
    log: Path | None = None
    worst: Sequence[Picture] = ()
    best: Sequence[Picture] = ()
    pictures_note: str = ""
    sections: Sequence[Section] = ()
    calibration: Mapping[str, Sequence[Bin]] = field(default_factory=dict)
    calibration_note: str = ""
    speed: Mapping[str, str | float] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    data: Mapping[str, str | int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


def write_report(path: Path, report: Report) -> Path:
    """Write the page; its pictures shrink until it stays under 5 MB.

    Raises:
        InputError: a picture cannot be read, or the page cannot be written.
    """
    own = report.sections
    parts = (_notes, _figures, _pictures, lambda _: own, _calibration, _curves, _speed, _origin)
    sections = [section for part in parts for section in part(report)]
    for budget in (PICTURES, PICTURES // 4, 0):
        write_page(path, report.title, sections, subtitle=report.subtitle, contents=True, budget=budget)
        if path.stat().st_size < LIMIT:
            break
    return path


def command_line() -> str:
    """This call as one would type it."""
    return shlex.join(["kaname", *sys.argv[1:]])


def versions() -> dict[str, str]:
    """The installed packages that figures depend on, looked up without importing them."""
    from kaname import __version__

    installed = {"kaname": __version__, "python": platform.python_version(), "system": platform.platform(terse=True)}
    for name in PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue  # an optional package that is not installed had no effect on the figures
    return installed


def data_hash(samples: Iterable[tuple[Path, bytes]]) -> str:
    """What a data set is, in one line: equal for equal labels and images, wherever the folder lies.

    Args:
        samples: for each image its file, of which name and content count, and its label as bytes.

    Returns:
        ``sha256:`` and 64 hexadecimal digits; the order of the samples does not matter.

    Raises:
        InputError: an image is gone.
    """
    listed = [(path, hashlib.sha256(label).hexdigest()) for path, label in samples]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        files = list(dict.fromkeys(file_of(path) for path, _ in listed))
        parts = [files[start : start + TOGETHER] for start in range(0, len(files), TOGETHER)]
        hashed = pool.map(lambda part: [content_hash(file) for file in part], parts)
        digests = dict(zip(files, itertools.chain.from_iterable(hashed), strict=True))
        rows = [f"{path.name}\0{digests[file_of(path)]}\0{label}\n" for path, label in listed]
    return f"sha256:{hashlib.sha256(''.join(sorted(rows)).encode()).hexdigest()}"


class Speed:
    """How long each stage of the work on an image takes.

    A stage may answer several images at once; its time is then shared by them.

    Args:
        unit: what is counted, one word.

    >>> speed = Speed()
    >>> for _ in range(3):
    ...     with speed.stage("network"):
    ...         pass
    >>> list(speed.rows())
    ['images per second', 'images measured', 'network, ms per image (median)']
    """

    def __init__(self, unit: str = "image") -> None:
        self.unit = unit
        self.seconds: dict[str, list[float]] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside."""
        started = time.perf_counter()
        yield
        self.seconds.setdefault(name, []).append(time.perf_counter() - started)

    def timed(self, name: str, function: Callable[..., T]) -> Callable[..., T]:
        """A function that does the same and is timed."""

        def call(*arguments: Any) -> T:
            with self.stage(name):
                return function(*arguments)

        return call

    def rows(self) -> dict[str, str | float]:
        """Quantity to value; the first call, which warms everything up, counts only where it is the only one."""
        kept = {name: spans[1:] or spans for name, spans in self.seconds.items()}
        most = max(map(len, self.seconds.values()), default=0)
        # A call's share of one image: a network that sees three frames at once is called for every third.
        share = {name: len(spans) / most for name, spans in self.seconds.items()}
        total = sum(share[name] * fmean(spans) for name, spans in kept.items())
        if total <= 0:
            return {}
        stages = {
            f"{name}, ms per {self.unit} (median)": round(1000 * share[name] * median(spans), 2)
            for name, spans in kept.items()
        }
        measured = max(map(len, kept.values()))
        return {f"{self.unit}s per second": round(1 / total, 2), f"{self.unit}s measured": measured, **stages}


def _absent(part: str, heading: str, report: Report, otherwise: str) -> list[Section]:
    return [Text([f"Not here: {report.missing.get(part, otherwise)}."], heading=heading)]


def _notes(report: Report) -> list[Section]:
    lines = report.notes
    shown = [*lines[:LINES], *([f"and {len(lines) - LINES} more"] if len(lines) > LINES else [])]
    return [Notes(shown, heading="Read this first")] if lines else []


def _figures(report: Report) -> list[Section]:
    if not report.metrics:
        return _absent("figures", "Figures", report, "nothing was scored")
    sections: list[Section] = []
    if report.headline:
        figures = [_headline(report.metrics, entry) for entry in report.headline]
        sections.append(Figures(figures, heading="At a glance"))
    note, figures = report.metrics_note, entries(report.metrics)
    if any(entry.get("value") is not None and entry.get("low") is None for _, _, entry in figures):
        note += "\nA figure without an interval rests on fewer than 5 samples (or clusters)."
    excluded = [(group, metric, entry["excluded"]) for group, metric, entry in figures if entry.get("excluded")]
    if excluded:
        parts = [f"{readable(group)}, {readable(metric)}: {count}" for group, metric, count in excluded]
        note += f"\nSamples left out of a mean because they have no value: {'; '.join(parts)}."
    return [*sections, metrics_table(report.metrics, heading="Figures", note=note.strip())]


def _headline(metrics: Mapping[str, Any], entry: Headline) -> Figure:
    figure = metrics.get(entry.group, {}).get(entry.metric, {})
    value = interval(figure)
    if value is None:
        return Figure(entry.label, None, note=str(figure.get("reason", "not measured")))
    return Figure(entry.label, value, entry.unit, f"n = {value.n}" if value.n is not None else "")


def _pictures(report: Report) -> list[Section]:
    if not report.worst and not report.best:
        return _absent("pictures", "Pictures", report, "no image was drawn")
    sections: list[Section] = []
    for heading, pictures in (("Worst", report.worst), ("Best", report.best)):
        if pictures:
            note = "" if sections else report.pictures_note
            sections.append(Pictures(pictures, heading=heading, note=note, width=300))
    return sections


def _calibration(report: Report) -> list[Section]:
    heading = "Does the score mean what it says?"
    if not any(one.count for bins in report.calibration.values() for one in bins):
        return _absent("calibration", heading, report, "nothing was predicted, or there is nothing to compare it with")
    drawings = []
    for name, bins in report.calibration.items():
        drawings.append(reliability(bins, title=name))
        errors = [{"score": one.score, "error": one.error} for one in bins if one.error is not None]
        if errors:
            title = f"{name}: median error" if name else "median error"
            drawings.append(curves(errors, ["error"], x="score", title=title, size=(260, 420)))
    rows = [
        [name, f"{one.low:.1f} to {one.high:.1f}", one.count, one.score, one.correct, one.error]
        for name, bins in report.calibration.items()
        for one in bins
        if one.count
    ]
    apart = {name: expected_calibration_error(bins) for name, bins in report.calibration.items()}
    mean = ", ".join(f"{name} {value:.3f}" for name, value in apart.items() if value is not None)
    note = f"{report.calibration_note} On the dashed line a score is the share that is right. Mean distance from it "
    columns = ["", "score", "points", "mean score", "share right", "median error"]
    return [
        Svg(drawings, heading=heading, note=f"{note}(expected calibration error): {mean}.".strip()),
        Table(columns, rows, heading="Score against error", folded=True),
    ]


def _curves(report: Report) -> list[Section]:
    heading = "Training"
    if report.log is None:
        return _absent("curves", heading, report, "there is no log of a training run beside the model")
    try:
        rows = read_rows(report.log)
    except InputError as error:
        return [Text([f"Not here: {error}."], heading=heading)]
    if not rows:
        return _absent("curves", heading, report, "the log has no epoch")
    step = -(-len(rows) // ROWS)
    thinned = rows if step == 1 else [*rows[:-1:step], rows[-1]]
    names = list(dict.fromkeys(name for row in rows for name in row if name not in ("epoch", "step", "seconds")))
    charts: dict[str, list[str]] = {}
    for name in names:
        charts.setdefault(name.removeprefix("train_").removeprefix("val_"), []).append(name)
    shown = dict(sorted(charts.items(), key=_losses_first)[:CHARTS])
    positive = {title: all(row.get(name, 1) > 0 for row in rows for name in lines) for title, lines in shown.items()}
    drawings = [
        curves(thinned, lines, title=title, logarithmic="loss" in title and positive[title], size=(260, 420))
        for title, lines in shown.items()
    ]
    hidden = [title for title in charts if title not in shown]
    left = f" Not drawn, for lack of room: {', '.join(hidden)}." if hidden else ""
    seconds = sum(float(row.get("seconds", 0)) for row in rows)
    return [Svg(drawings, heading=heading, note=f"{len(rows)} epochs in {seconds:.0f} s.{left}")]


def _losses_first(chart: tuple[str, list[str]]) -> tuple[bool, bool]:
    """Sorts what was measured on two sets before the rest, losses before all; keeps the order otherwise."""
    return "loss" not in chart[0], len(chart[1]) < 2


def _speed(report: Report) -> list[Section]:
    if not report.speed:
        return _absent("speed", "Speed", report, "nothing was measured")
    rows = [[name, value if isinstance(value, str) else show_number(value)] for name, value in report.speed.items()]
    return [Table(["quantity", "value"], rows, heading="Speed")]


def _origin(report: Report) -> list[Section]:
    """Where the figures come from: configuration, command, data and versions."""
    sections: list[Section] = []
    if report.config:
        import yaml

        text = yaml.safe_dump(dict(report.config), sort_keys=False, allow_unicode=True)
        sections.append(Text(code=_bounded(text.rstrip()), heading="Configuration", folded=True))
    else:
        sections += _absent("config", "Configuration", report, "it is not known")
    sections.append(Text(code=_bounded(report.command or "unknown"), heading="Command"))
    rows = [["data " + name if name != "data" else name, str(value)] for name, value in report.data.items()]
    rows += [[name, str(value)] for name, value in (report.versions or versions()).items()]
    return [*sections, Table(["what", "which"], rows, heading="Data and versions")]


def _bounded(text: str) -> str:
    return text if len(text) <= TEXT else f"{text[:TEXT]}\n... and {len(text) - TEXT} characters more"
