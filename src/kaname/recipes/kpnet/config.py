"""The configuration of ``kpnet``. Sizes are ``H,W`` (or ``HxW``), or one number for a square."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from kaname.errors import require, require_range
from kaname.schema import sides_of
from kaname.training.settings import TrainSettings

if TYPE_CHECKING:
    from kaname.geometry.grid import Grid
    from kaname.geometry.view import View

MULTIPLE = 32  # that the sides of the input must divide by, for every backbone
CELL = 4  # input pixels in a cell of a heatmap, where nothing else is asked for
COLOURS, WITH_MOTION = 3, 6


@dataclass(frozen=True)
class DataSettings:
    """Frames, labels and videos.

    Attributes:
        root: folder with ``train/{frames,mot,masks}`` and ``val/{frames,mot}``.
        skeleton: a name of configs/skeleton, or a YAML file; default: ``skeleton.yaml`` in the root, else ``oss25``.
        video_root: folder of the videos, ``VIDEO.mp4``; default: ``movie`` in the root.
        pseudo_root: folder of pseudo masks, ``VIDEO/VIDEO_frame_ID.png``.
        video_frames: how many more frames of its video a labelled frame brings, without points, spread evenly; they
            train what needs none: the comparison with the frame before and the segmentation, by pseudo masks.
        missing_flow: a frame without one before it is refused (``error``), or taken as one without motion (``zero``).
    """

    root: Path = Path("data")
    skeleton: str | None = None
    video_root: Path | None = None
    pseudo_root: Path | None = None
    video_frames: int = 0
    missing_flow: Literal["error", "zero"] = "error"

    def __post_init__(self) -> None:
        require_range(self, "video_frames", 0)

    @property
    def videos(self) -> Path:
        """Where the videos are."""
        return self.root / "movie" if self.video_root is None else self.video_root


@dataclass(frozen=True)
class MotionSettings:
    """What the channels of motion are made of.

    Attributes:
        method: how the optical flow is computed: ``farneback`` or ``dis``.
        delta: how many frames earlier in the video the frame lies that motion is measured from.
        scale: pixels of flow that become 1.
    """

    method: Literal["farneback", "dis"] = "farneback"
    delta: int = 1
    scale: float = 20.0

    def __post_init__(self) -> None:
        require_range(self, "delta", 1)
        require_range(self, "scale", 0, above=True)


@dataclass(frozen=True)
class ModelSettings:
    """The network.

    Attributes:
        backbone: a name of timm (``convnext_tiny``), ``small`` (U-Net), a hub name or a local folder.
        pretrained: start the backbone from its own pretrained weights, where it has some.
        width: channels of the feature pyramid.
        normalize: normalisation of colours: ``imagenet``, ``backbone`` (that of its weights) or ``none`` (0..1).
    """

    backbone: str = "convnext_tiny"
    pretrained: bool = True
    width: int = 256
    normalize: Literal["backbone", "imagenet", "none"] = "backbone"

    def __post_init__(self) -> None:
        require_range(self, "width", 1)


@dataclass(frozen=True)
class LossSettings:
    """What is minimised: the heatmaps' cross-entropy, and further terms by their weights.

    Attributes:
        sigma: standard deviation of a point's Gaussian, in cells.
        hm_pos_weight: factor of the heatmaps' peaks against their background.
        visibility_weight: weight of the visibilities' cross-entropy.
        coord_weight: weight of the distance of the maps' mean places to the true ones, in pixels of the original frame.
        seg_weight: weight of the segmentation's loss (half Dice, half focal); 0 still builds its head.
        hm_consist_weight: weight of the heatmaps' difference to those of the frame before, moved by the flow.
        coord_consist_weight: weight of the places' difference to those of the frame before, moved by the flow, in
            pixels of the original frame.
        hm_epsilon: a map's mean square difference counts only as far as it exceeds this.
        coord_epsilon: a place's distance counts only as far as it exceeds so many pixels.
    """

    sigma: float = 2.0
    hm_pos_weight: float = 50.0
    visibility_weight: float = 0.1
    coord_weight: float = 0.2
    seg_weight: float = 0.0
    hm_consist_weight: float = 0.0
    coord_consist_weight: float = 0.0
    hm_epsilon: float = 0.0
    coord_epsilon: float = 0.0

    def __post_init__(self) -> None:
        require_range(self, "sigma hm_pos_weight", 0, above=True)
        require_range(self, "visibility_weight coord_weight seg_weight hm_consist_weight coord_consist_weight", 0)
        require_range(self, "hm_epsilon coord_epsilon", 0)

    @property
    def compares(self) -> bool:
        """Whether the frame before takes part."""
        return self.hm_consist_weight > 0 or self.coord_consist_weight > 0


@dataclass(frozen=True)
class AugmentSettings:
    """Random changes of a training frame; points, masks, the frame before and flow vectors move along.

    Attributes:
        rotate: frames are turned by up to so many degrees, either way, all angles as likely.
        scale: the picture grows or shrinks by a factor drawn from 1 - s .. 1 + s.
        shift: the picture moves by up to this share of its sides.
        brightness: factor on the brightness, drawn from 1 - b .. 1 + b.
        contrast: factor on the contrast, drawn from 1 - c .. 1 + c.
    """

    rotate: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0

    def __post_init__(self) -> None:
        require(0 <= self.rotate <= 180, f"rotate must lie in 0..180 degrees, got {self.rotate}")
        require(0 <= self.scale < 1, f"scale must be at least 0 and under 1, got {self.scale}")
        require_range(self, "shift brightness contrast", 0, 1)

    @property
    def moves(self) -> bool:
        """Whether the picture is moved."""
        return self.rotate > 0 or self.scale > 0 or self.shift > 0


@dataclass(frozen=True)
class AnswerSettings:
    """From the outputs to key points, and how they are scored; it may change after training.

    Attributes:
        method: how a peak is refined: ``dark``, ``soft-argmax`` or ``argmax``.
        absent: a point is out of frame where the probability of that is above this; default: where it is the likeliest
            state. 1 gives every point of a present object a place.
        video_root: where videos are now, for the channels of motion; default: where they were in training.
        missing_flow: what becomes of a frame without an earlier one, as ``data.missing_flow``; default: as in training.
        pck_px: pixels of the original frame within which a point is found.
        similarity: how HOTA-KP measures likeness: ``gaussian``, or ``linear`` as in older versions of its evaluator.
        scale_px: scale of HOTA-KP's likeness, in pixels of the original frame.
    """

    method: Literal["dark", "soft-argmax", "argmax"] = "dark"
    absent: float | None = None
    video_root: Path | None = None
    missing_flow: Literal["error", "zero"] | None = None
    pck_px: float = 10.0
    similarity: Literal["gaussian", "linear"] = "gaussian"
    scale_px: float = 10.0

    def __post_init__(self) -> None:
        if self.absent is not None:
            require_range(self, "absent", 0, 1)
        require_range(self, "pck_px scale_px", 0, above=True)


@dataclass(frozen=True)
class ValidationSettings:
    """What is done with an epoch's weights.

    Attributes:
        hota: choose the best weights by HOTA-KP of the validation set; otherwise by the validation loss.
        hota_interval: compute HOTA-KP after every so many epochs; 0: after the last alone.
        seg: draw predicted classes of validation frames, with labelled and predicted points.
        seg_interval: draw classes after every so many epochs; 0: after the last alone.
        seg_limit: draw classes of at most so many frames; 0 draws all.
        seg_alpha: how far the drawn classes cover the frame, 0..1.
    """

    hota: bool = False
    hota_interval: int = 1
    seg: bool = False
    seg_interval: int = 1
    seg_limit: int = 8
    seg_alpha: float = 0.6

    def __post_init__(self) -> None:
        require_range(self, "hota_interval seg_interval seg_limit", 0)
        require_range(self, "seg_alpha", 0, 1)

    def draws(self, epoch: int, epochs: int) -> bool:
        """Whether an epoch (from 1) of so many is drawn."""
        return self.seg and (epoch == epochs or (self.seg_interval > 0 and epoch % self.seg_interval == 0))


@dataclass(frozen=True)
class KpnetConfig:
    """Everything a training run of ``kpnet`` depends on.

    Attributes:
        image_size: height and width of the picture that the network sees; one number is a square. Sides that 32 does
            not divide lie on a canvas that it divides.
        resize_only: stretch frames to the picture's size; otherwise their shape is kept (letterbox).
        heatmap_size: rows and columns of a heatmap; default: a quarter of the canvas.
        in_chans: channels of the input: 3 (RGB), or 6 (RGB, optical flow, difference to the frame before).
        validation: what an epoch's weights are judged by, and what is drawn of them.
    """

    follows: ClassVar[Mapping[str, str]] = {"heatmap_size": "image_size"}  # of a preset, in proportion, unless given

    data: DataSettings = field(default_factory=DataSettings)
    image_size: int | str = 384
    resize_only: bool = False
    heatmap_size: int | str | None = None
    in_chans: int = COLOURS
    motion: MotionSettings = field(default_factory=MotionSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    validation: ValidationSettings = field(default_factory=ValidationSettings)
    answers: AnswerSettings = field(default_factory=AnswerSettings)
    train: TrainSettings = field(
        default_factory=lambda: replace(
            TrainSettings(), epochs=20, optimizer="adamw", lr=1e-4, weight_decay=1e-4, schedule="constant"
        )
    )

    def __post_init__(self) -> None:
        known = self.in_chans in (COLOURS, WITH_MOTION)
        require(known, f"--in-chans is {self.in_chans}", "3 is RGB, 6 is RGB with flow and foreground")
        object.__setattr__(self, "image_size", ",".join(map(str, sides_of(self.image_size, "image_size"))))
        if self.heatmap_size is not None:
            sides = sides_of(self.heatmap_size, "heatmap_size")
            object.__setattr__(self, "heatmap_size", ",".join(map(str, sides)))
            fits = all(cells <= side for cells, side in zip(sides, self.canvas, strict=True))
            require(fits, f"heatmap_size {self.heatmap_size} is larger than the input", f"at most {self.canvas}")

    @property
    def canvas(self) -> tuple[int, int]:
        """``(height, width)`` of the network's input."""
        height, width = sides_of(self.image_size, "image_size")
        return -(-height // MULTIPLE) * MULTIPLE, -(-width // MULTIPLE) * MULTIPLE

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of a heatmap."""
        if self.heatmap_size is not None:
            return sides_of(self.heatmap_size, "heatmap_size")
        height, width = self.canvas
        return height // CELL, width // CELL

    @property
    def view(self) -> View:
        """How a frame becomes the input."""
        from kaname.geometry.view import View  # here, so that help answers without NumPy

        size = sides_of(self.image_size, "image_size")
        canvas = None if self.canvas == size else self.canvas
        return View("stretch" if self.resize_only else "letterbox", size, canvas)

    @property
    def grid(self) -> Grid:
        """How the cells of the maps lie in the input."""
        from kaname.geometry.grid import Grid

        return Grid.between(self.canvas, self.cells)
