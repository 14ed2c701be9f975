from __future__ import annotations

from typing import Any

import pytest
import torch

from kaname.inference.device import choose_precision


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"cpu_name": "Intel Xeon", "amx_bf16": True, "avx512_bf16": True}, "bf16"),
        ({"cpu_name": "Intel Xeon", "amx_bf16": False, "avx512_bf16": True}, "fp32"),  # slower in bf16, as measured
        ({"cpu_name": "AMD EPYC", "amx_bf16": False, "avx512_bf16": True}, "bf16"),
        ({"cpu_name": "AMD EPYC", "avx2": True}, "fp32"),
        ({}, "fp32"),
    ],
)
def test_auto_takes_what_the_cpu_is_faster_in(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, Any], expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert choose_precision("auto", torch.device("cpu")) == expected
    assert choose_precision("bf16", torch.device("cpu")) == "bf16"
