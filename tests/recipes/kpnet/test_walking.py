"""Bridges through a rendered video whose truth is known: between detections, between frames that are apart."""

from __future__ import annotations

import resource
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from calling import Answer, call
from kaname.data.formats.mot_kp_rows import objects_of, read_rows
from kaname.data.formats.skeleton import find
from kaname.data.video import VideoWriter
from kaname.metrics.hota_kp import score, sequence
from kaname.recipes.kpnet import walking
from kaname.recipes.kpnet.labels import pictures
from kaname.samples.kpnet import sample_of, scene, write
from kaname.samples.suture import RATE
from kaname.tracking.bridge import Found, hold
from kaname.types import Frame
from recipes.kpnet import tiny

SKELETON = find("oss25")
SIZE, LENGTH = (180, 320), 61
SLOTS = {(slot.group, slot.instance): slice(slot.start, slot.stop) for slot in SKELETON.slots}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One validation video, every 10th frame as an image, and a detector whose answers nobody uses."""
    folder = tmp_path_factory.mktemp("walking")
    write(folder / "data", count=1, val_count=1, length=LENGTH, every=10, size=SIZE, seed=1)
    tiny.detector(folder / "rgb.pt")
    return folder


@pytest.fixture(scope="module")
def truth() -> list[tuple[np.ndarray, np.ndarray]]:
    """Points and visibilities of the channels in every frame."""
    shown = scene(1, 1, 0, SIZE, LENGTH)
    samples = [sample_of(shown.shot(number / RATE), Path(f"val00_frame_{number}.png"), "val00", number)
               for number in range(LENGTH)]  # fmt: skip
    return [picture.channels for picture in pictures(samples, SKELETON)]


def infer(made: Path, out: Path, *words: object) -> Answer:
    given = ("--data-root", made / "data", "--ckpt", made / "rgb.pt", "--out-dir", out, "--device", "cpu")
    return call("kpnet", "infer", *given, *words)


def knowing(patch: pytest.MonkeyPatch, answers: Callable[[int], tuple[np.ndarray, np.ndarray]]) -> list[int]:
    """A detector that is told the answers; which frames it has looked at."""
    seen: list[int] = []

    def detect(walk: walking.Walk, frame: Frame) -> Found:
        seen.append(frame.index)
        xy, visible = answers(frame.index)
        scores = np.where(visible > 0, 0.9, 0.0)
        walk.seen = walking.Seen(frame, None, np.nan_to_num(xy))  # type: ignore[arg-type]
        return Found(np.where((visible > 0)[:, None], xy, np.nan), visible, scores)

    patch.setattr(walking.Walk, "_detect", detect)
    return seen


def errors(path: Path, truth: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Pixels between what was written and what is true, of points that are seen and were in frame when detected."""
    found: list[float] = []
    for row in read_rows(path, SKELETON, predictions=True):
        if row.group == "needle":
            continue
        xy, visible = (values[SLOTS[row.group, 1]] for values in truth[row.frame])
        chosen = (visible == 2) & (row.third > 0)
        found += np.linalg.norm(row.points - xy, axis=1)[chosen].tolist()
    return np.array(found)


def test_klt_is_better_than_holding(made: Path, tmp_path: Path, truth: list, monkeypatch: pytest.MonkeyPatch) -> None:
    """K = 10 over every frame of the video; the detector looks at each tenth alone."""
    seen = knowing(monkeypatch, lambda number: truth[number])
    infer(made, tmp_path / "klt", "--every", 1, "--tracker", "klt", "--k", 10).done()
    assert seen == list(range(0, LENGTH, 10))
    monkeypatch.setattr("kaname.tracking.klt.klt", hold)
    infer(made, tmp_path / "hold", "--every", 1, "--tracker", "klt", "--k", 10).done()
    klt, held = (errors(tmp_path / name / "val00_pred.txt", truth) for name in ("klt", "hold"))
    print(f"mean error: KLT {klt.mean():.2f} px, hold {held.mean():.2f} px; median {np.median(klt):.2f}, "
          f"{np.median(held):.2f}; {len(klt)} and {len(held)} points")  # fmt: skip
    assert klt.mean() < 0.6 * held.mean() and np.median(klt) < 0.3 * np.median(held)


