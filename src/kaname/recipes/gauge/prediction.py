"""Predicting files, exporting with the parity check, and drawing: what the verbs do after their words are read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kaname.data.video import frames, is_video
from kaname.engine import draw
from kaname.engine.progress import Bar
from kaname.errors import InputError
from kaname.geometry.image import read_image, write_image
from kaname.recipes.gauge import CHANNELS
from kaname.recipes.gauge.labels import IMAGE_ENDINGS, Dial, image_files, read, sets, truth_of
from kaname.recipes.gauge.predict import open_model, read_points, write_points
from kaname.recipes.gauge.prepare import read_boxes
from kaname.recipes.gauge.scoring import describe_model
from kaname.types import Points

if TYPE_CHECKING:
    from kaname.engine.export import Parity

Row = tuple[str, Points, Mapping[str, Any]]


def predict_sources(
    sources: list[Path], checkpoint: Path, out: Path, *, boxes: Path | None, changes: Mapping[str, Any], pictures: bool,
    device: str,
) -> None:  # fmt: skip
    """Predict images, folders and videos to ``out/points.json``, with a picture of each image in ``out/pictures``.

    With ``boxes`` every box of an image is a dial of its own (its number stands in the row as ``box``).
    """
    files = list(_expand(sources))
    if not files:
        raise InputError("no image to predict", remedy="name images, a folder or a video after the verb")
    by_name = {} if boxes is None else _boxes_by_name(boxes, files)
    model = open_model(checkpoint, runtime=device, extract=changes)
    names = _row_names(files)

    def rows() -> Iterator[Row]:
        with Bar("predicting", len(files)) as bar:
            for path, name in zip(files, names, strict=True):
                if is_video(path):
                    for frame, points in model.stream(frames(path)):
                        yield f"{name}#{frame.index}", points, {"frame": frame.index, "seconds": frame.seconds}
                    continue
                image = read_image(path)
                found = model.predict(image, by_name.get(path))
                several = found if isinstance(found, list) else [found]
                if pictures:
                    _draw(image, several, out / "pictures" / f"{Path(name).with_suffix('')}.jpg".replace(os.sep, "_"))
                for number, points in enumerate(several, 1):
                    extra = {"box": number} if isinstance(found, list) else {}
                    yield (f"{name}#{number}" if extra else name), points, extra
                bar.advance()

    extract = {**model.card["config"]["extract"], **changes}
    write_points(out / "points.json", rows(), model=describe_model(model), settings=extract)
    print(f"{len(files)} file(s) predicted with {describe_model(model)}; points in {out / 'points.json'}")


def export_checked(checkpoint: Path, out: Path, images: Path | None, count: int) -> Parity:
    """Export and check parity on the images of ``images`` or of the data the model was trained with."""
    from kaname.engine.export import export

    if count < 1:
        raise InputError(f"--count must be at least 1, got {count}", remedy="the parity check needs an image")
    model = open_model(checkpoint, runtime="cpu")
    folder = images if images is not None else _own_images(Path(model.card["config"]["data"]))
    chosen = image_files(folder)
    step = max(1, len(chosen) // count)
    return export(model, [(path.name, read_image(path)) for path in chosen[::step][:count]], out)


def draw_all(out: Path, data: Path | None, predictions: Path | None, images: Path | None, limit: int) -> int:
    """Pictures of labels, of predictions, or of both on one image (labels as circles' colours of their own)."""
    found = {} if predictions is None else read_points(predictions)
    dials = [] if data is None else [dial for folder in sets(data).values() for dial in read(folder, allow_missing=True)]
    if not dials:
        folder = images or predictions.parent if predictions is not None else images
        assert folder is not None
        dials = [Dial(_beside(folder, name, predictions), None, None) for name in found]
    out.mkdir(parents=True, exist_ok=True)
    for dial in dials[: limit or None]:
        image = read_image(dial.image)
        layers: dict[str, np.ndarray] = {}
        if dial.points is not None:
            layers |= {f"true {name}": xy for name, xy in truth_of(dial).items()}
        if dial.image.name in found or str(dial.image) in found:
            points = found.get(dial.image.name, found.get(str(dial.image)))
            assert points is not None
            layers |= {name: points.xy[name] for name in CHANNELS}
        write_image(out / f"{dial.name}.jpg", draw.points_overlay(image, layers))
    return len(dials[: limit or None])


def _beside(folder: Path, name: str, predictions: Path | None) -> Path:
    for path in (Path(name), folder / Path(name).name):
        if path.is_file():
            return path
    raise InputError(f"the image {name!r} was not found", path=predictions, remedy="give its folder with --images")


def _own_images(data: Path) -> Path:
    try:
        found = sets(data)
    except InputError as error:
        raise InputError(
            "the data this model was trained with is gone, and the parity check needs images", path=data,
            remedy="give a folder of your images with --images",
        ) from error  # fmt: skip
    return found.get("val", next(iter(found.values()))) / "images"


def _expand(sources: list[Path]) -> Iterator[Path]:
    for source in sources:
        if source.is_dir():
            yield from image_files(source)
        elif source.is_file() or source.suffix.lower() in IMAGE_ENDINGS:
            yield source
        else:
            raise InputError("does not exist", path=source, remedy="check the path")


def _row_names(files: list[Path]) -> list[str]:
    """Base names where they are unique, else the paths as given."""
    names = [path.name for path in files]
    return names if len(set(names)) == len(names) else [path.as_posix() for path in files]


def _boxes_by_name(boxes: Path, files: list[Path]) -> dict[Path, np.ndarray]:
    found: dict[Path, np.ndarray] = {}
    for folder in {path.parent for path in files}:
        known = {sample.image.resolve(): sample.boxes for sample in read_boxes(boxes, folder)}
        found |= {path: known[path.resolve()] for path in files if path.resolve() in known}
    for path in files:
        if path not in found and not is_video(path):
            raise InputError(f"no box for {path.name}", path=boxes, remedy="draw a rectangle round its dial")
    return found


def _draw(image: np.ndarray, found: list[Points], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    layers = {name: np.concatenate([points.xy[name] for points in found]) for name in ("middle", "start", "end")}
    write_image(path, draw.points_overlay(image, layers))
