"""Optional packages: what lacks is named in one line before any work, and what needs none works without."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from kaname import extras
from kaname.apps.gallery_dl import OLDEST
from kaname.errors import InputError
from kaname.samples.gauge import write

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # in the pins for 3.10

ROOT = Path(__file__).resolve().parent.parent

WITHOUT = """
import sys
for name in {names!r}:
    sys.modules[name] = None
from kaname.cli import main
try:
    main({words!r})
finally:
    print("imported:", "torch" in sys.modules and sys.modules["torch"] is not None)
"""


def run_without(names: list[str], *words: object) -> subprocess.CompletedProcess[str]:
    """A command in a process in which some packages are not installed."""
    code = WITHOUT.format(names=names, words=[str(word) for word in words])
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120)


def test_the_oldest_gallery_dl_is_said_alike() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert declared["crawl"] == [f"gallery-dl>={OLDEST}"]
    assert f"({OLDEST} or newer)" in (ROOT / "docs" / "landmark.md").read_text(encoding="utf-8")


def test_every_extra_is_declared_and_named() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    installed = metadata.metadata("kaname").get_all("Provides-Extra") or []  # as it was when it was installed
    for module, extra in extras.EXTRAS.items():
        assert extra in declared, module
        if extra in installed:
            assert f"(the extra {extra})" in extras.install_line(module), module
    assert '"torch>=' in extras.install_line("torch") and "openvino" in extras.install_line("openvino")


def test_only_optional_packages_are_explained() -> None:
    assert extras.missing(ModuleNotFoundError("x", name="torch.nn")) is not None
    assert extras.missing(ModuleNotFoundError("x", name="kaname.nowhere")) is None
    assert extras.missing(ValueError("x")) is None
    with pytest.raises(InputError, match="this needs no-such-package, which is not installed"):
        extras.require_package("no_such_package")
    extras.require_package("numpy")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small gauge model, with its data beside it."""
    from kaname.cli import main

    root = tmp_path_factory.mktemp("extras")
    write(root / "data", count=4, seed=0, size=96, val_fraction=0.25, processes=1)
    words = ["gauge", "train", "--data", root / "data", "--backbone", "small:4", "--size", 64, "--epochs", 1,
             "--out-dir", root / "run", "--num-workers", 0, "--device", "cpu"]  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    assert not stop.value.code
    return root / "run" / "model.pt"


@pytest.mark.parametrize(
    "words",
    [
        ("gauge", "train", "--data", "{data}", "--out-dir", "{out}"),
        ("gauge", "predict", "{data}/train/images", "--checkpoint", "{model}", "--out", "{out}"),
        ("gauge", "evaluate", "--data", "{data}", "--checkpoint", "{model}", "--out", "{out}"),
        ("gauge", "export", "--checkpoint", "{model}", "--out", "{out}.onnx"),
        ("demo", "gauge", "--out", "{out}"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_without_torch_one_line_says_how_to_get_it(checkpoint: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    places = {"data": checkpoint.parents[1] / "data", "model": checkpoint, "out": tmp_path / "out"}
    done = run_without(["torch"], *(word.format(**places) for word in words))
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert "needs torch, which is not installed; pip install" in line and "Error" not in line
    assert not (tmp_path / "out").exists()


def test_info_needs_no_torch(checkpoint: Path) -> None:
    """The card, and the number of parameters, are read without it."""
    with_torch = run_without([], "info", checkpoint)
    without = run_without(["torch"], "info", checkpoint)
    assert without.returncode == 0, without.stderr
    assert (
        without.stdout == with_torch.stdout.replace("imported: True", "imported: False")
        and "parameters " in without.stdout
    )

    import kaname
    from kaname.inference import checkpoint as torches
    from kaname.inference import checkpoint_card

    whole, outline = torches.load(checkpoint), checkpoint_card.read(checkpoint)
    assert outline.card == whole.card and not outline.resumable
    assert sorted(outline.shapes.values()) == sorted(tuple(value.shape) for value in whole.model.values())
    assert checkpoint_card.read(checkpoint.with_name("last.pt")).resumable
    assert kaname.load(checkpoint).card["recipe"] == "gauge"


@pytest.mark.parametrize(
    "words",
    [
        ("gauge", "train", "--data", "nowhere"),
        ("gauge", "train", "--data", "{data}", "--data.resize", "x"),
        ("tracknet", "train", "--data", "nowhere"),
        ("roimask", "train", "--data", "nowhere", "--extractor", "nothing.onnx"),
        ("landmark", "train", "--image-dir", "nowhere", "--annotation-dir", "nowhere"),
        ("kpnet", "train", "--data-root", "nowhere"),
        ("gauge", "predict", "{data}/train/images", "--checkpoint", "nowhere.pt", "--out", "{out}"),
        ("gauge", "evaluate", "--data", "{data}", "--checkpoint", "nowhere.pt", "--out", "{out}"),
        ("gauge", "export", "--checkpoint", "nowhere.pt", "--out", "{out}.onnx"),
        ("info", "nowhere.pt"),
    ],
    ids=" ".join,
)
def test_what_is_wrong_is_said_before_torch_is_imported(
    checkpoint: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Importing it takes seconds, and neither paths nor names need it."""
    places = {"data": checkpoint.parents[1] / "data", "out": tmp_path / "out"}
    done = run_without([], *(word.format(**places) for word in words))
    assert done.returncode == 2 and done.stdout.endswith("imported: False\n"), done.stderr


def test_a_backbone_of_timm_names_timm_where_it_is_not_installed(tmp_path: Path) -> None:
    """kpnet's own backbone was called unknown there."""
    done = run_without(["torch", "timm"], "kpnet", "train", "--data-root", tmp_path, "--out-dir", tmp_path / "run")
    assert "the backbone 'convnext_tiny' needs timm, which is not installed; pip install" in done.stderr
    typed = run_without(["torch", "timm"], "kpnet", "train", "--data-root", tmp_path, "--backbone", "smal")
    assert "unknown backbone 'smal'; did you mean small?" in typed.stderr


def test_a_device_of_torch_is_refused_in_python_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A `ModuleNotFoundError` came out of `kaname.load`."""
    import kaname

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match="--device cuda needs torch, which is not installed; pip install"):
        kaname.load("gauge", device="cuda")


def test_the_samples_of_roimask_name_onnx_before_anything_is_rendered(tmp_path: Path) -> None:
    """It was missed after the last picture."""
    done = run_without(["onnx"], "roimask", "sample", "--out", tmp_path / "x", "--count", 100000)
    assert done.returncode == 2 and "the extractor beside the images needs onnx, which is not installed" in done.stderr


def test_from_a_folder_of_sources_the_line_names_all_that_belongs_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """There was one of ten at a time."""

    def unknown(_: str) -> list[str]:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "requires", unknown)
    assert extras.install_line("torch").startswith('pip install "torch" "torchvision" "lightning-fabric" ')
    assert extras.install_line("pandas") == 'pip install "pandas"'
