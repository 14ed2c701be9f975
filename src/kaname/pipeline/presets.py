"""The values of a ``train`` call and where each came from: default < preset < file < ``key=value`` and flags.

A preset is a file ``configs/RECIPE/NAME.yaml`` of the package. ``--config NAME`` takes it, and so does the choice of a
network that it is called after, in a file or on the command line: ``--backbone small`` brings its own rate, size and
epochs. ``--init zoo`` brings the preset ``zoo``, rates and epochs for weights that have learnt already, which wins over
the network's. What a run stores are the values, so a later version's presets change no run that has begun.

Adding a preset for a network: the file, and its name in :data:`FAMILIES` (what stands before the network's colon). For
the start from a shipped model: the file ``configs/RECIPE/zoo.yaml``.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaname import config as configuration
from kaname import zoo
from kaname.config import Given, Layer, built, command_layer, file_layer, find_group, nearest, packaged
from kaname.errors import InputError
from kaname.models import names
from kaname.pipeline.recipe import Recipe
from kaname.pipeline.starting import Start
from kaname.schema import known_keys
from kaname.yaml12 import parse_yaml

FAMILIES = ("small",)
COLUMN = 44  # where the comments of a printed configuration begin, if its lines are shorter


@dataclass(frozen=True)
class Asked:
    """What a call of ``train`` asks for.

    Attributes:
        file: of ``--config``: a YAML file, or the name of a preset.
        overrides: ``key=value`` words.
        flags: dotted key to value; ``None`` values were not given.
        groups: section to the file that was asked for it.
        defaults: section to the file that counts where none was asked for.
        start: of a shipped model that training starts from; presets are weaker, everything else stronger.
    """

    file: Path | None = None
    overrides: Sequence[str] = ()
    flags: Mapping[str, Any] | None = None
    groups: Mapping[str, Path] | None = None
    defaults: Mapping[str, Path] | None = None
    start: Start | None = None


@dataclass(frozen=True)
class Resolved:
    """A configuration with the source of each value, by dotted key; what is not there is a default."""

    config: Any
    sources: Mapping[str, str]
    command: frozenset[str]

    def text(self) -> str:
        """As YAML, with each value's source in a comment."""
        text = configuration.to_yaml(self.config)
        rows: dict[str, int] = {}
        parse_yaml(text, lines=rows)
        lines = text.splitlines()
        for key, row in rows.items():
            if not any(other.startswith(f"{key}.") for other in rows):
                lines[row - 1] = f"{lines[row - 1]:<{COLUMN}}  # {self.source(key)}"
        return "\n".join(lines) + "\n"

    def source(self, key: str) -> str:
        """Where a value came from: ``default``, ``preset small``, a file's name, ``key=value`` or ``flag``."""
        related = (text for known, text in self.sources.items() if known == key or known.startswith(f"{key}."))
        return next(related, "") or next(
            (text for known, text in self.sources.items() if key.startswith(f"{known}.")), "default"
        )


def resolve(schema: type, recipe: str, asked: Asked) -> Resolved:
    """The configuration that a call asks for.

    Args:
        schema: the dataclass of the configuration. Its ``follows: ClassVar[Mapping[str, str]]`` may name sizes that
            keep their proportion to another one where that is given and they are not.
        recipe: whose presets there are.

    Raises:
        InputError: see `kaname.config.load`; no such preset.
    """
    file, presets = asked.file, []
    if file is not None and not configuration.is_file_name(str(file)):
        presets, file = [_preset(recipe, str(file))], None
    wanted: list[tuple[str, Layer]] = []
    for section, path in (asked.groups or {}).items():
        wanted.append((path.as_posix(), file_layer(schema, path, section)))
    if file is not None:
        wanted.append((file.as_posix(), file_layer(schema, file)))
    command = command_layer(schema, asked.overrides, asked.flags or {})
    wanted.append(("", command))
    below = [("", file_layer(schema, path, section)) for section, path in (asked.defaults or {}).items()]
    start = [] if asked.start is None else [(asked.start.source, command_layer(schema, (), asked.start.values))]
    network = network_key(schema)
    if not presets:
        name = _network(schema, network, [layer for _, layer in (*below, *start, *wanted)]) if network else ""
        presets = _brought(recipe, name, warm=asked.start is not None)
    below += [(f"preset {path.stem}", file_layer(schema, path)) for path in presets]
    below += start
    below.append(("", _following(schema, [layer for _, layer in below], [layer for _, layer in wanted])))
    ordered = [*below, *wanted]
    config = built(schema, [layer for _, layer in ordered])
    return Resolved(config, _sources(ordered), frozenset(map(".".join, command.values)))


def network_key(schema: type) -> str:
    """The dotted key of a network's name; empty where a recipe has no choice."""
    known, key = known_keys(schema), ("model", "backbone")
    key = known.aliases.get(key, key)
    return ".".join(key) if key in known.kinds else ""


