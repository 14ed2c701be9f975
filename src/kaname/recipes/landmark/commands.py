"""``kaname landmark train``: its words become a configuration, and the pipeline trains it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from kaname.pipeline.flags import CHECKPOINT_NAMES, TrainFlags, resolve, run_options
from kaname.pipeline.key_flags import KeyFlags
from kaname.recipes.landmark import RECIPE
from kaname.recipes.landmark.config import LandmarkConfig


class LandmarkFlags(
    KeyFlags,
    schema=LandmarkConfig,
    renamed={
        "--image-dir --images": "data.images",
        "--annotation-dir --annotations": "data.annotations",
        "--val-annotation-dir": "data.val_annotations",
        "--split-dir": "data.split",
        " ".join(CHECKPOINT_NAMES): "model.weights",
        "--size": "size",
        "--save-freq": "save_freq",
    },
    data="skeleton",
    model="new_head",
):
    """Flags of ``train`` that are aliases of keys."""


def train(
    *overrides: Annotated[str, Parameter(help="key=value of the configuration; see --print-config.")],
    own: LandmarkFlags = LandmarkFlags(),
    val: Annotated[bool, Parameter(help="Validate afterwards, with pictures.", negative=())] = False,
    debug: Annotated[bool, Parameter(help="Write augmented samples as pictures.", negative=())] = False,
    flags: TrainFlags = TrainFlags(),
) -> None:
    """Train a landmark detector: best_model.pth, final_model.pth, last.pt, logs and curves in the run's folder."""
    config = resolve(RECIPE, flags, overrides, own.keys())
    if config is None:
        return
    from kaname.pipeline.train import run

    options = run_options(RECIPE, flags, config.train, Path("checkpoints"), data=config.data.images)
    run(RECIPE, config, options, validate=val, debug=debug)
