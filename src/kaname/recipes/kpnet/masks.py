"""``masks``: pseudo masks of whole videos, from the masks and key points of their labelled frames, by SAM 2.

A video is a job (`kaname.pipeline.jobs`): ``VIDEO/VIDEO_frame_ID.png`` under the numbers that its frames have in the
video, ``VIDEO_frames.csv`` with their times, and the record ``VIDEO_masks.json``. A stretch between two labelled frames
is made apart and gets its names when it is whole; then the record names it. So a process that is killed loses one.
"""

from __future__ import annotations

import csv
import functools
import io
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kaname import config as configuration
from kaname.data.naming import video_file
from kaname.data.seeking import VideoIndex, VideoReader
from kaname.data.video import frame_count
from kaname.errors import InputError, located, require
from kaname.files import partial_name, write_text
from kaname.pipeline.cluster import check as check_cluster
from kaname.pipeline.jobs import Cluster, Desk, Job
from kaname.pipeline.jobs import check as check_jobs
from kaname.pipeline.jobs import run as run_jobs
from kaname.pipeline.records import Record, claim
from kaname.recipes.kpnet.config import DataSettings
from kaname.recipes.kpnet.labels import skeleton_of
from kaname.recipes.kpnet.prompts import Annotated, annotated
from kaname.recipes.kpnet.stretch import Painter, Stretch, stretches

JOB = "kaname.recipes.kpnet.masks:mask_video"
FASTEST = 1000  # frames of a second
OTHER_FOLDER = "choose another --out-dir, or replace them with --overwrite"


@dataclass(frozen=True)
class How:
    """What masks are made of, and where.

    Attributes:
        data: labels, masks and videos.
        checkpoint, config: as `kaname.inference.sam2_weights.find` takes them.
        fps: how many frames of a second get a mask; 0: all.
        device: of the network.
        out: the folder of all videos' masks.
        overwrite: replace what was made of something else or with other settings.
    """

    data: DataSettings
    checkpoint: str | None
    config: str | None
    fps: float
    device: str
    out: Path
    overwrite: bool = False

    def __post_init__(self) -> None:
        require(0 <= self.fps <= FASTEST, f"--fps must lie in 0..{FASTEST}, got {self.fps}", "0 takes all frames")

    @property
    def local(self) -> bool:
        """Whether the checkpoint is a file or a folder, and not a name of the hub."""
        return self.checkpoint is not None and Path(self.checkpoint).exists()

    def absolute(self) -> How:
        """The same for a process that was started elsewhere."""
        data = self.data
        for key in ("root", "skeleton", "video_root"):
            data = configuration.absolute(data, key)
        checkpoint = str(Path(str(self.checkpoint)).absolute()) if self.local else self.checkpoint
        return replace(self, data=data, checkpoint=checkpoint, out=self.out.absolute())


def make(names: Sequence[str], how: How, *, processes: int = 1, ray: str | None = None) -> None:
    """Make the masks of videos that have none yet, and say what became of each; exit code 2 where one failed.

    Args:
        processes: videos at once.
        ray: address of machines that work together; they say how many videos at once.

    Raises:
        InputError: an unusable checkpoint, or a device that is not there.
    """
    from kaname.inference import sam2_weights

    check_jobs(processes, ray is not None)
    if ray is not None:
        check_cluster(ray)
    weights = sam2_weights.find(how.checkpoint, how.config)
    sam2_weights.check(weights)
    _placed(how.device, Desk(0, lambda count: None))
    cluster = None
    if ray is not None:  # whose processes begin in other folders
        how = how.absolute()
        cluster = Cluster(ray, how.out, [path.absolute() for path in weights.files] if how.local else ())
    jobs = [Job(name, {"name": name, "how": how}, _about(name, how)) for name in names]
    run_jobs(JOB, jobs, processes=processes, title="masks", ended=_line, cluster=cluster).report()


def mask_video(desk: Desk, name: str, how: How) -> dict[str, Any]:
    """The masks of one video; returns its record.

    Raises:
        InputError: no such video, or it is damaged; no labelled frame, or one that the video does not have; masks of
            something else are there.
    """
    from kaname.inference import sam2_weights

    video = video_of(name, how.data.videos)
    known = annotated(how.data, name)
    device, half = _placed(how.device, desk)
    record = Record(
        how.out / f"{name}_masks.json",
        {
            "checkpoint": sam2_weights.find(how.checkpoint, how.config, notice=lambda _: None).files,
            "video": video,
            "labels": list(dict.fromkeys(path for one in known for path in one.files)),
        },
        {"fps": how.fps, "precision": "bf16" if half else "fp32", "classes": list(skeleton_of(how.data).groups)},
    )
    with claim(record):
        stored = record.finished(overwrite=how.overwrite)
        if stored is not None and stored["complete"]:
            return {**stored, "before": True}
        with VideoReader(video) as reader, located(video):
            work = _Video(name, how, record, reader, known)
            return work.make(desk, stored, lambda: _propagator(how.checkpoint, how.config, device, half))


def video_of(name: str, folder: Path) -> Path:
    """The file of a video.

    Raises:
        InputError: there is none.
    """
    if not (path := video_file(folder, name)).is_file():
        raise InputError(f"there is no video {name!r}", path=path, remedy="check --video and --video-root")
    return path


