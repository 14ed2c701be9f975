"""The file that is meant by a run's folder or by the name of a shipped model. No torch."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaname import zoo
from kaname.errors import InputError, shown
from kaname.zoo import Shipped

if TYPE_CHECKING:
    from kaname.inference.runtimes import Running

BEST = ("best.pt", "model.pt", "best_model.pth")  # what recipes call their best weights
LAST = "last.pt"


def weights_in(path: Path, *, trainable: bool = False) -> Path:
    """The best weights of a run's folder, else its last ones; the file of a shipped model; any other path as it is.

    A recipe's best weights may be asked for by the name that another recipe gives them, which a warning says. A file of
    that name, or a run's folder, wins over a shipped model.

    Args:
        trainable: of a shipped model its checkpoint is meant, not its export.

    Raises:
        InputError: a folder without weights, or with the best of two runs; a mere word that is neither a path nor the
            name of a shipped model.
    """
    if path.name in BEST and not path.exists() and len(others := _best(path.parent)) == 1:
        warnings.warn(f"{path} is not there: {others[0].name} beside it is taken", stacklevel=2)
        return others[0]
    if is_word(path) and not path.is_file() and not _holds_weights(path):
        model = zoo.shipped().get(path.name)
        if model is not None:
            return model.checkpoint if trainable else model.export
        if not path.exists():
            raise InputError("there is no such file, and no shipped model of this name", path=path, remedy=zoo.known())
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


def weights_file(kind: Any, tokens: Sequence[Any], *, trainable: bool = False) -> Path:
    """What a word of the command line stands for (`weights_in`), as a converter of cyclopts."""
    try:
        return weights_in(Path(tokens[0].value), trainable=trainable)
    except InputError as error:
        raise ValueError(str(error)) from error  # of an InputError the reason alone would be shown


def last_file(given: str | None) -> str | None:
    """What ``--resume`` stands for: of a run's folder the state to resume from."""
    return str(Path(given) / LAST) if given is not None and Path(given).is_dir() else given


def model_for(recipe: str, given: Path | None) -> Path:
    """The model that predicts: the given one, or the recipe's shipped one, which a line on stderr names.

    Raises:
        InputError: none is given, and none is shipped.
    """
    if given is not None:
        return given
    model = zoo.of_recipe(recipe)
    if model is None:
        remedy = f"give the checkpoint or export of a run of `kaname {recipe} train`; {zoo.known()}"
        raise InputError(f"--checkpoint is missing, and no model of {recipe} is shipped", remedy=remedy)
    said = model.headline() or "it was not measured"
    print(shown(f"the shipped model {model.name} answers (no --checkpoint): {said}"), file=sys.stderr, flush=True)
    return model.export


def file_for(path: Path, running: Running) -> Path:
    """The export of a shipped model, or its checkpoint where torch or a device of torch's is asked for."""
    wanted = running.runtime in ("torch", "compile") or running.device not in ("auto", "cpu")
    model = zoo.beside(path) if wanted else None
    return path if model is None else model.checkpoint


def start_for(recipe: str, init: Path | None) -> Shipped | None:
    """The shipped model that ``--init`` names, by ``zoo`` or by its name; None where a file, a run's folder or nothing
    is meant.

    Raises:
        InputError: no model of the recipe is shipped, one of another recipe, or a word that is no name.
    """
    if init is None or init.is_file() or not is_word(init) or _holds_weights(init):
        return None
    if init.name == zoo.OWN:
        model = zoo.of_recipe(recipe)
        if model is None:
            raise InputError(f"--init {zoo.OWN}: no model of {recipe} is shipped", remedy=zoo.known())
        return model
    model = zoo.shipped().get(init.name)
    if model is None:
        raise InputError(f"--init {init}: neither a checkpoint nor a shipped model", remedy=zoo.known())
    if model.recipe != recipe:
        raise InputError(f"--init {init}: that is a model of {model.recipe}, not of {recipe}", remedy=zoo.known())
    return model


def is_word(path: Path) -> bool:
    """Whether a path may be the name of a shipped model: one part without an ending."""
    return len(path.parts) == 1 and path.name == str(path) and not path.suffix and path.name not in ("", ".", "..")


def _holds_weights(folder: Path) -> bool:
    return bool(_best(folder)) or (folder / LAST).is_file()


def _best(folder: Path) -> list[Path]:
    return [folder / name for name in BEST if (folder / name).is_file()]
