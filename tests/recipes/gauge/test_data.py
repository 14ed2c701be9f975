from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kaname.data.augment import brightness_contrast, rotated_window
from kaname.data.augment_settings import PhotoSettings
from kaname.errors import InputError
from kaname.geometry.image import read_image, write_image
from kaname.geometry.view import View
from kaname.inference.request import shown
from kaname.recipes.gauge.config import AugmentSettings, GaugeConfig
from kaname.recipes.gauge.data import Dials
from kaname.recipes.gauge.labels import Dial
from kaname.recipes.gauge.prepare import encode
from recipes.gauge.dials import CHANNELS

SIZE = 96
PLAIN = AugmentSettings(probability=1.0, rotate=180, crop=1.2, colour_probability=0.0)


def dial(folder: Path, size: tuple[int, int], xy: tuple[float, float], *, maps: bool) -> Dial:
    """A black image with one bright Gaussian blob at ``xy``, labelled as start (and another as the end)."""
    ys, xs = np.mgrid[: size[0], : size[1]] + 0.5
    scale = max(size) / SIZE
    blob = np.exp(-((xs - xy[0]) ** 2 + (ys - xy[1]) ** 2) / (2 * (2.5 * scale) ** 2))
    folder.mkdir(parents=True, exist_ok=True)
    write_image(folder / "a.png", np.rint(255 * blob)[..., None].repeat(3, axis=2).astype(np.uint8))
    points = {"start": np.array([xy]), "middle": np.zeros((0, 2)), "end": np.zeros((0, 2))}
    if not maps:
        return Dial(folder / "a.png", points, None)
    np.save(folder / "a.npy", encode(points, size, SIZE, 14.0))
    return Dial(folder / "a.png", None, folder / "a.npy")


def centroid(values: np.ndarray) -> np.ndarray:
    mass = values.astype(np.float64)
    ys, xs = np.mgrid[: mass.shape[0], : mass.shape[1]] + 0.5
    return np.array([(mass * xs).sum(), (mass * ys).sum()]) / mass.sum()


def config(augment: AugmentSettings = PLAIN) -> GaugeConfig:
    return GaugeConfig(size=SIZE, sigma=14.0, augment=augment)


@pytest.mark.parametrize("maps", [False, True], ids=["points", "npy"])
@pytest.mark.parametrize("size", [(96, 96), (120, 200), (300, 300)])
def test_image_and_maps_move_together(tmp_path: Path, size: tuple[int, int], maps: bool) -> None:
    place = (size[1] * 0.46, size[0] * 0.55)
    samples = Dials(config(), [dial(tmp_path, size, place, maps=maps)], augment=True)
    seen = []
    for epoch in range(-1, 12):
        row = samples.sample(0, epoch)
        assert row["images"].shape == (SIZE, SIZE, 3)
        assert row["images"].dtype == (np.float32 if epoch < 0 else np.uint8)  # as it is seen in prediction
        assert row["heatmaps"].shape == (3, SIZE, SIZE) and row["heatmaps"].dtype == np.uint8
        image, start = row["images"][..., 0], row["heatmaps"][0]
        edges = [np.r_[grey[0], grey[-1], grey[:, 0], grey[:, -1]].max() for grey in (image, start)]
        assert np.array_equal(row["heatmaps"][1], row["heatmaps"].max(axis=0))  # start and end are notches too
        assert row["heatmaps"][2].max() == 0
        if max(edges) > 2:
            continue  # cut off by the border: no centroid
        seen.append(centroid(start))
        assert np.abs(centroid(image) - seen[-1]).max() < 0.15, epoch
    assert len(seen) > 6 and np.ptp(np.array(seen), axis=0).max() > 3


