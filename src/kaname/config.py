"""One typed configuration from three sources: dataclass defaults < YAML file < ``key=value`` and flags.

A flag is an alias of a key; both given with different values is an error. Everything is plain values, so a
configuration goes into a checkpoint as JSON text and comes back equal. This is the only importer of OmegaConf.

Interpolation (``${...}``) is refused: a file must mean the same on every machine. A dataclass may give a key other
names in ``aliases: ClassVar[Mapping[str, str]]``; they are turned into the key before anything else is looked at.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from kaname.errors import InputError
from kaname.yaml12 import RESOLVERS, parse_yaml

T = TypeVar("T")
OVERRIDE = re.compile(r"^[A-Za-z_][\w.-]*=")
FILE_LIMIT = 1_000_000


@dataclass(frozen=True)
class Layer:
    """Values from one place: their file, and the line of each dotted key in it, where there is one."""

    data: Mapping[str, Any]
    source: str | None = None
    lines: Mapping[str, int] = field(default_factory=dict)


def load(
    schema: type[T],
    *,
    file: Path | None = None,
    groups: Mapping[str, Path] | None = None,
    overrides: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
) -> T:
    """Fill ``schema`` (a frozen dataclass of dataclasses) and return the instance.

    Args:
        schema: the dataclass; its defaults count where nothing else is given, its ``__post_init__`` checks.
        file: a YAML file with the keys that differ from the defaults.
        groups: section to a YAML file that holds that section's keys; below ``file`` in precedence.
        overrides: ``"section.key=value"`` texts; the value is read as YAML.
        flags: dotted key to value for the command line's flags; ``None`` values were not given.

    Raises:
        InputError: unknown key (with the nearest name), wrong type, interpolation, a key given twice, bad YAML.
    """
    layers = [_read_layer(path, section) for section, path in (groups or {}).items()]
    layers += [] if file is None else [_read_layer(file)]
    layers.append(Layer(_nest(_merge_command_line(overrides, flags or {}))))
    return _build(schema, layers)


def from_dict(schema: type[T], data: Mapping[str, Any], *, source: str | None = None) -> T:
    """Rebuild a configuration that :func:`to_dict` wrote; ``source`` names the file in errors."""
    return _build(schema, [Layer(data, source)])


def to_dict(config: object) -> dict[str, Any]:
    """The configuration as plain JSON values: paths become text, tuples become lists."""
    return {entry.name: _plain(getattr(config, entry.name)) for entry in fields(config)}  # type: ignore[arg-type]


def to_yaml(config: object) -> str:
    """The resolved configuration as YAML text; :func:`load` of that text gives an equal configuration."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Quotes a text that YAML 1.1 or YAML 1.2 would read as something else."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

        def represent_str(self, data: str) -> Any:
            style = None if data.isprintable() else '"'
            return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    Dumper.add_representer(str, Dumper.represent_str)
    for tag, pattern, first in RESOLVERS:
        Dumper.add_implicit_resolver(tag, re.compile(pattern), list(first))
    return yaml.dump(to_dict(config), Dumper=Dumper, sort_keys=False, allow_unicode=True)


def is_override(token: str) -> bool:
    """Whether a command-line word is a ``key=value``."""
    return bool(OVERRIDE.match(token))


