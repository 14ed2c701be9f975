"""HOTA against TrackEval's own, by hand, its rules for nothing at all, and how sequences come together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaname.data.formats.mot_kp_rows import objects_of, read_rows
from kaname.data.formats.skeleton import Group, Skeleton
from kaname.errors import InputError
from kaname.metrics.hota import ALPHAS, class_mean, counts, figures, hota
from kaname.metrics.hota_kp import score, sequence
from kaname.metrics.similarity import keypoint_similarity

FIELDS = ("HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA", "HOTA_TP", "HOTA_FN", "HOTA_FP")
Case = tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]


def published(truth: Sequence[Any], predicted: Sequence[Any], similarity: Sequence[np.ndarray]) -> dict[str, Any]:
    """TrackEval's answer; it wants ids that count from 0."""
    metric = pytest.importorskip("trackeval.metrics.hota", reason="needs the package trackeval").HOTA()
    numbers: list[dict[Any, int]] = [{}, {}]
    ids = [
        [np.array([known.setdefault(one, len(known)) for one in frame], int) for frame in frames]
        for known, frames in zip(numbers, (truth, predicted), strict=True)
    ]
    data = {
        "num_gt_ids": len(numbers[0]), "num_tracker_ids": len(numbers[1]), "gt_ids": ids[0], "tracker_ids": ids[1],
        "num_gt_dets": sum(map(len, ids[0])), "num_tracker_dets": sum(map(len, ids[1])),
        "similarity_scores": [np.asarray(one, float) for one in similarity],
    }  # fmt: skip
    return (
        metric.eval_sequence.__wrapped__(metric, data)
        if hasattr(metric.eval_sequence, "__wrapped__")
        else (metric.eval_sequence(data))
    )


def case(seed: int, frames: int | None = None, most: int | None = None) -> Case:
    """A random sequence: empty frames, gaps, single and many objects, ties, sparse and dense similarities."""
    random = np.random.default_rng(seed)
    frames = int(random.integers(0, 30)) if frames is None else frames
    most = int(random.choice([1, 2, 4, 9])) if most is None else most
    pools = [random.permutation(most * 2)[: most + random.integers(0, most + 1)] * 1000 - 7 for _ in range(2)]
    kind = random.choice(["dense", "sparse", "steps", "close"])
    truth, predicted, similarity = [], [], []
    for _ in range(frames):
        ids = [np.sort(random.choice(pool, random.integers(0, most + 1), replace=False)) for pool in pools]
        alike = random.random((len(ids[0]), len(ids[1])))
        if kind == "sparse":
            alike *= random.random(alike.shape) < 0.3
        elif kind == "steps":
            alike = np.round(alike * 5) / 5
        elif kind == "close":
            alike = np.where(ids[0][:, None] == ids[1][None], 0.6 + 0.4 * alike, 0.2 * alike)
        truth.append(ids[0])
        predicted.append(ids[1])
        similarity.append(alike)
    return truth, predicted, similarity


def same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    for field in FIELDS:
        np.testing.assert_allclose(found[field], wanted[field], rtol=0, atol=1e-9, err_msg=field)


def test_500_random_cases_equal_trackeval() -> None:
    scores = []
    for seed in range(500):
        one = case(seed)
        found = hota(*one)
        same(found, published(*one))
        scores.append(found["HOTA"].mean())
    assert 0.1 < np.mean(scores) < 0.9 and np.std(scores) > 0.1


@pytest.mark.parametrize("strange", ["text", "tuples", "mixed", "large"])
def test_ids_may_be_anything(strange: str) -> None:
    truth, predicted, similarity = case(7, frames=20, most=4)
    change = {
        "text": lambda one: f"id {one}",
        "tuples": lambda one: (one, "x"),
        "mixed": lambda one: one if one % 2 else str(one),
        "large": lambda one: one + 10**25,
    }[strange]
    named = [[[change(int(one)) for one in frame] for frame in frames] for frames in (truth, predicted)]
    same(hota(named[0], named[1], similarity), hota(truth, predicted, similarity))


