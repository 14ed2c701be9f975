"""What every backbone does, whoever trained it: `BackboneContract`."""

from __future__ import annotations

import copy
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from kaname.errors import InputError
from kaname.models.backbones import Backbone, build_backbone, freeze

Build = Callable[..., Backbone]


class OnlyMaps(nn.Module):
    """A backbone as a module that answers with a tuple, which is what an export takes."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.backbone(images))


class BackboneContract:
    """``name`` is what ``build_backbone`` takes; ``source`` may be overridden where it is made by a fixture.

    Attributes:
        name: the backbone.
        pretrained: whether its weights are to be loaded (from a local folder; the tests download nothing).
        options: arguments of its builder's own.
        blur: cells of the finest map by which random kernels may put the strongest answer beside a dot.
        exports: whether the export is tested here (False: another member's is the same graph).
    """

    name: str
    pretrained = False
    options: dict[str, Any] = {}  # noqa: RUF012
    blur = 1.0
    exports = True

    @pytest.fixture(scope="class")
    @classmethod
    def source(cls) -> str:
        """What ``build_backbone`` gets."""
        return cls.name

    @pytest.fixture
    def build(self, source: str) -> Build:
        """``build(in_channels=...)`` -> a fresh backbone in eval mode, equal weights each time."""

        def made(**arguments: Any) -> Backbone:
            torch.manual_seed(0)
            return build_backbone(
                source, pretrained=self.pretrained, options=self.options, notice=pytest.fail, **arguments
            ).eval()  # fmt: skip

        return made

    @pytest.fixture
    def backbone(self, build: Build) -> Iterator[Backbone]:
        """A fresh backbone of three channels."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        yield build()
        torch.set_num_threads(threads)

    @pytest.mark.parametrize("cells", [(2, 3), (5, 2), (4, 4)])
    def test_shapes(self, backbone: Backbone, cells: tuple[int, int]) -> None:
        """Every map has the channels and the size that channels and strides promise, fine to coarse."""
        size = [side * backbone.multiple for side in cells]
        with torch.no_grad():
            maps = backbone(torch.randn(2, 3, *size))
        expected = [
            (2, channels, size[0] // stride, size[1] // stride)
            for channels, stride in zip(backbone.channels, backbone.strides, strict=True)
        ]
        assert [tuple(value.shape) for value in maps] == expected and all(0 not in shape for shape in expected)
        assert list(backbone.strides) == sorted(backbone.strides)
        assert len(backbone.mean) == len(backbone.std) == 3 and backbone.licence

    def test_sizes_and_channels_that_do_not_fit(self, backbone: Backbone) -> None:
        """An error that names the nearest size that does."""
        side = backbone.multiple
        for shape, what in (((2 * side + 1, 3 * side), "height"), ((3 * side, 2 * side + 1), "width")):
            if side > 1:
                words = rf"^{what} must divide by {side}, got {2 * side + 1}; nearest {2 * side}$"
                with pytest.raises(InputError, match=words):
                    backbone(torch.randn(1, 3, *shape))
        with pytest.raises(InputError, match="takes 3 channels, got 4"):
            backbone(torch.randn(1, 4, 2 * side, 2 * side))

    def test_strides_are_true(self, backbone: Backbone) -> None:
        """A dot that moves by some cells moves the place of the strongest answer by as many, to its own cell."""
        stride = backbone.strides[0]
        step = max(backbone.multiple, stride)
        sides = (6 * step, 8 * step)
        shifts: list[np.ndarray] = []
        for row, column in ((1.5, 1.5), (1.5, 5.5), (4.5, 1.5), (3.5, 4.5)):
            images = torch.zeros(2, 3, *sides)
            y, x, radius = round(row * step), round(column * step), max(1, stride // 4)
            images[1, :, y - radius : y + radius, x - radius : x + radius] = 3.0
            with torch.no_grad():
                answer = backbone(images)[0]
            change = (answer[1] - answer[0]).abs().sum(dim=0)
            strongest = np.array(np.unravel_index(int(change.argmax()), change.shape))
            # The centre of the strongest cell in pixels, against the dot's centre.
            shifts.append((strongest + 0.5) * stride - (y, x))
        assert np.ptp(shifts, axis=0).max() <= stride, shifts
        assert np.abs(np.array(shifts)).max() <= (self.blur + 0.5) * stride, shifts

    @pytest.mark.parametrize("in_channels", [3, 6, 9])
    def test_rebuilt_from_its_description(
        self, build: Build, source: str, in_channels: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Plain JSON is enough for the same modules, without the network and without the original folder."""
        backbone = build(in_channels=in_channels)
        text = json.dumps(backbone.description, allow_nan=False)
        assert not Path(source).is_absolute() or str(Path(source).parent) not in text
        monkeypatch.setattr(socket, "getaddrinfo", pytest.fail)
        monkeypatch.chdir(tmp_path)
        again = build_backbone(description=json.loads(text), notice=pytest.fail).eval()
        again.load_state_dict(backbone.state_dict(), strict=True)
        images = torch.randn(1, in_channels, 2 * backbone.multiple, backbone.multiple)
        with torch.no_grad():
            for one, other in zip(backbone(images), again(images), strict=True):
                assert torch.equal(one, other)
        for attribute in ("channels", "strides", "multiple", "mean", "std", "description", "in_channels"):
            assert getattr(again, attribute) == getattr(backbone, attribute)

    def test_gradients_flow(self, backbone: Backbone) -> None:
        """To every weight and to the image. A weight without a gradient would stop distributed training."""
        images = torch.randn(2, 3, 2 * backbone.multiple, 2 * backbone.multiple, requires_grad=True)
        sum(value.square().mean() for value in backbone.train()(images)).backward()  # type: ignore[union-attr]
        without = [name for name, value in backbone.named_parameters() if value.grad is None]
        assert not without
        assert all(torch.isfinite(value.grad).all() for value in backbone.parameters() if value.grad is not None)
        assert images.grad is not None and torch.isfinite(images.grad).all() and (images.grad != 0).any()

    def test_frozen_it_stays_what_it_is(self, backbone: Backbone) -> None:
        """No weight, no running statistic and no mode changes, whatever is trained behind it."""
        head = nn.Conv2d(backbone.channels[-1], 1, 1)
        model = nn.ModuleList([backbone, head])
        freeze(backbone)
        before = copy.deepcopy(backbone.state_dict())
        model.train()
        assert head.training and not any(module.training for module in backbone.modules())
        optimizer = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], lr=1e-2)
        maps = backbone(torch.randn(2, 3, 2 * backbone.multiple, 2 * backbone.multiple))
        head(maps[-1]).square().mean().backward()
        optimizer.step()
        assert not any(value.requires_grad for value in maps)
        assert all(value.grad is None and not value.requires_grad for value in backbone.parameters())
        assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())

    def test_eval_is_deterministic_and_image_by_image(self, backbone: Backbone) -> None:
        """The same answer again, and an image's answer does not depend on its neighbours in the batch."""
        images = torch.randn(3, 3, 2 * backbone.multiple, 3 * backbone.multiple)
        with torch.no_grad():
            one, other, alone = backbone(images), backbone(images), backbone(images[1:2])
        for first, second, single in zip(one, other, alone, strict=True):
            assert torch.equal(first, second)
            torch.testing.assert_close(first[1:2], single, atol=1e-4, rtol=1e-4)

    def test_bf16_is_finite(self, backbone: Backbone) -> None:
        """Forwards and backwards under autocast, also on an image that is saturated."""
        images = torch.randn(2, 3, 2 * backbone.multiple, 2 * backbone.multiple)
        images[1] = 10.0
        with torch.autocast("cpu", torch.bfloat16):
            maps = backbone.train()(images)
        assert all(torch.isfinite(value).all() for value in maps)
        sum(value.float().square().mean() for value in maps).backward()  # type: ignore[union-attr]
        assert all(torch.isfinite(value.grad).all() for value in backbone.parameters() if value.grad is not None)

    def test_the_export_answers_the_same(self, backbone: Backbone, tmp_path: Path) -> None:
        """In ONNX, at a size that is higher than wide, for any number of images."""
        if not self.exports:
            pytest.skip("another member's export is the same graph")
        size = (3 * backbone.multiple, 2 * backbone.multiple)
        images = torch.randn(2, 3, *size)
        program = torch.onnx.export(
            OnlyMaps(backbone).eval(), (images,), dynamo=True, verbose=False,
            dynamic_shapes={"images": {0: torch.export.Dim.DYNAMIC}},
        )  # fmt: skip
        assert program is not None
        program.save(str(tmp_path / "backbone.onnx"))
        session = onnxruntime.InferenceSession(str(tmp_path / "backbone.onnx"), providers=["CPUExecutionProvider"])
        for batch in (images, torch.randn(1, 3, *size)):
            answers = session.run(None, {session.get_inputs()[0].name: batch.numpy()})
            with torch.no_grad():
                expected = backbone(batch)
            for one, other in zip(answers, expected, strict=True):
                scale = max(1.0, float(other.abs().max()))
                assert np.abs(np.asarray(one) - other.numpy()).max() <= 1e-4 * scale
