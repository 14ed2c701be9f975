"""``kaname kpnet train``: its words become a configuration, and the pipeline trains it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from kaname.pipeline.flags import TrainFlags, resolve, run_options
from kaname.recipes.kpnet import RECIPE
from kaname.tracking.smooth import Smooth

Data = Annotated[
    Path | None,
    Parameter(name=["--data-root", "--data"], help="Folder with train/{frames,mot,masks} and val/{frames,mot}."),
]
Bones = Annotated[
    str | None,
    Parameter(
        name="--skeleton", help="A name of configs/skeleton, or a YAML file; default: skeleton.yaml of the data."
    ),
]
Videos = Annotated[Path | None, Parameter(help="Folder of VIDEO.mp4; default: movie in the data.")]
Size = Annotated[str | None, Parameter(help="Of the picture that the network sees: a square's side, or H,W.")]
Stretch = Annotated[bool | None, Parameter(help="Stretch frames to that size instead of keeping their shape.")]
Delta = Annotated[int | None, Parameter(help="Frames of the video between a frame and the one before it.")]
Method = Annotated[Literal["farneback", "dis"] | None, Parameter(help="Of the optical flow.")]
Missing = Annotated[
    Literal["error", "zero"] | None, Parameter(help="zero: a frame that none is known before has not moved.")
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class InputFlags:
    """What the network is fed; ``None`` means not given."""

    data_root: Data = None
    skeleton: Bones = None
    video_root: Videos = None
    image_size: Size = None
    resize_only: Stretch = None
    flow_delta: Delta = None
    flow_method: Method = None
    missing_flow: Missing = None

    def keys(self) -> dict[str, Any]:
        """By configuration key."""
        return {
            "data.root": self.data_root,
            "data.skeleton": self.skeleton,
            "data.video_root": self.video_root,
            "data.missing_flow": self.missing_flow,
            "image_size": self.image_size,
            "resize_only": self.resize_only,
            "motion.delta": self.flow_delta,
            "motion.method": self.flow_method,
        }


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class LossFlags:
    """What is minimised, and how the weights are chosen; ``None`` means not given."""

    hm_pos_weight: Annotated[float | None, Parameter(help="Factor of the heatmaps' peaks.")] = None
    coord_loss_weight: Annotated[float | None, Parameter(help="Of the places' distance in pixels.")] = None
    seg_loss_weight: Annotated[float | None, Parameter(help="Of the segmentation; 0 leaves it out.")] = None
    hm_consist_weight: Annotated[float | None, Parameter(help="Of the heatmaps beside those of the frame before.")] = (
        None
    )
    coord_consist_weight: Annotated[float | None, Parameter(help="Of the places beside those of the frame before.")] = (
        None
    )
    aug_rotate_deg: Annotated[float | None, Parameter(help="Turn training frames by up to so many degrees.")] = None
    pseudo6_root: Annotated[Path | None, Parameter(help="Folder of pseudo masks, VIDEO/VIDEO_frame_ID.png.")] = None
    video_frames: Annotated[int | None, Parameter(help="More frames of the videos for each labelled one.")] = None

    def keys(self) -> dict[str, Any]:
        """By configuration key."""
        return {
            "loss.hm_pos_weight": self.hm_pos_weight,
            "loss.coord_weight": self.coord_loss_weight,
            "loss.seg_weight": self.seg_loss_weight,
            "loss.hm_consist_weight": self.hm_consist_weight,
            "loss.coord_consist_weight": self.coord_consist_weight,
            "augment.rotate": self.aug_rotate_deg,
            "data.pseudo_root": self.pseudo6_root,
            "data.video_frames": self.video_frames,
        }


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ValidationFlags:
    """What is done with an epoch's weights; ``None`` means not given."""

    val_hota: Annotated[bool | None, Parameter(help="Choose the weights by HOTA-KP of the validation set.")] = None
    val_hota_interval: Annotated[int | None, Parameter(help="In epochs; 0: the last one alone.")] = None
    dump_seg_val: Annotated[bool | None, Parameter(help="Draw the predicted classes of validation frames.")] = None
    dump_seg_interval: Annotated[int | None, Parameter(help="In epochs; 0: the last one alone.")] = None
    dump_seg_limit: Annotated[int | None, Parameter(help="At most this many frames; 0 draws all.")] = None
    dump_seg_alpha: Annotated[float | None, Parameter(help="How far the classes cover the frame, 0..1.")] = None

    def keys(self) -> dict[str, Any]:
        """By configuration key."""
        return {
            "validation.hota": self.val_hota,
            "validation.hota_interval": self.val_hota_interval,
            "validation.seg": self.dump_seg_val,
            "validation.seg_interval": self.dump_seg_interval,
            "validation.seg_limit": self.dump_seg_limit,
            "validation.seg_alpha": self.dump_seg_alpha,
        }


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SmoothFlags:
    """Of smoothing along a video."""

    smooth: Annotated[
        Literal["none", "one-euro", "median"], Parameter(help="Smooth seen points along the video, looking back alone.")
    ] = "none"
    smooth_cutoff: Annotated[
        float, Parameter(help="one-euro: Hz of a point that rests; less is smoother and later.")
    ] = Smooth.cutoff
    smooth_beta: Annotated[float, Parameter(help="one-euro: Hz more for each pixel a second.")] = Smooth.beta
    smooth_window: Annotated[int, Parameter(help="median: frames, this one the last.")] = Smooth.window

    def chosen(self) -> Smooth:
        """As it is done."""
        return Smooth(self.smooth, self.smooth_cutoff, self.smooth_beta, self.smooth_window)


def train(
    *overrides: Annotated[str, Parameter(help="key=value of the configuration; see --print-config.")],
    fed: InputFlags = InputFlags(),
    in_chans: Annotated[int | None, Parameter(help="3: RGB; 6: RGB, flow and foreground.")] = None,
    heatmap_size: Annotated[str | None, Parameter(help="Rows and columns of a heatmap; default: a quarter.")] = None,
    losses: LossFlags = LossFlags(),
    judged: ValidationFlags = ValidationFlags(),
    flags: TrainFlags = TrainFlags(),  # noqa: B008
) -> None:
    """Train a key point detector: best.pt, last.pt, logs and curves in the run's folder (artifacts/kpnet)."""
    extra = {"in_chans": in_chans, "heatmap_size": heatmap_size, **fed.keys(), **losses.keys()}
    extra |= judged.keys()
    config = resolve(RECIPE, flags, overrides, extra)
    if config is None:
        return
    if flags.out_dir is None and config.train.ckpt_dir is None:
        flags = replace(flags, out_dir=Path("artifacts/kpnet"))
    from kaname.pipeline.train import run

    run(RECIPE, config, run_options(RECIPE, flags, config.train, Path("artifacts/kpnet"), data=config.data.root))
