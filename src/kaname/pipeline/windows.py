"""Requests from files: what an export is compared on, and what runtimes are timed with. No torch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from kaname.data.naming import images_in
from kaname.data.video import FOLDER_RATE, Damaged, folder_frames, frames, is_video
from kaname.errors import InputError
from kaname.geometry.image import read_image
from kaname.inference.model import Model
from kaname.inference.request import Request
from kaname.types import Frame

BETWEEN = 5  # frames left out between two windows of a video


def read_source(source: Path, rate: float = FOLDER_RATE, damaged: Damaged = "error") -> Iterator[Frame]:
    """The frames of a video, or of a folder with ``rate`` of them a second."""
    return folder_frames(source, rate) if source.is_dir() else frames(source, damaged=damaged)


def windows_of(model: Model, source: Path, count: int) -> Iterator[tuple[str, Request]]:
    """Single images of a folder, spread evenly, or windows of consecutive frames with some frames between them."""
    if not model.of_video and not is_video(source):
        files = [source] if source.is_file() else images_in(source)[0] if source.is_dir() else []
        if not files:
            raise InputError("no image here", path=source, remedy="give a folder of images with --images")
        for path in files[:: max(1, len(files) // count)]:
            yield path.name, model.request([Frame(0, 0.0, read_image(path), path=path)])
        return
    stream = read_source(source)
    while len(window := list(itertools.islice(stream, model.frames))) == model.frames:
        yield f"{source.name}#{window[0].index}", model.request(window)
        next(itertools.islice(stream, BETWEEN, BETWEEN), None)
