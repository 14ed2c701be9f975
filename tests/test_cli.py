"""The command line: help without heavy imports, one line for what is wrong, exit codes."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kaname import __version__, cli
from kaname.config import merged
from kaname.errors import InputError
from kaname.pipeline.flags import TrainFlags, default_run_folder, normalize_words, run_options, split_sources
from kaname.recipes import RECIPES, recipe_of, target_of
from kaname.training.settings import TrainSettings
from kaname.training.signals import Interrupted
from kaname.yaml12 import parse_yaml

HEAVY = {
    "torch",
    "torchvision",
    "transformers",
    "timm",
    "sklearn",
    "lightning_fabric",
    "tensorboard",
    "onnxruntime",
    "av",
}
SLOW = {"rich", "cv2", "yaml", "numpy", "scipy", "PIL", "matplotlib", "jinja2"}
HELP = [
    ["--help"], ["-h"], [], ["--version"], ["gauge", "--help"], ["gauge"],
    *[[name, verb, "--help"] for name in RECIPES for verb in recipe_of(name).verbs],
    *[[name, "--help"] for name in cli.COMMANDS],
]  # fmt: skip


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command in this process."""
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    captured = capsys.readouterr()
    return int(caught.value.code or 0), captured.out, captured.err


@pytest.mark.parametrize("torch", [False, True])
def test_a_process_ends_without_a_search_for_cycles(torch: bool) -> None:
    """What is left goes back with the process; where torch is, its compiler's libraries count what is not collected."""
    program = (
        "import atexit, gc, sys\n"
        "from kaname.cli import main\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 0))\n"  # called last
        f"sys.modules |= {{'torch': sys}} if {torch} else {{}}\n"
        "main(['--version'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == str(not torch)


def test_threads_that_wait_do_not_spin() -> None:
    """Those of NumPy's OpenBLAS would spin from its import on; whoever states something else is heeded."""
    program = "import os\nfrom kaname.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass\n"
    program += "print(os.environ['OPENBLAS_THREAD_TIMEOUT'], os.environ['OMP_WAIT_POLICY'])"
    for stated, seen in (({}, "4 PASSIVE"), ({"OPENBLAS_THREAD_TIMEOUT": "20"}, "20 PASSIVE")):
        plain = {
            name: value
            for name, value in os.environ.items()
            if name not in ("OPENBLAS_THREAD_TIMEOUT", "OMP_WAIT_POLICY")
        }
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=plain | stated
        )
        assert done.stdout.splitlines()[-1] == seen


