from __future__ import annotations

import pytest
import torch

from kaname.inference import device
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
