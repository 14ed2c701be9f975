"""Windows of consecutive frames."""

from __future__ import annotations

import pytest

from kaname.data.windows import SequenceSettings, starts
from kaname.errors import InputError


def test_starts() -> None:
    assert starts(7, 3, 3) == [0, 3, 4] and starts(6, 3, 3) == [0, 3] and starts(5, 3, 1) == [0, 1, 2]
    assert starts(3, 3, 3) == [0] and starts(2, 3, 3) == [] and starts(8, 2, 4) == [0, 4, 6]


def test_windows_of_clips() -> None:
    """Training windows overlap by the stride; others hold each frame once, but for the end of a clip."""
    settings = SequenceSettings(length=3, stride=2)
    assert settings.windows([5, 3, 2, 4], training=True) == [(0, 0), (0, 2), (1, 0), (3, 0), (3, 1)]
    assert settings.windows([5, 6], training=False) == [(0, 0), (0, 2), (1, 0), (1, 3)]
    for values in ({"length": 0}, {"length": 65}, {"stride": 0}):
        with pytest.raises(InputError, match=next(iter(values))):
            SequenceSettings(**values)
