"""Render a few clips of a match, train a small network for one epoch, and look for the ball in one of them.

Run: python examples/02_tracknet.py [FOLDER]. One epoch finds nothing yet; train longer on your own matches.
"""

import sys
import tempfile
from pathlib import Path

import kaname
from kaname.config import find_group, load
from kaname.pipeline.train import run
from kaname.recipes.tracknet import RECIPE
from kaname.recipes.tracknet.config import TracknetConfig
from kaname.samples.tracknet import write
from kaname.training.settings import RunOptions


def main(folder: Path) -> None:
    write(folder / "data", count=3, seed=1, size=(96, 160), games=3, clip_length=8, variety="plain")

    frames = ["data.sequence.length=3", "data.absent=negative", "data.resize=[160,96]", "model.heatmap.size=[80,48]"]
    config = load(
        TracknetConfig,
        groups={"model": find_group("model", "small_unet")},  # configs/model/small_unet.yaml
        overrides=[*frames, "training.epochs=1", "training.batch_size=4", "training.num_workers=0"],
        flags={"data.root": folder / "data"},
    )
    run(RECIPE, config, RunOptions(out_dir=folder / "run"))

    model = kaname.load(folder / "run" / "best.pt")  # knows its window of three frames, sizes and threshold
    tracks = model.predict(folder / "data" / "game3" / "Clip1")  # a folder of frames, or a video
    balls = sum(len(points.xy["ball"]) for points in tracks.points)
    print(f"{len(tracks.frames)} frames, a ball in {balls} of them, the last at {tracks.times[-1]:.2f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()))
