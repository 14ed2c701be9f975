"""What `evaluate` costs where the predictions are given: CPU seconds and memory of the whole process, imports included.

    OMP_NUM_THREADS=1 python benchmarks/evaluation.py [--recipes gauge tracknet] [--counts 2000 10000] [--keep DIR]

Prints a Markdown table: for each recipe the CPU seconds (user and system, all threads) and the peak of memory for each
count, and by what the seconds of an item grow from the least count to the greatest (1.0 is linear), the start of a
program left out. ``--keep`` makes the data in a folder that stays, and takes what is there already.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ITEMS = {"gauge": "dials", "tracknet": "frames", "kpnet": "frames", "roimask": "boxes", "landmark": "faces"}
ONCE = [sys.executable, "-c", "import kaname.cli, kaname.pipeline.evaluate"]


def cost(command: list[str], log: Path) -> tuple[float, float]:
    """CPU seconds and the peak of memory in MiB of a process and its children; what it prints goes to a file."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text()}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def made(root: Path, recipe: str, count: int) -> list[str]:
    """The words that score the data of a recipe, which is made where it is not there yet.

    In a process of its own: what this one holds in memory would count as the peak of those that it starts.
    """
    folder = root / f"{recipe}-{count}"
    known = folder / "words.json"
    if not known.is_file():
        maker = Path(__file__).with_name("evaluation_data.py")
        subprocess.run([sys.executable, maker, recipe, str(count), folder], check=True, stdout=subprocess.DEVNULL)
    return json.loads(known.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", choices=ITEMS, default=list(ITEMS))
    parser.add_argument("--counts", nargs="+", type=int, default=[2000, 10000])
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    counts = sorted(options.counts)
    with tempfile.TemporaryDirectory() as place:
        root = options.keep or Path(place)
        start = cost(ONCE, Path(place) / "start.log")[0]
        print(f"start of a program: {start:.1f} CPU s")
        head = " | ".join(f"{count:,}: CPU s | MiB" for count in counts)
        print(f"| recipe | {head} | growth an item |")
        print(f"|---|{'---:|---:|' * len(counts)}---:|")
        for recipe in options.recipes:
            cells, seconds = [f"{recipe}, {ITEMS[recipe]}"], list[float]()
            for count in counts:
                words = [recipe, "evaluate", *made(root, recipe, count), "--out", f"{place}/{recipe}-{count}"]
                used, peak = cost([sys.executable, "-m", "kaname", *words], Path(place) / "log")
                cells += [f"{used:.1f}", f"{peak:.0f}"]
                seconds.append((used - start) / count)
            print(f"| {' | '.join([*cells, f'{seconds[-1] / seconds[0]:.2f}'])} |", flush=True)


if __name__ == "__main__":
    main()
