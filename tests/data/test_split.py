"""Splits by whole games, and copies that stand on both sides of one."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from kaname.data import split as module
from kaname.data.formats import tracknet
from kaname.data.split import HASH_BITS, NearDuplicate, Prints, alike, by_folder, by_group, near_duplicates, prints
from kaname.errors import InputError
from kaname.types import Sample


def samples_of(*games, count=3):
    return [
        Sample(Path(game, f"{number}.jpg"), frame=number, meta={"game": game})
        for number in range(count)
        for game in games
    ]


def test_by_group():
    samples = samples_of("game1", "game2", "game3", "game10")
    split = by_group(samples, train=[1, "game10"], val=["3"])
    assert [sample.meta["game"] for sample in split.train] == ["game1", "game10"] * 3
    assert [sample.frame for sample in split.val] == [0, 1, 2]
    assert split.test == []
    assert split.groups == {"train": ["game1", "game10"], "val": ["game3"], "test": []}
    assert split.unused == ["game2"]
    assert by_group(samples, train=["game1", 1, "1", "01"]).train == samples[::4]  # one game, named again and again


def test_a_name_goes_before_a_number():
    split = by_group(samples_of("1", "match1", "final"), train=[1], val=["final"])
    assert split.groups["train"] == ["1"] and split.unused == ["match1"]
    assert by_group(samples_of("match 007"), train=[7]).groups["train"] == ["match 007"]
    assert by_group(samples_of("game0"), train=[0]).groups["train"] == ["game0"]
    with pytest.raises(InputError, match="no game ''"):
        by_group(samples_of("game0"), train=[""])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"train": [1], "test": ["game1"]}, "'game1' is in train and in test"),
        ({"train": [1], "val": ["game2"], "test": ["game2"]}, "'game2' is in val and in test"),
        ({"train": [1, 4]}, "no game 4; there are: game1, game2, match2"),
        ({"train": ["Game1"]}, "no game 'Game1'"),
        ({"train": [True]}, "no game True"),
        ({"train": [""]}, "no game ''"),
        ({"train": [], "test": [1]}, "train has no game; there are: game1, game2, match2"),
        ({"train": [2]}, "may be game2 or match2"),
        ({"train": [1], "key": "video"}, "belongs to no video"),
    ],
)
def test_refusals(arguments, words):
    with pytest.raises(InputError, match=words):
        by_group(samples_of("game1", "game2", "match2"), **arguments)


def test_no_samples():
    with pytest.raises(InputError, match="no samples"):
        by_group([], train=[1])
    with pytest.raises(InputError, match="no samples"):
        by_group([], train=[])


def scene(seed, player=(30, 60)):
    """A court with stands, and a player on it."""
    rng = np.random.default_rng(seed)
    image = cv2.resize(rng.integers(40, 200, (9, 16, 3), np.uint8), (320, 180), interpolation=cv2.INTER_CUBIC)
    cv2.rectangle(image, player, (player[0] + 14, player[1] + 34), (250, 250, 250), -1)
    return image


def save(folder, images, *options, ending="jpg"):
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04d}.{ending}" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        cv2.imwrite(str(path), image, options)
    return [Sample(path) for path in paths]


def test_copies_are_found_and_other_scenes_are_not(tmp_path):
    images = [scene(seed) for seed in range(6)]
    first = save(tmp_path / "a", images)
    again = save(tmp_path / "b", [cv2.resize(image, (480, 270)) for image in images[:3]], cv2.IMWRITE_JPEG_QUALITY, 50)
    others = save(tmp_path / "c", [scene(seed) for seed in range(6, 12)], ending="png")
    found = near_duplicates(first, again + others)
    assert [(one.first, one.second) for one in found] == [
        (left.image, right.image) for left, right in zip(first, again, strict=False)
    ]
    assert all(0 <= one.bits <= HASH_BITS for one in found)
    assert near_duplicates(first, others) == []
    assert by_folder(found) == [(tmp_path / "a", tmp_path / "b", 3)]
    ready = prints([sample.image for sample in first])
    assert near_duplicates(ready, again + others) == found
    assert near_duplicates(first, []) == near_duplicates([], first) == []


def test_the_same_court_with_the_player_elsewhere_is_no_copy(tmp_path):
    first = save(tmp_path / "a", [scene(0, (30, 60)), scene(0, (200, 90))])
    second = save(tmp_path / "b", [scene(0, (90, 120)), scene(0, (250, 20))])
    ready = [prints([sample.image for sample in part]) for part in (first, second)]
    bits = (512 - ready[0].signs @ ready[1].signs.T) / 2
    assert (bits <= HASH_BITS).any()  # the hash alone would call them copies
    assert near_duplicates(*ready) == []


def test_copies_within_one_set(tmp_path):
    """Each pair once, no frame with itself; positions are those of the paths, flat frames included."""
    flat = np.full_like(scene(1), 90)
    paths = [sample.image for sample in save(tmp_path / "a", [scene(1), flat, scene(2), scene(1), flat, scene(3)])]
    paths += [sample.image for sample in save(tmp_path / "b", [scene(2)], cv2.IMWRITE_JPEG_QUALITY, 40)]
    assert [pair[:2] for pair in alike(prints(paths))] == [(0, 3), (2, 6)]
    assert alike(prints([])) == []


def test_flat_frames_are_not_compared(tmp_path):
    black = save(tmp_path / "a", [np.zeros((90, 160, 3), np.uint8), scene(1)])
    grey = save(tmp_path / "b", [np.full((90, 160, 3), 30, np.uint8), np.zeros((90, 160, 3), np.uint8)])
    assert near_duplicates(black, grey) == []
    assert near_duplicates(grey, grey) == []


def test_sizes_that_decoding_does_not_divide(tmp_path):
    """540 rows at an eighth are 68 for 67.5; tiny images are decoded whole."""
    large = cv2.resize(scene(3), (1280, 720), interpolation=cv2.INTER_CUBIC)
    first = save(tmp_path / "a", [large])
    for width, height in ((960, 540), (1067, 600), (641, 361), (96, 54)):
        copy = save(tmp_path / f"{width}", [cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)])
        assert len(near_duplicates(first, copy)) == 1, (width, height)


def test_what_is_no_image_is_named(tmp_path):
    good = save(tmp_path, [scene(0)])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no image")
    for name in ("empty.jpg", "text.jpg", "none.jpg"):
        with pytest.raises(InputError) as caught:
            near_duplicates(good, [Sample(tmp_path / name)])
        assert caught.value.path == str(tmp_path / name)
    header = good[0].image.read_bytes()[:300]  # enough for the size and nothing of the picture
    (tmp_path / "cut.jpg").write_bytes(header)
    with pytest.raises(InputError):
        near_duplicates(good, [Sample(tmp_path / "cut.jpg")])


def random_prints(count, seed):
    rng = np.random.default_rng(seed)
    return Prints(
        paths=[Path(f"{seed}", f"{number}.jpg") for number in range(count)],
        signs=np.where(rng.random((count, 512)) < 0.5, -1, 1).astype(np.float32),
        cells=rng.normal(0, 50, (count, 576)).astype(np.float32),
        telling=rng.random(count) < 0.9,
    )


def test_blocks_give_what_a_slow_search_gives(monkeypatch):
    one, other = random_prints(300, 0), random_prints(500, 1)
    rng = np.random.default_rng(2)
    for row, column in zip(rng.permutation(300)[:60], rng.permutation(500)[:60], strict=True):
        flips = rng.permutation(512)[: rng.integers(0, 60)]
        other.signs[column] = one.signs[row]
        other.signs[column, flips] *= -1
        other.cells[column] = one.cells[row] + rng.uniform(-1, 1, 576) * rng.choice([5, 19, 30])
    slow = []
    for row in range(300):
        best = None
        for column in range(500):
            bits = int((one.signs[row] != other.signs[column]).sum())
            apart = np.abs(one.cells[row] - other.cells[column]).max()
            near = bits <= module.HASH_BITS and apart <= module.CELL_LEVELS
            if one.telling[row] and other.telling[column] and near and (best is None or apart < best[0]):
                best = (apart, NearDuplicate(one.paths[row], other.paths[column], bits))
        if best is not None:
            slow.append(best[1])
    assert 15 < len(slow) < 60
    for block in (7, 128, 2048):
        monkeypatch.setattr(module, "_BLOCK", block)
        assert near_duplicates(one, other) == slow


def test_a_full_data_set_compares_in_seconds():
    one, other = random_prints(6000, 0), random_prints(4000, 1)
    start = time.process_time()
    assert near_duplicates(one, other) == []
    assert time.process_time() - start < 20  # 0.7 s alone; a loop over pairs would take minutes


def test_real_clips(shared_data, tmp_path):
    samples = tracknet.read(shared_data / "tracknet")
    games = by_group(samples, train=[1], test=[2])
    assert (len(games.train), len(games.test)) == (145, 30)
    train = prints([sample.image for sample in games.train])
    assert near_duplicates(train, games.test) == []
    copies = []
    for number, sample in enumerate(games.train[::12]):
        image = cv2.imread(str(sample.image))
        size = ((640, 360), (960, 540), (1280, 720))[number % 3]
        path = tmp_path / f"{number}.jpg"
        cv2.imwrite(str(path), cv2.resize(image, size, interpolation=cv2.INTER_AREA), [cv2.IMWRITE_JPEG_QUALITY, 60])
        copies.append(Sample(path))
    found = near_duplicates(copies, train)
    assert [one.first for one in found] == [copy.image for copy in copies]
    # Neighbours may be as near as the frame itself, but not frames of elsewhere.
    for one, sample in zip(found, games.train[::12], strict=True):
        assert one.second.parent == sample.image.parent
        assert abs(int(one.second.stem) - int(sample.image.stem)) <= 3
