"""What a run writes down while it trains: lines in ``run.log``, figures in ``log.csv`` and a logger."""

from __future__ import annotations

import contextlib
import csv
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kaname.data.log import read_rows
from kaname.errors import InputError, shown
from kaname.extras import require_package
from kaname.files import no_link, whole_file, write_text, writing
from kaname.progress import duration
from kaname.training.update import means, sums_of
from kaname.types import Batch, StepOutput


class Journal:
    """Messages to the screen and to ``run.log``, figures to ``log.csv`` and TensorBoard. Silent when ``folder`` is None
    and ``speak`` is False (the other processes of a run).

    Args:
        folder: the run's folder, which must be there.
        speak: whether messages go to the screen.
        kept_epochs: rows of ``log.csv`` beyond this epoch belong to work that was lost and are dropped.
        fresh: a new run, which starts ``run.log`` anew.
        logger: ``tensorboard``, ``wandb`` or ``none``: where figures go beside ``log.csv``.
        log_dir: folder of the logger's files; default: ``folder/tb``.
        title: name of the project in Weights & Biases.

    Every method that writes raises :class:`InputError` where the folder has vanished, is read-only or full.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        speak: bool = True,
        kept_epochs: int = 0,
        fresh: bool = True,
        logger: str = "tensorboard",
        log_dir: Path | None = None,
        title: str = "",
    ) -> None:
        self.folder, self.speak, self.logger, self.title = folder, speak, logger, title
        self.log_dir = log_dir if log_dir is not None or folder is None else folder / "tb"
        self.rows: list[dict[str, float | int]] = []
        self._board: Any = None
        if folder is not None:
            self.rows = [row for row in read_rows(folder / "log.csv") if row["epoch"] <= kept_epochs]
            if fresh:
                (folder / "run.log").unlink(missing_ok=True)
            if logger == "wandb":  # which may refuse: better before an epoch than after it
                self._open_board(kept_epochs + 1)

    def say(self, text: str, show: Callable[[str], object] = lambda text: print(text, flush=True)) -> None:
        """Write one line to screen and file."""
        text = shown(text)
        if self.speak:
            try:
                show(text)
            except BrokenPipeError:  # nobody reads any longer, as in `... | head`: the run goes on
                self.speak = False
        if self.folder is not None:
            with writing(self.folder / "run.log") as path, open(path, "a", encoding="utf-8", opener=no_link) as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")

    def note(self, text: str) -> None:
        """Write one line to the file alone, if the folder is still there."""
        self.speak = False
        with contextlib.suppress(InputError):
            self.say(text)

    def record(self, row: Mapping[str, float | int]) -> None:
        """One epoch's figures; ``log.csv`` is rewritten whole, so that a resumed run repeats no row."""
        self.rows.append(dict(row))
        if self.folder is None:
            return
        names = sorted(dict.fromkeys(name for entry in self.rows for name in entry), key=lambda name: name == "seconds")
        with whole_file(self.folder / "log.csv", durable=True) as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self.rows)
        if self.log_dir is not None and self.logger != "none":
            self._open_board(int(row["epoch"]))
            with writing(self.log_dir):
                self._board.write(row)

    def _open_board(self, epoch: int) -> None:
        if self._board is None and self.log_dir is not None:
            with writing(self.log_dir) as path:
                self._board = BOARDS[self.logger](path, epoch, self.folder, self.title)

    def close(self) -> None:
        """Finish the logger's files."""
        if self._board is not None and self.log_dir is not None:
            with writing(self.log_dir):
                self._board.close()


class _TensorBoard:
    def __init__(self, folder: Path, epoch: int, run: Path, title: str) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder), purge_step=epoch)

    def write(self, row: Mapping[str, float | int]) -> None:
        for name, value in row.items():
            self.writer.add_scalar(name, value, int(row["epoch"]))
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()


class _WeightsAndBiases:
    """One run of Weights & Biases for one folder: its id is kept there, so that a resumed run goes on in it."""

    def __init__(self, folder: Path, epoch: int, run: Path, title: str) -> None:
        wandb = weights_and_biases()
        folder.mkdir(parents=True, exist_ok=True)
        name = folder / "wandb_id"
        if not name.is_file():
            write_text(name, secrets.token_hex(4))
        try:
            known = name.read_text(encoding="utf-8")
            self.run = wandb.init(project=f"kaname-{title}", dir=str(folder), id=known, name=run.name, resume="allow")
        except (wandb.Error, OSError) as error:
            reason = f"Weights & Biases did not start a run ({(str(error).splitlines() or [type(error).__name__])[0]})"
            raise InputError(reason, remedy="`wandb login`, WANDB_MODE=offline, or another --logger") from error

    def write(self, row: Mapping[str, float | int]) -> None:
        self.run.log(dict(row), step=int(row["epoch"]))

    def close(self) -> None:
        self.run.finish()


BOARDS: dict[str, Any] = {"tensorboard": _TensorBoard, "wandb": _WeightsAndBiases}


def weights_and_biases() -> Any:
    """The module ``wandb``, or an :class:`InputError` that says how to get it."""
    require_package("wandb", "--logger wandb")
    import wandb

    return wandb


def describe_row(row: Mapping[str, float | int], epochs: int, *, better: bool, left: float | None = None) -> str:
    """An epoch's figures as one line; ``left`` is how many seconds the run still takes."""
    figures = ", ".join(
        f"{name} {value:.5g}" for name, value in row.items() if name not in ("epoch", "step", "seconds")
    )
    rest = "" if left is None else f", about {duration(left)} left"
    return f"epoch {row['epoch']}/{epochs}: {figures}, {row['seconds']:.1f} s{' (best)' if better else ''}{rest}"


def describe_batch(batch: Batch, output: StepOutput) -> str:
    """The shapes of a batch and the loss it gave, for a dry run."""
    given = {**batch.inputs, **batch.targets}
    lines = [f"{name} {tuple(value.shape)} {value.dtype}" for name, value in given.items()]
    figures, alone = means({name: value.item() for name, value in sums_of(output).items()}), len(output.terms) == 1
    for name, term in output.terms.items():
        title, value = ("loss", figures["loss"]) if alone else (f"{name} (factor {term.factor:g})", figures[name])
        lines.append(f"{title} {value:.6g} over weight {term.weight.item():g}")
    lines += [] if alone else [f"loss {figures['loss']:.6g}"]
    return "\n".join([*lines, "dry run: one batch forward and backward, nothing written"])