def test_validation_sees_a_dial_as_prediction_does(tmp_path: Path) -> None:
    """Not rounded, so that the figures of a log are those of a report."""
    one = dial(tmp_path, (301, 217), (100.0, 150.0), maps=False)
    seen = Dials(config(), [one], augment=False).sample(0, -1)["images"]
    assert np.array_equal(seen, shown(View("letterbox", (SIZE, SIZE)), read_image(one.image)))


@pytest.mark.parametrize("size", [(96, 96), (150, 90)])
def test_maps_from_files_agree_with_those_from_points(tmp_path: Path, size: tuple[int, int]) -> None:
    place = (size[1] * 0.42, size[0] * 0.51)
    exact = Dials(config(), [dial(tmp_path / "p", size, place, maps=False)], augment=True)
    warped = Dials(config(), [dial(tmp_path / "m", size, place, maps=True)], augment=True)
    for epoch in range(-1, 6):
        one, other = exact.sample(0, epoch), warped.sample(0, epoch)
        assert np.array_equal(one["images"], other["images"])
        # An enlarged map has wider dots than a map of enlarged points: there the places are compared.
        if epoch < 0:
            assert np.abs(one["heatmaps"].astype(int) - other["heatmaps"]).max() <= 1
        elif one["heatmaps"][0].max() > 250:
            assert np.abs(centroid(one["heatmaps"][0] > 128) - centroid(other["heatmaps"][0] > 128)).max() < 0.3


def test_samples_depend_on_seed_epoch_and_index_alone(tmp_path: Path) -> None:
    one = dial(tmp_path, (96, 96), (40, 50), maps=False)
    first = Dials(config(AugmentSettings()), [one] * 4, augment=True)
    again = Dials(config(AugmentSettings()), [one] * 4, augment=True)
    order = [(2, 5), (0, 0), (3, 1), (2, 4)]
    rows = {key: first.sample(*key) for key in order}
    for key in reversed(order):
        for name, value in again.sample(*key).items():
            assert np.array_equal(value, rows[key][name])
    assert not np.array_equal(rows[2, 5]["images"], rows[2, 4]["images"])
    assert not np.array_equal(first.sample(1, 3)["images"], first.sample(2, 3)["images"])


def test_validation_has_no_augmentation(tmp_path: Path) -> None:
    samples = Dials(config(), [dial(tmp_path, (96, 96), (40, 50), maps=False)], augment=False)
    assert np.array_equal(samples.sample(0, 3)["images"], samples.sample(0, -1)["images"])


def test_the_ranges_of_the_augmentation() -> None:
    """Rotation about the centre by up to 180 degrees, a window of the old size in an image 1.2 times as large."""
    random = np.random.default_rng(0)
    wanted = AugmentSettings()
    views = [rotated_window(random, (100, 100), rotate=wanted.rotate, enlarge=wanted.crop) for _ in range(500)]
    matrices = np.array([view.matrix for view in views])
    angles = np.rad2deg(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    assert np.allclose(np.linalg.det(matrices[:, :, :2]), 1.2**2)
    assert angles.min() < -170 and angles.max() > 170 and abs(np.mean(angles > 0) - 0.5) < 0.1
    centres = np.array([view.points([[50.0, 50.0]])[0] for view in views])
    assert centres.min() >= 40 - 1e-9 and centres.max() <= 60 + 1e-9 and np.ptp(centres, axis=0).min() > 19


def test_brightness_and_contrast_stop_at_black_and_white() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, :4] = 190
    image[0, 0] = 100
    random = np.random.default_rng(1)
    settings = AugmentSettings()
    means = []
    for _ in range(60):
        changed = brightness_contrast(random, image, settings.brightness, settings.contrast)
        assert changed.dtype == np.uint8 and changed.shape == image.shape
        dark, grey, light = int(changed[7, 7, 0]), int(changed[0, 0, 0]), int(changed[7, 0, 0])
        assert dark <= grey <= light  # the order of the levels stays
        means.append(changed.mean())
    assert min(means) < 0.9 * image.mean() < 1.1 * image.mean() < max(means)


