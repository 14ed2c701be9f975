"""``kaname`` as a user calls it, each call a process of its own: forked from one that has imported torch already.

As a program (``python commands.py RECIPES RECIPE``) it is that first process: a JSON line in, a JSON line out; with
more words (``RECIPES ACT WORDS``) it runs one command. Every process knows the recipes that the tests' own process
knows: a test may add some to `kaname.recipes.RECIPES`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from calling import Answer
from kaname.recipes import RECIPES

TESTS = Path(__file__).resolve().parents[1]
# What commands import when they run: here it is imported once for all of them.
WANTED = (
    "torch", "torch._dynamo", "torch.onnx", "torch.export", "torch.utils.tensorboard", "lightning_fabric", "onnxscript",
    "onnx", "onnxruntime", "scipy.optimize", "matplotlib.pyplot", "cyclopts", "kaname.cli", "kaname.apps.info",
)  # fmt: skip
QUIET = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}


class Commands:
    """Calls of ``kaname <recipe> ...``."""

    def __init__(self, recipe: str, process: subprocess.Popen[str]) -> None:
        self.recipe, self.process = recipe, process

    def __call__(self, *words: object, act: Sequence[object] = ()) -> Answer:
        """``kaname RECIPE WORDS``; before it, ``act`` (a function of `contracts.kills` and its arguments)."""
        return self.plain(self.recipe, *words, act=act)

    def plain(self, *words: object, act: Sequence[object] = ()) -> Answer:
        """``kaname WORDS``."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"words": [str(word) for word in words], "act": list(act)}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the process that forks the commands has ended"
        return Answer(**json.loads(answer))


@contextlib.contextmanager
def commands(recipe: str, folder: Path) -> Iterator[Commands]:
    """Calls from ``folder``, which is also where their output goes before it is read."""
    process = subprocess.Popen(
        [sys.executable, __file__, json.dumps(RECIPES), recipe], cwd=folder, env=os.environ | QUIET, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Commands(recipe, process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=60)


def launched(count: int, *words: object, act: Sequence[object] = ()) -> Answer:
    """``kaname WORDS`` in so many processes on the CPU, started by torchrun; before it, ``act`` in each."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(count))
    launchers = ("SLURM_", "TORCHELASTIC_", "LOCAL_", "WORLD_SIZE", "RANK", "MASTER_", "GROUP_")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(launchers)}
    done = subprocess.run(
        [sys.executable, *launcher, __file__, json.dumps(RECIPES), json.dumps(list(act)), *map(str, words)],
        env=clean | QUIET, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    return Answer(done.returncode, done.stdout, done.stderr)


def without_torch(calls: Sequence[Sequence[object]], code: str = "") -> list[Answer]:
    """Calls of ``kaname`` in one fresh process, then ``code``; fails where torch or its like was imported by any."""
    script = (
        "import contextlib, io, json, sys\nfrom kaname.cli import RECIPES, main\nanswers = []\n"
        f"RECIPES.update({RECIPES!r})\n"
        f"for words in {[[str(word) for word in words] for words in calls]!r}:\n"
        "    out, err, code = io.StringIO(), io.StringIO(), 0\n"
        "    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):\n"
        "        try:\n            main(words)\n"
        "        except SystemExit as error:\n            code = error.code or 0\n"
        "    answers.append({'code': code, 'out': out.getvalue(), 'err': err.getvalue()})\n"
        "    heavy = {'torch', 'transformers', 'timm', 'sklearn', 'lightning_fabric'} & set(sys.modules)\n"
        "    assert not heavy, (words, heavy)\n"
        f"{code}\n"
        "assert 'torch' not in sys.modules\nprint(json.dumps(answers))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | QUIET, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [Answer(**answer) for answer in json.loads(done.stdout.splitlines()[-1])]


def _act(act: Sequence[Any]) -> None:
    """Calls a function of `contracts.kills`, where one is named."""
    if act:
        getattr(importlib.import_module("contracts.kills"), act[0])(*act[1:])


def _forked(request: dict[str, Any]) -> dict[str, Any]:
    """One command in a forked process."""
    out, err = Path(f".out.{os.getpid()}"), Path(f".err.{os.getpid()}")
    process = os.fork()
    if process == 0:
        code = 1
        try:
            for path, stream in ((os.devnull, 0), (out, 1), (err, 2)):
                os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644), stream)
            _act(request["act"])
            importlib.import_module("kaname.cli").main(request["words"])
        except SystemExit as error:
            code = int(error.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    answer = {"code": code, "out": out.read_text(encoding="utf-8"), "err": err.read_text(encoding="utf-8")}
    out.unlink()
    err.unlink()
    return answer


def _serve(recipe: str) -> None:
    rooms = [
        importlib.import_module(room)
        for room in ("kaname.training", "kaname.inference", "kaname.reporting", "kaname.pipeline", RECIPES[recipe])
    ]
    ours = [f"{room.__name__}.{module.name}" for room in rooms for module in pkgutil.iter_modules(room.__path__)]
    for name in (*WANTED, *ours):
        importlib.import_module(name)
    importlib.import_module("torch").set_num_threads(1)  # a pool of threads would not live on in a fork
    for line in sys.stdin:
        print(json.dumps(_forked(json.loads(line))), flush=True)


if __name__ == "__main__":
    RECIPES.update(json.loads(sys.argv[1]))
    if sys.argv[3:]:
        _act(json.loads(sys.argv[2]))
        importlib.import_module("kaname.cli").main(sys.argv[3:])
    _serve(sys.argv[2])
