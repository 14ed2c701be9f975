"""Configurations: three sources, one result, and a clear line for whatever does not fit."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaname import config
from kaname.errors import InputError
from kaname.schema import keys, spellings
from kaname.yaml12 import parse_yaml


@dataclass(frozen=True)
class Inner:
    epochs: int = 5
    lr: float = 1e-3
    steps: tuple[int, ...] = ()
    kind: Literal["adam", "sgd"] = "adam"
    ema: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise InputError(f"train.epochs must be at least 1, got {self.epochs}")


@dataclass(frozen=True)
class Outer:
    data: Path = Path("somewhere")
    name: str = "x"
    note: str | None = None
    size: tuple[int, int] = (4, 6)
    weights: dict[str, float] = field(default_factory=dict)
    train: Inner = field(default_factory=Inner)


def written(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_later_sources_win(tmp_path: Path) -> None:
    file = written(tmp_path, "name: file\ntrain:\n  epochs: 7\n  lr: 0.5\n")
    found = config.load(Outer, file=file, overrides=["train.lr=2"], flags={"train.ema": True, "train.kind": None})
    assert found == Outer(name="file", train=Inner(epochs=7, lr=2.0, ema=True))
    assert isinstance(found.train.lr, float) and isinstance(found.size, tuple) and isinstance(found.data, Path)
    with pytest.raises(FrozenInstanceError):
        found.name = "y"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "row", "part", "remedy"),
    [
        ("train:\n  epoch: 3\n", 2, "unknown key 'train.epoch'", "train.epochs"),
        ("# one\n\nnmae: a\n", 3, "unknown key 'nmae'", "name"),
        ("train:\n  epochs: 1.5\n", 2, "whole number", "type"),
        ("train:\n  epochs: '3'\n", 2, "whole number", "type"),
        ("train: {lr: fast}\n", 1, "a number", "type"),
        ("train:\n  ema: 1\n", 2, "true or false", "type"),
        ("name: 5\n", 1, "must be text", "quote"),
        ("train:\n  kind: adm\n", 2, "one of adam, sgd", "type"),
        ("size: [1, 2, 3]\n", 1, "2 numbers", "type"),
        ("train:\n  steps: [1, a]\n", 2, "whole number", "type"),
        ("weights: {a: b}\n", 1, "weights", "type"),
        ("train: 3\n", 1, "is a section", "train.KEY"),
        ("train:\n  epochs: 0\n", 2, "at least 1", ""),
        ("a: 1\nname: ${oc.env:HOME}\n", 2, "interpolation", "value itself"),
        ("name: '???'\n", 1, "interpolation", "value itself"),
        ("name: a\nname: b\n", 2, "duplicate key", ""),
        ("train:\n  lr: 1\n  lr: 1\n", 3, "duplicate key", ""),
        ("name: [a\n", 2, "not valid YAML", ""),
        ("? [a]\n: 1\n", 1, "a key must be a word", ""),
        ("name: !!python/object:os.system x\n", 1, "not valid YAML", ""),
        ("name: &a [*a]\n", 1, "aliases", ""),
        ("- 1\n", None, "a mapping", ""),
        ("name: " + "[" * 10_000, 1, "nested too deeply", ""),
        ("name: " + "{a: " * 10_000, 1, "nested too deeply", ""),
        ("name:\n" + "- " * 10_000, 2, "nested too deeply", ""),
        ("1: 2\n", 1, "unknown key '1'", ""),
    ],
)
def test_a_bad_file_names_file_line_and_remedy(
    tmp_path: Path, text: str, row: int | None, part: str, remedy: str
) -> None:
    file, started = written(tmp_path, text), time.process_time()
    with pytest.raises(InputError) as caught:
        config.load(Outer, file=file)
    assert time.process_time() - started < 1, "whatever the file holds"
    error = caught.value
    assert error.path == str(file) and error.row == row, error
    assert part in error.reason and remedy in (error.remedy or "")
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        (["train.epochz=3"], "unknown key 'train.epochz'"),
        (["epochs=3"], "unknown key 'epochs'"),
        (["train.epochs=x"], "whole number"),
        (["train.epochs=0"], "at least 1"),
        (["train.epochs="], "whole number"),
        (["name=${x}"], "interpolation"),
        (["name=[a"], "not valid YAML"),
        (["train.epochs=3", "train.epochs=4"], "given twice"),
        (["train={epochs: 3}", "train.epochs=4"], "given twice"),
        (["train=3", "train.epochs=4"], "train is a section"),
        (["train.epochs=4", "train=3"], "train is a section"),
        (["name"], "not key=value"),
        (["=3"], "not key=value"),
    ],
)
def test_bad_overrides_are_refused_and_never_blame_the_file(tmp_path: Path, overrides: list[str], part: str) -> None:
    file = written(tmp_path, "train:\n  lr: 1.0\n")
    with pytest.raises(InputError) as caught:
        config.load(Outer, file=file, overrides=overrides)
    assert part in str(caught.value)
    assert caught.value.path != str(file)


def test_the_nearest_key_is_named_even_without_its_section() -> None:
    with pytest.raises(InputError, match=r"did you mean train\.epochs\?"):
        config.load(Outer, overrides=["epochs=3"])


@pytest.mark.parametrize("override", ["train.epochs=3", "train={epochs: 3}"])
def test_flag_and_key(override: str) -> None:
    assert config.load(Outer, overrides=[override, override], flags={"train.epochs": 3}).train.epochs == 3
    with pytest.raises(InputError, match="given twice, as 3 by key=value and as 4 by its flag"):
        config.load(Outer, overrides=[override], flags={"train.epochs": 4})


def test_a_flag_that_is_bad_is_refused() -> None:
    for flags in ({"name": "${oc.env:HOME}"}, {"train.epochs": "3"}, {"train.kind": "adm"}, {"train.epochs": 0}):
        with pytest.raises(InputError):
            config.load(Outer, flags=flags)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("1:30", "1:30"), ("2020-01-02", "2020-01-02"), ("1_000", "1_000"), ("010", 10),
        ("0x10", "0x10"), ("true", True), ("NULL", None), ("", None), ("1e3", 1000.0), ("1.", 1.0), (".5", 0.5),
        ("-3", -3), ("<<", "<<"), ("=", "="),
    ],
)  # fmt: skip
def test_scalars_are_read_as_yaml_1_2(text: str, value: object) -> None:
    found = parse_yaml(text)
    assert found == value and type(found) is type(value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        config.load(Outer, file=tmp_path / "none.yaml")
    with pytest.raises(InputError, match="does not exist"):
        config.load(Outer, file=tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe9\n")
    with pytest.raises(InputError, match="UTF-8"):
        config.load(Outer, file=tmp_path / "latin.yaml")
    (tmp_path / "long.yaml").write_bytes(b"#" * 1_100_000)
    with pytest.raises(InputError, match="too large"):
        config.load(Outer, file=tmp_path / "long.yaml")
    assert config.load(Outer, file=written(tmp_path, "")) == Outer()
    assert config.load(Outer, file=written(tmp_path, "\ufeffname: bom\n")).name == "bom"


TEXTS = st.one_of(
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=12),
    st.sampled_from(
        ["no", "1e3", "08", "1:30", "", "~", "null", "0x1F", ".5", "- a", "a: b", "2020-01-01", "yes", "#"]
    ),
).filter(lambda text: "${" not in text and text != "???")


@settings(max_examples=40)
@given(
    TEXTS, st.none() | TEXTS, st.floats(allow_nan=False), st.lists(st.integers(), max_size=3), st.booleans(),
    st.dictionaries(TEXTS, st.floats(allow_nan=False), max_size=2),
)  # fmt: skip
def test_round_trips(
    tmp_path_factory: pytest.TempPathFactory, name: str, note: str | None, lr: float, steps: list[int], ema: bool,
    weights: dict[str, float],
) -> None:  # fmt: skip
    original = Outer(name=name, note=note, train=Inner(lr=lr, steps=tuple(steps), ema=ema), weights=weights)
    file = tmp_path_factory.getbasetemp() / "round.yaml"
    file.write_bytes(config.to_yaml(original).encode())
    assert config.load(Outer, file=file) == original
    assert config.from_dict(Outer, config.to_dict(original)) == original


def test_a_stored_configuration_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "value")
    with pytest.raises(InputError, match="interpolation") as caught:
        config.from_dict(Outer, {"name": "${oc.env:SECRET}"}, source="model.pt")
    assert caught.value.path == "model.pt"


def test_keys_are_dotted() -> None:
    assert list(keys(Outer)) == [
        "data", "name", "note", "size", "weights", "train", "train.epochs", "train.lr", "train.steps", "train.kind",
        "train.ema",
    ]  # fmt: skip


@dataclass(frozen=True)
class Loop:
    aliases: ClassVar[Mapping[str, str]] = {
        "optimizer.lr": "lr",
        "optimizer.name": "optimizer",
        "scheduler.name": "schedule",
        "clip": "grad_clip",
    }
    optimizer: Literal["adam", "sgd"] = "adam"
    lr: float = 1.0
    schedule: str = "cosine"
    grad_clip: float = 0.0

    def __post_init__(self) -> None:
        if self.lr <= 0:
            raise InputError(f"lr must be positive, got {self.lr}")
        if self.grad_clip > 9:
            raise InputError("nobody clips like that")


@dataclass(frozen=True)
class Run:
    aliases: ClassVar[Mapping[str, str]] = {"steps": "training.schedule", "opt": "training"}
    training: Loop = field(default_factory=lambda: Loop(lr=0.5))
    free: Any = "all"


@pytest.mark.parametrize(
    "text",
    [
        "training:\n  optimizer: {lr: 2, name: sgd}\n  scheduler: {name: x}\n",
        "training:\n  optimizer: sgd\n  lr: 2\nsteps: x\n",
        "opt:\n  optimizer: {name: sgd}\n  lr: 2.0\n  schedule: x\n",
    ],
)
def test_other_spellings_of_keys(tmp_path: Path, text: str) -> None:
    expected = Run(Loop("sgd", 2.0, "x"))
    assert config.load(Run, file=written(tmp_path, text)) == expected
    words = ["training.optimizer=sgd", "training.optimizer.lr=2", "training.optimizer={lr: 2}", "steps=x"]
    assert config.load(Run, overrides=words, flags={"training.optimizer.name": "sgd"}) == expected
    assert config.from_dict(Run, {"training": {"optimizer": {"name": "sgd", "lr": 2}, "schedule": "x"}}) == expected
    assert config.load(Run, file=written(tmp_path, text), overrides=["opt.lr=3"]).training.lr == 3.0


@pytest.mark.parametrize(
    ("text", "row", "reason", "remedy"),
    [
        ("training:\n  lr: 1\n  optimizer:\n    lr: 2\n", 4,
         "training.lr is given twice, as 1 by training.lr and as 2 by training.optimizer.lr", "once"),
        ("opt: {clip: 1}\ntraining: {grad_clip: 2}\n", 2,
         "training.grad_clip is given twice, as 1 by opt.clip and as 2 by training.grad_clip", "once"),
        ("training:\n  optimizer:\n    rl: 2\n", 3, "unknown key 'training.optimizer.rl'", "training.optimizer.lr"),
        ("training:\n  scheduler: x\n", 2, "unknown key 'training.scheduler'", "training.scheduler.name"),
        ("training:\n  optimizer:\n    lr: fast\n", 3, "training.lr must be a number", "type"),
        ("training:\n  optimizer:\n    lr: -1\n", 3, "training.optimizer.lr must be positive, got -1.0", ""),
        ("training:\n  clip: 10\n", None, "training: nobody clips like that", ""),
        ("training.lr: 1\n", 1, "unknown key 'training.lr'", "training.lr"),
    ],
)  # fmt: skip
def test_errors_name_the_key_in_full_with_its_line(
    tmp_path: Path, text: str, row: int | None, reason: str, remedy: str
) -> None:
    with pytest.raises(InputError) as caught:
        config.load(Run, file=written(tmp_path, text))
    assert caught.value.reason.startswith(reason) and caught.value.row == row, caught.value
    assert remedy in (caught.value.remedy or "")


@pytest.mark.parametrize(
    ("words", "flags", "part"),
    [
        (["training.optimizer.lr=1", "training.lr=2"], {}, "lr is given twice, as 1 by key=value and as 2 by key"),
        (["training.optimizer={lr: 1}"], {"training.lr": 2.0}, "as 1 by key=value and as 2.0 by its flag"),
        (["free=all", "free.epochs=3"], {}, "free.epochs is a member of free, which is given as one value"),
        (["free.epochs=3", "free=all"], {}, "free.epochs is a member of free, which is given as one value"),
        (["training.lr=1" + "0" * 400], {}, "training.lr must be a number"),
    ],
)  # fmt: skip
def test_spellings_on_the_command_line(words: list[str], flags: dict[str, Any], part: str) -> None:
    with pytest.raises(InputError, match=part):
        config.load(Run, overrides=words, flags=flags)


def test_the_spellings_of_keys() -> None:
    assert spellings(Run) == {
        "steps": "training.schedule",
        "opt": "training",
        "training.optimizer.lr": "training.lr",
        "training.optimizer.name": "training.optimizer",
        "training.scheduler.name": "training.schedule",
        "training.clip": "training.grad_clip",
    }


def test_mappings_are_merged_and_replaced() -> None:
    assert config.from_dict(Outer, {"weights": {"a": 1}}, {"weights": {"b": 2}}).weights == {"a": 1.0, "b": 2.0}
    assert config.from_dict(Run, {"free": {"epochs": 3}}, {"free": "none"}).free == "none"
    assert config.from_dict(Run, {"free": "none"}, {"free": {"epochs": 3}}).free == {"epochs": 3}


def test_words_and_flags_of_one_section() -> None:
    assert config.merged(["x=no", "extract.y.z=1"], {"x": "no", "w": None}, "extract") == {"x": "no", "y": {"z": 1}}
    with pytest.raises(InputError, match=r"extract\.x is given twice, as 1 by key=value and as 2 by its flag"):
        config.merged(["x=1"], {"x": 2}, "extract")
    with pytest.raises(InputError, match="neither a file nor a key of extract"):
        config.merged(["train.x=1"], {}, "extract")
    changes = config.merged(["lr=-1"], {}, "training")
    with pytest.raises(InputError, match=r"^training\.lr must be positive"):
        config.from_dict(Loop, {"lr": 2}, changes, source="model.pt", section="training")
