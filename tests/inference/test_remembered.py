"""What was measured is found again for the same weights on the same machine, and for nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kaname.inference import remembered
from kaname.inference.remembered import Memory, Row, cores, processor

ROWS = [Row("torch", "fp32", ms=10.0, times=1.0), Row("openvino", "bf16", ms=2.5, times=4.0, p99_px=0.1)]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KANAME_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "model.pt"
    path.write_bytes(b"weights")
    return path


def test_what_is_written_is_read(weights: Path, tmp_path: Path) -> None:
    memory = Memory(weights, "cpu", 2)
    assert memory.read() == [] and memory.write(ROWS) and Memory(weights, "cpu", 2).read() == ROWS
    moved = tmp_path / "elsewhere.pt"
    moved.write_bytes(b"weights")
    assert Memory(moved, "cpu", 2).read() == ROWS  # the content counts
    text = (tmp_path / "cache" / "runtimes.json").read_text()
    assert str(tmp_path) not in text and json.loads(text)["models"][memory.key]["file"] == "model.pt"


def test_figures_of_other_candidates_stay(weights: Path) -> None:
    memory = Memory(weights, "cpu", 0)
    memory.write(ROWS)
    memory.write([Row("openvino", "bf16", "refused: x"), Row("compile", "fp32", ms=1.0, times=9.0)])
    assert [(row.runtime, row.verdict) for row in memory.read()] == [
        ("torch", "alike"), ("openvino", "refused: x"), ("compile", "alike"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "changed", ["weights", "weights of the same size", "device", "threads", "version", "processor"]
)
def test_whatever_changes_is_measured_anew(changed: str, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Memory(weights, "cpu", 2).write(ROWS)
    device, threads = "cpu", 2
    if changed.startswith("weights"):
        weights.write_bytes(b"others." if "size" in changed else b"other weights")
    elif changed == "version":
        monkeypatch.setattr(remembered, "version", lambda name: "99.1" if name == "openvino" else "1")
    elif changed == "processor":
        monkeypatch.setattr(remembered, "processor", lambda: "another")
    else:
        device, threads = ("cuda:0 Some GPU", 2) if changed == "device" else ("cpu", 1)
    assert Memory(weights, device, threads).read() == []


def test_a_runtime_that_is_removed_is_another_version(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise ModuleNotFoundError(name)

    Memory(weights, "cpu", 2).write(ROWS)
    monkeypatch.setattr(remembered, "version", absent)
    assert remembered.versions()["torch"] == "" and Memory(weights, "cpu", 2).read() == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": 2, "models": {}}',
        '{"format": 1, "models": 3}',
        '{"format": 1, "models": {"a": 1}}',
    ],
)
def test_a_damaged_file_is_an_empty_one(content: str, weights: Path, tmp_path: Path) -> None:
    place = tmp_path / "cache" / "runtimes.json"
    place.parent.mkdir()
    place.write_text(content)
    memory = Memory(weights, "cpu", 2)
    assert memory.read() == [] and memory.write(ROWS) and memory.read() == ROWS


@pytest.mark.parametrize(
    "row", [{"runtime": "x"}, {"runtime": "x", "precision": "fp32", "times": "fast"}, {"other": 1}, 5]
)
def test_damaged_rows_are_none(row: object, weights: Path, tmp_path: Path) -> None:
    memory = Memory(weights, "cpu", 2)
    memory.write(ROWS)
    place = tmp_path / "cache" / "runtimes.json"
    content = json.loads(place.read_text())
    content["models"][memory.key]["rows"] = [row]
    place.write_text(json.dumps(content))
    assert memory.read() == []


def test_a_folder_that_cannot_be_written_is_no_error(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    memory = Memory(weights, "cpu", 2)
    assert memory.read() == [] and memory.write(ROWS) is False and memory.read() == []


def test_the_oldest_models_go(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "KEPT", 2)
    for number in range(3):
        weights.write_bytes(bytes([number]) * 9)
        Memory(weights, "cpu", 2).write(ROWS)
    assert len(json.loads((weights.parent / "cache" / "runtimes.json").read_text())["models"]) == 2
    assert Memory(weights, "cpu", 2).read() == ROWS
    weights.write_bytes(bytes([0]) * 9)
    assert Memory(weights, "cpu", 2).read() == []


def test_the_machine_is_named() -> None:
    assert processor() and processor() == processor()
    assert 1 <= cores() <= (os.cpu_count() or 1)
