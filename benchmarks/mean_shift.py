"""Mean shift against scikit-learn on thresholded dial heatmaps, in one run; prints a Markdown table.

    OMP_NUM_THREADS=1 python benchmarks/mean_shift.py [--repeats 5] [--bandwidth 20]

The points are heatmap cells above 0.5 of Gaussians (sigma 8 px, 448 x 448) along a dial, cut to the stated number.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.cluster import MeanShift

from kaname.codecs.clusters import mean_shift

# Number of points asked for, notches on the dial, radius of the dial in px.
CASES = ((176, 1, 0.0), (1654, 6, 150.0), (6757, 26, 165.0))
SIZE, SIGMA, THRESHOLD = 448, 8.0, 0.5


def cells(count: int, notches: int, radius: float) -> NDArray[np.float64]:
    """``(count, 2)`` cell centres in pixels: the cells of highest value around the notches."""
    angle = np.deg2rad(np.linspace(135, 405, notches))
    places = SIZE / 2 + radius * np.column_stack([np.cos(angle), np.sin(angle)]) + np.linspace(0, 0.9, notches)[:, None]
    y, x = np.mgrid[:SIZE, :SIZE]
    heat = np.zeros((SIZE, SIZE))
    for cx, cy in places:
        heat = np.maximum(heat, np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * SIGMA**2)))
    rows, columns = np.nonzero(heat > THRESHOLD)
    best = np.sort(np.argsort(-heat[rows, columns], kind="stable")[:count])
    if len(best) < count:
        raise SystemExit(f"only {len(best)} cells for {count} points: raise the number of notches")
    return np.column_stack([columns, rows])[best].astype(np.float64)


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    """The middle of the times of some runs, after one that is not counted."""
    work()
    times: list[float] = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="runs of ours; scikit-learn's runs: at most 3")
    parser.add_argument("--bandwidth", type=float, default=20.0, help="in pixels")
    options = parser.parse_args()
    print(f"scikit-learn {sklearn.__version__}, NumPy {np.__version__}, bandwidth {options.bandwidth:g} px\n")
    print("| points | clusters | scikit-learn, s | kaname, s | ratio | greatest difference, px |")
    print("|---:|---:|---:|---:|---:|---:|")
    for case in CASES:
        points = cells(*case)
        expected = MeanShift(bandwidth=options.bandwidth).fit(points).cluster_centers_
        found = mean_shift(points, options.bandwidth)
        if found.shape != expected.shape:
            raise SystemExit(f"{len(points)} points: {len(found)} clusters, scikit-learn has {len(expected)}")
        difference = np.linalg.norm(found[:, None] - expected[None], axis=2).min(axis=1).max()
        reference = MeanShift(bandwidth=options.bandwidth)
        slow = median_seconds(lambda r=reference, p=points: r.fit(p), min(options.repeats, 3))
        quick = median_seconds(lambda p=points: mean_shift(p, options.bandwidth), options.repeats)
        ratio = f"{slow / quick:.0f}"
        print(f"| {len(points):,} | {len(found)} | {slow:.3f} | {quick:.4f} | {ratio} | {difference:.1g} |", flush=True)


if __name__ == "__main__":
    main()
