"""``kaname bench``: this machine with this installation, measured now; no figure is a stored one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from kaname.errors import InputError


def bench(
    *,
    model: Annotated[Path | None, Parameter(help="Also time this checkpoint or export.")] = None,
    repeats: Annotated[int, Parameter(help="Runs of each; the median counts.")] = 9,
) -> None:
    """Measure the parts that a CPU does for every image: resize, warp, encode, decode, cluster; and a model."""
    if repeats < 1:
        raise InputError(f"--repeats must be at least 1, got {repeats}", remedy="leave it out for 9")
    import numpy as np

    from kaname.codecs.clusters import mean_shift
    from kaname.codecs.heatmap import decode, encode
    from kaname.geometry.affine import Affine
    from kaname.geometry.image import resize

    rng = np.random.default_rng(0)
    photograph = rng.integers(0, 256, (720, 1280, 3), dtype=np.uint8)
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
