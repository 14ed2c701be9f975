"""One task of a Label Studio export on its way to a ``Sample``, and everything that can be wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from kaname.data.formats.files import Folder, is_number, size_remedy
from kaname.data.formats.labelstudio_names import cut_from, file_names, images_of, key_of, local_name
from kaname.errors import InputError
from kaname.geometry.image import image_size
from kaname.types import Sample, Size

Value = TypeVar("Value")
EXPORT = "export the project from Label Studio as JSON"
POINT, BOX = SHAPES = ("keypointlabels", "rectanglelabels")
BARE = ("keypoint", "rectangle")  # shapes whose labels are results of their own
HIDDEN = ("hidden", "occluded")  # choices of a key point's own (perRegion), in any case
_ROUNDING = 1e-6  # percent by which rounding may overstep the edge


class Mark(NamedTuple):
    """A point (x, y) or a box (x1, y1, x2, y2) in pixels, with the results' ids of itself and of what it is part of."""

    label: str
    place: tuple[float, ...]
    key: str
    parent: str


class TaskReader:
    """One task on its way to a sample.

    Attributes:
        row: how messages name the task.
        faults: everything that is wrong with it.
        source: the image as the export names it.
        image: its file.
    """

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
        self.path, self.task, self.folders, self.names, self.annotator = path, task, folders, names, annotator
        self.required = required  # whether the image has to be there
        known = isinstance(task, dict) and isinstance(task.get("id"), (int, str))
        self.row = f"task {task['id']}" if known else f"task at position {position}"
        self.faults: list[InputError] = []
        self.source: str | None = None
        self.image: Path | None = None
        self.size: Size | None = None
        self.cancelled = self.passed_over = 0
        self.ignored: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        self.bare: dict[str, str] = {}  # shapes by the id that they share with the result that holds their label
        self.labelled: set[str] = set()
        self.hidden: set[str] = set()  # results of which a choice says so
        self.annotation: dict[str, Any] | None = None
        if not isinstance(task, dict):
            self.faults.append(self.fault(f"not a task but {kind_of(task)}", EXPORT))
            return
        self.annotation, wrong = self._noted(self._annotation), [*self.faults]
        self.faults.clear()  # of the image first
        self.source = self._noted(self._source)
        self.image = None if self.source is None else self._noted(self._image, self.source)
        self.faults += wrong

    def fault(self, reason: str, remedy: str | None = None) -> InputError:
        """An error about this task."""
        return InputError(reason, path=self.path, row=self.row, remedy=remedy)

    def sample(self) -> Sample | None:
        """The sample; None where not even an image is known. To be trusted only without faults."""
        if not isinstance(self.task, dict):
            return None
        self._noted(self._one_image)
        annotation = self.annotation
        results = None if annotation is None else self._noted(self._results, annotation)
        marks = [mark for result in results or () if (mark := self._noted(self._mark, result))]
        self.ignored.update("choices" for key in self.hidden if key not in {mark.key for mark in marks})
        self.ignored.update(f"{kind} without a label" for key, kind in self.bare.items() if key not in self.labelled)
        if self.unknown:
            known = ", ".join(sorted(set(self.names or ())))
            seen = ", ".join(f"{label!r} ({count})" for label, count in sorted(self.unknown.items()))
            self.faults.append(self.fault(f"unknown labels: {seen}", f"known, in upper or lower case: {known}"))
        if self.image is None:
            return None
        self._noted(self._compare_size, self.image)
        boxes = [mark for mark in marks if len(mark.place) == 4]
        points: dict[str, list[Mark]] = {}
        for mark in marks:
            if len(mark.place) == 2:
                points.setdefault(mark.label, []).append(mark)
        return Sample(
            image=self.image,
            points={name: np.array([mark.place for mark in group]) for name, group in points.items()},
            visible={
                name: np.array([1 if mark.key in self.hidden else 2 for mark in group], dtype=np.int64)
                for name, group in points.items()
            },
            size=self.size,
            boxes=np.array([mark.place for mark in boxes], dtype=np.float64).reshape(-1, 4),
            polygons=[[] for _ in boxes],
            labels=[mark.label for mark in boxes],
            meta={
                "task": self.task.get("id"),
                "annotator": _person(annotation or {}),
                "file": self.source,
                "cancelled": self.cancelled,
                **({"passed_over": self.passed_over} if self.passed_over else {}),
                **({"cut": cut} if (cut := cut_from(str(self.source), self.image.name)) else {}),
                "ignored": dict(self.ignored),
                **_parents(points, boxes),
            },
        )

    def _noted(self, step: Callable[..., Value], *values: Any) -> Value | None:
        """The result of a step; None where something is wrong, which is noted, of many results once."""
        try:
            return step(*values)
        except InputError as error:
            if str(error) not in map(str, self.faults):
                self.faults.append(error)
            return None

    def _source(self) -> str:
        """The image as the export names it."""
        data = self.task.get("data")
        if not isinstance(data, dict):
            remedy = f"{EXPORT}, not as JSON-MIN" if "annotation_id" in self.task else EXPORT
            raise self.fault("the task has no data", remedy)
        known = images_of(data)
        if len(known) == 1:
            return next(iter(known.values()))
        if not known:
            raise self.fault(
                f"the task names no image; data has {', '.join(map(str, data)) or 'nothing'}", "use data.image"
            )
        targets = {str(one["to_name"]) for one in self._marks() if one.get("to_name") is not None}
        key = key_of(targets.pop() if len(targets) == 1 else None, known)
        if key is not None:
            return known[key]
        called = ", ".join(known)
        reason = f"the task names several images ({called}), and which one its results are on is not said"
        raise self.fault(reason, "call the Image tag like its data, or export a task for each image")

    def _marks(self) -> list[dict[str, Any]]:
        """The results that are points and boxes."""
        results = (self.annotation or {}).get("result")
        return (
            [one for one in results if isinstance(one, dict) and _kind_of_result(one)]
            if isinstance(results, list)
            else []
        )

    def _one_image(self) -> None:
        """Refuse results on several images, whose places would all be taken for places on one."""
        on = Counter(_target(one) for one in self._marks())
        if len(on) > 1 or any(one.get("item_index") for one in self._marks()):
            listed = ", ".join(f"{name} ({count})" for name, count in sorted(on.items()))
            raise self.fault(f"results on several images: {listed}", "export a task for each image")

    def _image(self, source: str) -> Path:
        names = file_names(source)
        for folder in self.folders:
            if (image := folder.find(names)) is not None:
                return image
        if not self.required:
            return Path(local_name(source))
        tried = " and ".join(repr(name) for name in dict.fromkeys(name.rsplit("/", 1)[-1] for name in names))
        raise self.fault(f"image {source!r} is missing", f"looked for {tried} in {self.folders[0].path}")

    def _annotation(self) -> dict[str, Any]:
        """The one annotation that counts."""
        given = self.task.get("annotations", self.task.get("completions"))
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            raise self.fault("the task has no list of annotations", EXPORT)
        valid = [one for one in given if not one.get("was_cancelled")]
        people = ", ".join(str(_person(one)) for one in valid)
        self.cancelled = len(given) - len(valid)
        if not valid:
            reason = "its only annotation was cancelled" if given else "the task is not annotated"
            raise self.fault(reason, "annotate it, or take it out of the export")
        if self.annotator is not None:
            valid = [one for one in valid if str(self.annotator) in _identities(one)]
            if not valid:
                reason = f"no annotation by annotator {self.annotator}; annotated by {people}"
                raise self.fault(reason, "choose another annotator")
        chosen = _chosen(valid)
        self.passed_over = len(valid) - len(chosen)
        valid = chosen
        if len(valid) > 1:
            remedy = (
                "choose one (gauge: --annotator of heatmaps and crop), mark one as ground truth, or delete the others"
            )
            raise self.fault(f"{len(valid)} annotations, by {people}", remedy)
        return valid[0]

    def _results(self, annotation: dict[str, Any]) -> list[dict[str, Any]]:
        results = annotation.get("result")
        if not isinstance(results, list) or not all(isinstance(one, dict) for one in results):
            raise self.fault("the annotation has no list of results", EXPORT)
        return results

    def _mark(self, result: dict[str, Any]) -> Mark | None:
        """One result: a point or a box; None for other kinds."""
        value, kind = result.get("value"), _kind_of_result(result)
        if kind is None:
            if _says_hidden(result):
                self.hidden.add(str(result.get("id")))
            elif result.get("type") in BARE:
                self.bare[str(result.get("id"))] = str(result["type"])
            else:
                self.ignored[str(result.get("type"))] += 1
            return None
        self.labelled.add(str(result.get("id")))
        what = "key point" if kind == POINT else "rectangle"
        if not isinstance(value, dict):
            raise self.fault(f"a {what} has no value", EXPORT)
        labels = value.get(kind, value.get("labels"))
        if not isinstance(labels, list) or len(labels) != 1 or not isinstance(labels[0], str):
            count = f"{len(labels)} labels" if isinstance(labels, list) else "no label"
            raise self.fault(f"a {what} has {count}", "give it exactly one")
        label = self._name(labels[0]) if kind == POINT else labels[0]
        turned = result.get("image_rotation") or 0
        if not is_number(turned) or turned % 360:
            reason = f"the image was rotated by {turned} degrees in Label Studio"
            raise self.fault(reason, "rotate the image file itself and annotate it unrotated")
        height, width = self._original_size(result)
        percent = self._percent(value, what, label or labels[0])
        if label is None:
            return None
        x, y = percent[0] * width / 100, percent[1] * height / 100
        corner = (x + percent[2] * width / 100, y + percent[3] * height / 100) if kind == BOX else ()
        return Mark(label, (x, y, *corner), str(result.get("id")), str(result.get("parentID")))

    def _name(self, label: str) -> str | None:
        """The name wanted for a key point's label; None (and noted) where it is unknown."""
        if self.names is None:
            return label
        name = self.names.get(label.strip().lower())
        if name is None:
            self.unknown[label] += 1
        return name

    def _original_size(self, result: dict[str, Any]) -> Size:
        """The size that the result states; all results of a task must state the same."""
        width: Any = result.get("original_width")
        height: Any = result.get("original_height")
        if not (_is_side(width) and _is_side(height)):
            raise self.fault(f"original_width and original_height are {width!r} and {height!r}", EXPORT)
        size = int(height), int(width)
        self.size = self.size or size
        if size != self.size:
            stated = f"{self.size[1]} x {self.size[0]} and {width} x {height}"
            raise self.fault(f"results of one image state different sizes: {stated}", "annotate the task again")
        return size

    def _percent(self, value: dict[str, Any], what: str, label: str) -> tuple[float, ...]:
        """x, y (and width, height of a rectangle) in 0..100."""
        keys = ("x", "y") if what == "key point" else ("x", "y", "width", "height")
        numbers: list[Any] = [value.get(key) for key in keys]
        if not all(map(is_number, numbers)):
            stated = ", ".join(f"{key} {number!r}" for key, number in zip(keys, numbers, strict=True))
            raise self.fault(f"the {what} {label!r} has {stated}", EXPORT)
        if what == "rectangle" and is_number(value.get("rotation")) and value["rotation"] % 360:
            raise self.fault(f"the rectangle {label!r} is rotated by {value['rotation']} degrees", "draw it upright")
        if what == "rectangle":  # drawn upwards or to the left, the size is negative
            x, y, width, height = numbers
            numbers = [min(x, x + width), min(y, y + height), abs(width), abs(height)]
        ends = [numbers[axis] + numbers[axis + 2] for axis in range(len(numbers) - 2)]
        if not all(-_ROUNDING <= number <= 100 + _ROUNDING for number in (*numbers, *ends)):
            stated = ", ".join(f"{key} {number:g}" for key, number in zip(keys, numbers, strict=True))
            raise self.fault(f"the {what} {label!r} lies outside the image: {stated} (percent)", "move it inside")
        return tuple(map(float, numbers))

    def _compare_size(self, image: Path) -> None:
        """The image itself must have the size that was annotated; without annotations its size is taken."""
        if not image.is_file():
            return
        try:
            true = image_size(image)
        except InputError as error:
            raise self.fault(f"{image.name!r}: {error.reason}", error.remedy) from error
        stated, self.size = self.size or true, true
        if stated != true:
            reason = f"annotated at {stated[1]} x {stated[0]}, but {image.name!r} has {true[1]} x {true[0]}"
            raise self.fault(reason, size_remedy(image, stated, true))


