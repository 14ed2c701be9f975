"""Kaname's own JSON of named points: predictions (``points.json``) and the labels of one image. No torch.

Both begin with ``{"format": "kaname-points", "version": 1, "coordinates": TEXT, ...}`` and hold continuous pixels of
the original image. A file of **predictions** goes on with ``"recipe", "model", "settings"``, the recipe's own fields
and ``"images": [ROW, ...]``, where a ROW is ``{"image": NAME, "size": [height, width], "points": {NAME: [[x, y], ...]},
"scores": {NAME: [s, ...]}}``. Where the answer has them it also holds ``"visible": {NAME: [0 | 1 | 2, ...]}`` and
``"ids": [...]``, one per instance. A point with visibility 0 is absent: ``[null, null]``. Rows of a video are named
``SOURCE#FRAME`` and hold ``frame`` (from 0) and ``seconds``; rows of boxes are named ``SOURCE#BOX`` and hold ``box``
(from 1); a frame with a file of its own holds ``file``.

A file of **labels** goes on with ``"image", "size", "points"`` and, where it is known, ``"visible"``.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.data.formats.files import read_json, write_json, write_listed
from kaname.data.formats.listed import once, read_listed
from kaname.errors import InputError
from kaname.geometry.image import image_size
from kaname.types import FloatArray, Points, Prediction, Sample, Size

FORMAT = "kaname-points"
VERSION = 1
COORDINATES = "continuous pixels of {}: (0, 0) is the top-left corner of the top-left pixel"
Visible = Mapping[str, NDArray[np.int64]]


def write(
    path: Path,
    rows: Iterable[Prediction],
    *,
    recipe: str,
    model: str,
    settings: Mapping[str, Any],
    **fields: Any,
) -> None:
    """Write a file of predictions; under its final name it is whole or not there.

    Args:
        path: usually ``points.json``.
        rows: predictions whose answers are ``Points``.
        recipe: its name.
        model: the model in a few words.
        settings: how points were found.
        fields: the recipe's own, such as ``sigma``.

    Raises:
        InputError: a coordinate or a score that is not finite (an absent point is NaN in x and y), or a full disk.
    """
    head = {**_head("the original image"), "recipe": recipe, "model": model, "settings": dict(settings)}
    write_listed(path, map(_row, rows), "images", {**head, **fields})


def read(path: Path, *, recipe: str, names: Sequence[str] | None = None, also: Sequence[str] = ()) -> list[Prediction]:
    """The rows of a file of predictions, in its order.

    Args:
        path: the file.
        recipe: whose predictions it must hold; a file that names none is taken for that recipe's.
        names: of the points that each row must have (others are left out); by default those of each row.
        also: names that a row may have besides.

    Raises:
        InputError: another kind of file, another recipe's, an image that appears twice, or not a prediction.
    """
    return list(_read(path, recipe, None if names is None else tuple(names), tuple(also)))


@once
def _read(path: Path, recipe: str, names: tuple[str, ...] | None, also: tuple[str, ...]) -> list[Prediction]:
    predictions: dict[str, Prediction] = {}
    faults: list[InputError] = []

    def add(number: int, entry: Any) -> None:
        where: dict[str, Any] = {"path": path, "row": f"image {number}", "remedy": "predict again"}
        try:
            prediction = _prediction(entry, names, also)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            what = f": it has no {error}" if isinstance(error, KeyError) else ""
            what = f": {str(error)[:80]}" if isinstance(error, ValueError) else what
            where["remedy"] = "predict again; a row has image, size [height, width], points and scores by name"
            raise InputError(f"not a prediction{what}", **where) from error
        answer = prediction.answer
        assert isinstance(answer, Points)
        wrong = None if _sound(answer) else _wrong(answer.xy, answer.visible)
        scores = answer.scores.whole if isinstance(answer.scores, Parts) else np.zeros(0)
        if wrong or not np.isfinite(scores).all():
            raise InputError(wrong or "a score is NaN or infinite", **where)
        name = row_name(prediction)
        if name in predictions:
            raise InputError(f"{name!r} appears twice", **where)
        predictions[name] = prediction

    def take(number: int, entry: Any) -> None:
        try:
            if not faults:
                add(number, entry)
        except InputError as error:  # to be said where the file as a whole is right
            faults.append(error)

    data = read_listed(path, "images", take)
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("images"), list):
        raise InputError("not a file of predictions", path=path, remedy=f"write it with `kaname {recipe} predict`")
    if data.get("version", VERSION) != VERSION:
        raise InputError(f"version {data['version']!r} of the format is not known", path=path, remedy="update kaname")
    if data.get("recipe", recipe) != recipe:
        reason = f"predictions of the recipe {data['recipe']!r}, not of {recipe!r}"
        raise InputError(reason, path=path, remedy="score them with its evaluate")
    for fault in faults:
        raise fault
    return list(predictions.values())


@once
def read_head(path: Path) -> Any:
    """What a file of predictions says of all its rows: its content with the first row alone, the others are None.

    Raises:
        InputError: it is not JSON.
    """
    return read_listed(path, "images", lambda number, entry: entry if number == 1 else None)


class Parts(Mapping[str, NDArray[Any]]):
    """Rows of arrays by name, in one array: of 28 points a face that is a tenth of the memory.

    Args:
        whole: of all names, in their order.
        spans: where each one's rows begin and end.
    """

    __slots__ = ("spans", "whole")

    def __init__(self, whole: NDArray[Any], spans: Mapping[str, tuple[int, int]]) -> None:
        self.whole, self.spans = whole, spans

    def __getitem__(self, name: str) -> NDArray[Any]:
        start, stop = self.spans[name]
        return self.whole[start:stop]

    def __iter__(self) -> Iterator[str]:
        return iter(self.spans)

    def __len__(self) -> int:
        return len(self.spans)


def together(
    named: Mapping[str, NDArray[Any]], like: Mapping[str, NDArray[Any]] | None = None, unknown: float = 0
) -> NDArray[Any]:
    """The rows of all names, one name after the other.

    Args:
        named: arrays by name.
        like: others whose names and lengths count; what ``named`` lacks of them is ``unknown``.
    """
    if isinstance(named, Parts) and (like is None or (isinstance(like, Parts) and like.spans == named.spans)):
        return named.whole
    wanted = named if like is None else like
    parts = [named[name] if name in named else np.full(len(one), unknown) for name, one in wanted.items()]
    return np.concatenate(parts) if parts else np.zeros(0)


@functools.lru_cache(maxsize=256)
def _spans(names: tuple[str, ...], counts: tuple[int, ...]) -> dict[str, tuple[int, int]]:
    ends = list(itertools.accumulate(counts))
    return {name: (end - count, end) for name, count, end in zip(names, counts, ends, strict=True)}


def row_name(prediction: Prediction) -> str:
    """How a file names a row: the source, then ``#FRAME`` and ``#BOX`` where there are several.

    >>> row_name(Prediction("a.mp4", Points({}, {}, (1, 1)), frame=3))
    'a.mp4#3'
    """
    numbers = [number for number in (prediction.frame, prediction.box) if number is not None]
    return "#".join([prediction.source, *map(str, numbers)])


def is_labels(content: Any) -> bool:
    """Whether the content of a JSON file is this format's."""
    return isinstance(content, dict) and content.get("format") == FORMAT


