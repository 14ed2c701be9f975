"""The verbs of ``kaname gauge``. Each imports what it needs when it runs, so that help answers at once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from kaname.errors import InputError
from kaname.pipeline.flags import (
    OUT_NAMES,
    Checkpoint,
    Device,
    OutFolder,
    Results,
    TrainFlags,
    Weights,
    bare_config,
    default_run_folder,
    report_problems,
    resolve,
    run_options,
    split_sources,
)
from kaname.recipes.gauge.config import GaugeConfig

CropSize = Annotated[int, Parameter(help="Side of the square crops in pixels.")]
Annotator = Annotated[str | None, Parameter(help="Whose annotations to take (id or e-mail), where there are several.")]
Threshold = Annotated[float | None, Parameter(help="Share of a map's maximum above which cells count.")]
MinScore = Annotated[float | None, Parameter(help="A map whose maximum lies under this has no point.")]
Clusters = Annotated[
    Literal["plain", "weighted"] | None, Parameter(help="Mean shift over cells, or weighted by value.")
]
Cluster = Annotated[
    Literal["none", "prefix"],
    Parameter(help="What intervals resample whole: images, or those whose names differ in their number alone."),
]
Data = Annotated[Path, Parameter(help="Folder with train/ and val/, or with images/ and labels/.")]


def sample(
    *,
    out: OutFolder,
    count: Annotated[int, Parameter(help="How many images.")] = 100,
    seed: Annotated[int, Parameter(help="Image i depends on (seed, i) alone.")] = 0,
    size: CropSize = 448,
    val_fraction: Annotated[float, Parameter(help="Share of the images that goes to val/.")] = 0.2,
    variety: Annotated[
        Literal["full", "plain"], Parameter(help="full: everything the renderer knows; plain: everyday dials, head-on.")
    ] = "full",
    layout: Annotated[
        Literal["split", "flat", "photographs"],
        Parameter(
            help="split: train/ and val/; flat: images/ and annotation.json; photographs: larger scenes, with boxes."
        ),
    ] = "split",
) -> None:
    """Render a small data set of dials with exact truth, in the layout that train takes."""
    from kaname.samples.gauge import write

    write(out, count, seed, size=size, val_fraction=val_fraction, layout=layout, variety=variety)
    print(f"{count} rendered dials in {out}")


def check(
    *,
    data: Data,
    size: Annotated[int | None, Parameter(help="Heatmaps must have this size.")] = None,
    allow_missing: Annotated[bool, Parameter(help="Accept dials without a start or an end.")] = False,
) -> None:
    """Read a data set and report every problem; exit code 2 if there is one."""
    from kaname.recipes.gauge import labels

    found = labels.sets(data)
    problems = [
        error for folder in found.values() for error in labels.problems(folder, allow_missing=allow_missing, size=size)
    ]
    report_problems(problems)
    for name, folder in found.items():
        dials = labels.read(folder, allow_missing=allow_missing)
        points = sum(sum(map(len, dial.points.values())) for dial in dials if dial.points is not None)
        print(f"{name}: {len(dials)} dials, {points} points")
        other = [
            path.name
            for path in sorted((folder / "images").iterdir())
            if path.suffix.lower() not in labels.IMAGE_ENDINGS
        ]
        if other:
            print(f"{name}: left out, no images by their names: {', '.join(other)}")
    print("no problems")


def crop(
    *,
    images: Annotated[Path, Parameter(help="Folder of the photographs.")],
    boxes: Annotated[Path, Parameter(help="Label Studio or COCO file with the dials' boxes.")],
    out: OutFolder,
    size: CropSize = 448,
    annotator: Annotator = None,
) -> None:
    """Cut dials out of photographs by their boxes (Label Studio or COCO); points move along."""
    from kaname.recipes.gauge.prepare import box_problems, check_size, without_task
    from kaname.recipes.gauge.prepare import crop as cut

    check_size(size)
    report_problems(box_problems(boxes, images, annotator))
    written = cut(images, boxes, out, size, annotator=annotator)
    other = without_task(boxes, images, annotator)
    if other:
        print(f"left out of {images}, not in {boxes.name}: {', '.join(other)}")
    print(f"{len(written)} dials of {size} x {size} in {out / 'images'}")


def heatmaps(
    *,
    annotation: Annotated[Path, Parameter(help="Label Studio JSON.")],
    directory: Annotated[Path, Parameter(help="Folder with images/; labels/ is written beside it.")],
    size: Annotated[int, Parameter(help="Side of the maps: the size that training uses.")] = 448,
    sigma: Annotated[float, Parameter(help="Deviation of a point's Gaussian, pixels at 448.")] = 8.0,
    allow_missing: Annotated[bool, Parameter(help="Accept dials without a start or an end.")] = False,
    annotator: Annotator = None,
) -> None:
    """Write labels/<stem>.npy (heatmaps) and labels/<stem>.json (exact points) for every annotated image."""
    from kaname.recipes.gauge.prepare import annotation_problems, check_size
    from kaname.recipes.gauge.prepare import heatmaps as write

    check_size(size)
    report_problems(annotation_problems(annotation, directory, annotator))
    written = write(annotation, directory, size, sigma=sigma, allow_missing=allow_missing, annotator=annotator)
    print(f"{len(written)} labels of 3 x {size} x {size} in {directory / 'labels'}")


def train(
    *overrides: Annotated[str, Parameter(help="key=value of the configuration; see --print-config.")],
    data: Data | None = None,
    size: Annotated[int | None, Parameter(help="Side of the network's input, a multiple of its patch.")] = None,
    normalize: Annotated[
        Literal["imagenet", "backbone", "none"] | None, Parameter(help="Normalisation; none feeds 0..1.")
    ] = None,
    decoder: Annotated[Literal["linear", "upsample"] | None, Parameter(help="Decoder behind the backbone.")] = None,
    allow_missing: Annotated[
        bool | None, Parameter(help="Accept dials without a start or an end.", negative=())
    ] = None,
    val: Annotated[bool, Parameter(help="Validate afterwards, with pictures.", negative=())] = False,
    debug: Annotated[bool, Parameter(help="Write augmented samples as pictures.", negative=())] = False,
    flags: TrainFlags = TrainFlags(),  # noqa: B008
) -> None:
    """Train a notch detector: model.pt (the best), last.pt, logs and curves in the run's folder."""
    extra = {
        "data": data,
        "size": size,
        "model.normalize": normalize,
        "model.decoder": decoder,
        "allow_missing": allow_missing,
    }
    config = resolve(GaugeConfig, flags, overrides, extra)
    if config is None:
        return
    from kaname.recipes.gauge.training import run

    options = run_options(flags, lambda: default_run_folder(config.data, resume=flags.resume))
    run(config, options, validate=val, debug=debug)


