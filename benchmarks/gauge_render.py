"""Rendered dials a second on one core, by variety and size, in CPU time.

    OMP_NUM_THREADS=1 python benchmarks/gauge_render.py [--count 100] [--profile]

``--profile`` also lists where the time goes, by function.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time

import cv2
import numpy as np

from kaname.samples.gauge import render

CASES = (("plain", 256), ("full", 256), ("full", 448), ("world", 224), ("world", 256), ("world", 448))


def rate(variety: str, size: int, count: int) -> float:
    """Dials a second of CPU time."""
    for index in range(5):
        render(np.random.default_rng([1, index]), size, variety=variety)
    started = time.process_time()
    for index in range(count):
        render(np.random.default_rng([2, index]), size, variety=variety)
    return count / (time.process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for variety, size in CASES:
        print(f"{variety} {size}: {rate(variety, size, options.count):.1f} a second")
        if options.profile:
            with cProfile.Profile() as profile:
                rate(variety, size, options.count)
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
