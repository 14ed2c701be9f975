"""``kaname.load`` with a runtime: devices and runtimes in one word, exports of checkpoints, what runs without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kaname
from kaname.errors import InputError
from kaname.inference.runtimes import ran_on
from test_loading import onnx_file

GOLDEN = Path(__file__).parent / "golden" / "gauge.pt"
ASKED = """
import sys
sys.modules["torch"] = {torch}
import numpy, kaname
model = kaname.load({path!r}, runtime={runtime!r})
points = model.predict(numpy.zeros((20, 30, 3), numpy.uint8))
print("ran on", *kaname.inference.runtimes.ran_on(model.runner), points.size)
assert sys.modules.get("torch") is None, "torch was imported"
"""


def asked(path: Path, runtime: str, *, torch: bool) -> subprocess.CompletedProcess[str]:
    """A model in a new process, in which torch may be imported, or is not installed."""
    program = ASKED.format(path=str(path), runtime=runtime, torch="None")
    program = program.replace('sys.modules["torch"] = None\n', "") if torch else program
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KANAME_CACHE", str(cache))


@pytest.mark.parametrize("runtime", ["auto", "cpu", "onnxruntime", "openvino"])
def test_an_export_runs_without_torch(runtime: str, tmp_path: Path) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino", reason="openvino is not installed (pip install openvino)")
    done = asked(onnx_file(tmp_path / "model.onnx"), runtime, torch=True)
    wanted = "openvino" if runtime == "openvino" else "onnxruntime"
    assert done.stdout == f"ran on {wanted} fp32 (20, 30)\n", done.stderr


def test_a_checkpoint_without_torch_and_without_an_export(tmp_path: Path) -> None:
    copy = tmp_path / "other.pt"
    copy.write_bytes(GOLDEN.read_bytes() + b"\0")  # an archive may be followed by anything, and this is another content
    for runtime in ("auto", "torch", "onnxruntime"):
        done = asked(GOLDEN if runtime == "auto" else copy, runtime, torch=False)
        assert done.returncode == 1 and "needs torch, which is not installed" in done.stderr.splitlines()[-1]


def test_a_checkpoint_is_exported_once_and_then_runs_without_torch(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The answers are those of torch."""
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    plain, other = kaname.load(GOLDEN, runtime="torch"), kaname.load(GOLDEN, runtime="onnxruntime")
    assert ran_on(plain.runner) == ("torch", "fp32") and ran_on(other.runner) == ("onnxruntime", "fp32")
    assert "gauge.pt is exported once, " in capsys.readouterr().err
    np.testing.assert_allclose(plain.maps(image), other.maps(image), atol=1e-4)
    kaname.load(GOLDEN, runtime="onnxruntime")
    assert "exported" not in capsys.readouterr().err and len(list((cache / "exports").glob("*.onnx"))) == 1
    fallen = asked(GOLDEN, "auto", torch=False)
    assert fallen.stdout == "ran on onnxruntime fp32 (20, 30)\n", fallen.stderr
    line = "torch is not installed: gauge.pt runs on onnxruntime fp32, from its export in the cache"
    assert fallen.stderr.splitlines() == [line]
    assert asked(GOLDEN, "onnxruntime", torch=True).stdout == "ran on onnxruntime fp32 (20, 30)\n"


def test_devices_and_runtimes_are_both_understood() -> None:
    for word in ("auto", "cpu", "torch"):
        assert ran_on(kaname.load(GOLDEN, runtime=word).runner) == ("torch", "fp32")
    model = kaname.load(GOLDEN, runtime="torch", precision="bf16", device="cpu")
    assert ran_on(model.runner) == ("torch", "bf16") and str(model.runner.device) == "cpu"  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="unknown runtime or device 'tpu'"):
        kaname.load(GOLDEN, runtime="tpu")
    with pytest.raises(InputError, match="torch fp16 does not run a checkpoint on cpu; there are torch fp32, "):
        kaname.load(GOLDEN, runtime="torch", precision="fp16", device="cpu")


def test_an_export_does_not_run_on_torch(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "model.onnx")
    with pytest.raises(InputError, match="torch fp32 does not run an ONNX export on cpu; there are onnxruntime fp32"):
        kaname.load(path, runtime="torch")


@pytest.mark.parametrize(("device", "wanted"), [("cpu", ["CPU"]), (None, ["CUDA", "CPU"])])
def test_an_export_keeps_to_the_processor_that_is_asked_for(
    device: str | None, wanted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the onnxruntime that is installed has CUDA."""
    import onnxruntime

    given: list[list[str]] = []
    opened = onnxruntime.InferenceSession

    def noted(source: object, options: object, providers: list[str]) -> object:
        given.append([name.removesuffix("ExecutionProvider") for name in providers])
        return opened(source, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", noted)
    known = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: known)
    kaname.load(GOLDEN.with_suffix(".onnx"), device=device)
    assert given == [wanted]
