"""What every page and every demo has to be."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any


def page_of(folder: Path) -> str:
    """The text of a folder's ``report.html``, which opens offline and is small."""
    path = folder / "report.html"
    assert path.stat().st_size < 5_000_000
    page = path.read_text(encoding="utf-8")
    assert not re.search(r'https?:|<script|(src|href)="(?!data:|#)', page)
    return page


def demo_of(folder: Path, recipe: str, heading: str) -> dict[str, Any]:
    """The figures of a demo whose page is whole and whose export passed."""
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert heading in page and "data:image/" in page
    assert not re.search(r'(?:src|href)="https?://', page), "the page opens offline"
    figures = json.loads((folder / "demo.json").read_text(encoding="utf-8"))[recipe]
    assert figures["parity"]["passed"]
    assert set(figures["seconds"]) == {"sample", "train", "evaluate", "export", "predict"}
    return figures
