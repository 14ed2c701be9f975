"""One task of a Label Studio export on its way to a ``Sample``, and everything that can be wrong with it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from kaname.data.formats.files import IMAGE_ENDINGS, Folder, is_number, tails
from kaname.errors import InputError
from kaname.geometry.image import image_size
from kaname.types import Sample, Size

VISIBLE = 2  # Label Studio does not know hidden points
EXPORT = "export the project from Label Studio as JSON"
SHAPES = ("keypointlabels", "rectanglelabels")
BARE = ("keypoint", "rectangle")  # a shape whose label stands in a result of its own
_PREFIX = re.compile(r"[0-9a-f]{8}-")  # what an upload puts before the file's name
_ROUNDING = 1e-6  # percent by which the edge may be overstepped through rounding


@dataclass(frozen=True)
class _Mark:
    """A point or a box in pixels, with its label."""

    label: str
    values: tuple[float, ...]


class TaskReader:
    """One task on its way to a sample; ``faults`` collects what is wrong with it."""

    def __init__(
        self,
        path: Path,
        task: Any,
        position: int,
        folders: Sequence[Folder],
        names: Mapping[str, str] | None,
        annotator: int | str | None,
        *,
        required: bool,
    ) -> None:
        self.required = required  # whether the image has to be there
        self.path, self.task, self.folders, self.names, self.annotator = path, task, folders, names, annotator
        known = isinstance(task, dict) and isinstance(task.get("id"), (int, str))
        self.row = f"task {task['id']}" if known else f"task at position {position}"
        self.faults: list[InputError] = []
        self.ignored: Counter[str] = Counter()
        self.bare: dict[str, str] = {}  # shapes by the id that they share with the result that holds their label
        self.labelled: set[str] = set()
        self.cancelled = 0
        self.unknown: Counter[str] = Counter()
        self.size: Size | None = None
        self.source: str | None = None  # the image as the export names it
        self.image: Path | None = None

    def fault(self, reason: str, remedy: str | None = None) -> InputError:
        """An error about this task."""
        return InputError(reason, path=self.path, row=self.row, remedy=remedy)

    def wrong(self, reason: str, remedy: str | None = None) -> None:
        """Note that something is wrong, and go on."""
        self.faults.append(self.fault(reason, remedy))

    def sample(self) -> Sample | None:
        """The sample; None where not even an image is known. To be trusted only without faults."""
        if not isinstance(self.task, dict):
            self.wrong(f"not a task but {kind_of(self.task)}", EXPORT)
            return None
        self.source = source = self._source()
        self.image = image = None if source is None else self._image(source)
        annotation = self._annotation()
        marks = [] if annotation is None else [mark for mark in map(self._mark, self._results(annotation)) if mark]
        for number, kind in self.bare.items():
            if number not in self.labelled:
                self.ignored[f"{kind} without a label"] += 1
        if self.unknown:
            known = ", ".join(sorted(set(self.names or ())))
            seen = ", ".join(f"{label!r} ({count})" for label, count in sorted(self.unknown.items()))
            self.wrong(f"unknown labels: {seen}", f"known, in any case: {known}")
        if image is None or source is None:
            return None
        self._compare_size(image)
        points: dict[str, list[tuple[float, ...]]] = {}
        for mark in marks:
            if len(mark.values) == 2:
                points.setdefault(mark.label, []).append(mark.values)
        boxes = [mark for mark in marks if len(mark.values) == 4]
        return Sample(
            image=image,
            points={name: np.array(values, dtype=np.float64) for name, values in points.items()},
            visible={name: np.full(len(values), VISIBLE, dtype=np.int64) for name, values in points.items()},
            size=self.size,
            boxes=np.array([mark.values for mark in boxes], dtype=np.float64).reshape(-1, 4),
            polygons=[[] for _ in boxes],
            labels=[mark.label for mark in boxes],
            meta={
                "task": self.task.get("id"),
                "annotator": None if annotation is None else _person(annotation),
                "file": source,
                "cancelled": self.cancelled,
                "ignored": dict(self.ignored),
            },
        )

    def _source(self) -> str | None:
        """The image as the export names it."""
        data = self.task.get("data")
        if not isinstance(data, dict):
            self.wrong("the task has no data", EXPORT)
            return None
        for key in ("img", "image"):
            if isinstance(data.get(key), str) and data[key].strip():
                return data[key]
        others = [value for value in data.values() if isinstance(value, str) and looks_like_image(value)]
        if len(others) == 1:
            return others[0]
        keys = ", ".join(map(str, data)) or "nothing"
        self.wrong(f"the task names {'several images' if others else 'no image'}; data holds {keys}", "use data.image")
        return None

    def _image(self, source: str) -> Path | None:
        names = file_names(source)
        for folder in self.folders:
            if (found := folder.find(names)) is not None:
                return found
        if not self.required:
            return Path(local_name(source))
        tried = " and ".join(repr(name) for name in dict.fromkeys(name.rsplit("/", 1)[-1] for name in names))
        self.wrong(f"image {source!r} is missing", f"looked for {tried} in {self.folders[0].path}")
        return None

    def _annotation(self) -> dict[str, Any] | None:
        """The one annotation that counts."""
        given = self.task.get("annotations", self.task.get("completions"))
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            self.wrong("the task has no list of annotations", EXPORT)
            return None
        valid = [one for one in given if not one.get("was_cancelled")]
        self.cancelled = len(given) - len(valid)
        if not valid:
            reason = "its only annotation was cancelled" if given else "the task is not annotated"
            self.wrong(reason, "annotate it, or take it out of the export")
            return None
        if self.annotator is not None:
            chosen = [one for one in valid if str(self.annotator) in _identities(one)]
            if len(chosen) != 1:
                people = ", ".join(str(_person(one)) for one in valid)
                count = f"{len(chosen)} annotations" if chosen else "no annotation"
                self.wrong(f"{count} by annotator {self.annotator}; annotated by {people}", "choose another annotator")
                return None
            return chosen[0]
        if len(valid) > 1:
            people = ", ".join(str(_person(one)) for one in valid)
            self.wrong(
                f"{len(valid)} annotations, by {people}",
                "choose one (gauge: --annotator of heatmaps and crop), or delete the others",
            )
            return None
        return valid[0]

    def _results(self, annotation: dict[str, Any]) -> list[dict[str, Any]]:
        results = annotation.get("result")
        if not isinstance(results, list) or not all(isinstance(one, dict) for one in results):
            self.wrong("the annotation has no list of results", EXPORT)
            return []
        return results

    def _mark(self, result: dict[str, Any]) -> _Mark | None:
        """The point or box of one result; None where it is another kind, or wrong."""
        value, kind = result.get("value"), _kind_of_result(result)
        if kind is None:
            if result.get("type") in BARE:
                self.bare[str(result.get("id"))] = str(result["type"])
            else:
                self.ignored[str(result.get("type"))] += 1
            return None
        self.labelled.add(str(result.get("id")))
        what = "key point" if kind == "keypointlabels" else "rectangle"
        if not isinstance(value, dict):
            self.wrong(f"a {what} has no value", EXPORT)
            return None
        labels = value.get(kind, value.get("labels"))
        if not isinstance(labels, list) or len(labels) != 1 or not isinstance(labels[0], str):
            count = f"{len(labels)} labels" if isinstance(labels, list) else "no label"
            self.wrong(f"a {what} has {count}", "give it exactly one")
            return None
        label = labels[0] if kind == "rectanglelabels" else self._name(labels[0])
        if result.get("image_rotation", 0) not in (0, None):
            self.wrong(
                f"the image was rotated by {result['image_rotation']} degrees in Label Studio",
                "rotate the image file itself and annotate it unrotated",
            )
            return None
        size, percent = self._original_size(result), self._percent(value, what, label or labels[0])
        if size is None or percent is None or label is None:
            return None
        height, width = size
        if kind == "keypointlabels":
            return _Mark(label, (percent[0] * width / 100, percent[1] * height / 100))
        left, top, across, down = percent
        x, y = left * width / 100, top * height / 100
        return _Mark(label, (x, y, x + across * width / 100, y + down * height / 100))

    def _name(self, label: str) -> str | None:
        """The name wanted for a key point's label; None (and noted) where it is unknown."""
        if self.names is None:
            return label
        name = self.names.get(label.strip().lower())
        if name is None:
            self.unknown[label] += 1
        return name

    def _original_size(self, result: dict[str, Any]) -> Size | None:
        """The size that the result states; all results of a task must state the same."""
        width, height = result.get("original_width"), result.get("original_height")
        across, down = _whole(width), _whole(height)
        if across is None or down is None:
            self.wrong(f"original_width and original_height are {width!r} and {height!r}", EXPORT)
            return None
        size = (down, across)
        if self.size is None:
            self.size = size
        if size != self.size:
            self.wrong(
                f"results of one image state different sizes: {self.size[1]} x {self.size[0]} and {width} x {height}",
                "annotate the task again",
            )
            return None
        return size

    def _percent(self, value: dict[str, Any], what: str, label: str) -> tuple[float, ...] | None:
        """x, y (and width, height of a rectangle) in 0..100."""
        keys = ("x", "y") if what == "key point" else ("x", "y", "width", "height")
        numbers = [value.get(key) for key in keys]
        if not all(is_number(number) for number in numbers):
            stated = ", ".join(f"{key} {number!r}" for key, number in zip(keys, numbers, strict=True))
            self.wrong(f"the {what} {label!r} has {stated}", EXPORT)
            return None
        if what == "rectangle" and is_number(value.get("rotation")) and value["rotation"] % 360:
            self.wrong(f"the rectangle {label!r} is rotated by {value['rotation']} degrees", "draw it upright")
            return None
        found = tuple(float(value[key]) for key in keys)
        ends = (*found[:2], *(found[axis] + found[axis + 2] for axis in range(len(found) - 2)), *found[2:])
        if not all(-_ROUNDING <= end <= 100 + _ROUNDING for end in ends):
            stated = ", ".join(f"{key} {number:g}" for key, number in zip(keys, found, strict=True))
            self.wrong(f"the {what} {label!r} lies outside the image: {stated} (percent)", "move it inside")
            return None
        return found

    def _compare_size(self, image: Path) -> None:
        """The image itself must have the size that was annotated; without annotations its size is taken."""
        if not image.is_file():
            return
        try:
            true = image_size(image)
        except InputError as error:
            self.wrong(f"{image.name!r}: {error.reason}", error.remedy)
            return
        if self.size is not None and self.size != true:
            self.wrong(
                f"annotated at {self.size[1]} x {self.size[0]}, but {image.name!r} has {true[1]} x {true[0]}",
                "put the image that was annotated there",
            )
        self.size = true


