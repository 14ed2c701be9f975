"""Whether two models answer alike: the outputs, and then the answers by their kind.

Outputs differ by at most 1e-4. Matched points lie within 0.05 px of the original image at the 99th percentile, and one
side has a point more only where its score lies within 1e-4 of the threshold; points further than 5 px apart are no
match. Pasted masks have the same class in every pixel, except where two classes tie within 1e-4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.errors import InputError
from kaname.inference.model import Model
from kaname.inference.request import Decode, Request, main_output
from kaname.types import Answer, Masks, Points

MAP_TOLERANCE = 1e-4
POINT_TOLERANCE_PX = 0.05
SCORE_TOLERANCE = 1e-4
MATCH_RADIUS_PX = 5.0

Requests = Sequence[tuple[str, Request]]
"""Requests, each with a name for messages."""


@dataclass
class Parity:
    """How far an export's answers are from the model's, over some images.

    Attributes:
        images: how many images (or windows of frames) were compared.
        map_difference: largest absolute difference of any output.
        distances: of matched points, pixels of the original image.
        at_threshold: points of one side alone whose score lies within 1e-4 of the threshold.
        unmatched: points of one side alone that nothing excuses.
        pixels: pixels of pasted masks that were compared.
        pixels_at_tie: pixels of another class where two classes (or a half) lie within 1e-4.
        pixels_apart: pixels of another class that nothing excuses.
        highest: the largest value of the model's main output.
        lowered_to: the threshold of ``lowered``.
        lowered: the comparison at a lower threshold, where the model found no point at its own.
        warning: what the figures do not prove; empty where they prove what they should.
    """

    images: int = 0
    map_difference: float = 0.0
    distances: list[float] = field(default_factory=list)
    at_threshold: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    pixels: int = 0
    pixels_at_tie: int = 0
    pixels_apart: int = 0
    highest: float = 0.0
    lowered_to: float = 0.0
    lowered: Parity | None = None
    warning: str = ""

    @property
    def percentile_99_px(self) -> float:
        """99th percentile of the matched distances; 0 without points."""
        return float(np.percentile(self.distances, 99)) if self.distances else 0.0

    @property
    def summary(self) -> str:
        """The figures in a few words."""
        maps = f"maps within {self.map_difference:.2g}"
        points = f"{len(self.distances)} points within {self.percentile_99_px:.4f} px (99th percentile)"
        masks = f"{self.pixels_apart} of {self.pixels} pixels of masks differ"
        return ", ".join([maps, *([points] if self.distances else []), *([masks] if self.pixels else [])])

    @property
    def passed(self) -> bool:
        """Whether the answers are alike enough."""
        near = self.map_difference <= MAP_TOLERANCE and self.percentile_99_px <= POINT_TOLERANCE_PX
        alike = near and not self.unmatched and not self.pixels_apart
        return alike and (self.lowered is None or self.lowered.passed)

    def to_dict(self) -> dict[str, Any]:
        """For JSON and for the page."""
        masks = ("pixels", "pixels_at_tie", "pixels_apart") if self.pixels else ()
        lowered: dict[str, Any] = {}
        if self.lowered is not None:
            figures = self.lowered.to_dict()
            kept = ("points", "point_distance_p99_px", "point_distance_max_px", "at_threshold", "unmatched")
            lowered = {"lowered_min_score": self.lowered_to, **{f"lowered_{name}": figures[name] for name in kept}}
        return {
            **({"warning": self.warning} if self.warning else {}),
            "images": self.images,
            "map_difference_max": self.map_difference,
            "map_tolerance": MAP_TOLERANCE,
            "points": len(self.distances),
            "point_distance_p99_px": self.percentile_99_px,
            "point_distance_max_px": max(self.distances, default=0.0),
            "point_tolerance_px": POINT_TOLERANCE_PX,
            "at_threshold": self.at_threshold,
            "unmatched": self.unmatched,
            **{name: getattr(self, name) for name in masks},
            **lowered,
            "passed": self.passed,
        }


def compare(
    reference: Model,
    candidate: Model,
    requests: Requests,
    threshold: float | None,
    *,
    near: float = SCORE_TOLERANCE,
    kept: dict[int, dict[str, NDArray[Any]]] | None = None,
) -> Parity:
    """Both models' answers to every request.

    Args:
        threshold: the score that a point needs; None where answers have none.
        near: how far from it a score may lie for its point to be on one side alone.
        kept: the reference's outputs by the number of the request, of several comparisons with one reference.

    Raises:
        InputError: the outputs have other names or shapes.
    """
    parity = Parity()
    for position, (name, request) in enumerate(requests):
        known = None if kept is None else kept.get(position)
        ours, theirs = reference.outputs(request) if known is None else known, candidate.outputs(request)
        if kept is not None:
            kept[position] = ours
        shapes, others = ({key: value.shape for key, value in one.items()} for one in (ours, theirs))
        if shapes != others:
            raise InputError(f"the export answers with maps of {others}, the model with {shapes}", path=name)
        for key, value in ours.items():
            difference = float(np.abs(value - theirs[key]).max(initial=0))
            # NaN never compares as larger: it would vanish in the maximum.
            parity.map_difference = max(parity.map_difference, difference if math.isfinite(difference) else math.inf)
        parity.highest = max(parity.highest, float(np.nan_to_num(main_output(ours)).max(initial=0)))
        pairs = zip(reference.decode(ours, request), candidate.decode(theirs, request), strict=True)
        for number, (one, other) in enumerate(pairs):
            label = name if len(request.frames) == 1 else f"{name}[{number}]"
            _compare_answers(label, one, other, (threshold, near), parity)
        parity.images += 1
    return parity


def compare_lower(
    parity: Parity,
    models: tuple[Model, Model],
    requests: Requests,
    threshold: float,
    decode_at: Callable[[float], Decode] | None,
    *,
    near: float = SCORE_TOLERANCE,
    kept: dict[int, dict[str, NDArray[Any]]] | None = None,
) -> None:
    """Say that no point was compared, and compare at half of what the main output reaches."""
    parity.warning = (
        f"no point was compared: the model finds none in {parity.images} image(s), because its maps reach "
        f"{parity.highest:.3g} and a point needs {threshold:g}; train longer, lower the threshold or give other images"
    )
    if decode_at is not None and parity.highest > 0:
        parity.lowered_to = parity.highest / 2
        decode = decode_at(parity.lowered_to)
        ours, theirs = (model.using(model.runner, decode) for model in models)
        parity.lowered = compare(ours, theirs, requests, parity.lowered_to, near=near, kept=kept)
        parity.warning += f". At {parity.lowered_to:.3g} both find {len(parity.lowered.distances)} points alike"


def _compare_answers(
    name: str, ours: Answer, theirs: Answer, limit: tuple[float | None, float], parity: Parity
) -> None:
    if isinstance(ours, Masks) and isinstance(theirs, Masks):
        _compare_masks(ours, theirs, parity)
    elif isinstance(ours, Points) and isinstance(theirs, Points):
        _compare_points(name, ours, theirs, limit, parity)
    else:
        raise InputError(f"the export answers with {type(theirs).__name__}, the model with {type(ours).__name__}")


def _compare_masks(ours: Masks, theirs: Masks, parity: Parity) -> None:
    """Box by box, so that no more than one pasted box is in memory."""
    from kaname.codecs.roi_mask import paste_probabilities

    for row in range(len(ours.boxes)):
        one, other = (
            paste_probabilities(masks.probabilities[row : row + 1], masks.boxes[row : row + 1], masks.size)[0]
            for masks in (ours, theirs)
        )
        if len(one) == 1:  # a class and what it is not
            one, other = (np.concatenate([1 - part, part]) for part in (one, other))
        apart = one.argmax(axis=0) != other.argmax(axis=0)
        best = np.sort(one[:, apart], axis=0)
        tied = int((best[-1] - best[-2] <= 2 * SCORE_TOLERANCE).sum())  # each of the two may move by the tolerance
        parity.pixels += apart.size
        parity.pixels_at_tie += tied
        parity.pixels_apart += int(apart.sum()) - tied


def _compare_points(name: str, ours: Points, theirs: Points, limit: tuple[float | None, float], parity: Parity) -> None:
    threshold, near = limit
    from scipy.optimize import linear_sum_assignment  # whoever only predicts does without SciPy

    for channel in ours.xy:
        there = [np.flatnonzero(np.isfinite(points.xy[channel]).all(axis=1)) for points in (ours, theirs)]
        one, other = ours.xy[channel][there[0]], theirs.xy[channel][there[1]]
        distances = np.linalg.norm(one[:, None] - other[None], axis=2)
        # Most pairs first, then the shortest: a pair out of reach costs more than all others together.
        reach = distances <= MATCH_RADIUS_PX
        rows, columns = linear_sum_assignment(np.where(reach, distances, MATCH_RADIUS_PX * (1 + distances.size)))
        rows, columns = rows[reach[rows, columns]], columns[reach[rows, columns]]
        parity.distances += distances[rows, columns].tolist()
        for points, taken, side in (
            (ours, there[0][rows], "model"),
            (theirs, there[1][columns], "export"),
        ):
            for index in sorted({*there[side == "export"].tolist()} - set(taken.tolist())):
                score = float(points.scores[channel][index])
                x, y = points.xy[channel][index]
                line = f"{name}: {channel} ({x:.2f}, {y:.2f}) score {score:.6f} only in the {side}"
                excused = threshold is not None and abs(score - threshold) <= near
                (parity.at_threshold if excused else parity.unmatched).append(line)
