"""The file that is meant by a run's folder. No torch."""

from __future__ import annotations

import warnings
from pathlib import Path

from kaname.errors import InputError

BEST = ("best.pt", "model.pt", "best_model.pth")  # what recipes call their best weights
LAST = "last.pt"


def weights_in(path: Path) -> Path:
    """The best weights of a run's folder, else its last ones; any other path as it is.

    A recipe's best weights may be asked for by the name that another recipe gives them, which a warning says.

    Raises:
        InputError: a folder without weights, or with the best of two runs.
    """
    if path.name in BEST and not path.exists() and len(others := _best(path.parent)) == 1:
        warnings.warn(f"{path} is not there: {others[0].name} beside it is taken", stacklevel=2)
        return others[0]
    if not path.is_dir():
        return path
    found = _best(path)
    if len(found) > 1:
        named = " and ".join(one.name for one in found)
        raise InputError(f"the folder holds {named}", path=path, remedy="name the file")
    if found:
        return found[0]
    if (path / LAST).is_file():
        return path / LAST
    runs = sorted({one.parent for name in BEST for one in path.glob(f"*/{name}")}, key=lambda run: run.stat().st_mtime)
    remedy = f"did you mean {runs[-1]}?" if runs else "name a checkpoint or the folder of a run"
    raise InputError(f"no {', '.join(BEST)} in this folder", path=path, remedy=remedy)


def _best(folder: Path) -> list[Path]:
    return [folder / name for name in BEST if (folder / name).is_file()]
