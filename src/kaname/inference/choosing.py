"""Which runtime is the fastest for a model on this machine, among those that answer like its plain one. No torch.

Every candidate answers the same requests as the plain runtime in fp32; `kaname.inference.parity` compares the answers.
Then all of them race: they take turns, so that whatever else the machine does slows all of them, and what falls far
behind leaves after three rounds. The least time of the rounds counts, because other work can only add to it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from kaname.errors import InputError
from kaname.inference.model import Model, Runner
from kaname.inference.parity import MAP_TOLERANCE, Parity, Requests, compare, compare_lower
from kaname.inference.remembered import Row
from kaname.inference.request import Decode, Request
from kaname.inference.runtimes import TOLERANCE_PIXELS, TOLERANCE_PX, TOLERANCE_SCORE, Candidate, Material

SETTLED, BEHIND = 3, 2.0  # rounds after which whoever takes so many times as long as the fastest is out
HOPELESS = 4.0  # times the plain one: whoever is slower is not compared, which would take as long
SHARE = 0.01  # of points that may be on one side alone: what the 99th percentile leaves out
REASON = 110  # letters of a foreign error that a table has room for

Clock = Callable[[], float]
Key = tuple[str, str]
"""A runtime and a precision."""


@dataclass(frozen=True)
class Judging:
    """What answers are compared by, and times are taken with.

    Attributes:
        requests: each with a name; at least one.
        threshold: the score that a point needs; None where answers have none.
        decode_at: the model's decode with another threshold, for models that find nothing at their own.
        clock: seconds.
        kept: the reference's outputs, which are asked for once.
    """

    requests: Requests
    threshold: float | None = None
    decode_at: Callable[[float], Decode] | None = None
    clock: Clock = time.perf_counter
    kept: dict[int, dict[str, NDArray[Any]]] = field(default_factory=dict)


def measure(
    reference: Model, plain: Key, candidates: Iterable[Candidate], material: Material, judging: Judging, *, rounds: int
) -> tuple[list[Row], dict[Key, Runner]]:
    """Compare and time candidates.

    Args:
        reference: the model on its plain runtime in fp32.
        plain: that runtime and precision.
        candidates: in the order of the table, those that start slowly after the others; the plain one may be among
            them.
        material: what they are opened from.
        judging: what is asked, and how answers are compared.
        rounds: how often each answers in the race.

    Returns:
        A row for each candidate, that of the reference first, and the runners of those that take part in the race.
    """
    rows: dict[Key, Row] = {plain: Row(*plain)}
    runners: dict[Key, Runner] = {plain: reference.runner}
    usual = seconds_of(reference, judging.requests[0][1], judging.clock)
    for candidate in candidates:
        key = (candidate.runtime, candidate.precision)
        if key in rows:
            continue
        slow = next((row for (_, kind), row in rows.items() if kind == key[1] and row.verdict.startswith("slow")), None)
        if candidate.slow_start and slow is not None:
            rows[key] = Row(*key, verdict=f"not tried: {slow.runtime} {slow.precision} is {slow.verdict}")
            continue
        rows[key], runner = judged(reference, usual, candidate, material, judging)
        if runner is not None:
            runners[key] = runner
    best = race({key: reference.using(runner) for key, runner in runners.items()}, judging, rounds)
    for key, (seconds, against) in best.items():
        rows[key] = replace(rows[key], ms=1000 * seconds, times=against / max(seconds, 1e-9))
    return list(rows.values()), runners


def judged(
    reference: Model, usual: float, candidate: Candidate, material: Material, judging: Judging
) -> tuple[Row, Runner | None]:
    """A candidate's row, and its runner where it may race; ``usual`` are seconds of the reference."""
    row, near = Row(candidate.runtime, candidate.precision), TOLERANCE_SCORE[candidate.precision]
    if candidate.absent:
        return replace(row, verdict=f"not installed: {', '.join(candidate.absent)}"), None
    if candidate.trial is not None and (times := candidate.trial()) > HOPELESS:
        return replace(row, verdict=f"slow, {times:.0f} times what fp32 takes for one convolution"), None
    try:
        runner = candidate.open(candidate, material)
        other = reference.using(runner)
        seconds = seconds_of(other, judging.requests[0][1], judging.clock)
        if seconds > HOPELESS * usual:  # unless other work came between
            seconds = min(seconds, seconds_of(other, judging.requests[0][1], judging.clock))
        if seconds > HOPELESS * usual:
            told = f"slow, {seconds / usual:.0f} times what the plain runtime takes"
            return replace(row, verdict=told, ms=1000 * seconds, times=usual / seconds), None
        how = {"near": near, "kept": judging.kept}
        parity = compare(reference, other, judging.requests, judging.threshold, **how)
        if judging.threshold is not None and not parity.distances and not parity.unmatched:
            compare_lower(parity, (reference, other), judging.requests, judging.threshold, judging.decode_at, **how)
    except InputError as error:
        return replace(row, verdict=f"does not run: {error.reason}"), None
    except Exception as error:  # a foreign library refuses a graph, an operation or a precision by any error
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:REASON]
        return replace(row, verdict=f"does not run: {reason}"), None
    return verdict(row, parity), runner


