"""The catalogue of shipped models: none, some, and damaged ones; it opens nothing heavy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import calling
from kaname import zoo
from kaname.errors import InputError
from zoo_facts import FACTS, model


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "zoo"
    place.mkdir()
    monkeypatch.setenv(zoo.VARIABLE, str(place))
    return place


def test_the_package_itself_may_be_without_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(zoo.VARIABLE, raising=False)
    for name, shipped in zoo.shipped().items():
        assert shipped.recipe and max(shipped.facts["bytes"].values()) <= zoo.LIMIT, name


def test_without_models_everything_says_so(folder: Path) -> None:
    assert zoo.shipped() == {} and zoo.of_recipe("gauge") is None
    assert "no models are shipped" in calling.call("models").done().out
    calling.call("models", "gauge").refused("no shipped model 'gauge'", "no models are shipped with this version")
    assert calling.call("models", "--json").done().out == "{}\n"


def test_models_are_listed_with_what_is_known_of_them(folder: Path) -> None:
    model(folder, "ball", recipe="tracknet", frames=3)
    model(folder, "gauge")
    out = calling.call("models").done().out
    assert out.index("ball\n") < out.index("gauge\n")
    for part in ("192 x 256, 3 frames at once", "3,065,157 parameters; gauge.pt 6.5 MB", "rendered dials", "Apache-2.0",
                 "dials (16): F1 0.912 (0.84 .. 0.95), distance -"):  # fmt: skip
        assert part in out, out
    assert "0123abc" not in out
    whole = calling.call("models", "gauge").done().out
    assert "0123abc" in whole and "1% 0.2, 5% 0.3, 50% 0.6" in whole and "ball" not in whole
    known = json.loads(calling.call("models", "--json").done().out)
    assert known["ball"]["frames"] == 3 and known["gauge"]["files"][0].endswith("gauge.pt")
    assert json.loads(calling.call("models", "gauge", "--json").done().out)["figures"] == FACTS["figures"]
    calling.call("models", "guage").refused("no shipped model 'guage'", "shipped are ball, gauge")


def test_the_model_of_a_recipe_is_that_of_its_name(folder: Path) -> None:
    model(folder, "dials")
    assert (found := zoo.of_recipe("gauge")) is not None and found.name == "dials"
    model(folder, "gauge")
    assert (found := zoo.of_recipe("gauge")) is not None and found.name == "gauge"
    assert zoo.of_recipe("landmark") is None
    assert (found := zoo.beside(folder / "dials.onnx")) is not None and found.checkpoint == folder / "dials.pt"
    assert zoo.beside(folder.parent / "dials.onnx") is None


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        json.dumps({**FACTS, "version": 99}),
        json.dumps({}),
        json.dumps({name: value for name, value in FACTS.items() if name != "bytes"}),
    ],
)
def test_facts_that_are_damaged(folder: Path, text: str) -> None:
    model(folder, "gauge")
    (folder / "gauge.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="facts") as caught:
        zoo.shipped()
    assert caught.value.path == str(folder / "gauge.json") and caught.value.remedy


def test_a_file_that_is_missing(folder: Path) -> None:
    model(folder, "gauge")
    (folder / "gauge.onnx").unlink()
    with pytest.raises(InputError, match="missing") as caught:
        zoo.find("gauge")
    assert caught.value.path == str(folder / "gauge.onnx")


def test_the_list_opens_nothing_heavy_and_answers_at_once(folder: Path) -> None:
    model(folder, "gauge")
    program = (
        "import sys\nfrom kaname.cli import main\n"
        "try:\n    main(['models'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'numpy', 'onnx', 'onnxruntime', 'torch', 'cv2', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    before = os.times()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    assert done.stdout.startswith("gauge\n") and seconds < 0.5
