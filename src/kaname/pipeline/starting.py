"""What a training that starts from a shipped model takes of it besides the weights: settings that they fit. No torch.

``--init zoo`` gives the network, its input's size and whatever else the weights depend on, and how the model's maps are
read (its thresholds), as values between presets and file, so that anything may be asked for otherwise. What cannot fit
then is refused before torch is imported. A size may differ, and so may heads: `kaname.training.warm_start`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaname import config as configuration
from kaname.errors import InputError
from kaname.pipeline.recipe import Recipe
from kaname.pipeline.weights import start_for
from kaname.schema import keys

FREE = ("size", "resize", "skeleton")  # last parts of keys that need not be as in the weights: tensors tell
PRETRAINED = "model.pretrained"


@dataclass(frozen=True)
class Start:
    """The settings of a shipped model.

    Attributes:
        name: of the model.
        values: of its configuration, by dotted key.
        answers: the section of those that say how its maps are read, which weights do not depend on.
    """

    name: str
    values: Mapping[str, Any]
    answers: str = ""

    @property
    def source(self) -> str:
        """What ``--print-config`` says of these values."""
        return f"zoo {self.name}"

    def check(self, config: Any) -> None:
        """Refuse a configuration whose network the weights cannot fit.

        Raises:
            InputError: naming the first key that differs.
        """
        stated = configuration.to_dict(config)
        for key, value in self.values.items():
            own = configuration.value_at(stated, key)
            free = key == PRETRAINED or key.split(".")[0] == self.answers
            if not free and key.rpartition(".")[2] not in FREE and not _agree(own, value):
                reason = f"{key} is {own!r}, and the weights of the shipped model {self.name} need {value!r}"
                raise InputError(reason, remedy=f"leave {key} as it is, or train without --init")


def start_of(recipe: Recipe, init: Path | None) -> Start | None:
    """What ``--init`` gives besides weights; None where it names a file, or is not given.

    Raises:
        InputError: see `kaname.pipeline.weights.start_for`.
    """
    model = start_for(recipe.name, init)
    if model is None:
        return None
    from kaname.inference.checkpoint_card import read  # here, so that help answers without NumPy

    config, known = read(model.checkpoint, recipe.name).card["config"], set(keys(recipe.schema.value))
    values: dict[str, Any] = {}
    for key in (*recipe.fixed, *recipe.heads):
        if (value := _value_at(config, key)) is not None:
            values[key] = value
    section = recipe.answering.section
    for name, value in (config.get(section) or {}).items():
        if (key := f"{section}.{name}") in known and name not in recipe.judging.late:
            values[key] = value
    if PRETRAINED in known:
        values[PRETRAINED] = False  # the weights come from the model: nothing is to be downloaded before
    return Start(model.name, values, section)


def _agree(own: Any, value: Any) -> bool:
    """Whether two values are alike; of a section in what the model, perhaps of an earlier version, says of it."""
    if isinstance(own, Mapping) and isinstance(value, Mapping):
        return all(name in own and _agree(own[name], inner) for name, inner in value.items() if name not in FREE)
    return own == value


def _value_at(config: Any, key: str) -> Any:
    for name in key.split("."):
        config = config.get(name) if isinstance(config, Mapping) else None
    return config
