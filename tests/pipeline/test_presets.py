"""What a choice of network brings along, what wins over it, and what is said of networks before torch is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from calling import call
from kaname import config as configuration
from kaname.config import packaged
from kaname.pipeline import presets
from kaname.pipeline.presets import FAMILIES, Asked, resolve
from kaname.recipes import RECIPES, recipe_of
from recipes.gauge.dials import write_data

CHOOSING = {
    "gauge": [("--backbone", "small")],
    "landmark": [("--backbone", "small")],
    "kpnet": [("--backbone", "small")],
    "tracknet": [("--backbone", "small"), ("--model", "small_unet"), ("model.backbone=small",)],
}
SMALL = [(name, words) for name, ways in CHOOSING.items() for words in [*ways, ("--config", "small")]]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def printed(recipe: str, *words: object) -> dict[str, Any]:
    return yaml.safe_load(call(recipe, "train", *words, "--print-config").done().out)


def sources(recipe: str, *words: object) -> dict[str, str]:
    """Each line of the printed configuration, without its value, to where it came from."""
    lines = call(recipe, "train", *words, "--print-config").done().out.splitlines()
    return {line.split(":")[0].strip(): line.split("  # ")[1] for line in lines if "  # " in line}


@pytest.mark.parametrize(("recipe", "words"), SMALL, ids=lambda value: value if isinstance(value, str) else value[-1])
def test_a_choice_of_network_brings_its_preset(recipe: str, words: tuple[str, ...]) -> None:
    """Every way of choosing it gives the preset's values, and the defaults where it has none."""
    schema, loop = recipe_of(recipe).schema.value, recipe_of(recipe).loop
    (path,) = (path for path in packaged(recipe) if path.stem == "small")
    expected = configuration.to_dict(configuration.load(schema, file=path))
    found = printed(recipe, *words)
    assert found == yaml.safe_load(configuration.to_yaml(configuration.from_dict(schema, expected)))
    plain = printed(recipe)[loop]
    assert found[loop]["lr"] >= 3e-3 > plain["lr"] and found[loop]["ema"] > 0 and found[loop]["clip"] == 1


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_packaged_configuration_is_a_name(recipe: str) -> None:
    assert packaged(recipe) or recipe == "dots"
    for path in packaged(recipe):
        assert printed(recipe, "--config", path.stem) == printed(recipe, "--config", path), path


@pytest.mark.parametrize("recipe", CHOOSING)
def test_a_width_changes_no_rates(recipe: str) -> None:
    plain, wide = (printed(recipe, "--backbone", name) for name in ("small", "small:32"))
    key = "pretrained_model_name" if recipe == "tracknet" else "backbone"
    assert wide["model"].pop(key) == "small:32" and plain["model"].pop(key) == "small" and wide == plain