def evaluate(
    *,
    data: Data | None = None,
    checkpoint: Checkpoint | None = None,
    predictions: Annotated[Path | None, Parameter(help="points.json to score instead of a model.")] = None,
    out: Results = None,
    split: Annotated[str | None, Parameter(help="train, val or all; default val where there is one.")] = None,
    truth: Annotated[
        Literal["points", "heatmap"], Parameter(help="heatmap: truth re-clustered from the labels.")
    ] = "points",
    tolerance: Annotated[float | None, Parameter(help="Pixels at 448 within which a point is found.")] = None,
    threshold: Threshold = None,
    min_score: MinScore = None,
    clusters: Clusters = None,
    pictures: Annotated[bool, Parameter(help="Draw every image.")] = False,
    cluster: Cluster = "none",
    device: Device = "auto",
) -> None:
    """Score a model or a file of predictions against labels; writes metrics.json and report.html, prints a table."""
    from kaname.recipes.gauge.scoring import score

    changes = {"tolerance": tolerance, "threshold": threshold, "min_score": min_score, "clusters": clusters}
    score(
        data, checkpoint, predictions, out, split=split, truth=truth, changes=changes, pictures=pictures,
        device=device, cluster=cluster,
    )  # fmt: skip


def validate(
    *,
    data: Data | None = None,
    checkpoint: Checkpoint,
    out: Results = None,
    split: Annotated[str | None, Parameter(help="train, val or all.")] = "all",
    tolerance: Annotated[float | None, Parameter(help="Pixels at 448 within which a point is found.")] = None,
    threshold: Threshold = None,
    min_score: MinScore = None,
    clusters: Clusters = None,
    truth: Annotated[
        Literal["points", "heatmap"], Parameter(help="heatmap: truth re-clustered from the labels.")
    ] = "points",
    cluster: Cluster = "none",
    device: Device = "auto",
) -> None:
    """Evaluate every set of a data folder with the pictures of each image."""
    from kaname.recipes.gauge.scoring import score

    changes = {"tolerance": tolerance, "threshold": threshold, "min_score": min_score, "clusters": clusters}
    score(
        data, checkpoint, None, out, split=split, truth=truth, changes=changes, pictures=True, device=device,
        cluster=cluster,
    )  # fmt: skip


