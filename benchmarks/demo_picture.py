"""The picture of the README, from what ``make demo`` has drawn: five dials that the exported network predicted.

python benchmarks/demo_picture.py runs/demo [--out docs/demo.jpg]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from kaname.geometry.image import read_image, resize, write_image

ROOT = Path(__file__).resolve().parents[1]
SIDE, COUNT = 256, 5


def main() -> None:
    """Writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="the folder of the demo")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "demo.jpg")
    words = parser.parse_args()
    drawn = sorted((words.demo / "gauge" / "predictions" / "pictures").glob("*.jpg"))[:COUNT]
    if len(drawn) < COUNT:
        raise SystemExit(f"{words.demo} holds {len(drawn)} predicted dials, not {COUNT}: run make demo first")
    write_image(words.out, np.hstack([resize(read_image(path), (SIDE, SIDE)) for path in drawn]))
    print(words.out)


if __name__ == "__main__":
    main()
