"""A store of computed arrays on disk: found by content, bounded in size, safe for many processes at once.

An entry's name is a hash of everything it was computed from, so a changed image, label, weight or setting cannot find
an old entry. Entries are written under another name and renamed, read by memory mapping, and removed oldest use first
when the folder outgrows its budget; an entry that another process removes while it is being read stays readable. An
entry carries checksums: one whose bytes have changed on the disk is computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from kaname.errors import InputError
from kaname.files import whole_file, writing

ENDING = ".features"
PARTIAL = ".partial"
MAGIC = b"KANAME2\n"
ALIGNMENT = 64
KEPT = 0.9  # share of the budget that stays when room is made, so that not every new entry has to make room
COUNTED = 1 / 256  # share of the budget after which a process counts again, because others write too
ABANDONED = 600.0  # seconds after which a file that was never renamed counts as abandoned

Array = NDArray[Any]


class ArrayCache:
    """Named groups of arrays in a folder.

    Args:
        folder: made if missing; several processes and runs may share it.
        budget: bytes that its entries may take, give or take one entry for each process that is writing; 0
            stores nothing.

    Raises:
        InputError: the folder cannot be made.
    """

    def __init__(self, folder: Path, *, budget: int) -> None:
        self.folder, self.budget = folder, budget
        self.hits = self.misses = self.refused = 0
        with writing(folder, reason="the cache folder cannot be made", remedy="set KANAME_CACHE or --cache-budget 0"):
            folder.mkdir(parents=True, exist_ok=True)
        self._written = 0  # bytes since the folder was counted
        self._sound: set[str] = set()  # keys whose checksum this process has compared
        if budget:
            self._make_room()

    def get(self, key: str) -> dict[str, Array] | None:
        """The arrays stored under ``key``, memory-mapped and read-only; ``None`` where there are none."""
        path = self._path(key)
        try:
            entry = _read(path, check=key not in self._sound)
        except Exception:  # absent, removed by another process, or damaged in any way: compute it again
            self.misses += 1
            return None
        self._sound.add(key)
        with contextlib.suppress(OSError):
            os.utime(path)
        self.hits += 1
        return entry

    def put(self, key: str, arrays: Mapping[str, Array]) -> bool:
        """Store arrays under ``key``; ``False`` where the budget or the disk has no room for them."""
        size = sum(array.nbytes + ALIGNMENT for array in arrays.values()) + ALIGNMENT
        if size > self.budget * KEPT:
            self.refused += 1
            return False
        self._written += size
        if self._written >= self.budget * COUNTED:
            self._make_room(size)
        path = self._path(key)
        try:
            with whole_file(path, "wb", parents=True) as file:
                _write(file, arrays)
        except InputError:  # a full disk must not stop a training that can go on without the cache
            self.refused += 1
            return False
        return True

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}{ENDING}"

    def _entries(self) -> list[tuple[float, Path, int]]:
        """Time of last use, path and size of every entry, and of what is being written; what was abandoned goes."""
        entries, now = [], time.time()
        for ending in (ENDING, PARTIAL):
            for path in self.folder.glob(f"??/*{ending}"):
                with contextlib.suppress(OSError):
                    status = path.stat()
                    if ending == PARTIAL and now - status.st_mtime > ABANDONED:
                        path.unlink()
                    else:
                        entries.append((status.st_mtime, path, status.st_size))
        return entries

    def _make_room(self, more: int = 0) -> None:
        """Count, and remove the least recently used entries where ``more`` bytes would exceed the budget."""
        self._written = 0
        entries = sorted(self._entries(), key=lambda entry: entry[0])
        total = sum(size for _, _, size in entries) + more
        for _, path, size in entries:
            if total <= self.budget * KEPT:
                break
            if path.suffix != PARTIAL:
                with contextlib.suppress(OSError):
                    path.unlink()
                total -= size


def content_key(parts: Iterable[Array | bytes | str]) -> str:
    """A hash of arrays (with type and shape), bytes and texts: 40 hexadecimal digits."""
    state = hashlib.blake2b(digest_size=20)
    for part in parts:
        if isinstance(part, str):
            part = part.encode()
        if isinstance(part, bytes):
            state.update(f"b{len(part)}:".encode())
            state.update(part)
        else:
            array = np.ascontiguousarray(part)
            state.update(f"a{array.dtype.str}{array.shape}:".encode())
            state.update(array.view(np.uint8).reshape(-1).data if array.size else b"")
    return state.hexdigest()


def default_folder() -> Path:
    """``$KANAME_CACHE``, else ``$XDG_CACHE_HOME/kaname``, else ``~/.cache/kaname``."""
    own = os.environ.get("KANAME_CACHE")
    if own:
        return Path(own)
    try:
        home = Path.home()
    except RuntimeError:  # no HOME, and a user without an entry, as in a container that was given a number
        home = Path("/")  # what Docker makes of such a HOME; it can seldom be written
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "kaname"


def _write(file: IO[bytes], arrays: Mapping[str, Array]) -> None:
    """Magic, length and checksum of the header, JSON header, then each array's bytes, aligned."""
    header: dict[str, Any] = {}
    place = 0
    whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    for name, array in whole.items():
        kind, check = array.dtype.str, zlib.crc32(_bytes(array))
        header[name] = {"dtype": kind, "shape": list(array.shape), "offset": place, "check": check}
        place += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
    text = json.dumps(header).encode()
    text += b" " * (-(len(MAGIC) + 12 + len(text)) % ALIGNMENT)
    file.write(MAGIC + len(text).to_bytes(8, "little") + zlib.crc32(text).to_bytes(4, "little") + text)
    for array in whole.values():
        file.write(_bytes(array))
        file.write(bytes(-array.nbytes % ALIGNMENT))


def _bytes(array: Array) -> memoryview | bytes:
    return array.view(np.uint8).reshape(-1).data if array.size and array.ndim else array.tobytes()


def _read(path: Path, *, check: bool) -> dict[str, Array]:
    """The arrays of an entry; with ``check`` its checksums are compared.

    Raises:
        ValueError: not an entry, truncated or damaged.
    """
    raw = np.memmap(path, dtype=np.uint8, mode="r")
    begin = len(MAGIC) + 12
    if len(raw) < begin or bytes(raw[: len(MAGIC)]) != MAGIC:
        raise ValueError(f"{path} is not a cache entry")
    length, checksum = (int.from_bytes(bytes(raw[at : at + size]), "little") for at, size in ((8, 8), (16, 4)))
    body = begin + length
    text = bytes(raw[begin:body])
    if zlib.crc32(text) != checksum:
        raise ValueError(f"{path} is damaged")
    arrays = {}
    for name, entry in json.loads(text).items():
        kind = np.dtype(entry["dtype"])
        start = body + entry["offset"]
        count = int(np.prod(entry["shape"], dtype=np.int64)) * kind.itemsize
        if start + count > len(raw):
            raise ValueError(f"{path} is truncated")
        if check and zlib.crc32(raw[start : start + count].data) != entry["check"]:
            raise ValueError(f"{path} is damaged")
        arrays[name] = raw[start : start + count].view(kind).reshape(entry["shape"])
    return arrays
