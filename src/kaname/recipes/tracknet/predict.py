"""``predict`` of ``tracknet``: each video is a job, one after the other or several at once. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kaname.data.video import Damaged, frame_count
from kaname.pipeline import jobs
from kaname.pipeline.jobs import Desk, Job
from kaname.pipeline.model import open_in_turn
from kaname.pipeline.predict import FOLDER_RATE, places
from kaname.pipeline.predict import predict_video as predict_frames
from kaname.recipes.tracknet import RECIPE
from kaname.recipes.tracknet.decode import draw_ball, follow
from kaname.tracking.smoothing import Smoothing

JOB = "kaname.recipes.tracknet.predict:predict_video"
TRAIL_SECONDS = 0.4


def predict(
    sources: Sequence[Path],
    checkpoint: Path,
    out: Path,
    smoothing: Smoothing,
    *,
    overlay: bool = False,
    rate: float = FOLDER_RATE,
    damaged: Damaged = "error",
    changes: Mapping[str, Any] | None = None,
    processes: int = 1,
    device: str = "auto",
) -> None:
    """Find the ball in videos and folders of frames; one that fails does not stop the others, and ends in exit code 2.

    Args:
        overlay: also write a video with the ball and its trail.
        rate: frames per second of a folder of frames.
        damaged: what becomes of frames that damaged packets have lost (`kaname.data.video.frames`).
        changes: settings of the detection to use instead of the stored ones.
        processes: videos at once.
    """
    jobs.check(processes, elsewhere=False)
    chosen = places(sources, out, rate)
    # Here as well where other processes work: what is wrong with the model is said once, before anything begins.
    open_in_turn(RECIPE, checkpoint, device=device if processes == 1 else "cpu", changes=changes)
    given = {"checkpoint": checkpoint, "smoothing": smoothing, "overlay": overlay, "rate": rate, "damaged": damaged,
             "changes": changes, "device": device}  # fmt: skip
    passes = 2 if overlay else 1
    work = [
        Job(str(source), {"source": source, "out": place, **given}, passes * (frame_count(source) or 1))
        for source, place in chosen.items()
    ]
    unit = "frames read" if overlay else "frames"
    jobs.run(JOB, work, processes=processes, title="predicting", unit=unit, ended=lambda _, said, __: said).report()


def predict_video(
    desk: Desk,
    source: Path,
    out: Path,
    checkpoint: Path,
    smoothing: Smoothing,
    overlay: bool,
    rate: float,
    damaged: Damaged,
    changes: Mapping[str, Any] | None,
    device: str,
) -> str:
    """One video; returns what there is to say of it."""
    model = open_in_turn(RECIPE, checkpoint, device=device, number=desk.number, changes=changes)
    return predict_frames(
        RECIPE, model, source, out, changes=changes, follow=follow(smoothing), about={"smooth": smoothing.__dict__},
        draw=draw_ball if overlay else None, trail_seconds=TRAIL_SECONDS, rate=rate, damaged=damaged,
        tell=desk.tell,
    )  # fmt: skip
