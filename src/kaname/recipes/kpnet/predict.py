"""``predict``: any images and videos, each frame on its own; the files of ``infer``, and of images what all recipes
write. No torch here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kaname.data.formats.files import make_folder
from kaname.data.video import Damaged
from kaname.errors import located, require
from kaname.files import whole_file
from kaname.geometry.image import image_size, write_image
from kaname.inference.runtimes import PLAIN, Running
from kaname.pipeline.jobs import check as check_jobs
from kaname.pipeline.model import answer_settings, describe_model
from kaname.pipeline.nothing import Finds
from kaname.pipeline.predict import about_model, demand_of
from kaname.pipeline.records import claim
from kaname.pipeline.replacing import record_of as record_of_all
from kaname.pipeline.replacing import refuse_others, results
from kaname.pipeline.sources import picture_names, row_names
from kaname.progress import Bar
from kaname.recipes.kpnet import RECIPE
from kaname.recipes.kpnet.choices import How
from kaname.recipes.kpnet.infer import infer, open_here, record_of
from kaname.recipes.kpnet.sources import Source, Stream, sources_in, videos_of
from kaname.recipes.kpnet.walking import Seen, Walk, warn_still
from kaname.reporting.overlay import overlay
from kaname.types import Prediction


def predict(
    paths: Sequence[Path],
    checkpoint: Path,
    out: Path,
    answers: Mapping[str, Any],
    *,
    every: int | None = None,
    overlay: bool = False,
    pictures: bool = True,
    processes: int = 1,
    overwrite: bool = False,
    running: Running = PLAIN,
    names: Sequence[str] | None = None,
    ray: str | None = None,
    damaged: Damaged = "error",
) -> None:
    """Predict images and videos; exit code 2 where a video failed.

    Args:
        answers: settings of the answers to use instead of the stored ones.
        every: each so-manieth frame of videos.
        overlay: draw a video of each video.
        pictures: draw each image.
        processes: videos at once.
        running: what the network runs on.
        overwrite: replace what was made by another checkpoint or with other settings.
        names: further videos, in the folder ``video_root``.
        ray: address of machines that work together.
        damaged: what becomes of frames that damaged packets of a video have lost (`kaname.data.video.frames`).
    """
    check_jobs(processes, ray is not None)
    root = None if answers.get("video_root") is None else Path(answers["video_root"])
    require(names is None or root is not None, "--videos names videos, and nobody says where", "give --video-root")
    further = [] if names is None or root is None else videos_of(None, root, names)
    videos, images = sources_in(paths, further)
    asked = {"--every": every is not None, "--overlay": overlay, "--jobs": processes != 1, "--ray": ray is not None}
    for flag, given in asked.items():
        require(bool(videos) or not given, f"{flag} is for videos, and none is given", f"leave {flag} out")
    own = {name: value for name, value in answers.items() if name != "video_root"}
    how = How(every=every, overlay=overlay, answers=own, damaged=damaged)
    for one in videos:  # what is refused is refused before the work
        record_of(one, checkpoint, out, how).finished(overwrite=overwrite)
    if images:
        alone = How(answers=own)
        predict_images(
            images, checkpoint, out, alone, videos=root, pictures=pictures, overwrite=overwrite, running=running
        )
    if videos:
        infer(videos, checkpoint, out, how, processes=processes, overwrite=overwrite, running=running, videos=root,
              ray=ray)  # fmt: skip


def predict_images(
    sources: Sequence[Source],
    checkpoint: Path,
    out: Path,
    how: How,
    *,
    videos: Path | None,
    pictures: bool,
    overwrite: bool,
    running: Running,
) -> None:
    """Predict images into ``points.json`` and ``NAME_pred.txt``, with a picture of each in ``out/pictures``.

    Raises:
        InputError: an image that cannot be read, or a result of another checkpoint or with other settings.
    """
    files = [path for source in sources for path in source.images.values()]
    target = out / RECIPE.answering.predictions[-1]
    made_of = {"recipe": RECIPE.name, "sources": [path.absolute() for path in files], **how.answers}
    whole = record_of_all(out, "predict", made_of, checkpoint)
    for path in files:
        image_size(path)  # a wrong one among thousands is found before the work, not after it
    for source in sources:
        record_of(source, checkpoint, out, how).finished(overwrite=overwrite)
    refuse_others(whole, [target], overwrite=overwrite)
    model = open_here(checkpoint, running, {**how.answers, "video_root": videos}, demand=demand_of(files))
    names = row_names(files)
    called = iter(zip(names, picture_names(names), strict=True))

    def rows() -> Iterator[Prediction]:
        with Bar("predicting", len(files)) as bar:
            for source in sources:
                for seen in _written(source, checkpoint, out, how, model):
                    name, sheet = next(called)
                    if pictures:
                        make_folder(out / "pictures")
                        drawn = overlay(seen.frame.image, [seen.answer], model.card["skeleton"])
                        write_image(out / "pictures" / sheet, drawn)
                    yield Prediction(name, seen.answer)
                    bar.advance()

    with results(whole, [target], overwrite=overwrite):
        RECIPE.answering.write(target, rows(), about_model(RECIPE, model, how.answers))
    warn_still(model, f"{len(files)} image(s)")
    print(f"{len(files)} image(s) predicted with {describe_model(model)}; written to {target}")
    finds = Finds(RECIPE, answer_settings(RECIPE, model.card["config"], how.answers))
    said = finds.read(RECIPE.answering.read(target)).said()
    print("\n".join(said), end="\n" if said else "")


def _written(source: Source, checkpoint: Path, out: Path, how: How, model: Any) -> Iterator[Seen]:
    """Write the rows of a source's images, and its record; yields after each image."""
    record = record_of(source, checkpoint, out, how)
    stream = Stream(source, None, moving=False)
    with claim(record):
        record.clear()
        walk, target = Walk(model, stream, how, None), record.path.with_suffix(".txt")
        rows, count = walk.rows(), 0
        with whole_file(target) as file:
            steps = walk.steps()
            for number in stream.numbers:
                with located(source.images[number]):
                    step = next(steps)
                assert walk.seen is not None
                lines = list(rows.of(step, walk.seen.places))
                file.writelines(lines)
                count += len(lines)
                yield walk.seen
        record.write([target], frames=len(stream.numbers), rows=count)
