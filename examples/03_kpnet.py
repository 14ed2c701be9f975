"""Render a few suturing videos, train a small network on six channels for one epoch, and find a tool in a frame.

Run: python examples/03_kpnet.py [FOLDER]. For a useful model train both stages, longer, from pretrained weights, on
your own videos.
"""

import sys
import tempfile
from pathlib import Path

import kaname
from kaname.config import load
from kaname.pipeline.train import run
from kaname.recipes.kpnet import RECIPE
from kaname.recipes.kpnet.config import KpnetConfig
from kaname.samples.kpnet import write
from kaname.training.settings import RunOptions

SMALL = ["image_size=48,80", "heatmap_size=24,40", "model.backbone=small:8", "model.width=16", "train.num_workers=0"]


def main(folder: Path) -> None:
    data = write(folder / "data", count=2, val_count=1, length=6, every=2, size=(96, 160), seed=1)

    config = load(
        KpnetConfig,
        overrides=[*SMALL, "in_chans=6", "resize_only=true", "train.epochs=1", "train.lr=3e-3"],
        flags={"data.root": data},
    )
    run(RECIPE, config, RunOptions(out_dir=folder / "run"))

    model = kaname.load(folder / "run" / "best.pt")  # knows its skeleton, its channels and where videos lie
    points = model.predict(data / "val" / "frames" / "val00" / "val00_frame_2.png")  # the flow comes from the video
    name = "left_hand.thumb"
    print(f"{name}: {points.xy[name][0].round(1)} of {points.size[1]} x {points.size[0]}, {points.visible[name][0]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()))
