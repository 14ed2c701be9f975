from __future__ import annotations

import json

from recipes.gauge.conftest import Trained


def test_trained(trained: Trained) -> None:
    print(trained.answer.out)
    print((trained.run / "val" / "metrics.json").read_text())
    assert 0