def test_a_bridge_walks_through_the_frames_between(
    made: Path, tmp_path: Path, truth: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten frames lie between two that are asked for: through the video the points arrive, in one jump many do not, and
    that it jumps is said."""
    knowing(monkeypatch, lambda number: truth[number])
    words = ("--tracker", "klt", "--k", 3)
    infer(made, tmp_path / "video", *words).done()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        jumped = infer(made, tmp_path / "images", *words, "--video-root", tmp_path).done()
    assert "val00: no video, so the bridge goes 10 frames at a time" in jumped.err + "".join(
        str(w.message) for w in said
    )
    files = [tmp_path / name / "val00_pred.txt" for name in ("video", "images")]
    for file in files:
        assert sorted({row.frame for row in read_rows(file, SKELETON)}) == list(range(0, LENGTH, 10))
    through, direct = ([error for error in errors(file, truth) if error > 1e-2] for file in files)
    print(f"mean error of points that were followed: {np.mean(through):.2f} px, in one jump {np.mean(direct):.2f} px")
    assert np.mean(through) < np.mean(direct)


def test_a_point_that_left_keeps_its_last_place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of frame at a detection: the likeliest place stands there with visibility 0 up to the next detection."""
    count = len(SKELETON.channels)

    def answers(number: int) -> tuple[np.ndarray, np.ndarray]:
        visible = np.full(count, 2)
        visible[0] = 0
        return np.arange(2.0 * count).reshape(count, 2) + 20.5 + number, visible

    knowing(monkeypatch, answers)
    monkeypatch.setattr("kaname.tracking.klt.klt", hold)
    infer(made, tmp_path, "--every", 5, "--tracker", "klt", "--k", 4).done()
    thumb = [line.split(",")[:10] for line in (tmp_path / "val00_pred.txt").read_text().splitlines()
             if line.split(",")[2] == "0"]  # fmt: skip
    assert [row[7:] for row in thumb[:5]] == [["20", "21", "0"]] * 4 + [["40", "41", "0"]]


def test_ids_of_a_class_with_several_instances(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The needles change slots at every detection, one is away for a while; each keeps its id, and there are two."""
    first, second = SLOTS["needle", 1], SLOTS["needle", 2]

    def answers(number: int) -> tuple[np.ndarray, np.ndarray]:
        xy, visible = np.full((27, 2), np.nan), np.zeros(27, np.int64)
        turn = number // 10
        left, right = (first, second) if turn % 2 == 0 else (second, first)
        xy[left], visible[left] = [50.0 + number / 10, 60.0], 2
        if turn != 3:
            xy[right], visible[right] = [250.0, 100.0 + number / 10], 2
        return xy, visible

    knowing(monkeypatch, answers)
    monkeypatch.setattr("kaname.tracking.klt.klt", hold)
    for words in (("--tracker", "klt", "--k", 10, "--every", 1), ()):
        out = tmp_path / str(len(words))
        infer(made, out, *words).done()
        rows = read_rows(out / "val00_pred.txt", SKELETON, predictions=True)
        sides: dict[str, set[object]] = {"left": set(), "right": set()}
        for row in rows:
            sides["left" if row.points[0, 0] < 150 else "right"].add(row.track)
        assert sides == {"left": {5}, "right": {6}}
        assert sum(row.frame == 30 for row in rows) == 1


def test_objects_that_are_absent_cost_hota(
    made: Path, tmp_path: Path, truth: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second needle that is hardly ever there: its rows are false positives, and nothing else is different."""
    knowing(monkeypatch, lambda number: truth[number])
    labels = read_rows(made / "data" / "val" / "mot" / "val00.txt", SKELETON, predictions=False)
    found: dict[str, float] = {}
    for name, words in {"plain": (), "absent": ("--write-absent",)}.items():
        infer(made, tmp_path / name, *words).done()
        rows = read_rows(tmp_path / name / "val00_pred.txt", SKELETON, predictions=True)
        scored = score([sequence(objects_of(labels, SKELETON), objects_of(rows, SKELETON))])
        found[name] = float(scored["mean"]["HOTA"].mean())
    print(f"HOTA-KP {found['plain']:.3f}; with the rows of absent objects {found['absent']:.3f}")
    assert found["plain"] > found["absent"] + 0.02


HUB = '''
import torch

print("the checkout is loaded")


class Double(torch.nn.Module):
    """Every point moves by (2, -1) a frame; it answers for all frames so far, and its own visibility is a boolean."""

    step = 4

    def __init__(self):
        super().__init__()
        self.model = type("Model", (), {})()

    def forward(self, video_chunk, is_first_step=False, queries=None):
        assert video_chunk.shape[1] <= 2 * self.step and 1 < video_chunk.max() <= 255
        if is_first_step:
            self.queries, self.frames = queries, None
            return None, None
        self.frames = video_chunk.shape[1] if self.frames is None else self.frames - self.step + video_chunk.shape[1]
        time = torch.arange(self.frames).float()
        move = time[:, None] * torch.tensor([2.0, -1.0])
        shape = (1, self.frames, self.queries.shape[1])
        self.model.online_vis_predicted = torch.full(shape, 2.0)
        self.model.online_conf_predicted = torch.full(shape, 1.0)
        return self.queries[:, None, :, 1:] + move[None, :, None], torch.ones(shape, dtype=torch.bool)


def cotracker3_online(pretrained=True):
    return Double()
'''


def test_cotracker_by_a_local_stand_in(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queried at the key points, in pixels of the original; its probability 0.64 is compared with --vis-th; the
    licence is shown before anything is loaded."""
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "hubconf.py").write_text(HUB, encoding="utf-8")
    count = len(SKELETON.channels)
    start = np.column_stack([np.linspace(20.25, 60.25, count), np.linspace(100.5, 140.5, count)])
    knowing(monkeypatch, lambda number: (start + number / 2, np.full(count, 2)))
    words = ("--tracker", "cotracker", "--cotracker", tmp_path / "checkout", "--every", 1, "--k", 10, "--grid-size", 20)
    from kaname.recipes.kpnet import infer as module

    for threshold, seen in ((0.5, 2), (0.7, 1)):
        module._cotracker.cache_clear()
        said = infer(made, tmp_path / str(threshold), *words, "--vis-th", threshold).done().out
        assert said.index("CC-BY-NC") < said.index("the checkout is loaded")
        rows = read_rows(tmp_path / str(threshold) / "val00_pred.txt", SKELETON, predictions=True)
        assert len(rows) == 7 * LENGTH
        for row in rows:
            detected = row.frame // 10 * 10
            if row.group != "needle":
                true = start[SLOTS[row.group, 1]] + detected / 2 + (row.frame - detected) * np.array([2.0, -1.0])
                np.testing.assert_allclose(row.points, true, atol=2e-3)
            assert set(row.third) == {2 if row.frame == detected else seen}


@pytest.mark.slow
@pytest.mark.parametrize("tracker", ["none", "klt"])
def test_memory_stays_flat(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracker: str) -> None:
    """Over 10,000 frames, of which the last 8,000 may cost 50 MB."""
    with VideoWriter(tmp_path / "long.mp4", quality=30) as writer:
        noise = np.random.default_rng(0).integers(0, 256, (64, 2 * 96, 3), dtype=np.uint8)
        for number in range(10_000):
            writer.write(noise[:, number % 96 : number % 96 + 96], number / 25)
    used: list[int] = []
    original = walking.Walk._detect

    def detect(walk: walking.Walk, frame: Frame) -> Found:
        if frame.index % 500 == 0:
            used.append(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize())
        return original(walk, frame)

    monkeypatch.setattr(walking.Walk, "_detect", detect)
    words = ("--video-root", tmp_path, "--videos", "long", "--tracker", tracker)
    said = infer(made, tmp_path / "out", *words).done().out
    print(said, [round((value - used[4]) / 1e6, 1) for value in used], "MB")
    assert "long: 10000 frames" in said and used[-1] - used[4] < 50e6
