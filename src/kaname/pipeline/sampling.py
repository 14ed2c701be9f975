"""What the verbs ``sample`` of several recipes share."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

Without = Annotated[
    list[str] | None,
    Parameter(
        help="Axes of the renderer to switch off, or groups of them: NAME,...; the recipe's page lists them.",
        negative=(),
    ),
]
