"""A small data set of ``kpnet`` in the documented folders: suturing-like videos with exact key points and masks.

``train/frames/VIDEO_frame_ID.png`` with ``train/mot/VIDEO_frame_ID.txt`` and ``train/masks``, ``val/frames/VIDEO/...``
with one file of labels a video, and every frame of the videos in ``movie/VIDEO.mp4``.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from ..data.formats import mot_kp
from ..data.formats.mot_kp_files import frame_name
from ..data.formats.skeleton import find
from ..data.video import VideoWriter
from ..files import whole_folder
from ..geometry.image import write_image
from ..types import Sample, Size
from .suture import RATE, Scene, Shot, Thing
from .writing import SIDE, check_ranges

SKELETON = "oss25"
SETS = ("train", "val")


def scene(seed: int, part: int, video: int, size: Size, length: int) -> Scene:
    """The scene of a video of the training (0) or validation (1) part."""
    return Scene(np.random.default_rng([seed, part, video]), size, length / RATE)


def write(
    folder: str | os.PathLike[str],
    *,
    count: int = 6,
    val_count: int = 2,
    length: int = 60,
    every: int = 15,
    size: Size = (270, 480),
    seed: int = 0,
    movie: bool = True,
) -> Path:
    """Write the data set and return its folder; a frame depends on (seed, part, video, frame) and the length.

    Args:
        folder: one that does not exist yet or is empty.
        count, val_count: of training and validation videos.
        length: frames of a video, 30 a second.
        every: how many frames lie between two that are labelled; the first one is.
        size: ``(height, width)``; videos with odd sides are stored without subsampled colour.
        movie: also write the videos.

    Raises:
        InputError: a value outside its range, or the folder holds something already.
    """
    check_ranges({"count": (count, 1, 1000), "validation count": (val_count, 1, 1000), "seed": (seed, 0, math.inf)})
    check_ranges({"length": (length, 2, 100_000), "every": (every, 1, length)})
    check_ranges({"height": (size[0], *SIDE), "width": (size[1], *SIDE)})
    with whole_folder(folder) as out:
        for part, (name, videos) in enumerate(zip(SETS, (count, val_count), strict=True)):
            for video in range(videos):
                _write_video(Path(out), part, f"{name}{video:02d}", scene(seed, part, video, size, length),
                             range(length), every, movie=movie)  # fmt: skip
    return Path(folder)


def _write_video(out: Path, part: int, video: str, shown: Scene, numbers: range, every: int, *, movie: bool) -> None:
    base = out / SETS[part]
    frames = base / "frames" / (video if part else "")
    for place in (frames, base / "mot", base / "masks"):
        place.mkdir(parents=True, exist_ok=True)
    samples: list[Sample] = []
    for number in numbers[::every]:
        shot = shown.shot(number / RATE)
        image = frames / f"{frame_name(video, number)}.png"
        write_image(image, shot.image)
        samples.append(sample_of(shot, image, video, number))
        _write_masks(base / "masks", frame_name(video, number), shot)
    labels = base / "mot" if part == 0 else base / "mot" / f"{video}.txt"
    mot_kp.write(labels, samples, skeleton=SKELETON, layout="frame" if part == 0 else "video")
    if movie:
        with VideoWriter(out / "movie" / f"{video}.mp4", quality=12, exact=True) as writer:
            for number in numbers:
                writer.write(shown.shot(number / RATE).image, number / RATE)


def sample_of(shot: Shot, image: Path, video: str, number: int) -> Sample:
    """The labels of a frame, as MOT-KP takes them."""
    skeleton = find(SKELETON)
    points: dict[str, np.ndarray] = {}
    visible: dict[str, np.ndarray] = {}
    order: list[Thing] = []
    for group, named in skeleton.groups.items():
        own = [(thing, seen) for thing, seen in zip(shot.things, shot.visible, strict=True) if thing.group == group]
        order += [thing for thing, _ in own]
        for place, name in enumerate(named.points if own else ()):
            visible[name] = np.array([seen[place] for _, seen in own])
            xy = np.array([thing.points[place] for thing, _ in own])
            points[name] = np.where(visible[name][:, None] > 0, xy, np.nan)
    return Sample(
        image=image,
        points=points,
        visible=visible,
        ids=[thing.track for thing in order],
        labels=[thing.group for thing in order],
        frame=number,
        meta={"video": video},
    )


def _write_masks(folder: Path, name: str, shot: Shot) -> None:
    """A picture for each thing that is seen; of two needles that with the higher track is the second."""
    for thing, mask in zip(shot.things, shot.masks, strict=True):
        if mask.any():
            second = "1" if thing.track > 5 else ""
            write_image(folder / f"{name}_{thing.group}{second}_mask.png", mask.astype(np.uint8) * 255)
