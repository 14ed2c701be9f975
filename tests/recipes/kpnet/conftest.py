"""A rendered data set with two tiny detectors, made once for all tests that predict videos."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.kpnet import tiny


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``data``, and detectors of three and of six channels: ``rgb.pt``, ``six.pt``."""
    folder = tmp_path_factory.mktemp("kpnet")
    tiny.data(folder / "data")
    tiny.detector(folder / "rgb.pt")
    tiny.detector(folder / "six.pt", "in_chans=6")
    return folder
