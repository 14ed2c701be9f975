"""The fastest of those that answer alike, with a clock that runners move themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from inference.test_parity import CARD, asked
from kaname.errors import InputError
from kaname.inference.choosing import Judging, measure
from kaname.inference.model import Model
from kaname.inference.remembered import ALIKE, Row, fastest
from kaname.inference.request import Arrays, Request
from kaname.inference.runtimes import Candidate, Material
from kaname.types import Masks, Points

NOTHING = Material(lambda: None, lambda: pytest.fail("nothing is exported"), [])
PLAIN = ("torch", "fp32")


class Ticking:
    """A clock that stands still but for what runners say that they take."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls = 0

    def __call__(self) -> float:
        return self.now

    def runner(self, seconds: float | Sequence[float], shift: float = 0.0) -> Any:
        """One that takes so long, its calls one after the other, and whose point lies ``shift`` px further right."""
        spans = [seconds] if isinstance(seconds, float) else list(seconds)

        def run(_: Arrays) -> Arrays:
            self.calls += 1
            self.now += spans.pop(0) if len(spans) > 1 else spans[0]
            return {"heatmaps": np.full((1, 1, 4, 4), shift, np.float32)}

        return run


def decode(outputs: Arrays, request: Request) -> list[Points]:
    x = 5.0 + float(outputs["heatmaps"][0, 0, 0, 0])
    return [Points({"a": np.array([[x, 8.0]])}, {"a": np.array([0.9])}, request.size)]


def named(runtime: str, runner: Any, precision: str = "fp32", **how: Any) -> Candidate:
    def opened(candidate: Candidate, material: Material) -> Any:
        if isinstance(runner, Exception):
            raise runner
        return runner

    return Candidate(runtime, precision, opened, (), **how)


def compared(clock: Ticking, *candidates: Candidate, rounds: int = 4, decode: Any = decode) -> dict[str, Row]:
    """The rows by name, of the plain runtime that takes a second and of candidates."""
    reference = Model(CARD, clock.runner(1.0), decode)
    judging = Judging(asked(), 0.5, clock=clock)
    rows, runners = measure(reference, PLAIN, candidates, NOTHING, judging, rounds=rounds)
    assert rows[0].runtime == "torch" and rows[0].times == 1.0 and runners[PLAIN] is reference.runner
    return {f"{row.runtime} {row.precision}": row for row in rows}


def test_the_fastest_of_those_that_are_alike() -> None:
    clock = Ticking()
    rows = compared(
        clock,
        named("openvino", clock.runner(0.25)),
        named("onnxruntime", clock.runner(0.5, shift=0.049)),
        named("openvino", clock.runner(0.1, shift=0.31), "bf16"),
    )
    assert rows["openvino fp32"].ms == 250.0 and rows["openvino fp32"].times == 4.0
    assert rows["onnxruntime fp32"].verdict == ALIKE and rows["onnxruntime fp32"].p99_px == pytest.approx(0.049)
    refused = rows["openvino bf16"]
    assert refused.verdict == "refused: points move by 0.31 px (at most 0.3)"
    assert refused.ms == pytest.approx(100) and refused.largest_px == pytest.approx(0.31)
    best = fastest(list(rows.values()), "torch")
    assert best is rows["openvino fp32"]


@pytest.mark.parametrize(
    ("precision", "shift", "alike"),
    [("fp32", 0.049, True), ("fp32", 0.051, False), ("bf16", 0.29, True), ("bf16", 0.31, False), ("fp16", 0.29, True)],
)
def test_each_precision_has_its_tolerance(precision: str, shift: float, alike: bool) -> None:
    clock = Ticking()
    row = compared(clock, named("x", clock.runner(0.5, shift), precision))[f"x {precision}"]
    assert (row.verdict == ALIKE) is alike and (fastest([row], "torch") is row) is alike


def test_a_point_that_is_lost_is_refused_and_one_at_the_threshold_is_not() -> None:
    def scored(outputs: Arrays, request: Request) -> list[Points]:
        score = 0.51 - float(outputs["heatmaps"][0, 0, 0, 0])
        found = np.array([[5.0, 8.0]] if score > 0.5 else []).reshape(-1, 2)
        return [Points({"a": found}, {"a": np.full(len(found), score)}, request.size)]

    clock = Ticking()
    rows = compared(
        clock, named("x", clock.runner(0.5, 0.02)), named("y", clock.runner(0.5, 0.02), "bf16"), decode=scored
    )
    assert rows["x fp32"].verdict == "refused: 1 points on one side alone, 0 on both"
    assert rows["y bf16"].verdict.startswith("refused: no point to compare, and the maps differ by 0.02")


