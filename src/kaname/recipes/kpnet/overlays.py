"""Predictions drawn on the frames that they belong to, as a video. No torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from kaname.data.formats.mot_kp_rows import Row, rows_in_order
from kaname.data.formats.skeleton import Skeleton
from kaname.data.video import VideoWriter
from kaname.recipes.kpnet.sources import Stream
from kaname.reporting.skeleton import skeleton_overlay
from kaname.types import FloatArray

OVERLAY = "_overlay.mp4"
NOTHING: tuple[float, list[Row]] = (math.inf, [])  # behind the last frame


def draw_video(predictions: Path, stream: Stream, skeleton: Skeleton) -> Path:
    """Draw the objects of each frame that was asked for; returns the video, ``VIDEO_overlay.mp4``.

    A second pass over the source, so that predicting can be stopped anywhere and goes on.
    """
    target = predictions.with_name(f"{stream.source.name}{OVERLAY}")
    objects = _by_frame(predictions, skeleton)
    with VideoWriter(target) as writer:
        number, rows = next(objects, NOTHING)
        for frame, _ in stream.frames(stream.numbers[0], between=False):
            while number < frame.index:
                number, rows = next(objects, NOTHING)
            own = instances(rows if number == frame.index else [], skeleton)
            writer.write(skeleton_overlay(frame.image, own, skeleton), frame.seconds)
    return target


def instances(rows: Sequence[Row], skeleton: Skeleton) -> FloatArray:
    """``(N, C, 2)`` one object each, in the channels of its class; NaN where a point is out of frame."""
    slots = {slot.group: slot for slot in reversed(skeleton.slots)}
    found = np.full((len(rows), len(skeleton.channels), 2), np.nan)
    for place, row in enumerate(rows):
        slot = slots[row.group]
        found[place, slot.start : slot.stop] = np.where((row.third > 0)[:, None], row.points, np.nan)
    return found


def _by_frame(path: Path, skeleton: Skeleton) -> Iterator[tuple[int, list[Row]]]:
    for number, rows in itertools.groupby(rows_in_order(path, skeleton), key=lambda row: row.frame):
        yield number, list(rows)