def keys(schema: type) -> Iterator[str]:
    """All dotted keys of ``schema``, sections before their members."""
    hints = typing.get_type_hints(schema)
    for entry in fields(schema):
        yield entry.name
        if is_dataclass(hints[entry.name]):
            yield from (f"{entry.name}.{key}" for key in keys(typing.cast(type, hints[entry.name])))


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file as a dictionary (YAML 1.2 scalars, no interpolation, no doubled keys)."""
    layer = _read_layer(path)
    _refuse_interpolation(layer.data, layer)
    return dict(layer.data)


def _read_layer(path: Path, section: str = "") -> Layer:
    """A YAML file, or the file of one ``section``."""
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
    if data is None:
        return Layer({}, str(path))
    if not isinstance(data, dict):
        raise InputError("a configuration is a mapping of keys to values", path=path, remedy="write `key: value` lines")
    if section:
        return Layer({section: data}, str(path), {f"{section}.{key}": line for key, line in lines.items()})
    return Layer(data, str(path), lines)


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


def _refuse_interpolation(data: Any, layer: Layer, where: str = "") -> None:
    if isinstance(data, Mapping):
        for key, value in data.items():
            _refuse_interpolation(value, layer, f"{where}.{key}" if where else str(key))
    elif isinstance(data, (list, tuple)):
        for value in data:
            _refuse_interpolation(value, layer, where)
    elif isinstance(data, str) and ("${" in data or data == "???"):
        reason = f"interpolation is not allowed: {where} = {data!r}"
        raise InputError(reason, path=layer.source, row=layer.lines.get(where), remedy="write the value itself")


def _merge_command_line(overrides: Sequence[str], flags: Mapping[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for text in overrides:
        if not is_override(text):
            raise InputError(f"{text!r} is not key=value", remedy="write KEY=VALUE; --print-config shows the keys")
        key, _, raw = text.partition("=")
        try:
            found = parse_yaml(raw)
        except InputError as error:
            raise InputError(
                error.reason, path=text, remedy=f"quote the value if a text is meant: {key}='...'"
            ) from error
        for full, value in _flatten(key, found):
            if full in given and given[full] != value:
                raise InputError(f"{full} is given twice, as {given[full]!r} and {value!r}", remedy="give it once")
            given[full] = value
    for key, value in flags.items():
        if value is None:
            continue
        plain = _plain(value)
        if key in given and given[key] != plain:
            both = f"as {given[key]!r} by key=value and as {plain!r} by its flag"
            raise InputError(f"{key} is given twice, {both}", remedy="give it once")
        given[key] = plain
    return given


def _flatten(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, member in value.items():
            yield from _flatten(f"{key}.{name}", member)
    else:
        yield key, value


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        node = nested
        *parents, leaf = key.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise InputError(
                    f"{key} is a member of {parent}, which is given as one value", remedy="give one of the two"
                )
        node[leaf] = value
    return nested


def _build(schema: type[T], layers: Sequence[Layer]) -> T:
    layers = [_renamed(schema, layer) for layer in layers]
    for layer in layers:
        _refuse_interpolation(layer.data, layer)
        _check(schema, layer, list(keys(schema)))
    try:
        return _fill(schema, layers)
    except InputError as error:
        if error.path is not None:
            raise
        # A check of the dataclass itself. The file is to blame where it fails without the command line too.
        if len(layers) > 1:
            _build(schema, layers[:-1])
            raise
        named = (key for key in sorted(layers[0].lines, key=len, reverse=True) if key in error.reason)
        row = layers[0].lines.get(next(named, ""))
        raise InputError(error.reason, path=layers[0].source, row=error.row or row, remedy=error.remedy) from error


def _renamed(schema: type, layer: Layer) -> Layer:
    """The layer with every alias turned into the key that it stands for, in its values and in its lines."""
    lines = dict(layer.lines)
    return replace(layer, data=_without_aliases(schema, layer, layer.data, lines), lines=lines)


def _without_aliases(
    schema: type, layer: Layer, data: Mapping[Any, Any], lines: dict[str, int], prefix: str = ""
) -> dict[str, Any]:
    hints, aliases = typing.get_type_hints(schema), getattr(schema, "aliases", {})
    found: dict[str, Any] = {}
    spelt: dict[str, str] = {}
    for given, value in data.items():
        key = aliases.get(str(given), str(given))
        if f"{prefix}{given}" in lines:
            lines[f"{prefix}{key}"] = lines[f"{prefix}{given}"]
        if key in found:
            reason = f"{prefix}{key} is given twice, as {spelt[key]} and as {given}"
            raise InputError(reason, path=layer.source, row=layer.lines.get(f"{prefix}{given}"), remedy="give it once")
        inner = hints.get(key)
        nested = is_dataclass(inner) and isinstance(value, Mapping)
        found[key], spelt[key] = value, str(given)
        if nested:
            found[key] = _without_aliases(typing.cast(type, inner), layer, value, lines, f"{prefix}{key}.")
    return found


def _fill(schema: type[T], layers: Sequence[Layer]) -> T:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    merged = OmegaConf.structured(schema)
    for layer in layers:
        try:
            merged = OmegaConf.merge(merged, dict(layer.data))
        except OmegaConfBaseException as error:
            reason = str(error).split("\n")[0]
            key = getattr(error, "full_key", None)
            reason = f"{key}: {reason}" if key else reason
            row = layer.lines.get(str(key))
            raise InputError(reason, path=layer.source, row=row, remedy="give a value of that type") from error
    try:
        return typing.cast(T, OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        raise InputError(str(error).split("\n")[0], remedy="give a value of that type") from error


def _check(
    schema: type, layer: Layer, known: list[str], data: Mapping[str, Any] | None = None, prefix: str = ""
) -> None:
    """Refuse unknown keys and words where OmegaConf would convert in silence (5 -> "5", 1 -> True)."""
    hints = typing.get_type_hints(schema)
    for key, value in (layer.data if data is None else data).items():
        full = f"{prefix}{key}"
        path, row = layer.source, layer.lines.get(full)
        if key not in hints:
            raise InputError(f"unknown key {full!r}", path=path, row=row, remedy=nearest(full, known))
        kind = hints[key]
        if is_dataclass(kind):
            if not isinstance(value, Mapping):
                remedy = f"set its members: {full}.KEY=..."
                raise InputError(f"{full} is a section, got {value!r}", path=path, row=row, remedy=remedy)
            _check(typing.cast(type, kind), layer, known, value, f"{full}.")
        elif not _fits(value, kind):
            text = describe_type(kind)
            remedy = "quote it if a text is meant" if text.startswith("text") else "give a value of that type"
            reason = f"{full} must be {text}, got {value!r} ({type(value).__name__})"
            raise InputError(reason, path=path, row=row, remedy=remedy)


def _fits(value: Any, kind: Any) -> bool:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, choice) for choice in arguments)
    if origin is typing.Literal:
        return value in arguments and type(value) in {type(choice) for choice in arguments}
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            return False
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return all(_fits(item, arguments[0]) for item in value)
        return len(value) == len(arguments) and all(map(_fits, value, arguments))
    if origin is dict:
        return isinstance(value, Mapping) and all(_fits(item, arguments[1]) for item in value.values())
    if kind is type(None):
        return value is None
    if kind is bool:
        return isinstance(value, bool)
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, (str, Path)) if kind in (str, Path) else True


def describe_type(kind: Any) -> str:
    """A type as errors and the reference call it: ``text or null``, ``one of a, b``."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe_type(choice) for choice in arguments)
    if origin is typing.Literal:
        return "one of " + ", ".join(str(choice) for choice in arguments)
    if origin is tuple:
        if arguments and arguments[-1] is Ellipsis:
            return f"a list of {describe_type(arguments[0])}"
        return f"a list of {len(arguments)} values"
    names = {bool: "true or false", float: "a number", int: "a whole number", str: "text", Path: "text (a path)"}
    return "null" if kind is type(None) else names.get(kind, str(kind))


def nearest(name: str, known: Sequence[str]) -> str:
    """A remedy that names the known words nearest to a mistyped one."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    leaf = name.rsplit(".", 1)[-1]
    close = (
        close
        or [key for key in known if key.rsplit(".", 1)[-1] == leaf]
        or [key for key in known if difflib.SequenceMatcher(None, leaf, key.rsplit(".", 1)[-1]).ratio() > 0.7]
    )
    return f"did you mean {', '.join(close)}?" if close else f"known: {', '.join(known)}"
