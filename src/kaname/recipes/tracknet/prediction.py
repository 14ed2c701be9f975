"""Predicting videos, exporting with the parity check, and drawing: what the verbs do after their words are read."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kaname.config import from_dict
from kaname.data.formats.files import write_json
from kaname.data.video import Frame as VideoFrame
from kaname.data.video import VideoWriter, folder_frames, frame_count, frames, is_video
from kaname.errors import InputError
from kaname.geometry.image import read_image, write_image
from kaname.pipeline.flags import bare_config
from kaname.progress import Bar
from kaname.recipes.tracknet.config import DataSettings
from kaname.recipes.tracknet.detection import DetectSettings
from kaname.recipes.tracknet.labels import SETS, Clip, sets
from kaname.recipes.tracknet.predict import (
    COORDINATES,
    Count,
    decoder_of,
    open_model,
    read_rows,
    row_of,
    stream_rows,
    write_rows,
)
from kaname.recipes.tracknet.scoring import data_settings, describe_model
from kaname.reporting import draw
from kaname.reporting.trail import trail_overlay
from kaname.tracking.trajectory import DETECTED, SMOOTHERS, Row
from kaname.types import Size

if TYPE_CHECKING:
    from kaname.inference.export import Parity

MAX_GAP, FASTEST = 10, 0.2
TRAIL_SECONDS = 0.4
OVERLAY = "overlay.mp4"


@dataclass(frozen=True)
class Smoothing:
    """Attributes:
    name: of ``kaname.tracking.trajectory.SMOOTHERS``.
    max_gap: frames that a filled gap has at most.
    fastest: frame widths that the ball moves in a frame at most.
    """

    name: str = "none"
    max_gap: int = MAX_GAP
    fastest: float = FASTEST

    def __post_init__(self) -> None:
        if self.max_gap < 0:
            raise InputError(f"--max-gap must not be negative, got {self.max_gap}", remedy="0 fills nothing")
        if not (math.isfinite(self.fastest) and self.fastest > 0):
            raise InputError(f"--fastest must be positive, got {self.fastest}", remedy="0.2 is usual")


def detect_changes(words: Sequence[str], **flags: Any) -> dict[str, Any]:
    """Settings of the detection from ``key=value`` words and flags, of which those that are None were not given."""
    changes = bare_config(words, "detect")
    for name, value in flags.items():
        if value is not None and changes.setdefault(name, value) != value:
            raise InputError(
                f"detect.{name} is given twice, as {changes[name]!r} by key=value and as {value!r} by its flag",
                remedy="give it once",
            )
    return changes


def predict_sources(
    sources: list[Path], checkpoint: Path, out: Path, *, changes: Mapping[str, Any], overlay: bool,
    smoothing: Smoothing, rate: float = 25.0, device: str = "auto",
) -> None:  # fmt: skip
    """Predict videos and folders of frames; several sources get folders of their own below ``out``."""
    sources = list({path.absolute(): path for path in sources}.values())
    if not sources:
        raise InputError("nothing to predict", remedy="name videos or folders of frames after the verb")
    if not (math.isfinite(rate) and rate > 0):
        raise InputError(f"--rate must be positive, got {rate}", remedy="frames a second of the folder")
    for path in sources:
        if not path.exists():
            raise InputError("there is no such file or folder", path=path, remedy="check the path")
        if not path.is_dir() and not is_video(path):
            raise InputError("neither a video nor a folder", path=path, remedy="give mp4, avi, mov, or a folder")
    model = open_model(checkpoint, runtime=device, detect=changes)
    places = _places(sources, out)
    for source, place in zip(sources, places, strict=True):
        count = _predict_one(model, source, place, smoothing, rate)
        if not overlay and (place / OVERLAY).exists():
            (place / OVERLAY).unlink()
            print(f"{place / OVERLAY} of an earlier prediction is removed")
        notes = {
            "format": "kaname-balls", "recipe": "tracknet", "source": source.name, "model": describe_model(model),
            "coordinates": COORDINATES, "absent": model.card.get("absent"),
            "detect": {**model.card["config"]["detect"], **changes},
            "smooth": smoothing.__dict__, "frames": count.rows, "detected": count.detected, "filled": count.filled,
        }  # fmt: skip
        write_json(place / "ball.json", notes)
        filled = f", {count.filled} filled" if smoothing.name != "none" else ""
        print(f"{source}: {count.rows} frames, {count.detected} with a ball{filled}; {place / 'ball.csv'}")
        if overlay:
            _overlay(source, place / "ball.csv", place / OVERLAY, rate)
            print(f"{source}: drawn in {place / OVERLAY}")


def _places(sources: list[Path], out: Path) -> list[Path]:
    if len(sources) == 1:
        return [out]
    names = [path.stem if is_video(path) else path.name for path in sources]
    if len(set(names)) < len(names):
        names = ["_".join(path.with_suffix("").absolute().parts[-3:]) for path in sources]
    if len(set(names)) < len(names):
        raise InputError("several sources have one name", remedy="predict them one by one")
    return [out / name for name in names]


def _read(source: Path, rate: float) -> Iterator[VideoFrame]:
    return folder_frames(source, rate) if source.is_dir() else frames(source)


def _predict_one(model: Any, source: Path, place: Path, smoothing: Smoothing, rate: float) -> Count:
    stream = _read(source, rate)
    first = next(stream)
    size: Size = (first.image.shape[0], first.image.shape[1])
    stream = itertools.chain([first], stream)

    def rows() -> Iterator[Row]:
        try:
            with Bar(f"predicting {source.name}", frame_count(source)) as bar:
                for frame, points in model.stream(stream):
                    bar.advance()
                    yield row_of(points, frame=frame.index, seconds=frame.seconds, file=frame.name)
        except InputError as error:
            raise InputError(error.reason, path=error.path or source, row=error.row, remedy=error.remedy) from error

    smooth = SMOOTHERS[smoothing.name]
    return write_rows(place / "ball.csv", smooth(rows(), size, smoothing.max_gap, smoothing.fastest))


def _overlay(source: Path, table: Path, out: Path, rate: float) -> None:
    """A second pass over the source, so that no frame is kept while the ball is still being decided."""
    rows = stream_rows(table)
    with Bar(f"drawing {source.name}", frame_count(source)) as bar, VideoWriter(out) as writer:
        trail: list[Row] = []
        for frame, row in zip(_read(source, rate), rows, strict=True):
            trail = [old for old in trail if frame.seconds - old.seconds <= TRAIL_SECONDS] + [row]
            writer.write(draw_ball(frame.image, trail), frame.seconds)
            bar.advance()


def draw_ball(image: np.ndarray, trail: list[Row]) -> np.ndarray:
    """A frame with the ball of the last row in a ring and the way it came."""
    way = np.array([(row.x, row.y) for row in trail if row.there], dtype=np.float64).reshape(-1, 2)
    now = trail[-1]
    return trail_overlay(image, way, current=now.there, sure=now.source == DETECTED)


def export_checked(checkpoint: Path, out: Path, source: Path | None, count: int) -> Parity:
    """Export and check parity on windows of a video, of a folder or of the data the model was trained with."""
    from kaname.inference.export import check_request, export

    check_request(checkpoint, count, "a window")
    model = open_model(checkpoint, runtime="cpu")
    windows = _windows_of(source, model.frames) if source is not None else _own_windows(model)
    chosen = list(itertools.islice(windows, count))
    if not chosen:
        raise InputError(
            f"fewer than {model.frames} frames: no window to compare", path=source, remedy="give a longer one"
        )
    detect = from_dict(DetectSettings, model.card["config"]["detect"])
    return export(
        model, chosen, out, decode_at=lambda least: decoder_of(model.card, replace(detect, score_threshold=least))
    )


def _windows_of(source: Path, length: int, spacing: int = 5) -> Iterator[tuple[str, np.ndarray]]:
    """Windows of consecutive frames, some frames apart."""
    stream = _read(source, 25.0)
    while len(window := list(itertools.islice(stream, length))) == length:
        yield f"{source.name}#{window[0].index}", np.concatenate([frame.image for frame in window], axis=2)
        next(itertools.islice(stream, spacing, spacing), None)


def _own_windows(model: Any) -> Iterator[tuple[str, np.ndarray]]:
    data = from_dict(DataSettings, model.card["config"]["data"])
    try:
        found = sets(data)
    except InputError as error:
        raise InputError(
            "the data this model was trained with is gone, and the parity check needs frames", path=data.root,
            remedy="give a video or a folder of frames with --source",
        ) from error  # fmt: skip
    clips = found["val"] or found["train"]
    for clip in clips:
        for start in range(0, len(clip.frames) - model.frames + 1, max(10, model.frames)):
            images = [read_image(path) for path in clip.frames[start : start + model.frames]]
            yield f"{clip.name}#{start}", np.concatenate(images, axis=2)


def draw_all(out: Path, data: str | None, predictions: Path | None, source: Path | None, limit: int) -> int:
    """Pictures of labels, of predictions, or of both."""
    if limit < 0:
        raise InputError(f"--limit must not be negative, got {limit}", remedy="0 draws all")
    rows = [] if predictions is None else read_rows(predictions)
    if data is None:
        if source is None:
            raise InputError("the frames are not known", remedy="give --data, or --source VIDEO|FOLDER")
        return _draw_source(out, source, {row.frame: row for row in rows}, limit)
    settings = data_settings(data)
    assert settings is not None
    found = sets(settings)
    answers = {(row.clip, row.frame): row for row in rows}
    clips = [clip for name in SETS for clip in found[name]]
    if predictions is not None:
        named = {row.clip for row in rows}
        clips = [clip for clip in clips if clip.name in named]
        if not clips:
            raise InputError("no row is of a clip of this data", path=predictions, remedy="check --data")
    places = ((clip, number) for clip in clips for number in range(len(clip.frames)))
    count = 0
    for clip, number in itertools.islice(places, limit or None):
        picture = draw.points_overlay(read_image(clip.frames[number]), _layers(clip, number, answers))
        write_image(_made(out / clip.name / f"{clip.frames[number].stem}.jpg"), picture)
        count += 1
    return count


def _draw_source(out: Path, source: Path, answers: Mapping[int, Row], limit: int) -> int:
    count = 0
    for frame in itertools.islice(_read(source, 25.0), limit or None):
        row = answers.get(frame.index)
        if row is None:
            raise InputError(f"no row for frame {frame.index}", path=source, remedy="predict this video again")
        write_image(_made(out / f"frame_{frame.index:06d}.jpg"), draw_ball(frame.image, [row]))
        count += 1
    return count


def _layers(clip: Clip, number: int, answers: Mapping[tuple[str, int], Row]) -> dict[str, np.ndarray]:
    truth = clip.xy[number : number + 1]
    layers = {"true ball": truth[np.isfinite(truth).all(axis=1)]}
    if answers:
        row = answers.get((clip.name, number))
        layers["ball"] = np.array([(row.x, row.y)]) if row is not None and row.there else np.zeros((0, 2))
    return layers


def _made(path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot be made ({error.strerror})", path=path.parent, remedy="choose another --out"
        ) from error
    return path
