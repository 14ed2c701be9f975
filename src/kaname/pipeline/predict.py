"""The verb ``predict``: images into one file of predictions, videos each into a folder of its own. No torch here."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kaname import config as configuration
from kaname.data.formats.files import images_in, make_folder
from kaname.data.formats.landmarks import images_below
from kaname.data.video import FOLDER_RATE, Damaged, VideoWriter, frame_count, frames, is_video, promised_frames
from kaname.errors import InputError, located
from kaname.geometry.image import image_size, read_image, write_image
from kaname.inference.model import Model, Request
from kaname.inference.runtimes import PLAIN, Running
from kaname.pipeline.boxes import BoxSource, Counted
from kaname.pipeline.model import answer_settings, describe_model, open_model
from kaname.pipeline.nothing import Finds
from kaname.pipeline.recipe import Recipe
from kaname.pipeline.records import Record
from kaname.pipeline.replacing import record_of, refuse_others, results
from kaname.pipeline.running import ASKED, Demand
from kaname.pipeline.windows import read_source, windows_of
from kaname.progress import Bar
from kaname.reporting.overlay import overlay
from kaname.types import Answer, Frame, Prediction, Size

Each = Callable[[Path, Frame, str, list[Answer]], None]
Follow = Callable[[Iterable[Prediction], Size], Iterable[Any]]
OVERLAY = "overlay.mp4"


def predict_images(
    recipe: Recipe,
    sources: Sequence[Path],
    checkpoint: Path,
    out: Path,
    *,
    boxes: BoxSource | None = None,
    changes: Mapping[str, Any] | None = None,
    pictures: bool = True,
    each: Callable[[Any], Each] | None = None,
    finish: Callable[[], object] = lambda: None,
    deep: bool = False,
    damaged: Damaged = "error",
    running: Running = PLAIN,
    overwrite: bool = False,
) -> None:
    """Predict images, folders and videos into one file, with a picture of each image in ``out/pictures``.

    The same again (sources, model, settings) replaces itself; a folder that holds anything else is refused.

    Args:
        boxes: where the boxes of images come from: each is cut out and answered on its own. A network that takes boxes
            answers for all of an image, or of a video's frame, at once.
        changes: settings of the answers to use instead of the stored ones.
        each: from the settings of the answers to what is called with every file, its image (of a video each frame), a
            name for further files without ending, and the answers, before they are written.
        finish: called after the last of these, when further files are to be whole.
        deep: read folders with their sub-folders; hidden ones and ``out`` are left out.
        damaged: `kaname.data.video.frames`.
        running: what the network runs on.
        overwrite: replace what ``out`` holds of other sources, another model or other settings, as a whole.
    """
    # a path named twice is one answer
    files = _checked({path.absolute(): path for path in _expand(sources, out if deep else None)}.values())
    given = {} if boxes is None else boxes.about
    made_of = {"recipe": recipe.name, "sources": [path.absolute() for path in files], **(changes or {}), **given}
    record, target = record_of(out, "predict", made_of, checkpoint), out / recipe.predictions[-1]
    refuse_others(record, [target], overwrite=overwrite)
    model = open_model(recipe, checkpoint, runtime=running, changes=changes, demand=demand_of(files))
    boxes = None if boxes is None else boxes.beside(model)
    find = _found(model, boxes, files)
    settings = answer_settings(recipe, model.card["config"], changes)
    finds = Finds(recipe, settings)
    drawn = out / "pictures" if pictures else None
    rows = _image_rows(finds.watching(model), files, find, drawn, None if each is None else each(settings), damaged)
    with results(record, [target], overwrite=overwrite):
        recipe.write(
            target,
            finds.counting(rows),
            {**about_model(recipe, model, changes), **({} if boxes is None else boxes.about)},
        )
        finish()
    _say(model, find)
    print(f"{len(files)} file(s) predicted with {describe_model(model)}; written to {target}")
    print("\n".join(finds.said()), end="\n" if finds.said() else "")


def _image_rows(
    model: Model,
    files: Sequence[Path],
    find: Counted | None,
    drawn: Path | None,
    further: Each | None,
    damaged: Damaged,
) -> Iterator[Prediction]:
    """The answers for images, and for the frames of videos; pictures go to the folder ``drawn``."""
    names = row_names(files)
    with Bar("predicting", len(files)) as bar:
        for path, name, sheet in zip(files, names, picture_names(names), strict=True):
            if is_video(path):
                for frame, answer in _stream(model, path, find, damaged):
                    if further is not None:
                        further(path, frame, f"{Path(sheet).stem}_{frame.index:06d}", [answer])
                    yield Prediction(name, answer, frame=frame.index, seconds=frame.seconds)
            else:
                image = read_image(path)
                frame = Frame(0, 0.0, image, path=path)
                given = None if find is None else find(path, frame)
                with located(path):
                    answers = _answers(model, frame, given)
                if drawn is not None:
                    make_folder(drawn)
                    write_image(drawn / sheet, overlay(image, answers, model.card.get("skeleton")))
                if further is not None:
                    further(path, Frame(0, 0.0, image, name), Path(sheet).stem, answers)
                for number, answer in enumerate(answers, 1):
                    alone = find is not None and not model.takes_boxes
                    yield Prediction(name, answer, box=number if alone else None)
            bar.advance()


def predict_videos(
    recipe: Recipe,
    sources: Sequence[Path],
    checkpoint: Path,
    out: Path,
    *,
    boxes: BoxSource | None = None,
    running: Running = PLAIN,
    overwrite: bool = False,
) -> None:
    """Predict videos and folders of frames, one after the other; several get folders of their own below ``out``.

    Args:
        boxes: where those of the frames come from, for a network that takes boxes.
        running: what the network runs on.
        overwrite: replace what a folder holds of another video, another model or other settings.
    """
    chosen = places(sources, out)
    about = {} if boxes is None else boxes.about
    records = {source: record_of_video(recipe, source, place, checkpoint, about) for source, place in chosen.items()}
    for source, place in chosen.items():
        refuse_others(records[source], [place / recipe.predictions[-1]], overwrite=overwrite)
    model = open_model(recipe, checkpoint, runtime=running, demand=demand_of(list(chosen)))
    boxes = None if boxes is None else boxes.beside(model)
    find = _found(model, boxes, list(chosen))
    for source, place in chosen.items():
        with (
            results(records[source], [place / recipe.predictions[-1]], overwrite=overwrite),
            Bar(f"predicting {source.name}", frame_count(source)) as bar,
        ):
            said = predict_video(recipe, model, source, place, find=find, about=about, tell=bar.advance)
        print(said)
    _say(model, find)


def predict_video(
    recipe: Recipe,
    model: Model,
    source: Path,
    out: Path,
    *,
    find: Callable[[Path, Frame], np.ndarray] | None = None,
    changes: Mapping[str, Any] | None = None,
    follow: Follow | None = None,
    about: Mapping[str, Any] | None = None,
    draw: Callable[[np.ndarray, list[Any]], np.ndarray] | None = None,
    trail_seconds: float = 0.0,
    rate: float = FOLDER_RATE,
    damaged: Damaged = "error",
    tell: Callable[[int], object] = lambda count: None,
) -> str:
    """One video or folder of frames, into ``out``; what there is to say of it.

    Args:
        find: the boxes of a frame, for a network that takes boxes.
        changes: those settings of the answers which are not the stored ones; the file says them.
        follow: what becomes of the rows before they are written (smoothing).
        about: what else the file says.
        draw: a frame with its answer and those of the ``trail_seconds`` before it; given, a video is written too.
        rate: frames per second of a folder of frames.
        damaged: what becomes of frames that damaged packets of a video have lost (`kaname.data.video.frames`).
        tell: hears of frames: each is read once, and once more where a video is drawn.
    """
    target, drawn = out / recipe.predictions[-1], out / OVERLAY
    stream, size = _opened(read_source(source, rate, damaged))
    decoded = 0

    def told(count: int) -> None:
        nonlocal decoded
        decoded += count
        tell(count)

    finds = Finds(recipe, answer_settings(recipe, model.card["config"], changes))
    boxes = None if find is None else partial(find, source)
    rows = finds.counting(_rows(finds.watching(model), source, stream, boxes, told))
    said = {**about_model(recipe, model, changes), "source": source.name, **(about or {})}
    counts = recipe.write(target, rows if follow is None else follow(rows, size), said)
    lines = [f"{source}: {', '.join(f'{value} {name}' for name, value in counts.items())}; {target}", *finds.said()]
    if decoded < (promised := promised_frames(source)):
        lines.append(f"{source}: {decoded} of {promised} promised frames could be decoded")
    if draw is not None:
        again = read_source(source, rate, damaged)
        _draw_video(again, recipe.read(target), drawn, draw, trail_seconds, tell)
        lines.append(f"{source}: drawn in {drawn}")
    elif drawn.exists():
        drawn.unlink()
        lines.append(f"{drawn} of an earlier prediction is removed")
    return "\n".join(lines)


def record_of_video(recipe: Recipe, source: Path, out: Path, checkpoint: Path, about: Mapping[str, Any]) -> Record:
    """The record of one video's predictions in their folder; ``about`` are the settings besides the source."""
    return record_of(out, "predict", {"recipe": recipe.name, "sources": [source.absolute()], **about}, checkpoint)


