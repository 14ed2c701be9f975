"""How many frames a second the loader of tracknet feeds: 1280 x 720 JPEGs to 512 x 288, as in training.

    python benchmarks/tracknet_loader.py [--workers 2] [--seconds 10] [--data FOLDER]

Without ``--data`` rendered clips are written first. Decoding, resizing, the random changes, targets and collation are
in the time; nothing is trained. The first row decodes whole images, the second lets the decoder shrink them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from kaname.config import load
from kaname.data.dataset import Batches
from kaname.data.loader import close_stream, loader, open_stream
from kaname.recipes.tracknet.config import TracknetConfig
from kaname.recipes.tracknet.data import Windows
from kaname.recipes.tracknet.labels import sets
from kaname.samples.tracknet import write


def rate(config: TracknetConfig, workers: int, seconds: float) -> float:
    """Frames a second."""
    windows = Windows(sets(config.data)["train"], config, augment=True)
    batches = Batches(len(windows), 8, seed=0)
    stream = open_stream(loader(windows, batches, num_workers=workers))
    for _ in range(2 * max(workers, 1)):
        next(stream)
    started, frames = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        frames += next(stream)["inputs"]["images"].shape[0] * config.data.sequence.length
    spent = time.perf_counter() - started
    close_stream(stream)
    return frames / spent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        data = arguments.data
        if data is None:
            data = Path(name) / "data"
            write(data, 9, 0, size=(720, 1280), games=3, clip_length=24)
        print("| decoding | window | frames/s |\n|---|---:|---:|")
        for reduced in (False, True):
            for length in (1, 3):
                overrides = [f"data.reduced_decode={str(reduced).lower()}", f"data.sequence.length={length}"]
                config = load(TracknetConfig, overrides=overrides, flags={"data.root": data})
                speed = rate(config, arguments.workers, arguments.seconds)
                print(f"| {'reduced' if reduced else 'whole'} | {length} | {speed:.0f} |")


if __name__ == "__main__":
    main()