def check_network(found: Resolved) -> None:
    """Refuse a network that there is not, and pretrained weights for one that has none; warn of the opposite.

    Args:
        found: the configuration.

    Raises:
        InputError: as told.
    """
    key, beside = network_key(type(found.config)), "model.pretrained"
    if not key:
        return
    name = configuration.value_at(found.config, key)
    names.check(name)
    if beside not in found.command:
        return
    wanted, own = configuration.value_at(found.config, beside), family(name)
    if wanted and own in FAMILIES:
        raise InputError(f"the network {own} has no pretrained weights", remedy="leave --pretrained out")
    if not wanted and own not in FAMILIES:
        warnings.warn(
            f"--no-pretrained: {name} starts from random weights and all of it trains, which is slow and takes "
            f"thousands of labelled images; `--config {FAMILIES[0]}` trains a network that is made for a few hundred",
            stacklevel=2,
        )


def check_weights(recipe: Recipe, config: Any) -> None:
    """Refuse a new run whose pretrained weights cannot be had, which takes seconds less than to build it.

    Raises:
        InputError: see `kaname.models.names.check_weights`.
    """
    key = network_key(type(config))
    if key and getattr(config.model, "pretrained", False):
        with offline_as(recipe.offline):
            names.check_weights(configuration.value_at(config, key))


@contextlib.contextmanager
def offline_as(words: str) -> Iterator[None]:
    """Remedies that advise ``--config small`` say what a recipe calls it (`Recipe.offline`)."""
    try:
        yield
    except InputError as error:
        remedy = (error.remedy or "").replace("`--config small`", words)
        raise InputError(error.reason, path=error.path, row=error.row, remedy=remedy) from error


def family(network: str) -> str:
    """What a network's settings go by: the part before its colon."""
    return network.partition(":")[0]


def _preset(recipe: str, name: str) -> Path:
    known = {path.stem: path for path in packaged(recipe)}
    if name not in known:
        reason = f"--config {name}: there is neither such a file nor a preset of {recipe} of that name"
        raise InputError(reason, remedy=nearest(name, sorted(known)))
    return known[name]


def _network(schema: type, key: str, layers: Sequence[Layer]) -> str:
    place = tuple(key.split("."))
    given = [layer.values[place].value for layer in layers if place in layer.values]
    return given[-1] if given else configuration.value_at(schema(), key)


def _brought(recipe: str, network: str, *, warm: bool) -> list[Path]:
    """The presets of a network and of a start from a shipped model, the weaker first; none where the defaults do."""
    known = {path.stem: path for path in packaged(recipe)}
    names = [name for name in FAMILIES if name == family(network)] + ([zoo.OWN] if warm else [])
    return [known[name] for name in names if name in known]


def _following(schema: type, below: Sequence[Layer], wanted: Sequence[Layer]) -> Layer:
    """Sizes that follow another one which was asked for, as a layer under what was asked for."""
    given = {".".join(key): one.value for part in wanted for key, one in part.values.items()}
    layer = Layer()
    for key, leader in getattr(schema, "follows", {}).items():
        usual = built(schema, below)
        before, base = configuration.value_at(usual, key), configuration.value_at(usual, leader)
        if leader in given and before is not None:
            parts = zip(_sides(before), _sides(given[leader]), _sides(base), strict=True)
            sides = [round(own * new / old) for own, new, old in parts]
            place = tuple(key.split("."))
            text = sides if isinstance(before, tuple) else ",".join(map(str, sides))
            layer.add(place, Given(place, text, f"follows {leader}"))
    return layer


def _sides(size: Any) -> tuple[int, int]:
    """Both sides of a size as configurations write it: a pair, ``H,W``, ``HxW``, or one number for a square."""
    parts = re.findall(r"\d+", size) if isinstance(size, str) else size if isinstance(size, Sequence) else [size]
    first, *rest = map(int, parts or [0])
    return first, (rest or [first])[0]


def _sources(ordered: Sequence[tuple[str, Layer]]) -> dict[str, str]:
    """The name of the last layer that gives each key; of the command line how it was given."""
    found: dict[str, str] = {}
    for name, layer in ordered:
        for key, given in layer.values.items():
            found[".".join(key)] = name or {"its flag": "flag", "": "default"}.get(given.how, given.how)
    return found


def find_data(given: str, default: str, *, key: str, holds: str) -> tuple[Path, dict[str, Any]]:
    """The configuration that ``--data`` names, and what a folder of data in its place sets.

    Args:
        given: a name or YAML file of configs/data, or a folder.
        default: the configuration that counts for a folder.
        key: that a folder is the value of.
        holds: a pattern of what such folders hold; a bare name without it is taken for that of a configuration.
    """
    folder, known = Path(given), None
    try:
        known = find_group("data", given)
    except InputError as error:
        if not folder.is_dir():
            raise InputError(f"{given} is not a folder, and {error.reason}", remedy=error.remedy) from error
    if folder.is_dir() and (known is None or len(folder.parts) > 1 or any(folder.glob(holds))):
        return find_group("data", default), {key: folder}
    assert known is not None
    return known, {}
