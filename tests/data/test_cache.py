"""The store of arrays: whole or absent, bounded, shared by processes."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from kaname.data.cache import ArrayCache, content_key, default_folder
from kaname.errors import InputError


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path, budget=10**7)
    arrays = {"a": np.arange(12, dtype=np.float32).reshape(3, 4), "b": np.uint8([[1, 2]]), "empty": np.zeros((0, 2)),
              "one": np.float32(3)}  # fmt: skip
    key = content_key([arrays["a"]])
    assert cache.get(key) is None
    assert cache.put(key, arrays)
    found = cache.get(key)
    assert found is not None
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


def test_the_folder_stays_within_its_budget_and_keeps_what_was_used_last(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path, budget=100_000)
    for number in range(50):
        cache.put(content_key([str(number)]), {"a": np.zeros(2000, np.float32)})
        total = sum(path.stat().st_size for path in tmp_path.rglob("*.features"))
        assert total <= 100_000
    assert cache.get(content_key(["49"])) is not None
    assert not cache.put("f" * 40, {"a": np.zeros(10**6)}), "larger than the budget"


def test_a_smaller_budget_and_what_was_left_behind(tmp_path: Path) -> None:
    """Room is made when the folder is opened; what a killed process was writing counts, and goes after a while."""
    cache = ArrayCache(tmp_path, budget=10**6)
    for number in range(40):
        cache.put(content_key([str(number)]), {"a": np.zeros(2000, np.float32)})
    place = next(tmp_path.iterdir()) / f".{'a' * 40}.999999.partial"
    place.write_bytes(bytes(50_000))
    ArrayCache(tmp_path, budget=150_000)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 150_000 and place.exists()
    os.utime(place, (1, 1))
    ArrayCache(tmp_path, budget=150_000)
    assert not place.exists() and list(tmp_path.rglob("*.features"))


def test_no_changed_bit_is_believed(tmp_path: Path) -> None:
    """Header, sums and arrays: whatever a disk changes is computed again, and never an error."""
    arrays = {"a": np.arange(60, dtype=np.float32), "b": np.ones((2, 3), np.uint8)}
    cache, key = ArrayCache(tmp_path, budget=10**6), content_key(["x"])
    cache.put(key, arrays)
    path = next(tmp_path.rglob("*.features"))
    whole = path.read_bytes()
    found = 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        entry = ArrayCache(tmp_path, budget=10**6).get(key)
        if entry is not None:  # a byte that only fills up
            found += 1
            assert set(entry) == set(arrays) and all(np.array_equal(entry[name], arrays[name]) for name in arrays)
    assert found < 128, "of the bytes that fill up to 64"


@pytest.mark.parametrize("damage", [b"", b"KANAME2\n", b"something else that is long enough to have a header"])
def test_a_damaged_entry_is_computed_again(tmp_path: Path, damage: bytes) -> None:
    cache = ArrayCache(tmp_path, budget=10**6)
    key = content_key(["x"])
    cache.put(key, {"a": np.ones(100)})
    path = next(tmp_path.rglob("*.features"))
    path.write_bytes(damage)
    assert cache.get(key) is None
    cache.put(key, {"a": np.ones(100)})
    path.write_bytes(path.read_bytes()[:-300])
    assert cache.get(key) is None


def _work(folder: str, number: int, errors: multiprocessing.Queue) -> None:
    cache = ArrayCache(Path(folder), budget=200_000)
    rng = np.random.default_rng(number)
    for _ in range(150):
        value = int(rng.integers(40))
        key = content_key([str(value)])
        found = cache.get(key)
        if found is None:
            cache.put(key, {"a": np.full(2000, value, np.float32)})
        elif not (found["a"] == value).all():
            errors.put(value)
    errors.put(-1)


def test_sixteen_processes_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    errors = context.Queue()
    workers = [context.Process(target=_work, args=(str(tmp_path), number, errors)) for number in range(16)]
    for worker in workers:
        worker.start()
    answers = [errors.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert answers == [-1] * 16
    assert not list(tmp_path.rglob("*.partial"))
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.features")) <= 200_000 + 16 * 9000


def test_the_folder_can_be_chosen_and_is_refused_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KANAME_CACHE", str(tmp_path / "here"))
    assert default_folder() == tmp_path / "here"
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cache folder"):
        ArrayCache(tmp_path / "file" / "inside", budget=10)


def test_a_user_without_a_home_folder_keeps_nothing_and_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers run under numbers that no list of users has."""
    for name in ("HOME", "USERPROFILE", "HOMEPATH", "KANAME_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987654321, raising=False)
    with pytest.raises(RuntimeError):
        Path.home()
    assert default_folder() == Path("/.cache/kaname")
    monkeypatch.setenv("XDG_CACHE_HOME", "/there")
    assert default_folder() == Path("/there/kaname")