def places(sources: Sequence[Path], out: Path, rate: float = FOLDER_RATE) -> dict[Path, Path]:
    """Videos and folders of frames, each with the folder that its answers go into; one source has ``out`` itself.

    Raises:
        InputError: none, one that is not there or neither video nor folder, several of one name, no positive rate.
    """
    chosen = list({path.absolute(): path for path in sources}.values())
    if not chosen:
        raise InputError("nothing to predict", remedy="name videos or folders of frames after the verb")
    if not (math.isfinite(rate) and rate > 0):
        raise InputError(f"--rate must be positive, got {rate}", remedy="frames per second of the folder")
    for path in chosen:
        if not path.exists():
            raise InputError("there is no such file or folder", path=path, remedy="check the path")
        if not path.is_dir() and not is_video(path):
            raise InputError("neither a video nor a folder", path=path, remedy="give mp4, avi, mov, or a folder")
    if len(chosen) == 1:
        return {chosen[0]: out}
    names = [path.stem if is_video(path) else path.name for path in chosen]
    if len(set(names)) < len(names):
        names = ["_".join(path.with_suffix("").absolute().parts[-3:]) for path in chosen]
    if len(set(names)) < len(names):
        raise InputError("several sources have the same name", remedy="predict them one by one")
    return {path: out / name for path, name in zip(chosen, names, strict=True)}


