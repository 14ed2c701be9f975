"""``infer``: key points of whole videos as MOT-KP text, each video with a record of what made it. No torch here.

A video is a job (`kaname.pipeline.jobs`): ``VIDEO_pred.txt``, whole or not there, and then ``VIDEO_pred.json``. Between
detections, every K-th of the frames that are asked for, a point tracker walks through the video. A stretch from one
detection to the next is what a process that is killed loses at most.
"""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kaname.errors import InputError, located
from kaname.inference.runtimes import PLAIN, Running
from kaname.pipeline.clock import Clock, shares
from kaname.pipeline.cluster import check as check_cluster
from kaname.pipeline.jobs import Cluster, Desk, Job
from kaname.pipeline.jobs import check as check_jobs
from kaname.pipeline.jobs import run as run_jobs
from kaname.pipeline.predict import demand_of
from kaname.pipeline.records import Record, claim, tidy
from kaname.pipeline.running import Demand
from kaname.pipeline.stretches import Stretches, left_of
from kaname.recipes.kpnet import RECIPE
from kaname.recipes.kpnet.choices import How, Stated
from kaname.recipes.kpnet.sources import Source, Stream
from kaname.recipes.kpnet.walking import Walk, warn_still
from kaname.tracking.cotracker import LICENCE

PREDICTED = "_pred"
JOB = "kaname.recipes.kpnet.infer:predict_video"


def infer(
    sources: Sequence[Source],
    checkpoint: Path,
    out: Path,
    how: How,
    *,
    stated: Stated | None = None,
    processes: int = 1,
    overwrite: bool = False,
    running: Running = PLAIN,
    cotracker: Path | None = None,
    videos: Path | None = None,
    ray: str | None = None,
) -> None:
    """Predict videos that are not finished yet, and say what became of each; exit code 2 where one failed.

    Args:
        stated: of the model, checked against its file.
        processes: videos at once.
        overwrite: replace what was made by another checkpoint or with other settings.
        cotracker: a local checkout of CoTracker.
        videos: folder of the videos, for the frame before an image.
        ray: address of machines that work together; they say how many videos at once.

    Raises:
        InputError: a result of another checkpoint or with other settings is there.
    """
    check_jobs(processes, ray is not None)
    records = {one.name: record_of(one, checkpoint, out, how) for one in sources}
    pending = [one for one in sources if records[one.name].finished(overwrite=overwrite) is None]
    if len(pending) < len(sources):
        tidy([records[name] for name in records.keys() - {one.name for one in pending}])
        print(f"{len(sources) - len(pending)} of {len(sources)} videos are finished already; {out}")
    if not pending:
        return
    if ray is not None:
        check_cluster(ray)
    changes = {**how.answers, "video_root": videos and videos.absolute()}
    # Here as well where other processes work: what is wrong with it is said once, before anything begins.
    alone = processes == 1 and ray is None
    asked = sum(one.about(how.every) for one in pending) // (how.k if how.tracker != "none" else 1)
    # With fewer threads, as several processes have, others may be faster.
    demand = demand_of([one.place for one in pending], asked) if alone else None
    model = open_here(checkpoint, running.before(alone=alone), changes, demand=demand)
    (stated or Stated()).check(model.card, checkpoint)
    if how.tracker == "cotracker":
        print(LICENCE)
        _cotracker(cotracker, _device(model))
    cluster = None
    if ray is not None:  # whose processes begin in other folders
        checkpoint, out, pending = checkpoint.absolute(), out.absolute(), [one.absolute() for one in pending]
        cotracker, cluster = cotracker and cotracker.absolute(), Cluster(ray, out, [checkpoint])
    given = {"checkpoint": checkpoint, "out": out, "how": how, "overwrite": overwrite, "running": running,
             "cotracker": cotracker, "changes": changes}  # fmt: skip
    jobs = [Job(one.name, {"source": one, **given}, one.about(how.every)) for one in pending]
    ended = run_jobs(JOB, jobs, processes=processes, title="predicting", ended=_line, cluster=cluster)
    if line := shares(ended.results.values()):
        print(f"time spent: {line}")
    ended.report()


