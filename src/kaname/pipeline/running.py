"""What a model runs on, where that is not simply its file's own runtime: as asked, remembered, or found by measuring.

A search costs seconds (an export, a second or two for each candidate, five rounds), so that a job has to be long enough
to earn it back; a short one uses what is remembered, or the plain runtime. What one search has found serves the next
job with the same weights on the same machine. No torch, before a checkpoint has to be opened by it.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import itertools
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kaname.errors import InputError
from kaname.extras import require_package
from kaname.inference import own_exports
from kaname.inference.model import Model, Runner
from kaname.inference.remembered import Memory, Row, fastest
from kaname.inference.request import Decode, Request
from kaname.inference.runtimes import (
    AUTO,
    OWN,
    Candidate,
    Material,
    Running,
    candidate_of,
    candidates_for,
    device_kind,
    threads,
)

FEW = 100
"""Images of a job that is too short for any search."""
SMALL = 1 << 31
"""Bytes of weights times answers of a job that is taken for short."""
LONG, VERY_LONG = 120.0, 1800.0
"""Seconds that a job has to take on the plain runtime for a search, and for one with runtimes that start slowly."""
ROUNDS = 5
ASKED = 4  # requests that a search asks of every candidate


@dataclass(frozen=True)
class Demand:
    """What is going to be asked of a model.

    Attributes:
        count: about how many answers; None for as many as earn any search back.
        requests: some of them, as a search asks them, each with a name.
    """

    count: int | None
    requests: Callable[[Model], Iterable[tuple[str, Request]]]


@dataclass(frozen=True)
class Source:
    """A model's file, and how it is opened; the functions are those of `kaname.pipeline.model`.

    Attributes:
        path: a checkpoint or an export.
        recipe: whose file it must be.
        open_plain: to a device: the file's own runner, and its card.
        assemble: a model from a runner and a card.
        thresholds: from a card: the score that a point needs, and a decode with another one.
        clock: seconds.
    """

    path: Path
    recipe: str
    open_plain: Callable[[str], tuple[Runner, Mapping[str, Any]]]
    assemble: Callable[[Runner, Mapping[str, Any]], Model]
    thresholds: Callable[[Mapping[str, Any]], tuple[float | None, Callable[[float], Decode] | None]]
    clock: Callable[[], float] = time.perf_counter


def open_running(source: Source, running: Running, demand: Demand | None = None) -> Model:
    """A model on what is asked for.

    Args:
        running: with a runtime or a precision that is not the file's own.
        demand: what it is for; without one nothing is measured.

    Raises:
        InputError: an unusable file, packages that are missing, or what cannot run here or in this precision.
    """
    opening = Opening(source, running)
    if AUTO not in (running.runtime, running.precision):
        return opening.model(opening.asked())
    best = opening.best(opening.rows())
    if best is not None and (demand is None or not opening.lacking(demand, best)):
        model = opening.remembered(best)
        if model is not None:
            if demand is not None and not opening.is_plain(best):
                told(f"{source.path.name} runs on {best.runtime} {best.precision}, {_gain(best, opening.plain)}")
            return model
    if demand is None or opening.without_torch or (demand.count is not None and opening.is_short(demand.count)):
        return opening.model(opening.default())
    model = opening.plain_model
    from kaname.inference.choosing import seconds_of

    requests = list(itertools.islice(demand.requests(model), ASKED))
    if not requests:
        return opening.model(opening.default())
    seconds = LONG if demand.count is None else demand.count * seconds_of(model, requests[0][1], source.clock)
    if seconds < LONG:
        return opening.model(opening.default())
    return opening.searched(requests, slow_start=seconds >= VERY_LONG)


class Opening:
    """One file on one machine, opened in one or several ways; what is costly is done when it is first needed."""

    def __init__(self, source: Source, running: Running) -> None:
        self.source, self.path = source, source.path
        self.export = self.path.suffix.lower() == ".onnx"
        self.plain = "onnxruntime" if self.export else "torch"
        self.running = replace(running, runtime=self.plain) if running.runtime == OWN else running
        if not self.export:
            _ = self.outline  # refused before torch is imported, which takes seconds
        self.without_torch = not self.export and importlib.util.find_spec("torch") is None

    @functools.cached_property
    def outline(self) -> Any:
        """What a checkpoint says of itself."""
        from kaname.inference.checkpoint_card import read  # here, because an export needs no reader of archives

        return read(self.path, self.source.recipe)

    @functools.cached_property
    def device(self) -> str:
        """cpu, cuda, cuda:N or mps."""
        return device_kind(self.running, export=self.export)

    @functools.cached_property
    def memory(self) -> Memory:
        """What was measured of this file here."""
        named = self.device
        if named.startswith("cuda") and not self.export:
            named = f"{named} {importlib.import_module('torch').cuda.get_device_name(named)}"
        return Memory(self.path, named, threads())

    @functools.cached_property
    def opened(self) -> tuple[Any, Mapping[str, Any]]:
        """The plain runner and the card."""
        return self.source.open_plain(self.running.device)

    @functools.cached_property
    def card(self) -> Mapping[str, Any]:
        """The file's card, of a checkpoint without torch."""
        return self.opened[1] if self.export else self.outline.card

    @functools.cached_property
    def material(self) -> Material:
        """What candidates are opened from."""
        heads = list(self.card["heads"])
        return Material(lambda: self.opened[0], self.onnx, heads, threads(), self.export, self.device)

    def candidates(self, *, slow_start: bool = False, running: Running | None = None) -> list[Candidate]:
        """Those that are asked for and can run this file here."""
        kind = self.device.partition(":")[0]
        chosen = running or self.running
        slow_start = slow_start or chosen.runtime != AUTO  # asked for by name
        return candidates_for(chosen, kind, export=self.export, slow_start=slow_start)

    def is_short(self, count: int) -> bool:
        """Whether a job is not worth asking the network how long it takes: by a rule of thumb, for the answer is not
        known. A small U-Net of 3 MB takes 60 ms at 448 px on one slow core, so 700 answers of it take 42 s."""
        return count < FEW or (count < 10 * FEW and count * self.path.stat().st_size < SMALL)

    def is_plain(self, row: Row | Candidate) -> bool:
        """Whether this is the file's own runtime in fp32."""
        return (row.runtime, row.precision) == (self.plain, "fp32")

    def onnx(self) -> Path:
        """The ONNX file; that of a checkpoint is made where it is missing, and a line says so."""
        if self.export:
            return self.path
        place = own_exports.place_of(self.path)
        if not own_exports.used(place):
            require_package("torch", f"the first export of {self.path.name}")
            began = time.monotonic()
            own_exports.make(self.plain_model, place)
            told(f"{self.path.name} is exported once, {time.monotonic() - began:.0f} s, to {place}")
        return place

    @functools.cached_property
    def plain_model(self) -> Model:
        """The model on the file's own runtime in fp32."""
        return self.source.assemble(*self.opened)

    def asked(self) -> Candidate:
        """The one candidate that is asked for.

        Raises:
            InputError: it is not installed, or does not run this file here; with what does.
        """
        runtime = self.running.runtime
        able = self.candidates(slow_start=True)
        if not able:
            others = self.candidates(slow_start=True, running=replace(self.running, runtime=AUTO, precision=AUTO))
            remedy = f"there are {', '.join(one.name for one in others)}"
            what = "an ONNX export" if self.export else "a checkpoint"
            reason = f"{runtime} {self.running.precision} does not run {what} on {self.device.partition(':')[0]}"
            raise InputError(reason, path=self.path, remedy=remedy)
        for name in able[0].absent:
            if not (name == "torch" and self.fallback()):
                require_package(name, f"the runtime {runtime}")
        return able[0]

    def default(self) -> Candidate:
        """What runs where nothing was measured: the plain runtime, or the first that is here of those asked for.

        Raises:
            InputError: nothing is here.
        """
        if self.without_torch:
            exported = own_exports.used(own_exports.place_of(self.path))
            able = [one for one in self.candidates() if one.exported and not one.absent]
            if exported and able:
                told(f"torch is not installed: {self.path.name} runs on {able[0].name}, from its export in the cache")
                return able[0]
            require_package("torch", "a checkpoint")
        able = [one for one in self.candidates(slow_start=True) if not one.absent]
        return next((one for one in able if self.is_plain(one)), None) or (able[0] if able else self.asked())

    def model(self, candidate: Candidate) -> Model:
        """The model on a candidate."""
        return self.source.assemble(candidate.open(candidate, self.material), self.card)

    def rows(self) -> list[Row]:
        """What is remembered of the candidates that are asked for."""
        return [row for row in self.memory.read() if self.running.takes(row.runtime, row.precision)]

    def best(self, rows: Iterable[Row]) -> Row | None:
        """The fastest of what was measured."""
        return fastest(list(rows), self.plain)

    def lacking(self, demand: Demand, best: Row) -> bool:
        """Whether a demand is long enough to measure what has not been measured yet."""
        seconds = LONG if demand.count is None else demand.count * (best.ms or 0.0) / 1000
        known = {(row.runtime, row.precision) for row in self.memory.read()}
        wanted = self.candidates(slow_start=seconds >= VERY_LONG) if seconds >= LONG else []
        return any((one.runtime, one.precision) not in known for one in wanted)

    def remembered(self, best: Row) -> Model | None:
        """The model on what was the fastest; None where that cannot be opened without an export."""
        candidate = candidate_of(best.runtime, best.precision)
        if candidate is None or candidate.absent:
            return None
        if candidate.exported and not self.export and not own_exports.used(own_exports.place_of(self.path)):
            return None
        try:
            return self.model(candidate)
        except InputError as error:
            if self.is_plain(candidate):
                raise
            told(f"{candidate.name} was the fastest for {self.path.name} and does not run now: {error.reason}")
            return None

    def searched(self, requests: list[tuple[str, Request]], *, slow_start: bool) -> Model:
        """Measure, remember, and the model on what is the fastest."""
        began = time.monotonic()
        told(f"{self.path.name}: the runtimes of this machine are compared, before a long job")
        rows, runners = self.measured(requests, slow_start=slow_start)
        stored = self.memory.write(rows)
        best = self.best(row for row in rows if self.running.takes(row.runtime, row.precision))
        key = (self.plain, "fp32") if best is None else (best.runtime, best.precision)
        gain = "nothing else that is here answers alike" if best is None else _gain(best, self.plain)
        kept = "remembered" if stored else "not remembered, for the cache folder cannot be written"
        told(f"it runs on {' '.join(key)}, {gain}; found in {time.monotonic() - began:.0f} s, {kept}")
        return self.source.assemble(runners[key], self.card)

    def measured(
        self,
        requests: list[tuple[str, Request]],
        *,
        slow_start: bool,
        rounds: int = ROUNDS,
    ) -> tuple[list[Row], dict[tuple[str, str], Runner]]:
        """A row for each candidate that is asked for, and the runners of those that ran."""
        from kaname.inference.choosing import Judging, measure  # here, because SciPy takes time to import

        judging = Judging(requests, *self.source.thresholds(self.card), clock=self.source.clock)
        candidates = self.candidates(slow_start=slow_start)
        plain = (self.plain, "fp32")
        return measure(self.plain_model, plain, candidates, self.material, judging, rounds=rounds)

    def fallback(self) -> bool:
        """Whether an export in the cache can stand in for a checkpoint."""
        return not self.export and own_exports.used(own_exports.place_of(self.path))


def told(line: str) -> None:
    """A line for the user beside the output."""
    print(line, file=sys.stderr, flush=True)


def _gain(row: Row, plain: str) -> str:
    if (row.runtime, row.precision) == (plain, "fp32"):
        return "the fastest that answers alike"
    moved = "" if row.largest_px is None else f", points within {row.largest_px:.2g} px"
    return f"{row.times or 0:.2g} times as fast as plain {plain}{moved}"
