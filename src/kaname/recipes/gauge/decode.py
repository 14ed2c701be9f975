"""From heatmaps to notches. No torch: an ONNX export predicts without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.geometry.affine import Affine
from kaname.geometry.grid import PIXELS, Grid
from kaname.inference.card import grid_of
from kaname.inference.request import Arrays, Decode, Request
from kaname.recipes.gauge import CHANNELS, NEEDLE, REFERENCE_SIZE
from kaname.recipes.gauge.config import ExtractSettings
from kaname.types import Answer, Points, Size

FEWEST = 3  # notches of a dial


def decode_of(card: Mapping[str, Any], settings: ExtractSettings) -> Decode:
    """From a network's maps to notches with these settings."""
    grid = grid_of(card)

    def decode(outputs: Arrays, request: Request) -> list[Answer]:
        maps, names = outputs["heatmaps"][0], CHANNELS
        if "needle" in outputs:
            maps, names = np.concatenate([maps, outputs["needle"][0]]), (*CHANNELS, *NEEDLE)
        return [extract_points(maps, request.back(), request.size, settings, grid, names=names)]

    return decode


def extract_points(
    maps: NDArray[np.float32],
    back: Affine,
    size: Size,
    settings: ExtractSettings,
    grid: Grid = PIXELS,
    *,
    names: Sequence[str] = CHANNELS,
) -> Points:
    """Notches, and where there are maps of it the needle, from the maps of one image.

    Args:
        maps: ``(N, height, width)`` in 0..1, one of each of ``names``.
        back: from input pixels to pixels of the original image.
        size: ``(height, width)`` of the original image.
        settings: thresholds; lengths in pixels at 448.
        grid: where the maps' cells lie in the input.
    """
    from kaname.codecs.clusters import peaks  # files of predictions need no k-d tree

    xy: dict[str, np.ndarray] = {}
    scores: dict[str, np.ndarray] = {}
    bandwidth = settings.bandwidth * maps.shape[-1] * grid.stride_yx[1] / REFERENCE_SIZE
    for name, heatmap in zip(names, _without_padding(maps, back, size, grid), strict=True):
        places, scores[name] = peaks(
            heatmap,
            grid,
            threshold=settings.threshold,
            bandwidth=bandwidth,
            min_score=settings.min_score,
            weighted=settings.clusters == "weighted",
            single=name != "middle",
        )
        xy[name] = back.points(places)
    best = np.sort(np.append(scores["middle"], np.zeros(FEWEST)))[-FEWEST]
    if best < settings.presence:
        xy, scores = dict.fromkeys(names, np.zeros((0, 2))), dict.fromkeys(names, np.zeros(0))
    return Points(xy=xy, scores=scores, size=size)


def _without_padding(maps: NDArray[np.float32], back: Affine, size: Size, grid: Grid) -> NDArray[np.float32]:
    """The maps with each one's minimum where the input is black padding: no notch lies outside the image."""
    cells = [
        grid.from_index(np.repeat(np.arange(count, dtype=np.float64)[:, None], 2, axis=1)) for count in maps.shape[1:]
    ]
    rows, columns = back.points(cells[0])[:, 1], back.points(cells[1])[:, 0]
    inside = ((rows >= 0) & (rows <= size[0]))[:, None] & ((columns >= 0) & (columns <= size[1]))
    return maps if inside.all() else np.where(inside, maps, maps.min(axis=(1, 2), keepdims=True))
