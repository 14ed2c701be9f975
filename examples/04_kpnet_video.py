"""Render suturing videos, follow the key points through one of them, and score what was found by HOTA-KP.

Run: python examples/04_kpnet_video.py [FOLDER]. The detector is trained for one epoch, so its figures mean nothing; the
files are those of many long videos too: killed anywhere, the same call goes on, and skips what is finished.
"""

import sys
import tempfile
from pathlib import Path

from kaname.config import load
from kaname.pipeline.train import run
from kaname.recipes.kpnet import RECIPE
from kaname.recipes.kpnet.choices import How
from kaname.recipes.kpnet.config import KpnetConfig
from kaname.recipes.kpnet.infer import infer
from kaname.recipes.kpnet.judging import evaluate
from kaname.recipes.kpnet.sources import videos_of
from kaname.samples.kpnet import write
from kaname.training.settings import RunOptions

SMALL = ["image_size=48,80", "heatmap_size=24,40", "model.backbone=small:8", "model.width=16", "train.num_workers=0"]


def main(folder: Path) -> None:
    data = write(folder / "data", count=2, val_count=1, length=12, every=3, size=(96, 160), seed=1)
    config = load(KpnetConfig, overrides=[*SMALL, "resize_only=true", "train.epochs=1"], flags={"data.root": data})
    run(RECIPE, config, RunOptions(out_dir=folder / "run"))

    videos = videos_of(data / "val" / "frames", data / "movie", None)
    how = How(tracker="klt", k=4, every=1)  # the network looks at each fourth frame, Lucas-Kanade follows between
    infer(videos, folder / "run" / "best.pt", folder / "found", how)

    first = (folder / "found" / "val00_pred.txt").read_text().splitlines()
    print(f"{len(first)} rows: frame, id, class, four without meaning, then x, y and visibility of each point")
    evaluate(gt_folder=data / "val" / "mot", trackers_folder=folder / "found", out=folder / "scored")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()))
