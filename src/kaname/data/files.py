"""Writing files so that at a final name stands the whole file or none. No torch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from kaname.errors import InputError


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Turn a failed write of ``path`` into one clear line."""
    try:
        yield path
    except OSError as error:
        raise InputError(
            f"cannot be written ({error.strerror or error})", path=path, remedy="free space or choose another --out-dir"
        ) from error
