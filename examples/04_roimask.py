"""Render a few crowds, train a small mask decoder for one epoch, and take one person out of a picture.

Run: python examples/04_roimask.py [FOLDER]. The extractor is a small network of fixed filters; for a useful model name
a detector's ONNX file and a tensor inside it, and train longer, on your own images.
"""

import json
import sys
import tempfile
from pathlib import Path

import kaname
from kaname.codecs.mask_regions import regions
from kaname.config import load
from kaname.pipeline.train import run
from kaname.recipes.roimask import EXTRACTOR, RECIPE
from kaname.recipes.roimask.config import RoimaskConfig
from kaname.samples.roimask import write
from kaname.training.settings import RunOptions


def main(folder: Path) -> None:
    data = write(folder / "crowds", count=2, val_count=1, size=(96, 128), seed=1)

    config = load(
        RoimaskConfig,
        overrides=["head.width=16", "head.roi_size=[7,7]", "head.mask_size=[28,28]", "data.min_target=8"],
        flags={"data.root": data / "data", "extractor.path": data / EXTRACTOR, "train.epochs": 1, "augment.flip": 0},
    )
    run(RECIPE, config, RunOptions(out_dir=folder / "run"))

    model = kaname.load(folder / "run" / "best.pt")  # knows where its extractor lies, by path and hash
    x, y, width, height = json.loads(config.data.annotations_of("val").read_text())["annotations"][0]["bbox"]
    masks = model.predict(data / "data/images/val2017/000000000001.jpg", boxes=[[x, y, x + width, y + height]])
    person = next(regions(masks))  # one mask at a time, at the picture's own size
    print(f"{person.inside.sum()} pixels of {masks.size[0] * masks.size[1]} are the person at ({x}, {y})")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()))
