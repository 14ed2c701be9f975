"""The verbs of ``kaname roimask`` besides ``train``. Each imports what it needs when it runs: help answers at once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from kaname.config import from_dict, merged
from kaname.errors import InputError
from kaname.pipeline.flags import (
    OUT_NAMES,
    BoxFlags,
    BoxLabel,
    BoxScore,
    Checkpoint,
    Damage,
    Device,
    Limit,
    OutFolder,
    Overwrite,
    ParityCount,
    ParityImages,
    ProfileFlag,
    Results,
    RunFlags,
    Weights,
    split_sources,
)
from kaname.pipeline.split import SplitFlags
from kaname.recipes.roimask import RECIPE
from kaname.recipes.roimask.commands import ExtractorFile, extractor_key
from kaname.schema import sides_of

Data = Annotated[Path | None, Parameter(help="Folder with images/ and annotations/ by their documented names.")]
Subset = Annotated[Literal["full", "500", "100"] | None, Parameter(help="Which of the documented annotation files.")]
Category = Annotated[str | None, Parameter(help="Name or number of what is masked; default 1, COCO's person.")]
Threshold = Annotated[float | None, Parameter(help="On the target's probability; default: the likeliest class.")]
Rescore = Annotated[bool | None, Parameter(help="Compare p1 / (p1 + p2) with the threshold, and score by it.")]
Overlap = Annotated[
    Literal["keep", "exclusive"] | None, Parameter(help="exclusive: a pixel goes to the mask that is surest of it.")
]
Extractor = Annotated[Path | None, Parameter(help="Where the extractor's file is now.")]
Predictions = Annotated[Path | None, Parameter(help="masks.json, or another program's COCO results, to score.")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SetFlags:
    """Which annotated images."""

    data: Data = None
    images: Annotated[Path | None, Parameter(help="Folder of the images.")] = None
    annotations: Annotated[Path | None, Parameter(help="Their COCO file.")] = None
    subset: Subset = None
    category: Category = None
    min_target: Annotated[float | None, Parameter(help="Least side of a box that is scored, in pixels.")] = None

    def words(self) -> list[str]:
        """As keys of the section ``data``; what is named is the set ``val``."""
        named = {
            "root": self.data,
            "val_images": self.images,
            "val_annotations": self.annotations,
            "subset": self.subset,
            "category": self.category,
            "min_target": self.min_target,
        }
        return [f"{key}={value}" for key, value in named.items() if value is not None]

    def labelled(self) -> Any:
        """The sets, where no model says of them."""
        from kaname.recipes.roimask.labels import labelled

        return labelled(None, {"data": {}}, self.words())


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class MaskBoxFlags:
    """Where boxes come from, besides ``--boxes``; ``None`` means not given."""

    box_format: Annotated[
        Literal["xyxy", "xywh", "cxcywh"] | None, Parameter(help="What four numbers are; default xyxy, two corners.")
    ] = None
    box_units: Annotated[
        Literal["pixel", "normalised"] | None, Parameter(help="Pixels (default), or 0..1 of the image.")
    ] = None
    label: BoxLabel = None
    box_score: BoxScore = None
    detector: Annotated[Path | None, Parameter(help="ONNX file that finds the boxes.")] = None
    detector_config: Annotated[
        Path | None, Parameter(help="YAML file that says how the detector is read, where that is not recognised.")
    ] = None
    detector_score: Annotated[float | None, Parameter(help="Leave out what it finds with a lower score.")] = None

    def with_boxes(self, boxes: list[str] | None) -> tuple[BoxFlags, list[str]]:
        """The flags of all recipes, and the boxes that were given as numbers."""
        file = Path(boxes[0]) if boxes is not None and len(boxes) == 1 and "," not in boxes[0] else None
        named = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return BoxFlags(boxes=file, **named), [] if file is not None else list(boxes or [])


def analyze(
    *,
    annotations: Annotated[Path | None, Parameter(help="COCO file; default: the documented training file.")] = None,
    out: Annotated[Path, Parameter(name=OUT_NAMES, help="The file to write.")] = Path("data_analyze.json"),
    category: Annotated[str, Parameter(help="Name or number of what is masked.")] = "1",
    data: Annotated[Path, Parameter(help="Folder of the documented files.")] = Path("data"),
    subset: Annotated[Literal["full", "500", "100"], Parameter(help="Which of them.")] = "full",
) -> None:
    """Count the pixels of background, target and others in all boxes; write them, and class weights for training."""
    from kaname.recipes.roimask.analyze import analyze as run
    from kaname.recipes.roimask.config import DataSettings

    run(annotations or DataSettings(root=data, subset=subset).annotations_of("train"), out, category)


def ablate(
    *overrides: Annotated[str, Parameter(help="key=value of the configuration, for every experiment.")],
    plan: Annotated[str, Parameter(help="A YAML file, or default: the documented table.")] = "default",
    data: Data = None,
    images: Annotated[Path | None, Parameter(help="Folder of the training images.")] = None,
    annotations: Annotated[Path | None, Parameter(help="COCO file of the training images.")] = None,
    val_images: Annotated[Path | None, Parameter(help="Folder of the validation images.")] = None,
    val_annotations: Annotated[Path | None, Parameter(help="COCO file of the validation images.")] = None,
    extractor: ExtractorFile = None,
    tensor: Annotated[str | None, Parameter(help="Name of the tensor inside the extractor.")] = None,
    out: Annotated[Path, Parameter(name=OUT_NAMES, help="Folder of all runs and of the table.")] = Path("ablation"),
    seeds: Annotated[int | None, Parameter(help="How many seeds; default 3.")] = None,
    epochs: Annotated[int | None, Parameter(help="Of every run.")] = None,
    device: Device = "auto",
) -> None:
    """Train and score every experiment with every seed; table.md and table.html, with paired differences.

    Killed and started again it goes on: what is finished is not done again, what was begun is resumed.
    """
    from kaname.recipes.roimask.ablate import ablate as run

    named: dict[str, Any] = {
        "data.root": data,
        "data.images": images,
        "data.annotations": annotations,
        "data.val_images": val_images,
        "data.val_annotations": val_annotations,
        "extractor.tensor": tensor,
        "train.epochs": epochs,
        "train.device": device,
    }
    run(plan, out, {**named, **({} if extractor is None else extractor_key(extractor))}, overrides, seeds=seeds)


def sample(
    *,
    out: OutFolder,
    count: Annotated[int, Parameter(help="How many training images.")] = 100,
    val_count: Annotated[
        int | None, Parameter(help="How many validation images; default: a quarter, at least 4.")
    ] = None,
    seed: Annotated[int, Parameter(help="Image i depends on (seed, i) alone.")] = 0,
    size: Annotated[str, Parameter(help="H,W of the images; every third one is upright.")] = "480,640",
) -> None:
    """Render crowded scenes in the documented folders: OUT/data, and a small extractor in OUT/ext_extractor."""
    from kaname.recipes.roimask.prepare import sample as run

    height, width = sides_of(size, "--size")
    run(
        out,
        count=count,
        val_count=max(4, count // 4) if val_count is None else val_count,
        seed=seed,
        width=width,
        height=height,
    )


def check(
    *,
    data: Data = None,
    images: Annotated[Path | None, Parameter(help="Folder of the training images.")] = None,
    val_images: Annotated[Path | None, Parameter(help="Folder of the validation images.")] = None,
    annotations: Annotated[Path | None, Parameter(help="COCO file of the training images.")] = None,
    val_annotations: Annotated[Path | None, Parameter(help="COCO file of the validation images.")] = None,
    subset: Subset = None,
    category: Category = None,
) -> None:
    """Report every problem of annotated images, and what the sets hold; exit code 2 if there is a problem."""
    from kaname.recipes.roimask.config import DataSettings
    from kaname.recipes.roimask.prepare import check as run

    given = {
        "root": data,
        "images": images,
        "val_images": val_images,
        "annotations": annotations,
        "val_annotations": val_annotations,
        "subset": subset,
        "category": category,
    }
    run(from_dict(DataSettings, {name: value for name, value in given.items() if value is not None}))


def split(
    *,
    annotations: Annotated[Path, Parameter(help="COCO file of all images.")],
    images: Annotated[Path, Parameter(help="Folder of the images.")],
    out: OutFolder,
    category: Category = None,
    flags: SplitFlags = SplitFlags(),
) -> None:
    """Divide one COCO file into OUT/instances_train.json and OUT/instances_val.json; the images stay where they are."""
    from kaname.recipes.roimask.dividing import split as run

    run(annotations, images, out, flags, category=category or "1")


def evaluate(
    *,
    checkpoint: Checkpoint | None = None,
    predictions: Predictions = None,
    annotated: SetFlags = SetFlags(),
    split: Annotated[str | None, Parameter(help="A set (train, val) or all; default: val.")] = None,
    out: Results = None,
    detections: Annotated[
        Path | None, Parameter(help="COCO results of a detector: also the mask AP in its boxes.")
    ] = None,
    noise: Annotated[bool, Parameter(help="Also the curve over boxes that are not exact.")] = True,
    threshold: Threshold = None,
    rescore: Rescore = None,
    overlap: Overlap = None,
    extractor: Extractor = None,
    pictures: Annotated[bool, Parameter(help="Draw the masks of every image.", negative=())] = False,
    limit: Limit = 0,
    overwrite: Overwrite = False,
    device: Device = "auto",
) -> None:
    """Score a model or a file of predictions: metrics.json, report.html and a table."""
    given = {"threshold": threshold, "rescore": rescore, "overlap": overlap, "extractor": extractor}
    if predictions is not None and detections is not None:
        reason = "--detections asks a model for masks in other boxes"
        raise InputError(reason, remedy="give --checkpoint, or score predictions made in those boxes")
    from kaname.pipeline.evaluate import evaluate as run

    run(
        RECIPE,
        annotated.labelled() if predictions is not None else None,
        checkpoint=checkpoint,
        predictions=predictions,
        out=out,
        split=split,
        changes=given,
        how={"detections": detections, "noise": noise},
        words=annotated.words(),
        pictures=pictures,
        limit=limit,
        device=device,
        overwrite=overwrite,
    )


def validate(
    *,
    checkpoint: Checkpoint,
    annotated: SetFlags = SetFlags(),
    out: Annotated[Path, Parameter(name=OUT_NAMES, help="Folder to write into; default: the working folder.")] = Path(),
    picture_images: Annotated[
        list[str] | None, Parameter(help="Images of the picture.", consume_multiple=True, negative=())
    ] = None,
    extractor: Extractor = None,
    device: Device = "auto",
) -> None:
    """evaluate, and the picture of true masks above and predicted ones below, as training draws it."""
    from kaname.pipeline.evaluate import evaluate as run
    from kaname.pipeline.model import answer_settings, open_model
    from kaname.recipes.roimask.decode import choice_of
    from kaname.recipes.roimask.labels import labelled
    from kaname.recipes.roimask.report import draw_photos, picture_name

    given, words = {"extractor": extractor}, annotated.words()
    how = {"how": {"noise": True}, "words": words, "device": device}
    run(RECIPE, checkpoint=checkpoint, out=out, changes=given, overwrite=True, **how)  # the picture names its epoch
    model = open_model(RECIPE, checkpoint, runtime=device, changes=given)
    stored = model.card["config"]
    sets = labelled(None, stored, words)
    wanted = picture_images or stored["data"]["picture_images"]
    path = out / picture_name(model.card)
    choice = choice_of(answer_settings(RECIPE, stored))
    for line in draw_photos(model, sets.read(sets.names[-1]), wanted, path, choice):
        print(line)
    print(f"picture in {path}")


def predict(
    *sources: Annotated[str, Parameter(help="Images, folders, videos; key=value changes the answers.")],
    checkpoint: Checkpoint,
    out: OutFolder,
    image: Annotated[list[Path] | None, Parameter(help="Images, the same as without the flag.", negative=())] = None,
    boxes: Annotated[
        list[str] | None,
        Parameter(
            help="File of boxes (JSON by image, COCO), or numbers x1,y1,x2,y2 ...", consume_multiple=True, negative=()
        ),
    ] = None,
    flags: MaskBoxFlags = MaskBoxFlags(),
    threshold: Threshold = None,
    rescore: Rescore = None,
    overlap: Overlap = None,
    extractor: Extractor = None,
    cutouts: Annotated[bool, Parameter(help="An RGBA picture of each person.", negative=())] = False,
    masks: Annotated[bool, Parameter(help="A PNG of each mask.")] = True,
    polygons: Annotated[bool, Parameter(help="polygons.json: outlines, holes named.")] = True,
    pictures: Annotated[bool, Parameter(help="Also draw the masks on each image.")] = True,
    damaged: Damage = "error",
    overwrite: Overwrite = False,
    run_on: RunFlags = RunFlags(),
    profile: ProfileFlag = False,
) -> None:
    """Find the person in each box: masks.json (COCO results, RLE), a PNG a mask, outlines, pictures.

    Without --boxes and --detector each image is taken as one box.
    """
    from kaname.recipes.roimask.predict import Wanted
    from kaname.recipes.roimask.predict import predict as run

    paths, words = split_sources(sources)
    given = {"threshold": threshold, "rescore": rescore, "overlap": overlap, "extractor": extractor}
    wanted = Wanted(masks=masks, cutouts=cutouts, polygons=polygons, pictures=pictures)
    where = flags.with_boxes(boxes)
    changes = merged(words, given, "answers")
    how = {"running": run_on.running(), "overwrite": overwrite, "damaged": damaged, "profile": profile}
    run([*paths, *(image or [])], checkpoint, out, where, changes, wanted, **how)


def export(
    *,
    checkpoint: Weights,
    out: Annotated[Path, Parameter(name=OUT_NAMES, help="The .onnx file to write.")],
    with_extractor: Annotated[bool, Parameter(help="The extractor inside: image and boxes in.", negative=())] = False,
    output: Annotated[
        Literal["image", "roi"], Parameter(help="image: probabilities at the input's size; roi: logits of the grid.")
    ] = "image",
    extractor: Extractor = None,
    images: ParityImages = None,
    count: ParityCount = 16,
) -> None:
    """Write an ONNX file: features and rois to masks, or with the extractor an image and rois to masks."""
    from kaname.recipes.roimask.export import export as run

    run(checkpoint, out, images, count, output=output, inside=with_extractor, extractor=extractor)


def draw(
    *,
    out: OutFolder,
    annotated: SetFlags = SetFlags(),
    predictions: Annotated[Path | None, Parameter(help="masks.json; its images lie in --images.")] = None,
    limit: Limit = 0,
    overwrite: Overwrite = False,
) -> None:
    """Draw annotated masks (with --data or --annotations), predicted ones (with --predictions), or both."""
    from kaname.pipeline.draw import draw as run

    own = annotated.data is not None or annotated.annotations is not None or predictions is None
    run(RECIPE, annotated.labelled() if own else None, predictions, annotated.images, out, limit, overwrite=overwrite)
