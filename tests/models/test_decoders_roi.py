"""Heads for masks in boxes: the document's own, what they read, what they refuse, and their ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kaname.codecs.roi_align import pool
from kaname.errors import InputError
from kaname.losses.segmentation import cross_entropy
from kaname.models.decoders.roi_heads import ROI_HEADS, build_roi_head
from kaname.models.decoders.roi_map import Places

MAP = (10, 13)
HEADS: dict[str, dict[str, Any]] = {
    "crop": {"roi_size": (6, 4), "mask_size": (12, 8), "width": 16},
    "roimap": {"width": 8},
    "dynamic": {"width": 16},
}
EVERY = pytest.mark.parametrize("name", HEADS)


def built(name: str, classes: int = 3, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return build_roi_head(name, 5, MAP, classes, **{**HEADS[name], **options})


def example(count: int = 5, images: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(count)
    first = torch.rand(count, 2, generator=generator) * 0.6
    rows = torch.arange(count)[:, None] % images
    corners = torch.cat([first, first + 0.1 + torch.rand(count, 2, generator=generator) * 0.5], dim=1)
    features = torch.randn(images, 5, *MAP, generator=generator)
    return {"features": features, "rois": torch.cat([rows.float(), corners], dim=1)}


class RoiSegHead(nn.Module):
    """As written in the document that the recipe follows."""

    def __init__(self, in_ch: int = 1024, mid_ch: int = 256, num_classes: int = 3, out_size: int = 56) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(in_ch, mid_ch, 3, padding=1),
            nn.GroupNorm(32, mid_ch),
            nn.ReLU(inplace=True),
            nn.Conv2d(mid_ch, mid_ch, 3, padding=1),
            nn.GroupNorm(32, mid_ch),
            nn.ReLU(inplace=True),
        )
        self.upsample = nn.Sequential(
            nn.Upsample(size=(out_size, out_size), mode="bilinear", align_corners=False),
            nn.Conv2d(mid_ch, mid_ch, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.classifier = nn.Conv2d(mid_ch, num_classes, 1)

    def forward(self, feats_roi: Tensor) -> Tensor:
        return self.classifier(self.upsample(self.block(feats_roi)))


def count(head: nn.Module) -> int:
    return sum(value.numel() for value in head.parameters())


def test_by_default_it_is_the_documented_head() -> None:
    with torch.device("meta"):
        large = build_roi_head("crop", 1024, (80, 80))
        assert count(large) == count(RoiSegHead()) == 3_541_507
    head, reference = build_roi_head("crop", 4, (80, 80), width=32), RoiSegHead(4, 32)
    reference.load_state_dict(head.state_dict())
    pooled = torch.randn(2, 4, 14, 14)
    torch.testing.assert_close(head({"pooled": pooled})["masks"], reference(pooled))


@EVERY
@pytest.mark.parametrize("classes", [2, 3])
def test_masks_by_name(name: str, classes: int) -> None:
    head = built(name, classes, embedding=4)
    inputs = example()
    outputs = head(inputs)
    assert outputs["masks"].shape == (5, classes, *head.mask_size)
    assert outputs["embedding"].shape == (5, 4, *head.mask_size)
    assert list(built(name)(inputs)) == ["masks"]
    none = head({"features": inputs["features"], "rois": torch.zeros(0, 5)})
    assert none["masks"].shape == (0, classes, *head.mask_size)


@EVERY
@pytest.mark.parametrize("norm", ["group", "batch"])
@pytest.mark.parametrize("upsample", ["direct", "progressive"])
def test_every_option_learns(name: str, norm: str, upsample: str) -> None:
    """A gradient reaches every weight, and one step along it makes the loss smaller."""
    size = (24, 16) if name == "crop" else (20, 26)
    head = built(name, norm=norm, upsample=upsample, depth=3, mask_size=size)
    inputs, targets = example(), (torch.arange(5 * size[0] * size[1]).reshape(5, *size) // 40) % 3
    before = cross_entropy(head(inputs)["masks"], targets)[0]
    before.backward()
    with torch.no_grad():
        for value in head.parameters():
            assert value.grad is not None and (value.grad != 0).any()
            value -= 1e-3 * value.grad
    assert cross_entropy(head(inputs)["masks"], targets)[0] < before


@pytest.mark.parametrize("name", ["crop", "dynamic"])
def test_the_first_convolution_can_be_cheap(name: str) -> None:
    """One of 1 x 1 keeps the shapes of the answer and has a ninth of the weights."""
    (wide, *_), (narrow, *_) = (list(built(name, first_kernel=kernel).parameters()) for kernel in (3, 1))
    assert wide.numel() == 9 * narrow.numel()
    outputs = [built(name, first_kernel=kernel)(example())["masks"] for kernel in (3, 1)]
    assert outputs[0].shape == outputs[1].shape


@EVERY
def test_boxes_one_for_each_image_are_rois(name: str) -> None:
    head, inputs = built(name), example(2)
    boxes = head({"features": inputs["features"], "boxes": inputs["rois"][:, 1:]})["masks"]
    torch.testing.assert_close(boxes, head(inputs)["masks"])
    with pytest.raises(InputError, match=r"a head needs boxes, got features; give rois \(N, 5\) or boxes"):
        head({"features": inputs["features"]})


@EVERY
def test_a_box_is_answered_alike_in_any_company(name: str) -> None:
    """Its image and its place decide, not who else is in the batch; and another box of the image is answered else."""
    head, inputs = built(name).eval(), example(6)
    masks = head(inputs)["masks"]
    for number in (0, 3, 5):
        roi = inputs["rois"][number : number + 1].clone()
        features = inputs["features"][int(roi[0, 0])][None]
        roi[0, 0] = 0
        alone = head({"features": features, "rois": roi})["masks"]
        torch.testing.assert_close(alone, masks[number : number + 1], rtol=1e-4, atol=1e-5)
    assert (masks[0] - masks[2]).abs().max() > 1e-3


def test_crop_takes_what_the_loader_pooled() -> None:
    head, inputs = built("crop"), example(4, images=1)
    boxes = inputs["rois"][:, 1:].double().numpy() * [13, 10, 13, 10]
    pooled = pool(inputs["features"][0].numpy(), boxes, (6, 4))
    torch.testing.assert_close(head({"pooled": torch.from_numpy(pooled)})["masks"], head(inputs)["masks"])
    with pytest.raises(InputError, match=r"takes ROIs of \(6, 4\), got features of \(4, 6\)"):
        head({"pooled": torch.zeros(1, 5, 4, 6)})


def test_the_seven_channels() -> None:
    """Of a map of 4 x 2 cells, by hand; a box without width counts as a cell wide."""
    found = Places((2, 4))(torch.tensor([[0, 0.25, 0.0, 0.75, 0.5], [1, 0.5, 0.5, 0.5, 1.0]]))
    x, y = torch.tensor([0.125, 0.375, 0.625, 0.875]), torch.tensor([[0.25], [0.75]])
    assert found[0, 0].tolist() == [[0, 1, 1, 0], [0, 0, 0, 0]]
    torch.testing.assert_close(found[0, 1], (x - 0.5).expand(2, 4))
    torch.testing.assert_close(found[0, 2], (y - 0.25).expand(2, 4))
    assert (found[0, 3] == 0.5).all() and (found[0, 4] == 0.5).all()
    torch.testing.assert_close(found[0, 5], ((x - 0.5) / 0.5).expand(2, 4))
    torch.testing.assert_close(found[0, 6], ((y - 0.25) / 0.5).expand(2, 4))
    torch.testing.assert_close(found[1, 5], ((x - 0.5) / 0.25).expand(2, 4))


def test_the_first_convolution_sees_the_map_once_an_image() -> None:
    head, inputs = built("roimap"), example(7)
    rows = []
    head.of_map.register_forward_hook(lambda module, given, answer: rows.append(len(given[0])))
    entered = []
    head.enter.register_forward_pre_hook(lambda module, given: entered.append(given[0]))
    head(inputs)
    assert rows == [2]
    joined = torch.cat([inputs["features"][inputs["rois"][:, 0].long()], head.places(inputs["rois"])], dim=1)
    weight = torch.cat([head.of_map.weight, head.of_box.weight], dim=1)
    torch.testing.assert_close(entered[0], nn.functional.conv2d(joined, weight, head.of_map.bias, padding=1))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("box", {}, "unknown head 'box'; known: crop, roimap, dynamic"),
        ("crop", {"classes": 4}, "a head has 2 or 3 classes, got 4"),
        (
            "roimap",
            {"roi_size": (14, 14)},
            "the head roimap has no option roi_size; leave it out, or use the head crop or",
        ),
        ("crop", {"colour": 1}, "the head crop has no option colour; known: roi_size, mask_size, width"),
        ("crop", {"roi_size": (14, 0)}, r"the size of roi_size must be at least \(1, 1\)"),
        ("crop", {"norm": "layer"}, "unknown norm 'layer'; known: group, batch"),
        ("crop", {"upsample": "nearest"}, "unknown upsampling 'nearest'"),
        ("crop", {"roi_size": (28, 14), "mask_size": (20, 28)}, "use a mask size of at least 28 x 28"),
        (
            "crop",
            {"upsample": "progressive", "mask_size": (56, 60)},
            "the nearest mask size is 56 x 56, or use upsample",
        ),
        ("roimap", {"depth": 4}, "a map of 10 x 13 cannot be halved 4 times; use depth 3"),
        ("dynamic", {"mask_size": (5, 5)}, "use a mask size of at least 10 x 13"),
        ("dynamic", {"depth": 0}, "depth must be at least 1, got 0"),
        ("crop", {"first_kernel": 2}, "the first kernel must be odd, got 2"),
        ("roimap", {"first_kernel": 1}, "use the head crop or dynamic"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_roi_head(name, 5, MAP, **options)


def test_every_head_is_tested() -> None:
    assert set(HEADS) == set(ROI_HEADS)
    assert built("crop", norm=None, depth=None).block[1].num_groups == 16  # None leaves the default


class ByPosition(nn.Module):
    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor, rois: Tensor) -> Tensor:
        return self.head({"features": features, "rois": rois})["masks"]


@EVERY
def test_onnx_answers_alike_for_any_number_of_boxes_and_images(name: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    head = built(name, embedding=4, **({"sampling_ratio": 0} if name == "dynamic" else {})).eval()
    inputs, dim = example(3), torch.export.Dim
    program = torch.onnx.export(
        ByPosition(head).eval(), (inputs["features"], inputs["rois"]), dynamo=True, opset_version=20, verbose=False,
        dynamic_shapes=({0: dim("images", min=1)}, {0: dim("rois", min=1)}), input_names=["features", "rois"],
    )  # fmt: skip
    assert program is not None and not any("embedding" in one.name for one in program.model_proto.graph.initializer)
    model = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for boxes, images in ((1, 1), (3, 2), (9, 4)):
        given = example(boxes, images)
        found = session.run(None, {key: value.numpy() for key, value in given.items()})[0]
        np.testing.assert_allclose(found, head(given)["masks"].detach().numpy(), rtol=0, atol=1e-4)
