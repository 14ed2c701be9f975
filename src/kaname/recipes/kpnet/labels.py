"""Data folders of ``kpnet``: labelled frames of videos, in sets. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.config import from_dict
from kaname.data.formats import mot_kp
from kaname.data.formats import skeleton as skeletons
from kaname.data.formats.mot_kp_files import frame_images, frame_name
from kaname.data.formats.skeleton import Skeleton
from kaname.data.frame_source import FrameSource
from kaname.data.naming import video_file
from kaname.errors import InputError
from kaname.pipeline.labelled import Labelled, without_points
from kaname.recipes.kpnet.classes import ClassMasks, find_masks
from kaname.recipes.kpnet.config import DataSettings, KpnetConfig
from kaname.types import FloatArray, Sample, Size

SETS = ("train", "val")
UNLABELLED, HIDDEN = -1, 1  # visibilities: nothing is known of a point; it is covered, perhaps nobody knows where


@dataclass(frozen=True)
class Thing:
    """One object in one frame.

    Attributes:
        group: its class in the skeleton.
        id: its track.
        points: ``(K, 2)`` pixels of the frame; NaN where there is nothing, or hidden somewhere.
        visible: ``(K,)`` 0 out of frame, 1 hidden, 2 visible, -1 not labelled.
    """

    group: str
    id: int | str
    points: FloatArray
    visible: NDArray[np.int64]


@dataclass(frozen=True)
class Picture:
    """A labelled frame.

    Attributes:
        image: its file.
        size: ``(height, width)``.
        video: its video.
        number: of the frame in the video.
        things: what is in it.
        skeleton: whose points they are.
        masks: where its masks are, if it has some.
        labelled: False for a frame of a video about whose points nothing is known.
    """

    image: Path
    size: Size
    video: str
    number: int
    things: Sequence[Thing]
    skeleton: Skeleton
    masks: ClassMasks
    labelled: bool = True

    @property
    def source(self) -> str:
        """By what predictions call it."""
        return self.image.name

    @property
    def frames(self) -> tuple[Path, ...]:
        """Its one image."""
        return (self.image,)

    @cached_property
    def channels(self) -> tuple[FloatArray, NDArray[np.int64]]:
        """Points ``(C, 2)`` and visibilities ``(C,)`` of the skeleton's channels.

        An object that is not there is out of frame with all its points.
        """
        count = len(self.skeleton.channels)
        points, visible = np.full((count, 2), np.nan), np.zeros(count, np.int64)
        if not self.labelled:
            return points, visible + UNLABELLED
        for slot, thing in filled_slots(self.things, self.skeleton):
            points[slot.start : slot.stop] = np.where(thing.visible[:, None] > 0, thing.points, np.nan)
            visible[slot.start : slot.stop] = thing.visible
        return points, visible

    @property
    def placed(self) -> bool:
        """Whether any of its points has a place."""
        return bool((self.channels[1] > 0).any())

    def label(self, number: int) -> bytes:
        """What is labelled, for a hash of the data."""
        rows = [(one.group, one.id, np.round(one.points, 3).tolist(), one.visible.tolist()) for one in self.things]
        return repr((self.source, rows)).encode()


def filled_slots(things: Sequence[Thing], skeleton: Skeleton) -> Iterator[tuple[skeletons.Slot, Thing]]:
    """Which object takes which slot: of several instances the lowest track id first, or the leftmost.

    One object alone takes the first slot, whatever its id.
    """
    order: dict[str, list[Thing]] = {}
    for name, group in skeleton.groups.items():
        own = [thing for thing in things if thing.group == name]
        order[name] = sorted(own, key=_by_id if group.order == "id" else _by_place)
    for slot in skeleton.slots:
        if slot.instance <= len(order[slot.group]):
            yield slot, order[slot.group][slot.instance - 1]


def _by_id(thing: Thing) -> tuple[bool, Any]:
    return isinstance(thing.id, str), thing.id


def _by_place(thing: Thing) -> tuple[bool, float]:
    there = thing.points[thing.visible > 0, 0]
    there = there[np.isfinite(there)]
    return not len(there), float(there.mean()) if len(there) else 0.0


def skeleton_of(data: DataSettings) -> Skeleton:
    """Whose points are labelled.

    Raises:
        InputError: there is no such skeleton.
    """
    own = data.root / "skeleton.yaml"
    return skeletons.find(data.skeleton or (str(own) if own.is_file() else mot_kp.DEFAULT_SKELETON))


def training_sets(config: KpnetConfig) -> dict[str, list[Picture]]:
    """The labelled frames of ``train`` and, where there are some, ``val``.

    Raises:
        InputError: the first problem of the labels, a video in both sets, or nothing to train on.
    """
    data = config.data
    if config.loss.seg_weight > 0 and data.pseudo_root is not None and not data.pseudo_root.is_dir():
        remedy = "make them, or set --seg-loss-weight 0"
        raise InputError("no folder of pseudo masks here", path=data.pseudo_root, remedy=remedy)
    chosen = {name: read_set(data, name) for name in SETS if name == "train" or (data.root / name).is_dir()}
    both = {picture.video for picture in chosen["train"]} & {picture.video for picture in chosen.get("val", ())}
    if both:
        raise in_both(min(both), data)
    for problem in without_points(chosen, data.root):
        raise problem
    if config.loss.seg_weight > 0 and not any(picture.masks for picture in chosen["train"]):
        remedy = "give --pseudo6-root, put masks into train/masks, or set --seg-loss-weight 0"
        raise InputError("no frame has a mask, and --seg-loss-weight is not 0", path=data.root, remedy=remedy)
    return chosen


def in_both(video: str, data: DataSettings) -> InputError:
    """What is wrong with a video in both sets."""
    reason = f"the video {video!r} is in train and in val: its figures would say how well it is remembered"
    return InputError(reason, path=data.root, remedy="remove it from one of them")


def read_set(data: DataSettings, part: str) -> list[Picture]:
    """The labelled frames of a set, by video and frame.

    Raises:
        InputError: the first problem of its labels.
    """
    folder, skeleton = data.root / part, skeleton_of(data)
    if not folder.is_dir():
        raise InputError(f"the data set has no folder {part!r}", path=folder, remedy="check --data-root")
    samples = mot_kp.stream(folder / "mot", folder / "frames", skeleton=skeleton, predictions=False)
    found = pictures(samples, skeleton)
    masks = find_masks(folder / "masks", data.pseudo_root, skeleton)
    return [replace(one, masks=masks.get((one.video, one.number), one.masks)) for one in found] if masks else found


def pictures(samples: Iterable[Sample], skeleton: Skeleton) -> list[Picture]:
    """Samples of MOT-KP as labelled frames, without masks."""
    return [
        Picture(
            sample.image,
            sample.size or (1, 1),
            str(sample.meta["video"]),
            int(sample.frame or 0),
            list(things_of(sample, skeleton)),
            skeleton,
            ClassMasks(),
        )
        for sample in samples
    ]


def things_of(sample: Sample, skeleton: Skeleton) -> Iterator[Thing]:
    """The objects of a sample, in the order of its labels."""
    unlabelled, hidden = (sample.meta.get(name, {}) for name in ("unlabelled", "hidden"))
    seen = dict.fromkeys(skeleton.groups, 0)
    for group, track in zip(sample.labels, sample.ids, strict=True):
        names, row = skeleton.groups[group].points, seen[group]
        seen[group] += 1
        points = np.array([sample.points[name][row] for name in names], np.float64)
        visible = [sample.visible[name][row] for name in names]
        for place, name in enumerate(names):
            if name in unlabelled and unlabelled[name][row]:
                visible[place] = UNLABELLED
            elif name in hidden and hidden[name][row]:
                visible[place] = HIDDEN
        yield Thing(group, track, points, np.array(visible, np.int64))


def between(pictures: Sequence[Picture], data: DataSettings) -> list[Picture]:
    """Frames of the videos without labels, ``data.video_frames`` for each labelled one, spread evenly over the video.

    Raises:
        InputError: a video is not there.
    """
    masks = find_masks(data.root / "train" / "masks", data.pseudo_root, pictures[0].skeleton) if pictures else {}
    found: list[Picture] = []
    for video in dict.fromkeys(picture.video for picture in pictures):
        own = [picture for picture in pictures if picture.video == video]
        source = FrameSource(video, video=video_file(data.videos, video))
        if source.count is None:
            remedy = "give --video-root, or leave --video-frames out"
            raise InputError(f"no video {video!r} to take frames from", path=source.looked, remedy=remedy)
        free = np.setdiff1d(np.arange(source.count), [picture.number for picture in own])
        places = np.linspace(0, len(free) - 1, min(len(free), data.video_frames * len(own)))
        for number in free[np.rint(places).astype(int)].tolist():
            image = own[0].image.with_name(f"{frame_name(video, number)}.png")
            mask = masks.get((video, number), ClassMasks())
            found.append(replace(own[0], image=image, number=number, things=(), masks=mask, labelled=False))
    return found


def images_by_video(data: DataSettings, part: str) -> dict[str, dict[int, Path]]:
    """The images of a set's frames, labelled or not, by video and number."""
    found: dict[str, dict[int, Path]] = {}
    for (video, number), path in frame_images(data.root / part / "frames").items():
        found.setdefault(video, {})[number] = path
    return found


def labelled(data: Path | None, config: Mapping[str, Any], words: Sequence[str] = ()) -> Labelled:
    """The sets of labelled frames to score; ``words`` are ``key=value`` of the section ``data``."""
    changes = dict(word.split("=", 1) for word in words)
    stored = {**config.get("data", {}), **changes, **({} if data is None else {"root": data})}
    if "root" in changes or data is not None:  # other data: what belonged to the first does not count
        stored = {name: value for name, value in stored.items() if name in ("root", "skeleton") or name in changes}
    settings = from_dict(DataSettings, stored)
    names = [name for name in SETS if (settings.root / name).is_dir()]
    if not names:
        raise InputError("neither train nor val is here", path=settings.root, remedy="check --data-root")
    return Labelled(settings.root, names, lambda name: read_set(settings, name), ("val", "train"), together=True)


def telling(sets: Mapping[str, Sequence[Picture]]) -> dict[str, Any]:
    """What tells a set from another of its name: its videos."""
    return {name: {"videos": sorted({picture.video for picture in items})} for name, items in sets.items()}
