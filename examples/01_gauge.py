"""Render a few dials, train a small network for one epoch, and find the notches of one of them.

Run: python examples/01_gauge.py [FOLDER]. For a useful model, train longer on your own photographs.
"""

import sys
import tempfile
from pathlib import Path

import kaname
from kaname.config import load
from kaname.pipeline.train import run
from kaname.recipes.gauge import RECIPE
from kaname.recipes.gauge.config import GaugeConfig
from kaname.samples.gauge import write
from kaname.training.settings import RunOptions


def main(folder: Path) -> None:
    data = write(folder / "data", count=16, seed=1, size=128)

    config = load(
        GaugeConfig,
        overrides=["size=64", "model.backbone=small", "train.epochs=1", "train.num_workers=0", "train.lr=3e-3"],
        flags={"data": data},
    )
    run(RECIPE, config, RunOptions(out_dir=folder / "run"))

    model = kaname.load(folder / "run" / "model.pt")  # knows its recipe, size, normalization and thresholds
    photograph = next((data / "val" / "images").glob("*.jpg"))
    points = model.predict(photograph)
    print(f"{photograph.name}: {len(points.xy['middle'])} notches, in pixels of {points.size[1]} x {points.size[0]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()))
