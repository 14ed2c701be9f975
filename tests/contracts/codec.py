"""What every way from points to maps and back does: `CodecContract`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kaname.errors import InputError
from kaname.geometry.grid import Grid

SIZES = [(48, 61), (40, 40), (33, 96)]
STRIDES: list[Any] = [1.0, 4.0, 14, (4.90, 2.76), Grid((2.76, 4.90), "aligned"), Grid((4, 4), "aligned"), Grid((7, 7))]


class CodecContract:
    """``encode`` and ``decode`` say how; both take what they need of size, stride and sigma (in cells).

    Attributes:
        sigmas: of the Gaussians, in cells.
        bias: greatest mean of the error in pixels, over points at 400 places between the cells' centres.
        worst: greatest error of a single point in cells.
        border: the same for points in the outermost cells.
        several: points in one map, at least ``apart`` cells from each other; 1 where a map holds one point.
        apart: see ``several``.
        margin: sigmas from the border from where ``worst`` counts.
    """

    sigmas: tuple[float, ...] = (1.5, 2.0, 3.0)
    bias = 0.05
    worst = 0.05
    border = 0.05
    several = 1
    apart = 0.0
    margin = 3.0

    def encode(
        self, points: NDArray[np.float64], size: tuple[int, int], stride: Any, sigma: float
    ) -> NDArray[np.float32]:
        """Points ``(N, 2)`` in input pixels, ``(N,)`` maps for each or one map for all: ``(K, height, width)``."""
        raise AssertionError("a codec's contract needs encode")

    def decode(self, maps: NDArray[Any], stride: Any, sigma: float) -> NDArray[np.float64]:
        """The points found, ``(M, 2)`` in input pixels; what is not there is not in it."""
        raise AssertionError("a codec's contract needs decode")

    def _round_trip(self, points: NDArray[np.float64], size: tuple[int, int], stride: Any, sigma: float) -> Any:
        """Errors ``(N, 2)`` in cells; as many are found as there were. Points of one map come in any order."""
        found = self.decode(self.encode(points, size, stride, sigma), stride, sigma)
        assert found.shape == points.shape and np.isfinite(found).all()
        if self.several > 1:
            nearest = np.linalg.norm(found[None] - points[:, None], axis=2).argmin(axis=1)
            assert len(set(nearest)) == len(points)
            found = found[nearest]
        return (found - points) / Grid.of(stride).stride_yx[::-1]

    def _places(self, size: tuple[int, int], margin: float, seed: int) -> list[NDArray[np.float64]]:
        """Cells ``(N, 2)`` as (x, y), in sets that ``encode`` can hold; every 1/20 of a cell alike often."""
        random = np.random.default_rng(seed)
        low = math.ceil(min(margin, (min(size) - 1) / 3))
        phases = (np.stack(np.meshgrid(np.arange(20), np.arange(20)), axis=-1).reshape(-1, 2) + 0.5) / 20
        high = (size[1] - 1 - low, size[0] - 1 - low)
        if self.several == 1:
            return [random.integers((low, low), high, (len(phases), 2)) + phases]
        sets: list[NDArray[np.float64]] = []
        waiting = list(random.permutation(phases))
        while waiting:
            chosen: list[NDArray[np.float64]] = []
            for _ in range(100):
                place = random.integers((low, low), high, 2) + waiting[-1]
                if all(np.linalg.norm(place - other) >= self.apart for other in chosen):
                    chosen.append(place)
                    waiting.pop()
                if not waiting or len(chosen) == self.several:
                    break
            sets.append(np.array(chosen))
        return sets

    @pytest.mark.parametrize("size", SIZES, ids=str)
    @pytest.mark.parametrize("stride", STRIDES, ids=str)
    def test_what_is_encoded_is_decoded(self, stride: Any, size: tuple[int, int]) -> None:
        """Without a shift at any stride, size, origin and sigma."""
        grid = Grid.of(stride)
        for sigma in self.sigmas:
            places = self._places(size, self.margin * sigma, seed=round(10 * sigma))
            cells = np.concatenate([self._round_trip(grid.from_index(place), size, stride, sigma) for place in places])
            assert np.abs(cells).max() <= self.worst, sigma
            assert (np.abs(cells.mean(axis=0)) * grid.stride_yx[::-1]).max() <= self.bias, sigma

    @pytest.mark.parametrize("stride", [1.0, 4.0, Grid((4, 4), "aligned")], ids=str)
    def test_borders(self, stride: Any) -> None:
        """Points in the outermost cells and in the corners."""
        height, width = size = (30, 41)
        along = np.linspace(0, 1, 23)
        edges = [(x, y) for x in (0.0, 0.3, width - 1.2, width - 1.0) for y in along * (height - 1)]
        edges += [(x, y) for y in (0.0, 0.4, height - 1.3, height - 1.0) for x in along * (width - 1)]
        for sigma in self.sigmas:
            for place in np.array(edges)[:: 1 if self.several == 1 else 5]:
                cells = self._round_trip(Grid.of(stride).from_index(place[None]), size, stride, sigma)
                assert np.abs(cells).max() <= self.border, (sigma, place)

    def test_empty_maps_have_no_points(self) -> None:
        """No cell above zero, no points, or no maps: an empty set, never an invented point."""
        maps = self.encode(np.array([[20.0, 17.0]]), (40, 40), 1.0, self.sigmas[0])
        for nothing in (np.zeros_like(maps), np.zeros_like(maps) - 1):
            assert self.decode(nothing, 1.0, self.sigmas[0]).shape == (0, 2)
        empty = self.encode(np.zeros((0, 2)), (40, 40), 1.0, self.sigmas[0])
        assert not empty.any() and empty.shape[1:] == (40, 40)
        assert self.decode(empty, 1.0, self.sigmas[0]).shape == (0, 2)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_what_is_not_finite(self, bad: float) -> None:
        """A point that is not finite is refused; a map that is not has no point."""
        with pytest.raises(InputError):
            self.encode(np.array([[20.0, bad]]), (40, 40), 1.0, self.sigmas[0])
        maps = np.array(self.encode(np.array([[20.0, 17.0]]), (40, 40), 1.0, self.sigmas[0]))
        maps[0, 3, 3] = bad
        assert self.decode(maps, 1.0, self.sigmas[0]).shape == (0, 2)

    def test_maps_are_in_their_range(self) -> None:
        """float32 in 0..1, with the highest cell at the point's."""
        place = np.array([[20.5, 17.5]])
        maps = self.encode(place, (40, 44), 1.0, self.sigmas[0])
        assert maps.dtype == np.float32 and maps.shape[1:] == (40, 44)
        assert maps.min() >= 0 and maps.max() == pytest.approx(1.0)
        assert np.unravel_index(maps[0].argmax(), maps[0].shape) == (17, 20)

    def test_the_same_maps_give_the_same_points(self) -> None:
        """Also as float64 and as a view that is not contiguous, and they are left as they were."""
        points = self._places((48, 61), 8, seed=1)[0][:5]
        maps = self.encode(points, (48, 61), 1.0, self.sigmas[0])
        before, first = maps.copy(), self.decode(maps, 1.0, self.sigmas[0])
        other = np.asfortranarray(maps.astype(np.float64))
        np.testing.assert_allclose(self.decode(other, 1.0, self.sigmas[0]), first, atol=1e-3)
        np.testing.assert_array_equal(maps, before)
        np.testing.assert_array_equal(self.decode(maps, 1.0, self.sigmas[0]), first)
