"""Training steps of EfficientNet-Lite0 on a CPU: fp32, bf16, and bf16 with depthwise convolutions in fp32.

    python benchmarks/depthwise.py [--size 256] [--batch 8] [--rounds 5] [--threads 1]

The three take turns; prints the median milliseconds an image of a forward and backward pass with a map at stride 4.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import timm
import torch
from answers import processor
from torch import Tensor, nn
from torch.nn import functional

from kaname.training.depthwise import keep_exact

WIDTH = 64


class Pyramid(nn.Module):
    """The network with its maps of strides 4 to 32 summed at stride 4."""

    def __init__(self) -> None:
        super().__init__()
        self.net = timm.create_model("tf_efficientnet_lite0", features_only=True)
        self.across = nn.ModuleList([nn.Conv2d(count, WIDTH, 1) for count in self.net.feature_info.channels()[1:]])

    def forward(self, images: Tensor) -> Tensor:
        maps = [layer(value) for layer, value in zip(self.across, self.net(images)[1:], strict=True)]
        return torch.stack([functional.interpolate(value, size=maps[0].shape[2:]) for value in maps]).sum(dim=0)


def step(exact: bool, half: bool, images: Tensor) -> Callable[[], float]:
    """A step of a network of its own, which returns its seconds."""
    model = Pyramid().train()
    if exact:
        keep_exact(model)

    def run() -> float:
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            value = model(images)
        value.float().square().mean().backward()
        return time.perf_counter() - began

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("size", 256), ("batch", 8), ("rounds", 5), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    images = torch.rand(options.batch, 3, options.size, options.size)
    ways = {"fp32": step(False, False, images), "bf16": step(False, True, images),
            "bf16, depthwise in fp32": step(True, True, images)}  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(options.rounds + 1):
        for name, run in ways.items():
            taken = run()
            if number:
                seconds[name].append(taken)
    print(f"{processor()}\n\n| arithmetic | ms an image |\n|---|---:|")
    for name, values in seconds.items():
        print(f"| {name} | {1000 * median(values) / options.batch:.0f} |")


if __name__ == "__main__":
    main()
