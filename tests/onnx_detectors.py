"""Tiny detectors as ONNX files, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper


def write(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    outputs: Sequence[str],
    constants: Mapping[str, NDArray[Any]],
    shape: Sequence[int | str],
    kind: int = TensorProto.FLOAT,
) -> Path:
    """A graph with the input ``images``; outputs whose constant is of whole numbers are such."""
    ends = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(constants[name].dtype), None)
        if name in constants
        else helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        for name in outputs
    ]
    given = [numpy_helper.from_array(value, name) for name, value in constants.items() if name not in outputs]
    stated = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(constants[name], name))
        for name in outputs
        if name in constants
    ]
    start = [helper.make_tensor_value_info("images", kind, shape)]
    graph = helper.make_graph([*nodes, *stated], "detector", start, ends, given)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path


def constant(path: Path, shape: Sequence[int | str] = (1, 3, 64, 96), **outputs: Any) -> Path:
    """A file that answers the same whatever the image."""
    arrays = {name: value if isinstance(value, np.ndarray) else np.float32(value) for name, value in outputs.items()}
    return write(path, [], list(arrays), arrays, shape)


def colours(path: Path, shape: Sequence[int | str] = (1, 3, 64, 96), kind: int = TensorProto.FLOAT) -> Path:
    """Three boxes whose scores are the means of the three colours that the network sees."""
    nodes = [
        helper.make_node("Cast", ["images"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["values"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("Mul", ["means", "share"], ["scores"]),
    ]
    share = np.float32(1 / 255 if kind == TensorProto.UINT8 else 1)
    boxes = np.float32([[[10 * n, 0, 10 * n + 8, 9] for n in range(3)]])
    return write(path, nodes, ["boxes", "scores"], {"share": np.array(share), "boxes": boxes}, shape, kind)


def bright(path: Path, size: tuple[int, int] = (64, 96)) -> Path:
    """Finds the bright thing in an image: ``boxes (1, 4)`` around it and ``scores (1,)``, 0 where all is dark."""
    nodes = [helper.make_node("ReduceMax", ["images"], ["grey"], axes=[0, 1], keepdims=0)]
    for axis, side in ((0, "x"), (1, "y")):
        nodes += [
            helper.make_node("ReduceMax", ["grey"], [f"{side} values"], axes=[axis], keepdims=0),
            helper.make_node("Greater", [f"{side} values", "limit"], [f"{side} is"]),
            helper.make_node("Cast", [f"{side} is"], [f"{side} line"], to=TensorProto.FLOAT),
            helper.make_node("ArgMax", [f"{side} line"], [f"{side} first"], axis=0, keepdims=1),
            helper.make_node("ArgMax", [f"{side} line"], [f"{side} last"], axis=0, keepdims=1, select_last_index=1),
            helper.make_node("Add", [f"{side} last", "one"], [f"{side} end"]),
        ]
    nodes += [
        helper.make_node("Concat", ["x first", "y first", "x end", "y end"], ["corners"], axis=0),
        helper.make_node("Cast", ["corners"], ["flat"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["flat", "shape"], ["boxes"]),
        helper.make_node("ReduceMax", ["x line"], ["scores"], axes=[0], keepdims=1),
    ]
    constants = {"limit": np.float32(0.5), "one": np.array([1]), "shape": np.array([1, 4])}
    return write(path, nodes, ["boxes", "scores"], {n: np.asarray(v) for n, v in constants.items()}, (1, 3, *size))
