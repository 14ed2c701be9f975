"""Windows of frames: borders of clips, one change for all frames, masks and weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaname import config as configuration
from kaname.codecs.heatmap import decode
from kaname.data.randomness import order
from kaname.errors import InputError
from kaname.geometry.image import read_image, write_image
from kaname.geometry.view import View
from kaname.inference.request import shown
from kaname.recipes.tracknet import labels
from kaname.recipes.tracknet.config import TracknetConfig
from kaname.recipes.tracknet.data import Windows
from recipes.tracknet.clips import SIZE, call, flight, write_clip

BASE = ("data.resize=[96,64]", "model.heatmap.size=[48,32]", "model.heatmap.sigma=1.5")
STILL = ("data.flip_prob=0", "data.brightness=0", "data.contrast=0")


def windows(root: Path, *overrides: str, augment: bool = False) -> Windows:
    words = {word.partition("=")[0]: word for word in (f"data.root={root}", *BASE, *overrides)}
    config = configuration.load(TracknetConfig, overrides=list(words.values()))
    found = labels.sets(config.data)
    return Windows(config, [*found["train"], *found["val"], *found["test"]], augment=augment)


def brightest(image: np.ndarray) -> np.ndarray:
    """The dot's centre of mass in continuous pixels, measured without the package's own grid."""
    weight = np.clip(image.astype(float).sum(axis=2) - 330, 0, None)
    ys, xs = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(weight * (xs + 0.5)).sum(), (weight * (ys + 0.5)).sum()]) / weight.sum()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """One clip of six frames: visibility 1, 2, 3, 0, 1, 1."""
    write_clip(tmp_path / "data" / "game1" / "Clip1", flight(6, 3), visibility=[1, 2, 3, 0, 1, 1])
    return tmp_path / "data"


def test_no_window_crosses_a_border(tmp_path: Path) -> None:
    """Every frame of a clip has a grey level of its clip's own; a window holds one level only."""
    for clip, frames in enumerate((5, 3, 4)):
        folder = write_clip(
            tmp_path / "data" / "game1" / f"Clip{clip + 1}", flight(frames, clip), visibility=[0] * frames
        )
        for path in folder.glob("*.png"):
            write_image(path, np.full((*SIZE, 3), 60 * (clip + 1), np.uint8))
    for augment, count in ((True, 3 + 1 + 2), (False, 2 + 1 + 2)):
        found = windows(tmp_path / "data", "data.sequence.length=3", *STILL, augment=augment)
        assert len(found) == count
        images = [found.sample(index, 0)["images"] for index in range(len(found))]
        assert all(image.shape == (*SIZE, 9) and image.min() == image.max() for image in images)
        assert {int(image[0, 0, 0]) for image in images} == {60, 120, 180}
    every = windows(tmp_path / "data", "data.sequence.length=3", "data.sequence.stride=2", augment=True)
    assert every.windows == [(0, 0), (0, 2), (1, 0), (2, 0), (2, 1)]
    assert len(windows(tmp_path / "data", "training.limit=2")) == 2


def test_a_clip_shorter_than_the_window(dots: Path, tmp_path: Path) -> None:
    words = ("--data", dots, "data.sequence.length=20", "--out-dir", tmp_path / "run")
    call("train", *words).refused("game1/Clip1 has 16 frames, a window has 20", "data.sequence.length")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("more", [(), ("data.resize=[96,96]",), ("data.resize=[160,64]",), ("data.resize=[64,32]",)])
def test_points_and_heatmaps_move_with_the_image(clip: Path, more: tuple[str, ...]) -> None:
    """Flips and crops: the decoded peak, the stored place and the dot that is seen agree in every frame."""
    resize = configuration.load(TracknetConfig, overrides=list(more or BASE[:1])).data.resize
    half = f"model.heatmap.size=[{resize[0] // 2},{resize[1] // 2}]"
    words = (*more, half, "data.sequence.length=3", "data.crop=0.6", "data.brightness=0",
             "data.contrast=0")  # fmt: skip
    found = windows(clip, *words, augment=True)
    seen, flipped = 0, set()
    for epoch in range(12):
        row = found.sample(0, epoch)
        points, scores = decode(row["heatmaps"].astype(np.float32) / 255, found.grid, "dark")
        for number in range(3):
            if not row["present"][number]:
                assert not row["heatmaps"][number].any() and np.isnan(row["ball"][number]).all()
                continue
            place = row["ball"][number]
            margin = min(*place, *(np.array(resize) - place))
            if margin > 8:
                seen += 1
                assert np.abs(points[number] - place).max() < 0.1 and scores[number] > 0.8
                assert np.abs(brightest(row["images"][..., 3 * number : 3 * number + 3]) - place).max() < 0.25
        flipped.add(bool(row["present"][0] and row["ball"][0, 0] > resize[0] / 2))
    assert seen > 12 and flipped == {True, False}
    assert not np.array_equal(found.sample(0, 0)["images"], found.sample(0, 1)["images"])
    again = found.sample(0, 5)
    assert all(np.array_equal(value, found.sample(0, 5)[name], equal_nan=value.dtype.kind == "f")
               for name, value in again.items())  # fmt: skip