def wanted(index: VideoIndex, fps: float, labelled: Sequence[int]) -> list[int]:
    """The numbers of the frames that get a mask: those nearest to each tick, and the labelled ones.

    Raises:
        InputError: a rate is asked for of a video that states no times.
    """
    if fps == 0:
        return list(range(index.count))
    if not len(index.seconds):
        raise InputError("the video does not say when its frames are shown", remedy="give --fps 0, or encode it again")
    times = index.seconds - index.seconds[0]
    ticks = np.arange(0, times[-1] + 1e-9, 1 / fps)
    after = np.clip(np.searchsorted(times, ticks), 1, max(1, len(times) - 1))
    nearest = after - (ticks - times[after - 1] <= times[np.minimum(after, len(times) - 1)] - ticks)
    return sorted({*nearest.tolist(), *labelled})


class _Video:
    """One video at work."""

    def __init__(self, name: str, how: How, record: Record, reader: VideoReader, known: Sequence[Annotated]) -> None:
        self.name, self.how, self.record, self.reader, self.known = name, how, record, reader, known
        self.folder = how.out / name
        if (last := known[-1]).number >= len(reader):
            reason = f"labels of frame {last.number}, but {reader.path.name} has frames 0 to {len(reader) - 1}"
            path = last.files[0] if last.files else None
            raise InputError(reason, path=path, remedy="give the video that was labelled")
        self.numbers = wanted(reader.index, how.fps, [one.number for one in known])
        self.stretches = stretches(self.numbers, known)

    def make(self, desk: Desk, stored: Mapping[str, Any] | None, load: Any) -> dict[str, Any]:
        """What is not there yet."""
        if stored is None:
            self._begin()
        done = [] if stored is None else list(stored["stretches"])
        desk.tell(sum(_length(span, len(self.reader)) for span in done))
        size = self.reader.read(self.known[0].number).image.shape[:2]
        for stretch in self.stretches:
            if stretch.span in done:
                continue
            self._stretch(stretch, size, load())
            done = sorted([*done, stretch.span], key=lambda span: -1 if span[0] is None else span[0])
            self._write(done, complete=False)
            desk.tell(_length(stretch.span, len(self.reader)))
        write_text(self._times, self._table())
        return self._write(done, complete=True)

    def _begin(self) -> None:
        """A record of nothing yet, so that whatever lies in the folder from now on is known to be ours."""
        there = list(self.folder.glob(f"{self.name}_frame_*.png")) if self.folder.is_dir() else []
        if there and not (self.record.path.exists() or self.how.overwrite):
            raise InputError(f"{len(there)} masks without a record of how they were made", path=self.folder,
                             remedy=OTHER_FOLDER)  # fmt: skip
        self.record.clear()
        for path in (*there, self._times):
            path.unlink(missing_ok=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write([], complete=False)

    def _stretch(self, stretch: Stretch, size: tuple[int, int], propagator: Any) -> None:
        half = self.how.out / partial_name(self.record.path.stem)
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir()
        try:
            for path in Painter(stretch, self.name, size, half).paint(self.reader, propagator):
                os.replace(path, self.folder / path.name)
        finally:
            shutil.rmtree(half, ignore_errors=True)

    def _write(self, done: Sequence[Any], *, complete: bool) -> dict[str, Any]:
        spans = [stretch for stretch in self.stretches if stretch.span in done]
        names = [f"{self.name}_frame_{number}.png" for stretch in spans for number in stretch.own]
        results = [self.folder / name for name in names] + ([self._times] if complete else [])
        return self.record.write(results, video=self.name, frames=len(names), stretches=list(done), complete=complete)

    @property
    def _times(self) -> Path:
        return self.how.out / f"{self.name}_frames.csv"

    def _table(self) -> str:
        """The frames that have a mask: number in the video, its time in seconds, and whether it is labelled."""
        text, seconds = io.StringIO(), self.reader.index.seconds
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["frame", "seconds", "labelled"])
        labelled = {one.number for one in self.known}
        for number in self.numbers:
            time = f"{seconds[number]:.6f}" if len(seconds) else ""
            rows.writerow([number, time, int(number in labelled)])
        return text.getvalue()


def _length(span: Sequence[int | None], count: int) -> int:
    """How many frames of the video a stretch walks through."""
    return (count if span[1] is None else span[1]) - (span[0] or 0)


def _about(name: str, how: How) -> int:
    try:
        return frame_count(video_of(name, how.data.videos))
    except InputError:
        return 1


def _line(job: Job, record: Mapping[str, Any], seconds: float) -> str:
    how = "finished before" if record.get("before") else f"{len(record['stretches'])} stretches, {seconds:.0f} s"
    return f"{job.name}: {record['frames']} masks, {how}"


def _placed(device: str, desk: Desk) -> tuple[str, bool]:
    """The device of this process (of several GPUs each takes the next), and whether it computes in bfloat16."""
    if device == "cpu":
        return device, False
    import torch

    from kaname.inference.device import choose_device, device_in_turn

    chosen = choose_device(device_in_turn(device, desk.number))
    return str(chosen), chosen.type == "cuda" and torch.cuda.is_bf16_supported()


@functools.lru_cache(maxsize=1)
def _propagator(checkpoint: str | None, config: str | None, device: str, half: bool) -> Any:
    from kaname.inference import sam2_weights

    return sam2_weights.load(sam2_weights.find(checkpoint, config), device, half=half)
