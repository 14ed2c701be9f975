"""Lines that survive the process that makes them, up to the last whole stretch."""

from __future__ import annotations

from pathlib import Path

from kaname.pipeline.stretches import Stretches, left_of

LINES = [f"{number},0,0\n" for number in range(30)]


def make(target: Path, key: str = "k", stop: int | None = None) -> list[int]:
    """All lines in stretches of ten, or up to ``stop``, where the process dies; returns the lines that were made."""
    made: list[int] = []
    stretches = Stretches(target, key).__enter__()
    begin = stretches.state["next"] if stretches.state else 0
    for number in range(begin, len(LINES)):
        if number > begin and number % 10 == 0:
            stretches.mark({"next": number})
        if number == stop:
            stretches._open.flush()
            return made
        stretches.add(LINES[number])
        made.append(number)
    stretches.mark({"next": len(LINES)})
    stretches.publish()
    stretches.discard()
    stretches.__exit__(None, None, None)
    return made


def test_a_stop_costs_one_stretch(tmp_path: Path) -> None:
    target = tmp_path / "a_pred.txt"
    assert make(target, stop=27) == list(range(27))
    assert not target.exists() and len(left_of(target)) == 1
    assert make(target) == list(range(20, 30))
    assert target.read_text() == "".join(LINES) and not left_of(target)


def test_half_a_line_and_half_a_mark(tmp_path: Path) -> None:
    target = tmp_path / "a_pred.txt"
    make(target, stop=15)
    (left,) = left_of(target)
    for torn in ("12,0", '#{"lines": 30, "sta'):
        left.write_text(left.read_text() + torn, encoding="utf-8")
        assert make(target, stop=15) == list(range(10, 15))
        (left,) = left_of(target)
    make(target)
    assert target.read_text() == "".join(LINES)


def test_of_several_attempts_the_farthest_counts(tmp_path: Path) -> None:
    target = tmp_path / "a_pred.txt"
    make(target, stop=25)
    (far,) = left_of(target)
    kept = far.read_text()
    far.unlink()
    make(target, stop=12)
    far.write_text(kept, encoding="utf-8")
    assert make(target) == list(range(20, 30))
    assert target.read_text() == "".join(LINES) and not left_of(target)


def test_another_key_begins_afresh(tmp_path: Path) -> None:
    target = tmp_path / "a_pred.txt"
    make(target, stop=25)
    (tmp_path / ".b_pred.1-2.stretch").write_text("of another piece")
    assert make(target, key="other") == list(range(30))
    assert [path.name for path in left_of(target)] == [] and (tmp_path / ".b_pred.1-2.stretch").exists()


def test_nothing_is_left_of_an_attempt_without_a_stretch(tmp_path: Path) -> None:
    target = tmp_path / "a_pred.txt"
    with Stretches(target, "k") as stretches:
        stretches.add("1\n")
    assert list(tmp_path.iterdir()) == []


def test_without_a_lock_what_others_write_stays(tmp_path: Path) -> None:
    """One thought dead that is not goes on in its own file, and both come to the same bytes."""
    target = tmp_path / "a_pred.txt"
    make(target, stop=15)
    with Stretches(target, "k") as one:
        for number in range(one.state["next"], 20):  # type: ignore[index]
            one.add(LINES[number])
        with Stretches(target, "k", alone=False) as other:
            assert other.state == {"next": 10} and len(left_of(target)) == 2
            for number in range(10, 30):
                other.add(LINES[number])
            other.publish()
            other.discard()
        for number in range(20, 30):
            one.add(LINES[number])
        one.publish()
        one.discard()
    assert target.read_text() == "".join(LINES) and not left_of(target)
