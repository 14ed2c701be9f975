"""Features of a frozen network as another's input: where they come from, and a store of them. No torch.

A *feature source* turns pictures of its view's size into maps, and describes itself in plain values for the card of the
model that reads them. `kaname.inference.onnx_tensor` serves any tensor inside an ONNX file,
`kaname.inference.torch_features` a torch backbone. `CachedSource` keeps what a source has computed, by image and view,
never by target: whole maps, or windows of them around boxes.

Adding a new source
    1. Write a class with the four members of `FeatureSource`; ``key`` changes with everything that changes a map.
    2. Give it a test in ``tests/inference/test_feature_source.py`` that runs it through `CachedSource`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kaname.data.cache import ArrayCache, content_key
from kaname.errors import InputError
from kaname.geometry import boxes as box_arithmetic
from kaname.geometry.affine import Affine
from kaname.geometry.grid import Grid
from kaname.geometry.image import image_size, read_image
from kaname.geometry.view import View
from kaname.types import FloatArray, Image

Maps = list[NDArray[Any]]
FIELD = "features_{}"


class FeatureSource(Protocol):
    """What computes features."""

    @property
    def view(self) -> View:
        """How a photograph becomes the input."""
        ...

    @property
    def key(self) -> str:
        """A hash of everything between a photograph and its maps."""
        ...

    @property
    def description(self) -> Mapping[str, Any]:
        """Plain values for a card: ``kind``; ``channels`` and ``stride_yx`` (pixels of the input in a cell, down and
        across) of each map; ``view``; ``licence``; and whatever else distinguishes this source from others."""
        ...

    def features(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Maps ``(B, C, h, w)``, finest first, of RGB images ``(B, height, width, 3)`` of the view's input size."""
        ...


@dataclass(frozen=True)
class Window:
    """The part of each map around a box.

    Attributes:
        maps: ``(C, h, w)`` each.
        corners: row and column of each one's first cell in the whole map.
        box: ``(4,)`` the box itself, in pixels of the input.
    """

    maps: Maps
    corners: Sequence[tuple[int, int]]
    box: FloatArray


class CachedSource:
    """Maps of a source, computed once for each image and view.

    An image is a file (known by its bytes, read when it is needed) or an RGB array (known by its pixels). What is in
    the cache and what was just computed are the same numbers.

    Args:
        source: what computes.
        cache: where entries live; what does not fit its budget is computed each time.
        half: keep 16 bits.
    """

    def __init__(self, source: FeatureSource, cache: ArrayCache, *, half: bool = False) -> None:
        self.source, self.cache = source, cache
        self.kind = np.float16 if half else np.float32

    def maps(self, image: Path | Image, into: Affine | None = None) -> Maps:
        """The whole maps ``(C, h, w)`` of one image, finest first.

        Args:
            image: a file, or RGB uint8 ``(h, w, 3)``.
            into: from its pixels to the source's input; by default the source's view (others augment).
        """
        key = self.key_of(image, into, "whole")
        entry = self.cache.get(key)
        if entry is None:
            entry = {FIELD.format(level): value for level, value in enumerate(self._compute(image, into))}
            self.cache.put(key, entry)
        return _listed(entry)

    def windows(
        self, image: Path | Image, boxes: ArrayLike, *, margin: float = 0.0, into: Affine | None = None
    ) -> list[Window]:
        """The parts of the maps around boxes; the image runs at most once for all of them.

        Args:
            image: a file, or RGB uint8 ``(h, w, 3)``.
            boxes: ``(N, 4)`` in its pixels.
            margin: by how much of its width and height a window is wider on each side than its box.
            into: as in :meth:`maps`.
        """
        move = self._into(image) if into is None else into
        live: Maps | None = None
        windows: list[Window] = []
        for box in move.boxes(box_arithmetic.check(boxes).reshape(-1, 4)):
            parts = self.cells(box_arithmetic.pad(box, margin))
            key = self.key_of(image, into, str(parts))
            entry = self.cache.get(key)
            if entry is None:
                live = self._compute(image, into) if live is None else live
                entry = {
                    FIELD.format(level): value[:, top:bottom, left:right].copy()
                    for level, (value, (top, bottom, left, right)) in enumerate(zip(live, parts, strict=True))
                }
                self.cache.put(key, entry)
            windows.append(Window(_listed(entry), [(top, left) for top, _, left, _ in parts], box))
        return windows

    def key_of(self, image: Path | Image, into: Affine | None, part: str) -> str:
        """Under what a part of an image's features is kept: by the source, the precision, the view and the pixels."""
        view = "view" if into is None else into.matrix
        content = _bytes(image) if isinstance(image, Path) else image
        return content_key([self.source.key, np.dtype(self.kind).str, part, view, content])

    def cells(self, box: FloatArray) -> list[tuple[int, int, int, int]]:
        """Of each map the rows (from, to) and columns (from, to) that bilinear sampling inside the box reads."""
        if not np.isfinite(box).all():
            raise InputError(f"a box is four finite numbers (x1, y1, x2, y2), got {box.tolist()}")
        parts: list[tuple[int, int, int, int]] = []
        for down, across in self.source.description["stride_yx"]:
            corners = np.floor(Grid((down, across)).to_index(box.reshape(2, 2))).astype(int)
            sides: list[tuple[int, int]] = []
            for axis, stride in enumerate((down, across)):
                count = round(self.source.view.input_size[axis] / stride)
                low, high = corners[:, 1 - axis].tolist()
                first = min(max(low, 0), count - 1)
                sides.append((first, min(max(high + 2, first + 1), count)))
            parts.append((*sides[0], *sides[1]))
        return parts

    def _compute(self, image: Path | Image, into: Affine | None) -> Maps:
        pixels = read_image(image) if isinstance(image, Path) else image
        move = self.source.view.into(pixels.shape[:2]) if into is None else into
        seen = move.image(pixels, self.source.view.input_size)
        return [converted(value[0], self.kind) for value in self.source.features(seen[None])]

    def _into(self, image: Path | Image) -> Affine:
        size = image_size(image) if isinstance(image, Path) else image.shape[:2]
        return self.source.view.into((int(size[0]), int(size[1])))


def source_key(description: Mapping[str, Any]) -> str:
    """A hash of what a description says about the maps, not of where a file lies or under what licence."""
    lasting = {name: value for name, value in description.items() if name not in ("path", "licence")}
    return content_key([json.dumps(lasting, sort_keys=True)])


def converted(values: NDArray[Any], kind: type[np.floating]) -> NDArray[Any]:
    """In float16 or float32. Torch rounds to the same numbers as NumPy, which takes ten to thirty times as long."""
    if values.dtype == kind:
        return values
    import torch

    return torch.tensor(values, dtype=torch.float16 if kind == np.float16 else torch.float32).numpy()


def _listed(entry: Mapping[str, NDArray[Any]]) -> Maps:
    return [entry[FIELD.format(level)] for level in range(len(entry))]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path, remedy="check the path") from error
