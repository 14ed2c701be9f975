"""What a run writes down of itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from kaname import __version__, config
from kaname.training.run_folder import write_parameters
from kaname.training.settings import RunOptions
from kaname.training.task import Task
from kaname.types import StepOutput


@dataclass(frozen=True)
class Settings:
    data: Path = Path("data")
    lr: float = 0.1


def test_a_run_can_be_repeated_from_its_folder(tmp_path: Path) -> None:
    resolved = Settings(data=tmp_path / "data")

    def step(model: nn.Module, batch: object) -> StepOutput:
        raise AssertionError("nothing is trained")

    task = Task("jigsaw", config.to_dict(resolved), {"frames": 3}, nn.Identity(), step, train=[])  # type: ignore[arg-type]
    write_parameters(task, resolved, RunOptions(tmp_path / "new" / "run", command="kaname jigsaw train"))
    folder = tmp_path / "new" / "run"
    content = json.loads((folder / "parameters.json").read_text(encoding="utf-8"))
    assert content == {
        "config": {"data": (tmp_path / "data").as_posix(), "lr": 0.1}, "command": "kaname jigsaw train",
        "kaname": __version__, "card": {"frames": 3},
    }  # fmt: skip
    assert config.load(Settings, file=folder / "config.yaml") == resolved
    assert sorted(path.name for path in folder.iterdir()) == ["config.yaml", "parameters.json"]
