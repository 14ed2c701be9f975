"""What is chosen when videos are predicted, and what a caller may say of the model. No torch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from kaname import config as configuration
from kaname.data.video import Damaged
from kaname.errors import InputError, require
from kaname.recipes.kpnet.config import KpnetConfig
from kaname.schema import sides_of
from kaname.tracking.smooth import Smooth

TRACKERS = ("none", "klt", "cotracker")


@dataclass(frozen=True)
class How:
    """How videos are predicted: what a record keeps.

    Attributes:
        tracker: what walks between detections; ``none`` detects in every frame.
        k: detect in every K-th frame that is asked for; without a tracker how many frames are a stretch.
        grid_size: of CoTracker: support points along each side.
        vis_th: a point is hidden where the tracker holds it for less probable.
        every: each so-manieth frame of a video; None: those with an image, else all.
        third: what the third value of a triple is.
        write_absent: whether objects that are not there have rows too.
        answers: settings of the answers that are not those of the checkpoint.
        overlay: whether a video with the key points drawn on it is made too.
        smooth: how points are smoothed along the video.
        damaged: what becomes of frames that damaged packets have lost (`kaname.data.video.frames`).
    """

    tracker: Literal["none", "klt", "cotracker"] = "none"
    k: int = 10
    grid_size: int = 0
    vis_th: float = 0.5
    every: int | None = None
    third: Literal["visibility", "confidence"] = "visibility"
    write_absent: bool = False
    answers: Mapping[str, Any] = field(default_factory=dict)
    overlay: bool = False
    smooth: Smooth = field(default_factory=Smooth)
    damaged: Damaged = "error"

    def __post_init__(self) -> None:
        require(self.tracker in TRACKERS, f"--tracker is {self.tracker!r}", f"use one of {', '.join(TRACKERS)}")
        require(self.k >= 1, f"--k must be at least 1, got {self.k}", "1 detects in every frame, 10 is usual")
        require(0 <= self.vis_th <= 1, f"--vis-th must lie in 0..1, got {self.vis_th}", "0.5 is usual")
        require(self.grid_size >= 0, f"--grid-size must not be negative, got {self.grid_size}", "0 adds no points")
        require(self.every is None or self.every >= 1, f"--every must be at least 1, got {self.every}",
                "1 takes every frame")  # fmt: skip

    @property
    def settings(self) -> dict[str, Any]:
        """What the result depends on: without a tracker its settings do not count."""
        unused = {"none": ("k", "grid_size", "vis_th"), "klt": ("grid_size",)}.get(self.tracker, ())
        apart = ("answers", "smooth", *(["damaged"] if self.damaged == "error" else []))
        others = {name: value for name, value in asdict(self).items() if name not in apart}
        own = {name: None if name in unused else value for name, value in others.items()}
        return own | self.smooth.settings | configuration.plain(dict(self.answers))


@dataclass(frozen=True)
class Stated:
    """What a caller says of the model, which the file knows; None: not said."""

    in_chans: int | None = None
    image_size: str | None = None
    heatmap_size: str | None = None

    def check(self, card: Mapping[str, Any], checkpoint: Path) -> None:
        """Sizes that differ are refused; channels that differ are a warning, as in the original.

        Raises:
            InputError: naming both sides.
        """
        config = configuration.from_dict(KpnetConfig, card["config"], source=str(checkpoint))
        known = {
            "--image-size": (self.image_size, config.image_size),
            "--heatmap-size": (self.heatmap_size, config.cells),
        }
        for flag, (given, stored) in known.items():
            own = stored if isinstance(stored, tuple) else sides_of(stored, flag)
            if given is not None and sides_of(given, flag) != own:
                reason = f"{flag} is {given}, but the model was trained with {own[0]},{own[1]}"
                raise InputError(reason, path=checkpoint, remedy=f"leave {flag} out: the file knows it")
        if self.in_chans not in (None, config.in_chans):
            said = f"--in-chans is {self.in_chans}, but the model has {config.in_chans}, which counts"
            warnings.warn(f"{checkpoint}: {said}", stacklevel=2)
