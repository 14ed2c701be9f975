"""Sizes, canvases and configuration files of ``kpnet``."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaname.config import load
from kaname.errors import InputError
from kaname.recipes.kpnet.config import KpnetConfig


@pytest.mark.parametrize(
    ("words", "canvas", "cells"),
    [
        ([], (384, 384), (96, 96)),
        (["image_size=540,960"], (544, 960), (136, 240)),
        (["image_size=540x960", "heatmap_size=196"], (544, 960), (196, 196)),
        (["image_size=384", "heatmap_size=135,240"], (384, 384), (135, 240)),
    ],
)
def test_sizes(words: list[str], canvas: tuple[int, int], cells: tuple[int, int]) -> None:
    config = load(KpnetConfig, overrides=words)
    assert (config.canvas, config.cells) == (canvas, cells)
    assert config.view.input_size == canvas and config.view.fit == "letterbox"


def test_a_picture_on_a_padded_canvas_keeps_its_size() -> None:
    """540 rows lie two rows below the top of 544; nothing is stretched to fill them."""
    view = load(KpnetConfig, overrides=["image_size=540,960", "resize_only=true"]).view
    assert view.into((1080, 1920)).points([[0, 0], [1920, 1080]]).tolist() == [[0, 2], [960, 542]]


@pytest.mark.parametrize("name", ["stage1", "stage2"])
def test_the_configuration_files_are_the_written_commands(root: Path, name: str) -> None:
    path = root / "configs" / "kpnet" / f"{name}.yaml"
    assert path.read_text("utf-8").startswith(f"# kaname kpnet train --config configs/kpnet/{name}.yaml --data-root")
    config = load(KpnetConfig, file=path)
    assert (config.in_chans, config.cells, config.resize_only) == (6, (196, 196), True)
    assert config.loss.compares and (config.loss.seg_weight > 0) is (name == "stage1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["image_size=wide"], "write a number"),
        (["in_chans=4"], "3 is RGB, 6 is RGB with flow"),
        (["image_size=96", "heatmap_size=128"], "larger than the input"),
        (["motion.delta=0"], "delta"),
        (["augment.rotate=200"], "rotate must lie in"),
    ],
)
def test_what_does_not_fit_is_refused(words: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        load(KpnetConfig, overrides=words)
