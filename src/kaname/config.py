"""One typed configuration from three sources: dataclass defaults < YAML file < ``key=value`` and flags.

A flag is an alias of a key; both given with different values is an error. Everything is plain values, so a
configuration goes into a checkpoint as JSON text and comes back equal. This is the only importer of OmegaConf.

YAML is read by the rules of YAML 1.2, in which ``no`` is a word and ``1:30`` is not ninety. Interpolation
(``${...}``) is refused: a file must mean the same on every machine.
"""

from __future__ import annotations

import difflib
import json
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from kaname.errors import InputError

T = TypeVar("T")
OVERRIDE = re.compile(r"^[A-Za-z_][\w.-]*=")
FILE_LIMIT = 1_000_000


def load(
    schema: type[T],
    *,
    file: Path | None = None,
    overrides: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
) -> T:
    """Fill ``schema`` (a frozen dataclass of dataclasses) and return the instance.

    Args:
        schema: the dataclass; its defaults count where nothing else is given, its ``__post_init__`` checks.
        file: a YAML file with the keys that differ from the defaults.
        overrides: ``"section.key=value"`` texts; the value is read as YAML.
        flags: dotted key to value for the command line's flags; ``None`` values were not given.

    Raises:
        InputError: unknown key (with the nearest name), wrong type, interpolation, a key given twice, bad YAML.
    """
    layers: list[tuple[Mapping[str, Any], str | None]] = []
    if file is not None:
        layers.append((read_yaml(file), str(file)))
    layers.append((_nest(_merge_command_line(overrides, flags or {})), None))
    return _build(schema, layers)


def from_dict(schema: type[T], data: Mapping[str, Any], *, source: str | None = None) -> T:
    """Rebuild a configuration that :func:`to_dict` wrote; ``source`` names the file in errors."""
    return _build(schema, [(data, source)])


def to_dict(config: object) -> dict[str, Any]:
    """The configuration as plain JSON values: paths become text, tuples become lists."""
    return {entry.name: _plain(getattr(config, entry.name)) for entry in fields(config)}  # type: ignore[arg-type]


def to_yaml(config: object) -> str:
    """The resolved configuration as YAML text; :func:`load` of that text gives an equal configuration."""
    import yaml

    return yaml.safe_dump(_quoted(to_dict(config)), sort_keys=False, allow_unicode=True)


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
    if not path.is_file():
        raise InputError("the configuration file does not exist", path=path, remedy="check the path after --config")
    if path.stat().st_size > FILE_LIMIT:
        raise InputError("too large for a configuration file", path=path, remedy=f"at most {FILE_LIMIT} bytes")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", path=path, remedy="save the file as UTF-8") from error
    data = parse_yaml(text, path=path)
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise InputError("a configuration is a mapping of keys to values", path=path, remedy="write `key: value` lines")
    _refuse_interpolation(data, path)
    return data


def parse_yaml(text: str, *, path: Path | str | None = None) -> Any:
    """YAML text to plain values; errors carry the line."""
    import yaml

    try:
        return yaml.load(text, Loader=_strict_loader())
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise InputError(f"not valid YAML ({error.problem})", path=path, row=line, remedy="mend the line") from error
    except yaml.YAMLError as error:
        raise InputError("not valid YAML", path=path, remedy="write plain `key: value` lines") from error


def _strict_loader() -> type:
    import yaml

    class Loader(yaml.SafeLoader):
        """Scalars as YAML 1.2's core schema has them; doubled keys refused."""

        yaml_implicit_resolvers: typing.ClassVar[dict[str, Any]] = {}

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            seen: set[str] = set()
            for key, _ in node.value:
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} stands twice", key.start_mark
                    )
                seen.add(key.value)
            return super().construct_mapping(node, deep=deep)

    resolvers = (
        ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
        ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
        ("tag:yaml.org,2002:int", r"^[-+]?[0-9]+$", "-+0123456789"),
        (
            "tag:yaml.org,2002:float",
            r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$",
            "-+.0123456789",
        ),
    )
    for tag, pattern, first in resolvers:
        Loader.add_implicit_resolver(tag, re.compile(pattern), list(first))

    def integer(loader: Any, node: Any) -> int:
        return int(loader.construct_scalar(node))  # PyYAML would read 010 as octal

    Loader.add_constructor("tag:yaml.org,2002:int", integer)
    return Loader


def _quoted(value: Any) -> Any:
    return json.loads(json.dumps(value))


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


