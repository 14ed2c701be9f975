"""HOTA against TrackEval, in one run; prints a Markdown table.

    OMP_NUM_THREADS=1 python benchmarks/hota.py [--frames 1000 10000 100000] [--most 20000]

Objects of random sequences: each true one has a prediction of similarity 0.5..1, and all other pairs have up to 0.1
(``near``), 0 (``far``), or all pairs have any (``any``). TrackEval is timed on at most ``--most`` frames; its time
grows in proportion to them.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc

import numpy as np
from trackeval.metrics.hota import HOTA

from kaname.metrics.hota import hota

CASES = (("near", 2), ("near", 10), ("far", 10), ("any", 10), ("near", 30))
Sequence = tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]


def sequence(frames: int, objects: int, kind: str) -> Sequence:
    """Ids and similarities of every frame."""
    random = np.random.default_rng(0)
    truth = [np.arange(objects)] * frames
    predicted = [random.permutation(objects) for _ in range(frames)]
    similarity: list[np.ndarray] = []
    for ids in predicted:
        alike = random.random((objects, objects))
        if kind != "any":
            alike = np.where(truth[0][:, None] == ids[None], 0.5 + alike / 2, alike / 10 * (kind == "near"))
        similarity.append(alike)
    return truth, predicted, similarity


def theirs(truth: list[np.ndarray], predicted: list[np.ndarray], similarity: list[np.ndarray]) -> dict[str, np.ndarray]:
    """TrackEval's figures."""
    objects, frames = len(truth[0]), len(truth)
    data = {"num_gt_ids": objects, "num_tracker_ids": objects, "num_gt_dets": objects * frames}
    data |= {"num_tracker_dets": objects * frames}
    return HOTA().eval_sequence({**data, "gt_ids": truth, "tracker_ids": predicted, "similarity_scores": similarity})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--most", type=int, default=5000, help="frames that TrackEval is timed on")
    options = parser.parse_args()
    print("| kind | objects | frames | TrackEval, us a frame | kaname, us a frame | ratio | kaname, bytes a pair |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for kind, objects in CASES:
        for frames in options.frames:
            whole = sequence(frames, objects, kind)
            part = [one[: options.most] for one in whole]
            started = time.perf_counter()
            wanted = theirs(*part)
            other = (time.perf_counter() - started) / len(part[0]) * 1e6
            started = time.perf_counter()
            found = hota(*whole)
            own = (time.perf_counter() - started) / frames * 1e6
            if frames <= options.most and not np.allclose(found["HOTA"], wanted["HOTA"], rtol=0, atol=1e-9):
                raise SystemExit(f"{kind} {objects}: the figures differ")
            tracemalloc.start()
            hota(*whole)
            peak = tracemalloc.get_traced_memory()[1] / (frames * objects**2)
            tracemalloc.stop()
            row = f"| {kind} | {objects} | {frames:,} | {other:.0f} | {own:.1f} | {other / own:.1f} | {peak:.0f} |"
            print(row, flush=True)


if __name__ == "__main__":
    main()
