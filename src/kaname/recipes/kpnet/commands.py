"""``kaname kpnet train``: its words become a configuration, and the pipeline trains it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from kaname.pipeline.flags import TrainFlags, resolve, run_options
from kaname.pipeline.key_flags import KeyFlags
from kaname.recipes.kpnet import RECIPE
from kaname.recipes.kpnet.config import KpnetConfig

RUNS = Path("artifacts/kpnet")


class InputFlags(
    KeyFlags,
    schema=KpnetConfig,
    renamed={
        "--data-root --data": "data.root",
        "--image-size": "image_size",
        "--resize-only": "resize_only",
        "--flow-delta": "motion.delta",
        "--flow-method": "motion.method",
    },
    data="skeleton video_root missing_flow",
):
    """What the network is fed."""


class LearningFlags(
    KeyFlags,
    schema=KpnetConfig,
    renamed={
        "--in-chans": "in_chans",
        "--heatmap-size": "heatmap_size",
        "--coord-loss-weight": "loss.coord_weight",
        "--seg-loss-weight": "loss.seg_weight",
        "--aug-rotate-deg": "augment.rotate",
        "--pseudo6-root": "data.pseudo_root",
        "--video-frames": "data.video_frames",
        "--val-hota": "validation.hota",
        "--val-hota-interval": "validation.hota_interval",
        "--dump-seg-val": "validation.seg",
        "--dump-seg-interval": "validation.seg_interval",
        "--dump-seg-limit": "validation.seg_limit",
        "--dump-seg-alpha": "validation.seg_alpha",
    },
    loss="hm_pos_weight hm_consist_weight coord_consist_weight",
):
    """What is learnt and of what, and what is done with an epoch's weights."""


def train(
    *overrides: Annotated[str, Parameter(help="key=value of the configuration; see --print-config.")],
    fed: InputFlags = InputFlags(),
    own: LearningFlags = LearningFlags(),
    flags: TrainFlags = TrainFlags(),
) -> None:
    """Train a key point detector: best.pt, last.pt, logs and curves in the run's folder (artifacts/kpnet)."""
    config = resolve(RECIPE, flags, overrides, fed.keys() | own.keys())
    if config is None:
        return
    if flags.out_dir is None and config.train.ckpt_dir is None:
        flags = replace(flags, out_dir=RUNS)
    from kaname.pipeline.train import run

    run(RECIPE, config, run_options(RECIPE, flags, config.train, RUNS, data=config.data.root))
