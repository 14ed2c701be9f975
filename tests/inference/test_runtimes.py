"""Every runtime answers like plain torch; exports of checkpoints are made once, checked, and never of other weights."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inference.test_export import Tiny, by_score
from inference.test_export import model as model  # noqa: PLC0414
from inference.test_parity import CARD, IMAGE, asked
from kaname.errors import InputError
from kaname.files import content_hash
from kaname.geometry.view import View
from kaname.inference import choosing, own_exports, runtimes
from kaname.inference.choosing import Judging, measure
from kaname.inference.model import Model
from kaname.inference.onnx_runner import OnnxRunner
from kaname.inference.runtimes import CANDIDATES, Candidate, Material, Running, ran_on
from kaname.inference.torch_runner import TorchRunner

WITHOUT = "openvino is not installed (pip install openvino)"
PICTURES = [np.random.default_rng(seed).integers(0, 256, (20 + seed, 31, 3), np.uint8) for seed in range(3)]


SIGNALLED = """
import os, signal, sys
from pathlib import Path
from kaname.inference.openvino_runner import OpenvinoRunner
heard = []
signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
runners = [OpenvinoRunner(Path(sys.argv[1]), ["heatmaps"], threads=1) for _ in range(3)]
while runners:
    runners.pop(0)
    os.kill(os.getpid(), signal.SIGUSR1)
print(len(heard))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of ``model``."""
    torch.manual_seed(0)
    same = Model(CARD, TorchRunner(Tiny(), View("letterbox", (16, 16)), device="cpu"), by_score([], 0.5))
    path = tmp_path_factory.mktemp("exports") / "model.onnx"
    own_exports.make(same, path)
    return path


@pytest.mark.parametrize("candidate", [one for one in CANDIDATES if "cpu" in one.devices], ids=lambda one: one.name)
def test_every_candidate_answers_like_plain_torch(candidate: Candidate, model: Model, place: Path) -> None:
    if candidate.absent:
        pytest.skip(WITHOUT)
    material = Material(lambda: model.runner, lambda: place, ["heatmaps"], threads=1)
    try:
        runner = candidate.open(candidate, material)
    except InputError as error:
        assert "bf16" in candidate.precision and "no bf16 on this processor" in error.reason
        pytest.skip(error.reason)
    assert ran_on(runner) == (candidate.runtime, candidate.precision)
    for image in PICTURES:  # of several sizes
        ours, theirs = (model.using(one).maps(image) for one in (model.runner, runner))
        assert ours.shape == theirs.shape == (1, 16, 16) and theirs.dtype == np.float32
        assert np.abs(ours - theirs).max() < (1e-5 if candidate.precision == "fp32" else 0.01)
        assert candidate.precision == "fp32" or not np.array_equal(ours, theirs)  # it is computed lower


def test_a_lower_precision_leaves_boxes_and_view_alone() -> None:
    class Boxes(Tiny):
        def forward(self, inputs: Any) -> Any:
            assert inputs["boxes"].dtype == inputs["images"].dtype == torch.float32
            seen = inputs["boxes"].reshape(1, 1, 2, 2) + 0 * self.layer(inputs["images"]).float().mean()
            return {"heatmaps": torch.logit(seen / 1000)}

    given = {"images": IMAGE[None], "boxes": np.array([[3, 5, 511.25, 257.75]], np.float32)}
    plain = TorchRunner(Boxes(), View("letterbox", (16, 16)), device="cpu")
    np.testing.assert_array_equal(plain(given)["heatmaps"], plain.again("bf16", compiled=False)(given)["heatmaps"])


def test_openvino_is_told_its_precision() -> None:
    pytest.importorskip("openvino", reason=WITHOUT)
    from kaname.inference.openvino_runner import HINTS, OpenvinoRunner

    assert HINTS["fp32"] == "f32"  # left to itself it takes bf16 where the processor multiplies it
    with pytest.raises(InputError, match="openvino does not run in fp16"):
        OpenvinoRunner.refuse("fp16")


def test_openvino_in_fp32_computes_in_fp32(place: Path) -> None:
    openvino = pytest.importorskip("openvino", reason=WITHOUT)
    from kaname.inference.openvino_runner import OpenvinoRunner

    runner = OpenvinoRunner(place, ["heatmaps"], threads=1)
    compiled = runner._network or runner._whole
    assert compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="its signals are of POSIX")
def test_openvino_models_come_and_go_and_signals_still_arrive(place: Path) -> None:
    """As of a loader's worker that ends, or of Ctrl-C: with a core for each model the process died of the signal."""
    pytest.importorskip("openvino", reason=WITHOUT)
    done = subprocess.run([sys.executable, "-c", SIGNALLED, str(place)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "3"), done.stderr


def test_openvino_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason=WITHOUT)
    from kaname.inference.openvino_runner import OpenvinoRunner

    (tmp_path / "x.onnx").write_bytes(b"no graph")
    with pytest.raises(InputError, match="openvino cannot run it") as refused:
        OpenvinoRunner(tmp_path / "x.onnx", ["heatmaps"])
    assert "\n" not in str(refused.value)


