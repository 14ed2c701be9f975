"""``infer``: key points of whole videos as MOT-KP text, each video with a record of what made it. No torch here.

A video is a job (`kaname.pipeline.jobs`): ``VIDEO_pred.txt``, whole or not there, and then ``VIDEO_pred.json``. Between
detections, every K-th of the frames that are asked for, a point tracker walks through the video. A stretch from one
detection to the next is what a process that is killed loses at most.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from kaname import config as configuration
from kaname.errors import InputError, located, require
from kaname.pipeline.jobs import Desk, Job
from kaname.pipeline.jobs import run as run_jobs
from kaname.pipeline.records import Record, claim, tidy
from kaname.pipeline.stretches import Stretches, left_of
from kaname.recipes.kpnet import RECIPE
from kaname.recipes.kpnet.config import KpnetConfig, sides_of
from kaname.recipes.kpnet.sources import Source, Stream
from kaname.tracking.cotracker import LICENCE

PREDICTED = "_pred"
TRACKERS = ("none", "klt", "cotracker")
JOB = "kaname.recipes.kpnet.infer:predict_video"


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
        absent, missing_flow: settings of the answers; None: as stored in the checkpoint.
        overlay: whether a video with the key points drawn on it is made too.
    """

    tracker: Literal["none", "klt", "cotracker"] = "none"
    k: int = 10
    grid_size: int = 0
    vis_th: float = 0.5
    every: int | None = None
    third: Literal["visibility", "confidence"] = "visibility"
    write_absent: bool = False
    absent: float | None = None
    missing_flow: Literal["error", "zero"] | None = None
    overlay: bool = False

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
        return {name: None if name in unused else value for name, value in asdict(self).items()}


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


def infer(
    sources: Sequence[Source],
    checkpoint: Path,
    out: Path,
    how: How,
    *,
    stated: Stated | None = None,
    processes: int = 1,
    overwrite: bool = False,
    device: str = "auto",
    cotracker: Path | None = None,
    videos: Path | None = None,
) -> None:
    """Predict videos that are not finished yet, and say what became of each; exit code 2 where one failed.

    Args:
        stated: of the model, checked against its file.
        processes: videos at once.
        overwrite: replace what was made by another checkpoint or with other settings.
        cotracker: a local checkout of CoTracker.
        videos: folder of the videos, for the frame before an image.

    Raises:
        InputError: a result of another checkpoint or with other settings is there.
    """
    require(processes >= 1, f"--jobs must be at least 1, got {processes}", "1 does one video after the other")
    records = {one.name: _record(one, checkpoint, out, how) for one in sources}
    pending = [one for one in sources if records[one.name].finished(overwrite=overwrite) is None]
    if len(pending) < len(sources):
        tidy([records[name] for name in records.keys() - {one.name for one in pending}])
        print(f"{len(sources) - len(pending)} of {len(sources)} videos are finished already; {out}")
    if not pending:
        return
    changes = {"absent": how.absent, "missing_flow": how.missing_flow, "video_root": videos}
    # Here as well where other processes work: what is wrong with it is said once, before anything begins.
    model = _model(checkpoint, device if processes == 1 else "cpu", Desk(0, lambda _: None), changes)
    (stated or Stated()).check(model.card, checkpoint)
    if how.tracker == "cotracker":
        print(LICENCE)
        _cotracker(cotracker, _device(model))
    given = {"checkpoint": checkpoint, "out": out, "how": how, "overwrite": overwrite, "device": device,
             "cotracker": cotracker, "changes": changes}  # fmt: skip
    jobs = [Job(one.name, {"source": one, **given}, one.about(how.every)) for one in pending]
    run_jobs(JOB, jobs, processes=processes, title="predicting", ended=_line).report()


