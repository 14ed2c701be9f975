"""RoIAlign in torch and ONNX as in NumPy, and how boxes are given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kaname.codecs.roi_align import pool
from kaname.models.roi_align import in_cells, padded, roi_align, rois_of

MAP = (19, 23)


class Both(nn.Module):
    """A fixed and the adaptive number of places."""

    def forward(self, features: Tensor, rois: Tensor) -> tuple[Tensor, Tensor]:
        return roi_align(features, rois, (7, 5), sampling_ratio=2), roi_align(features, rois, (7, 5), sampling_ratio=0)


def example(boxes: int, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of all sizes, some partly or wholly outside the map."""
    random = np.random.default_rng(boxes)
    centre = random.uniform(-0.3, 1.3, (boxes, 2)) * MAP[::-1]
    half = random.choice([0.2, 2.0, 15.0, 60.0], (boxes, 2)) * random.uniform(0.2, 0.7, (boxes, 2))
    rows = random.integers(0, images, (boxes, 1))
    rois = np.concatenate([rows, centre - half, centre + half], axis=1).astype(np.float32)
    return random.normal(size=(images, 3, *MAP)).astype(np.float32), rois


def numpy_form(features: np.ndarray, rois: np.ndarray, ratio: int) -> np.ndarray:
    return np.concatenate([pool(features[int(roi[0])], roi[None, 1:], (7, 5), sampling_ratio=ratio) for roi in rois])


def test_numpy_torch_and_onnx_are_one() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    features, rois = (torch.from_numpy(value) for value in example(3, 2))
    dim = torch.export.Dim
    program = torch.onnx.export(
        Both().eval(), (features, rois), dynamo=True, opset_version=18, verbose=False, input_names=["features", "rois"],
        dynamic_shapes=({0: dim("images", min=1)}, {0: dim("rois", min=1)}),
    )  # fmt: skip
    assert program is not None
    assert [node.op_type for node in program.model_proto.graph.node].count("RoiAlign") == 2
    model = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for boxes, images in ((1, 1), (60, 4)):
        given = example(boxes, images)
        in_torch = Both()(*(torch.from_numpy(value) for value in given))
        in_onnx = session.run(None, dict(zip(("features", "rois"), given, strict=True)))
        for ratio, one, other in zip((2, 0), in_torch, in_onnx, strict=True):
            np.testing.assert_allclose(other, one.numpy(), rtol=0, atol=1e-5)
            np.testing.assert_allclose(numpy_form(*given, ratio), one.numpy(), rtol=0, atol=1e-5)


def test_boxes_are_padded_and_clipped_as_in_numpy() -> None:
    rois = rois_of({"boxes": torch.tensor([[0.2, 0.4, 0.6, 0.8], [0.0, 0.9, 0.5, 1.0]])})
    assert rois[:, 0].tolist() == [0, 1]
    found = padded(rois, 0.1)
    torch.testing.assert_close(found[:, 1:], torch.tensor([[0.16, 0.36, 0.64, 0.84], [0.0, 0.89, 0.55, 1.0]]))
    torch.testing.assert_close(in_cells(found, (10, 20))[1], torch.tensor([1, 0.0, 8.9, 11.0, 10.0]))
