"""Where a network runs and in what arithmetic."""

from __future__ import annotations

import torch

from kaname.errors import InputError
from kaname.inference.processor import cpu_words, gains_by_bf16


def choose_device(name: str) -> torch.device:
    """``auto`` is CUDA, then MPS, then the CPU; a device that is not there is refused."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"unknown device {name!r}", remedy="use auto, cpu, cuda, cuda:N or mps") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"device {name} was asked for, but no CUDA device is visible", remedy="use --device cpu or auto"
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"device {name} does not exist", remedy=f"there are {torch.cuda.device_count()} CUDA devices")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise InputError("device mps was asked for, but is not available", remedy="use --device cpu or auto")
    return device


def device_in_turn(name: str, number: int) -> str:
    """Of several GPUs the one that process ``number`` of those at work takes; another device by its name."""
    if name in ("auto", "cuda") and torch.cuda.is_available() and torch.cuda.device_count() > 1:
        return f"cuda:{number % torch.cuda.device_count()}"
    return name


def choose_precision(name: str, device: torch.device) -> str:
    """``auto`` becomes bf16 where the device is faster in it, else fp32."""
    if name == "fp16" and device.type == "cpu":
        raise InputError("fp16 does not train on a CPU", remedy="use --precision bf16 or fp32")
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    if device.type != "cpu":
        return "fp32"
    # outside of Linux torch tells; of older versions nobody
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    words = cpu_words() or {name for name, there in capabilities.items() if there}
    return "bf16" if gains_by_bf16(words) else "fp32"