def test_help_imports_nothing_heavy() -> None:
    """Every help in one process: what it has imported at the end, none of them needed."""
    program = (
        "import contextlib, io, json, sys\nfrom kaname import cli\n"
        f"for words in {HELP!r}:\n"
        "    out = io.StringIO()\n"
        "    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):\n        cli.main(words)\n"
        "    assert out.getvalue(), words\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert not (HEAVY | SLOW) & set(json.loads(done.stdout))


def test_the_commands_of_the_shell() -> None:
    for command in ([str(Path(sys.executable).with_name("kaname"))], [sys.executable, "-m", "kaname"]):
        if command[0].endswith("kaname") and not Path(command[0]).is_file():
            continue
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout == f"kaname {__version__}\n"
        done = subprocess.run([*command, "gauge", "tarin"], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 2 and not done.stdout
        assert done.stderr == "error: unknown verb 'tarin' of gauge; did you mean train?\n"


def test_every_command_and_verb_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = run(["--help"], capsys)
    assert code == 0 and all(name in text for name in (*cli.COMMANDS, *RECIPES))
    code, text, _ = run(["gauge", "train", "--help"], capsys)
    for flag in (
        "--device", "--devices", "--print-config", "--save-every", "--precision", "--batch-size", "--accumulate",
        "--epochs",
        "--lr", "--learning-rate", "--weight-decay", "--seed", "--num-workers", "--out-dir", "--out", "--output-dir",
        "--resume", "--init", "--early-stop", "--ema", "--limit", "--dry-run", "--config", "--pretrained",
        "--no-pretrained", "--backbone", "--traceback",
    ):  # fmt: skip
        assert flag in text, flag


def test_a_recipe_of_another_package(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its package lies anywhere; its verbs are its own functions, or somebody else's."""
    package = tmp_path / "elsewhere_dots"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from types import SimpleNamespace\n"
        "verbs = {'count': ('count', 'Count.'), 'more': ('verbs:more', 'More.'),"
        " 'doctor': ('kaname.apps.doctor:doctor', 'Doctor.')}\n"
        "RECIPE = SimpleNamespace(name='dots', summary='Dots.', verbs=verbs, demo=None)\n"
    )
    (package / "commands.py").write_text("def count():\n    'Count.'\n    print('three')\n")
    (package / "verbs.py").write_text("def more():\n    'More.'\n    print('four')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(RECIPES, "dots", "elsewhere_dots")
    assert target_of("gauge", "train") == "kaname.recipes.gauge.commands:train"
    assert run(["dots", "count"], capsys) == (0, "three\n", "") and run(["dots", "more"], capsys) == (0, "four\n", "")
    assert "kaname" in run(["dots", "doctor"], capsys)[1]
    assert "Dots." in run(["--help"], capsys)[1] and "Usage: kaname dots more" in run(["dots", "more", "-h"], capsys)[1]
    assert "there is no demo of 'dots'" in run(["demo", "dots"], capsys)[2]


@pytest.mark.parametrize("words", [["--version"], ["-V"]])
def test_version(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words, capsys) == (0, f"kaname {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["gague"], "unknown command 'gague'; did you mean gauge?"),
        (["train"], "train belongs to a recipe; name it first: kaname gauge|tracknet|landmark|roimask|kpnet train"),
        (["crawl", "--tags", "x"], "name it first: kaname landmark crawl"),
        (["--verison"], "unknown command '--verison'"),
        (["gauge", "tain"], "unknown verb 'tain' of gauge; did you mean train?"),
        (["gauge", "--epochs", "3"], "unknown option '--epochs' of gauge"),
        (["gauge", "train", "--epoch", "3"], "unknown option: --epoch; did you mean --epochs; see `kaname"),
        (["gauge", "evaluate", "here", "there"], "nothing takes 'here', 'there'; see `kaname gauge evaluate --help`"),
        (["gauge", "train", "--epochs", "many"], "--epochs"),
        (["gauge", "train", "--device"], "--device"),
        (["gauge", "train", "epochs=3"], "unknown key 'epochs'; did you mean train.epochs"),
        (["gauge", "train", "train.epochz=3"], "train.epochs"),
        (["gauge", "train", "--epochs", "3", "train.epochs=4"], "given twice"),
        (["gauge", "train", "--precision", "fp8"], "fp8"),
        (["gauge", "train", "--config", "/none.yaml"], "/none.yaml: the configuration file does not exist"),
        (["info"], "FILE"),
        (["info", "/none.pt"], "/none.pt: the checkpoint does not exist"),
        (["info", "/none.onnx"], "/none.onnx: the model file does not exist"),
        (["demo", "gague"], "did you mean gauge?"),
        (["bench", "--repeats", "0"], "--repeats must be at least 1"),
        (["gauge", "predict", "x.jpg", "--ckpt", "x.pt", "--out", "o", "--runtime", "tpu"], "use auto, torch, onnx"),
        (["tracknet", "predict", "x.mp4", "--ckpt", "x.pt", "--out", "o", "--precision", "int8"], "bf16 or fp16"),
        (["convert", "--from", "cocoa", "--to", "coco", "--input", "a", "--output", "b"], "cocoa"),
    ],
)
def test_bad_usage_is_one_line(words: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(words, capsys)
    assert code == 2 and out == "" and err.startswith("error: ") and err.count("\n") == 1 and part in err, err
    assert "Traceback" not in err and ".; " not in err


@pytest.mark.parametrize(
    ("fault", "code", "text"),
    [
        (InputError("is bad", path="a.json", row=3, remedy="mend it"), 2, "error: a.json:3: is bad; mend it"),
        (InputError("two\nlines"), 2, "error: two lines"),
        (KeyError("x"), 1, "error: a bug in kaname: KeyError: 'x' (--traceback shows where)"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (Interrupted(2, "interrupted; state saved in last.pt"), 130, "interrupted; state saved in last.pt"),
        (Interrupted(15, "interrupted; state saved in last.pt"), 143, "interrupted; state saved in last.pt"),
        (SystemExit(2), 2, ""),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), 2, "error: /x/y: Permission denied; check path"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "error: a file: No space left on device"),
        (OSError("odd"), 1, "error: a bug in kaname: OSError: odd"),
    ],
)
def test_exit_codes(
    fault: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(words: Any) -> None:
        raise fault

    monkeypatch.setattr(cli, "run", broken)
    found, out, err = run(["x"], capsys)
    assert found == code and out == "" and err.startswith(text) and err.count("\n") == bool(text)


def test_traceback_shows_where(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(["info", "/none.pt", "--traceback"], capsys)
    assert code == 2 and "Traceback (most recent call last)" in err
    assert err.splitlines()[-1].startswith("error: /none.pt")


def test_a_reader_that_has_gone() -> None:
    """`kaname --help | head -1`: no complaint, no traceback."""
    command = [sys.executable, "-m", "kaname", "gauge", "train", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait(60) == 0


@pytest.mark.skipif(os.name != "posix", reason="needs a shell that closes streams")
@pytest.mark.parametrize("streams", [">&-", "<&- >&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(streams: str, tmp_path: Path) -> None:
    """As some services start programs; what is printed then goes nowhere, above all not into a file."""
    out = tmp_path / "faces"
    words = f'exec "{sys.executable}" -m kaname landmark sample --count 1 --out "{out}" {streams}'
    done = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert len(list((out / "images").iterdir())) == 1


def test_print_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["gauge", "train", "--learning_rate", "1e-2", "train.lr=0.01", "--ema", "--resume", "train.epochs=3",
             "--backbone", "1e3", "--no-pretrained", "--print-config"]  # fmt: skip
    code, text, _ = run(words, capsys)
    assert code == 0 and all(f"  {value} " in text for value in ("lr: 0.01", "ema: 0.999", "epochs: 3"))
    file = tmp_path / "run.yaml"
    file.write_text(text, encoding="utf-8")
    code, again, err = run(["gauge", "train", "--config", str(file), "--print-config"], capsys)
    assert (code, parse_yaml(again), err) == (0, parse_yaml(text), "")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--learning_rate", "1"], ["--learning-rate", "1"]),
        (["--learning_rate=a_b"], ["--learning-rate=a_b"]),
        (["--resume"], ["--resume=auto"]),
        (["--resume", "train.lr=1"], ["--resume=auto", "train.lr=1"]),
        (["--resume", "--epochs", "3"], ["--resume=auto", "--epochs", "3"]),
        (["--resume", "a_b/last.pt"], ["--resume", "a_b/last.pt"]),
        (["--resume=a.pt", "x=1"], ["--resume=a.pt", "x=1"]),
        (["--ema", "0.9"], ["--ema", "0.9"]),
        (["--ema", "train.lr=1"], ["--ema=0.999", "train.lr=1"]),
        (["--ema"], ["--ema=0.999"]),
        (["--", "--a_b", "--resume"], ["--", "--a_b", "--resume"]),
    ],
)
def test_words(words: list[str], expected: list[str]) -> None:
    assert normalize_words(words) == expected


def test_a_checkpoint_named_like_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a=b.pt").touch()
    assert normalize_words(["--resume", "a=b.pt"]) == ["--resume", "a=b.pt"]
    assert split_sources(["a=b.pt", "extract.x=1", "none.jpg"]) == ([Path("a=b.pt"), Path("none.jpg")], ["extract.x=1"])
    assert merged(["extract.x=no"], {}, "extract") == {"x": "no"}
    with pytest.raises(InputError, match="neither a file nor a key of extract"):
        merged(["train.x=1"], {}, "extract")


def test_the_default_folder_of_a_run(tmp_path: Path) -> None:
    fresh = default_run_folder(tmp_path, resume=None)
    assert fresh.parent == tmp_path and fresh.name.startswith("runs_")
    for number, name in enumerate(("runs_b", "runs_a")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "last.pt").touch()
        os.utime(tmp_path / name / "last.pt", (number, number))
    (tmp_path / "runs_c").mkdir()  # newer, but without a state to go on from
    assert default_run_folder(tmp_path, resume="auto") == tmp_path / "runs_a"
    assert default_run_folder(tmp_path, resume="x/last.pt") == Path("x")
    for given, wanted in ((None, tmp_path / "a"), (tmp_path / "b", tmp_path / "b")):
        options = run_options(
            recipe_of("gauge"), TrainFlags(out_dir=given), TrainSettings(ckpt_dir=tmp_path / "a"), tmp_path
        )
        assert options.out_dir == wanted
    assert TrainFlags(epochs=3).keys()["train.epochs"] == 3


def test_a_run_never_lies_in_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Called from inside the data it lies beside them; runs that earlier versions put there are still resumed."""
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.chdir(data)
    for given in (Path("."), data):
        fresh = default_run_folder(Path("runs/gauge"), resume=None, data=given)
        assert fresh.parent == tmp_path / "runs" / "gauge"
    assert default_run_folder(Path("runs/gauge"), resume=None, data=tmp_path / "other").parent == Path("runs/gauge")
    (data / "runs_old").mkdir()
    (data / "runs_old" / "last.pt").touch()
    assert default_run_folder(Path("runs/gauge"), resume="auto", data=data).samefile(data / "runs_old")


@pytest.mark.parametrize(("recipe", "section"), [("gauge", "train"), ("tracknet", "training"), ("kpnet", "train"),
                                                 ("roimask", "train"), ("landmark", "train")])  # fmt: skip
def test_the_section_of_training_goes_by_both_names(
    recipe: str, section: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    other = {"train": "training", "training": "train"}[section]
    printed = []
    for name in (section, other):
        file = tmp_path / "more.yaml"
        file.write_text(f"{name}:\n  warmup_epochs: 2\n")
        with pytest.raises(SystemExit) as left:
            cli.main([recipe, "train", f"{name}.epochs=3", "--config", str(file), "--print-config"])
        assert left.value.code == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] and "epochs: 3" in printed[0] and "warmup_epochs: 2" in printed[0]
    assert f"\n{other}:" not in printed[1]
    with pytest.raises(SystemExit):
        cli.main([recipe, "train", f"{section}.epochs=3", f"{other}.epochs=4", "--print-config"])
    assert "given twice" in capsys.readouterr().err


def test_every_recipe_has_the_common_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    """And their help names the checkpoint by all its names, and that of validate the set."""
    common = {"sample", "check", "split", "train", "evaluate", "validate", "predict", "export", "draw"}
    for name in RECIPES:
        assert common <= set(recipe_of(name).verbs), name
        shown = cli.help_text([name, "validate", "--help"]) or ""
        assert "--checkpoint, --ckpt, --weights, --model-path" in " ".join(shown.split()), name
    assert "[default: val]" in (cli.help_text(["tracknet", "validate", "--help"]) or "")
    assert "[default: val]" not in (cli.help_text(["tracknet", "evaluate", "--help"]) or "")
