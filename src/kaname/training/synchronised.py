"""BatchNorm whose statistics are those of the batch in all processes together.

On a GPU that is torch's ``SyncBatchNorm``. It knows no CPU, so there the sums are added up here, in double precision.
A process without a share of the last batch runs one sample along that weighs nothing in the loss; in the statistics it
counts. Statistics that are held (`kaname.models.statistics`) need none of this and are left alone by it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


class SynchronisedBatchNorm(nn.BatchNorm2d):
    """BatchNorm over the batches of all processes, which have to run it in step."""

    def forward(self, input: Tensor) -> Tensor:
        """``(B, C, H, W)`` normalised by channel; while evaluating as usual."""
        if not self.training:
            return super().forward(input)
        wide = input.double()
        count = wide.new_full((1,), input.numel() / input.shape[1])
        sums = all_reduce(torch.cat([wide.sum(dim=(0, 2, 3)), wide.square().sum(dim=(0, 2, 3)), count]))
        mean, square = (sums[:-1] / sums[-1]).chunk(2)
        variance = (square - mean.square()).clamp(min=0)
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            with torch.no_grad():
                self.num_batches_tracked += 1
                share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
                unbiased = variance * (sums[-1] / (sums[-1] - 1).clamp(min=1))
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
                self.running_var.lerp_(unbiased.to(self.running_var.dtype), share)
        normal = (wide - mean[:, None, None]) * (variance + self.eps).rsqrt()[:, None, None]
        normal = normal.to(input.dtype)
        if self.weight is None:
            return normal
        return normal * self.weight[:, None, None] + self.bias[:, None, None]


def synchronise(model: nn.Module, device: torch.device) -> None:
    """Exchange every plain ``BatchNorm2d`` inside a model; parameters and buffers stay the same objects."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:  # a kind of its own may do more than normalise
                setattr(parent, name, _synchronised(child, device))


def _synchronised(norm: nn.BatchNorm2d, device: torch.device) -> nn.Module:
    if device.type != "cpu":
        return nn.SyncBatchNorm.convert_sync_batchnorm(norm)
    other = SynchronisedBatchNorm(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    other._parameters, other._buffers = norm._parameters, norm._buffers
    return other.train(norm.training)