def test_whatever_is_given_wins_and_is_told(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("model: {backbone: small}\ntrain:\n  ema: 0.9\n  lr: 1.0e-2\n  epochs: 7\n", encoding="utf-8")
    words = ("--config", file, "--epochs", 9, "train.batch_size=3")
    found, told = printed("gauge", *words), sources("gauge", *words)
    assert (found["train"]["ema"], found["train"]["lr"], found["train"]["epochs"]) == (0.9, 1e-2, 9)
    assert found["train"]["batch_size"] == 3 and found["size"] == 224 and found["train"]["optimizer"] == "adamw"
    assert (told["ema"], told["lr"]) == (file.as_posix(), file.as_posix())
    assert (told["epochs"], told["batch_size"]) == ("flag", "key=value")
    assert (told["size"], told["optimizer"], told["sigma"]) == ("preset small", "preset small", "default")
    assert set(sources("gauge").values()) == {"default"}


@pytest.mark.parametrize("recipe", ["gauge", "landmark", "tracknet"])
def test_a_start_from_a_shipped_model_brings_its_preset(recipe: str) -> None:
    found, told = printed(recipe, "--init", "zoo", "--epochs", 3), sources(recipe, "--init", "zoo", "--epochs", 3)
    loop, network = recipe_of(recipe).loop, presets.network_key(recipe_of(recipe).schema.value).split(".")[-1]
    assert (told["epochs"], told["lr"], told[network]) == ("flag", "preset zoo", f"zoo {recipe}")
    assert found[loop]["lr"] < printed(recipe, "--backbone", "small")[loop]["lr"]
    assert sources(recipe, "--init", "zoo", "--config", "small")["lr"] == "preset small"


@pytest.mark.parametrize("recipe", ["gauge", "landmark"])
def test_a_start_from_a_shipped_model_holds_the_statistics(recipe: str) -> None:
    assert sources(recipe, "--init", "zoo")["norm"] == "preset zoo"
    assert printed(recipe, "--init", "zoo")["model"]["norm"] == "held" != printed(recipe)["model"]["norm"]


def test_windows_of_a_start_from_a_shipped_model_are_cut_as_in_its_own_training() -> None:
    found, told = printed("tracknet", "--init", "zoo"), sources("tracknet", "--init", "zoo")
    assert (told["crop"], told["stride"]) == ("preset zoo", "preset small")
    assert found["data"]["crop"] == 0.7 and found["data"]["sequence"] == {"length": 3, "stride": 2}


def test_the_heads_activation_is_that_of_the_weights() -> None:
    assert (printed("landmark")["loss"], printed("landmark", "--init", "zoo")["loss"]) == ("mse", "bce")
    assert sources("landmark", "--init", "zoo")["loss"] == "zoo landmark"
    call("landmark", "train", "--init", "zoo", "loss=mse").refused("loss is 'mse'", "need 'bce'")


def test_a_stored_configuration_is_left_as_it_is(tmp_path: Path) -> None:
    """Even one of an earlier version, whose values were other ones."""
    schema = recipe_of("gauge").schema.value
    stored = configuration.load(schema, overrides=["model.backbone=small:8", "train.lr=3e-4", "size=448"])
    (tmp_path / "config.yaml").write_text(configuration.to_yaml(stored), encoding="utf-8")
    assert resolve(schema, "gauge", Asked(tmp_path / "config.yaml")).config == stored


def test_groups_of_tracknet(tmp_path: Path) -> None:
    """A section that was asked for wins over the preset; what merely counts where nothing is said does not."""
    (tmp_path / "games").mkdir()
    for data in ("tracknet", tmp_path / "games"):
        found = printed("tracknet", "--data", data, "--model", "small_unet")
        assert found["data"]["sequence"] == {"length": 3, "stride": 2} and found["training"]["lr"] == 4e-3
    assert printed("tracknet", "--model", "small_unet", "--training", "default")["training"]["lr"] == 5e-4
    (tmp_path / "data.yaml").write_text("sequence: {length: 5}\n", encoding="utf-8")
    found = printed("tracknet", "--data", "data.yaml", "--model", "small_unet")
    assert found["data"]["sequence"] == {"length": 5, "stride": 2}
    assert sources("tracknet", "--data", "data.yaml", "--model", "small_unet")["length"] == "data.yaml"


@pytest.mark.parametrize(
    ("recipe", "words", "size"),
    [
        ("tracknet", ("data.resize=[320,192]",), [160, 96]),
        ("tracknet", ("data.resize=[320,192]", "--model", "small_unet"), [160, 96]),
        ("tracknet", ("data.resize=[320,192]", "model.heatmap.size=[320,192]"), [320, 192]),
        ("tracknet", (), [256, 144]),
        ("kpnet", ("--backbone", "small", "--image-size", "384"), "192,192"),
        ("kpnet", ("--backbone", "small", "--image-size", "96x160"), "48,80"),
        ("kpnet", ("--backbone", "small", "--image-size", "384", "--heatmap-size", "96"), "96,96"),
        ("kpnet", ("--image-size", "512"), None),
    ],
)
def test_the_heatmaps_size_follows(recipe: str, words: tuple[str, ...], size: object) -> None:
    found = printed(recipe, *words)
    assert (found["model"]["heatmap"]["size"] if recipe == "tracknet" else found["heatmap_size"]) == size


def test_what_follows_is_told() -> None:
    assert sources("tracknet", "data.resize=[320,192]")["size"] == "follows data.resize"


def test_the_keys_of_networks() -> None:
    keys = {name: presets.network_key(recipe_of(name).schema.value) for name in RECIPES}
    assert keys.pop("tracknet") == "model.pretrained_model_name" and keys.pop("roimask") == ""
    assert set(keys.values()) == {"model.backbone"} and set(CHOOSING) == {*keys, "tracknet"}
    assert all(family in {path.stem for path in packaged(name)} for name in CHOOSING for family in FAMILIES)


@pytest.mark.parametrize("recipe", CHOOSING)
def test_networks_that_cannot_be(recipe: str) -> None:
    call(recipe, "train", "--backbone", "small", "--pretrained").refused("small has no pretrained weights")
    call(recipe, "train", "--backbone", "smal").refused("unknown backbone 'smal'", "did you mean small")
    call(recipe, "train", "--backbone", "timm:convnext_atoto").refused("timm:convnext_atto")
    call(recipe, "train", "--config", "smal").refused(f"nor a preset of {recipe}", "did you mean small?")


def test_random_weights_of_a_large_network_are_told(tmp_path: Path) -> None:
    said = call("gauge", "train", "--no-pretrained", "--data", tmp_path / "nowhere")
    assert said.code == 2 and "facebook/dinov2-small starts from random weights" in said.err
    assert "`--config small`" in said.err and "nowhere" in said.err
    for words in (("--backbone", "small", "--no-pretrained"), ("--backbone", "small"), ()):
        call("gauge", "train", *words, "--data", tmp_path / "nowhere").refused("nowhere")


def test_what_is_wrong_is_said_before_torch() -> None:
    """Names, sizes, files: none of these waits for an import of seconds."""
    lines = [
        ["gauge", "train", "--backbone", "smal"],
        ["gauge", "train", "--backbone", "small", "--size", "225"],
        ["gauge", "train", "--size", "450"],
        ["tracknet", "train", "--backbone", "small", "data.resize=[500,288]"],
        ["kpnet", "train", "--backbone", "timm:nothing"],
        ["landmark", "train", "--backbone", "none/at/all"],
        ["roimask", "train", "--extractor", "none.onnx"],
        ["roimask", "train", "--extractor", "timm:nothing"],
        ["landmark", "train", "--init", "none.pt"],
        ["gauge", "train", "--resume", "none.pt"],
        ["landmark", "train", "--checkpoint", "none.pth"],
    ]
    program = (
        "import sys\nfrom kaname import cli\n"
        f"for words in {lines!r}:\n"
        "    try:\n        cli.main(words)\n"
        "    except SystemExit as error:\n        assert error.code == 2, words\n"
        "    assert not {'torch', 'timm', 'transformers'} & set(sys.modules), words\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(said) == len(lines), done.stderr
    for words, line in zip(lines, said, strict=True):
        wrong = words[-1].partition("=")[2].strip("[").partition(",")[0] or words[-1].removeprefix("timm:")
        assert wrong in line, (words, line)


def test_weights_out_of_reach_are_refused_before_torch_is_imported(tmp_path: Path) -> None:
    """A new run alone asks for them: what goes on from a checkpoint has its weights."""
    write_data(tmp_path / "data")
    program = (
        "import sys\nfrom kaname import cli\n"
        "try:\n    cli.main(sys.argv[1:])\n"
        "except SystemExit as error:\n    assert error.code == 2\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    words = ["gauge", "train", "--data", str(tmp_path / "data"), "--backbone", "someone/unheard-of"]
    cache = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", program, *words, "--out-dir", str(tmp_path / "run")],
        capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **cache},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "someone/unheard-of is not in the local cache and HF_HUB_OFFLINE is set" in done.stderr
    assert "--config small" in done.stderr and not (tmp_path / "run").exists()
