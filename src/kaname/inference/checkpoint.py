"""Files that describe themselves: written atomically, read with ``weights_only=True``, refused when anything is off.

A checkpoint is a ``torch.save`` file of plain types: ``card`` (JSON text: recipe, resolved configuration, sizes,
channels, versions, ...), ``model`` (tensors; the card may call it and them otherwise) and, in ``last.pt``, ``training``
(optimiser, moving average, position).
"""

from __future__ import annotations

import struct
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kaname.errors import InputError
from kaname.files import whole_file
from kaname.inference import card as cards
from kaname.inference import checkpoint_card
from kaname.inference.card import Weights, weights_of


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory: its card, its weights and, where it holds them, the state of its training."""

    path: Path
    card: Mapping[str, Any]
    model: Mapping[str, torch.Tensor]
    training: Mapping[str, Any] | None


def save(
    path: Path, *, card: Mapping[str, Any], model: Mapping[str, torch.Tensor], training: Mapping[str, Any] | None
) -> None:
    """Write a checkpoint; ``path`` is the old file or the whole new one, never a part.

    Args:
        model: the network's state, called as its card's ``weights`` say.

    Raises:
        InputError: the folder is missing, read-only or full; names that could not be read back.
    """
    weights = weights_of(card)
    named = named_in_file(model, weights)
    back = _renamed(named, weights.names, back=True)
    if weights.key in ("card", "training") or list(back) != [name for name in model if name not in weights.without]:
        raise InputError("the card's names of weights cannot be read back", path=path, remedy=f"got {weights}")
    content: dict[str, Any] = {"card": cards.write(card), weights.key: named}
    if training is not None:
        content["training"] = dict(training)
    write(path, content, remedy="free space or choose another --out-dir")


def write(path: Path, content: Mapping[str, Any], *, remedy: str) -> None:
    """``torch.save``: ``path`` is the old file or the whole new one.

    Raises:
        InputError: it cannot be written.
    """
    try:
        with whole_file(path, "wb", durable=True, remedy=remedy) as file:
            torch.save(_interned(dict(content)), file)
    except RuntimeError as error:  # torch raises its own error for a failed write
        if "DataLoader worker" in str(error):  # the fault of a loader process is raised wherever this one happens to be
            raise
        reason = error.__context__.strerror if isinstance(error.__context__, OSError) else str(error).split("\n")[0]
        raise InputError(f"cannot be written ({reason})", path=path, remedy=remedy) from error


def named_in_file(model: Mapping[str, torch.Tensor], weights: Weights) -> dict[str, torch.Tensor]:
    """A network's tensors as a file of this layout calls them, without those that it leaves out."""
    return _renamed({name: value for name, value in model.items() if name not in weights.without}, weights.names)


def _renamed(
    tensors: Mapping[str, torch.Tensor], names: Sequence[tuple[str, str]], *, back: bool = False
) -> dict[str, torch.Tensor]:
    """The tensors under the names that a file has for them, or ``back`` under our own; the longest beginning counts."""
    pairs = sorted((pair[::-1] if back else pair for pair in names), key=lambda pair: -len(pair[0]))
    result: dict[str, torch.Tensor] = {}
    for name, value in tensors.items():
        old, new = next((pair for pair in pairs if name.startswith(pair[0])), ("", ""))
        result[new + name.removeprefix(old)] = value
    return result


def _interned(value: Any) -> Any:
    """The same values with every text interned: a text that is one object in two places is written once, one that is
    equal twice is written twice, and then the bytes of a resumed run would differ from those of one that was not."""
    if isinstance(value, dict):
        return {_interned(key): _interned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_interned(item) for item in value)
    return sys.intern(value) if type(value) is str else value


