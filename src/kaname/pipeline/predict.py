"""The verb ``predict``: images into one file of predictions, videos each into a folder of its own. No torch here."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kaname import config as configuration
from kaname.data.ahead import ahead
from kaname.data.formats.files import make_folder
from kaname.data.video import FOLDER_RATE, Damaged, VideoWriter, frame_count, frames, is_video, promised_frames
from kaname.errors import InputError, located
from kaname.geometry.image import read_image, write_image
from kaname.inference.model import WAITING, Model
from kaname.inference.request import Request
from kaname.inference.runtimes import PLAIN, Running
from kaname.pipeline.clock import Profile
from kaname.pipeline.model import answer_settings, describe_model, open_model
from kaname.pipeline.nothing import Finds
from kaname.pipeline.recipe import Recipe
from kaname.pipeline.records import Record
from kaname.pipeline.replacing import record_of, refuse_others, results
from kaname.pipeline.running import ASKED, Demand
from kaname.pipeline.sources import checked, expand, picture_names, row_names
from kaname.pipeline.windows import read_source, windows_of
from kaname.progress import Bar
from kaname.types import Answer, Frame, Prediction, Size

if TYPE_CHECKING:
    from kaname.pipeline.boxes import BoxSource, Counted

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
    each: Callable[[Any, Mapping[str, Any]], Each] | None = None,
    finish: Callable[[], object] = lambda: None,
    asked: Mapping[str, Any] | None = None,
    deep: bool = False,
    damaged: Damaged = "error",
    running: Running = PLAIN,
    overwrite: bool = False,
    profile: bool = False,
) -> None:
    """Predict images, folders and videos into one file, with a picture of each image in ``out/pictures``.

    The same again (sources, model, settings) replaces itself; a folder that holds anything else is refused.

    Args:
        boxes: where the boxes of images come from: each is cut out and answered on its own. A network that takes boxes
            answers for all of an image, or of a video's frame, at once.
        changes: settings of the answers to use instead of the stored ones.
        each: from the settings of the answers and the model's card to what is called with every file, its image (of a
            video each frame), a name for further files without ending, and the answers, before they are written.
        finish: called after the last of these, when further files are to be whole.
        asked: what further files depend on besides, as plain values.
        deep: read folders with their sub-folders; hidden ones and ``out`` are left out.
        damaged: `kaname.data.video.frames`.
        running: what the network runs on.
        overwrite: replace what ``out`` holds of other sources, another model or other settings, as a whole.
        profile: say where the time went.
    """
    times = Profile(profile)
    # a path named twice is one answer
    files = checked({path.absolute(): path for path in expand(sources, out if deep else None)}.values())
    given = {**(changes or {}), **({} if boxes is None else boxes.about), **(asked or {})}
    made_of = {"recipe": recipe.name, "sources": [path.absolute() for path in files], **given}
    record, target = record_of(out, "predict", made_of, checkpoint), out / recipe.answering.predictions[-1]
    refuse_others(record, [target], overwrite=overwrite)
    with times.part("start"):
        model = open_model(recipe, checkpoint, runtime=running, changes=changes, demand=demand_of(files))
        boxes = None if boxes is None else boxes.beside(model)
        find = _found(model, boxes, files)
    settings = answer_settings(recipe, model.card["config"], changes)
    finds = Finds(recipe, settings)
    finds.boxless = find is None and model.takes_boxes
    drawn = out / "pictures" if pictures else None
    further = None if each is None else each(settings, model.card)
    rows = _image_rows(finds.watching(model), files, find, drawn, further, damaged, times)
    with results(record, [target], overwrite=overwrite), times.part("write"):
        said = {**about_model(recipe, model, changes), **({} if boxes is None else boxes.about)}
        recipe.answering.write(target, finds.counting(times.waiting(rows)), said)
        finish()
    _say(model, find)
    _say_found(finds, f"{len(files)} file(s) predicted with {describe_model(model)}; written to {target}", times)


def _image_rows(
    model: Model,
    files: Sequence[Path],
    find: Counted | None,
    drawn: Path | None,
    further: Each | None,
    damaged: Damaged,
    times: Profile,
) -> Iterator[Prediction]:
    """The answers for images, and for the frames of videos; pictures go to the folder ``drawn``."""
    names = row_names(files)
    read = times.each("decode", map(read_image, [path for path in files if not is_video(path)]))
    sizes = [frame_count(path) if is_video(path) else 1 for path in files]
    with closing(ahead(read, WAITING)) as images, Bar("predicting", sum(sizes)) as bar:
        for path, name, sheet, size in zip(files, names, picture_names(names), sizes, strict=True):
            told = 0  # a size is a promise of a file's header
            if is_video(path):
                for frame, answer in _stream(model, path, find, damaged, times):
                    if further is not None:
                        with times.part("draw"):
                            further(path, replace(frame, name=name), f"{Path(sheet).stem}_{frame.index:06d}", [answer])
                    yield Prediction(name, answer, frame=frame.index, seconds=frame.seconds)
                    bar.advance()
                    told += 1
            else:
                frame = Frame(0, 0.0, next(images), path=path)
                with located(path), times.part("network"):
                    given = None if find is None else find(path, frame)
                    answers = _answers(model, frame, given)
                with times.part("draw"):
                    if drawn is not None:
                        from kaname.reporting.overlay import overlay  # here, because drawing takes time to import

                        make_folder(drawn)
                        picture = overlay(frame.image, answers, model.card.get("skeleton"))
                        write_image(drawn / sheet, picture)
                    if further is not None:
                        further(path, Frame(0, 0.0, frame.image, name), Path(sheet).stem, answers)
                for number, answer in enumerate(answers, 1):
                    alone = find is not None and not model.takes_boxes
                    yield Prediction(name, answer, box=number if alone else None)
            bar.advance(size - told)


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
        refuse_others(records[source], [place / recipe.answering.predictions[-1]], overwrite=overwrite)
    model = open_model(recipe, checkpoint, runtime=running, demand=demand_of(list(chosen)))
    boxes = None if boxes is None else boxes.beside(model)
    find = _found(model, boxes, list(chosen))
    for source, place in chosen.items():
        with (
            results(records[source], [place / recipe.answering.predictions[-1]], overwrite=overwrite),
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
    times: Profile | None = None,
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
        times: told where the time goes.
    """
    times = times or Profile()
    target, drawn = out / recipe.answering.predictions[-1], out / OVERLAY
    stream, size = _opened(read_source(source, rate, damaged))
    decoded = 0

    def told(count: int) -> None:
        nonlocal decoded
        decoded += count
        tell(count)

    finds = Finds(recipe, answer_settings(recipe, model.card["config"], changes))
    finds.boxless = find is None and model.takes_boxes
    boxes = None if find is None else partial(find, source)
    rows = finds.counting(times.waiting(_rows(finds.watching(model), source, stream, boxes, told, times)))
    said = {**about_model(recipe, model, changes), "source": source.name, **(about or {})}
    with times.part("write"):
        counts = recipe.answering.write(target, rows if follow is None else follow(rows, size), said)
    finds.warn_unlike()
    lines = [f"{source}: {', '.join(f'{value} {name}' for name, value in counts.items())}; {target}", *finds.said()]
    if decoded < (promised := promised_frames(source)):
        lines.append(f"{source}: {decoded} of {promised} promised frames could be decoded")
    if draw is not None:
        again = times.each("decode", read_source(source, rate, damaged))
        with times.part("draw"), closing(ahead(again, WAITING)) as shown:
            _draw_video(times.waiting(shown), recipe.answering.read(target), drawn, draw, trail_seconds, tell)
        lines.append(f"{source}: drawn in {drawn}")
    elif drawn.exists():
        drawn.unlink()
        lines.append(f"{drawn} of an earlier prediction is removed")
    return "\n".join([*lines, *times.lines(decoded, "frame")])


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
    about = recipe.answering.about(model.card, {})
    return {"recipe": recipe.name, "model": describe_model(model), recipe.answering.section: settings, **about}