def predict(
    *sources: Annotated[str, Parameter(help="Images, folders, videos; key=value changes the extraction.")],
    checkpoint: Checkpoint,
    out: OutFolder,
    boxes: Annotated[Path | None, Parameter(help="Label Studio or COCO file with the dials' boxes.")] = None,
    threshold: Threshold = None,
    min_score: MinScore = None,
    clusters: Clusters = None,
    pictures: Annotated[bool, Parameter(help="Also draw the points on each image.")] = True,
    device: Device = "auto",
) -> None:
    """Find the notches: points.json (original pixels) and a picture of each image."""
    from kaname.recipes.gauge.prediction import predict_sources

    paths, overrides = split_sources(sources)
    changes: dict[str, Any] = bare_config(overrides, "extract")
    given = {"threshold": threshold, "min_score": min_score, "clusters": clusters}
    for name, value in given.items():
        if value is not None and changes.setdefault(name, value) != value:
            raise InputError(
                f"extract.{name} is given twice, as {changes[name]!r} and {value!r}", remedy="give it once"
            )
    predict_sources(paths, checkpoint, out, boxes=boxes, changes=changes, pictures=pictures, device=device)


def export(
    *,
    checkpoint: Weights,
    out: Annotated[Path, Parameter(name=[*OUT_NAMES, "--output"], help="The .onnx file to write.")],
    images: Annotated[Path | None, Parameter(help="Images to check parity on; default: the run's own data.")] = None,
    count: Annotated[int, Parameter(help="How many of them.")] = 16,
) -> None:
    """Write an ONNX file with the preprocessing inside; it gets its name only if it answers like the model."""
    from kaname.recipes.gauge.prediction import export_checked

    parity = export_checked(checkpoint, out, images, count)
    print(json.dumps(parity.to_dict(), indent=1))
    print(f"{out}: answers like {checkpoint} on {parity.images} images")
    if parity.warning:
        print(f"warning: {parity.warning}")


def draw(
    *,
    out: OutFolder,
    data: Data | None = None,
    predictions: Annotated[Path | None, Parameter(help="points.json; its images lie in --images or --data.")] = None,
    images: Annotated[Path | None, Parameter(help="Folder of the predicted images.")] = None,
    limit: Annotated[int, Parameter(help="At most so many pictures; 0 = all.")] = 0,
) -> None:
    """Draw labels (with --data) or predictions (with --predictions), or both, on their images."""
    from kaname.recipes.gauge.prediction import draw_all

    if data is None and predictions is None:
        raise InputError("nothing to draw", remedy="give --data, --predictions or both")
    sys.stdout.write(f"{draw_all(out, data, predictions, images, limit)} pictures in {out}\n")
