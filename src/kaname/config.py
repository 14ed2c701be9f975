"""One typed configuration from three sources: dataclass defaults < YAML file < ``key=value`` and flags.

A flag is an alias of a key; both given with different values is an error. Everything is plain values, so a
configuration goes into a checkpoint as JSON text and comes back equal.

Interpolation (``${...}``) is refused: a file must mean the same on every machine. A dataclass may give its keys other
spellings in ``aliases: ClassVar[Mapping[str, str]]``, dotted where they are nested (``{"optimizer.lr": "lr"}``); they
are accepted wherever a key is and turned into the key before anything is checked.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import json
import re
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from kaname.errors import InputError
from kaname.schema import Key, Known, converted, describe_type, known_keys
from kaname.yaml12 import parse_yaml, write_yaml

T = TypeVar("T")
OVERRIDE = re.compile(r"^[A-Za-z_][\w.-]*=")
FILE_LIMIT = 1_000_000


def load(
    schema: type[T],
    *,
    file: Path | None = None,
    groups: Mapping[str, Path] | None = None,
    overrides: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
) -> T:
    """Fill ``schema`` (a frozen dataclass of dataclasses, with a default everywhere) and return the instance.

    A check in the ``__post_init__`` of a section names its own keys ("lr must be positive"); the error names them
    in full ("train.lr must be positive").

    Args:
        schema: the dataclass; its defaults count where nothing else is given, its ``__post_init__`` checks.
        file: a YAML file with the keys that differ from the defaults.
        groups: section to a YAML file that holds that section's keys; below ``file`` in precedence.
        overrides: ``"section.key=value"`` texts; the value is read as YAML.
        flags: dotted key to value for the command line's flags; ``None`` values were not given.

    Raises:
        InputError: unknown key (with the nearest name), wrong type, interpolation, a key given twice, bad YAML.
    """
    layers = [file_layer(schema, path, section) for section, path in (groups or {}).items()]
    layers += [] if file is None else [file_layer(schema, file)]
    return built(schema, [*layers, command_layer(schema, overrides, flags or {})])


def file_layer(schema: type, path: Path, section: str = "") -> Layer:
    """The values in a YAML file for ``schema``, or for one ``section`` of it, checked one by one."""
    return _resolved(known_keys(schema), *_read_file(path, section))


def command_layer(schema: type, overrides: Sequence[str], flags: Mapping[str, Any]) -> Layer:
    """The values of ``key=value`` words and flags, checked one by one; ``None`` of a flag is no value."""
    return _resolved(known_keys(schema), _command_line(overrides, flags))


def from_dict(
    schema: type[T],
    data: Mapping[str, Any],
    changes: Mapping[str, Any] | None = None,
    *,
    source: str | None = None,
    section: str = "",
) -> T:
    """Rebuild a configuration that :func:`to_dict` wrote.

    Args:
        schema: the dataclass.
        data: its keys and values.
        changes: keys and values that win over ``data``, such as those of :func:`merged`.
        source: names the file of ``data`` in errors.
        section: what errors call ``schema``, where it is a section of a larger configuration.
    """
    known = known_keys(schema)
    given = [[Given((str(key),), value) for key, value in part.items()] for part in (data, changes or {})]
    return built(schema, [_resolved(known, given[0], source), _resolved(known, given[1])], section)


def merged(words: Sequence[str], flags: Mapping[str, Any], section: str) -> dict[str, Any]:
    """``key=value`` words and flags that change one section, as that section's keys and values.

    Args:
        words: ``"section.key=value"`` or ``"key=value"``.
        flags: key of the section to value; ``None`` values were not given.
        section: its name.

    Raises:
        InputError: no ``key=value``, a key of another section, bad YAML, a key given twice with different values.
    """
    layer = Layer()
    for given in _command_line(words, {f"{section}.{key}": value for key, value in flags.items()}):
        key = given.spelt if given.spelt[1:] else (section, *given.spelt)
        if key[0] != section:
            reason = f"'{'.'.join(key)}={given.value}' is neither a file nor a key of {section}"
            raise InputError(reason, remedy=f"write {section}.KEY=VALUE")
        layer.add(key, given)
    return layer.tree().get(section, {})


def to_dict(config: object) -> dict[str, Any]:
    """The configuration as plain JSON values: paths become text, tuples become lists."""
    return {entry.name: _plain(getattr(config, entry.name)) for entry in fields(config)}  # type: ignore[arg-type]


def plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping as JSON keeps it: tuples are lists, keys are sorted texts, numbers are Python's."""
    return json.loads(json.dumps(content, sort_keys=True))


def section(schema: type, name: str) -> type:
    """The dataclass of a section of ``schema``."""
    return typing.get_type_hints(schema)[name]


def value_at(config: Any, key: str) -> Any:
    """The value of a dotted key, of a configuration or of its plain values."""
    for name in key.split("."):
        config = config[name] if isinstance(config, Mapping) else getattr(config, name)
    return config


