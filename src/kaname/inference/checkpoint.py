"""Files that describe themselves: written atomically, read with ``weights_only=True``, refused when anything is off.

A checkpoint is a ``torch.save`` file of plain types: ``card`` (JSON text: recipe, resolved configuration, sizes,
channels, versions, ...), ``model`` (tensors) and, in ``last.pt``, ``training`` (optimiser, moving average, position).
"""

from __future__ import annotations

import contextlib
import os
import pickletools
import struct
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kaname.errors import InputError
from kaname.inference import card as cards


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
    """Write a checkpoint; at ``path`` stands the old file or the whole new one, never a part.

    Raises:
        InputError: the folder is missing, read-only or full.
    """
    content: dict[str, Any] = {"card": cards.write(card), "model": dict(model)}
    if training is not None:
        content["training"] = dict(training)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            torch.save(_interned(content), file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _settle(path.parent)
    except (OSError, RuntimeError) as error:
        # The fault of a loader process is raised wherever this one happens to be.
        if "DataLoader worker" in str(error):
            raise
        raise InputError(
            f"the checkpoint cannot be written ({_reason(error)})", path=path,
            remedy="free space or choose another --out-dir",
        ) from error  # fmt: skip
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def _reason(error: OSError | RuntimeError) -> str:
    """What the system said; torch answers a failed write with its own complaint about it."""
    for found in (error, error.__context__):
        if isinstance(found, OSError):
            return found.strerror or str(found)
    return str(error).split("\n")[0]


def _interned(value: Any) -> Any:
    """The same values with every text interned: a text that is one object in two places is written once, one that is
    equal twice is written twice, so that the bytes would tell a resumed run from one that was not."""
    if isinstance(value, dict):
        return {_interned(key): _interned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_interned(item) for item in value)
    return sys.intern(value) if type(value) is str else value


def _settle(folder: Path) -> None:
    """Make the new name survive a power cut, where the system lets folders be synchronised."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep(folder: Path) -> None:
    """Remove the partial files that killed processes left behind."""
    for path in folder.glob(".*.partial"):
        with contextlib.suppress(OSError):
            path.unlink()


def load(path: Path, *, recipe: str | None = None) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        InputError: missing, truncated, holding pickled objects, not Kaname's, of a newer version or of another recipe.
    """
    if not path.is_file():
        reason = "a checkpoint is a file, not a folder" if path.is_dir() else "the checkpoint does not exist"
        raise InputError(reason, path=path, remedy="check the path")
    _refuse_damage(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for damaged and foreign files
        raise InputError(_unreadable(path), path=path, remedy="use a whole checkpoint that kaname wrote") from error
    if not isinstance(content, dict) or not isinstance(content.get("card"), str):
        raise InputError(
            "this file holds tensors but no kaname card", path=path, remedy="use a checkpoint that kaname wrote"
        )
    card = cards.read(content["card"], path, recipe)
    model, training = content.get("model"), content.get("training")
    if not isinstance(model, dict) or not all(isinstance(value, torch.Tensor) for value in model.values()):
        raise InputError("the checkpoint holds no weights", path=path, remedy="use a whole checkpoint")
    if not isinstance(training, (dict, type(None))):
        raise InputError("the state of the training is damaged", path=path, remedy="take its weights with --init")
    return Checkpoint(path=path, card=card, model=model, training=training)


def _refuse_damage(path: Path) -> None:
    """Checksums of the container: torch itself reads weights with flipped bits."""
    try:
        with zipfile.ZipFile(path) as container:
            damaged = container.testzip() is not None
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, RuntimeError):
        return  # no whole container: torch.load says what it is
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path=path, remedy="check the file") from error
    if damaged:
        raise InputError("damaged: a checksum is wrong", path=path, remedy="use a whole checkpoint that kaname wrote")


def load_weights(model: torch.nn.Module, checkpoint: Checkpoint) -> None:
    """Put the weights into ``model``; every name and shape must fit, or nothing is loaded.

    Raises:
        InputError: naming the first tensors that are missing, unexpected or of another shape.
    """
    own = model.state_dict()
    missing = sorted(set(own) - set(checkpoint.model))
    surplus = sorted(set(checkpoint.model) - set(own))
    shapes = [
        f"{name} {tuple(checkpoint.model[name].shape)} instead of {tuple(value.shape)}"
        for name, value in own.items()
        if name in checkpoint.model and checkpoint.model[name].shape != value.shape
    ]
    types = [
        f"{name} {checkpoint.model[name].dtype} instead of {value.dtype}"
        for name, value in own.items()
        if name in checkpoint.model and checkpoint.model[name].dtype != value.dtype
    ]
    kinds = (
        ("missing", missing), ("not part of the network", surplus), ("other shape", shapes), ("other type", types),
    )  # fmt: skip
    problems = [f"{kind}: {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}" for kind, names in kinds if names]
    if problems:
        raise InputError(
            f"the weights do not fit the network ({'; '.join(problems)})",
            path=checkpoint.path,
            remedy="use a checkpoint of the same configuration",
        )
    model.load_state_dict(dict(checkpoint.model))


def newest(folder: Path, names: tuple[str, ...], recipe: str, notice: Callable[[str], None]) -> Checkpoint | None:
    """The newest whole checkpoint of ``folder`` that can be resumed, or ``None`` where there is none yet.

    Looked at are ``names`` and whatever else ends like them. ``notice`` is told of every damaged file that is passed
    over.

    Raises:
        InputError: all there is of the first of ``names`` is a damaged file: starting afresh would overwrite the run.
    """
    endings = {Path(name).suffix for name in names}
    found = [path for path in folder.glob("*") if path.suffix in endings and path.is_file()]
    damaged: InputError | None = None
    for path in sorted(found, key=lambda path: (-path.stat().st_mtime_ns, path.name)):
        try:
            checkpoint = load(path, recipe=recipe)
        except InputError as error:
            notice(f"passed over: {error}")
            damaged = error if path.name == names[0] else damaged
            continue
        if checkpoint.training is not None:
            return checkpoint
    if damaged is not None:
        remedy = "remove it to start afresh, or take the weights of another file with --init"
        raise InputError(damaged.reason, path=damaged.path, remedy=remedy) from damaged
    return None


def _unreadable(path: Path) -> str:
    """Why torch refused a file: with objects in it the file is whole and still not for us."""
    objects = zipfile.is_zipfile(path)
    if not objects:
        try:
            with path.open("rb") as file:
                objects = sum(1 for _ in pickletools.genops(file)) > 0  # every instruction up to the last
        except (ValueError, OSError):
            objects = False
    if objects:
        return "holds pickled objects, which can run code and are not loaded"
    return "not a readable checkpoint (damaged, truncated or of another program)"
