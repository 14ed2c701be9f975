"""How long a run still takes."""

from __future__ import annotations

import pytest

from kaname.training import pace
from kaname.training.pace import Pace


def test_a_pace_counts_what_this_process_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of 4 epochs of 10 batches, resumed after 20, two seconds a batch; nothing is said before it settles."""
    now = [100.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    run = Pace(4, 10, 20)
    assert run.left(20) is None and run.estimate(20) == ""
    now[0] += 6
    assert run.left(23) is None
    now[0] += 14
    assert run.left(30) == pytest.approx(20)
    assert run.estimate(30) == "" and run.estimate(30) == "", "under a minute needs no estimate"


def test_a_long_run_is_estimated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    run = Pace(100, 10, 0)
    now[0] = 12.0
    assert run.estimate(2) == "at this pace the run ends in about 1 h 39 min"
    now[0] = 24.0
    assert run.estimate(4) == ""
