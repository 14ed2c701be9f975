"""Where the time of ``infer`` goes: each part has what was spent in it, and together they are the whole."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kaname.inference.runtimes import PLAIN_CPU
from kaname.pipeline.clock import Clock
from kaname.pipeline.jobs import Desk
from kaname.pipeline.stretches import Stretches
from kaname.recipes.kpnet import infer as module
from kaname.recipes.kpnet.choices import How
from kaname.recipes.kpnet.motion import MotionFeed
from kaname.recipes.kpnet.sources import Source, Stream
from kaname.tracking.bridge import hold
from recipes.kpnet import tiny
from recipes.kpnet.tiny import infer

PARTS = {"decode", "flow", "network", "bridge", "write"}


def predicted(made: Path, out: Path, name: str, model: str = "six.pt") -> dict[str, Any]:
    """One video, by KLT with K = 4."""
    source = Source(name, made / "data" / "movie" / f"{name}.mp4")
    how = How("klt", k=4, every=1)
    return module.predict_video(
        Desk(0, lambda _: None),
        source,
        made / model,
        out,
        how,
        overwrite=False,
        running=PLAIN_CPU,
        cotracker=None,
        changes={},
    )


def test_every_part_has_its_own(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on only where the test says so: a second a decoded frame, 10 a flow, 100 an answer of the
    network, 1000 a step of the tracker, 10,000 a line."""
    now = [0.0]

    def costs(owner: Any, name: str, seconds: float) -> None:
        original = getattr(owner, name)

        def called(*arguments: Any, **named: Any) -> Any:
            now[0] += seconds
            return original(*arguments, **named)

        monkeypatch.setattr(owner, name, called)

    def frames(stream: Stream, *given: Any, **named: Any) -> Iterator[Any]:
        for frame in original(stream, *given, **named):
            now[0] += 1
            yield frame

    def follow(images: Any, points: Any) -> Iterator[Any]:
        for answer in hold(images, points):
            now[0] += 1000
            yield answer

    predicted(made, tmp_path / "before", "val00")  # the model is opened
    original = Stream.frames
    monkeypatch.setattr(Stream, "frames", frames)
    monkeypatch.setattr("kaname.tracking.klt.klt", follow)
    costs(MotionFeed, "__call__", 10)
    costs(type(module.open_here(made / "six.pt", PLAIN_CPU, {}).runner), "__call__", 100)
    costs(Stretches, "add", 10_000)
    monkeypatch.setattr(module, "Clock", lambda: Clock(lambda: now[0]))
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr("kaname.recipes.kpnet.walking.WAITING", 0)  # one after the other: this clock is everybody's
    found = predicted(made, tmp_path / "out", "val00")
    detections, length = tiny.LENGTH // 4, tiny.LENGTH
    wanted = {"decode": length, "flow": 10 * detections, "network": 100 * detections,
              "bridge": 1000 * (length - detections), "write": 10_000 * found["rows"]}  # fmt: skip
    assert found["parts"] == wanted and found["seconds"] == sum(wanted.values())


@pytest.mark.parametrize("model", ["rgb.pt", "six.pt"])
def test_the_parts_are_the_whole(made: Path, tmp_path: Path, model: str) -> None:
    """Within 5 % of the time that passed outside, and the looks at the record before it."""
    predicted(made, tmp_path / "before", "val01", model)  # the model is opened
    began = time.perf_counter()
    found = predicted(made, tmp_path / "out", "val00", model)
    passed = time.perf_counter() - began
    print({name: f"{value:.3f}" for name, value in found["parts"].items()}, f"of {passed:.3f} s")
    assert set(found["parts"]) == PARTS - ({"flow"} if model == "rgb.pt" else set())
    assert abs(sum(found["parts"].values()) - passed) < 0.05 * passed + 0.02
    assert all(value > 0 for value in found["parts"].values())


def test_a_line_says_where_the_time_went(made: Path, tmp_path: Path) -> None:
    """Over all videos; the record has no times, for the same work has the same bytes."""
    said = infer(made, tmp_path, "--tracker", "klt", "--k", 2, "--videos", "val00,val01").done().out
    line = next(line for line in said.splitlines() if line.startswith("time spent: "))
    assert re.fullmatch(r"time spent: [\d.]+ s: (\w+ \d+ %(, )?){5}", line)
    assert all(f" {part} " in line for part in (*PARTS - {"flow"}, "other"))
    assert "decode" not in (tmp_path / "val00_pred.json").read_text()