def test_one_colour_change_for_all_frames(tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "data" / "game1" / "Clip1", flight(3, 0), visibility=[0] * 3)
    for path in folder.glob("*.png"):
        write_image(path, np.full((*SIZE, 3), 100, np.uint8))
    found = windows(tmp_path / "data", "data.sequence.length=3", augment=True)
    levels = set()
    for epoch in range(6):
        image = found.sample(0, epoch)["images"]
        assert image.min() == image.max()
        levels.add(int(image[0, 0, 0]))
    assert len(levels) > 3
    assert found.sample(0, -1)["images"].max() == 100, "a pass without augmentation"


def test_absent_and_weights(clip: Path) -> None:
    def masks(*words: str) -> list[float]:
        found = windows(clip, *words)
        return [float(found.sample(index, -1)["mask"][0]) for index in range(6)]

    weights = "training.loss.visibility_weights={absent: 0.5, easy: 1, hard: 3, occluded: 2}"
    assert masks() == [1, 1, 1, 0, 1, 1]
    assert masks("data.absent=negative") == [1, 1, 1, 1, 1, 1]
    assert masks(weights) == [1, 3, 2, 0, 1, 1]
    assert masks(weights, "data.absent=negative") == [1, 3, 2, 0.5, 1, 1]
    assert masks("data.occluded_absent=true") == [1, 1, 0, 0, 1, 1]
    assert masks("data.occluded_absent=true", "data.absent=negative", weights) == [1, 3, 2, 0.5, 1, 1]
    hidden = windows(clip, "data.occluded_absent=true").sample(2, -1)
    assert not hidden["present"][0] and not hidden["heatmaps"].any()
    seen = windows(clip).sample(2, -1)
    assert seen["present"][0] and seen["heatmaps"].max() > 200


def test_sampling_weights(clip: Path) -> None:
    sampling = "training.sampling={absent: 0, easy: 1, hard: 5, occluded: 2}"
    found = windows(clip, sampling)
    assert found.weights().tolist() == [1, 5, 2, 0, 1, 1]
    assert windows(clip, sampling, "data.sequence.length=2", augment=True).weights().tolist() == [5, 5, 2, 1, 1]
    drawn = np.concatenate([order(0, epoch, 6, found.weights()) for epoch in range(400)])
    assert (np.bincount(drawn, minlength=6) / len(drawn)).tolist() == pytest.approx(
        [0.1, 0.5, 0.2, 0, 0.1, 0.1], abs=0.03
    )
    words = ("train", "--data", clip, "--backbone", "small:8", "--model", "small_unet", "--dry-run")
    call(*words, "training.sampling={absent: -1}").refused("absent must not be negative")
    none = "training.sampling={absent: 0, easy: 0, hard: 0, occluded: 0}"
    call(*words, none).refused("sampling leaves no window to draw")


def test_reduced_decoding_does_not_shift(tmp_path: Path) -> None:
    """JPEG frames of eight times the input, decoded at an eighth, at a quarter, or whole: the dot stays."""
    places = flight(4, 5, (512, 768))
    write_clip(tmp_path / "data" / "game1" / "Clip1", places, size=(512, 768), ending="jpg")
    for path in (tmp_path / "data").rglob("*.jpg"):  # a dot that is still one when it is shrunk
        image = read_image(path)
        number = int(path.stem)
        ys, xs = np.mgrid[: image.shape[0], : image.shape[1]]
        far = np.hypot(xs + 0.5 - places[number][0], ys + 0.5 - places[number][1])
        write_image(path, np.where(far[..., None] < 24, 235, 40).repeat(3, axis=2).astype(np.uint8))
    for resize in ("[96,64]", "[192,128]", "[160,96]"):
        size = f"model.heatmap.size={resize}"
        given = (f"data.resize={resize}", size, *STILL)
        fast = windows(tmp_path / "data", *given, augment=True)
        slow = windows(tmp_path / "data", *given, "data.reduced_decode=false", augment=True)
        for index in range(min(4, len(fast))):
            one, other = fast.sample(index, 0), slow.sample(index, 0)
            assert np.array_equal(one["heatmaps"], other["heatmaps"])
            assert resize == "[160,96]" or not np.array_equal(one["images"], other["images"]), "it was not reduced"
            shift = brightest(one["images"]) - brightest(other["images"])
            assert np.abs(shift).max() <= 0.05, (resize, shift)
            place = one["ball"][0]
            assert np.abs(brightest(one["images"]) - place).max() <= 0.05


def test_validation_sees_frames_as_prediction_does(tmp_path: Path) -> None:
    """Decoded whole and not rounded, so that the figures of a log are those of a report."""
    write_clip(tmp_path / "data" / "game1" / "Clip1", flight(3, 5, (512, 768)), size=(512, 768), ending="jpg")
    found, view = windows(tmp_path / "data"), View("letterbox", (64, 96))
    whole = [shown(view, read_image(path)) for path in sorted((tmp_path / "data").rglob("*.jpg"))]
    assert np.array_equal(found.sample(0, -1)["images"], np.concatenate(whole[: found.length], axis=2))


def test_a_frame_of_another_size_is_refused(tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "data" / "game1" / "Clip1", flight(3, 0))
    write_image(folder / "0002.png", np.zeros((32, 96, 3), np.uint8))
    write_image(folder / "0001.png", np.zeros((32, 48, 3), np.uint8))  # not to be taken for a reduced one
    found = windows(tmp_path / "data")
    found.sample(0, -1)
    with pytest.raises(InputError, match="48 x 32 pixels, not 96 x 64"):
        found.sample(1, -1)
    with pytest.raises(InputError, match="96 x 32 pixels, not 96 x 64") as caught:
        found.sample(2, -1)
    assert caught.value.path == str(folder / "0002.png")
