"""Points that a model places first, and the images that it is least sure of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Lock

import numpy as np

from kaname.apps.annotation.face import Box
from kaname.errors import InputError
from kaname.geometry.image import read_image
from kaname.progress import Bar
from kaname.types import FloatArray, Image, Points

Predictor = Callable[[Image, "Box | None"], tuple[FloatArray, FloatArray]]
"""From an image and a face's box ``(x, y, width, height)`` (None: the whole image) to points ``(N, 2)`` in continuous
pixels, NaN where it finds none, and scores ``(N,)``."""


def predictor_of(path: Path, names: Sequence[str]) -> Predictor:
    """The predictor of a checkpoint or an export.

    Raises:
        InputError: the file cannot be loaded, or its points are others than ``names``.
    """
    from kaname.loading import load

    model = load(path)

    def predict(image: Image, box: Box | None) -> tuple[FloatArray, FloatArray]:
        corners = None if box is None else [[box[0], box[1], box[0] + box[2], box[1] + box[3]]]
        answer = model.predict(image, boxes=corners)
        answer = answer[0] if isinstance(answer, list) else answer
        if not isinstance(answer, Points):
            raise InputError("a model of another kind, which finds no points of a face", path=path)
        known = answer.xy
        if set(known) != set(names):
            missing = [name for name in names if name not in known]
            reason = f"the model has {len(known)} points, the skeleton {len(names)} ({', '.join(missing[:3])} missing)"
            raise InputError(reason, path=path, remedy="choose the skeleton that it was trained with: --skeleton FILE")
        first = [(known[name][:1], answer.scores[name][:1]) for name in names]
        points = np.array([xy[0] if len(xy) else (np.nan, np.nan) for xy, _ in first], dtype=np.float64)
        return points, np.array([score[0] if len(score) else 0.0 for _, score in first], dtype=np.float64)

    return predict


class Proposals:
    """A model's points, each asked for once.

    Args:
        predictor: the model.
        path: the file of an image.
    """

    def __init__(self, predictor: Predictor, path: Callable[[str], Path]) -> None:
        self._predictor, self._path = predictor, path
        self._known: dict[tuple[str, Box | None], tuple[FloatArray, FloatArray]] = {}
        self._lock = Lock()  # one question at a time: a model uses all processors

    def points(self, image: str, box: Box | None) -> FloatArray:
        """``(N, 2)`` in continuous pixels."""
        return self._ask(image, box)[0]

    def score(self, image: str) -> float | None:
        """How sure the model is of an image, the mean of its points' scores; None where it was not asked yet."""
        asked = self._known.get((image, None))
        return None if asked is None else float(asked[1].mean())

    def uncertain_first(self, images: Iterable[str], finished: Callable[[str], bool]) -> list[str]:
        """The images with the lowest scores first; what cannot be read and what is finished comes last."""
        images = list(images)
        todo = [image for image in images if not finished(image)]
        scores: dict[str, float] = {}
        with Bar("how sure the model is", len(todo)) as bar:
            for image in todo:
                try:
                    scores[image] = float(self._ask(image, None)[1].mean())
                except InputError as error:
                    print(f"comes last: {error}")
                bar.advance()
        todo = [image for image in todo if image in scores]
        return [*sorted(todo, key=lambda image: scores[image]), *(image for image in images if image not in scores)]

    def _ask(self, image: str, box: Box | None) -> tuple[FloatArray, FloatArray]:
        key = (image, box)
        with self._lock:
            if key not in self._known:
                self._known[key] = self._predictor(read_image(self._path(image)), box)
            return self._known[key]
