"""Predicting files, exporting with the parity check, and drawing: what the verbs do after their words are read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kaname.config import from_dict
from kaname.data.formats.files import images_in, make_folder
from kaname.data.video import frames, is_video
from kaname.errors import InputError
from kaname.geometry.image import image_size, read_image, write_image
from kaname.progress import Bar
from kaname.recipes.gauge import CHANNELS, REFERENCE_SIZE
from kaname.recipes.gauge.config import ExtractSettings, GaugeConfig
from kaname.recipes.gauge.evaluate import lengths_of, reference_truth
from kaname.recipes.gauge.labels import Dial, image_files, letterbox, read, sets, truth_of
from kaname.recipes.gauge.predict import decoder, open_model, read_points, write_points
from kaname.recipes.gauge.prepare import read_boxes, refuse_without_box
from kaname.recipes.gauge.scoring import describe_model
from kaname.reporting import draw
from kaname.types import Points

if TYPE_CHECKING:
    from kaname.inference.export import Parity

Row = tuple[str, Points, Mapping[str, Any]]


def predict_sources(
    sources: list[Path], checkpoint: Path, out: Path, *, boxes: Path | None, changes: Mapping[str, Any], pictures: bool,
    device: str,
) -> None:  # fmt: skip
    """Predict images, folders and videos to ``out/points.json``, with a picture of each image in ``out/pictures``.

    With ``boxes`` every box of an image is a dial of its own (its number stands in the row as ``box``).
    """
    files = list({path.absolute(): path for path in _expand(sources)}.values())  # a path named twice is one answer
    if not files:
        raise InputError("no image to predict", remedy="name images, a folder or a video after the verb")
    for path in files:  # headers alone: a wrong file among thousands is found before the work, not after it
        if not is_video(path):
            image_size(path)
    by_name = {} if boxes is None else _boxes_by_name(boxes, files)
    model = open_model(checkpoint, runtime=device, extract=changes)
    names = _row_names(files)
    sheets = _picture_names(names)

    def rows() -> Iterator[Row]:
        with Bar("predicting", len(files)) as bar:
            for path, name, sheet in zip(files, names, sheets, strict=True):
                if is_video(path):
                    for frame, points in model.stream(frames(path)):
                        yield f"{name}#{frame.index}", points, {"frame": frame.index, "seconds": frame.seconds}
                    bar.advance()
                    continue
                image = read_image(path)
                found = model.predict(image, by_name.get(path))
                answers = found if isinstance(found, list) else [found]
                several = [one for one in answers if isinstance(one, Points)]  # an image's answer is never Tracks
                if pictures:
                    _draw(image, several, out / "pictures" / sheet)
                for number, points in enumerate(several, 1):
                    extra = {"box": number} if isinstance(found, list) else {}
                    yield (f"{name}#{number}" if extra else name), points, extra
                bar.advance()

    extract = {**model.card["config"]["extract"], **changes}
    sigma = float(model.card["config"]["sigma"])
    write_points(out / "points.json", rows(), model=describe_model(model), settings=extract, sigma=sigma)
    print(f"{len(files)} file(s) predicted with {describe_model(model)}; points in {out / 'points.json'}")


def export_checked(checkpoint: Path, out: Path, images: Path | None, count: int) -> Parity:
    """Export and check parity on the images of ``images`` or of the data the model was trained with."""
    from kaname.inference.export import check_request, export

    check_request(checkpoint, count, "an image")
    model = open_model(checkpoint, runtime="cpu")
    folder = images if images is not None else _own_images(Path(model.card["config"]["data"]))
    chosen = image_files(folder)
    step = max(1, len(chosen) // count)
    extract = from_dict(ExtractSettings, model.card["config"]["extract"])
    return export(
        model, [(path.name, read_image(path)) for path in chosen[::step][:count]], out,
        decode_at=lambda min_score: decoder(replace(extract, min_score=min_score)),
    )  # fmt: skip


def draw_all(out: Path, data: Path | None, predictions: Path | None, images: Path | None, limit: int) -> int:
    """Pictures of labels, of predictions, or of both; sets of a data folder go to folders of their own."""
    if limit < 0:
        raise InputError(f"--limit must not be negative, got {limit}", remedy="0 draws all")
    found = {} if predictions is None else read_points(predictions)
    bandwidth = ExtractSettings().bandwidth if predictions is None else lengths_of(predictions)[0]
    if data is not None:
        folders = sets(data)
        chosen = [
            (Path(name if len(folders) > 1 else "") / dial.name, dial.image, _layers(dial, found, bandwidth))
            for name, folder in folders.items() for dial in read(folder, allow_missing=True)
        ]  # fmt: skip
    else:
        assert predictions is not None
        chosen = _predicted(found, images or predictions.parent, predictions)
    for name, image, layers in chosen[: limit or None]:
        make_folder((out / name).parent)
        write_image(out / f"{name}.jpg", draw.points_overlay(read_image(image), layers))
    return len(chosen[: limit or None])


def _layers(dial: Dial, found: Mapping[str, Points], bandwidth: float) -> dict[str, np.ndarray]:
    if dial.points is None:
        size = image_size(dial.image)
        back = letterbox(size, REFERENCE_SIZE).inverse()
        # Without points a dial has heatmaps, so that no sigma is needed to draw them.
        known = reference_truth(dial, size, truth="heatmap", bandwidth=bandwidth, sigma=GaugeConfig().sigma)[0]
        truth = {name: back.points(known[name]) for name in CHANNELS}
    else:
        truth = truth_of(dial)
    layers = {f"true {name}": truth[name] for name in CHANNELS}
    points = found.get(dial.image.name, found.get(dial.image.as_posix()))
    if points is not None and points.size != image_size(dial.image):
        raise InputError(
            f"predicted on an image of {points.size[1]} x {points.size[0]}", path=dial.image, remedy="predict it again"
        )
    return layers if points is None else layers | {name: points.xy[name] for name in CHANNELS}


def _predicted(
    found: Mapping[str, Points], folder: Path, source: Path
) -> list[tuple[Path, Path, dict[str, np.ndarray]]]:
    """The images of a file of predictions; the boxes of a photograph are drawn into one picture."""
    layers: dict[Path, dict[str, np.ndarray]] = {}
    for name, points in found.items():
        image = _beside(folder, name, source)
        if points.size != image_size(image):
            raise InputError(
                f"predicted on an image of {points.size[1]} x {points.size[0]}", path=image, remedy="predict it again"
            )
        known = layers.setdefault(image, {})
        for channel in CHANNELS:
            known[channel] = np.concatenate([known.get(channel, np.zeros((0, 2))), points.xy[channel]])
    names = _picture_names([path.name for path in layers])
    names = names if len(set(names)) == len(names) else _picture_names([path.as_posix() for path in layers])
    return [(Path(name).with_suffix(""), *entry) for name, entry in zip(names, layers.items(), strict=True)]


def _beside(folder: Path, name: str, source: Path) -> Path:
    whole = name.rpartition("#")[0]  # of a box or of a frame
    names = [name, whole] if whole else [name]
    for path in (place for each in names for place in (folder / Path(each).name, Path(each))):
        if path.is_file():
            if is_video(path):
                raise InputError(
                    "frames of a video are not drawn", path=source, row=name, remedy="predict single images"
                )
            return path
    raise InputError(f"the image {name!r} was not found", path=source, remedy="give its folder with --images")


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
            taken = image_files(source)
            left = images_in(source)[1]
            if left:
                print(f"left out of {source}, no images by their names: {', '.join(left)}")
            yield from taken
        elif source.is_file():
            yield source
        else:
            raise InputError("there is no such file", path=source, remedy="check the path")


def _row_names(files: list[Path]) -> list[str]:
    """Base names where they are unique, else the paths as given."""
    names = [path.name for path in files]
    return names if len(set(names)) == len(names) else [path.as_posix() for path in files]


def _picture_names(names: list[str]) -> list[str]:
    """A .jpg for each row's name; images that differ in their ending alone keep it in the picture's name."""
    flat = [name.strip("/").replace("/", "_") for name in names]
    stems = [Path(name).stem for name in flat]
    found: list[str] = []
    for stem, name in zip(stems, flat, strict=True):
        wanted = stem if stems.count(stem) == 1 else name
        numbers = (f"{wanted}_{number}" for number in itertools.count(2))
        found.append(next(one for one in itertools.chain([wanted], numbers) if one not in found))
    return [f"{name}.jpg" for name in found]


def _boxes_by_name(boxes: Path, files: list[Path]) -> dict[Path, np.ndarray]:
    found: dict[Path, np.ndarray] = {}
    for path in files:
        if is_video(path):
            raise InputError(
                "boxes belong to photographs, not to a video", path=path, remedy="predict it without --boxes"
            )
    for folder in dict.fromkeys(path.parent for path in files):
        inside = [path for path in files if path.parent == folder]
        known = {sample.image.resolve(): sample.boxes for sample in read_boxes(boxes, folder, only=inside)}
        found |= {path: known[path.resolve()] for path in inside if path.resolve() in known}
    refuse_without_box([path.name for path in files if path not in found], boxes)
    return found


def _draw(image: np.ndarray, found: list[Points], path: Path) -> None:
    make_folder(path.parent)
    layers = {name: np.concatenate([points.xy[name] for points in found]) for name in CHANNELS}
    write_image(path, draw.points_overlay(image, layers))