def test_without_openvino_the_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from kaname.inference.openvino_runner import OpenvinoRunner

    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(InputError, match="the runtime openvino needs openvino, which is not installed"):
        OpenvinoRunner.refuse("fp32")


def test_a_search_over_real_runtimes(model: Model, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is chosen answers within its tolerance; what is not here is said."""
    monkeypatch.setattr(choosing, "HOPELESS", math.inf)  # for so small a network others may be
    chosen = [one for one in CANDIDATES if "cpu" in one.devices and not one.slow_start]
    material = Material(lambda: model.runner, lambda: place, ["heatmaps"], threads=1)
    told = model.using(model.runner, by_score([(3, 4, 0.9)], 0.5))
    rows, runners = measure(told, ("torch", "fp32"), chosen, material, Judging(asked(*PICTURES), 0.5), rounds=2)
    assert [f"{row.runtime} {row.precision}" for row in rows] == [one.name for one in chosen]
    by_name = {f"{row.runtime} {row.precision}": row for row in rows}
    assert by_name["onnxruntime fp32"].verdict == "alike" and by_name["onnxruntime fp32"].largest_px == 0.0
    assert ("onnxruntime", "fp32") in runners
    if "openvino fp32" in by_name and not CANDIDATES[4].absent:
        assert by_name["openvino fp32"].verdict == "alike"


def test_an_export_belongs_to_the_weights_and_to_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KANAME_CACHE", str(tmp_path))
    file = tmp_path / "model.pt"
    file.write_bytes(b"one")
    first = own_exports.place_of(file)
    assert first.parent == tmp_path / "exports" and first == own_exports.place_of(file)
    file.write_bytes(b"two")
    assert own_exports.place_of(file) != first
    file.write_bytes(b"one")
    monkeypatch.setattr(own_exports, "_code", lambda: "another version")
    assert own_exports.place_of(file) != first


def test_an_export_that_answers_differently_is_not_kept(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Off(OnnxRunner):
        def __call__(self, inputs: Any) -> Any:
            return {name: value + np.float32(2e-4) for name, value in super().__call__(inputs).items()}

    monkeypatch.setattr(own_exports, "OnnxRunner", Off)
    with pytest.raises(InputError, match=r"its export answers differently: maps by 0\.0002"):
        own_exports.make(model, tmp_path / "exports" / "model.onnx")
    assert list((tmp_path / "exports").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_said(model: Model, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="the cache folder cannot be made") as refused:
        own_exports.make(model, tmp_path / "file" / "model.onnx")
    assert "KANAME_CACHE" in str(refused.value)


def test_the_exports_used_longest_ago_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_exports, "LIMIT", 25)
    files = [tmp_path / f"{name}.onnx" for name in "abc"]
    for number, file in enumerate(files):
        file.write_bytes(b"0123456789")
        file.with_suffix(".sha256").write_text(content_hash(file))
        import os

        os.utime(file, (number, number))
    assert own_exports.used(files[0])  # now
    own_exports._make_room(files[2])
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["a.onnx", "a.sha256", "c.onnx", "c.sha256"]


def test_an_export_that_has_changed_on_the_disk_is_made_again(model: Model, tmp_path: Path) -> None:
    """It might still be readable, and answer something else."""
    path = tmp_path / "model.onnx"
    own_exports.make(model, path)
    whole = bytearray(path.read_bytes())
    place = len(whole) // 2
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    assert not own_exports.used(path)
    own_exports.make(model, path)
    assert own_exports.used(path)
    path.unlink()
    assert not own_exports.used(path)


def test_threads_are_those_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    for stated, number in (("3", 3), ("", 0), ("2,1", 0)):
        monkeypatch.setenv("OMP_NUM_THREADS", stated)
        assert runtimes.threads() == number


def test_the_device_is_found_without_torch_where_there_is_no_gpu() -> None:
    if runtimes.may_have_gpu():
        pytest.skip("there may be a GPU here")
    program = (
        "import sys\nfrom kaname.inference.runtimes import Running, device_kind\n"
        "assert device_kind(Running(), export=False) == 'cpu'\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    with pytest.raises(InputError, match="device cuda was asked for"):
        runtimes.device_kind(Running("cuda"), export=False)
