"""Tiny transformers with random weights, saved as Hugging Face saves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from models.tiny_vits import on_request


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_vit(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``tiny_vit(kind)`` -> the folder of a tiny transformer of that kind."""
    return on_request(tmp_path_factory)
