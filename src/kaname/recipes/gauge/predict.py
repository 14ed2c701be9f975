"""From heatmaps to notches, and files of predictions. No torch: an ONNX export predicts without it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kaname import config as configuration
from kaname.codecs.clusters import peaks
from kaname.data.formats.files import read_json, write_json
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.grid import PIXELS
from kaname.inference.model import Decode, Maps, Model, Runner, open_runner
from kaname.recipes.gauge import CHANNELS, REFERENCE_SIZE
from kaname.recipes.gauge.config import ExtractSettings
from kaname.recipes.gauge.labels import POINTS_FORMAT, point_pairs
from kaname.types import Points, Size

COORDINATES = "continuous pixels of the original image: (0, 0) is the top-left corner of the top-left pixel"


def open_model(path: Path, *, runtime: str = "auto", extract: Mapping[str, Any] | None = None) -> Model:
    """A gauge model from ``model.pt``, ``last.pt`` or an ONNX export.

    Args:
        path: the file.
        runtime: device for torch files (``auto``, ``cpu``, ``cuda``, ...); ignored by ONNX files.
        extract: settings of the extraction to use instead of the stored ones.

    Raises:
        InputError: an unusable file, a file of another recipe, an unknown or ill-typed setting.
    """
    runner, card = open_runner(path, "gauge", _load, runtime=runtime)
    stored = dict(card["config"]["extract"])
    settings = configuration.from_dict(ExtractSettings, {**stored, **(extract or {})})
    return Model(card, runner, decoder(settings))


def _load(path: Path, *, device: str) -> tuple[Runner, Mapping[str, Any]]:
    from kaname.recipes.gauge.model import load_runner

    return load_runner(path, device=device)


def decoder(settings: ExtractSettings) -> Decode:
    """From maps to notches with these settings."""
    return lambda maps, back, size: extract_points(maps, back, size, settings)


def extract_points(maps: Maps, back: Affine, size: Size, settings: ExtractSettings) -> Points:
    """Notches from the three maps of one image.

    Args:
        maps: ``(3, S, S)`` in 0..1, channels start, middle, end.
        back: from input pixels to pixels of the original image.
        size: ``(height, width)`` of the original image.
        settings: thresholds; lengths in pixels at 448.
    """
    xy: dict[str, np.ndarray] = {}
    scores: dict[str, np.ndarray] = {}
    for name, heatmap in zip(CHANNELS, _without_padding(maps, back, size), strict=True):
        found, score = peaks(
            heatmap, 1.0, threshold=settings.threshold, bandwidth=settings.bandwidth * maps.shape[-1] / REFERENCE_SIZE,
            min_score=settings.min_score, weighted=settings.clusters == "weighted", single=name != "middle",
        )  # fmt: skip
        xy[name], scores[name] = back.points(found), score
    return Points(xy=xy, scores=scores, size=size)


def _without_padding(maps: Maps, back: Affine, size: Size) -> Maps:
    """The maps with each one's minimum where the input is black padding: no notch lies outside the image."""
    cells = [
        PIXELS.from_index(np.repeat(np.arange(count, dtype=np.float64)[:, None], 2, axis=1)) for count in maps.shape[1:]
    ]
    rows, columns = back.points(cells[0])[:, 1], back.points(cells[1])[:, 0]
    inside = ((rows >= 0) & (rows <= size[0]))[:, None] & ((columns >= 0) & (columns <= size[1]))
    return maps if inside.all() else np.where(inside, maps, maps.min(axis=(1, 2), keepdims=True))


def write_points(
    path: Path, rows: Iterable[tuple[str, Points, Mapping[str, Any]]], *, model: str, settings: Mapping[str, Any],
    sigma: float,
) -> None:  # fmt: skip
    """Write ``points.json``; at its name stands the whole file or none.

    ``{"format": "kaname-points", "version": 1, "coordinates": TEXT, "recipe": "gauge", "model": TEXT, "settings":
    {threshold, min_score, bandwidth, clusters, tolerance}, "sigma": S, "images": [ROW, ...]}``, where a ROW is
    ``{"image": NAME, "size": [height, width], "points": {"start": [[x, y], ...], "middle": ..., "end": ...}, "scores":
    {"start": [s], "middle": ..., "end": ...}}``. Points are continuous pixels of the original image; start and end
    hold at most one, ``middle`` every notch; scores, one a point, are the heatmap's maximum there in 0..1. NAME is the
    file's name, or its path as it was given where two files share a name. ``sigma`` (pixels at 448) is what the model
    was trained with; a file without it is read as one of a model with the default.

    Rows of a video are named ``NAME#FRAME`` and also hold ``frame`` (from 0) and ``seconds``; rows of boxes are named
    ``NAME#BOX`` and also hold ``box`` (from 1, in the order of the file of boxes).
    """
    images = [
        {
            "image": name,
            "size": list(points.size),
            "points": {channel: points.xy[channel].tolist() for channel in CHANNELS},
            "scores": {channel: points.scores[channel].tolist() for channel in CHANNELS},
            **extra,
        }
        for name, points, extra in rows
    ]
    content = {
        "format": POINTS_FORMAT, "version": 1, "coordinates": COORDINATES, "recipe": "gauge", "model": model,
        "settings": dict(settings), "sigma": sigma, "images": images,
    }  # fmt: skip
    write_json(path, content)


def read_points(path: Path) -> dict[str, Points]:
    """Predictions of a ``points.json`` by image name.

    Raises:
        InputError: not such a file, an image twice, or points that are no pairs of finite numbers.
    """
    data = read_json(path)
    if not isinstance(data, dict) or data.get("format") != POINTS_FORMAT or not isinstance(data.get("images"), list):
        raise InputError("not a file of predictions", path=path, remedy="write it with `kaname gauge predict`")
    if data.get("recipe", "gauge") != "gauge":
        reason = f"predictions of the recipe {data['recipe']!r}"
        raise InputError(reason, path=path, remedy="score them with its evaluate")
    found: dict[str, Points] = {}
    for row, entry in enumerate(data["images"], 1):
        try:
            xy = {name: point_pairs(entry["points"][name]) for name in CHANNELS}
            scores = {name: np.array(entry["scores"][name], dtype=np.float64).reshape(-1) for name in CHANNELS}
            name, (height, width) = entry["image"], (int(side) for side in entry["size"])
            if (
                not isinstance(name, str)
                or min(height, width) < 1
                or any(len(xy[n]) != len(scores[n]) for n in CHANNELS)
            ):
                raise ValueError("ill-formed")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError("not a prediction", path=path, row=f"image {row}", remedy="predict again") from error
        if not all(np.isfinite(values).all() for part in (xy, scores) for values in part.values()):
            raise InputError("a point or a score is not finite", path=path, row=f"image {row}", remedy="predict again")
        if name in found:
            raise InputError(f"{name!r} stands twice", path=path, row=f"image {row}", remedy="predict again")
        found[name] = Points(xy=xy, scores=scores, size=(height, width))
    return found
