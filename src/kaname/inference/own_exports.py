"""Exports of checkpoints for runtimes that run ONNX files: each made once, into the user's cache folder.

A file's name is a hash of the checkpoint's content and of the code that turns it into a graph: an export of other
weights, or one that another version wrote, is not found. One that has changed on the disk, by its checksum beside it,
is made again. The folder is kept below `LIMIT`; what was used longest ago goes.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from pathlib import Path

import numpy as np

import kaname
from kaname.data.cache import default_folder
from kaname.errors import InputError
from kaname.extras import require_package
from kaname.files import content_hash, whole_file, whole_path, writing
from kaname.inference.model import Model
from kaname.inference.onnx_runner import OnnxRunner

FOLDER = "exports"
LIMIT = 2 << 30  # bytes of all exports together
SHAPING = ("models", "inference", "geometry", "codecs", "recipes")  # rooms whose code a graph depends on
REMEDY = "set KANAME_CACHE to a folder that can be written, or export the model yourself and name the .onnx file"


def place_of(checkpoint: Path) -> Path:
    """Where a checkpoint's export lies, or would lie."""
    name = hashlib.sha256(f"{content_hash(checkpoint)} {_code()}".encode()).hexdigest()[:40]
    return default_folder() / FOLDER / f"{name}.onnx"


def make(model: Model, path: Path) -> None:
    """Write a checkpoint's export at its place; the file is there as a whole or not at all.

    Its outputs for a picture of noise lie within `MAP_TOLERANCE` of the model's, where the network can be fed with one.

    Args:
        model: with the plain runner of torch.

    Raises:
        InputError: packages are missing, the folder cannot be written, the network cannot be exported, or the export
            answers differently.
    """
    for name in ("onnx", "onnxscript"):
        require_package(name, "a runtime of ONNX files")
    from kaname.inference.export import partial_of
    from kaname.inference.torch_runner import TorchRunner

    runner = model.runner
    if not isinstance(runner, TorchRunner):
        raise InputError("only a checkpoint can be exported", path=path)
    with writing(path.parent, reason="the cache folder cannot be made", remedy=REMEDY):
        path.parent.mkdir(parents=True, exist_ok=True)
    reference = model.using(runner.on_cpu())
    with whole_path(path, ending=".onnx", remedy=REMEDY) as partial:
        partial_of(reference)(partial)
        _check(reference, model.using(OnnxRunner(partial)))
        checksum = content_hash(partial)
    with whole_file(_checksum_of(path), remedy=REMEDY) as file:
        file.write(checksum)
    _make_room(path)


def _check(reference: Model, export: Model) -> None:
    from kaname.inference.parity import MAP_TOLERANCE, compare  # here, because SciPy takes time to import

    height, width = reference.input_size
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    try:
        request = reference.request([noise] * reference.frames)
        reference.feed(request)
    except InputError:  # of a picture that is no frame of a video some networks cannot be fed
        return
    difference = compare(reference, export, [("noise", request)], None).map_difference
    if not difference <= MAP_TOLERANCE:
        raise InputError(f"its export answers differently: maps by {difference:.2g}", remedy="use the runtime torch")


def used(path: Path) -> bool:
    """Whether the export is there as it was written; it then counts as used now."""
    with contextlib.suppress(OSError, InputError):
        os.utime(path)
        if path not in _sound and _checksum_of(path).read_text(encoding="utf-8") == content_hash(path):
            _sound.add(path)
        return path in _sound
    return False


_sound: set[Path] = set()  # exports that this process has read as a whole


def _checksum_of(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _make_room(newest: Path) -> None:
    """Remove the exports that were used longest ago until the rest is small enough; ``newest`` stays."""
    with contextlib.suppress(OSError):
        files = sorted(newest.parent.glob("*.onnx"), key=lambda path: path.stat().st_mtime)
        total = sum(path.stat().st_size for path in files)
        for path in files:
            if total > LIMIT and path != newest and not path.name.startswith("."):
                total -= path.stat().st_size
                path.unlink()
                _checksum_of(path).unlink(missing_ok=True)


@functools.lru_cache(maxsize=1)
def _code() -> str:
    """A hash of the sources that shape graphs."""
    root = Path(kaname.__file__).parent
    state = hashlib.sha256()
    for room in SHAPING:
        for path in sorted((root / room).rglob("*.py")):
            state.update(path.relative_to(root).as_posix().encode())
            state.update(path.read_bytes())
    return state.hexdigest()
