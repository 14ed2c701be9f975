"""What the tests of the engine share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.tiny_task import run
from kaname.engine.settings import TrainSettings


@pytest.fixture
def whole(tmp_path: Path) -> Callable[..., Path]:
    """A run that nothing stopped."""

    def made(settings: TrainSettings, **changes: Any) -> Path:
        run(tmp_path / "whole", settings, **changes)
        return tmp_path / "whole"

    return made