def _kind_of_result(result: Mapping[str, Any]) -> str | None:
    """``keypointlabels`` or ``rectanglelabels``, by the type that is stated or else by what the value holds.

    Projects that keep shapes and labels apart export ``labels`` with the place in it.
    """
    stated, value = result.get("type"), result.get("value")
    if stated in SHAPES or not isinstance(value, dict):
        return stated if stated in SHAPES else None
    named = next((kind for kind in SHAPES if kind in value), None)
    if named is None and "labels" in value and {"x", "y"} <= value.keys():
        if {"width", "height"} <= value.keys():
            named = "rectanglelabels"
        elif not {"radiusX", "points", "height"} & value.keys():
            named = "keypointlabels"
    return named if stated in (None, "labels") else None


def file_names(source: str) -> list[str]:
    """The names that an image may have locally, the likeliest first, with ``/`` between folders.

    An upload is kept as ``<8 hexadecimal digits>-<name>``; other tools put other prefixes before the first ``-``.

    >>> file_names("/data/upload/1/222ae49e-my-dial.jpg")[:2]
    ['my-dial.jpg', '222ae49e-my-dial.jpg']
    >>> file_names("/data/local-files/?d=dials/a.jpg")
    ['dials/a.jpg', 'a.jpg']
    """
    upload = "/upload/" in source
    # As it stands first, then with %20 and the like decoded: either may be the true name.
    found = [name for raw in dict.fromkeys([_path_of(source), unquote(_path_of(source))]) for name in tails(raw)]
    # Longer paths say more, but an upload's folders are the server's own.
    found.sort(key=lambda name: name.count("/") if upload else -name.count("/"))
    names: list[str] = []
    for name in found:
        folders, slash, base = name.rpartition("/")
        short = base.partition("-")[2]
        pair = [name, f"{folders}{slash}{short}"] if short else [name]
        names += pair[::-1] if upload else pair
    return list(dict.fromkeys(names))


