"""What is finished is known by its record alone."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kaname.errors import InputError
from kaname.lock import Held
from kaname.pipeline.records import Record, claim, mark, same


def made(folder: Path, **settings: object) -> Record:
    source = folder / "a.mp4"
    if not source.exists():
        source.write_bytes(b"a video")
    return Record(folder / "a_pred.json", {"video": source}, {"tracker": "none", "k": 10, **settings})


def finish(record: Record) -> None:
    result = record.path.with_suffix(".txt")
    result.write_text("1\n", encoding="utf-8")
    record.write([result], frames=1)


def test_a_result_without_a_record_is_not_finished(tmp_path: Path) -> None:
    record = made(tmp_path)
    (tmp_path / "a_pred.txt").write_text("1\n", encoding="utf-8")
    assert record.finished() is None
    finish(record)
    stored = record.finished()
    assert stored is not None and stored["frames"] == 1 and stored["results"] == {"a_pred.txt": 2}
    assert stored["inputs"]["video"]["sha256"] == mark(tmp_path / "a.mp4")["sha256"]
    (tmp_path / "a_pred.txt").write_text("longer\n", encoding="utf-8")
    assert record.finished() is None
    (tmp_path / "a_pred.txt").unlink()
    assert record.finished() is None


def test_another_setting_is_refused_and_named(tmp_path: Path) -> None:
    finish(made(tmp_path))
    other = made(tmp_path, tracker="klt", smooth=None)
    with pytest.raises(InputError, match="tracker none, not klt") as raised:
        other.finished()
    assert "k 10" not in str(raised.value) and "--overwrite" in str(raised.value)
    assert other.finished(overwrite=True) is None
    assert made(tmp_path).finished(overwrite=True) is not None, "the same is not made again"


def test_files_count_by_their_content(tmp_path: Path) -> None:
    record = made(tmp_path)
    finish(record)
    os.utime(tmp_path / "a.mp4", (1, 1))
    assert record.finished() is not None, "only its time is another"
    moved = tmp_path / "elsewhere.mp4"
    (tmp_path / "a.mp4").rename(moved)
    assert Record(record.path, {"video": moved}, record.settings).finished() is not None
    moved.write_bytes(b"b video")
    with pytest.raises(InputError, match=r"another video \(a.mp4\)"):
        Record(record.path, {"video": moved}, record.settings).finished()


def test_a_folder_of_frames(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for path in files:
        path.write_bytes(path.name.encode())
    known = mark(files)
    assert known["files"] == 3 and same(files, known)
    assert not same(files[:2], known)
    files[1].rename(tmp_path / "9.png")
    assert not same([files[0], tmp_path / "9.png", files[2]], {**known, "changed": 0}), "the names count too"


def test_what_is_no_record_is_refused(tmp_path: Path) -> None:
    record = made(tmp_path)
    for text in ("{", json.dumps({"format": "other"})):
        record.path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match="record"):
            record.finished()


def test_one_at_a_time(tmp_path: Path) -> None:
    """A process that holds the claim keeps others off; what a killed one has left half-written is removed."""
    record = made(tmp_path)
    (tmp_path / ".a_pred.txt.999999999.partial").touch()
    (tmp_path / ".b_pred.txt.999999999.partial").touch()
    with claim(record) as alone:
        assert alone and not (tmp_path / ".a_pred.txt.999999999.partial").exists()
        assert (tmp_path / ".b_pred.txt.999999999.partial").exists(), "another piece's is not ours to remove"
        child = os.fork()
        if child == 0:
            from kaname import lock

            lock._held.clear()  # as a process of its own would have it
            code = 3
            try:
                with claim(record):
                    code = 0
            except Held as error:
                code = 4 if "another command" in str(error) and str(os.getppid()) in str(error) else 5
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".lock")] == []