def predict_video(
    desk: Desk,
    source: Source,
    checkpoint: Path,
    out: Path,
    how: How,
    overwrite: bool,
    device: str,
    cotracker: Path | None,
    changes: Mapping[str, Any],
) -> dict[str, Any]:
    """One video; returns its record."""
    whole = _record(source, checkpoint, out, how)
    with claim(whole):
        if (stored := whole.finished(overwrite=overwrite)) is not None:
            return stored
        model = _model(checkpoint, device, desk, changes)
        with located(source.place):
            return _predicted(desk, source, whole, how, overwrite=overwrite, model=model, cotracker=cotracker)


def _predicted(
    desk: Desk, source: Source, whole: Record, how: How, *, overwrite: bool, model: Any, cotracker: Path | None
) -> dict[str, Any]:
    from kaname.recipes.kpnet.walking import Walk

    bridging = how.tracker != "none"
    stream = Stream(source, how.every, moving=bridging or bool(model.card.get("motion")))
    try:
        inputs = {"checkpoint": whole.inputs["checkpoint"], **stream.inputs}
        record = Record(whole.path, inputs, whole.settings)
        target = whole.path.with_suffix(".txt")
        if not (left_of(target) or whole.path.exists() or overwrite) and target.exists():
            raise InputError("a file without a record of how it was made", path=target,
                             remedy="move it away, or replace it with --overwrite")  # fmt: skip
        if bridging and stream.reader is None and stream.apart > 1:
            warnings.warn(f"{source.name}: no video, so the bridge goes {stream.apart} frames at a time", stacklevel=2)
        with Stretches(target, record.key) as stretches:
            record.clear()
            walk = Walk(model, stream, how, _follow(how, model, cotracker))
            walk.write(stretches, desk.tell)
            stretches.publish()
            results = [target]
            if how.overlay:
                from kaname.recipes.kpnet.overlays import draw_video

                results.append(draw_video(target, stream, walk.skeleton))
            written = record.write(results, frames=len(stream.numbers), rows=stretches.lines)
            stretches.discard()
        return written
    finally:
        stream.close()


def _record(source: Source, checkpoint: Path, out: Path, how: How) -> Record:
    """The record that a video may have; only the model knows whether its file or its images count."""
    inputs = {"checkpoint": checkpoint, **source.contents}
    return Record(out / f"{source.name}{PREDICTED}.json", inputs, how.settings, perhaps=("video", "frames"))


def _line(job: Job, record: Mapping[str, Any], seconds: float) -> str:
    frames = record["frames"]
    return f"{job.name}: {frames} frames, {record['rows']} rows, {frames / max(seconds, 1e-3):.1f} frames/s"


@functools.lru_cache(maxsize=1)
def _opened(checkpoint: Path, device: str, changes: tuple[tuple[str, Any], ...]) -> Any:
    from kaname.pipeline.model import open_model

    return open_model(RECIPE, checkpoint, runtime=device, changes=dict(changes))


def _model(checkpoint: Path, device: str, desk: Desk, changes: Mapping[str, Any]) -> Any:
    """The model of this process; of several GPUs each process takes the next."""
    if device in ("auto", "cuda") and checkpoint.suffix.lower() != ".onnx":
        import torch

        if torch.cuda.is_available() and torch.cuda.device_count() > 1:
            device = f"cuda:{desk.number % torch.cuda.device_count()}"
    return _opened(checkpoint, device, tuple(sorted(changes.items())))


def _device(model: Any) -> str:
    return str(getattr(model.runner, "device", "cpu"))


@functools.lru_cache(maxsize=1)
def _cotracker(source: Path | None, device: str) -> Any:
    from kaname.tracking import cotracker

    return cotracker.load(source, device=device, notice=lambda _: None)


def _follow(how: How, model: Any, checkout: Path | None) -> Callable[..., Iterator[Any]] | None:
    if how.tracker == "none":
        return None
    if how.tracker == "klt":
        from kaname.tracking.klt import klt

        return klt
    from kaname.tracking.cotracker import cotracker

    device = _device(model)
    return cotracker(_cotracker(checkout, device), grid_size=how.grid_size, device=device)
