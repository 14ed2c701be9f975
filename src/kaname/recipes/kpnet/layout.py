"""``prepare``: other people's labels in the documented folders, with their frames as images and their video.

A frame of a video cannot be in two videos: where one gives frames to both sets it is called ``NAME-train`` and
``NAME-val`` there.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kaname.data.formats import dlc, mot_kp, sloth
from kaname.data.formats import skeleton as skeletons
from kaname.data.formats.mot_kp_files import frame_name
from kaname.data.formats.skeleton import Skeleton
from kaname.data.seeking import VideoReader
from kaname.data.video import VideoWriter, frames
from kaname.errors import InputError
from kaname.files import whole_folder, writing
from kaname.geometry.image import read_image, write_image
from kaname.progress import Bar
from kaname.recipes.kpnet.labels import SETS
from kaname.types import Image, Sample

QUALITY = 12  # of a video that is written anew
EVERYTHING = ":"
COMPARED = 4  # labelled images that are looked up in the video
ALIKE = 8.0  # grey levels by which a frame may differ from its image after compression


@dataclass(frozen=True)
class Source:
    """Labels as they are given.

    Attributes:
        samples: labelled frames in their order; each has a number and ``meta["video"]``.
        skeleton: whose points they are.
        ranked: whether ranges count the samples, not the frames of a video.
        read: gives a sample's picture.
    """

    samples: Sequence[Sample]
    skeleton: Skeleton
    ranked: bool
    read: Callable[[Sample], Image]


def prepare(
    labels: Path,
    out: Path,
    *,
    video: Path | None = None,
    images: Path | None = None,
    skeleton: str | None = None,
    every: int = 1,
    ranges: Mapping[str, str] | None = None,
    nan: Literal["ignore", "hidden", "absent"] = "ignore",
) -> None:
    """Write the data set ``out``.

    Args:
        labels: MOT-KP text (with ``video``, or images beside it), DeepLabCut's CSV (with ``images``), or the JSON of
            surgical tools' points (with either).
        every: keep every so many frames of each range, from its first on.
        ranges: by set, ``A:B``, from A on and before B: frames of the video, or of a CSV rows; default: all train.
        nan: what a point without a label is: nothing is known of it, it is hidden somewhere, or out of frame.

    Raises:
        InputError: unusable labels, ranges that share frames or hold none, or ``out`` holds something already.
    """
    if every < 1:
        raise InputError(f"--every must be at least 1, got {every}", remedy="1 keeps all frames")
    source = _source(labels, video, images, skeleton)
    chosen = _chosen(source, ranges or {}, every, labels)
    shared = set.intersection(*({one.meta["video"] for one in part} for part in chosen.values()))
    with whole_folder(out) as place:
        for part, samples in chosen.items():
            named = [_renamed(sample, part if sample.meta["video"] in shared and len(chosen) > 1 else "", nan)
                     for sample in samples]  # fmt: skip
            _write_set(Path(place), part, samples, named, source)
            if video is not None:
                for name in sorted({str(sample.meta["video"]) for sample in named}):
                    _movie(video, Path(place) / "movie" / f"{name}.mp4")
        skeletons.write(Path(place) / "skeleton.yaml", source.skeleton)
    for part, samples in chosen.items():
        print(f"{part}: {len(samples)} frames")
    print(f"data set in {out}")


def _source(labels: Path, video: Path | None, images: Path | None, skeleton: str | None) -> Source:
    kind = labels.suffix.lower()
    if video is not None and not video.is_file():
        raise InputError("there is no such video", path=video, remedy="check --video")
    if kind != ".csv" and video is not None and images is not None:
        raise InputError("--video and --images: which has the frames?", path=labels, remedy="give one of them")
    if kind in (".csv", ".json") and skeleton is not None:
        reason = "--skeleton does not go with labels that name their points themselves"
        raise InputError(reason, path=labels, remedy="leave it out: skeleton.yaml is written from the labels")
    if kind == ".csv":
        return _csv(labels, video, images)
    return _json(labels, video, images) if kind == ".json" else _text(labels, video, images, skeleton)


def _csv(labels: Path, video: Path | None, images: Path | None) -> Source:
    found = dlc.read(labels, images)
    samples = [sample if sample.frame is not None else replace(sample, frame=number)
               for number, sample in enumerate(found)]  # fmt: skip
    if video is not None:
        _refuse_other_frames(video, samples, labels)
    return Source(samples, dlc.skeleton_of(labels), ranked=True, read=lambda sample: read_image(sample.image))


def _refuse_other_frames(video: Path, samples: Sequence[Sample], labels: Path) -> None:
    """Refuse a video whose frames are not the labelled images: its motion would be that of other moments."""
    with VideoReader(video) as reader:
        for sample in samples[:: max(1, len(samples) // COMPARED)]:
            number, reason = int(sample.frame or 0), ""
            if number >= len(reader):
                reason = f"it has {len(reader)} frames"
            else:
                image, frame = read_image(sample.image), reader.read(number).image
                if image.shape != frame.shape:
                    reason = f"its frames have {frame.shape[1]} x {frame.shape[0]} pixels"
                elif (apart := float(np.abs(image.astype(np.int16) - frame).mean())) > ALIKE:
                    reason = f"they differ by {apart:.0f} grey levels"
            if reason:
                reason = f"{sample.image.name} is not frame {number} of {video.name}: {reason}"
                raise InputError(reason, path=labels, remedy="leave --video out, or give the one that was labelled")


def _json(labels: Path, video: Path | None, images: Path | None) -> Source:
    bones = sloth.skeleton_of(labels)
    if video is None and images is None:
        reason = "the labels name images that are not here"
        raise InputError(reason, path=labels, remedy="give --images DIR, or --video FILE")
    samples = sloth.read(labels, images)
    if video is None:
        return Source(samples, bones, ranked=False, read=lambda sample: read_image(sample.image))
    reader, listed = VideoReader(video), sloth.count_of(labels)
    if len(reader) != listed:
        reason = f"labels of a video of {listed} frames, but {video.name} has {len(reader)}"
        raise InputError(reason, path=labels, remedy="give the video that was labelled, or its --images")
    return Source(samples, bones, ranked=False, read=lambda sample: reader.read(int(sample.frame or 0)).image)


def _text(labels: Path, video: Path | None, images: Path | None, skeleton: str | None) -> Source:
    bones = mot_kp.find_skeleton(skeleton)
    samples = mot_kp.read(labels, images, skeleton=bones, predictions=False)
    if video is None:
        return Source(samples, bones, ranked=False, read=lambda sample: read_image(sample.image))
    names = {str(sample.meta["video"]) for sample in samples}
    if len(names) > 1:
        raise InputError(f"labels of {len(names)} videos, and one --video", path=labels, remedy="prepare one by one")
    reader = VideoReader(video)
    if (last := max(sample.frame or 0 for sample in samples)) >= len(reader):
        reason = f"labels of frame {last}, but {video.name} has {len(reader)} frames"
        raise InputError(reason, path=labels, remedy="give the video that was labelled")
    return Source(samples, bones, ranked=False, read=lambda sample: reader.read(int(sample.frame or 0)).image)


def _chosen(source: Source, ranges: Mapping[str, str], every: int, labels: Path) -> dict[str, list[Sample]]:
    """The samples of each set that is asked for."""
    bounds = {part: _bounds(ranges[part], part) for part in SETS if ranges.get(part)} or {"train": _bounds(EVERYTHING)}
    chosen: dict[str, list[Sample]] = {}
    for part, (first, end) in bounds.items():
        numbered = [(place if source.ranked else int(sample.frame or 0), sample)
                    for place, sample in enumerate(source.samples)]  # fmt: skip
        own = [sample for number, sample in numbered
               if number >= first and (end is None or number < end) and (number - first) % every == 0]  # fmt: skip
        if not own:
            raise InputError(f"no labelled frame in --{part} {ranges.get(part)}", path=labels, remedy="widen the range")
        chosen[part] = own
    if len(chosen) == len(SETS) and {id(one) for one in chosen["train"]} & {id(one) for one in chosen["val"]}:
        reason = "--train and --val share frames: figures would say how well they are remembered"
        raise InputError(reason, path=labels, remedy="give ranges that do not overlap, such as 0:600 and 600:")
    return chosen


def _bounds(text: str, part: str = "train") -> tuple[int, int | None]:
    match = re.fullmatch(r"(\d*):(\d*)", text.strip())
    if match is None:
        raise InputError(f"--{part} is {text!r}", remedy="write A:B, A: or :B, such as 0:600")
    return int(match[1] or 0), int(match[2]) if match[2] else None


def _renamed(sample: Sample, part: str, nan: str) -> Sample:
    """A sample under the name of its video in a set."""
    meta: dict[str, Any] = dict(sample.meta)
    meta["video"] = f"{meta['video']}-{part}" if part else str(meta["video"])
    if nan != "ignore" and (unlabelled := meta.pop("unlabelled", None)) and nan == "hidden":
        meta["hidden"] = unlabelled
    return replace(sample, image=Path(f"{frame_name(meta['video'], int(sample.frame or 0))}.png"), meta=meta)


def _write_set(out: Path, part: str, given: Sequence[Sample], named: Sequence[Sample], source: Source) -> None:
    mot_kp.write(out / part / "mot", named, skeleton=source.skeleton, layout="frame")
    with Bar(f"frames of {part}", len(given)) as bar:
        for sample, target in zip(given, named, strict=True):
            folder = out / part / "frames" / ("" if part == "train" else str(target.meta["video"]))
            folder.mkdir(parents=True, exist_ok=True)
            write_image(folder / target.image.name, source.read(sample))
            bar.advance()


def _movie(video: Path, target: Path) -> None:
    """The video under its new name: the file itself where it is an mp4, else written anew."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if video.suffix.lower() != ".mp4":
        with VideoWriter(target, quality=QUALITY, exact=True) as writer:
            for frame in frames(video):
                writer.write(frame.image, frame.seconds)
        return
    with writing(target):
        try:
            os.link(video.resolve(), target)  # many videos are large
        except OSError:
            shutil.copyfile(video, target)
