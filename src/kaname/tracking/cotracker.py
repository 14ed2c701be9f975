"""CoTracker3 between detections (Karaev et al., arXiv 2410.11831), behind the protocol of its online predictor.

The model is asked for the key points themselves, in the first frame of a stretch, in index coordinates and with pixel
values of 0..255; it is started anew for each stretch. It reads windows of ``2 * step`` frames that begin ``step``
frames apart and answers for *all* frames of the stretch so far, of which the last ``step`` may still change. Its own
visibility is a boolean already, on which a threshold does nothing: the probability is made of the logits that the
model keeps.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kaname.errors import InputError, require
from kaname.geometry.grid import PIXELS, centres
from kaname.tracking.bridge import Follow, Followed
from kaname.types import FloatArray, Image, Size

REPOSITORY, ENTRY = "facebookresearch/co-tracker", "cotracker3_online"
LICENCE = "CoTracker3 (code and weights): CC-BY-NC 4.0, not for commercial use; github.com/facebookresearch/co-tracker"


class OnlinePredictor(Protocol):
    """What of CoTracker's online predictor is used; another tracker or a double may have it as well.

    Attributes:
        step: frames between the beginnings of two windows of ``2 * step``.
        model: where it keeps the logits ``online_vis_predicted`` and ``online_conf_predicted``, ``(1, T, N)`` for all
            frames so far; without them the visibility that it returns counts.
    """

    step: int
    model: Any

    def __call__(self, video_chunk: Any, is_first_step: bool = False, queries: Any = None) -> tuple[Any, Any]:
        """``(1, T, 3, H, W)`` float in 0..255 -> places ``(1, all frames so far, N, 2)`` and visibilities.

        The first call of a stretch takes the size of the frames and ``queries`` ``(1, N, 3)`` as ``(t, x, y)``, and
        gives nothing.
        """
        ...


def cotracker(predictor: OnlinePredictor, *, grid_size: int = 0, device: str = "cpu") -> Follow:
    """A point tracker for `kaname.tracking.bridge.bridged`.

    Args:
        predictor: CoTracker's online predictor.
        grid_size: adds so many times so many points spread over the frame, which help the model and are not answered.
        device: where it runs.

    Raises:
        InputError: a negative grid size.
    """
    require(grid_size >= 0, f"--grid-size must not be negative, got {grid_size}", "0 adds no support points")

    def follow(images: Iterator[Image], points: FloatArray) -> Iterator[Followed]:
        return _follow(predictor, grid_size, device, images, points)

    return follow


def load(
    source: str | Path | None = None, *, device: str = "cpu", notice: Callable[[str], None] = print
) -> OnlinePredictor:
    """CoTracker3's online predictor.

    Args:
        source: the folder of a checkout; None: fetched by ``torch.hub``, or taken from its cache.
        device: where it runs.
        notice: is told the licence first.

    Raises:
        InputError: no such checkout, or it cannot be fetched or loaded.
    """
    import torch

    notice(LICENCE)
    where = REPOSITORY if source is None else str(source)
    if source is not None and not (Path(source) / "hubconf.py").is_file():
        raise InputError("no checkout of CoTracker: it has no hubconf.py", path=source, remedy=f"clone {REPOSITORY}")
    try:
        predictor = torch.hub.load(where, ENTRY, source="github" if source is None else "local", trust_repo=True)  # type: ignore[arg-type]
    except Exception as error:  # a missing network, a full disk or anything that foreign code raises
        reason = f"CoTracker cannot be loaded from {where} ({' '.join(str(error).split())[:200]})"
        remedy = "give a local checkout with its weights, or use --tracker klt, which needs nothing"
        raise InputError(reason, remedy=remedy) from error
    return predictor.to(device)  # type: ignore[return-value, union-attr]


def _follow(
    predictor: OnlinePredictor, grid_size: int, device: str, images: Iterator[Image], points: FloatArray
) -> Iterator[Followed]:
    import torch

    step, first = predictor.step, next(images)
    queries = torch.as_tensor(_queries(points, grid_size, first.shape[:2]), dtype=torch.float32, device=device)[None]
    held, start, told, begun = [_tensor(first, device)], 0, 1, False  # frames from ``start`` on; the next to be told
    while True:
        # One frame more than a window, to know whether it is the last.
        held += [_tensor(image, device) for image in itertools.islice(images, 2 * step + 1 - len(held))]
        window, last = torch.stack(held[: 2 * step])[None], len(held) <= 2 * step
        if last and start + len(held) == 1:
            return  # nothing follows the detection
        if not begun:
            predictor(window, is_first_step=True, queries=queries)
            begun = True
        places, seen = predictor(window)
        probability = _probability(predictor, seen)
        final = start + (len(held) if last else step)
        for frame in range(told, final):
            yield _answer(places, probability, frame, len(points))
        if last:
            return
        held, start, told = held[step:], start + step, final


def _queries(points: FloatArray, grid_size: int, size: Size) -> FloatArray:
    """``(N, 3)``: the first frame of the stretch, and index coordinates."""
    height, width = size
    x, y = np.meshgrid(centres(grid_size) * width, centres(grid_size) * height)
    support = np.stack([x, y], axis=2).reshape(-1, 2) / max(1, grid_size)
    index = PIXELS.to_index(np.concatenate([points, support]))
    return np.column_stack([np.zeros(len(index)), index])


def _tensor(image: Image, device: str) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(image)).to(device).permute(2, 0, 1).float()


def _probability(predictor: OnlinePredictor, seen: Any) -> Any:
    model = predictor.model
    visible, sure = (getattr(model, f"online_{name}_predicted", None) for name in ("vis", "conf"))
    if visible is None or sure is None:
        return seen.float()
    return visible.sigmoid() * sure.sigmoid()


def _answer(places: Any, probability: Any, frame: int, count: int) -> Followed:
    index = places[0, frame, :count].double().cpu().numpy()
    return PIXELS.from_index(index), probability[0, frame, :count].double().cpu().numpy()
