from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kaname.inference import device, processor
from kaname.inference.device import choose_precision


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("GenuineIntel avx512f avx512_bf16 amx_bf16", "bf16"),
        ("GenuineIntel avx512f avx512_bf16", "fp32"),  # slower in bf16, as measured
        ("AuthenticAMD avx512f avx512_bf16", "bf16"),
        ("AuthenticAMD avx2", "fp32"),
        ("somebody else", "fp32"),
    ],
)
def test_auto_takes_what_the_cpu_is_faster_in(monkeypatch: pytest.MonkeyPatch, words: str, expected: str) -> None:
    monkeypatch.setattr(device, "cpu_words", lambda: frozenset(words.split()))
    assert choose_precision("auto", torch.device("cpu")) == expected
    assert choose_precision("bf16", torch.device("cpu")) == "bf16"


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("", "bf16"), ("DEFAULT", "bf16"), ("AVX512_CORE_BF16", "bf16"), ("avx2", "fp32"), ("AVX512_CORE", "fp32")],
)
def test_auto_keeps_to_what_onednn_may_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str, expected: str
) -> None:
    """A processor that is held to older instructions computes bfloat16 by detours: a demo took 200 s, 63 in fp32."""
    (tmp_path / "cpuinfo").write_text("vendor_id : AuthenticAMD\nflags : avx2 avx512f avx512_bf16\n")
    monkeypatch.setattr(processor, "Path", lambda _: tmp_path / "cpuinfo")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert choose_precision("auto", torch.device("cpu")) == expected
