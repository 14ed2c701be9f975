"""What the tests of training share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kaname.training.settings import TrainSettings
from training.tiny_task import run


@pytest.fixture
def whole(tmp_path: Path) -> Callable[..., Path]:
    """A run that nothing stopped."""

    def made(settings: TrainSettings, **changes: Any) -> Path:
        run(tmp_path / "whole", settings, **changes)
        return tmp_path / "whole"

    return made
