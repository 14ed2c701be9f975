"""Shipped models at work: their names wherever a model is taken, predictions without a word about one, warm starts.

Three tiny models are packed once; that of dials has learnt a little, so that pictures can be unlike what it knows.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

import calling
import kaname
import shipping
from kaname import zoo
from kaname.data.formats.points import read_head
from kaname.errors import InputError
from kaname.inference import checkpoint_card
from kaname.samples import gauge, landmark, tracknet

TRAIN = (
    "--epochs", 25, "--batch-size", 4, "--lr", "1e-2", "--num-workers", 0, "--device", "cpu", "--precision", "fp32"
)  # fmt: skip
ONCE = ("--epochs", 1, "--limit", 4, "--batch-size", 2, "--num-workers", 0, "--device", "cpu", "--precision", "fp32")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``zoo`` with three models, ``dials``, ``clips`` and ``faces`` to use them on."""
    root = tmp_path_factory.mktemp("shipped")
    gauge.write(root / "dials", 64, 3, size=96, variety="plain", processes=1)
    words = ("size=64", "model.backbone=small:8", "train.ema=0", "augment.probability=0", "needle=true")
    run = root / "run"
    calling.call("gauge", "train", "--data", root / "dials", "--out-dir", run, *TRAIN, *words).done()
    shipping.ship(run / "model.pt", "gauge", root / "zoo", count=40)
    for name in ("tracknet", "landmark"):
        shipping.ship(shipping.untrained(name, root / f"{name}.pt"), name, root / "zoo")
    tracknet.write(root / "clips", 3, 8, size=(64, 96), clip_length=6, games=3)
    landmark.write(root / "faces", count=4, seed=8, size=96)
    return root