def predict_video(
    desk: Desk,
    source: Source,
    checkpoint: Path,
    out: Path,
    how: How,
    overwrite: bool,
    running: Running,
    cotracker: Path | None,
    changes: Mapping[str, Any],
) -> dict[str, Any]:
    """One video; returns its record, the ``seconds`` that it took besides loading the model, and their ``parts``."""
    whole = record_of(source, checkpoint, out, how)
    with claim(whole) as alone:
        if (stored := whole.finished(overwrite=overwrite)) is not None:
            return stored
        model, began = open_here(checkpoint, running, changes, desk), time.monotonic()
        clock = Clock()
        with located(source.place):
            with clock.part("decode"):
                walk = _walk(source, how, model, cotracker, clock)
            try:
                with clock.part("write"):
                    made = _predicted(desk, walk, whole, overwrite=overwrite, alone=alone)
                warn_still(model, source.name)
            finally:
                with clock.part("decode"):
                    walk.close()
        return {**made, "seconds": time.monotonic() - began, "parts": clock.parts}


def _predicted(desk: Desk, walk: Walk, whole: Record, *, overwrite: bool, alone: bool) -> dict[str, Any]:
    """Everything that the walk does not time itself is to write: files by their content, results, the record."""
    record = Record(whole.path, {"checkpoint": whole.inputs["checkpoint"], **walk.stream.inputs}, whole.settings)
    target, key = whole.path.with_suffix(".txt"), record.key
    if not (left_of(target) or whole.path.exists() or overwrite) and target.exists():
        reason = "a file without a record of how it was made"
        raise InputError(reason, path=target, remedy="move it away, or replace it with --overwrite")
    with Stretches(target, key, alone=alone) as stretches:
        record.clear()
        walk.write(stretches, desk.tell)
        if record.key != key:
            stretches.discard()
            raise InputError("a file was changed while it was read", remedy="start again when it is whole")
        stretches.publish()
        results = [target]
        if walk.how.overlay:
            from kaname.recipes.kpnet.overlays import draw_video

            results.append(draw_video(target, walk.stream, walk.skeleton))
        lost = {"lost": walk.lost} if walk.lost else {}
        written = record.write(results, frames=len(walk.stream.numbers), rows=stretches.lines, **lost)
        stretches.discard()
    return written


def _walk(source: Source, how: How, model: Any, cotracker: Path | None, clock: Clock) -> Walk:
    """A source with its frames and what walks through them."""
    bridging = how.tracker != "none"
    stream = Stream(source, how.every, moving=bridging or bool(model.card.get("motion")), damaged=how.damaged)
    if bridging and stream.reader is None and stream.apart > 1:
        warnings.warn(f"{source.name}: no video, so the bridge goes {stream.apart} frames at a time", stacklevel=2)
    return Walk(model, stream, how, _follow(how, model, cotracker), clock)


def record_of(source: Source, checkpoint: Path, out: Path, how: How) -> Record:
    """The record that a video may have; only the model knows whether its file or its images count."""
    inputs = {"checkpoint": checkpoint, **source.contents}
    return Record(out / f"{source.name}{PREDICTED}.json", inputs, how.settings, perhaps=("video", "frames"))


def _line(job: Job, record: Mapping[str, Any], seconds: float) -> str:
    frames = record["frames"]
    took = max(record.get("seconds", 0.0), 1e-3)
    rate = f"{frames / took:.1f} frames/s" if "seconds" in record else "by another command"
    lost = f" ({record['lost']} frames lost in damaged packets: without an answer)" if record.get("lost") else ""
    return f"{job.name}: {frames} frames, {record['rows']} rows{lost}, {rate}"


def open_here(
    checkpoint: Path,
    running: Running,
    changes: Mapping[str, Any],
    desk: Desk | None = None,
    demand: Demand | None = None,
) -> Any:
    """The model, which this process keeps; of several GPUs each process takes the next."""
    from kaname.pipeline.model import open_in_turn

    number = 0 if desk is None else desk.number
    return open_in_turn(RECIPE, checkpoint, running=running, number=number, changes=changes, demand=demand)


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
