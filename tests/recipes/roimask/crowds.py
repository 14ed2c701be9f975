"""A small set of crowded scenes, and a small extractor whose features say where what colour is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from kaname import config as configuration
from kaname.recipes.roimask.config import RoimaskConfig
from kaname.recipes.roimask.labels import Photo, read_set
from kaname.samples.roimask import write

SIDE, STRIDE, CHANNELS = 96, 8, 12
TENSOR = "deep/map"


def extractor(path: Path, seed: int = 0) -> Path:
    """``image`` ``(1, 3, 96, 96)`` to ``score``, with ``deep/map`` ``(1, 12, 12, 12)`` on the way."""
    rng = np.random.default_rng(seed)
    values = {
        "first": rng.normal(0, 0.4, (8, 3, 5, 5)),
        "second": rng.normal(0, 0.2, (CHANNELS, 8, 3, 3)),
        "head": rng.normal(0, 0.1, (1, CHANNELS, 1, 1)),
    }
    weights = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in values.items()]
    nodes = [
        helper.make_node("Conv", ["image", "first"], ["a"], pads=[2] * 4, strides=[4, 4]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "second"], [TENSOR], pads=[1] * 4, strides=[2, 2]),
        helper.make_node("Conv", [TENSOR, "head"], ["score"]),
    ]
    given = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    made = helper.make_tensor_value_info("score", TensorProto.FLOAT, [1, 1, SIDE // STRIDE, SIDE // STRIDE])
    graph = helper.make_graph(nodes, "small", [given], [made], weights)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


def scenes(folder: Path, *, count: int = 4, val_count: int = 4) -> Path:
    """The documented folders, and the extractor at ``folder/extractor.onnx``."""
    write(folder, count=count, val_count=val_count, size=(96, 128), seed=1)
    extractor(folder / "extractor.onnx")
    return folder


def config_of(folder: Path, **changes: Any) -> RoimaskConfig:
    """A small model on such scenes; ``changes`` are keys with ``__`` for dots."""
    flags = {
        "data.root": folder / "data",
        "data.min_target": 4,
        "extractor.path": folder / "extractor.onnx",
        "extractor.tensor": TENSOR,
        "extractor.threads": 1,
        "head.width": 8,
        "head.roi_size": [4, 4],
        "head.mask_size": [8, 8],
        "train.device": "cpu",
        "train.precision": "fp32",
        "train.cache_budget": 0.1,
        **{key.replace("__", "."): value for key, value in changes.items()},
    }
    return configuration.load(RoimaskConfig, flags={key: value for key, value in flags.items() if value is not ...})


def photos(config: RoimaskConfig, part: str = "train") -> list[Photo]:
    """The images of a part."""
    return read_set(config.data, part)
