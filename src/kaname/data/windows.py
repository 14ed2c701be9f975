"""Windows of consecutive frames, none of which crosses the border of its clip. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kaname.errors import require_range


@dataclass(frozen=True)
class SequenceSettings:
    """Attributes:
    length: consecutive frames in a window; 1 is the single-image mode.
    stride: frames from the start of one training window to the next.
    """

    length: int = 1
    stride: int = 1

    def __post_init__(self) -> None:
        require_range(self, "length", 1, 64)
        require_range(self, "stride", 1)

    def windows(self, frames: Sequence[int], *, training: bool) -> list[tuple[int, int]]:
        """``(clip, first frame)`` of each window of clips with so many ``frames``.

        Training windows start every ``stride`` frames; otherwise every frame is in one window, but for the last window
        of a clip, which may share frames with the one before.
        """
        step = self.stride if training else self.length
        return [(clip, start) for clip, count in enumerate(frames) for start in starts(count, self.length, step)]


def starts(frames: int, length: int, step: int) -> list[int]:
    """Where windows begin: every ``step`` frames, and one that ends with the clip.

    >>> starts(7, 3, 3)
    [0, 3, 4]
    """
    last = frames - length
    chosen = list(range(0, last + 1, step))
    return chosen if not chosen or chosen[-1] == last else [*chosen, last]