def load(path: Path, *, recipe: str | None = None) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        InputError: missing, truncated, holding pickled objects, not Kaname's, of a newer version or of another recipe.
    """
    content = read(path, remedy="use a whole checkpoint that kaname wrote")
    if not isinstance(content, dict) or not isinstance(content.get("card"), str):
        raise InputError(
            "this file holds tensors but no kaname card", path=path, remedy="use a checkpoint that kaname wrote"
        )
    card = cards.read(content["card"], path, recipe)
    weights, training = weights_of(card), content.get("training")
    model = content.get(weights.key)
    if not isinstance(model, dict) or not all(isinstance(value, torch.Tensor) for value in model.values()):
        raise InputError("the checkpoint holds no weights", path=path, remedy="use a whole checkpoint")
    if not isinstance(training, (dict, type(None))):
        raise InputError("the training state is damaged", path=path, remedy="take its weights with --init")
    named = _renamed(model, weights.names, back=True)
    return Checkpoint(path, card, {name: whole(value) for name, value in named.items()}, training)


def whole(value: torch.Tensor) -> torch.Tensor:
    """A tensor that was stored in half precision in float32, which loses nothing on the way; any other as it is."""
    return value.to(torch.float32) if value.dtype in (torch.float16, torch.bfloat16) else value


def read(path: Path, *, remedy: str) -> Any:
    """What a file of ``torch.save`` holds: tensors and plain values, on the CPU.

    Raises:
        InputError: missing, damaged, or holding pickled objects.
    """
    checkpoint_card.refuse_absent(path)
    checkpoint_card.refuse_compressed(path, remedy)
    _refuse_damage(path, remedy)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for damaged and foreign files
        raise InputError(checkpoint_card.unreadable(path), path=path, remedy=remedy) from error


def _refuse_damage(path: Path, remedy: str) -> None:
    """Checksums of the container: torch itself reads weights with flipped bits."""
    try:
        with zipfile.ZipFile(path) as container:
            damaged = container.testzip() is not None
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, RuntimeError):
        return  # no whole container: torch.load says what it is
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path=path, remedy="check the file") from error
    if damaged:
        raise InputError("damaged: a checksum is wrong", path=path, remedy=remedy)


def load_weights(model: torch.nn.Module, checkpoint: Checkpoint) -> None:
    """Put the weights into ``model``; every name and shape must fit, or nothing is loaded.

    Buffers that the card says are left out stay as the network was built.

    Raises:
        InputError: naming the first tensors that are missing, unexpected or of another shape.
    """
    own = model.state_dict()
    left_out = weights_of(checkpoint.card).without
    given = {**{name: value for name, value in own.items() if name in left_out}, **checkpoint.model}
    check_fit(own, given, path=checkpoint.path, remedy="use a checkpoint of the same configuration")
    model.load_state_dict(given)


def check_fit(own: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor], *, path: Path, remedy: str) -> None:
    """Refuse weights ``given`` by a file that are not just those that a network has of its ``own``, by name.

    Raises:
        InputError: naming the first tensors that are missing, unexpected or of another shape.
    """
    both = [(name, given[name], value) for name, value in own.items() if name in given]
    problems = {
        "missing": sorted(set(own) - set(given)),
        "not part of the network": sorted(set(given) - set(own)),
        "other shape": [f"{n} {tuple(a.shape)} instead of {tuple(b.shape)}" for n, a, b in both if a.shape != b.shape],
        "other type": [f"{name} {a.dtype} instead of {b.dtype}" for name, a, b in both if a.dtype != b.dtype],
    }
    each = [f"{kind}: {', '.join(names[:3])}{' ...' if names[3:] else ''}" for kind, names in problems.items() if names]
    if each:
        raise InputError(f"the weights do not fit the network ({'; '.join(each)})", path=path, remedy=remedy)


def newest(folder: Path, names: tuple[str, ...], recipe: str, notice: Callable[[str], None]) -> Checkpoint | None:
    """The newest whole checkpoint of ``folder`` that can be resumed, or ``None`` where there is none yet.

    It looks at ``names`` and at every other file with their endings, and calls ``notice`` with a line for each
    damaged file that it skips.

    Raises:
        InputError: all there is of the first of ``names`` is a damaged file: starting afresh would overwrite the run.
    """
    endings = {Path(name).suffix for name in names}
    files = [path for path in folder.glob("*") if path.suffix in endings and path.is_file()]
    damaged: InputError | None = None
    for path in sorted(files, key=lambda path: (-path.stat().st_mtime_ns, path.name)):
        try:
            checkpoint = load(path, recipe=recipe)
        except InputError as error:
            notice(f"skipped: {error}")
            damaged = error if path.name == names[0] else damaged
            continue
        if checkpoint.training is not None:
            return checkpoint
    if damaged is not None:
        remedy = "remove it to start afresh, or take the weights of another file with --init"
        raise InputError(damaged.reason, path=damaged.path, remedy=remedy) from damaged
    return None
