"""``kaname roimask train``: its words become a configuration, and the pipeline trains it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from kaname.errors import InputError
from kaname.models import names
from kaname.pipeline.flags import TrainFlags, resolve, run_options
from kaname.pipeline.key_flags import KeyFlags
from kaname.recipes.roimask import RECIPE
from kaname.recipes.roimask.config import RoimaskConfig

ONNX = ".onnx"

ExtractorFile = Annotated[
    str | None,
    Parameter(name="--extractor", help="ONNX file whose tensor is read, or a backbone (timm:NAME, a hub name)."),
]


class RoiFlags(
    KeyFlags,
    schema=RoimaskConfig,
    renamed={"--data": "data.root", "--classes": "classes", "--head": "head.name"},
    data="images val_images annotations val_annotations subset category crowd min_target max_targets pad jitter_iou "
    "hard_share picture_images",
    extractor="tensor licence",
    head="roi_size mask_size width depth first_kernel norm upsample",
    loss="ce_weight dice_target_weight dice_non_target_weight boundary_weight contrast_weight dice_non_target_from "
    "boundary_from class_weights class_weight_clip statistics focal_gamma tversky touching_weight border_ignore "
    "outside",
):
    """Flags of ``train`` that are aliases of keys."""


def extractor_key(name: str) -> dict[str, str]:
    """The key of the configuration that ``--extractor`` is: a file, or a backbone."""
    return {"extractor.path" if name.lower().endswith(ONNX) else "extractor.backbone": name}


def train(
    *overrides: Annotated[str, Parameter(help="key=value of the configuration; see --print-config.")],
    extractor: ExtractorFile = None,
    val: Annotated[bool, Parameter(help="Score every set afterwards, with pictures.", negative=())] = False,
    debug: Annotated[bool, Parameter(help="Write samples as pictures.", negative=())] = False,
    roi: RoiFlags = RoiFlags(),
    flags: TrainFlags = TrainFlags(),
) -> None:
    """Train a mask decoder: a checkpoint and a picture of each epoch, best.pt, last.pt, logs and curves.

    They go to the working folder, into checkpoints/ and beside it, or below --out-dir.
    """
    if flags.backbone is not None or flags.pretrained is not None:
        raise InputError("roimask has no backbone of its own", remedy="name the extractor with --extractor")
    named = {} if extractor is None else extractor_key(extractor)
    config = resolve(RECIPE, flags, overrides, roi.keys() | named)
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