def absolute(config: T, key: str) -> T:
    """The configuration with the path at a dotted key made absolute; None stays None, and so does a name of a group
    (text that is no file's).
    """
    name, _, rest = key.partition(".")
    value = getattr(config, name)
    if value is None or (isinstance(value, str) and not Path(value).is_file()):
        return config
    if isinstance(value, str):
        return replace(config, **{name: str(Path(value).resolve())})  # type: ignore[type-var]
    return replace(config, **{name: absolute(value, rest) if rest else value.resolve()})  # type: ignore[type-var]


def to_yaml(config: object) -> str:
    """The resolved configuration as YAML text; :func:`load` of that text gives an equal configuration."""
    return write_yaml(to_dict(config))


def is_override(token: str) -> bool:
    """Whether a command-line word is a ``key=value``."""
    return bool(OVERRIDE.match(token))


@dataclass(frozen=True)
class Given:
    """One value as given: the key as spelt, how, and the line of each key below it in its file."""

    spelt: Key
    value: Any
    how: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)

    @property
    def row(self) -> int | None:
        return self.lines.get(".".join(self.spelt))


@dataclass
class Layer:
    """The values from one source (a file, the command line) by key; a key given twice is refused."""

    source: str | None = None
    values: dict[Key, Given] = field(default_factory=dict)

    def add(self, key: Key, given: Given) -> None:
        if isinstance(given.value, Mapping) and given.value:
            for name, value in given.value.items():
                self.add((*key, str(name)), replace(given, spelt=(*given.spelt, str(name)), value=value))
            return
        before = self.values.setdefault(key, given)
        if before is not given and before.value != given.value:
            how = (f"as {one.value!r} by {one.how or '.'.join(one.spelt)}" for one in (before, given))
            reason = f"{'.'.join(key)} is given twice, {' and '.join(how)}"
            raise InputError(reason, path=self.source, row=given.row, remedy="give it once")

    def tree(self) -> dict[str, Any]:
        """The values in nested dictionaries."""
        tree: dict[str, Any] = {}
        for key in sorted(self.values, key=len):
            node = tree
            for name in key[:-1]:
                node = node.setdefault(name, {})
                if not isinstance(node, dict):
                    reason = f"{'.'.join(key)} is a member of {name}, which is given as one value"
                    raise InputError(reason, path=self.source, remedy="give one of the two")
            node[key[-1]] = self.values[key].value
        return tree


def _read_file(path: Path, section: str = "") -> tuple[list[Given], str]:
    """The values in a YAML file, or in the file of one ``section``, and the file's name."""
    if not path.is_file():
        raise InputError("the configuration file does not exist", path=path, remedy="check the path")
    if path.stat().st_size > FILE_LIMIT:
        raise InputError("too large for a configuration file", path=path, remedy=f"at most {FILE_LIMIT} bytes")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", path=path, remedy="save the file as UTF-8") from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path=path, remedy="check the file") from error
    lines: dict[str, int] = {}
    data = parse_yaml(text, path=path, lines=lines)
    if data is not None and not isinstance(data, dict):
        raise InputError("a configuration is a mapping of keys to values", path=path, remedy="write `key: value` lines")
    place = (section,) if section else ()
    lines = {".".join((*place, key)): row for key, row in lines.items()}
    return [Given((*place, str(key)), value, lines=lines) for key, value in (data or {}).items()], str(path)


def _command_line(overrides: Sequence[str], flags: Mapping[str, Any]) -> Iterator[Given]:
    for text in overrides:
        if not is_override(text):
            raise InputError(f"{text!r} is not key=value", remedy="write KEY=VALUE; --print-config shows the keys")
        key, _, raw = text.partition("=")
        try:
            value = parse_yaml(raw)
        except InputError as error:
            remedy = f"quote the value if text is meant: {key}='...'"
            raise InputError(error.reason, path=text, remedy=remedy) from error
        yield Given(tuple(key.split(".")), value, "key=value")
    for key, value in flags.items():
        if value is not None:
            yield Given(tuple(key.split(".")), _plain(value), "its flag")


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return to_dict(value)
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value


def _resolved(known: Known, given: Iterable[Given], source: str | None = None) -> Layer:
    """The given values under the keys that they stand for, checked one by one."""
    leaves: list[tuple[Key, Given]] = []
    for one in given:
        value = one.value
        for name in reversed(one.spelt):
            value = {name: value}
        leaves += _leaves(known, (), replace(one, spelt=(), value=value))
    for _, leaf in leaves:
        _refuse_interpolation(leaf, source)
    layer = Layer(source)
    for key, leaf in leaves:
        _check(known, key, leaf, source)
        layer.add(key, leaf)
    return layer


def _leaves(known: Known, key: Key, given: Given) -> Iterator[tuple[Key, Given]]:
    """The values in a mapping of keys, each with the key that its spelling stands for."""
    for name, value in given.value.items():
        inner = (*key, str(name))
        inner = known.aliases.get(inner, inner)
        member = replace(given, spelt=(*given.spelt, str(name)), value=value)
        if isinstance(value, Mapping) and known.leads_on(inner):
            yield from _leaves(known, inner, member)
        else:
            yield inner, member


