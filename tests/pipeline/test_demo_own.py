"""The commands that a demo's page names for the user's own data are right, and need no download."""

from __future__ import annotations

import importlib
import shlex
from pathlib import Path

import pytest
import yaml

from calling import call
from kaname import zoo
from kaname.recipes import RECIPES, recipe_of

CASES = [(name, warm) for name in sorted(RECIPES) for warm in (False, True)]


@pytest.mark.parametrize(("name", "warm"), CASES)
def test_commands_for_the_own_data_download_nothing(
    name: str, warm: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_match").mkdir()
    recipe = recipe_of(name)
    demo = importlib.import_module(f"{RECIPES[name]}.demo").DEMO
    if warm and ((demo := demo.tuned) is None or zoo.of_recipe(name) is None):
        pytest.skip("no model is shipped")
    commands = [shlex.split(line) for line in demo.own.splitlines()]
    assert all(words[:2] == ["kaname", name] and words[2] in recipe.verbs for words in commands)
    assert "crawl" not in {words[2] for words in commands}
    (train,) = (words for words in commands if words[2] == "train")
    config = yaml.safe_load(call(*train[1:], "--print-config").done().out)
    if warm:
        assert train[train.index("--init") + 1] == zoo.OWN and not config["model"]["pretrained"]
    elif name == "roimask":  # features come from a file of the user's own
        assert config["extractor"]["path"].endswith(".onnx") and not config["extractor"]["backbone"]
    else:
        model = config["model"]
        assert str(model.get("backbone") or model["pretrained_model_name"]).split(":")[0] == "small"
    (predict,) = (words for words in commands if words[2] == "predict")
    out = train[train.index("--out-dir") + 1]
    assert predict[predict.index("--checkpoint") + 1] == f"{out}/{recipe.best_name}"
    known = call(*predict[1:3], "--help").done().out
    assert all(word in known for word in predict if word.startswith("--"))
