"""What the lists of axes of all renderers have in common, for their tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kaname.samples.axes import Axis, Value


def check_ranges(axes: Mapping[str, Axis], traits: Sequence[Mapping[str, Value]], *, slack: float = 0.0) -> None:
    """Every axis takes part in some picture and stays in its range; words are all drawn, or none but those listed.

    Args:
        traits: of each picture.
        slack: share of a range by which a value may be moved out of it where nothing else fits the picture.
    """
    for name, axis in axes.items():
        values = {one[name] for one in traits}
        assert values - {axis.off}, name
        if axis.span and isinstance(axis.span[0], str):
            assert values <= {axis.off, *axis.span}, name
            assert len(values) > min(2, len(axis.span)), name
        elif axis.span:
            low, high = axis.span
            room = slack * (high - low)
            assert min(low, axis.off) - room <= min(values) <= max(values) <= max(high, axis.off) + room, name
