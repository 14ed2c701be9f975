"""The verb ``draw``: labels, predictions or both on their images."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kaname.data.formats.files import make_folder
from kaname.data.formats.landmarks_names import images_below
from kaname.data.frame_source import read_frame
from kaname.data.video import Damaged, is_video
from kaname.errors import InputError
from kaname.geometry.image import read_image, write_image
from kaname.pipeline.labelled import Labelled
from kaname.pipeline.matching import Rows, common
from kaname.pipeline.predict import read_source
from kaname.pipeline.recipe import Recipe
from kaname.pipeline.replacing import drawing, record_of
from kaname.pipeline.sources import sheets
from kaname.reporting.overlay import Layer, overlay
from kaname.types import Image

Picture = tuple[Path, Image, list[Layer]]  # name without ending, image, what is true of it and predicted


def draw(
    recipe: Recipe, labelled: Labelled | None, predictions: Path | None, source: Path | None, out: Path, limit: int,
    *, damaged: Damaged = "error", overwrite: bool = False,
) -> None:  # fmt: skip
    """Draw the labels of ``labelled``, the rows of ``predictions`` on the images of ``source``, or both.

    Args:
        damaged: what becomes of frames that damaged packets of a video have lost (`kaname.data.video.frames`).
        overwrite: replace pictures that were drawn of something else, as a whole.

    Raises:
        InputError: nothing to draw, images that are not there or of another size, or a folder that holds other
            pictures.
    """
    if labelled is None and predictions is None:
        raise InputError("nothing to draw", remedy="give --data, --predictions or both")
    if limit < 0:
        raise InputError(f"--limit must not be negative, got {limit}", remedy="0 draws all")
    skeleton: Any = None
    if labelled is not None:
        pictures = _labelled(recipe, labelled, predictions)
    elif recipe.answering.unit == "frame":
        pictures = _frames(recipe, predictions, source, damaged)  # type: ignore[arg-type]
    else:
        assert predictions is not None
        skeleton = recipe.answering.made(predictions).get("skeleton")
        pictures = _images(recipe, predictions, source, whole=skeleton is not None)
    given = {"data": None if labelled is None else labelled.root, "predictions": predictions, "source": source}
    made_of = {name: None if path is None else [path.absolute()] for name, path in given.items()}
    record = record_of(out, "draw", {"recipe": recipe.name, **made_of, "limit": limit})
    count = 0
    with drawing(record, overwrite=overwrite) as place_of:
        for name, image, layers in itertools.islice(pictures, limit or None):
            path = place_of(f"{name}.jpg")
            make_folder(path.parent)
            write_image(path, overlay(image, layers, skeleton))
            count += 1
    print(f"{count} pictures in {out}")


def _layers(recipe: Recipe, row: Any, image: Image, name: Path) -> Layer:
    answer = getattr(row, "answer", None)
    if answer is not None and answer.size != image.shape[:2]:
        reason = f"predicted on an image of {answer.size[1]} x {answer.size[0]}"
        raise InputError(reason, path=name, remedy="predict it again")
    return recipe.judging.layers(row)


def _labelled(recipe: Recipe, labelled: Labelled, predictions: Path | None) -> Iterator[Picture]:
    several = recipe.answering.unit == "frame"
    rows: dict[Any, Any] = {}
    about: Mapping[str, Any] = {}
    matched = Rows([], Path())
    if predictions is not None:
        about, read = recipe.answering.made(predictions), recipe.answering.read(predictions)
        if several:
            rows = {(_whose(row), row.frame): row for row in read}
        else:
            matched = Rows(read, predictions)
    apart = len(labelled.names) > 1 and not labelled.together
    drawn = 0
    for name in labelled.names:
        items = labelled.read(name)
        if not several:
            for item, sheet in zip(items, sheets([Path(item.source) for item in items]), strict=True):
                image, truth = read_frame(item.frames[0]), recipe.judging.truth(item, 0, about)
                drawn += 1
                found = [_layers(recipe, row, image, item.frames[0]) for row in matched.about(item)]
                yield Path(name if apart else "") / sheet, image, [truth, *found]
            continue
        for item in items:
            if rows and not any(source == item.source for source, _ in rows):
                continue
            for number, path in enumerate(item.frames):
                place, row = Path(item.source, path.stem), rows.get((item.source, number))
                image, layers = read_frame(path), [recipe.judging.truth(item, number, about)]
                drawn += 1
                yield (
                    Path(name if apart else "") / place,
                    image,
                    layers if row is None else [*layers, _layers(recipe, row, image, place)],
                )
    if not drawn:
        raise InputError("no row belongs to a clip of this data", path=predictions, remedy="check --data")


def _whose(row: Any) -> str:
    """The image or the clip that a row is about; the ``source`` of a ball's row says how it was found."""
    return row.clip if hasattr(row, "clip") else row.source


