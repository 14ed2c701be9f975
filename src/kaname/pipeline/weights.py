"""The file that is meant by a run's folder. No torch."""

from __future__ import annotations

from pathlib import Path

from kaname.errors import InputError

BEST = ("best.pt", "model.pt", "best_model.pth")  # what recipes call their best weights
LAST = "last.pt"


def weights_in(path: Path) -> Path:
    """The best weights of a run's folder, else its last ones; any other path as it is.

    Raises:
        InputError: a folder without weights, or with the best of two runs.
    """
    if not path.is_dir():
        return path
    found = [path / name for name in BEST if (path / name).is_file()]
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
