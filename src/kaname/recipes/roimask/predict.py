"""``predict``: masks of the boxes of images and videos, in the forms that people need. No torch here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from kaname.data.formats import boxes as tables
from kaname.data.formats.files import make_folder
from kaname.data.formats.masks import entries_of
from kaname.data.video import is_video
from kaname.errors import InputError
from kaname.files import whole_file
from kaname.pipeline.album import Album
from kaname.pipeline.boxes import BoxSource, source_of
from kaname.pipeline.flags import BoxFlags
from kaname.pipeline.predict import Each, predict_images
from kaname.recipes.roimask import RECIPE
from kaname.recipes.roimask.config import AnswerSettings
from kaname.recipes.roimask.decode import choice_of
from kaname.recipes.roimask.predictions import category_of
from kaname.reporting.mask_files import write_pictures
from kaname.reporting.masks import mask_overlay
from kaname.types import Answer, FloatArray, Frame, Masks, Prediction

PICTURES, POLYGONS = "pictures", "polygons.json"


@dataclass(frozen=True)
class Wanted:
    """Which files are written besides ``masks.json``; see the flags of ``predict``."""

    masks: bool = True
    cutouts: bool = False
    polygons: bool = True
    pictures: bool = True


def predict(
    sources: Sequence[Path],
    checkpoint: Path,
    out: Path,
    where: tuple[BoxFlags, Sequence[str]],
    changes: Mapping[str, Any],
    wanted: Wanted,
    **how: Any,
) -> None:
    """Write the masks of all boxes, one image, and of it one mask, at a time in memory.

    Args:
        where: the flags of boxes, and boxes that were given as numbers, the same for every image.
        how: ``running``, ``overwrite``, ``damaged`` and ``profile``, as in `kaname.pipeline.predict.predict_images`.

    Raises:
        InputError: bad usage, files that cannot be read, boxes that make no sense.
    """
    with ExitStack() as stack:
        outlines: list[IO[str]] = []
        album = stack.enter_context(Album(out / PICTURES))

        def prepared(settings: AnswerSettings, card: Mapping[str, Any]) -> Each:
            choice, category = choice_of(settings), category_of(card)

            def each(source: Path, frame: Frame, name: str, answers: Sequence[Answer]) -> None:
                (masks,), image = answers, frame.image
                assert isinstance(masks, Masks)
                if wanted.pictures:
                    album.show(source, frame, name, mask_overlay(image, masks, choice=choice))
                if wanted.masks or wanted.cutouts:
                    write_pictures(out, name, masks, choice, cutouts_from=image if wanted.cutouts else None)
                if wanted.polygons and not outlines:
                    make_folder(out)
                    outlines.append(stack.enter_context(whole_file(out / POLYGONS)))
                for file in outlines:
                    for entry in entries_of(row_of(source, frame, masks), None, category, choice, polygons=True):
                        file.write(("[\n" if file.tell() == 0 else ",\n") + json.dumps(entry, ensure_ascii=False))

            return each

        def finish() -> None:
            for file in outlines:
                file.write("[]\n" if file.tell() == 0 else "\n]\n")
            stack.close()

        own = {"boxes": boxes_of(*where), "changes": changes, "pictures": False, "each": prepared, "finish": finish}
        predict_images(RECIPE, sources, checkpoint, out, **own, **how)


def row_of(source: Path, frame: Frame, masks: Masks) -> Prediction:
    """A picture's masks as `masks.json` names them."""
    film = is_video(source)
    return Prediction(frame.name or source.name, masks, frame=frame.index if film else None, seconds=frame.seconds)


def boxes_of(flags: BoxFlags, numbers: Sequence[str]) -> BoxSource | None:
    """Where boxes come from: a file, a detector, or the command line itself.

    Raises:
        InputError: two of them, numbers that are no boxes, or boxes in another unit than they are said to be.
    """
    if not numbers:
        return source_of(flags, bare=True)
    if flags.detector is not None:
        raise InputError("boxes come from --boxes or from --detector, not from both", remedy="leave one out")
    try:
        rows = [[float(word) for word in text.split(",")] for text in numbers]
    except ValueError as error:
        raise InputError(f"--boxes is a file or boxes x1,y1,x2,y2, got {' '.join(numbers)}") from error
    table = tables.read(Path("--boxes"), flags.box_format or "xyxy", flags.box_units or "pixel", content=rows)

    def find(source: Path, frame: Frame) -> FloatArray:
        boxes = table.of(source)
        assert boxes is not None
        return boxes(frame.index, (frame.image.shape[0], frame.image.shape[1]))

    return BoxSource(lambda sources: find, {"boxes": {"given": list(numbers)}})
