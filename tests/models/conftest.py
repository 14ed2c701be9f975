"""Tiny transformers with random weights, saved as Hugging Face saves them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from models.tiny_vits import TINY


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_vit(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``tiny_vit(kind)`` -> the folder of a tiny transformer of that kind."""
    folders: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in folders:
            import transformers

            name, values, _ = TINY[kind]
            torch.manual_seed(len(folders))
            config = getattr(transformers, name)(**values)
            path = tmp_path_factory.mktemp(kind)
            model = transformers.AutoModel.from_config(config)
            with torch.no_grad():  # the library starts some of these at zero, which would hide a lost tensor
                for parameter in model.parameters():
                    parameter.add_(torch.randn_like(parameter) * 0.02)
            model.save_pretrained(path)
            processor = {"image_mean": [0.4, 0.41, 0.42], "image_std": [0.2, 0.21, 0.22], "do_center_crop": True}
            (path / "preprocessor_config.json").write_text(json.dumps(processor), encoding="utf-8")
            folders[kind] = path
        return folders[kind]

    return folder
