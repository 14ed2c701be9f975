"""Render a few faces, train a small network for one epoch, and find the landmarks of one of them.

Run: python examples/03_landmark.py [FOLDER]. For a useful model, train longer, from pretrained weights, on your own
images.
"""

import sys
import tempfile
from pathlib import Path

import kaname
from kaname.config import load
from kaname.pipeline.train import run
from kaname.recipes.landmark import RECIPE
from kaname.recipes.landmark.config import LandmarkConfig
from kaname.samples.landmark import write
from kaname.training.settings import RunOptions


def main(folder: Path) -> None:
    data = write(folder / "data", count=16, seed=1, size=128)

    config = load(
        LandmarkConfig,
        overrides=["size=64", "model.backbone=small", "train.epochs=1", "train.num_workers=0", "train.lr=3e-3"],
        flags={"data.images": data / "images", "data.annotations": data / "annotated"},
    )
    run(RECIPE, config, RunOptions(out_dir=folder / "run"))

    model = kaname.load(folder / "run" / "best_model.pth")  # knows its skeleton, crop, grid and normalization
    image = next((data / "images").glob("*.jpg"))
    points = model.predict(image, boxes=[[20, 20, 108, 108]])  # one row a face under each landmark's name
    print(f"{image.name}: the nose at {points.xy['nose'][0].round(1)} of {points.size[1]} x {points.size[0]} pixels")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()))
