"""The verbs of ``kaname kpnet`` besides ``train``. Each imports what it needs when it runs: help answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from kaname import config as configuration
from kaname.config import from_dict, merged
from kaname.pipeline.flags import (
    OUT_NAMES,
    Checkpoint,
    Device,
    OutFolder,
    ParityCount,
    ParityImages,
    Weights,
    split_sources,
)
from kaname.recipes.kpnet import MAPS, RECIPE, VISIBILITY
from kaname.recipes.kpnet.commands import Bones, Data, InputFlags, Missing, Videos
from kaname.recipes.kpnet.config import DataSettings, KpnetConfig, sides_of

Absent = Annotated[float | None, Parameter(help="A point is out of frame where that is more probable than this.")]
Pixels = Annotated[float | None, Parameter(help="Pixels within which a point is found; default 10.")]


def sample(
    *,
    out: OutFolder,
    count: Annotated[int, Parameter(help="How many training videos.")] = 6,
    val_count: Annotated[int, Parameter(help="How many validation videos.")] = 2,
    length: Annotated[int, Parameter(help="Frames of a video.")] = 60,
    every: Annotated[int, Parameter(help="Label every so many frames, from the first on.")] = 15,
    seed: Annotated[int, Parameter(help="The same seed gives the same bytes.")] = 0,
    size: Annotated[str, Parameter(help="H,W of the frames.")] = "270,480",
    movie: Annotated[bool, Parameter(help="Also write the videos.")] = True,
) -> None:
    """Render suturing-like videos: OUT/train, OUT/val (frames, mot, masks) and OUT/movie."""
    from kaname.recipes.kpnet.prepare import sample as run

    sides = sides_of(size, "--size")
    run(out, count=count, val_count=val_count, length=length, every=every, seed=seed, size=sides, movie=movie)


def prepare(
    *,
    labels: Annotated[Path, Parameter(help="MOT-KP text, DeepLabCut's CSV, or JSON of surgical tools' points.")],
    out: OutFolder,
    video: Annotated[Path | None, Parameter(help="The video that was labelled.")] = None,
    images: Annotated[Path | None, Parameter(help="Folder of the labelled images.")] = None,
    skeleton: Bones = None,
    every: Annotated[int, Parameter(help="Keep every so many frames of a range.")] = 1,
    train: Annotated[str | None, Parameter(help="A:B, frames of the video (of a CSV: rows) to train on.")] = None,
    val: Annotated[str | None, Parameter(help="A:B, those to be scored on.")] = None,
    nan: Annotated[
        Literal["ignore", "hidden", "absent"],
        Parameter(help="A point without a label: nothing is known, it is hidden somewhere, or out of frame."),
    ] = "ignore",
) -> None:
    """Bring a video with MOT-KP text, or DeepLabCut's CSV or surgical tools' JSON with images, into the documented
    folders."""
    from kaname.recipes.kpnet.layout import prepare as run

    given = {"train": train, "val": val}
    ranges = {name: text for name, text in given.items() if text is not None}
    run(labels, out, video=video, images=images, skeleton=skeleton, every=every, ranges=ranges, nan=nan)


def check(
    *,
    data_root: Data = None,
    skeleton: Bones = None,
    video_root: Videos = None,
    pseudo6_root: Annotated[Path | None, Parameter(help="Folder of pseudo masks.")] = None,
) -> None:
    """Report every problem of labels, images, masks and videos; exit code 2 if there is a problem."""
    from kaname.recipes.kpnet.prepare import check as run

    given = {"root": data_root, "skeleton": skeleton, "video_root": video_root, "pseudo_root": pseudo6_root}
    run(from_dict(DataSettings, {name: value for name, value in given.items() if value is not None}))


def flow(
    *,
    fed: InputFlags = InputFlags(),  # noqa: B008
    cache_budget: Annotated[float | None, Parameter(help="Gigabytes that may be kept.")] = None,
) -> None:
    """Compute the optical flow of all labelled frames and keep it, so that training reads it at once."""
    from kaname.recipes.kpnet.prepare import flow as run

    flags = {**fed.keys(), "train.cache_budget": cache_budget}
    run(configuration.absolute(configuration.load(KpnetConfig, flags=flags), "data.root"))


def predict(
    *sources: Annotated[str, Parameter(help="Images, folders, videos; key=value changes the answers.")],
    checkpoint: Checkpoint,
    out: OutFolder,
    video_root: Videos = None,
    missing_flow: Missing = None,
    absent: Absent = None,
    pictures: Annotated[bool, Parameter(help="Also draw the key points on each image.")] = True,
    device: Device = "auto",
) -> None:
    """Find key points, each frame on its own: points.json (original pixels) and a picture of each image."""
    from kaname.pipeline.predict import predict_images

    paths, words = split_sources(sources)
    given = {"video_root": video_root, "missing_flow": missing_flow, "absent": absent}
    changes = merged(words, given, "answers")
    predict_images(RECIPE, paths, checkpoint, out, changes=changes, pictures=pictures, deep=True, device=device)


def export(
    *,
    checkpoint: Weights,
    out: Annotated[Path, Parameter(name=[*OUT_NAMES, "--output"], help="The .onnx file to write.")],
    with_segmentation: Annotated[bool, Parameter(help="Also answer with the classes of cells.", negative=())] = False,
    images: ParityImages = None,
    count: ParityCount = 16,
) -> None:
    """Write an ONNX file: an image, with six channels also its flow in pixels and its difference in 0..255, to heatmaps
    and visibilities."""
    from kaname.pipeline.export import export as run

    run(RECIPE, checkpoint, out, images, count, heads=None if with_segmentation else (MAPS, VISIBILITY))
