"""``predict`` of ``tracknet``: each video is a job, one after the other or several at once. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kaname.data.video import Damaged, frame_count
from kaname.files import write_text
from kaname.inference.runtimes import PLAIN, Running
from kaname.pipeline import jobs
from kaname.pipeline.clock import Profile
from kaname.pipeline.jobs import Desk, Job
from kaname.pipeline.model import open_in_turn
from kaname.pipeline.predict import FOLDER_RATE, OVERLAY, demand_of, places, record_of_video
from kaname.pipeline.predict import predict_video as predict_frames
from kaname.pipeline.records import Record
from kaname.pipeline.replacing import refuse_others, results
from kaname.recipes.tracknet import RECIPE
from kaname.recipes.tracknet.decode import Way, draw_ball
from kaname.reporting.trajectory import trajectory
from kaname.tracking.smoothing import Smoothing

PLOT = "ball.svg"  # beside the table
JOB = "kaname.recipes.tracknet.predict:predict_video"
TRAIL_SECONDS = 0.4


def predict(
    sources: Sequence[Path],
    checkpoint: Path,
    out: Path,
    smoothing: Smoothing,
    *,
    keep_static: bool = False,
    overlay: bool = False,
    rate: float = FOLDER_RATE,
    damaged: Damaged = "error",
    changes: Mapping[str, Any] | None = None,
    processes: int = 1,
    overwrite: bool = False,
    running: Running = PLAIN,
    profile: bool = False,
) -> None:
    """Find the ball in videos and folders of frames; one that fails does not stop the others, and ends in exit code 2.

    Args:
        keep_static: take spots that never move for the ball too.
        overlay: also write a video with the ball and its trail.
        rate: frames per second of a folder of frames.
        damaged: what becomes of frames that damaged packets have lost (`kaname.data.video.frames`).
        changes: settings of the detection to use instead of the stored ones.
        processes: videos at once.
        running: what the network runs on.
        overwrite: replace what a folder holds of another video, another model or other settings.
        profile: say where the time of each video went.
    """
    jobs.check(processes, elsewhere=False)
    chosen = places(sources, out, rate)
    about = {"smooth": smoothing.__dict__, "keep_static": keep_static, "rate": rate, **(changes or {})}
    records = {source: record_of_video(RECIPE, source, place, checkpoint, about) for source, place in chosen.items()}
    for source, place in chosen.items():
        refuse_others(records[source], made_in(place), overwrite=overwrite)
    counts = {source: frame_count(source) for source in chosen}
    # Here as well where other processes work: what is wrong with the model is said once, before anything begins.
    open_in_turn(
        RECIPE,
        checkpoint,
        running=running.before(alone=processes == 1),
        changes=changes,
        # With fewer threads, as several processes have, others may be faster.
        demand=demand_of(list(chosen), sum(counts.values())) if processes == 1 else None,
    )
    how = {"keep_static": keep_static, "overlay": overlay, "rate": rate, "damaged": damaged, "changes": changes}
    given = {"checkpoint": checkpoint, "smoothing": smoothing, **how, "overwrite": overwrite, "running": running}
    given |= {"profile": profile}
    passes, single = 2 if overlay else 1, processes == 1
    work = [
        Job(
            str(source),
            {"source": source, "out": place, "record": records[source], "first": single and not number, **given},
            passes * counts[source],
        )
        for number, (source, place) in enumerate(chosen.items())
    ]
    unit = "frames read" if overlay else "frames"
    jobs.run(JOB, work, processes=processes, title="predicting", unit=unit, ended=lambda _, said, __: said).report()


def made_in(folder: Path) -> list[Path]:
    """What the predictions of one video consist of; the video with the ball is there where it was asked for."""
    return [folder / name for name in (*RECIPE.answering.predictions, PLOT, OVERLAY)]


def predict_video(
    desk: Desk,
    source: Path,
    out: Path,
    record: Record,
    checkpoint: Path,
    smoothing: Smoothing,
    keep_static: bool,
    overlay: bool,
    rate: float,
    damaged: Damaged,
    changes: Mapping[str, Any] | None,
    overwrite: bool,
    running: Running,
    profile: bool,
    first: bool,
) -> str:
    """One video; returns what there is to say of it."""
    times = Profile(profile, from_start=first)
    with times.part("start"):
        model = open_in_turn(RECIPE, checkpoint, running=running, number=desk.number, changes=changes)
    way = Way(smoothing, keep_static=keep_static)
    with results(record, made_in(out), overwrite=overwrite):
        said = predict_frames(
            RECIPE, model, source, out, changes=changes, follow=way, about=way.about,
            draw=draw_ball if overlay else None, trail_seconds=TRAIL_SECONDS, rate=rate, damaged=damaged,
            tell=desk.tell, times=times,
        )  # fmt: skip
        write_text(out / PLOT, trajectory(way.marks(), way.size, title=source.name))
    return f"{said}\n{source}: the way of the ball over time: {out / PLOT}"
