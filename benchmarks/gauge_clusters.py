"""`plain` against `weighted` mean shift, scored against the annotated points; prints a Markdown table.

    python benchmarks/gauge_clusters.py [--count 200] [--seed 0]
    python benchmarks/gauge_clusters.py --model runs/model.pt --data training_data [--split val]

Without a model the heatmaps are made: Gaussians (sigma 8 px at 448) at the exact notches of rendered dials, as four
kinds of network would answer: `sharp` (the targets themselves), `coarse` (seen through the 32 x 32 cells of a ViT with
patch 14 and enlarged again), `uneven` (notches of 0.55 to 1, which a threshold relative to the greatest cuts
differently) and `noisy` (coarse, uneven and with smooth noise). Distances are pixels at 448; a notch counts within 10.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kaname.codecs.heatmap import encode_sets
from kaname.data.pairs import sets
from kaname.geometry.affine import Affine
from kaname.geometry.image import read_image, resize
from kaname.metrics.intervals import bootstrap
from kaname.metrics.points import matched
from kaname.pipeline.model import open_model
from kaname.recipes.gauge import CHANNELS, RECIPE
from kaname.recipes.gauge.config import ExtractSettings
from kaname.recipes.gauge.decode import extract_points
from kaname.recipes.gauge.evaluate import image_figures
from kaname.recipes.gauge.labels import letterbox, read, truth_of

SIZE, SIGMA, CELLS = 448, 8.0, 32
KINDS = ("sharp", "coarse", "uneven", "noisy")
Case = tuple[NDArray[np.float32], dict[str, NDArray[np.float64]]]


def made(kind: str, count: int, seed: int) -> Iterator[Case]:
    """Heatmaps ``(3, 448, 448)`` of one kind and the notches they stand for."""
    from kaname.samples.gauge import render

    for index in range(count):
        truth = {name: np.asarray(xy, np.float64).reshape(-1, 2) for name, xy in
                 render(np.random.default_rng([seed, index]), 128).points.items()}  # fmt: skip
        truth = {name: truth[name] * (SIZE / 128) for name in CHANNELS}
        random = np.random.default_rng([seed, index, 1])
        truth["middle"] = np.concatenate([truth[name] for name in CHANNELS])
        maps = np.zeros((3, SIZE, SIZE), np.float32)
        for channel, name in enumerate(CHANNELS):
            heights = (
                random.uniform(0.55, 1.0, len(truth[name]))
                if kind in ("uneven", "noisy")
                else np.ones(len(truth[name]))
            )
            for height, point in zip(heights, truth[name], strict=True):
                spot = encode_sets([point[None]], (SIZE, SIZE), 1.0, SIGMA)[0]
                np.maximum(maps[channel], height * spot, out=maps[channel])
        if kind in ("coarse", "noisy"):
            maps = np.stack([enlarged(resize(one, (CELLS, CELLS))) for one in maps])
        if kind == "noisy":
            noise = cv2.GaussianBlur(random.normal(0, 1, (SIZE, SIZE)).astype(np.float32), (0, 0), 6)
            maps = np.clip(maps + 0.06 * noise / noise.std(), 0, 1)
        yield maps, truth


def enlarged(cells: NDArray[Any]) -> NDArray[np.float32]:
    return Affine.resize((CELLS, CELLS), (SIZE, SIZE)).image(np.asarray(cells, np.float32), (SIZE, SIZE))


def answered(model_path: Path, data: Path, split: str | None) -> Iterator[Case]:
    """A model's heatmaps on labelled images, with the annotated notches in pixels of its input."""
    model = open_model(RECIPE, model_path)
    side = model.input_size[0]
    folders = sets(data)
    for dial in read(folders[split or ("val" if "val" in folders else next(iter(folders)))], allow_missing=True):
        if dial.points is None:
            raise SystemExit(f"{dial.image}: only heatmaps are known, and the comparison needs annotated points")
        image = read_image(dial.image)
        into = letterbox((image.shape[0], image.shape[1]), side)
        yield model.maps(image), {name: into.points(xy) for name, xy in truth_of(dial).items()}


def row(name: str, cases: list[Case], clusters: str) -> list[str]:
    """Means over the images for one way of clustering."""
    settings = replace(ExtractSettings(), clusters=clusters)
    figures: dict[str, list[float]] = {"error": [], "pck": [], "non": [], "f1": [], "ends": []}
    started = time.perf_counter()
    for maps, truth in cases:
        side = maps.shape[-1]
        points = extract_points(maps, Affine.identity(), (side, side), settings)
        scale = SIZE / side
        ours = {channel: points.xy[channel] * scale for channel in CHANNELS}
        real = {channel: truth[channel] * scale for channel in CHANNELS}
        middle = image_figures(ours, real, settings.tolerance)["middle"]
        pairs = matched(ours["middle"], real["middle"], settings.tolerance)[3]
        figures["error"] += np.linalg.norm(ours["middle"][pairs[:, 0]] - real["middle"][pairs[:, 1]], axis=1).tolist()
        for key, metric in (("pck", "pck"), ("non", "non_assigned"), ("f1", "f1")):
            figures[key].append(float(middle[metric] or 0))
        for end in ("start", "end"):
            if len(ours[end]) and len(real[end]):
                figures["ends"].append(float(np.linalg.norm(ours[end][0] - real[end][0])))
    milliseconds = 1000 * (time.perf_counter() - started) / len(cases)
    low, high = bootstrap(figures["f1"]) or (float("nan"), float("nan"))
    mean = {key: float(np.mean(values)) if values else float("nan") for key, values in figures.items()}
    return [name, clusters, f"{mean['error']:.3f}", f"{mean['pck']:.4f}", f"{mean['non']:.4f}",
            f"{mean['f1']:.4f} [{low:.4f}, {high:.4f}]", f"{mean['ends']:.3f}", f"{milliseconds:.1f}"]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if (given.model is None) != (given.data is None):
        parser.error("give --model and --data together, or neither")
    heading = [
        "heatmaps",
        "clusters",
        "matched error px",
        "PCK",
        "non-assigned",
        "F1 (95 %)",
        "start/end error px",
        "ms/image",
    ]
    print("| " + " | ".join(heading) + " |\n" + "|---" * len(heading) + "|")
    for kind in KINDS if given.model is None else (given.model.name,):
        cases = list(
            made(kind, given.count, given.seed)
            if given.model is None
            else answered(given.model, given.data, given.split)
        )
        for clusters in ("plain", "weighted"):
            print("| " + " | ".join(row(kind, cases, clusters)) + " |", flush=True)


if __name__ == "__main__":
    main()