def _found(model: Model, boxes: BoxSource | None, sources: Sequence[Path]) -> Counted | None:
    """What finds the boxes; only a network that takes them itself answers for those of a video."""
    if boxes is None:
        return None
    videos = [path for path in sources if path.is_dir() or is_video(path)]
    if videos and not model.takes_boxes:
        remedy = "predict it without --boxes"
        raise InputError("boxes belong to photographs, not to a video", path=videos[0], remedy=remedy)
    from kaname.pipeline.boxes import Counted  # here, because of the formats that boxes come in

    return Counted(boxes.open(sources), boxes.detector)


def _say_found(finds: Finds, line: str, times: Profile) -> None:
    """What was predicted, and what is strange about it."""
    finds.warn_unlike()
    print(line)
    for further in [*finds.said(), *times.lines(len(finds.answers), finds.recipe.answering.unit)]:
        print(further)


def _say(model: Model, find: Counted | None) -> None:
    """What somebody might otherwise wonder about: where no box was found, or none was given."""
    if find is not None:
        find.warn_labels()
        print("\n".join(find.said()), end="\n" if find.empty else "")
    elif model.takes_boxes:
        print("no boxes were given: each picture is one box, the whole of it")


def _stream(
    model: Model, path: Path, find: Counted | None, damaged: Damaged, times: Profile
) -> Iterator[tuple[Frame, Any]]:
    """Each frame of a video with its answer; of models of single images with its pixels."""
    boxes, pixels = None if find is None else partial(find, path), model.frames == 1
    yield from model.stream(frames(path, damaged=damaged), boxes, waiting=WAITING, pixels=pixels, part=times.part)


def _answers(model: Model, image: Frame, boxes: np.ndarray | None) -> list[Answer]:
    answer: Any = model.predict(image, boxes)
    return answer if isinstance(answer, list) else [answer]


def _opened(stream: Iterator[Frame]) -> tuple[Iterator[Frame], Size]:
    first = next(stream)
    return itertools.chain([first], stream), (first.image.shape[0], first.image.shape[1])


def _rows(
    model: Model, source: Path, stream: Iterator[Frame], boxes: Any, tell: Callable[[int], object], times: Profile
) -> Iterator[Prediction]:
    with located(source):
        for frame, answer in model.stream(stream, boxes, waiting=WAITING, part=times.part):
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
