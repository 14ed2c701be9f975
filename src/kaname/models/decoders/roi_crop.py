"""The head ``crop``: RoIAlign, then a small convolutional network on the grid of each box (Mask R-CNN's way)."""

from __future__ import annotations

from torch import Tensor, nn

from kaname.codecs.roi_align import SAMPLING_RATIO
from kaname.errors import InputError
from kaname.models.decoders.roi_layers import block, check_numbers, embedding_of, upsampling
from kaname.models.roi_align import Inputs, in_cells, roi_align, rois_of
from kaname.shapes import Float

ROI_SIZE, MASK_SIZE = (14, 14), (56, 56)


class RoiCrop(nn.Module):
    """``features`` and boxes, or ``pooled`` features ``(N, C, h, w)``, to ``masks`` on the grid of each box.

    By default the document's ``RoiSegHead``, with its names of tensors: 3,541,507 parameters for 1,024 channels.
    """

    region = "box"

    def __init__(
        self,
        channels: int,
        map_size: tuple[int, int],
        classes: int = 3,
        *,
        roi_size: tuple[int, int] = ROI_SIZE,
        mask_size: tuple[int, int] = MASK_SIZE,
        width: int = 256,
        depth: int = 2,
        first_kernel: int = 3,
        norm: str = "group",
        upsample: str = "direct",
        sampling_ratio: int = SAMPLING_RATIO,
        embedding: int = 0,
    ) -> None:
        super().__init__()
        check_numbers(roi_size=roi_size, width=width, depth=depth)
        self.map_size, self.roi_size, self.mask_size, self.sampling_ratio = (
            map_size,
            roi_size,
            mask_size,
            sampling_ratio,
        )
        self.block = nn.Sequential(*block(channels, width, norm, first_kernel))
        for _ in range(depth - 1):
            self.block.extend(block(width, width, norm))
        self.upsample = upsampling(upsample, width, roi_size, mask_size, norm)
        self.classifier = nn.Conv2d(width, classes, 1)
        self.embedding = embedding_of(width, embedding)

    def forward(self, inputs: Inputs) -> dict[str, Float[Tensor, "rois _channels _height _width"]]:
        """See `kaname.models.decoders.roi_heads`."""
        values = self.upsample(self.block(self.pooled(inputs)))
        outputs = {"masks": self.classifier(values)}
        return outputs if self.embedding is None else outputs | {"embedding": self.embedding(values)}

    def pooled(self, inputs: Inputs) -> Float[Tensor, "rois channels rows columns"]:
        """The features on the grid of each box: the given ones, or those inside the boxes.

        Raises:
            InputError: given ones of another grid.
        """
        if "pooled" not in inputs:
            rois = in_cells(rois_of(inputs), self.map_size)
            return roi_align(inputs["features"].float(), rois, self.roi_size, sampling_ratio=self.sampling_ratio)
        pooled = inputs["pooled"].float()
        if tuple(pooled.shape[2:]) != self.roi_size:
            reason = f"the head takes ROIs of {self.roi_size}, got features of {tuple(pooled.shape[2:])}"
            raise InputError(reason, remedy="pool them to the head's roi_size")
        return pooled