def _frames(recipe: Recipe, predictions: Path, source: Path | None, damaged: Damaged) -> Iterator[Picture]:
    if source is None:
        raise InputError("the frames are not known", remedy="give --data, or --source VIDEO|FOLDER")
    rows = {row.frame: row for row in recipe.answering.read(predictions)}
    for frame in read_source(source, damaged=damaged):
        if frame.index not in rows:
            raise InputError(f"no row for frame {frame.index}", path=source, remedy="predict this video again")
        name = Path(f"frame_{frame.index:06d}")
        yield name, frame.image, [_layers(recipe, rows[frame.index], frame.image, name)]


def _images(recipe: Recipe, predictions: Path, folder: Path | None, *, whole: bool) -> Iterator[Picture]:
    """Rows on their images, ``whole`` as answers; the boxes of a photograph are drawn into one picture."""
    by_image: dict[Path, list[Any]] = {}
    find = _Finder(folder, predictions)
    for row in recipe.answering.read(predictions):
        by_image.setdefault(find(row), []).append(row)
    for path, rows in by_image.items():
        if len(sources := list(dict.fromkeys(row.source for row in rows))) > 1:
            reason = f"one image for the predictions of {' and of '.join(map(repr, sources))}"
            raise InputError(reason, path=path, remedy="give the folder that holds them all with --images")
    for name, (path, rows) in zip(sheets(list(by_image)), by_image.items(), strict=True):
        image = read_image(path)
        layers = [_layers(recipe, row, image, path) for row in rows]
        yield Path(name), image, [row.answer for row in rows] if whole else layers


class _Finder:
    """The images of rows: where the row says, in a folder or below it; without one beside the predictions."""

    def __init__(self, folder: Path | None, source: Path) -> None:
        self.folder, self.source = folder, source
        self._below: list[Path] | None = None

    def __call__(self, row: Any) -> Path:
        given = Path(row.source)
        near = [(self.folder or self.source.parent) / given.name, given]
        path = next((one for one in (near if given.name == row.source else near[::-1]) if one.is_file()), None)
        path = path or self._nearest(given, row)
        if is_video(path):
            remedy = "predict single images"
            raise InputError("frames of a video are not drawn", path=self.source, row=row.source, remedy=remedy)
        return path

    def _nearest(self, given: Path, row: Any) -> Path:
        """The image of the row's name below the folder whose path has most in common with it."""
        if self._below is None:
            self._below = []
            if self.folder is not None and self.folder.is_dir():
                self._below = [self.folder / name for name in images_below(self.folder)]
        named = [path for path in self._below if path.name == given.name]
        alike = [common(given, path) for path in named]
        best = [path for path, count in zip(named, alike, strict=True) if count == max(alike)]
        if len(best) == 1:
            return best[0]
        reason = f"the image {row.source!r} was not found"
        if best:
            reason = f"the image {row.source!r} may be {' or '.join(map(str, best))}"
        raise InputError(reason, path=self.source, remedy="give its folder with --images")
