"""How many frames a second the loader of kpnet feeds with flow computed on the fly and with flow kept on disk.

    python benchmarks/kpnet_loader.py [--workers 2] [--seconds 10] [--frames 24] [--words key=value ...]

Rendered frames of 1080 x 1920 come onto a canvas of 540 x 960: decoding, resizing, Farnebäck's flow both ways, targets
and collation are in the time; nothing is trained. ``PNG`` reads each frame and the one before as images, ``mp4`` from
the video. ``compared`` also reads the frame before that one, as the consistency losses do. The cache is filled before
it is timed, in the same time as one pass on the fly.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from kaname.config import load
from kaname.data.dataset import Batches
from kaname.data.loader import close_stream, loader, open_stream
from kaname.recipes.kpnet.config import KpnetConfig
from kaname.recipes.kpnet.data import Frames
from kaname.recipes.kpnet.labels import read_set
from kaname.samples.kpnet import write

SIZE = (1080, 1920)
BATCH = 4
FED = ("image_size=540,960", "resize_only=true", "in_chans=6", "heatmap_size=196")


def rate(frames: Frames, workers: int, seconds: float) -> float:
    """Frames a second, whole epochs again and again."""
    stream = open_stream(loader(frames, Batches(len(frames), BATCH, seed=0), num_workers=workers))
    for _ in range(max(workers, 1)):
        next(stream)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        count += len(next(stream)["inputs"]["images"])
    spent = time.perf_counter() - started
    close_stream(stream)
    return count / spent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--words", nargs="*", default=[])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["KANAME_CACHE"] = f"{name}/cache"
        print("| frames from | compared | on the fly, frames/s | kept, frames/s | ratio |\n|---|---|---:|---:|---:|")
        for kind in ("PNG", "mp4"):
            data = Path(name) / kind
            every = 1 if kind == "PNG" else 2
            length = args.frames * every
            write(data, count=1, val_count=1, length=length, every=every, size=SIZE, movie=kind == "mp4")
            for compared in (False, True):
                words = [*FED, *args.words, *(["loss.hm_consist_weight=0.05"] if compared else [])]
                speeds: list[float] = []
                for budget in (0, 20):
                    config = load(
                        KpnetConfig, overrides=[*words, f"train.cache_budget={budget}"], flags={"data.root": data}
                    )
                    frames = Frames(config, read_set(config.data, "train"), augment=True)
                    for index in range(len(frames) if budget else 0):
                        frames.sample(index, 0)
                    speeds.append(rate(frames, args.workers, args.seconds))
                ratio = speeds[1] / speeds[0]
                told = "yes" if compared else "no"
                print(f"| {kind} | {told} | {speeds[0]:.1f} | {speeds[1]:.1f} | {ratio:.1f} |", flush=True)


if __name__ == "__main__":
    main()
