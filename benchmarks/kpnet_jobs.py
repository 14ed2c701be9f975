"""What several processes and a cluster cost for each video: ``--jobs 2`` beside ``--jobs 1``, Ray beside ``--jobs 2``.

    OMP_NUM_THREADS=1 python benchmarks/kpnet_jobs.py [--videos 12] [--frames 60] [--seconds 0.2]

Two kinds of work, in one run: pieces that sleep for ``--seconds`` each, so that what is measured is giving out and
taking back alone; and videos of so many rendered frames through ``kpnet infer`` with a tiny network of random weights.
The overhead of a video is what the whole lasted beyond its share of the work, ``(total - start) - work / workers``,
over the number of videos; the start is the time until the first one was begun. With Ray installed a cluster of a head
without cores and two nodes of one core each does the same; its start is that of the connection and the probes, not that
of the machines. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from kaname.pipeline.jobs import Cluster, Desk, Job, run

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks")]
NAMED = "kpnet_jobs:piece"


def piece(desk: Desk, seconds: float) -> float:
    """Work of so many seconds; returns when it was begun."""
    began = time.time()
    time.sleep(seconds)
    desk.tell(1)
    return began


def video(desk: Desk, **arguments: Any) -> float:
    """A video of ``infer``; returns when it was begun."""
    from kaname.recipes.kpnet.infer import predict_video

    began = time.time()
    predict_video(desk, **arguments)
    return began


def prepared(folder: Path, videos: int, frames: int) -> tuple[list[Any], Path]:
    """Rendered videos and a checkpoint."""
    from kaname.recipes.kpnet.sources import Source
    from kaname.samples.kpnet import write
    from recipes.kpnet import tiny

    write(folder / "data", count=1, val_count=1, length=frames, every=frames, size=tiny.SIZE, seed=2)
    paths = [folder / f"v{number:02d}.mp4" for number in range(videos)]
    for path in paths:
        shutil.copy(folder / "data" / "movie" / "val00.mp4", path)
    return [Source(path.stem, path) for path in paths], tiny.detector(folder / "rgb.pt")


def measured(function: str, jobs: list[Job], how: dict[str, Any]) -> tuple[float, float]:
    """Seconds in all, and until the first was begun."""
    began = time.time()
    ended = run(function, jobs, **how)
    total = time.time() - began
    ended.report()
    return total, min(ended.results.values()) - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=12)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=0.2)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    sources, checkpoint = prepared(folder, args.videos, args.frames)
    from kaname.recipes.kpnet.choices import How

    given = {"checkpoint": checkpoint, "how": How("klt"), "overwrite": False, "device": "cpu", "cotracker": None,
             "changes": {}}  # fmt: skip
    with contextlib.ExitStack() as stack:
        ways: dict[str, dict[str, Any]] = {"--jobs 1": {}, "--jobs 2": {"processes": 2}}
        if importlib.util.find_spec("ray") is not None:
            from pipeline.machines import cluster

            address = stack.enter_context(cluster(2, ROOT / "benchmarks")).address
            ways["Ray, two nodes of one core"] = {"cluster": Cluster(address, folder / "out", [checkpoint])}
        heading = ["| work | way | s in all | s to the first | s a video | beside --jobs 1 | overhead a video, s |",
                 "|---|---|---:|---:|---:|---:|---:|"]  # fmt: skip
        print("\n".join(heading), flush=True)
        for kind in ("sleeping", "infer"):
            alone = 0.0
            for number, (way, how) in enumerate(ways.items()):
                out = folder / "out" / f"{kind}{number}"
                sleeping = [Job(one.name, {"seconds": args.seconds}) for one in sources]
                videos = [Job(one.name, {"source": one, "out": out, **given}, args.frames) for one in sources]
                function, jobs = (NAMED, sleeping) if kind == "sleeping" else ("kpnet_jobs:video", videos)
                total, start = measured(function, jobs, how)
                alone = alone or total - start
                workers = 1 if number == 0 else 2
                work = args.seconds * args.videos if kind == "sleeping" else alone
                over = (total - start - work / workers) / args.videos
                print(f"| {kind} | {way} | {total:.2f} | {start:.2f} | {(total - start) / args.videos:.3f} | "
                             f"{(total - start) / alone:.2f} | {over:.3f} |", flush=True)  # fmt: skip
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
