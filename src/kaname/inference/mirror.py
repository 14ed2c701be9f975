"""The flip test: a network answers the mirrored picture too, and the mean of both is decoded.

The mirror maps cell onto cell. Of cells centred in their strides that is the mirror about the input's middle; of
index-aligned cells (*i* at index 4 *i* of 256) it is the one about index 126, 1.5 pixels to the left of it. A box shows
its mirrored picture with that shift, so that nothing has to be interpolated and no point moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaname.errors import InputError
from kaname.geometry.grid import Grid
from kaname.geometry.view import View
from kaname.inference.card import grid_of, heads_of, view_of
from kaname.inference.request import Request

MAPS = "heatmaps"


@dataclass(frozen=True)
class Mirror:
    """How a network of crops is asked for mirrored pictures.

    Attributes:
        view: a crop.
        grid: of its maps.
        permutation: ``(C,)``: channel *i* of a mirrored picture is channel ``permutation[i]`` of the picture.
    """

    view: View
    grid: Grid
    permutation: NDArray[np.int64]

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> Mirror:
        """That of a file.

        Raises:
            InputError: its network sees no crops of boxes, or its card has no skeleton.
        """
        view, skeleton = view_of(card), card.get("skeleton")
        if view.fit != "crop" or skeleton is None:
            raise InputError("a flip test needs crops of boxes and a skeleton", remedy="set flip_test=false")
        from kaname.data.formats.skeleton import Skeleton  # here, because few models are asked twice

        permutation = Skeleton.from_dict(skeleton).permutation
        if len(permutation) != len(heads_of(card)[MAPS].channels):
            raise InputError("the skeleton and the heatmaps have different numbers of points")
        return cls(view, grid_of(card), permutation)

    def request(self, request: Request, outputs: Mapping[str, NDArray[Any]]) -> Request:
        """The question about the mirrored picture, for a request with boxes and what the network says to it."""
        columns = outputs[MAPS].shape[3]
        height, width = request.size
        boxes = np.array([[0.0, 0.0, width, height]]) if request.boxes is None else request.boxes
        first, last = self.grid.from_index([[0, 0], [columns - 1, 0]])[:, 0]
        side = self.view.input_size[1]
        region = self.view.region(boxes)
        # Pixels of the picture by which the window moves, so that the first cell takes the place of the last.
        moved = (side - first - last) * (region[:, 2] - region[:, 0]) / side
        turned = width - boxes[:, [2, 1, 0, 3]]
        turned[:, [1, 3]] = boxes[:, [1, 3]]
        turned[:, [0, 2]] += moved[:, None]
        return request.mirrored(turned)

    def averaged(
        self, outputs: Mapping[str, NDArray[Any]], mirrored: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """The outputs with the mean of both in the place of their heatmaps ``(N, C, rows, columns)``."""
        back = mirrored[MAPS][:, self.permutation, :, ::-1]
        return {**outputs, MAPS: (outputs[MAPS] + back) / 2}