def verdict(row: Row, parity: Parity) -> Row:
    """A row with how far its answers moved, and whether they are alike enough for its precision."""
    told = parity.lowered if parity.lowered is not None else parity
    points, alone = len(told.distances), len(told.unmatched)
    row = replace(
        row,
        p99_px=told.percentile_99_px if points else None,
        largest_px=max(told.distances) if points else None,
        pixels=told.pixels_apart / told.pixels if told.pixels else None,
    )
    limit = TOLERANCE_PX[row.precision]
    if not math.isfinite(parity.map_difference):
        return replace(row, verdict="refused: its outputs are not finite")
    if alone > SHARE * (points + alone):
        return replace(row, verdict=f"refused: {alone} points on one side alone, {points} on both")
    if row.p99_px is not None and row.p99_px > limit:
        return replace(row, verdict=f"refused: points move by {row.p99_px:.3g} px (at most {limit})")
    if row.pixels is not None and row.pixels > TOLERANCE_PIXELS:
        share = f"{100 * row.pixels:.2g} % of the pixels change (at most {100 * TOLERANCE_PIXELS:g} %)"
        return replace(row, verdict=f"refused: {share}")
    if not points and row.pixels is None and parity.map_difference > MAP_TOLERANCE:
        return replace(row, verdict=f"refused: no point to compare, and the maps differ by {parity.map_difference:.2g}")
    return row


def race(models: dict[Key, Model], judging: Judging, rounds: int) -> dict[Key, tuple[float, float]]:
    """The least seconds of each for one request, and those of the first in the rounds that both took part in."""
    first = next(iter(models))
    taken: dict[Key, list[float]] = {key: [] for key in models}
    for number in range(max(rounds, 1)):
        least = {key: min(spans) for key, spans in taken.items() if spans}
        still = [
            key
            for key in models
            if number < SETTLED or key == first or least[key] <= BEHIND * min(least.values())
        ]  # fmt: skip
        _, request = judging.requests[number % len(judging.requests)]
        models[first].feed(request)  # what a feed keeps of a picture is then there for all
        turn = number % len(still)
        for key in still[turn:] + still[:turn]:  # whoever comes after the slowest finds another cache
            began = judging.clock()
            models[key].outputs(request)
            taken[key].append(judging.clock() - began)
    own = taken[first]
    return {key: (min(spans), min(own[: len(spans)])) for key, spans in taken.items()}


def seconds_of(model: Model, request: Request, clock: Clock = time.perf_counter) -> float:
    """Seconds of one answer, from a second call: the first one warms up."""
    model.outputs(request)
    began = clock()
    model.outputs(request)
    return clock() - began
