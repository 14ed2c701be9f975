"""What the shipped model of gauge is worth to somebody with a few labelled photographs.

    python zoo/tuned.py FOLDER --photographs A.jpg B.jpg ... [--out runs/zoo/tuned] [key=value ...]

FOLDER holds ``images/`` and a Label Studio ``annotation.json``. ``kaname gauge train --init zoo`` tunes the model with
the photographs that are named, with the words at the end as its configuration; the model as it is shipped and the tuned
one are scored on all others (`zoo/judge.py`). Prints a Markdown table with 95 % intervals over kinds, and the CPU time
of the training.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from judge import judge, rows

import kaname


def subset(source: Path, target: Path, tasks: Collection[dict[str, Any]]) -> Path:
    """A folder with the photographs of some tasks."""
    (target / "images").mkdir(parents=True)
    for task in tasks:
        shutil.copy2(source / "images" / photograph(task), target / "images")
    (target / "annotation.json").write_text(json.dumps(list(tasks)), encoding="utf-8")
    return target


def photograph(task: dict[str, Any]) -> str:
    """The file name of a task's image, without what Label Studio puts before it."""
    uploaded = Path(next(iter(task["data"].values()))).name
    return str(task.get("file_upload") or uploaded).rpartition("-")[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("words", nargs="*", metavar="key=value")
    parser.add_argument("--photographs", nargs="+", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/zoo/tuned"))
    options = parser.parse_args()
    tasks = json.loads((options.folder / "annotation.json").read_text(encoding="utf-8"))
    names = {photograph(task): task for task in tasks}
    if unknown := sorted(set(options.photographs) - names.keys()):
        parser.error(f"no photograph {', '.join(unknown)}; there are {', '.join(sorted(names))}")
    data = subset(options.folder, options.out / "data", [names[name] for name in options.photographs])
    others = subset(
        options.folder,
        options.out / "others",
        [task for name, task in names.items() if name not in options.photographs],
    )
    run = options.out / "run"
    line = [sys.executable, "-m", "kaname", "gauge", "train", "--init", "zoo", "--data", data, "--out-dir", run]
    subprocess.run([*map(str, line), *options.words], check=True)
    spent = os.times()
    print(f"\nCPU time of the training {spent.children_user + spent.children_system:.0f} s\n")
    print("| start | F1 | start and end |\n|---|---:|---:|")
    for title, model in (("as it is", kaname.load("gauge")), ("tuned", kaname.load(run / "model.pt"))):
        figures = list(rows(judge(model, others)).values())[-1]
        cells = [figures[name] for name in ("F1", "start/end PCK")]
        shown = (f"{one['value']:.2f} ({one['low']:.2f} .. {one['high']:.2f})" for one in cells)
        print(f"| {title} | {' | '.join(shown)} |")


if __name__ == "__main__":
    main()