def _refuse_interpolation(given: Given, source: str | None) -> None:
    text = repr(given.value)
    if "${" in text or "'???'" in text:
        reason = f"interpolation is not allowed: {'.'.join(given.spelt)} = {text}"
        raise InputError(reason, path=source, row=given.row, remedy="write the value itself")


def _check(known: Known, key: Key, given: Given, source: str | None) -> None:
    """Refuse an unknown key and a value of another type (5 is not text, 1 is not true)."""
    name, value = ".".join(key if key in known.kinds else given.spelt), given.value
    if key not in known.kinds:
        reason = f"unknown key {name!r}"
        remedy = nearest(name, list(map(".".join, [*known.kinds, *known.aliases])))
    elif is_dataclass(kind := known.kinds[key]):
        reason, remedy = f"{name} is a section, got {value!r}", f"set its members: {name}.KEY=..."
    else:
        with contextlib.suppress(ValueError, OverflowError):
            converted(value, kind)
            return
        text = describe_type(kind)
        reason = f"{name} must be {text}, got {value!r} ({type(value).__name__})"
        remedy = "quote it if text is meant" if text.startswith("text") else "give a value of that type"
    raise InputError(reason, path=source, row=given.row, remedy=remedy)


def built(schema: type[T], layers: Sequence[Layer], section: str = "") -> T:
    """``schema`` with the values of ``layers`` in the place of its defaults; a later layer wins."""
    try:
        return _filled(schema(), functools.reduce(_merge, [layer.tree() for layer in layers], {}), section)
    except InputError as error:
        if error.path is not None:
            raise
        # A check of the dataclass itself. Blame the last layer, unless the check fails without it too.
        if len(layers) > 1:
            built(schema, layers[:-1], section)
        reason, row = _as_spelt(error.reason, layers[-1])
        raise InputError(reason, path=layers[-1].source, row=error.row or row, remedy=error.remedy) from error


def _as_spelt(reason: str, layer: Layer) -> tuple[str, int | None]:
    """A check's reason with the key that it names as the layer spells it, and that key's line."""
    for key, given in sorted(layer.values.items(), key=lambda entry: -len(".".join(entry[0]))):
        named = re.compile(rf"\b{re.escape('.'.join(key))}\b")
        if named.search(reason):
            return named.sub(".".join(given.spelt), reason), given.row
    return reason, None


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = {key for key in above if isinstance(above[key], dict) and isinstance(below.get(key), dict)}
    return {**below, **above, **{key: _merge(below[key], above[key]) for key in both}}


def _filled(default: T, tree: Mapping[str, Any], section: str) -> T:
    """The dataclass with the values of ``tree`` in the place of its defaults."""
    hints, changes = typing.get_type_hints(type(default)), {}
    for name, value in tree.items():
        before, place = getattr(default, name), f"{section}.{name}".lstrip(".")
        if isinstance(before, dict) and isinstance(value, dict):
            value = _merge(before, value)
        changes[name] = _filled(before, value, place) if is_dataclass(before) else converted(value, hints[name])
    try:
        return replace(default, **changes)  # type: ignore[type-var]
    except InputError as error:
        if error.path is not None or not section or re.match(rf"{re.escape(section)}\b", error.reason):
            raise
        between = "." if re.split(r"\W", error.reason)[0] in hints else ": "
        reason = f"{section}{between}{error.reason}"
        raise InputError(reason, row=error.row, remedy=error.remedy) from error


def nearest(name: str, known: Sequence[str]) -> str:
    """A remedy that names the known words nearest to a mistyped one."""
    leaf, leaves = name.rsplit(".", 1)[-1], {key: key.rsplit(".", 1)[-1] for key in known}
    close = (
        difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        or [key for key in known if leaves[key] == leaf]
        or [key for key in known if difflib.SequenceMatcher(None, leaf, leaves[key]).ratio() > 0.7]
    )
    return f"did you mean {', '.join(close)}?" if close else f"known: {', '.join(known)}"


def find_group(group: str, name: str) -> Path:
    """The file of a configuration group: a path, or ``configs/<group>/<name>.yaml`` of the working folder, else of
    the installed package.

    Raises:
        InputError: there is none, with the names there are.
    """
    if is_file_name(name):
        return Path(name)
    own = sorted((Path("configs") / group).glob("*.yaml"))
    found = {path.stem: path for path in (*packaged(group), *own)}
    if name not in found:
        raise InputError(f"there is no configuration {group}/{name}", remedy=nearest(name, sorted(found)))
    return found[name]


def is_file_name(name: str) -> bool:
    """Whether a configuration's name is that of a file, not of one that comes with the package."""
    return Path(name).suffix in (".yaml", ".yml") or Path(name).is_file()


def packaged(group: str) -> list[Path]:
    """The configurations ``configs/<group>/*.yaml`` that come with the package, by name."""
    package = Path(__file__).parent
    # An installation has the files inside the package, a checkout beside its src folder.
    places = [place / "configs" / group for place in (package.parents[1], package)]
    return [path for place in places for path in sorted(place.glob("*.yaml"))]
