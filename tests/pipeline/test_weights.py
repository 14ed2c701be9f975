"""The folder of a run stands for its best weights."""

from __future__ import annotations

from pathlib import Path

import pytest

import calling
from kaname.errors import InputError
from kaname.pipeline.flags import TrainFlags, run_options
from kaname.pipeline.weights import last_file, start_for, weights_in
from kaname.recipes import recipe_of
from kaname.training.settings import TrainSettings

BEST = Path("gauge/model.pt")


def test_the_best_else_the_last(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "last.pt").touch()
    assert weights_in(run) == run / "last.pt"
    for name in ("best.pt", "model.pt", "best_model.pth"):
        (run / name).touch()
        assert weights_in(run) == run / name
        (run / name).unlink()
    assert weights_in(tmp_path / "none.pt") == tmp_path / "none.pt"  # whoever opens it says what is wrong


def test_the_best_by_the_name_of_another_recipe(tmp_path: Path) -> None:
    (tmp_path / "model.pt").touch()
    with pytest.warns(UserWarning, match=r"best\.pt is not there: model\.pt beside it is taken"):
        assert weights_in(tmp_path / "best.pt") == tmp_path / "model.pt"
    assert weights_in(tmp_path / "other.pt") == tmp_path / "other.pt"


def test_what_is_not_clear_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name a checkpoint or the folder of a run"):
        weights_in(tmp_path)
    (tmp_path / "runs_1").mkdir()
    (tmp_path / "runs_1" / "model.pt").touch()
    with pytest.raises(InputError, match=r"did you mean .*runs_1\?"):
        weights_in(tmp_path)
    for name in ("best.pt", "model.pt"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"the folder holds best\.pt and model\.pt; name the file"):
        weights_in(tmp_path)


@pytest.mark.parametrize("flag", ["--checkpoint", "--ckpt", "--weights", "--model-path"])
def test_on_the_command_line(tmp_path: Path, flag: str) -> None:
    """The folder's file is opened (and is no checkpoint); an empty folder is refused in a line."""
    words = ("gauge", "evaluate", flag, tmp_path)
    (tmp_path / "runs_1").mkdir()
    (tmp_path / "runs_1" / "model.pt").touch()
    calling.call(*words).refused(str(tmp_path), f"did you mean {tmp_path / 'runs_1'}?")
    (tmp_path / "model.pt").write_bytes(b"nothing")
    calling.call(*words).refused("model.pt")
    calling.call("info", tmp_path).refused("model.pt")


def test_a_run_to_start_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--init`` takes the best of a run's folder, ``--resume`` its last state."""
    run = Path("gauge")  # the name of a shipped model as well
    monkeypatch.chdir(tmp_path)
    run.mkdir()
    assert start_for("gauge", run) is not None  # an empty folder is no run
    for name in ("model.pt", "last.pt"):
        (run / name).touch()
    assert start_for("gauge", run) is None
    out = Path("other")
    assert run_options(recipe_of("gauge"), TrainFlags(out_dir=out, init=run), TrainSettings(), out).init == BEST
    for words in ("gauge", "gauge/last.pt"):
        flags = TrainFlags(resume=words)
        options = run_options(recipe_of("gauge"), flags, TrainSettings(), out)
        assert (options.resume, options.out_dir) == ("gauge/last.pt", run)
    assert last_file("auto") == "auto"
    assert last_file(None) is None
