"""Two source trees of Kaname side by side: the same commands with both, in turn, medians and their ratios.

    python benchmarks/two_trees.py OTHER/src [--repeats 5] [--only help,step] [--count 240]

Ratios are other / this: above 1 this tree is faster. Seconds of epochs come from ``log.csv`` without the first epoch,
the rest from the operating system's account of each finished process.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "src"
EXPORT = ROOT / "tests" / "golden" / "gauge.onnx"  # its card is of version 1, which every tree since reads
SMALL = ("--backbone", "small", "--size", 224, "--device", "cpu", "--precision", "fp32", "--batch-size", 4)


def call(source: str, *words: object) -> tuple[float, float]:
    """Runs ``kaname WORDS`` with a tree; wall and CPU seconds."""
    environment = os.environ | {"PYTHONPATH": source, "HF_HUB_OFFLINE": "1"}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "kaname", *(str(word) for word in words)]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, cpu


def epochs(source: str, data: Path, folder: Path, *words: object) -> float:
    """Seconds of an epoch, the first left out."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        os.environ["KANAME_CACHE"] = f"{out}/cache"
        call(source, "gauge", "train", "--data", data, "--out-dir", f"{out}/run", *words)
        with open(f"{out}/run/log.csv", newline="", encoding="utf-8") as file:
            seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    return median(seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--count", type=int, default=48, help="dials; more of them make the epochs less noisy")
    parser.add_argument("--only", default="help,verb,first,step,loader,cached")
    parser.add_argument("--vit", type=Path, help="folder of a ViT for the cached epoch")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, here = folder / "data", str(HERE)
        call(here, "gauge", "sample", "--out", data, "--count", given.count, "--size", 224, "--variety", "plain")
        image = next((data / "val" / "images").iterdir())
        frozen = ("--backbone", given.vit, "--size", 224, "--device", "cpu", "--precision", "fp32")
        predict = ("gauge", "predict", image, "--checkpoint", EXPORT, "--out")
        work = {
            "help": lambda tree: call(tree, "--help")[1],
            "verb": lambda tree: call(tree, "gauge", "train", "--help")[1],
            "first": lambda tree: call(tree, *predict, folder / f"answers{tree == here:d}")[1],
            "step": lambda tree: epochs(tree, data, folder, *SMALL, "--epochs", 3, "--num-workers", 0),
            "loader": lambda tree: epochs(tree, data, folder, *SMALL, "--epochs", 3, "--num-workers", 1),
            "cached": lambda tree: epochs(
                tree, data, folder, *frozen, "--epochs", 6, "augment.probability=0", "--num-workers", 0
            ),
        }
        for task in given.only.split(","):
            if task == "cached" and given.vit is None:
                continue
            pairs = [(work[task](given.other), work[task](here)) for _ in range(given.repeats)]
            other, this = (median(column) for column in zip(*pairs, strict=True))
            ratio = median(one / two for one, two in pairs)
            print(f"{task:<8} other {other:7.3f} s   this {this:7.3f} s   ratio {ratio:.3f}", flush=True)


if __name__ == "__main__":
    main()
