"""A training step beside its floor: the operations of the network divided by what this machine multiplies at best.

    python benchmarks/training_step.py [--batch 8]

The floor counts the multiplications and additions of convolutions and products, forward and backward, at the speed of
one large matrix product in the same precision; normalization, activations, the loss and the optimiser come on top.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from kaname.losses.heatmap import LOSSES
from kaname.memory import reuse_memory
from kaname.models.backbones import build_backbone
from kaname.models.network import Network

CASES = {
    "gauge: small U-Net, 224 px, BCE": ((224, 224), (224, 224), 1, 3, "bce"),
    "tracknet: small U-Net, 3 frames of 512 x 288, focal": ((288, 512), (144, 256), 3, 3, "focal"),
}


def seconds(work: Callable[[], object], repeats: int = 7) -> float:
    """The median time of a call."""
    work()
    spans = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        spans.append(time.perf_counter() - started)
    return statistics.median(spans)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    batch = parser.parse_args().batch
    reuse_memory()
    print("| step | precision | operations, GFLOP | floor, ms | measured, ms | times the floor |")
    print("|---|---|---:|---:|---:|---:|")
    for dtype, name in ((torch.float32, "fp32"), (torch.bfloat16, "bf16")):
        square = torch.randn(2048, 2048).to(dtype)
        peak = 2 * 2048**3 / seconds(lambda square=square: square @ square)
        for title, (size, cells, frames, channels, loss) in CASES.items():
            backbone = build_backbone("small", in_channels=3 * frames, options={"stride": 2})
            network = Network(backbone, size=size, out_channels=channels, heatmap_size=cells, frames=frames)
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            images = torch.randint(0, 256, (batch, 3 * frames, *size), dtype=torch.uint8)
            images = images.to(memory_format=torch.channels_last)
            targets = torch.rand(batch, channels, *cells)
            optimizer = torch.optim.AdamW(network.parameters())

            def step(
                network=network, images=images, targets=targets, loss=loss, optimizer=optimizer, dtype=dtype
            ) -> None:
                with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
                    logits = network({"images": images})["heatmaps"]
                total, weight = LOSSES[loss](logits.float(), targets)
                optimizer.zero_grad()
                (total / weight).backward()
                optimizer.step()

            with FlopCounterMode(display=False) as counter:
                step()
            floor, spent = counter.get_total_flops() / peak, seconds(step)
            print(f"| {title}, batch {batch} | {name} | {counter.get_total_flops() / 1e9:.1f} | {1000 * floor:.0f} | "
                  f"{1000 * spent:.0f} | {spent / floor:.1f} |")  # fmt: skip


if __name__ == "__main__":
    main()
