"""What a model is opened on: as asked, remembered, measured where a job is long enough, else plain. A fake clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from inference.test_choosing import CARD, Ticking, asked, decode
from inference.test_remembered import weights as weights  # noqa: PLC0414
from kaname.errors import InputError
from kaname.inference import runtimes
from kaname.inference.model import Model
from kaname.inference.runtimes import Candidate, Running, ran_on
from kaname.pipeline import running as module
from kaname.pipeline.running import FEW, LONG, Demand, Source, open_running

FASTEST = Running(runtime="auto")
ANY = Running(runtime="auto", precision="auto")


@pytest.fixture(autouse=True)
def _any_file_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-ins for models have a few bytes."""
    monkeypatch.setattr(module, "SMALL", 0)


@dataclass
class Machine:
    """A machine of runtimes that take as long as they say; ``opened`` lists which were opened."""

    file: Path
    clock: Ticking = field(default_factory=Ticking)
    opened: list[str] = field(default_factory=list)
    plain_seconds: float = 1.0

    def candidate(
        self, runtime: str, seconds: float, shift: float = 0.0, precision: str = "fp32", **how: Any
    ) -> Candidate:
        return Candidate(
            runtime, precision, lambda *_: self.runner(runtime, precision, seconds, shift), (), exported=True, **how
        )

    def runner(self, runtime: str, precision: str, seconds: float, shift: float = 0.0) -> Any:
        self.opened.append(f"{runtime} {precision}")

        class Runner:
            def __init__(self, run: Any) -> None:
                self.runtime, self.precision, self.run = runtime, precision, run

            def __call__(self, inputs: Any) -> Any:
                return self.run(inputs)

        return Runner(self.clock.runner(seconds, shift))

    @property
    def source(self) -> Source:
        def open_plain(device: str) -> tuple[Any, dict[str, Any]]:
            return self.runner("onnxruntime", "fp32", self.plain_seconds), {**CARD, "heads": {}}

        return Source(
            self.file,
            "gauge",
            open_plain,
            lambda runner, card: Model(card, runner, decode),
            lambda _: (0.5, None),
            self.clock,
        )

    def open(self, running: Running, count: int | None = -1) -> str:
        """What runs in the end, for a job of so many answers; -1: nobody says for what."""
        self.opened.clear()
        demand = None if count == -1 else Demand(count, lambda model: asked())
        return " ".join(ran_on(open_running(self.source, running, demand).runner))


