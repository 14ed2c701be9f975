"""Two files of predictions of one recipe, sample by sample: what is in both is compared, the rest is listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kaname.config import nearest
from kaname.errors import InputError
from kaname.metrics.intervals import Statistic, mean
from kaname.metrics.paired import paired_difference
from kaname.reporting.results import entries

Value = float | Sequence[float] | None

SIGNIFICANT = 0.05
FIXED_SETTINGS = {
    "difference": "B - A",
    "intervals": "95 % paired bootstrap",
    "p_values": "two-sided paired permutation test, not corrected for the number of figures",
}


@dataclass(frozen=True)
class Scored:
    """One file of predictions, scored sample by sample: what a recipe's ``compare.scored`` returns.

    Attributes:
        values: ``{sample: {group: {metric: value}}}``: a number, a row of numbers for the metric's statistic, or None
            where the sample has no value.
        settings: how it was scored (tolerance, truth, data, ...); plain values.
        clusters: the sample's clip, video or kind; empty where each sample stands for itself.
        cluster: in a word, what the clusters are; "none" without.
        statistics: for the metrics that are not a mean over samples, from rows to the figure (F1 from counts).
        lower_is_better: the metrics of which less is better.
        left_out: predictions that could not be scored, with the reason.
        sample: what a sample is, in a word.
        measures: the settings that must be alike, because figures under other ones are other figures.
    """

    values: Mapping[str, Mapping[str, Mapping[str, Value]]]
    settings: Mapping[str, Any]
    clusters: Mapping[str, str] = field(default_factory=dict)
    cluster: str = "none"
    statistics: Mapping[str, Statistic] = field(default_factory=dict)
    lower_is_better: frozenset[str] = frozenset()
    left_out: Mapping[str, str] = field(default_factory=dict)
    sample: str = "image"
    measures: frozenset[str] = frozenset()


def check_options(
    options: Mapping[str, Any], known: Sequence[str], cluster: str | None, clusters: Sequence[str]
) -> None:
    """Refuse options and clusters that a recipe does not know.

    Raises:
        InputError: naming the nearest known one.
    """
    for name in options:
        if name not in known:
            raise InputError(f"unknown option {name!r}", remedy=nearest(name, known))
    if cluster not in (None, *clusters):
        raise InputError(f"there are no clusters by {cluster!r}", remedy=f"use one of {', '.join(clusters)}")


def comparison(a: Scored, b: Scored, *, resamples: int = 1000, flips: int = 10_000, seed: int = 0) -> dict[str, Any]:
    """The content of ``compare.json``.

    Returns:
        ``{group: {metric: entry}, "settings": {...}}`` with the entries of
        ``kaname.metrics.paired.paired_difference`` (difference = B - A) plus ``"better"``: "a" or "b" where the 95 %
        interval excludes 0 and p is below 0.05, else None. The settings say how many samples were paired and list the
        others.

    Raises:
        InputError: no sample is in both, or they were scored by different metrics.
    """
    paired = sorted(set(a.values) & set(b.values))
    only_a, only_b = sorted(set(a.values) - set(b.values)), sorted(set(b.values) - set(a.values))
    if not paired:
        raise InputError(
            f"no labelled {a.sample} is in both files ({len(only_a)} in A alone, {len(only_b)} in B alone)",
            remedy=f"predict the same {a.sample}s with both, and name their labels with --data",
        )
    _refuse_other_metrics(a.values[paired[0]], b.values[paired[0]])
    for name in sorted(a.measures):
        one, other = a.settings.get(name), b.settings.get(name)
        if one != other:
            reason = f"scored in different ways: {name} of B is {other}, of A {one}"
            raise InputError(reason, remedy="score both alike: give it as key=value, or evaluate one again")
    clusters = [a.clusters[name] for name in paired] if a.clusters else None
    content: dict[str, Any] = {}
    for group, metrics in a.values[paired[0]].items():
        content[group] = {}
        for metric in metrics:
            first, second = ([scored.values[name][group][metric] for name in paired] for scored in (a, b))
            entry = paired_difference(
                first, second, clusters, statistic=a.statistics.get(metric, mean), n=resamples, flips=flips, seed=seed
            )
            content[group][metric] = {**entry, "better": _better(entry, lower=metric in a.lower_is_better)}
    settings = {**a.settings, **FIXED_SETTINGS, "sample": a.sample, "cluster": a.cluster, "pairs": len(paired)}
    if clusters:
        settings["clusters"] = len(set(clusters))
    settings |= {"only_a": only_a, "only_b": only_b, "resamples": resamples, "seed": seed}
    settings |= {"left_out_a": dict(a.left_out), "left_out_b": dict(b.left_out)}
    other = {name: value for name, value in b.settings.items() if a.settings.get(name) != value}
    return {**content, "settings": {**settings, "other_settings_of_b": other}}


def table(content: Mapping[str, Any]) -> list[list[str]]:
    """Rows for the screen: the first is the heading."""
    rows = [["group", "metric", "A", "B", "B - A", "95 % interval", "p", "n", "better"]]
    for group, metric, entry in entries(content):
        interval = "-" if entry["low"] is None else f"{entry['low']:+.3f} to {entry['high']:+.3f}"
        numbers = [_shown(entry["a"]), _shown(entry["b"]), _shown(entry["difference"], "+.3f"), interval]
        p_value = shown_p(entry["p_value"], 4)
        rows.append([group, metric, *numbers, p_value, str(entry["n"]), (entry["better"] or "").upper()])
    return rows


def shown_p(value: float | None, decimals: int) -> str:
    """A p-value in so many decimals; one that they would round to 0, which none is, as being less than they show.

    >>> shown_p(0.0001, 3), shown_p(0.0001, 4), shown_p(None, 3)
    ('<0.001', '0.0001', '-')
    """
    text = _shown(value, f".{decimals}f")
    return f"<{10**-decimals:.{decimals}f}" if value is not None and float(text) == 0 else text


def remarks(content: Mapping[str, Any]) -> list[str]:
    """What a reader of the table must know, one line each."""
    settings = content["settings"]
    lines = [
        f"{name} of B is {value}, of A {settings.get(name)}" for name, value in settings["other_settings_of_b"].items()
    ]
    for side in ("a", "b"):
        for key, what in ((f"only_{side}", f"in {side.upper()} alone"), (f"left_out_{side}", "not scored")):
            names = list(settings[key])
            if names:
                where = f" of {side.upper()}" if key.startswith("left") else ""
                more = f" and {len(names) - 5} more" if len(names) > 5 else ""
                lines.append(f"{len(names)} {what}{where}: {', '.join(names[:5])}{more}")
    figures = [entry for _, _, entry in entries(content)]
    lines += [f"null: {reason}" for reason in sorted({entry["reason"] for entry in figures if "reason" in entry})]
    tested = sum(entry["p_value"] is not None for entry in figures)
    if tested > 1:
        lines.append(f"{tested} p-values, not corrected: by chance alone about {tested / 20:.1f} lie under 0.05")
    return lines


def _refuse_other_metrics(a: Mapping[str, Any], b: Mapping[str, Any]) -> None:
    first, second = ({(group, metric) for group in one for metric in one[group]} for one in (a, b))
    if first != second:
        only = [
            ", ".join(f"{group} {metric}" for group, metric in sorted(side))
            for side in (first - second, second - first)
        ]
        raise InputError(
            f"scored in different ways: A alone has {only[0] or 'nothing'}, B alone {only[1] or 'nothing'}",
            remedy="give the recipe's options, such as tolerance=5, for both",
        )


def _better(entry: Mapping[str, Any], *, lower: bool) -> str | None:
    if entry["low"] is None or entry["low"] <= 0 <= entry["high"] or not entry["p_value"] < SIGNIFICANT:
        return None
    return "a" if (entry["low"] > 0) == lower else "b"


def _shown(value: float | None, form: str = ".3f") -> str:
    return "-" if value is None else format(value, form)