def test_masks_may_change_in_a_thousandth_of_their_pixels() -> None:
    def pasted(outputs: Arrays, request: Request) -> list[Masks]:
        changed = round(float(outputs["heatmaps"][0, 0, 0, 0]))
        inside = np.full((1, 1, 64, 64), 0.9, np.float32)
        inside.reshape(-1)[:changed] = 0.1
        box = np.array([[0.0, 0.0, 64.0, 64.0]])
        return [Masks(inside, box, [0], (64, 64))]

    clock = Ticking()
    rows = compared(clock, named("x", clock.runner(0.5, 4.0)), named("y", clock.runner(0.5, 5.0)), decode=pasted)
    assert rows["x fp32"].verdict == ALIKE and rows["x fp32"].pixels == pytest.approx(4 / 4096)
    assert rows["y fp32"].verdict == "refused: 0.12 % of the pixels change (at most 0.1 %)"


def test_what_does_not_run_is_listed_with_its_reason() -> None:
    clock = Ticking()
    rows = compared(
        clock,
        named("a", RuntimeError("no kernel\nfor this")),
        named("b", InputError("no bf16 on this processor")),
        Candidate("c", "fp32", lambda *_: pytest.fail("not opened"), ("no_such_package",)),
        named("d", clock.runner(0.9, float("nan"))),
        named("e", lambda _: {"heatmaps": np.zeros((1, 1, 2, 2), np.float32)}),
    )
    assert rows["a fp32"].verdict == "does not run: RuntimeError: no kernel for this"
    assert rows["b fp32"].verdict == "does not run: no bf16 on this processor"
    assert rows["c fp32"].verdict == "not installed: no_such_package"
    assert rows["d fp32"].verdict == "refused: its outputs are not finite"
    assert rows["e fp32"].verdict.startswith("does not run: the export answers with maps of")
    best = fastest(list(rows.values()), "torch")
    assert best is not None and best.runtime == "torch"


def test_the_plain_runtime_stays_where_nothing_is_clearly_faster() -> None:
    clock = Ticking()
    rows = compared(clock, named("x", clock.runner(0.96)), named("y", clock.runner(1.2)))
    best = fastest(list(rows.values()), "torch")
    assert best is not None and best.runtime == "torch"
    assert fastest([Row("x", "fp32", "refused: it moves", 1.0, 9.0), Row("y", "fp32", "not installed: y")], "z") is None


def test_a_disturbance_that_hits_one_round_does_not_decide() -> None:
    """The least of the rounds counts. The calls: a warm-up, one that is timed, one that is compared, then the race."""
    clock = Ticking()
    rows = compared(clock, named("x", clock.runner([0.5, 0.5, 0.5, 0.5, 30.0, 0.5])), named("y", clock.runner(0.7)))
    assert rows["x fp32"].ms == 500.0 and rows["x fp32"].times == 2.0


def test_what_is_far_behind_leaves_the_race_and_what_is_hopeless_is_not_compared() -> None:
    clock = Ticking()
    slow = compared(clock, named("x", clock.runner(3.0)), rounds=50)
    assert slow["x fp32"].ms == 3000.0 and clock.now == (2 + 1 + 50) + (2 + 1 + 3) * 3.0
    clock = Ticking()
    rows = compared(
        clock,
        named("x", clock.runner(12.0), "bf16"),
        named("y", AssertionError("not opened"), "bf16", slow_start=True),
        named("y", clock.runner(0.5), slow_start=True),
    )
    assert rows["x bf16"].verdict == "slow, 12 times what the plain runtime takes" and rows["x bf16"].ms == 12000.0
    assert rows["y bf16"].verdict.startswith("not tried: x bf16 is slow")
    assert rows["y fp32"].verdict == ALIKE


def test_a_hiccup_of_the_machine_makes_nobody_hopeless() -> None:
    clock = Ticking()
    rows = compared(clock, named("x", clock.runner([0.5, 12.0, 0.5])))
    assert rows["x fp32"].verdict == ALIKE and rows["x fp32"].ms == 500.0


def test_a_small_trial_spares_the_network() -> None:
    clock = Ticking()
    rows = compared(
        clock,
        named("x", AssertionError("not opened"), "bf16", trial=lambda: 12.2),
        named("y", AssertionError("not opened"), "bf16", slow_start=True),
        named("z", clock.runner(0.5), "fp16", trial=lambda: 0.6),
    )
    assert rows["x bf16"].verdict == "slow, 12 times what fp32 takes for one convolution" and rows["x bf16"].ms is None
    assert rows["y bf16"].verdict.startswith("not tried: x bf16 is slow") and rows["z fp16"].verdict == ALIKE