def test_by_hand() -> None:
    """Two frames of one object that changes its id: DetA 1, AssA 1/2, and above the similarity of 0.7 one match."""
    found = hota([["a"], ["a"]], [[1], [2]], [[[1.0]], [[0.7]]])
    assert found["HOTA"][0] == pytest.approx(np.sqrt(0.5)) and found["LocA"][0] == pytest.approx(0.85)
    assert found["AssRe"][0] == pytest.approx(0.5) and found["AssPr"][0] == 1
    assert found["HOTA_TP"].tolist() == [2.0 if alpha <= 0.7 + 1e-9 else 1.0 for alpha in ALPHAS]
    assert found["DetA"][18] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("truth", "predicted", "wanted"),
    [
        ([], [], (0, 0, 0)),
        ([[]], [[]], (0, 0, 0)),
        ([["a"]], [[]], (0, 1, 0)),
        ([[], []], [["b"], ["b", "c"]], (0, 0, 3)),
    ],
)
def test_nothing_at_all(truth: list[Any], predicted: list[Any], wanted: tuple[int, int, int]) -> None:
    similarity = [np.zeros((len(one), len(other))) for one, other in zip(truth, predicted, strict=True)]
    found = hota(truth, predicted, similarity)
    assert found["LocA"].tolist() == [1.0] * 19 and not found["HOTA"].any() and not found["AssA"].any()
    assert tuple(found[name][0] for name in ("HOTA_TP", "HOTA_FN", "HOTA_FP")) == wanted


def test_sequences_are_combined_as_trackeval_does() -> None:
    metric = pytest.importorskip("trackeval.metrics.hota", reason="needs the package trackeval").HOTA()
    cases = [case(seed, frames=12, most=3) for seed in range(6)] + [([["a"]], [[]], [np.zeros((1, 0))])]
    wanted = metric.combine_sequences({str(number): published(*one) for number, one in enumerate(cases)})
    sums = np.stack([counts(*one) for one in cases])  # type: ignore[arg-type]
    same(figures(sums.sum(axis=0)), wanted)
    stacked = figures(sums)
    assert stacked["HOTA"].shape == (7, 19)
    same({name: stacked[name][2] for name in FIELDS}, published(*cases[2]))
    classes = {"a": figures(sums[0]), "b": figures(sums[1]), "absent": figures(np.zeros((7, 19)))}
    others = dict.fromkeys(("OWTA", "HOTA(0)", "LocA(0)", "HOTALocA(0)"), 0)
    mean = metric.combine_classes_class_averaged({name: {**one, **others} for name, one in classes.items()})
    same(class_mean(classes), mean)


def test_many_ids_need_no_table_of_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    one = case(3, frames=25, most=9)
    before = hota(*one)
    monkeypatch.setattr("kaname.metrics.hota.DENSE", 0)
    monkeypatch.setattr("kaname.metrics.hota.BLOCK", 10)
    changed = ([ids + 1000 * number for number, ids in enumerate(one[0])], *one[1:])
    same(hota(*one), before)
    same(hota(*changed), published(*changed))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (([[1]], [], [[[1.0]]]), "of 1, 0 and 1 frames"),
        (([[1], [2, 2]], [[1], [1]], [[[1.0]], [[1.0], [0.0]]]), "an id twice among the truth objects of frame 1"),
        (
            ([[1]], [[1, 2]], [[[1.0]]]),
            r"the similarities of frame 0 of the list have the shape \(1, 1\), its ids \(1, 2\)",
        ),
        (([[1]], [[1]], [[[1.5]]]), r"outside 0\.\.1"),
        (([[1]], [[1]], [[[np.nan]]]), r"outside 0\.\.1"),
    ],
)
def test_what_is_refused(arguments: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        hota(*arguments)


def test_a_real_tracker(shared_data: Path) -> None:
    """Two flies, 900 frames, ids that swap."""
    folder = shared_data / "kpnet" / "flies"
    skeleton = Skeleton("flies", {"fly": Group(("fly.head", "fly.tail"), id=0, instances=2)})
    truth, tracker = (
        read_rows(folder / name, skeleton, predictions=True) for name in ("gt_2kp.txt", "tracker_2kp.txt")
    )
    frames: list[list[Any]] = [[], [], []]
    for number in range(900):
        here = [[row for row in rows if row.frame == number] for rows in (truth, tracker)]
        frames[0].append([row.track for row in here[0]])
        frames[1].append([row.track for row in here[1]])
        places = [np.array([row.points for row in rows]).reshape(-1, 2, 2) for rows in here]
        seen = np.array([row.third for row in here[0]]).reshape(-1, 2)
        frames[2].append(keypoint_similarity(places[0], places[1], seen))
    found = hota(frames[0], frames[1], frames[2])
    same(found, published(frames[0], frames[1], frames[2]))
    assert found["AssA"].min() < 0.9 and found["LocA"].max() <= 1
    objects = [objects_of(rows, skeleton) for rows in (truth, tracker)]
    same(score([sequence(*objects)])["classes"]["fly"], found)
