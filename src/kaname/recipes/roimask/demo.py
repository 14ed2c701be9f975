"""The demo of ``roimask``, on rendered crowds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kaname.geometry.image import read_image
from kaname.inference.runtimes import PLAIN_CPU
from kaname.pipeline.demo import Demo
from kaname.pipeline.flags import BoxFlags
from kaname.pipeline.labelled import Result
from kaname.recipes.roimask import EXTRACTOR
from kaname.recipes.roimask.config import DataSettings
from kaname.recipes.roimask.predict import Wanted, predict
from kaname.recipes.roimask.report import caption, closeup, ranked
from kaname.reporting.page import Picture, Pictures, Section

TRAIN, HELD_OUT = 230, 32
# Boxes of people are tall, so the grids are; two stored views of each, so that the extractor runs once an image; six
# blocks, because two see too little of a box to tell whose it is, after a cheap first one: of 1,024 channels its kernel
# of 3 x 3 would take most of the time.
OVERRIDES = (
    *("head.width=32", "head.depth=6", "head.roi_size=[14,8]", "head.mask_size=[28,16]", "head.upsample=progressive"),
    "head.first_kernel=1",
    *("loss.dice_non_target_weight=1", "train.epochs=9", "train.batch_size=16", "train.lr=6e-3", "train.ema=0.98"),
    *("train.warmup_epochs=1", "train.cache_views=2", "augment.flip=0", "data.jitter_iou=[0.8,1.0]"),
)


def sample(out: Path) -> None:
    """Crowded scenes; some of them are held out. An extractor of random filters stands for a detector."""
    from kaname.samples.roimask import write

    write(out / "data", count=TRAIN, val_count=HELD_OUT, size=(360, 480), seed=0)


def _set(out: Path) -> DataSettings:
    return DataSettings(root=out / "data" / "data")


def data(out: Path) -> Mapping[str, Path]:
    """Where they lie."""
    return {"data.root": _set(out).root, "extractor.path": out / "data" / EXTRACTOR}


def predicted(out: Path, exported: Path) -> None:
    """Some held-out scenes, in their annotated boxes."""
    images = sorted(_set(out).images_of("val").glob("*.jpg"))[:8]
    boxes = BoxFlags(boxes=_set(out).annotations_of("val"))
    wanted = Wanted(masks=False, cutouts=False)
    predict(images, exported, out / "predictions", (boxes, ()), {}, wanted, running=PLAIN_CPU)


def intro(result: Result) -> Sequence[str]:
    """What was trained on what."""
    return [
        f"{TRAIN} rendered crowds to learn from, {result.settings['rois']} boxes in {result.settings['images']} others "
        "to be scored on. The extractor is a small network of fixed filters: nothing learned, nothing downloaded. Only "
        "the decoder is trained, on the CPU. The figures say that everything works, not how photographs will do.",
        "miou_classes_1_2 is the mean IoU of the target and of the others in the box, over all boxes together.",
    ]


def pictures(out: Path, result: Result) -> list[Section]:
    """Predictions of the export, the picture of the last epoch, then the worst and the best held-out boxes."""
    drawn = sorted((out / "predictions" / "pictures").iterdir())
    epochs = sorted((out / "run").glob("validation_all_images_epoch_*.png"))
    rois = ranked(result.details)

    def shots(chosen: Sequence) -> list[Picture]:
        return [Picture(closeup(roi), caption(roi)) for roi in chosen]

    return [
        Pictures([Picture(read_image(path), path.stem) for path in drawn], heading="Predictions of the exported file"),
        Pictures([Picture(read_image(epochs[-1]), epochs[-1].stem)], heading="True and predicted masks", width=1200),
        Pictures(shots(rois[:3]), heading="Worst boxes (left true, right predicted)", width=320),
        Pictures(shots(rois[-3:]), heading="Best boxes", width=320),
    ]


DEMO = Demo(
    sample=sample,
    overrides=OVERRIDES,
    predict=predicted,
    intro=intro,
    pictures=pictures,
    curves={
        "Loss": ["train_loss", "val_loss"],
        "mIoU while validating": ["val_miou_classes_1_2", "val_iou_target_mean"],
    },
    own="kaname roimask analyze --annotations instances_train.json --out data_analyze.json\n"
    "kaname roimask train --images DIR --annotations instances_train.json --val-images DIR "
    "--val-annotations instances_val.json --extractor FILE.onnx --tensor NAME --out-dir run\n"
    "kaname roimask predict --checkpoint run/best.pt photo.jpg --boxes boxes.json --out-dir predictions",
    heading="roimask: this person, not the other one",
    table="Held-out scenes",
    data=data,
)
