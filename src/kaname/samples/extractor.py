"""A small ONNX network in the place of the documented extractor: same input, same tensor, nothing learned.

Its 1,024 channels tell figures apart by what is there: colours at 16 places of each cell, edges of several directions,
both averaged over larger and larger surroundings, the place in the picture, and random mixtures of all these with a
threshold each, so that a decoder finds combinations of them ready-made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import whole_path

NAME = "yolov9_e_wholebody25_0100_1x3x640x640_featext.onnx"
TENSOR = "/model.34/Concat_output_0"
SIDE, STRIDE, CHANNELS = 640, 8, 1024
SURROUNDINGS = (3, 7, 15, 31)  # cells
RANDOM_FILTERS = 12
OPSET, IR = 17, 9  # what every onnxruntime that Kaname supports reads


def write_extractor(path: Path, seed: int = 0) -> Path:
    """Write the network: ``images`` ``(1, 3, 640, 640)``, RGB 0..1, to ``output0``, with the tensor on the way.

    The tensor ``/model.34/Concat_output_0`` is ``(1, 1024, 80, 80)`` and no output of the graph.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(seed)
    weights: list[Any] = []
    nodes: list[Any] = []

    def constant(name: str, value: NDArray[Any]) -> str:
        weights.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
        return name

    def add(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], name=output.removesuffix("_output_0"), **attributes))
        return output

    def pool(source: str, output: str, side: int, *, around: bool = False) -> str:
        pads = [side // 2 if around else 0] * 4
        step = [1 if around else side] * 2
        return add("AveragePool", [source], output, kernel_shape=[side, side], strides=step, pads=pads)

    half = pool("images", "half", 2)
    filters = constant("filters", _filters(rng))
    lines = add("Relu", [add("Conv", [half, filters], "filtered", pads=[2] * 4)], "lines")
    edges, colours = pool(lines, "edges", STRIDE // 2), pool("images", "colours", STRIDE)
    places = add("SpaceToDepth", [half], "places", blocksize=STRIDE // 2)
    look = add("Concat", [colours, edges], "look", axis=1)
    wider = [pool(look, f"look_{side}", side, around=True) for side in SURROUNDINGS]
    cells = SIDE // STRIDE
    across, down = np.meshgrid(np.linspace(0, 1, cells), np.linspace(0, 1, cells))
    where = constant("where", np.stack([across, down])[None])
    plain = add("Concat", [places, look, *wider, where], "plain", axis=1)
    known = 3 * (STRIDE // 2) ** 2 + (3 + len(_directions()) + RANDOM_FILTERS) * (1 + len(SURROUNDINGS)) + 2
    mixing = rng.normal(0, 3 / np.sqrt(known), (CHANNELS - known, known))
    bias = -mixing.mean(axis=1) * known * 0.35 + rng.normal(0, 0.3, len(mixing))
    mixed = add("Conv", [plain, constant("mixing", mixing[..., None, None]), constant("bias", bias)], "mixed")
    whole = add("Concat", [plain, add("Relu", [mixed], "thresholds")], TENSOR, axis=1)
    head = constant("head", rng.normal(0, 0.03, (5, CHANNELS, 1, 1)))
    add("Conv", [whole, head], "output0")
    graph = helper.make_graph(
        nodes,
        "extractor",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 5, cells, cells])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(model, full_check=True)
    with whole_path(path, ending=".onnx", parents=True) as partial:
        onnx.save(model, str(partial))
    return path


def _directions() -> list[NDArray[np.float64]]:
    """Edges of each colour, dark to light in four directions."""
    ramp = np.outer([1, 2, 3, 2, 1], [-1, -1, 0, 1, 1]) / 9
    turned = [np.rot90(ramp, quarter) for quarter in range(4)]
    return [np.stack([edge * (channel == one) for one in range(3)]) for channel in range(3) for edge in turned]


def _filters(rng: np.random.Generator) -> NDArray[np.float64]:
    """Edges, and random ones that a flat colour leaves at 0."""
    loose = rng.normal(0, 0.4, (RANDOM_FILTERS, 3, 5, 5))
    return np.concatenate([_directions(), loose - loose.mean(axis=(1, 2, 3), keepdims=True)])