@pytest.fixture
def machine(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    file = weights.rename(weights.with_suffix(".onnx"))
    made = Machine(file)
    table = (
        made.candidate("onnxruntime", 1.0),
        made.candidate("openvino", 0.5),
        made.candidate("openvino", 0.1, 0.2, "bf16"),
        made.candidate("compile", 0.25, slow_start=True),
    )
    monkeypatch.setattr(runtimes, "CANDIDATES", table)
    monkeypatch.setattr(module, "device_kind", lambda running, export: "cpu")
    return made


def test_nothing_is_measured_where_nobody_says_for_what(machine: Machine) -> None:
    assert machine.open(FASTEST) == "onnxruntime fp32" and machine.clock.calls == 0


def test_a_short_job_does_not_search(machine: Machine) -> None:
    assert machine.open(FASTEST, FEW - 1) == "onnxruntime fp32"
    assert machine.clock.calls == 0 and not any("openvino" in one for one in machine.opened)


def test_a_job_that_ends_soon_does_not_search_however_many_images(machine: Machine) -> None:
    machine.plain_seconds = 0.001
    assert machine.open(FASTEST, int(LONG / 0.001) - 10) == "onnxruntime fp32"
    assert machine.clock.calls == 2 and "openvino fp32" not in machine.opened  # one answer is timed


def test_a_long_job_searches_and_the_next_one_remembers(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert machine.open(FASTEST, 200) == "openvino fp32" and "compile fp32" not in machine.opened
    said = capsys.readouterr().err
    assert "it runs on openvino fp32, 2 times as fast as plain onnxruntime" in said and "remembered" in said
    calls = machine.clock.calls
    assert machine.open(FASTEST, 5) == "openvino fp32" and machine.opened[-1] == "openvino fp32"
    assert machine.open(FASTEST) == "openvino fp32" and machine.clock.calls == calls
    assert "model.onnx runs on openvino fp32, 2 times as fast" in capsys.readouterr().err


def test_a_sample_is_measured_whatever_comes_after_it(machine: Machine) -> None:
    assert machine.open(FASTEST, None) == "openvino fp32"
    calls = machine.clock.calls
    assert machine.open(FASTEST, None) == "openvino fp32" and machine.clock.calls == calls


def test_points_that_move_are_allowed_by_precision_auto_alone(machine: Machine) -> None:
    assert machine.open(ANY, 200) == "openvino bf16"
    assert machine.open(ANY) == "openvino bf16" and machine.open(FASTEST) == "openvino fp32"
    assert machine.open(Running()) == "onnxruntime fp32"
    assert machine.open(Running(runtime="openvino", precision="auto")) == "openvino bf16"


def test_what_starts_slowly_is_tried_for_very_long_jobs(machine: Machine) -> None:
    assert machine.open(FASTEST, 200) == "openvino fp32"
    assert machine.open(FASTEST, 10_000) == "compile fp32"  # measured now, because that was not
    assert machine.open(FASTEST, 5) == "compile fp32"


@pytest.mark.parametrize("changed", ["weights", "versions"])
def test_a_choice_is_forgotten_with_what_it_was_measured_on(
    changed: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert machine.open(FASTEST, 200) == "openvino fp32"
    if changed == "weights":
        machine.file.write_bytes(b"others!")
    else:
        monkeypatch.setattr("kaname.inference.remembered.version", lambda name: "0")
    assert machine.open(FASTEST, 5) == "onnxruntime fp32"


def test_a_cache_that_cannot_be_written_is_no_error(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    (machine.file.parent / "cache").write_text("x")
    assert machine.open(FASTEST, 200) == "openvino fp32"
    assert "not remembered, for the cache folder cannot be written" in capsys.readouterr().err


def test_a_remembered_runtime_that_fails_is_replaced_by_the_plain_one(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.open(FASTEST, 200)

    def broken(*_: object) -> Any:
        raise InputError("no longer")

    gone = Candidate("openvino", "fp32", broken, (), exported=True)
    monkeypatch.setattr(runtimes, "CANDIDATES", (runtimes.CANDIDATES[0], gone))
    assert machine.open(FASTEST, 5) == "onnxruntime fp32"


def test_what_is_asked_by_name_runs_without_measuring(machine: Machine) -> None:
    assert machine.open(Running(runtime="openvino"), 10_000) == "openvino fp32"
    assert machine.open(Running(runtime="compile")) == "compile fp32"
    assert machine.open(Running(runtime="auto", precision="bf16")) == "openvino bf16"
    assert machine.clock.calls == 0
    with pytest.raises(InputError, match="torch fp32 does not run an ONNX export on cpu") as refused:
        machine.open(Running(runtime="torch"))
    assert "onnxruntime fp32, openvino fp32, openvino bf16" in str(refused.value)


def test_unknown_words_list_the_known() -> None:
    for word in ("tensorrt", "", "gpu"):
        with pytest.raises(InputError, match="torch, onnxruntime, openvino, compile") as refused:
            Running.of(word)
        assert repr(word) in str(refused.value)
    with pytest.raises(InputError, match=r"unknown precision 'int8'; use auto, fp32, bf16 or fp16"):
        Running(precision="int8")
    with pytest.raises(InputError, match="unknown runtime 'cuda'"):
        Running(runtime="cuda")
    assert Running.of("cuda:1") == Running("cuda:1") and Running.of("openvino").device == "auto"
    assert Running.of("cpu").plain and not Running.of("auto").plain


def test_the_table_of_runtimes_is_whole() -> None:
    for candidate in runtimes.CANDIDATES:
        assert candidate.precision in runtimes.TOLERANCE_PX and candidate.precision in runtimes.TOLERANCE_SCORE
        assert candidate.needs and set(candidate.devices) <= {"cpu", "cuda", "mps"}
    assert len({candidate.name for candidate in runtimes.CANDIDATES}) == len(runtimes.CANDIDATES)
    starts = [candidate.slow_start for candidate in runtimes.CANDIDATES]
    assert starts == sorted(starts)  # what is found slow before spares the others their start


def test_a_small_model_is_not_asked_how_long_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its bytes and the number of answers; many answers, or a large file, are worth the question."""
    monkeypatch.setattr(module, "SMALL", 1000)
    (tmp_path / "model.onnx").write_bytes(bytes(4))
    opening = object.__new__(module.Opening)
    opening.path = tmp_path / "model.onnx"
    assert opening.is_short(99) and opening.is_short(200) and not opening.is_short(300)
    assert not opening.is_short(1000) and not opening.is_short(100_000)