def write_labels(path: Path, sample: Sample) -> None:
    """Write the points of one image; ``sample.size`` must be known."""
    assert sample.size is not None
    visible = _visibility(sample.points, sample.visible) if sample.visible else {}
    content = {
        **_head("this image"),
        "image": sample.image.name,
        "size": list(sample.size),
        "points": {name: _pairs(xy) for name, xy in sample.points.items()},
        **({"visible": {name: one.tolist() for name, one in visible.items()}} if visible else {}),
    }
    write_json(path, content)


def read_labels(path: Path, image: Path, *, names: Sequence[str], remedy: str, content: Any = None) -> Sample:
    """The points of one image, each of ``names``, with ``(0, 2)`` where the file has none.

    Args:
        path: the file.
        image: that it must belong to.
        names: all that may be in it.
        remedy: what the user does about a bad file.
        content: of the file, where it has been read already.

    Raises:
        InputError: not such a file, unknown names, of another image or size, a point outside the image.
    """
    data = read_json(path) if content is None else content
    try:
        points = {name: _array(data["points"].get(name, [])) for name in names}
        given = data.get("visible", {})
        visible = {name: _flags(given[name], len(xy)) for name, xy in points.items() if name in given}
        unknown = sorted(set(data["points"]) - set(names))
        size = _size(data["size"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError("not a file of points", path=path, remedy=remedy) from error
    if unknown:
        reason = f"unknown names: {', '.join(map(repr, unknown))}"
        raise InputError(reason, path=path, remedy=f"known: {', '.join(names)}")
    if data.get("image") not in (None, image.name):
        reason = f"belongs to {data['image']!r}, not to {image.name!r}"
        raise InputError(reason, path=path, remedy="keep image and label together")
    true = image_size(image)
    if size != true:
        reason = f"written for an image of {size[1]} x {size[0]}, but {image.name!r} has {true[1]} x {true[0]}"
        raise InputError(reason, path=path, remedy=remedy)
    present = [xy[visible[name] > 0] if name in visible else xy for name, xy in points.items()]
    everything = np.concatenate([np.zeros((0, 2)), *present])
    if not ((everything >= 0) & (everything <= (size[1], size[0]))).all():  # NaN compares as False
        raise InputError(f"a point lies outside the image of {size[1]} x {size[0]}", path=path, remedy=remedy)
    wrong = _wrong(points, visible)
    if wrong:
        raise InputError(wrong, path=path, remedy=remedy)
    return Sample(image=image, points=points, visible=visible, size=size)


def _head(image: str) -> dict[str, Any]:
    return {"format": FORMAT, "version": VERSION, "coordinates": COORDINATES.format(image)}


def _row(prediction: Prediction) -> dict[str, Any]:
    points = prediction.answer
    assert isinstance(points, Points), "points.json holds points; masks go to masks.json"
    row: dict[str, Any] = {"image": row_name(prediction), "size": list(points.size)}
    row["points"] = {name: _pairs(xy) for name, xy in points.xy.items()}
    row["scores"] = {name: points.scores[name].tolist() for name in points.xy}
    if points.visible or any(np.isnan(xy).any() for xy in points.xy.values()):
        visible = _visibility(points.xy, points.visible)
        row["visible"] = {name: one.tolist() for name, one in visible.items()}
    if len(points.ids):
        row["ids"] = list(points.ids)
    if prediction.frame is not None:
        row |= {"frame": prediction.frame, "seconds": prediction.seconds}
    if prediction.box is not None:
        row["box"] = prediction.box
    return row | ({"file": prediction.file} if prediction.file else {})


def _prediction(entry: Any, names: Sequence[str] | None, also: Sequence[str]) -> Prediction:
    present = entry["points"]
    chosen = tuple(present) if names is None else (*names, *(name for name in also if name in present))
    xy = _parts(chosen, [entry["points"][name] for name in chosen], _array)
    scores = _parts(chosen, [entry["scores"][name] for name in chosen], _scores)
    given = entry.get("visible")
    visible: Any = {}
    if given is not None:
        visible = _parts(chosen, [_known_flags(given[name]) for name in chosen], _numbers)
        if visible.spans != xy.spans:
            raise ValueError("visibility is 0, 1 or 2, one per point")
    source, ids = entry["image"], entry.get("ids", [])
    if not isinstance(source, str):
        raise ValueError("image is the name of a file")
    if xy.spans != scores.spans:
        raise ValueError("scores has one number for each point")
    if not all(isinstance(one, (int, str)) for one in ids) or (
        ids and {len(ids)} != {stop - start for start, stop in xy.spans.values()}
    ):
        raise ValueError("ids has one entry per row")
    frame, box = (None if entry.get(key) is None else int(entry[key]) for key in ("frame", "box"))
    part = re.fullmatch(r"(.+\.\w+)#(\d+)", source)
    if part and box is None and frame is None:  # a part that does not say what it is
        box = int(part[2])
    for number in (box, frame):
        source = source if number is None else source.removesuffix(f"#{number}")
    return Prediction(
        source=source,
        answer=Points(xy=xy, scores=scores, size=_size(entry["size"]), visible=visible, ids=ids),
        frame=frame,
        seconds=float(entry.get("seconds", 0.0)),
        file=str(entry.get("file", "")),
        box=box,
    )


def _parts(names: tuple[str, ...], values: Sequence[Any], array: Callable[[Any], NDArray[Any]]) -> Parts:
    """Lists by name as one array; where they are not alike, ``array`` makes one of each, or says what is wrong."""
    counts = tuple(map(len, values))
    try:
        whole = array([one for value in values for one in value])
        if len(whole) == sum(counts):
            return Parts(whole, _spans(names, counts))
    except (TypeError, ValueError):  # such as [] for no point beside [[]]
        pass
    arrays = [array(value) for value in values]
    whole = np.concatenate(arrays) if arrays else array([])
    return Parts(whole, _spans(names, tuple(map(len, arrays))))


def _sound(points: Points) -> bool:
    """Whether every point that is there has a place, and no other has one: what `_wrong` says more exactly."""
    if not isinstance(points.xy, Parts):
        return False
    absent = points.visible.whole == 0 if isinstance(points.visible, Parts) else False
    finite, unknown = np.isfinite(points.xy.whole).all(axis=1), np.isnan(points.xy.whole).all(axis=1)
    return bool((finite | absent).all() and (unknown | np.logical_not(absent)).all())


def _wrong(points: Mapping[str, FloatArray], visible: Visible) -> str | None:
    for name, xy in points.items():
        absent = visible[name] == 0 if name in visible else False
        if not (np.isfinite(xy).all(axis=1) | absent).all():
            return f"a point {name!r} is NaN or infinite"
        if not (np.isnan(xy).all(axis=1) | np.logical_not(absent)).all():
            return f"a point {name!r} has coordinates but visibility 0"
    return None


def _visibility(points: Mapping[str, FloatArray], visible: Visible) -> dict[str, NDArray[np.int64]]:
    """For each name what is stated, else 2; 0 where the point is NaN."""
    return {
        name: np.where(np.isnan(xy).all(axis=-1), 0, visible.get(name, np.full(len(xy), 2))).astype(np.int64)
        for name, xy in points.items()
    }


def _pairs(xy: FloatArray) -> list[Any]:
    """For JSON: an absent point is ``[None, None]``."""
    pairs: list[Any] = np.asarray(xy, np.float64).tolist()
    for number in np.flatnonzero(np.isnan(xy).all(axis=-1)):
        pairs[number] = [None, None]
    return pairs


def _array(value: Any) -> FloatArray:
    """A list of ``[x, y]`` from JSON as ``(N, 2)``; ValueError or TypeError where it is something else."""
    array = np.array(value, dtype=np.float64)  # None becomes NaN
    if array.size == 0 and array.ndim <= 2:
        return np.zeros((0, 2))
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"points of shape {array.shape}")
    return array


def _scores(value: Any) -> FloatArray:
    return np.array(value, dtype=np.float64).reshape(-1)


def _numbers(value: Any) -> NDArray[np.int64]:
    return np.array(value, dtype=np.int64).reshape(-1)


def _known_flags(value: Any) -> Any:
    if any(one not in (0, 1, 2) for one in value):
        raise ValueError("visibility is 0, 1 or 2, one per point")
    return value


def _flags(value: Any, count: int) -> NDArray[np.int64]:
    if len(value) != count or any(one not in (0, 1, 2) for one in value):
        raise ValueError("visibility is 0, 1 or 2, one per point")
    return np.array(value, dtype=np.int64).reshape(-1)


def _size(value: Any) -> Size:
    height, width = (int(side) for side in value)
    if min(height, width) < 1:
        raise ValueError("a size is at least 1 x 1")
    return height, width
