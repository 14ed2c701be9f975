"""Facts of a shipped model, for tests that list models and open none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kaname import zoo

FACTS: dict[str, Any] = {
    "format": zoo.FORMAT, "version": zoo.VERSION, "recipe": "gauge", "trained_on": "rendered dials",
    "command": "python zoo/build.py gauge", "commit": "0123abc", "licence": "Apache-2.0", "kaname": "0.1.0",
    "figures": {"dials (16)": {"F1": {"value": 0.912, "low": 0.84, "high": 0.95, "n": 16},
                               "distance": {"value": None, "low": None, "high": None, "n": 0}}},
    "input_size": [256, 192], "frames": 1, "channels": ["start", "end"], "parameters": 3065157,
    "bytes": {"pt": 6481943, "onnx": 6295638},
    "scores": {"pictures": 200, "quantiles": {"0.01": 0.2, "0.05": 0.3, "0.5": 0.6}},
}  # fmt: skip


def model(folder: Path, name: str, **facts: Any) -> None:
    """A shipped model by its list alone."""
    folder.mkdir(exist_ok=True)
    for ending in ("pt", "onnx"):
        (folder / f"{name}.{ending}").touch()
    (folder / f"{name}.json").write_text(json.dumps({**FACTS, **facts}), encoding="utf-8")
