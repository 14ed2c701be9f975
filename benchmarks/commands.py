"""What the benchmarks that are made of commands share."""

from __future__ import annotations

from kaname.cli import main as kaname


def run(*words: object) -> None:
    """One kaname command; a failing one ends the benchmark."""
    try:
        kaname([str(word) for word in words])
    except SystemExit as stop:
        if stop.code:
            raise
