"""The adapter against a stand-in that behaves as the published predictor does."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kaname.errors import InputError
from kaname.tracking.bridge import Found, bridged
from kaname.tracking.cotracker import LICENCE, cotracker, load
from kaname.types import Frame

SIZE = (40, 60)
STEP = 8
MOVE = np.array([0.5, -0.25])
INTERNAL = (384, 512)


class Double:
    """The first call gives nothing; later ones answer for all frames so far, whose last half is a guess.

    Frames tell their number in every pixel, so that a window that does not begin where the model is is noticed.
    Visibility is returned as a boolean; the model keeps logits.
    """

    def __init__(self, total: int = 25) -> None:
        self.step, self.total = STEP, total  # frames of a stretch
        self.model = SimpleNamespace(online_vis_predicted=None, online_conf_predicted=None)
        self.kept = 0
        self.asked: list[np.ndarray] = []

    def __call__(self, video_chunk: Tensor, is_first_step: bool = False, queries: Any = None) -> Any:
        rows, columns = video_chunk.shape[3:]
        scale = torch.tensor([(INTERNAL[1] - 1) / (columns - 1), (INTERNAL[0] - 1) / (rows - 1)])
        if is_first_step:
            self.queries = queries.clone()
            self.queries[:, :, 1:] *= scale
            self.asked.append(queries[0].numpy())
            self.start, self.windows, self.frames = float(video_chunk[0, 0, 0, 0, 0]), 0, 0
            return None, None
        numbers = video_chunk[0, :, 0, 0, 0].numpy()
        length = len(numbers)
        assert STEP < length <= 2 * STEP or self.windows == 0
        begin = self.windows * STEP
        assert numbers.tolist() == [self.start + begin + n for n in range(length)]
        assert video_chunk.dtype == torch.float32
        self.windows, self.frames = self.windows + 1, begin + length
        self.kept = max(self.kept, self.frames)
        time = torch.arange(self.frames, dtype=torch.float32)
        places = self.queries[:, None, :, 1:] + (time[:, None] * torch.tensor(MOVE).float() * scale)[None, :, None]
        if self.frames < self.total:  # what the next window will put right
            places[:, begin + STEP :] += 50
        shape = (1, self.frames, self.queries.shape[1])
        self.model.online_vis_predicted = torch.full(shape, 1.5)
        self.model.online_conf_predicted = torch.full(shape, 0.5)
        return places / scale, torch.ones(shape, dtype=torch.bool)


def video(count: int) -> list[np.ndarray]:
    return [np.full((*SIZE, 3), number, np.uint8) for number in range(count)]


POINTS = np.array([[10.25, 30.5], [0.6, 0.6], [59.3, 39.5]])


@pytest.mark.parametrize("count", [1, 2, 8, 9, 10, 16, 17, 24, 25, 33, 50])
@pytest.mark.parametrize("grid_size", [0, 3])
def test_one_answer_for_each_frame(count: int, grid_size: int) -> None:
    """In continuous pixels, of the points alone, whatever the length; guesses are not passed on."""
    double = Double(count)
    answers = list(cotracker(double, grid_size=grid_size)(iter(video(count)), POINTS))
    assert len(answers) == count - 1
    for number, (places, probability) in enumerate(answers, 1):
        np.testing.assert_allclose(places, POINTS + MOVE * number, atol=1e-3)
        wanted = 1 / (1 + np.exp(-1.5)) / (1 + np.exp(-0.5))
        np.testing.assert_allclose(probability, np.full(3, wanted), atol=1e-6)
    if count > 1:
        asked = double.asked[0]
        assert len(asked) == 3 + grid_size**2 and not asked[:, 0].any()
        np.testing.assert_allclose(asked[:3, 1:], POINTS - 0.5)  # index coordinates
        if grid_size:
            np.testing.assert_allclose(asked[3:, 1:].mean(axis=0), [29.5, 19.5], atol=1e-4)
            assert (asked[:, 1:] >= 0).all() and (asked[:, 1:] <= np.array([59, 39])).all()


def test_a_predictor_without_logits() -> None:
    """Its visibility counts as it is."""

    class Plain(Double):
        def __call__(self, video_chunk: Tensor, is_first_step: bool = False, queries: Any = None) -> Any:
            answer = super().__call__(video_chunk, is_first_step, queries)
            self.model = SimpleNamespace()
            return answer

    answers = list(cotracker(Plain(5))(iter(video(5)), POINTS))
    assert all(probability.tolist() == [1, 1, 1] for _, probability in answers)


def test_in_a_bridge_memory_is_that_of_a_stretch() -> None:
    """10,000 frames: started anew at each detection, frames kept no longer than their stretch."""
    double = Double()
    frames = (Frame(number, number / 25, np.full((*SIZE, 3), number % 250, np.uint8)) for number in range(10_000))

    def detect(frame: Frame) -> Found:
        return Found(POINTS, np.full(3, 2), np.ones(3))

    count = 0
    for row in bridged(frames, detect, cotracker(double), k=25, threshold=0.5):
        since = row.frame % 25
        inside = POINTS + MOVE * since
        seen = ((inside >= 0) & (inside <= SIZE[::-1])).all(axis=1)
        assert row.frame == count and row.detected == (since == 0)
        np.testing.assert_allclose(row.found.xy[0], inside[0], atol=1e-3)
        assert row.found.visible[0] == 2 and (row.found.visible[1:] > 0).tolist() == seen[1:].tolist()
        count += 1
    assert count == 10_000 and double.kept == 25 and len(double.asked) == 400


def test_the_threshold_works_on_the_probability() -> None:
    def seen(threshold: float) -> int:
        def detect(frame: Frame) -> Found:
            return Found(POINTS, np.full(3, 2), np.ones(3))

        frames = (Frame(number, 0.0, image) for number, image in enumerate(video(4)))
        return int(list(bridged(frames, detect, cotracker(Double(4)), k=10, threshold=threshold))[2].found.visible[0])

    assert (seen(0.5), seen(0.6)) == (2, 1)  # 0.509


def test_loading(tmp_path: Path) -> None:
    """The licence comes first; a checkout loads without a network."""
    told: list[str] = []
    with pytest.raises(InputError, match=r"no checkout of CoTracker: it has no hubconf.py; clone facebookresearch"):
        load(tmp_path, notice=told.append)
    assert told == [LICENCE] and "CC-BY-NC" in LICENCE
    (tmp_path / "hubconf.py").write_text(
        "import torch\n\n\ndef cotracker3_online(**options):\n"
        "    net = torch.nn.Linear(1, 1)\n    net.step = 8\n    return net\n"
    )
    assert load(tmp_path, notice=told.append).step == 8
    (tmp_path / "hubconf.py").write_text("def cotracker3_online(**options):\n    raise OSError('no weights')\n")
    with pytest.raises(InputError, match=r"cannot be loaded from .* \(no weights\); give a local checkout"):
        load(tmp_path, notice=told.append)
    with pytest.raises(InputError, match="--grid-size must not be negative"):
        cotracker(Double(), grid_size=-1)
