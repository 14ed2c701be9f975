"""Who belongs to whom, one to one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kaname.shapes import Float64, Int64

CLEAR = 1e-12  # by how much the best partner must be better than the next for the assignment to be known at once


def assigned(
    worth: Float64[np.ndarray, "rows columns"],
) -> tuple[Int64[np.ndarray, "_pairs"], Int64[np.ndarray, "_pairs"]]:
    """The pairs of rows and columns, one to one and as many as can be, whose worth is the greatest in all.

    Where the best column of every row is beyond doubt and no two rows share it, that is the assignment (so with rows
    and columns changed about): scipy, which takes a while to import, is asked for the others alone.

    Returns:
        Rows, in their order, and their columns.

    >>> assigned(np.array([[0.9, 0.2, 0.1], [0.8, 0.3, 0.5]]))
    (array([0, 1]), array([0, 2]))
    """
    turned = worth.shape[0] > worth.shape[1]
    few = np.transpose(worth) if turned else worth
    if not few.size:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    best: NDArray[np.int64] = few.argmax(axis=1)
    ranked = np.sort(few, axis=1)
    sure = few.shape[1] == 1 or bool((ranked[:, -1] - ranked[:, -2] > CLEAR).all())
    if not sure or len(set(best.tolist())) < len(best):
        from scipy.optimize import linear_sum_assignment

        rows, columns = linear_sum_assignment(worth, maximize=True)
        return rows.astype(np.int64), columns.astype(np.int64)
    own = np.arange(len(best))
    if not turned:
        return own, best
    order = np.argsort(best)
    return best[order], own[order]
