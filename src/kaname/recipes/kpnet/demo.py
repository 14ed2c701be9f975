"""The demo of ``kpnet``, on rendered suturing videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kaname.data.formats import skeleton as skeletons
from kaname.geometry.image import read_image
from kaname.inference.runtimes import PLAIN_CPU
from kaname.pipeline.demo import Demo
from kaname.pipeline.labelled import Result
from kaname.pipeline.predict import predict_images
from kaname.recipes.kpnet import RECIPE
from kaname.recipes.kpnet.aligned import rules_of
from kaname.recipes.kpnet.choices import How
from kaname.recipes.kpnet.config import AnswerSettings
from kaname.recipes.kpnet.infer import infer
from kaname.recipes.kpnet.report import caption, drawn, ranked
from kaname.recipes.kpnet.sources import videos_of
from kaname.recipes.kpnet.trackers import predicted_files, read_truth, score_tracker, skeleton_name
from kaname.recipes.kpnet.videos import groups_of
from kaname.reporting.page import Cell, Picture, Pictures, Section, Table

# Many scenes and few frames of each teach more than the reverse, at the same cost.
VIDEOS, HELD_OUT, LENGTH, EVERY = 80, 20, 60, 20
FOLLOWED, FOLLOWED_LENGTH, FOLLOWED_EVERY, DETECT_EVERY = 3, 41, 5, 4
TRACKERS = {"none": "the detector in each labelled frame", "klt": "the detector in every {}th of them, KLT between"}
SHOWN = ("hota", "det_a", "ass_a", "pck", "pixel_error")
NOT_RUN = "not run: its weights are not part of Kaname"
SIZE = (180, 320)
PCK_PX = 0.02 * SIZE[1]  # 2 % of the width
OVERRIDES = (
    *("image_size=96,160", "heatmap_size=48,80", "model.backbone=small", "loss.coord_weight=0"),
    # The guide's weight of 50 flattens the peaks, which on maps this small costs a third of the points.
    *("loss.hm_pos_weight=10", "loss.sigma=1.0"),
    *(f"answers.pck_px={PCK_PX}", "train.epochs=7", "train.batch_size=2", "train.lr=3e-3", "train.warmup_epochs=0.5"),
    *("train.schedule=cosine", "train.clip=1.0", "train.ema=0.98"),
)


def sample(out: Path) -> None:
    """Videos to learn from, and others to be scored on."""
    from kaname.samples.kpnet import write

    how = {"length": LENGTH, "every": EVERY, "size": SIZE, "movie": False}
    write(out / "data", count=VIDEOS, val_count=HELD_OUT, seed=0, **how)
    whole = {"length": FOLLOWED_LENGTH, "every": FOLLOWED_EVERY, "size": SIZE}
    write(out / "followed", count=1, val_count=FOLLOWED, seed=1, **whole)


def predict(out: Path, exported: Path) -> None:
    """A dozen of the held-out frames; whole videos, with and without a tracker between detections."""
    images = sorted((out / "data" / "val" / "frames").glob("*/*.png"))[::5][:12]
    predict_images(RECIPE, images, exported, out / "predictions", running=PLAIN_CPU)
    videos = out / "followed" / "movie"
    sources = videos_of(out / "followed" / "val" / "frames", videos, None)
    for name in TRACKERS:
        infer(sources, exported, out / "trackers" / name, How(name, k=DETECT_EVERY), videos=videos, running=PLAIN_CPU)  # type: ignore[arg-type]


def followed(out: Path) -> Table:
    """The ways through a video, scored on its labelled frames."""
    truth = out / "followed" / "val" / "mot"
    skeleton = skeletons.find(skeleton_name(None, truth))
    rules = rules_of(AnswerSettings(pck_px=PCK_PX))
    rows: list[list[Cell]] = []
    for name, words in TRACKERS.items():
        folder = out / "trackers" / name
        sums, _, _ = score_tracker(predicted_files(folder), read_truth(truth, skeleton), skeleton, rules, folder)
        figures = groups_of(sums, skeleton)["all"]
        rows.append([name, words.format(DETECT_EVERY), *(figures[key]["value"] for key in SHOWN)])
    rows.append(["cotracker", NOT_RUN, *[None] * len(SHOWN)])
    note = f"{FOLLOWED} whole videos of {FOLLOWED_LENGTH} frames, every {FOLLOWED_EVERY}th labelled."
    return Table(["tracker", "what it does", *SHOWN], rows, heading="Three ways through a video", note=note)


def intro(result: Result) -> Sequence[str]:
    """What was trained on what."""
    return [
        f"{VIDEOS} rendered videos to learn from, {HELD_OUT} others to be scored on, every {EVERY}th frame labelled; a "
        "small U-Net trained from random weights on the CPU, on RGB alone, nothing downloaded. The figures say that "
        "everything works, not how real videos will do.",
        f"A visible point is found within {PCK_PX:g} px, 2 % of the width.",
    ]


def pictures(out: Path, result: Result) -> list[Section]:
    """Predictions of the export, then the worst and the best held-out frames."""
    shown = sorted((out / "predictions" / "pictures").iterdir())
    limit = result.settings["pck_px"]
    frames = ranked(result.details[0], limit)

    def shots(chosen: Sequence) -> list[Picture]:
        return [Picture(drawn(one), caption(one, limit)) for one in chosen]

    return [
        Pictures([Picture(read_image(path), path.stem) for path in shown], heading="Predictions of the exported file"),
        followed(out),
        Pictures(shots(frames[:3]), heading="Worst frames (green: labelled, red: predicted)", width=320),
        Pictures(shots(frames[-3:]), heading="Best frames", width=320),
    ]


DEMO = Demo(
    sample=sample,
    overrides=OVERRIDES,
    predict=predict,
    intro=intro,
    pictures=pictures,
    curves={"Loss": ["train_loss", "val_loss"], "Points found while validating": ["val_pck_by_channel"]},
    own="kaname kpnet check --data-root ./data\n"
    "kaname kpnet train --data-root ./data --backbone small --image-size 540,960 --in-chans 6 --resize-only "
    "--out-dir run\n"
    "kaname kpnet predict --checkpoint run/best.pt video.mp4 --out-dir predictions",
    heading="kpnet: key points of hands and tools",
    table="Held-out videos",
)
