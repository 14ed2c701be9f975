"""``kaname roimask train``: its words become a configuration, and the pipeline trains it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from kaname.errors import InputError
from kaname.models import names
from kaname.pipeline.flags import TrainFlags, resolve, run_options
from kaname.recipes.roimask import RECIPE

ONNX = ".onnx"
PAIRS = {"roi_size": int, "mask_size": int, "jitter_iou": float, "class_weight_clip": float, "tversky": float}
SECTIONS = {
    "head": ("roi_size", "mask_size", "width", "depth", "first_kernel", "norm", "upsample"),
    "loss": (
        *("ce_weight", "dice_target_weight", "dice_non_target_weight", "boundary_weight", "contrast_weight"),
        *("dice_non_target_from", "boundary_from", "class_weights", "class_weight_clip", "statistics", "focal_gamma"),
        *("tversky", "touching_weight", "border_ignore", "outside"),
    ),
    "extractor": ("tensor", "licence"),
}

Data = Annotated[Path | None, Parameter(help="Folder with images/ and annotations/ by their documented names.")]
Subset = Annotated[Literal["full", "500", "100"] | None, Parameter(help="Which of the documented annotation files.")]
Category = Annotated[str | None, Parameter(help="Name or number of what is masked; default 1, COCO's person.")]
ExtractorFile = Annotated[
    str | None,
    Parameter(name="--extractor", help="ONNX file whose tensor is read, or a backbone (timm:NAME, a hub name)."),
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RoiFlags:
    """Flags of ``train`` that are aliases of keys; ``None`` means not given."""

    subset: Subset = None
    category: Category = None
    tensor: Annotated[str | None, Parameter(help="Name of the tensor inside the extractor.")] = None
    licence: Annotated[str | None, Parameter(help="Note on the extractor's weights, which exports with it carry.")] = (
        None
    )
    roi_size: Annotated[str | None, Parameter(help="H,W: grid of RoIAlign; people are tall, 18,10 fits them.")] = None
    mask_size: Annotated[str | None, Parameter(help="H,W: grid of the masks.")] = None
    width: Annotated[int | None, Parameter(help="Channels of the head.")] = None
    depth: Annotated[int | None, Parameter(help="Blocks of the head crop, halvings of roimap.")] = None
    first_kernel: Annotated[int | None, Parameter(help="Of the first convolution; 1 is many times cheaper.")] = None
    norm: Annotated[Literal["group", "batch"] | None, Parameter(help="Normalisation in the head.")] = None
    upsample: Annotated[Literal["direct", "progressive"] | None, Parameter(help="How masks grow.")] = None
    ce_weight: Annotated[float | None, Parameter(help="Of cross-entropy.")] = None
    dice_target_weight: Annotated[float | None, Parameter(help="Of Dice on the target.")] = None
    dice_non_target_weight: Annotated[float | None, Parameter(help="Of Dice on the others.")] = None
    boundary_weight: Annotated[float | None, Parameter(help="Of the target's border.")] = None
    contrast_weight: Annotated[float | None, Parameter(help="Of embeddings that keep both apart.")] = None
    dice_non_target_from: Annotated[int | None, Parameter(help="Epoch, from 1, in which that Dice begins.")] = None
    boundary_from: Annotated[int | None, Parameter(help="Epoch in which the border begins to count.")] = None
    class_weights: Annotated[
        str | None, Parameter(help="none, inverse, log (default), log-k, separation-aware, or W0,W1,W2.")
    ] = None
    class_weight_clip: Annotated[str | None, Parameter(help="LOW,HIGH for class weights.")] = None
    statistics: Annotated[Path | None, Parameter(help="data_analyze.json that class weights come from.")] = None
    focal_gamma: Annotated[float | None, Parameter(help="Above 0: easy cells pull less; 2 is usual.")] = None
    tversky: Annotated[str | None, Parameter(help="Costs of false and missed cells in Dice's place; 0.3,0.7.")] = None
    touching_weight: Annotated[float | None, Parameter(help="What cells count where people touch.")] = None
    border_ignore: Annotated[int | None, Parameter(help="So many cells along borders do not count.")] = None
    outside: Annotated[
        Literal["persons", "background"] | None, Parameter(help="Truth around the box, for roimap and dynamic.")
    ] = None
    crowd: Annotated[Literal["ignore", "background"] | None, Parameter(help="Pixels of crowds.")] = None
    min_target: Annotated[float | None, Parameter(help="Least side of a target's box, in pixels.")] = None
    max_targets: Annotated[int | None, Parameter(help="Targets of one image in an epoch.")] = None
    pad: Annotated[float | None, Parameter(help="By what share of its sides a box grows on each.")] = None
    jitter_iou: Annotated[str | None, Parameter(help="LOW,HIGH: IoU of training boxes with the true ones.")] = None
    hard_share: Annotated[float | None, Parameter(help="Share of targets drawn by how many others are near.")] = None

    def keys(self) -> dict[str, Any]:
        """Configuration key to value."""
        section = {name: part for part, names in SECTIONS.items() for name in names}
        found: dict[str, Any] = {}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name in PAIRS and value is not None:
                value = numbers(entry.name, value)
            found[f"{section.get(entry.name, 'data')}.{entry.name}"] = value
        return found


def numbers(name: str, text: str) -> list[Any]:
    """Two numbers from ``A,B``.

    Raises:
        InputError: it is something else.
    """
    try:
        values = [PAIRS[name](word) for word in text.replace("x", ",").split(",")]
    except ValueError:
        values = []
    if len(values) != 2:
        example = "14,14" if PAIRS[name] is int else "0.5,1"
        raise InputError(f"--{name.replace('_', '-')} is two numbers, got {text!r}", remedy=f"as in {example}")
    return values


def extractor_key(name: str) -> dict[str, str]:
    """The key of the configuration that ``--extractor`` is: a file, or a backbone."""
    return {"extractor.path" if name.lower().endswith(ONNX) else "extractor.backbone": name}


def train(
    *overrides: Annotated[str, Parameter(help="key=value of the configuration; see --print-config.")],
    data: Data = None,
    images: Annotated[Path | None, Parameter(help="Folder of the training images.")] = None,
    val_images: Annotated[Path | None, Parameter(help="Folder of the validation images.")] = None,
    annotations: Annotated[Path | None, Parameter(help="COCO file of the training images.")] = None,
    val_annotations: Annotated[Path | None, Parameter(help="COCO file of the validation images.")] = None,
    extractor: ExtractorFile = None,
    head: Annotated[
        Literal["crop", "roimap", "dynamic"] | None, Parameter(help="How the model is told the box.")
    ] = None,
    classes: Annotated[
        Literal[2, 3] | None, Parameter(help="2: others are background; 3: a class of their own.")
    ] = None,
    picture_images: Annotated[
        list[str] | None, Parameter(help="Images of the validation picture.", consume_multiple=True, negative=())
    ] = None,
    val: Annotated[bool, Parameter(help="Score every set afterwards, with pictures.", negative=())] = False,
    debug: Annotated[bool, Parameter(help="Write samples as pictures.", negative=())] = False,
    roi: RoiFlags = RoiFlags(),
    flags: TrainFlags = TrainFlags(),  # noqa: B008
) -> None:
    """Train a mask decoder: a checkpoint and a picture of each epoch, best.pt, last.pt, logs and curves.

    They go to the working folder, into checkpoints/ and beside it, or below --out-dir.
    """
    extra = {
        **roi.keys(),
        "data.root": data,
        "data.images": images,
        "data.val_images": val_images,
        "data.annotations": annotations,
        "data.val_annotations": val_annotations,
        "head.name": head,
        "classes": classes,
        "data.picture_images": picture_images,
    }
    extra |= {} if extractor is None else extractor_key(extractor)
    if flags.backbone is not None or flags.pretrained is not None:
        raise InputError("roimask has no backbone of its own", remedy="name the extractor with --extractor")
    config = resolve(RECIPE, flags, overrides, extra)
    if config is None:
        return
    if config.extractor.backbone:
        names.check(config.extractor.backbone)
    elif not (path := config.extractor.path.absolute()).is_file():
        raise InputError("the extractor does not exist", path=path, remedy="give it with --extractor")
    from kaname.pipeline.train import run

    here = Path() if config.train.ckpt_dir is None else None  # as documented: checkpoints/ lies in the working folder
    options = run_options(RECIPE, replace(flags, out_dir=flags.out_dir or here), config.train, Path())
    run(RECIPE, config, options, validate=val, debug=debug)
