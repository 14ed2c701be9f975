"""The card of a checkpoint without torch: its file is a ZIP archive with one pickle of plain values and tensors.

Nothing in the pickle is called: a tensor becomes its shape, everything else that torch would build becomes nothing.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaname.errors import InputError
from kaname.inference import card as cards
from kaname.inference.card import weights_of

REMEDY = "use a whole checkpoint that kaname wrote"
LARGEST = 1 << 28  # bytes of the pickle, which holds no tensor's numbers


@dataclass(frozen=True)
class Outline:
    """What a checkpoint says about itself.

    Attributes:
        card: its self-description.
        shapes: of its weights, by the names in the file.
        resumable: whether it holds the state of a training run.
    """

    card: dict[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    resumable: bool


def read(path: Path, recipe: str | None = None) -> Outline:
    """The outline of a checkpoint.

    Raises:
        InputError: missing, damaged, not Kaname's, of a newer version or of another recipe.
    """
    refuse_absent(path)
    refuse_compressed(path)
    try:
        with zipfile.ZipFile(path) as archive:
            (member,) = (one for one in archive.infolist() if one.filename.rpartition("/")[2] == "data.pkl")
            if member.file_size > LARGEST:
                raise ValueError("a pickle that torch would not have written")
            content = _Plain(io.BytesIO(archive.read(member))).load()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path=path, remedy="check the file") from error
    except Exception as error:  # a damaged pickle raises anything
        reason = "damaged: a checksum is wrong" if "CRC" in str(error) else unreadable(path)
        raise InputError(reason, path=path, remedy=REMEDY) from error
    if not isinstance(content, dict) or not isinstance(content.get("card"), str):
        remedy = "use a checkpoint that kaname wrote"
        raise InputError("this file holds tensors but no kaname card", path=path, remedy=remedy)
    card = cards.read(content["card"], path, recipe)
    weights = content.get(weights_of(card).key)
    if not isinstance(weights, dict) or not all(isinstance(value, _Tensor) for value in weights.values()):
        raise InputError("the checkpoint holds no weights", path=path, remedy="use a whole checkpoint")
    training = content.get("training")
    if not isinstance(training, (dict, type(None))):
        raise InputError("the training state is damaged", path=path, remedy="take its weights with --init")
    return Outline(card, {str(name): value.shape for name, value in weights.items()}, training is not None)


def parameters(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """How many numbers can be trained: all but the normalization's and the running statistics of its layers."""
    kept = ("mean", "std", "running_mean", "running_var", "num_batches_tracked")
    return sum(math.prod(shape) for name, shape in shapes.items() if name.rsplit(".", 1)[-1] not in kept)


def refuse_absent(path: Path) -> None:
    """Refuse a path at which there is no file."""
    if not path.is_file():
        reason = "a checkpoint is a file, not a folder" if path.is_dir() else "the checkpoint does not exist"
        raise InputError(reason, path=path, remedy="check the path")


def refuse_compressed(path: Path, remedy: str = REMEDY) -> None:
    """Refuse an archive whose records would be more than they take up: torch stores them as they are.

    Raises:
        InputError: a compressed record, or records that lie on each other.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, ValueError, EOFError, RuntimeError, struct.error, zipfile.BadZipFile):
        return  # no archive: whoever reads it says what it is
    stored = all(one.compress_type == zipfile.ZIP_STORED for one in members)
    if not stored or sum(one.file_size for one in members) > path.stat().st_size:
        reason = "its records are compressed, and torch stores them as they are"
        raise InputError(reason, path=path, remedy=remedy)


def unreadable(path: Path) -> str:
    """Why a file is refused that cannot be read: with objects in it the file is whole and still not for us."""
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


class _Nothing:
    """What torch would build of anything that is neither plain nor a tensor."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


class _Tensor:
    """A tensor's shape."""

    def __init__(self, _storage: object, _offset: int, shape: tuple[int, ...], *_: object) -> None:
        self.shape = tuple(int(side) for side in shape)

    def __setstate__(self, _: object) -> None:
        pass


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if module == "torch" or module.startswith("torch."):
            return _Nothing
        raise pickle.UnpicklingError(f"holds {module}.{name}")

    def persistent_load(self, pid: object) -> object:
        return None