def demand_of(sources: Sequence[Path], answers: int | None = None) -> Demand:
    """What is going to be asked of a model: images, videos and folders of frames.

    Args:
        answers: how many there will be, where that is not one for each image and frame.
    """

    def requests(model: Model) -> Iterator[tuple[str, Request]]:
        for source in sources[:ASKED]:
            yield from itertools.islice(windows_of(model, source, ASKED), ASKED)

    films = [path for path in sources if path.is_dir() or is_video(path)]
    count = len(sources) - len(films) + sum(map(frame_count, films)) if answers is None else answers
    return Demand(count, requests)


def about_model(recipe: Recipe, model: Model, changes: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a file of predictions says of the model that made it."""
    chosen = answer_settings(recipe, model.card["config"], changes)
    settings = configuration.plain(configuration.to_dict(chosen))
    about = recipe.about(model.card, {})
    return {"recipe": recipe.name, "model": describe_model(model), recipe.answers: settings, **about}


def picture_names(names: Sequence[str]) -> list[str]:
    """A .jpg for each row's name; images that differ in their ending alone keep it in the picture's name.

    >>> picture_names(["a.png", "b.png", "b.jpg"])
    ['a.jpg', 'b.png.jpg', 'b.jpg.jpg']
    """
    flat = [name.strip("/").replace("/", "_") for name in names]
    stems = [Path(name).stem for name in flat]
    chosen: list[str] = []
    for stem, name in zip(stems, flat, strict=True):
        wanted = stem if stems.count(stem) == 1 else name
        numbered = (f"{wanted}_{number}" for number in itertools.count(2))
        chosen.append(next(one for one in itertools.chain([wanted], numbered) if one not in chosen))
    return [f"{name}.jpg" for name in chosen]


def _found(model: Model, boxes: BoxSource | None, sources: Sequence[Path]) -> Counted | None:
    """What finds the boxes; only a network that takes them itself answers for those of a video."""
    if boxes is None:
        return None
    videos = [path for path in sources if path.is_dir() or is_video(path)]
    if videos and not model.takes_boxes:
        remedy = "predict it without --boxes"
        raise InputError("boxes belong to photographs, not to a video", path=videos[0], remedy=remedy)
    return Counted(boxes.open(sources))


def _say(model: Model, find: Counted | None) -> None:
    """What somebody might otherwise wonder about: where no box was found, or none was given."""
    if find is not None:
        print("\n".join(find.said()), end="\n" if find.empty else "")
    elif model.takes_boxes:
        print("no boxes were given: each picture is one box, the whole of it")


def _stream(model: Model, path: Path, find: Counted | None, damaged: Damaged) -> Iterator[tuple[Frame, Any]]:
    """Each frame of a video with its answer; of models of single images with its pixels."""
    newest: list[Frame] = []

    def watched() -> Iterator[Frame]:
        for frame in frames(path, damaged=damaged):
            newest[:] = [frame]
            yield frame

    for frame, answer in model.stream(watched(), None if find is None else partial(find, path)):
        yield newest[0] if model.frames == 1 else frame, answer


def _answers(model: Model, image: Frame, boxes: np.ndarray | None) -> list[Answer]:
    answer: Any = model.predict(image, boxes)
    return answer if isinstance(answer, list) else [answer]


def _checked(files: Iterable[Path]) -> list[Path]:
    """The files, by their headers alone: a wrong one among thousands is found before the work, not after it."""
    chosen = list(files)
    if not chosen:
        raise InputError("no image to predict", remedy="name images, a folder or a video after the verb")
    for path in chosen:
        if not is_video(path):
            image_size(path)
    return chosen


def _expand(sources: Sequence[Path], without: Path | None = None) -> Iterator[Path]:
    """All files; given a folder to leave out, those below each folder too."""
    for source in sources:
        if source.is_dir() and without is not None:
            own = without.resolve()
            below = [name for name in images_below(source) if not (source / name).resolve().is_relative_to(own)]
            if not below:
                raise InputError("no image in this folder", path=source, remedy="give a folder of images")
            yield from (source / name for name in below)
        elif source.is_dir():
            files, others = images_in(source)
            if not files:
                raise InputError("no image in this folder", path=source, remedy="give a folder of images")
            if others:
                print(f"left out of {source}, not images by their names: {', '.join(others)}")
            yield from files
        elif source.is_file():
            yield source
        else:
            raise InputError("there is no such file", path=source, remedy="check the path")


def row_names(files: Sequence[Path]) -> list[str]:
    """Base names where they are unique, else the paths as given."""
    names = [path.name for path in files]
    return names if len(set(names)) == len(names) else [path.as_posix() for path in files]


def _opened(stream: Iterator[Frame]) -> tuple[Iterator[Frame], Size]:
    first = next(stream)
    return itertools.chain([first], stream), (first.image.shape[0], first.image.shape[1])


def _rows(
    model: Model, source: Path, stream: Iterator[Frame], boxes: Any, tell: Callable[[int], object]
) -> Iterator[Prediction]:
    with located(source):
        for frame, answer in model.stream(stream, boxes):
            tell(1)
            yield Prediction("", answer, frame=frame.index, seconds=frame.seconds, file=frame.name)


def _draw_video(
    frames: Iterable[Frame],
    rows: Sequence[Any],
    out: Path,
    draw: Callable[[np.ndarray, list[Any]], np.ndarray],
    trail_seconds: float,
    tell: Callable[[int], object],
) -> None:
    """A second pass over the source, so that no frame is kept while its answer is still being decided."""
    trail: list[Any] = []
    with VideoWriter(out) as writer:
        for frame, row in zip(frames, rows, strict=True):
            trail = [old for old in trail if frame.seconds - old.seconds <= trail_seconds] + [row]
            writer.write(draw(frame.image, trail), frame.seconds)
            tell(1)