def label_of_box(result: Any) -> str | None:
    """The label of a result that is a box."""
    if not isinstance(result, dict) or _kind_of_result(result) != BOX or not isinstance(result.get("value"), dict):
        return None
    labels = result["value"].get(BOX, result["value"].get("labels"))
    return labels[0] if isinstance(labels, list) and labels and isinstance(labels[0], str) else None


def _chosen(annotations: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The one marked as ground truth; of one person the newest; else all of them."""
    marked = [one for one in annotations if one.get("ground_truth") is True]
    if len(marked) == 1:
        return marked
    if (
        len(annotations) > 1
        and len({str(_person(one)) for one in annotations}) == 1
        and _person(annotations[0]) is not None
    ):
        return [max(annotations, key=_age)]
    return list(annotations)


def _age(annotation: Mapping[str, Any]) -> tuple[str, float]:
    """What sorts annotations by their time; ids grow with it."""
    time = annotation.get("updated_at") or annotation.get("created_at")
    number = annotation.get("id")
    return (time if isinstance(time, str) else "", float(number) if isinstance(number, int) else 0.0)


def _target(result: Mapping[str, Any]) -> str:
    """The image that a result is on, for messages."""
    name, number = str(result.get("to_name", "image")), result.get("item_index")
    return f"{name}[{number}]" if isinstance(number, int) else name


def _says_hidden(result: Mapping[str, Any]) -> bool:
    """Whether a result is the choice that a key point is covered."""
    value = result.get("value")
    choices = value.get("choices") if result.get("type") == "choices" and isinstance(value, dict) else None
    return isinstance(choices, list) and any(isinstance(one, str) and one.lower() in HIDDEN for one in choices)


def _parents(points: Mapping[str, Sequence[Mark]], boxes: Sequence[Mark]) -> dict[str, Any]:
    """For each name the number of the box that each point is part of (-1: of none), where the export says so."""
    numbers = {box.key: number for number, box in enumerate(boxes)}
    parents = {name: [numbers.get(mark.parent, -1) for mark in group] for name, group in points.items()}
    return {"parents": parents} if any(max(owners) >= 0 for owners in parents.values()) else {}


def _kind_of_result(result: Mapping[str, Any]) -> str | None:
    """One of ``SHAPES``, by the type that is stated or else by what the value holds.

    Projects that keep shapes and labels apart export ``labels`` with the place in it.
    """
    stated, value = result.get("type"), result.get("value")
    if stated in SHAPES or stated not in (None, "labels") or not isinstance(value, dict):
        return stated if stated in SHAPES else None
    named = next((kind for kind in SHAPES if kind in value), None)
    if named is None and "labels" in value and {"x", "y"} <= value.keys():
        if {"width", "height"} <= value.keys():
            return BOX
        return None if {"radiusX", "points", "height"} & value.keys() else POINT
    return named


def kind_of(value: object) -> str:
    """A JSON value's kind, for messages."""
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _is_side(value: Any) -> bool:
    """Whether a value is a number of pixels, 1 or more."""
    return is_number(value) and value >= 1 and value == int(value)


def _person(annotation: Mapping[str, Any]) -> int | str | None:
    """Who annotated: the e-mail where it is known, else the id."""
    person = annotation.get("completed_by")
    if isinstance(person, Mapping):
        person = person.get("email") or person.get("id")
    return person if isinstance(person, (int, str)) else None


def _identities(annotation: Mapping[str, Any]) -> set[str]:
    """Every name that an annotator may go by."""
    person = annotation.get("completed_by")
    values = [person.get("email"), person.get("id")] if isinstance(person, Mapping) else [person]
    return {str(value) for value in values if value is not None}
