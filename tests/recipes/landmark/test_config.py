"""The configuration files of ``landmark``, and what a configuration refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaname.config import load
from kaname.errors import InputError
from kaname.recipes.landmark.config import LandmarkConfig


@pytest.mark.parametrize(
    "name", sorted(path.name for path in Path(__file__).parents[3].glob("configs/landmark/*.yaml"))
)
def test_every_configuration_file(root: Path, name: str) -> None:
    """``default.yaml`` is the written guide's, and holds what `train` does without it; the others differ."""
    path = root / "configs" / "landmark" / name
    command = "--image-dir data/raw --annotation-dir data/annotated"
    first = path.read_text(encoding="utf-8").splitlines()[0]
    chosen = "--init zoo" if name == "zoo.yaml" else f"--config configs/landmark/{name}"
    assert first == f"# kaname landmark train {chosen} {command}"
    assert (load(LandmarkConfig, file=path) == LandmarkConfig()) is (name == "default.yaml")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["size=250"], "multiple of 32.*the nearest is 256"),
        (["model.new_head=true"], "there are none; give --checkpoint"),
        (["data.split=a", "data.val_annotations=b"], "two places choose the validation faces"),
        (["answers.min_score=1"], "min_score must be"),
        (["augment.scale=1"], "scale must be"),
    ],
)
def test_what_does_not_fit_is_refused(words: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        load(LandmarkConfig, overrides=words)