@pytest.mark.parametrize(("probability", "changes"), [(0.0, False), (1.0, True)])
def test_the_share_of_images_whose_colours_change(tmp_path: Path, probability: float, changes: bool) -> None:
    settings = AugmentSettings(probability=1.0, rotate=0, crop=1, colour_probability=probability)
    samples = Dials(config(settings), [dial(tmp_path, (96, 96), (40, 50), maps=False)], augment=True)
    plain = samples.sample(0, -1)["images"]
    assert any(not np.array_equal(samples.sample(0, epoch)["images"], plain) for epoch in range(4)) is changes


def test_middle_is_every_notch(tmp_path: Path) -> None:
    base = dial(tmp_path, (96, 96), (30, 30), maps=False)
    points = {"start": np.array([[20.5, 20.5]]), "middle": np.array([[50.5, 20.5]]), "end": np.array([[70.5, 70.5]])}
    row = Dials(config(), [Dial(base.image, points, None)], augment=False).sample(0, -1)
    for x, y in ((20, 20), (50, 20), (70, 70)):
        assert row["heatmaps"][CHANNELS.index("middle"), y, x] == 255


PHOTO = {"blur": 3.0, "shake": 6.0, "noise": 4.0, "temperature": 0.2, "shade": 0.2, "coarse": 0.6, "jpeg": 60}


def test_a_harder_photograph_moves_no_point(tmp_path: Path) -> None:
    """With light, lens, sensor and file the blob is still where its map is; a shrunken one too."""
    place = (SIZE * 0.46, SIZE * 0.55)
    plain = AugmentSettings(probability=1.0, rotate=30, crop=1.0, colour_probability=0.0, shrink=0.5)
    hard = replace(plain, photo=PhotoSettings(probability=1.0, **PHOTO))
    known = dial(tmp_path, (SIZE, SIZE), place, maps=False)
    samples = [Dials(config(one), [known], augment=True) for one in (plain, hard)]
    changed, sizes = 0, []
    for epoch in range(10):
        easy, noisy = (each.sample(0, epoch) for each in samples)
        assert np.array_equal(easy["heatmaps"], noisy["heatmaps"])  # what moves is drawn first
        changed += not np.array_equal(easy["images"], noisy["images"])
        seen = noisy["images"][..., 0].astype(float)
        seen = np.where(seen > 0.4 * seen.max(), seen, 0)
        assert np.abs(centroid(seen) - centroid(easy["heatmaps"][0])).max() < 1.2
        sizes.append(float((easy["images"][..., 0] > 128).sum()))
    assert changed == 10
    assert min(sizes) < 0.6 * max(sizes)  # the dial is seen at many sizes


def test_each_change_of_the_photograph_acts_alone_and_only_where_it_is_asked_for(tmp_path: Path) -> None:
    known = dial(tmp_path, (SIZE, SIZE), (40.0, 50.0), maps=False)
    photo = PhotoSettings(probability=1.0)
    still = AugmentSettings(probability=1.0, rotate=0, crop=1.0, colour_probability=0.0, photo=photo)
    before = Dials(config(still), [known], augment=True)
    assert np.array_equal(before.sample(0, 3)["images"], before.sample(0, -1)["images"])
    for name, value in {**PHOTO, "glare": 120.0}.items():
        acting = Dials(config(replace(still, photo=replace(photo, **{name: value}))), [known], augment=True)
        changed = [not np.array_equal(acting.sample(0, e)["images"], before.sample(0, e)["images"]) for e in range(4)]
        assert any(changed), name


@pytest.mark.parametrize("wrong", [{"jpeg": 0}, {"shade": 1.5}, {"coarse": 2.0}, {"blur": -1.0}])
def test_impossible_changes_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        PhotoSettings(**wrong)
    with pytest.raises(InputError, match="shrink"):
        AugmentSettings(shrink=0.0)
