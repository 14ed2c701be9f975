"""Runs that are killed and resumed, each in a process of its own, forked from one that has imported torch.

``python trials.py FOLDER KILLS SEED`` prints one JSON line: what differed from the uninterrupted run, per trial.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

# Some are imported by what runs in the forked processes; here they are imported once for all.
import lightning_fabric  # noqa: F401
import torch
import torch._dynamo
import torch.utils.tensorboard
from tiny_task import make_settings, names_of, run, same_runs, three

from contracts.kills import at_call, die, kill_while_saving
from kaname import cli
from kaname.inference import checkpoint
from kaname.training import journal, loop
from kaname.training.runtime import Runtime

SETTINGS = {
    "epochs": 12, "batch_size": 4, "accumulate": 2, "ema": 0.9, "early_stop": 2, "schedule": "plateau", "lr": 0.15,
    "plateau_patience": 0, "warmup_epochs": 0.5, "save_every": "1steps", "clip": 1.0,
}  # fmt: skip


PLACES: dict[str, Callable[[int], None]] = {
    "step": lambda number: at_call(Runtime, "backward", 1 + number % 60, die),
    "saving": lambda number: kill_while_saving(1 + number % 30),
    "saved": lambda number: at_call(checkpoint, "save", 1 + number % 30, die, after=True),
    "validation": lambda number: at_call(loop.Run, "_validate", 1 + number % 6, die),
    "log": lambda number: at_call(journal.Journal, "record", 1 + number % 6, die, after=True),
}

EVERYWHERE = [*PLACES, "time"]
OUTPUT = Path(sys.argv[1]) / "output.txt"  # of the process that was forked last


def forked(work: Callable[[], object], *, kill_after: float | None = None) -> int:
    """Run ``work`` in a forked process and return its exit code (minus the signal that ended it)."""
    process = os.fork()
    if process == 0:
        output = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(output, stream)
        code = 1
        try:
            work()
            code = 0
        except SystemExit as error:
            code = int(error.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(process, signal.SIGKILL)  # not reaped yet, so the number is still this process's
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def train(folder: Path, *, workers: int, resume: bool) -> None:
    torch.set_num_threads(1)
    settings = make_settings(**SETTINGS, num_workers=workers)
    run(folder, settings, resume="auto" if resume else None, step=three, files=names_of)


def finished(folder: Path) -> bool:
    """Whether a run has gone to its end, even if its process was killed after that."""
    last = folder / "last.pt"
    return last.exists() and torch.load(last, weights_only=True)["training"]["progress"]["finished"]


def trial(folder: Path, reference: Path, draw: random.Random, seconds: float, first_place: str) -> dict[str, object]:
    """Up to three kills, the first of them in ``first_place``, then to the end."""
    killed: list[str] = []
    for attempt in range(draw.randint(1, 3)):
        place = draw.choice(EVERYWHERE) if attempt else first_place
        number, workers = draw.randrange(10_000), draw.choice([0, 0, 0, 2])

        def work(place: str = place, number: int = number, workers: int = workers, first: bool = attempt == 0) -> None:
            if place in PLACES:
                PLACES[place](number)
            train(folder, workers=workers, resume=not first)

        code = forked(work, kill_after=draw.uniform(0, seconds) if place == "time" else None)
        killed += [f"{place} {number} {workers}"] if code == -signal.SIGKILL else []
        if finished(folder):
            break
    workers = draw.choice([0, 2])
    code = 0 if finished(folder) else forked(lambda: train(folder, workers=workers, resume=True))
    if code != 0:
        return {"killed": killed, "code": code, "differs": [], "left": [], "output": OUTPUT.read_text()[-3000:]}
    left = [path.name for path in folder.iterdir() if "partial" in path.name]
    return {"killed": killed, "code": code, "differs": same_runs(reference, folder), "left": left}


def signalled(folder: Path, number: int, workers: int, place: str) -> dict[str, object]:
    """A signal to the whole process group in the middle of a run, then the run to its end."""

    def work() -> None:
        os.setsid()
        at_call(*{"step": (Runtime, "backward", 13), "validation": (loop.Run, "_validate", 2)}[place],
                lambda: os.killpg(0, number))  # fmt: skip
        cli.run = lambda words: train(folder, workers=workers, resume=False)  # type: ignore[assignment]
        cli.main([])

    code = forked(work)
    return {"code": code, "then": forked(lambda: train(folder, workers=0, resume=True))}


def main() -> None:
    root, kills, draw = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    root.mkdir(exist_ok=True)
    reference = root / "reference"
    forked(lambda: train(reference, workers=0, resume=False))
    started = time.monotonic()
    forked(lambda: train(root / "again", workers=2, resume=False))
    seconds = time.monotonic() - started
    trials: list[dict[str, object]] = []
    total = 0
    while total < kills:
        folder = root / f"trial{len(trials)}"
        trials.append(trial(folder, reference, draw, seconds, EVERYWHERE[len(trials) % len(EVERYWHERE)]))
        total += len(trials[-1]["killed"])  # type: ignore[arg-type]
        if not trials[-1]["differs"] and not trials[-1]["left"] and not trials[-1]["code"]:
            shutil.rmtree(folder)
    signals = []
    for number, workers, place in ((2, 2, "step"), (15, 2, "step"), (15, 0, "validation")) if len(sys.argv) > 4 else ():
        folder = root / f"signal{number}{place}"
        signals.append({**signalled(folder, number, workers, place), "differs": same_runs(reference, folder)})
    stopped = torch.load(reference / "last.pt", weights_only=True)["training"]["progress"]["epoch"]
    same = same_runs(reference, root / "again")
    print(json.dumps({"workers": same, "epochs": stopped, "kills": total, "trials": trials, "signals": signals}))


if __name__ == "__main__":
    main()