def local_name(source: str) -> str:
    """The likeliest name of an image's file, where no folder can be looked into.

    >>> local_name("222ae49e-my-dial.jpg"), local_name("my-dial.jpg")
    ('my-dial.jpg', 'my-dial.jpg')
    """
    base = unquote(_path_of(source)).replace("\\", "/").rstrip("/").rpartition("/")[2]
    prefixed = "/upload/" in source or _PREFIX.match(base) is not None
    return base.partition("-")[2] or base if prefixed else base


def _path_of(source: str) -> str:
    """The path of a file name or of an address: without scheme, host and query; of local files the ``d=`` part."""
    source = source.strip()
    if "/local-files/" in source and "?" in source:
        given = parse_qs(source.partition("?")[2]).get("d")
        if given:
            return given[0]
    if "://" in source:
        return urlsplit(source).path
    # A name may hold "?" or "#" itself; what looks like a query behind an image's ending is one.
    query = re.search(r"(\.\w{2,5})\?[\w.~%-]+=", source)
    return source[: query.end(1)] if query else source


def looks_like_image(value: str) -> bool:
    """Whether a text names an image file."""
    return _path_of(value).lower().endswith(IMAGE_ENDINGS)


def kind_of(value: object) -> str:
    """A JSON value's kind, for messages."""
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return kinds.get(type(value), "a number")


def _whole(value: Any) -> int | None:
    """A number of pixels, 1 or more; None for anything else."""
    return int(value) if is_number(value) and value >= 1 and value == int(value) else None


def _person(annotation: Mapping[str, Any]) -> int | str | None:
    """Who annotated: the e-mail where it is known, else the id."""
    person = annotation.get("completed_by")
    if isinstance(person, Mapping):
        person = person.get("email") or person.get("id")
    return person if isinstance(person, (int, str)) else None


def _identities(annotation: Mapping[str, Any]) -> set[str]:
    """Everything by which an annotator may be called."""
    person = annotation.get("completed_by")
    values = [person.get("email"), person.get("id")] if isinstance(person, Mapping) else [person]
    return {str(value) for value in values if value is not None}