@pytest.fixture(autouse=True)
def used(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(zoo.VARIABLE, str(place / "zoo"))
    monkeypatch.chdir(tmp_path)
    yield
    assert sorted(path.suffix for path in (place / "zoo").iterdir()) == sorted([".json", ".onnx", ".pt"] * 3)


def photograph(place: Path) -> Path:
    return sorted((place / "dials" / "val" / "images").iterdir())[0]


def test_a_photograph_is_answered_without_a_word_about_a_model(place: Path) -> None:
    done = calling.call("gauge", "predict", photograph(place), "--out", "out").done()
    said = "the shipped model gauge answers (no --checkpoint): F1 0.912 (0.84 .. 0.95) on dials"
    assert done.err.splitlines() == [said]
    assert read_head(Path("out/points.json"))["model"].startswith("small:8")
    again = calling.call("gauge", "predict", photograph(place), "--out", "out", "--checkpoint", "gauge").done()
    assert again.err == ""
    calling.call("tracknet", "predict", place / "clips" / "game1" / "Clip1", "--out", "ball").done()
    assert Path("ball/ball.csv").is_file()
    calling.call("landmark", "predict", place / "faces" / "images", "--out", "faces").done()
    assert Path("faces/points.json").is_file()


def test_a_recipe_without_a_shipped_model_needs_one_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("roimask", "kpnet"):
        calling.call(name, "predict", "--out", "out").refused("--checkpoint")
    monkeypatch.setenv(zoo.VARIABLE, str(Path("nothing").absolute()))
    line = calling.call("gauge", "predict", photograph(place), "--out", "out").refused("--checkpoint is missing")
    assert "no models are shipped" in line and not Path("out").exists()


def test_predicting_from_process_start_imports_no_torch(place: Path) -> None:
    program = (
        "import sys\nfrom kaname.cli import main\n"
        f"try:\n    main(['gauge', 'predict', {str(photograph(place))!r}, '--out', 'out'])\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "names = {name.split('.')[0] for name in sys.modules}\n"
        "heavy = {'torch', 'lightning_fabric', 'transformers', 'timm', 'onnx', 'matplotlib'} & names\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "the shipped model gauge answers" in done.stderr


def test_names_are_taken_wherever_a_model_is(place: Path) -> None:
    assert "gauge.pt" in calling.call("info", "gauge").done().out
    out = calling.call("gauge", "evaluate", "--checkpoint", "gauge", "--data", place / "dials").done().out
    assert "evaluation/gauge-dials" in out and Path("evaluation/gauge-dials/val/metrics.json").is_file()
    images = place / "dials" / "val" / "images"
    calling.call(
        "gauge", "export", "--model-path", "gauge", "--images", images, "--count", 2, "--out", "my.onnx"
    ).done()
    assert kaname.load("my.onnx").card["recipe"] == "gauge"
    assert "chosen" in calling.call("bench", "gauge", "--images", images, "--count", 1, "--repeats", 1).done().out


def test_in_python(place: Path) -> None:
    model = kaname.load("gauge")
    # the export, by whatever was the fastest where it was measured
    assert type(model.runner).__name__ != "TorchRunner" and model.card["zoo"]["name"] == "gauge"
    assert type(kaname.load("gauge", runtime="torch").runner).__name__ == "TorchRunner"
    assert kaname.load("tracknet").frames == 3
    for name in ("nonsense", "guage"):
        with pytest.raises(InputError, match="no shipped model of this name") as caught:
            kaname.load(name)
        assert caught.value.remedy == "shipped are gauge, landmark, tracknet"


def test_a_file_or_a_run_of_that_name_wins(place: Path) -> None:
    shutil.copytree(place / "dials", "gauge")  # data of that name are no model
    assert kaname.load("gauge").card["zoo"]["name"] == "gauge"
    shutil.copy(place / "run" / "model.pt", "gauge/model.pt")
    assert "zoo" not in kaname.load("gauge").card


def test_pictures_of_another_kind_are_noticed(place: Path) -> None:
    images = sorted((place / "dials" / "val" / "images").iterdir())
    for name in ("same", "other"):
        Path(name).mkdir()
    for path in images:
        shutil.copy(path, "same")
        dark = cv2.GaussianBlur(cv2.imread(str(path)), (0, 0), 9) // 4
        cv2.imwrite(f"other/{path.name}", dark)
    assert "unlike" not in calling.call("gauge", "predict", "same", "--out", "out1").done().err
    err = calling.call("gauge", "predict", "other", "--out", "out2").done().err
    lines = [line for line in err.splitlines() if "unlike" in line]
    assert len(lines) == 1 and lines[0].startswith("warning: ") and "kaname gauge train --init zoo" in lines[0]
    assert "unlike" not in calling.call("gauge", "predict", images[0], "--out", "out3").done().err
    own = calling.call("gauge", "predict", "other", "--checkpoint", place / "run", "--out", "out4").done()
    assert "unlike" not in own.err  # it knows no reference


def test_a_training_starts_from_the_shipped_model(place: Path) -> None:
    done = calling.call("gauge", "train", "--data", place / "dials", "--init", "zoo", "--out-dir", "run", *ONCE).done()
    assert re.search(r"weights of the shipped model gauge \(epoch \d+; nothing\)", done.out + done.err)
    assert "left out of them: the head needle" in done.out + done.err
    card = checkpoint_card.read(Path("run/model.pt")).card
    assert card["init"] == "the shipped model gauge" and card["config"]["size"] == 64 and "zoo" not in card
    assert "tuned from the shipped model gauge" in calling.call("info", "run").done().out
    resumed = ("--epochs", 2, "--limit", 4, "--batch-size", 2, "--num-workers", 0, "--resume", "--precision", "fp32")
    calling.call("gauge", "train", "--config", "run/config.yaml", "--out-dir", "run", *resumed).done()
    assert checkpoint_card.read(Path("run/last.pt")).card["init"] == "the shipped model gauge"


def test_resume_begins_from_the_shipped_model_where_there_is_nothing_yet(place: Path) -> None:
    words = ("--data", place / "dials", "--init", "gauge", "--resume", "--out-dir", "run", *ONCE)
    first = calling.call("gauge", "train", *words).done()
    assert "nothing to resume" in first.out + first.err and "weights of the shipped model" in first.out + first.err
    again = calling.call("gauge", "train", *words).done()
    assert "this run is finished" in again.out + again.err
    file = place / "run" / "model.pt"
    calling.call("gauge", "train", *words[:2], "--init", file, "--resume").refused("cannot be combined")


def test_settings_come_from_the_model_unless_they_are_asked_for(place: Path) -> None:
    out = calling.call("gauge", "train", "--init", "zoo", "--print-config", "--size", 96, "train.epochs=3").done().out
    rows = {row.split(":")[0].strip(): row.rpartition("#")[2].strip() for row in out.splitlines()}
    assert rows["backbone"] == rows["pretrained"] == rows["decoder"] == "zoo gauge"
    assert rows["size"] == "flag" and rows["epochs"] == "key=value" and rows["lr"] == rows["norm"] == "preset zoo"
    done = calling.call("gauge", "train", "--data", place / "dials", "--init", "zoo", "--size", 96, "--dry-run", *ONCE)
    assert "weights of the shipped model" in done.done().out + done.err
    out = calling.call("tracknet", "train", "--init", "zoo", "--print-config").done().out
    assert out.count("# zoo tracknet") >= 6 and "small:8" in out


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--init", "zoo", "--backbone", "small:16"], ["small:16", "need 'small:8'"]),
        (["--init", "zoo", "--decoder", "fpn"], ["fpn", "need 'linear'"]),
        (["--init", "landmark"], ["a model of landmark, not of gauge"]),
        (["--init", "nothing"], ["neither a checkpoint nor a shipped model", "shipped are gauge, landmark, tracknet"]),
    ],
)
def test_a_start_that_cannot_fit_is_refused_at_once(place: Path, words: list[str], parts: list[str]) -> None:
    calling.call("gauge", "train", "--data", place / "dials", *words).refused(*parts)


@pytest.mark.parametrize("recipe", ["tracknet", "landmark"])
def test_other_recipes_start_from_theirs_too(place: Path, recipe: str) -> None:
    faces = ("--image-dir", place / "faces" / "images", "--annotation-dir", place / "faces" / "annotated")
    data = ("--data", place / "clips") if recipe == "tracknet" else faces
    done = calling.call(recipe, "train", *data, "--init", "zoo", "--out-dir", "run", *ONCE).done()
    assert f"weights of the shipped model {recipe}" in done.out + done.err
    assert checkpoint_card.read(Path("run/last.pt")).card["init"] == f"the shipped model {recipe}"
    assert "random weights" not in Path("run/report.html").read_text(encoding="utf-8")
    calling.call("roimask", "train", "--init", "zoo").refused("no model of roimask is shipped")


def test_facts_are_json(place: Path) -> None:
    known = json.loads(calling.call("models", "--json").done().out)
    assert set(known) == {"gauge", "landmark", "tracknet"} and known["tracknet"]["frames"] == 3
