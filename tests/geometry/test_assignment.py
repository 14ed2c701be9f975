"""Assignments against scipy's."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from kaname.geometry.assignment import assigned


@pytest.mark.parametrize("seed", range(200))
def test_the_same_as_scipy(seed: int) -> None:
    """Clear cases, crossed ones and ties, more rows or more columns, none at all."""
    random = np.random.default_rng(seed)
    worth = random.random(random.integers(0, 6, 2))
    if seed % 2:
        worth = np.round(3 * worth)
    rows, columns = assigned(worth)
    theirs = linear_sum_assignment(worth, maximize=True)
    np.testing.assert_array_equal(rows, theirs[0])
    np.testing.assert_array_equal(columns, theirs[1])


def test_what_is_clear_needs_no_scipy() -> None:
    script = (
        "import sys, numpy as np, kaname.geometry.assignment as a; a.assigned(np.eye(3)); print('scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
