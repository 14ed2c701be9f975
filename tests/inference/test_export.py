"""The parity check, with runners that answer as they are told; no file gets its name before it has passed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.inference import export as exporting
from kaname.inference.export import compare, export
from kaname.inference.model import Model
from kaname.inference.torch_runner import TorchRunner
from kaname.types import Points, Size

IMAGE = np.zeros((16, 16, 3), np.uint8)
CARD = {
    "input_size": [16, 16], "config": {"extract": {"min_score": 0.5}}, "recipe": "gauge",
    "channels": ["a"], "backbone": {},
}  # fmt: skip
Found = Sequence[tuple[float, float, float]]


def saying(found: Found, *, shift: float = 0.0, shape: tuple[int, ...] = (1, 1, 4, 4), card: Any = CARD) -> Model:
    """A model that finds ``(x, y, score)`` and whose maps lie ``shift`` beside zero."""
    points = np.array([row[:2] for row in found], dtype=float).reshape(-1, 2)
    scores = np.array([row[2] for row in found], dtype=float)

    def decode(maps: np.ndarray, back: Affine, size: Size) -> Points:
        return Points({"a": points}, {"a": scores}, size)

    return Model(card, lambda images: np.full(shape, shift, np.float32), decode)


def parity(ours: Found, theirs: Found, **changes: Any) -> exporting.Parity:
    return compare(saying(ours), saying(theirs, **changes), [("a.png", IMAGE)], 0.5)


def test_equal_answers_pass() -> None:
    found = parity([(1, 2, 0.9), (8, 8, 0.7)], [(8, 8, 0.7), (1, 2, 0.9)])
    assert found.passed and found.distances == [0.0, 0.0] and found.images == 1
    assert parity([], []).passed and parity([], []).percentile_99_px == 0.0
    assert json.loads(json.dumps(found.to_dict()))["passed"] is True


@pytest.mark.parametrize(
    ("shift", "passed"), [(9e-5, True), (1.1e-4, False), (float("nan"), False), (float("inf"), False)]
)
def test_maps(shift: float, passed: bool) -> None:
    assert parity([(1, 1, 0.9)], [(1, 1, 0.9)], shift=shift).passed is passed


@pytest.mark.parametrize(("distance", "passed"), [(0.049, True), (0.06, False), (3.0, False)])
def test_distances(distance: float, passed: bool) -> None:
    found = parity([(1, 1, 0.9)], [(1 + distance, 1, 0.9)])
    assert found.passed is passed and found.percentile_99_px == pytest.approx(distance) and not found.unmatched


def test_a_point_far_away_is_no_match_however_many_agree() -> None:
    many = [(10.0 * number, 0.0, 0.9) for number in range(300)]
    found = parity([*many, (0.0, 50.0, 0.9)], [*many, (0.0, 90.0, 0.9)])
    assert found.percentile_99_px == 0.0 and len(found.unmatched) == 2 and not found.passed


def test_as_many_pairs_as_can_be() -> None:
    found = parity([(0, 0, 0.9), (4, 0, 0.9)], [(4, 0, 0.9), (8, 0, 0.9)])
    assert sorted(found.distances) == [4.0, 4.0] and not found.unmatched


@pytest.mark.parametrize(
    ("score", "excused"), [(0.5, True), (0.50009, True), (0.49995, True), (0.5002, False), (0.9, False)]
)
def test_a_point_more_or_less_only_at_the_threshold(score: float, excused: bool) -> None:
    for ours, theirs, side in (([(3, 4, score)], [], "model"), ([], [(3, 4, score)], "export")):
        found = parity(ours, theirs)
        assert found.passed is excused
        (line,) = found.at_threshold if excused else found.unmatched
        assert f"a.png: a (3.00, 4.00) score {score:.6f} only in the {side}" == line


def test_maps_of_another_shape() -> None:
    with pytest.raises(InputError, match="maps of"):
        parity([], [], shape=(1, 2, 4, 4))


class Tiny(nn.Module):
    """Half the mean colour, as one logit map."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 1, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layer(images / 255)


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    told = saying([(3, 4, 0.9)])
    return Model(CARD, TorchRunner(Tiny(), (16, 16), device="cpu"), told.decoder)


