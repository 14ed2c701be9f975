"""The configuration file that comes with the recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaname.config import load
from kaname.recipes.roimask.config import RoimaskConfig

FOLDER = Path(__file__).parents[3] / "configs" / "roimask"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.name)
def test_every_configuration_file_says_how_it_is_called(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(f"# kaname roimask train --config configs/roimask/{path.name} ")
    load(RoimaskConfig, file=path)


def test_the_default_file_is_the_defaults() -> None:
    assert load(RoimaskConfig, file=FOLDER / "default.yaml") == RoimaskConfig()