def _refuse_interpolation(data: Any, path: Path | str | None, where: str = "") -> None:
    if isinstance(data, dict):
        for key, value in data.items():
            _refuse_interpolation(value, path, f"{where}.{key}" if where else str(key))
    elif isinstance(data, list):
        for value in data:
            _refuse_interpolation(value, path, where)
    elif isinstance(data, str) and "${" in data:
        raise InputError(f"interpolation is not allowed: {where} = {data!r}", path=path, remedy="write the value itself")


def _merge_command_line(overrides: Sequence[str], flags: Mapping[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for text in overrides:
        if not is_override(text):
            raise InputError(f"{text!r} is not key=value", remedy="write for example train.epochs=20")
        key, _, raw = text.partition("=")
        if "${" in raw:
            raise InputError(f"interpolation is not allowed: {text!r}", remedy="write the value itself")
        value = parse_yaml(raw, path=text)
        if key in given and given[key] != value:
            raise InputError(f"{key} is given twice, as {given[key]!r} and {value!r}", remedy="give it once")
        given[key] = value
    for key, value in flags.items():
        if value is None:
            continue
        plain = _plain(value)
        if key in given and given[key] != plain:
            raise InputError(
                f"{key} is given twice, as {given[key]!r} by key=value and as {plain!r} by its flag", remedy="give it once"
            )
        given[key] = plain
    return given


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        node = nested
        *parents, leaf = key.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise InputError(f"{key} sets a member of {parent}, which is given as one value", remedy="give one of the two")
        node[leaf] = value
    return nested


def _build(schema: type[T], layers: Sequence[tuple[Mapping[str, Any], str | None]]) -> T:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    known = list(keys(schema))
    merged = OmegaConf.structured(schema)
    for data, source in layers:
        _check(schema, data, known, source)
        try:
            merged = OmegaConf.merge(merged, dict(data))
        except OmegaConfBaseException as error:
            reason = str(error).split("\n")[0]
            key = getattr(error, "full_key", None)
            raise InputError(f"{key}: {reason}" if key else reason, path=source, remedy="give a value of that type") from error
    try:
        return typing.cast(T, OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        raise InputError(str(error).split("\n")[0], path=_last(layers), remedy="give a value of that type") from error
    except InputError as error:
        raise InputError(error.reason, path=error.path or _last(layers), row=error.row, remedy=error.remedy) from error


def _last(layers: Sequence[tuple[Mapping[str, Any], str | None]]) -> str | None:
    return next((source for _, source in reversed(layers) if source), None)


def _check(schema: type, data: Mapping[str, Any], known: list[str], source: str | None, prefix: str = "") -> None:
    """Refuse unknown keys and words where OmegaConf would convert in silence (5 -> "5", 1 -> True)."""
    hints = typing.get_type_hints(schema)
    for key, value in data.items():
        full = f"{prefix}{key}"
        if key not in hints:
            raise InputError(f"unknown key {full!r}", path=source, remedy=nearest(full, known))
        kind = hints[key]
        if is_dataclass(kind):
            if not isinstance(value, Mapping):
                raise InputError(f"{full} is a section, got {value!r}", path=source, remedy=f"set its members: {full}.KEY=...")
            _check(typing.cast(type, kind), value, known, source, f"{full}.")
        elif not _fits(value, kind):
            raise InputError(
                f"{full} must be {_describe(kind)}, got {value!r} ({type(value).__name__})",
                path=source,
                remedy="quote it if a text is meant" if _describe(kind).startswith("text") else "give a value of that type",
            )


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
        return len(value) == len(arguments) and all(_fits(item, each) for item, each in zip(value, arguments, strict=True))
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


def _describe(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_describe(choice) for choice in arguments)
    if origin is typing.Literal:
        return "one of " + ", ".join(str(choice) for choice in arguments)
    if origin is tuple:
        if arguments and arguments[-1] is Ellipsis:
            return f"a list of {_describe(arguments[0])}"
        return f"a list of {len(arguments)} values"
    names = {bool: "true or false", float: "a number", int: "a whole number", str: "text", Path: "text (a path)"}
    return "null" if kind is type(None) else names.get(kind, str(kind))


def nearest(name: str, known: Sequence[str]) -> str:
    """A remedy that names the known words nearest to a mistyped one."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    leaf = name.rsplit(".", 1)[-1]
    close = close or [key for key in known if key.rsplit(".", 1)[-1] == leaf] or [
        key for key in known if difflib.SequenceMatcher(None, leaf, key.rsplit(".", 1)[-1]).ratio() > 0.7
    ]
    return f"did you mean {', '.join(close)}?" if close else f"known: {', '.join(known)}"
