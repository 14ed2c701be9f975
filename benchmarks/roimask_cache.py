"""The same training run with live features, in each form of the cache, and with a budget that holds a part of it.

    python benchmarks/roimask_cache.py --data DIR --extractor FILE.onnx --tensor NAME --out runs/forms [--epochs 3]

DIR holds the documented folders (`kaname roimask sample` makes them). Losses are compared epoch by epoch with those of
the live run, seconds are those of the epochs after the first. Writes Markdown to ``OUT/table.md``.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from kaname.cli import main as kaname
from kaname.data.log import read_rows

FORMS = {
    "live": ("cache=none",),
    "whole maps, 32 bits": ("cache=maps", "cache_half=false"),
    "windows, 32 bits": ("cache=windows", "cache_half=false"),
    "windows, 16 bits": ("cache=windows", "cache_half=true"),
    "windows, a budget for a part": ("cache=windows", "cache_half=false", "train.cache_budget={part}"),
}


def run(args: argparse.Namespace, name: str, words: tuple[str, ...]) -> list[dict[str, float]]:
    """The log of a run with a cache of its own."""
    out = args.out / name.replace(" ", "_").replace(",", "")
    os.environ["KANAME_CACHE"] = str(out / "cache")
    fixed = ("--device", "cpu", "--precision", "fp32", "--num-workers", 0, "--epochs", args.epochs, "--out-dir", out)
    tensor = ("--tensor", args.tensor) if args.tensor else ()
    words = tuple(word.format(part=args.part) for word in words)
    call = (
        "roimask",
        "train",
        "--data",
        args.data,
        "--extractor",
        args.extractor,
        *tensor,
        *fixed,
        *words,
        *args.words,
    )
    try:
        kaname([str(word) for word in call])
    except SystemExit as stop:
        if stop.code:
            raise
    return read_rows(out / "log.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--extractor", required=True)
    parser.add_argument("--tensor", default="")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--part", default="0.05", help="gigabytes of the last row")
    parser.add_argument("--words", nargs="*", default=["head.width=32", "head.mask_size=[28,28]"])
    args = parser.parse_args()
    lines = [
        "| features | seconds an epoch | times as fast as live | largest difference of the loss |",
        "|---|---:|---:|---:|",
    ]
    live: list[dict[str, float]] = []
    for name, words in FORMS.items():
        rows = run(args, name, words)
        live = live or rows
        seconds = sum(row["seconds"] for row in rows[1:]) / (len(rows) - 1)
        first = sum(row["seconds"] for row in live[1:]) / (len(live) - 1)
        apart = max(abs(one["train_loss"] - other["train_loss"]) for one, other in zip(rows, live, strict=True))
        lines.append(f"| {name} | {seconds:.2f} | {first / seconds:.1f} | {apart:.2g} |")
    (args.out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
