"""``kaname bench``: this machine with this installation, measured now; no figure is a stored one."""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from kaname.errors import InputError

if TYPE_CHECKING:
    from kaname.inference.model import Model
    from kaname.inference.remembered import Row
    from kaname.inference.request import Request

BUSY = 1.5  # processes that want to work, for each core
PHOTOGRAPH = (720, 1280)  # of noise, where a model's own data is not there


def bench(
    file: Annotated[
        Path | None,
        Parameter(
            help="A checkpoint, export or shipped model: compare this machine's runtimes on it, remember the fastest."
        ),
    ] = None,
    /,
    *,
    images: Annotated[
        Path | None,
        Parameter(help="With FILE: a folder of images, an image or a video; default: the model's own data."),
    ] = None,
    count: Annotated[int, Parameter(help="With FILE: images, or windows of frames, that answers are compared on.")] = 8,
    device: Annotated[str, Parameter(help="With FILE: auto, cpu, cuda, cuda:N or mps.")] = "auto",
    model: Annotated[Path | None, Parameter(help="Also time this checkpoint, export or shipped model.")] = None,
    repeats: Annotated[
        int, Parameter(help="Runs of each; the median counts, of runtimes the least, in which other work is least.")
    ] = 9,
) -> None:
    """Measure the parts that a CPU does for every image; with FILE every runtime: how fast, how far answers move."""
    from kaname.pipeline.weights import weights_in

    if repeats < 1:
        raise InputError(f"--repeats must be at least 1, got {repeats}", remedy="leave it out for 9")
    if file is not None:
        if model is not None:
            raise InputError("a model is named twice, alone and with --model", remedy="leave --model out")
        _runtimes(file, images, count, device, repeats)
        return
    _parts(None if model is None else weights_in(model), repeats)


def _runtimes(file: Path, images: Path | None, count: int, device: str, repeats: int) -> None:
    """The table of runtimes for one model."""
    from kaname.inference.remembered import cores, fastest
    from kaname.inference.runtimes import AUTO, Running
    from kaname.loading import known_recipe, read_card
    from kaname.pipeline.model import opening_of
    from kaname.pipeline.weights import weights_in
    from kaname.recipes import recipe_of

    if count < 1:
        raise InputError(f"--count must be at least 1, got {count}", remedy="leave it out for 8")
    place = weights_in(file)
    recipe = recipe_of(known_recipe(read_card(place), place))
    opening = opening_of(recipe, place, Running(device, AUTO, AUTO))
    opening.default()  # without torch a checkpoint has nothing to be compared with
    requests, what = _requests(recipe, opening.plain_model, images, count)
    print(f"{place.name} of {recipe.name} on {opening.device}, {len(requests)} {what}")
    began = time.perf_counter()
    rows, _ = opening.measured(requests, slow_start=True, rounds=repeats)
    best = fastest(rows, opening.plain)
    print("\n".join(table(rows, best, opening.plain)))
    stored = opening.memory.write(rows)
    if hasattr(os, "getloadavg") and (load := os.getloadavg()[0]) > BUSY * cores():
        print(f"the machine was busy (load {load:.1f} on {cores()} cores): measure again when it is not")
    print(f"measured in {time.perf_counter() - began:.0f} s", end="; ")
    print(f"remembered in {opening.memory.place}" if stored else "not remembered: the cache folder cannot be written")


def _requests(recipe: Any, model: Model, images: Path | None, count: int) -> tuple[list[tuple[str, Request]], str]:
    """What is asked, and what that is in words."""
    from kaname.pipeline.export import own_windows
    from kaname.pipeline.windows import windows_of

    def some(windows: Iterator[tuple[str, Request]]) -> list[tuple[str, Request]]:
        return list(itertools.islice(windows, count))

    if images is not None:
        if chosen := some(windows_of(model, images, count)):
            return chosen, f"requests from {images}"
        raise InputError(f"fewer than {model.frames} frames", path=images, remedy="give more of them")
    try:
        if chosen := some(own_windows(recipe, model, count)):
            return chosen, "requests from its own data"
    except InputError:  # gone, moved, or never here
        pass
    import numpy as np

    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (*PHOTOGRAPH, 3), dtype=np.uint8) for _ in range(model.frames)]
    return [("noise", model.request(frames))], "picture of noise (answers say little of it: give --images)"


def table(rows: Sequence[Row], best: Row | None, plain: str) -> list[str]:
    """The lines of the table, fastest first; what did not run comes last."""
    lines = [
        f"{'runtime':<13}{'precision':<11}{'ms':>9}{'times ' + plain:>19}{'99 %, px':>11}{'largest, px':>13}  verdict"
    ]
    for row in sorted(rows, key=lambda row: -(row.times or 0.0)):
        figures = [
            "" if value is None else f"{value:{form}}"
            for value, form in ((row.ms, ".2f"), (row.times, ".2f"), (row.p99_px, ".4f"), (row.largest_px, ".4f"))
        ]
        moved = "" if row.pixels is None else f", {100 * row.pixels:.3g} % of the masks' pixels"
        said = "reference" if (row.runtime, row.precision) == (plain, "fp32") else f"{row.verdict}{moved}"
        said += ", chosen" if row is best else ""
        ms, times, p99, largest = figures
        lines.append(f"{row.runtime:<13}{row.precision:<11}{ms:>9}{times:>19}{p99:>11}{largest:>13}  {said}")
    return lines


def _parts(model: Path | None, repeats: int) -> None:
    """The parts that a CPU does for every image, and a model."""
    import numpy as np

    from kaname.codecs.clusters import mean_shift
    from kaname.codecs.heatmap import decode, encode
    from kaname.geometry.affine import Affine
    from kaname.geometry.image import resize

    rng = np.random.default_rng(0)
    photograph = rng.integers(0, 256, (*PHOTOGRAPH, 3), dtype=np.uint8)
    dial = rng.integers(0, 256, (448, 448, 3), dtype=np.uint8)
    points = rng.uniform(40, 400, (20, 2))
    maps = encode(points, np.full(20, 2), (448, 448), 1.0, 8.0)
    rows, columns = np.nonzero(maps.max(axis=0) > 0.5)
    cells = np.stack([columns, rows], axis=1).astype(float)
    turn = Affine.rotate(30, (224, 224))
    work: dict[str, Callable[[], object]] = {
        "resize 1280x720 to 512x288": lambda: resize(photograph, (288, 512)),
        "rotate 448x448": lambda: turn.image(dial, (448, 448)),
        "encode 20 points at 448": lambda: encode(points, np.full(20, 2), (448, 448), 1.0, 8.0),
        "decode 20 maps at 448 (DARK)": lambda: decode(maps, 1.0, "dark"),
        f"mean shift of {len(cells)} cells": lambda: mean_shift(cells, 20.0),
    }
    if model is not None:
        from kaname import load

        loaded = load(model)
        work[f"{model.name} on 448x448"] = lambda: loaded.predict(dial)
    for name, function in work.items():
        function()
        spans = []
        for _ in range(repeats):
            started = time.perf_counter()
            function()
            spans.append(time.perf_counter() - started)
        print(f"{name:<36}{1000 * statistics.median(spans):9.2f} ms")