def test_what_cannot_be_exported(model: Model, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"an export is an \.onnx file"):
        export(model, [("a", IMAGE)], tmp_path / "model.pt")
    with pytest.raises(InputError, match="at least one image"):
        export(model, [], tmp_path / "model.onnx")
    with pytest.raises(InputError, match="cannot be exported again"):
        export(saying([]), [("a", IMAGE)], tmp_path / "model.onnx")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be made"):
        export(model, [("a", IMAGE)], tmp_path / "file" / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_that_fails_does_not_get_its_name(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "model.onnx"
    out.write_bytes(b"the export before")
    monkeypatch.setattr(exporting, "_write", lambda model, path: path.write_bytes(b"x"))
    monkeypatch.setattr(exporting, "OnnxRunner", lambda path: lambda images: model.runner(images) + np.float32(0.01))
    with pytest.raises(InputError, match=r"does not answer like the model: maps differ by 0\.01"):
        export(model, [("a", IMAGE)], out)
    assert out.read_bytes() == b"the export before"
    failed = {".model.failed.onnx", ".model.failed.onnx.parity.json"}
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", *failed}
    assert json.loads((tmp_path / ".model.failed.onnx.parity.json").read_text())["passed"] is False


def by_score(found: Found, threshold: float) -> Any:
    """A decoder that finds these points where their scores reach the threshold."""
    return saying([row for row in found if row[2] >= threshold]).decoder


@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_a_model_that_finds_nothing_is_compared_lower(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift: float
) -> None:
    """Its maps reach 0.3 and a point needs 0.5: the points of 0.2 are compared, and must agree."""
    model.decoder = by_score([], 0.5)
    monkeypatch.setattr(TorchRunner, "__call__", lambda self, images: np.full((1, 1, 4, 4), 0.3, np.float32))
    monkeypatch.setattr(exporting, "_write", lambda model, path: path.write_bytes(b"x"))
    monkeypatch.setattr(exporting, "OnnxRunner", lambda path: lambda images: np.full((1, 1, 4, 4), 0.3, np.float32))
    asked: list[float] = []

    def decode_at(threshold: float) -> Any:
        asked.append(threshold)
        answers = iter([(1.0, 2.0, 0.2), (1.0 + shift, 2.0, 0.2)])
        return lambda maps, back, size: saying([next(answers)]).decoder(maps, back, size)

    out = tmp_path / "model.onnx"
    if shift:
        with pytest.raises(InputError, match=r"points by 0\.400 px"):
            export(model, [("a", IMAGE)], out, decode_at=decode_at)
        assert not out.exists()
        return
    found = export(model, [("a", IMAGE)], out, decode_at=decode_at)
    report = json.loads((tmp_path / "model.onnx.parity.json").read_text())
    assert asked == [pytest.approx(0.15)] and report == found.to_dict()
    assert report["points"] == 0 and report["lowered_points"] == 1 and report["passed"]
    assert report["lowered_min_score"] == pytest.approx(0.15) and report["lowered_point_distance_p99_px"] == 0
    assert "no point was compared" in report["warning"] and "0.3" in report["warning"] and "0.5" in report["warning"]
    without = export(model, [("a", IMAGE)], out)
    assert without.warning and without.lowered is None and without.passed


def test_a_model_that_finds_points_has_no_warning(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_write", lambda model, path: path.write_bytes(b"x"))
    monkeypatch.setattr(exporting, "OnnxRunner", lambda path: model.runner)
    assert "warning" not in export(model, [("a", IMAGE)], tmp_path / "model.onnx").to_dict()


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), RuntimeError("x"), InputError("y")])
def test_an_export_that_is_cut_off_leaves_nothing(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    def cut(model: Model, path: Path) -> None:
        path.write_bytes(b"half")
        raise fault

    monkeypatch.setattr(exporting, "_write", cut)
    with pytest.raises(type(fault)):
        export(model, [("a", IMAGE)], tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_real_export(model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from kaname.inference.onnx_runner import OnnxRunner

    model.card = {**CARD, "format": "kaname-checkpoint", "version": 1}
    rng = np.random.default_rng(0)
    images = [(f"{h}x{w}", rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for h, w in ((16, 16), (31, 47), (9, 5))]
    found = export(model, images, tmp_path / "new" / "model.onnx")
    assert found.passed and found.images == 3 and found.map_difference < 1e-5
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"model.onnx", "model.onnx.parity.json"}
    runner = OnnxRunner(tmp_path / "new" / "model.onnx")
    assert runner.card == model.card and capsys.readouterr().out == ""
    several = np.stack([images[0][1]] * 3)
    assert np.allclose(runner(several), model.runner(several), atol=1e-5)
