"""The verbs of ``kaname gauge`` besides ``train``. Each imports what it needs when it runs: help answers at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from kaname.config import merged
from kaname.pipeline.flags import (
    BoxFormat,
    BoxLabel,
    BoxScore,
    BoxUnits,
    Checkpoint,
    CocoKeypoints,
    Damage,
    Device,
    Limit,
    OnnxFile,
    OutFolder,
    Overwrite,
    ParityCount,
    ParityImages,
    ProfileFlag,
    Results,
    RunFlags,
    Weights,
    report_problems,
    split_sources,
)
from kaname.pipeline.sampling import Without
from kaname.pipeline.split import SplitFlags
from kaname.pipeline.weights import model_for
from kaname.recipes.gauge import RECIPE

if TYPE_CHECKING:
    pass

Data = Annotated[Path, Parameter(help="Folder with train/ and val/, or with images/ and labels/.")]
CropSize = Annotated[int, Parameter(help="Side of the square crops in pixels.")]
Missing = Annotated[bool, Parameter(help="Accept dials without a start or an end.")]
Annotator = Annotated[str | None, Parameter(help="Whose annotations to take (id or e-mail), where there are several.")]
Threshold = Annotated[float | None, Parameter(help="Share of a map's maximum above which cells count.")]
MinScore = Annotated[float | None, Parameter(help="A map whose maximum lies under this has no point.")]
Tolerance = Annotated[float | None, Parameter(help="Pixels at 448 within which a point is found.")]
Clusters = Annotated[
    Literal["plain", "weighted"] | None, Parameter(help="Mean shift over cells, or weighted by value.")
]
Truth = Annotated[Literal["points", "heatmap"], Parameter(help="heatmap: truth re-clustered from the labels.")]
DialBoxes = Annotated[
    Path | None, Parameter(help="File of the dials' boxes: Label Studio, COCO, JSON by image; YOLO's folder.")
]
Cluster = Annotated[
    Literal["none", "prefix"],
    Parameter(help="What intervals resample whole: images, or those whose names differ in their number alone."),
]


def sample(
    *,
    out: OutFolder,
    count: Annotated[int, Parameter(help="How many images.")] = 100,
    seed: Annotated[int, Parameter(help="Image i depends on (seed, i) alone.")] = 0,
    size: CropSize = 448,
    val_fraction: Annotated[float, Parameter(help="Share of the images that goes to val/.")] = 0.2,
    variety: Annotated[
        Literal["full", "plain", "world"],
        Parameter(
            help="full: round dials of all looks; plain: everyday dials, head-on; world: instruments of every kind."
        ),
    ] = "full",
    without: Without = None,
    layout: Annotated[
        Literal["split", "flat", "photographs"],
        Parameter(
            help="split: train/ and val/; flat: images/ and annotation.json; photographs: larger scenes, with boxes."
        ),
    ] = "split",
) -> None:
    """Render a small data set of dials with exact truth, in the layout that train takes."""
    from kaname.samples.gauge import write

    off = without or ()
    write(out, count, seed, size=size, val_fraction=val_fraction, layout=layout, variety=variety, without=off)
    print(f"{count} rendered dials in {out}")


def check(
    *,
    data: Data,
    size: Annotated[int | None, Parameter(help="Heatmaps must have this size.")] = None,
    allow_missing: Missing = False,
) -> None:
    """Read a data set and report every problem; exit code 2 if there is one."""
    from kaname.data.naming import images_in
    from kaname.pipeline.labelled import warn_unjudged
    from kaname.recipes.gauge import labels

    folders, known = labels.sets(data), labels.of(allow_missing=allow_missing)
    problems = [error for folder in folders.values() for error in known.problems(folder, size=size)]
    if len(folders) > 1 and any(error.reason.endswith("is missing") for error in problems):
        print("an export that names the images of several sets is divided by `kaname gauge split`", file=sys.stderr)
    report_problems(problems)
    for name, folder in folders.items():
        dials = known.read(folder)
        points = sum(sum(map(len, dial.points.values())) for dial in dials if dial.points is not None)
        print(f"{name}: {len(dials)} dials, {points} points")
        if others := images_in(folder / "images")[1]:
            print(f"{name}: left out, not images by their names: {', '.join(others)}")
    warn_unjudged(folders)
    print("no problems")


def split(
    *,
    out: OutFolder,
    annotation: Annotated[Path | None, Parameter(help="Label Studio JSON of all images.")] = None,
    images: Annotated[Path | None, Parameter(help="Its images.")] = None,
    data: Annotated[
        Path | None,
        Parameter(
            name=["--directory", "--data"],
            help="Instead of both: a folder with images/ and labels/, as heatmaps leaves it.",
        ),
    ] = None,
    annotator: Annotator = None,
    flags: SplitFlags = SplitFlags(),
) -> None:
    """Divide labelled dials into OUT/train and OUT/val, which train and check read; near copies stay together.

    Images are linked where the disk can, so that they take no room again; labels become exact points.
    """
    from kaname.recipes.gauge import prepare

    prepare.split(annotation, images, data, out, flags, annotator=annotator)


def crop(
    *,
    images: Annotated[Path, Parameter(help="Folder of the photographs.")],
    boxes: Annotated[Path, Parameter(help="Label Studio or COCO file with the dials' boxes, or YOLO's folder.")],
    out: OutFolder,
    size: CropSize = 448,
    annotator: Annotator = None,
    label: BoxLabel = None,
    box_score: BoxScore = None,
    coco_keypoints: CocoKeypoints = "index",
) -> None:
    """Cut dials out of photographs by their boxes (Label Studio, COCO, YOLO); points move along."""
    from kaname.data import boxes as box_files
    from kaname.data import crops
    from kaname.recipes.gauge import labels
    from kaname.recipes.gauge.prepare import check_size

    check_size(size)
    named = {"names": labels.ALIASES, "annotator": annotator, "label": label, "score": box_score}
    named |= {"keypoints": coco_keypoints}
    report_problems(box_files.problems(boxes, images, **named))
    written = crops.crop(images, boxes, out, size, labels=labels.LABEL_NAMES, **named)
    if others := box_files.unknown_to(boxes, images, **named):
        print(f"left out of {images}, not in {boxes.name}: {', '.join(others)}")
    print(f"{len(written)} dials of {size} x {size} in {out / 'images'}")


def heatmaps(
    *,
    annotation: Annotated[Path, Parameter(help="Label Studio JSON.")],
    directory: Annotated[Path, Parameter(help="Folder with images/; labels/ is written beside it.")],
    size: Annotated[int, Parameter(help="Side of the maps: the size that training uses.")] = 448,
    sigma: Annotated[float, Parameter(help="Deviation of a point's Gaussian, pixels at 448.")] = 8.0,
    allow_missing: Missing = False,
    annotator: Annotator = None,
) -> None:
    """Write labels/<stem>.npy (heatmaps) and labels/<stem>.json (exact points) for every annotated image."""
    from kaname.data.formats import labelstudio
    from kaname.recipes.gauge import labels, prepare

    prepare.check_size(size)
    if not annotation.is_file() and (directory / annotation).is_file():
        annotation = directory / annotation
    images = directory / "images"
    report_problems(labelstudio.problems(annotation, images, names=labels.ALIASES, annotator=annotator))
    missing = {"allow_missing": allow_missing, "annotator": annotator}
    written = prepare.heatmaps(annotation, directory, size, sigma=sigma, **missing)
    print(f"{len(written)} labels of 3 x {size} x {size} in {directory / 'labels'}")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ScoringFlags:
    """What ``evaluate`` and ``validate`` have in common; ``None`` means not given."""

    data: Data | None = None
    out: Results = None
    truth: Truth = "points"
    tolerance: Tolerance = None
    threshold: Threshold = None
    min_score: MinScore = None
    clusters: Clusters = None
    cluster: Cluster = "none"
    overwrite: Overwrite = False
    device: Device = "auto"


def evaluate(
    *,
    checkpoint: Checkpoint | None = None,
    predictions: Annotated[Path | None, Parameter(help="points.json to score instead of a model.")] = None,
    split: Annotated[str | None, Parameter(help="train, val or all; default val where there is one.")] = None,
    pictures: Annotated[bool, Parameter(help="Draw every image.")] = False,
    flags: ScoringFlags = ScoringFlags(),
) -> None:
    """Score a model or a file of predictions against labels; writes metrics.json and report.html, prints a table."""
    from kaname.pipeline.evaluate import evaluate as run
    from kaname.recipes.gauge import labels

    run(
        RECIPE,
        None if flags.data is None else labels.labelled(flags.data, {}),
        checkpoint=checkpoint,
        predictions=predictions,
        out=flags.out,
        split=split,
        changes={name: getattr(flags, name) for name in ("tolerance", "threshold", "min_score", "clusters")},
        how={"truth": flags.truth, "cluster": flags.cluster},
        pictures=pictures,
        device=flags.device,
        overwrite=flags.overwrite,
    )


def validate(
    *,
    checkpoint: Checkpoint,
    split: Annotated[str | None, Parameter(help="train, val or all.")] = "all",
    flags: ScoringFlags = ScoringFlags(),
) -> None:
    """Evaluate every set of a data folder with the pictures of each image."""
    evaluate(checkpoint=checkpoint, split=split, pictures=True, flags=flags)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DialFlags:
    """What ``predict`` and ``read`` have in common; ``None`` means not given."""

    boxes: DialBoxes = None
    box_format: BoxFormat = None
    box_units: BoxUnits = None
    label: BoxLabel = None
    box_score: BoxScore = None
    threshold: Threshold = None
    min_score: MinScore = None
    clusters: Clusters = None
    overwrite: Overwrite = False
    damaged: Damage = "error"
    profile: ProfileFlag = False

    def how(self, words: Sequence[str]) -> dict[str, Any]:
        """The arguments of `kaname.pipeline.predict.predict_images`; ``words`` are ``key=value`` of the extraction."""
        given = {name: getattr(self, name) for name in ("threshold", "min_score", "clusters")}
        changes = merged(words, given, "extract")
        same = {name: getattr(self, name) for name in ("overwrite", "damaged", "profile")}
        return {"changes": changes, "boxes": self._boxes(), **same}

    def _boxes(self) -> Any:
        if self.boxes is None:
            return None
        from kaname.data.boxes import finder
        from kaname.pipeline.boxes import BoxSource
        from kaname.recipes.gauge import labels

        reading = {"form": self.box_format, "units": self.box_units, "label": self.label, "score": self.box_score}
        return BoxSource(partial(finder, self.boxes, names=labels.ALIASES, **reading))


def predict(
    *sources: Annotated[str, Parameter(help="Images, folders, videos; key=value changes the extraction.")],
    checkpoint: Checkpoint | None = None,
    out: OutFolder,
    pictures: Annotated[bool, Parameter(help="Also draw the points on each image.")] = True,
    flags: DialFlags = DialFlags(),
    run_on: RunFlags = RunFlags(),
) -> None:
    """Find the notches: points.json (original pixels) and a picture of each image."""
    from kaname.pipeline.predict import predict_images

    paths, words = split_sources(sources)
    how = {"pictures": pictures, "running": run_on.running(), **flags.how(words)}
    predict_images(RECIPE, paths, model_for(RECIPE.name, checkpoint), out, **how)


def read(
    *sources: Annotated[str, Parameter(help="Images, folders, videos; key=value changes the extraction.")],
    ends: Annotated[
        tuple[float, float],
        Parameter(
            name="--range",
            help="LOW HIGH: values of the first notch and of the last; a falling scale begins with the larger.",
            allow_leading_hyphen=True,
            negative=(),
        ),
    ],
    out: OutFolder,
    unit: Annotated[str, Parameter(help="Unit of the values, in words.")] = "",
    checkpoint: Checkpoint | None = None,
    pictures: Annotated[bool, Parameter(help="Also draw how each dial was read.")] = True,
    flags: DialFlags = DialFlags(),
    run_on: RunFlags = RunFlags(),
) -> None:
    """Read what dials show: readings.csv, points.json and a picture of each, of a video a video.

    The model must know the needle (train with --needle). A row without an answer says why.
    """
    from kaname.recipes.gauge.readings import read as run

    paths, words = split_sources(sources)
    how = {"pictures": pictures, "running": run_on.running(), **flags.how(words)}
    run(paths, model_for(RECIPE.name, checkpoint), out, ends, unit, **how)


def export(*, checkpoint: Weights, out: OnnxFile, images: ParityImages = None, count: ParityCount = 16) -> None:
    """Write an ONNX file with the preprocessing inside; it gets its name only if it answers like the model."""
    from kaname.pipeline.export import export as run

    run(RECIPE, checkpoint, out, images, count)


def draw(
    *,
    out: OutFolder,
    data: Data | None = None,
    predictions: Annotated[Path | None, Parameter(help="points.json; its images lie in --images or --data.")] = None,
    images: Annotated[Path | None, Parameter(help="Folder of the predicted images.")] = None,
    limit: Limit = 0,
    overwrite: Overwrite = False,
) -> None:
    """Draw labels (with --data) or predictions (with --predictions), or both, on their images."""
    from kaname.pipeline.draw import draw as run
    from kaname.recipes.gauge import labels

    folder = None if data is None else labels.labelled(data, {})
    run(RECIPE, folder, predictions, images, out, limit, overwrite=overwrite)
