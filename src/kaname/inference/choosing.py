"""Which runtime is the fastest for a model on this machine, among those that answer like its plain one. No torch.

Every candidate answers the same requests as the plain runtime in fp32; `kaname.inference.parity` compares the answers.
Then all of them race: they take turns, so that whatever else the machine does slows all of them, and what falls far
behind leaves after two rounds. The least time of the rounds counts, because other work can only add to it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from kaname.errors import InputError
from kaname.inference.model import Decode, Model, Request, Runner
from kaname.inference.parity import MAP_TOLERANCE, Parity, Requests, compare, compare_lower
from kaname.inference.remembered import Row
from kaname.inference.runtimes import (
    TOLERANCE_PIXELS,
    TOLERANCE_PX,
    TOLERANCE_SCORE,
    Candidate,
    Material,
)

BEHIND = 1.5  # times the fastest: whoever is slower after two rounds is not the winner
SHARE = 0.01  # of points that may be on one side alone: what the 99th percentile leaves out
REASON = 110  # letters of a foreign error that a table has room for

Clock = Callable[[], float]


@dataclass(frozen=True)
class Judging:
    """What answers are compared by.

    Attributes:
        requests: each with a name; at least one.
        threshold: the score that a point needs; None where answers have none.
        decode_at: the model's decode with another threshold, for models that find nothing at their own.
    """

    requests: Requests
    threshold: float | None = None
    decode_at: Callable[[float], Decode] | None = None


def measure(
    reference: Model,
    candidates: Iterable[Candidate],
    material: Material,
    judging: Judging,
    *,
    plain: tuple[str, str],
    rounds: int,
    clock: Clock = time.perf_counter,
    tell: Callable[[str], object] = lambda name: None,
) -> tuple[list[Row], dict[tuple[str, str], Runner]]:
    """Compare and time candidates.

    Args:
        reference: the model on its plain runtime in fp32.
        candidates: in the order of the table; the plain one may be among them.
        material: what they are opened from.
        judging: what is asked, and how answers are compared.
        plain: runtime and precision of the reference.
        rounds: how often each answers a request in the race.
        clock: seconds.
        tell: hears the name of a candidate before it begins.

    Returns:
        A row for each candidate, that of the reference first, and the runners of those that ran.
    """
    rows = {plain: Row(*plain, p99_px=None)}
    runners: dict[tuple[str, str], Runner] = {plain: reference.runner}
    for candidate in candidates:
        key = (candidate.runtime, candidate.precision)
        if key == plain:
            continue
        tell(candidate.name)
        rows[key], runner = judged(reference, candidate, material, judging)
        if runner is not None:
            runners[key] = runner
    best = race({key: reference.using(runner) for key, runner in runners.items()}, judging.requests, rounds, clock)
    for key, (seconds, against) in best.items():
        rows[key] = replace(rows[key], ms=1000 * seconds, times=against / max(seconds, 1e-9))
    return list(rows.values()), runners


def judged(reference: Model, candidate: Candidate, material: Material, judging: Judging) -> tuple[Row, Runner | None]:
    """A candidate's row without its time, and its runner where it runs."""
    row = Row(candidate.runtime, candidate.precision)
    if candidate.absent:
        return replace(row, verdict=f"not installed: {', '.join(candidate.absent)}"), None
    try:
        runner = candidate.open(candidate, material)
        near = TOLERANCE_SCORE[candidate.precision]
        other = reference.using(runner)
        parity = compare(reference, other, judging.requests, judging.threshold, near=near)
        if judging.threshold is not None and not parity.distances and not parity.unmatched:
            compare_lower(parity, (reference, other), judging.requests, judging.threshold, judging.decode_at, near=near)
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


def race(
    models: dict[tuple[str, str], Model], requests: Requests, rounds: int, clock: Clock
) -> dict[tuple[str, str], tuple[float, float]]:
    """The least seconds of each for one request, and those of the first in the rounds that both took part in."""
    first = next(iter(models))
    taken: dict[tuple[str, str], list[float]] = {key: [] for key in models}
    for number in range(max(rounds, 1)):
        least = {key: min(spans) for key, spans in taken.items() if spans}
        still = [
            key for key in models
            if number < 2 or key == first or least[key] <= BEHIND * min(least.values())
        ]  # fmt: skip
        _, request = requests[number % len(requests)]
        models[first].feed(request)  # what a feed keeps of a picture is then there for all
        turn = number % len(still)
        for key in still[turn:] + still[:turn]:  # whoever comes after the slowest finds another cache
            began = clock()
            models[key].outputs(request)
            taken[key].append(clock() - began)
    own = taken[first]
    return {key: (min(spans), min(own[: len(spans)])) for key, spans in taken.items()}


def seconds_of(model: Model, request: Request, clock: Clock = time.perf_counter) -> float:
    """Seconds of one answer, from a second call: the first one warms up."""
    model.outputs(request)
    began = clock()
    model.outputs(request)
    return clock() - began
