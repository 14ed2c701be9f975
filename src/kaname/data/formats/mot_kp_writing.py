"""From samples to MOT-KP text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from kaname.data.formats.files import make_folder, visibility
from kaname.data.formats.mot_kp_files import ENDING, frame_name, frame_of
from kaname.data.formats.mot_kp_rows import HIDDEN, UNLABELLED, Row, row_text
from kaname.data.formats.skeleton import Skeleton
from kaname.errors import InputError
from kaname.files import write_text
from kaname.types import Sample


def write_files(path: Path, samples: Sequence[Sample], skeleton: Skeleton, *, layout: str, third: str) -> None:
    """What ``mot_kp.write`` does; everything is checked before anything is written."""
    if layout not in ("video", "frame") or third not in ("visibility", "confidence"):
        raise InputError(f"no layout {layout!r} of {third!r}", remedy="video or frame; visibility or confidence")
    if not samples:
        raise InputError("no samples to write", path=path, remedy="an empty file would be taken for a damaged one")
    one = path.suffix.lower() == ENDING
    videos = {_video(sample, path.stem if one else None) for sample in samples}
    if one and len(videos) > 1:
        reason = f"samples of {len(videos)} videos: {', '.join(sorted(videos)[:3])}"
        raise InputError(reason, path=path, remedy="name a folder")
    texts: dict[Path, list[str]] = {}
    taken: set[tuple[str, int]] = set()
    keyed = [(_video(sample, path.stem if one else None), _frame(sample), sample) for sample in samples]
    for video, frame, sample in sorted(keyed, key=lambda entry: entry[:2]):
        if (video, frame) in taken:
            reason = f"two samples are of frame {frame} of {video!r}"
            raise InputError(reason, path=path, remedy="keep one of them")
        taken.add((video, frame))
        name = frame_name(video, frame) if layout == "frame" else video
        file = path if one else path / f"{name}{ENDING}"
        rows = list(_rows(sample, frame, skeleton, third))
        texts.setdefault(file, []).extend(row_text(row, skeleton) for row in rows)
    if not one:
        make_folder(path)
    for file, lines in texts.items():
        write_text(file, "".join(lines))


def _video(sample: Sample, stem: str | None) -> str:
    named = frame_of(sample.image.stem)
    video = sample.meta.get("video", named[0] if named else stem)
    if isinstance(video, str) and video.strip(". ") and not set(video) & set('/\\:*?"<>|\0'):
        return video
    reason = "nothing says of which video it is" if video is None else f"its video {video!r} cannot name a file"
    name = "name images VIDEO_frame_NUMBER (in Python: set meta['video'])"
    remedy = f"{name}, or write one video to a file that ends in {ENDING}"
    raise InputError(reason, path=sample.image, remedy=remedy)


def _frame(sample: Sample) -> int:
    named = frame_of(sample.image.stem)
    frame = sample.frame if sample.frame is not None else named[1] if named else None
    if frame is None or frame < 0:
        remedy = "name the image VIDEO_frame_NUMBER, or give the sample its frame"
        raise InputError("no frame number", path=sample.image, remedy=remedy)
    return frame


def _rows(sample: Sample, frame: int, skeleton: Skeleton, third: str) -> Iterator[Row]:
    names = _names(sample, skeleton)
    objects = _objects(sample, names, skeleton)
    for group, count in Counter(group for group, _, _ in objects).items():
        if count > skeleton.groups[group].instances:
            reason = f"{count} {group}, but the skeleton {skeleton.name!r} has {skeleton.groups[group].instances}"
            raise InputError(reason, path=sample.image, remedy="raise its instances in the skeleton")
    if len({(group, track) for group, _, track in objects}) < len(objects):
        raise InputError("an id twice in a frame", path=sample.image, remedy="give each object an id of its own")
    unlabelled, hidden, scores = (sample.meta.get(name, {}) for name in ("unlabelled", "hidden", "scores"))
    for group, number, track in objects:
        if isinstance(track, str) and (set(track) & set(",\n\r") or not track.strip()):
            raise InputError(f"the id {track!r} cannot stand in a row", path=sample.image, remedy="rename it")
        points = skeleton.groups[group].points
        xy, last = np.full((len(points), 2), np.nan), np.full(len(points), float(UNLABELLED))
        for place, point in enumerate(points):
            name = names.get(point)
            if name is None or (name in unlabelled and unlabelled[name][number]):
                continue
            last[place] = visibility(sample, name)[number]
            if name in hidden and hidden[name][number]:
                last[place] = HIDDEN
            elif last[place] > 0:
                xy[place] = sample.points[name][number]
            if third == "confidence":
                last[place] = scores[name][number] if name in scores else float(last[place] > 0)
        yield Row(0, frame, track, group, xy, last)


def _names(sample: Sample, skeleton: Skeleton) -> dict[str, str]:
    """From the skeleton's points to the sample's names: the same, or without the class where that is clear."""
    short: dict[str, list[str]] = {}
    for name, group in skeleton.groups.items():
        for point in group.points:
            short.setdefault(point.removeprefix(f"{name}."), []).append(point)
    found: dict[str, str] = {}
    for name in sample.points:
        points = [name] if name in skeleton.names else short.get(name, [])
        if len(points) != 1:
            what = f"may be {' or '.join(points)}" if points else f"is not in the skeleton {skeleton.name!r}"
            remedy = f"its points: {', '.join(skeleton.names[:6])}, ...; or give another --skeleton"
            raise InputError(f"the point {name!r} {what}", path=sample.image, remedy=remedy)
        found[points[0]] = name
    return found


def _objects(sample: Sample, names: dict[str, str], skeleton: Skeleton) -> list[tuple[str, int, int | str]]:
    """Class, row within the class and id of every object."""
    counts: dict[str, int] = {}
    for name, group in skeleton.groups.items():
        rows = {len(sample.points[names[point]]) for point in group.points if point in names}
        if len(rows) > 1:
            reason = f"{name} has {min(rows)} of one point and {max(rows)} of another"
            raise InputError(reason, path=sample.image, remedy="each object has a row of each point, NaN where missing")
        if rows:
            counts[name] = rows.pop()
    labels = [str(label) for label in sample.labels if str(label) in skeleton.groups]
    if labels and len(labels) == len(sample.labels) and set(counts.values()) == {len(labels)}:
        # A row of every name for each object, as formats with boxes have it.
        ids = list(sample.ids) if len(sample.ids) == len(labels) else list(range(len(labels)))
        return [(label, row, track) for row, (label, track) in enumerate(zip(labels, ids, strict=True))]
    if Counter(labels) != Counter({name: count for name, count in counts.items() if count}):
        labels = [name for name, count in counts.items() for _ in range(count)]
    ids = list(sample.ids) if len(sample.ids) == len(labels) else list(range(len(labels)))
    seen: Counter[str] = Counter()
    objects: list[tuple[str, int, int | str]] = []
    for label, track in zip(labels, ids, strict=True):
        objects.append((label, seen[label], track))
        seen[label] += 1
    return objects
