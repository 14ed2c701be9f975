"""What the processor of this machine is. No torch, which takes seconds."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")  # how oneDNN, which multiplies for torch, is held to older ones
WITH_BF16 = re.compile("BF16|FP16|AMX|AVX10|DEFAULT|ALL", re.IGNORECASE)


def cpu_words() -> frozenset[str]:
    """What Linux says of the processor, word by word, without bfloat16 where `LIMITS` forbid it; empty elsewhere."""
    place = Path("/proc/cpuinfo")
    words = frozenset(place.read_text(encoding="utf-8", errors="replace").split() if place.is_file() else ())
    limit = next((os.environ[name] for name in LIMITS if os.environ.get(name)), "DEFAULT")
    return words if WITH_BF16.search(limit) else words - {"amx_bf16", "avx512_bf16"}


def gains_by_bf16(words: Collection[str]) -> bool:
    """Whether a processor of these `cpu_words` is faster in bfloat16 than in fp32: with AMX, or AMD's with AVX-512
    instructions for it.

    Intel's with these and without AMX are slower: products of matrices were measured to take 1.6 times as long,
    training the small U-Net 1.3 times, tuning EfficientNet-Lite0 1.35 times.
    """
    return "amx_bf16" in words or ("AuthenticAMD" in words and "avx512_bf16" in words)
