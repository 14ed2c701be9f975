"""Data folders: slots, what is not labelled, masks, and what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kaname.data.cache import ArrayCache
from kaname.data.formats.skeleton import find
from kaname.errors import InputError
from kaname.geometry.image import write_image
from kaname.recipes.kpnet.config import DataSettings, KpnetConfig, LossSettings
from kaname.recipes.kpnet.labels import Thing, filled_slots, read_set, training_sets
from kaname.samples.kpnet import write

SKELETON = find("oss25")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("kpnet") / "data"
    return write(out, count=2, val_count=1, length=4, every=2, size=(64, 96), movie=False)


@pytest.fixture
def data(rendered: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(rendered, tmp_path / "data"))


def needle(track: int | str, x: float) -> Thing:
    return Thing("needle", track, np.full((3, 2), x), np.full(3, 2))


def slots(*things: Thing, order: str = "id") -> list[tuple[int, int | str]]:
    groups = {**SKELETON.groups, "needle": replace(SKELETON.groups["needle"], order=order)}  # type: ignore[arg-type]
    return [(slot.instance, thing.id) for slot, thing in filled_slots(things, replace(SKELETON, groups=groups))]


def test_slots_of_a_class_with_several_instances() -> None:
    assert slots(needle(6, 1.0)) == [(1, 6)]  # alone it is the first, whatever its id
    assert slots(needle(6, 1.0), needle(5, 9.0)) == [(1, 5), (2, 6)]
    assert slots(needle(5, 9.0), needle(6, 1.0), order="x") == [(1, 6), (2, 5)]


def test_what_a_set_holds(rendered: Path) -> None:
    pictures = read_set(DataSettings(rendered), "train")
    assert [(picture.video, picture.number) for picture in pictures] == [
        ("train00", 0), ("train00", 2), ("train01", 0), ("train01", 2),
    ]  # fmt: skip
    points, visible = pictures[0].channels
    assert points.shape == (27, 2) and (np.isfinite(points).all(axis=1) == (visible > 0)).all()
    classes = pictures[0].masks.read(pictures[0].size)
    assert classes is not None and classes.shape == (64, 96) and {1, 2} <= set(np.unique(classes)) <= set(range(7))


def test_masks_lie_where_their_points_are(rendered: Path) -> None:
    """Of each visible point a pixel around it has its class, or one that is later in the order of classes."""
    for picture in read_set(DataSettings(rendered), "train"):
        classes = picture.masks.read(picture.size)
        assert classes is not None
        for number, thing in enumerate(picture.things):
            own = list(SKELETON.groups).index(thing.group) + 1
            for (x, y), seen in zip(thing.points, thing.visible, strict=True):
                if seen == 2:
                    around = classes[max(0, int(y) - 1) : int(y) + 2, max(0, int(x) - 1) : int(x) + 2]
                    assert (around >= own).any(), (picture.source, number)


def test_masks_are_put_together_once(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept is what was read; a changed mask is read again."""
    cache = ArrayCache(tmp_path / "cache", budget=10**8)
    first = read_set(DataSettings(data), "train")[0]
    read = first.masks.read(first.size)
    assert read is not None and np.array_equal(first.masks.read(first.size, cache), read)
    with monkeypatch.context() as patch:
        patch.setattr("kaname.recipes.kpnet.classes.read_mask", None)
        assert np.array_equal(first.masks.read(first.size, cache), read)
    last = max(first.masks.tools)
    write_image(first.masks.tools[last][0], np.full(first.size, 255, np.uint8))
    assert (first.masks.read(first.size, cache) == last).all()


def test_a_point_that_is_not_labelled_is_not_out_of_frame(data: Path) -> None:
    label = data / "train" / "mot" / "train00_frame_0.txt"
    first, *rest = label.read_text().splitlines()
    cells = first.split(",")
    cells[7:10] = ["-1", "-1", "-1"]
    label.write_text("\n".join([",".join(cells), *rest]) + "\n")
    picture = read_set(DataSettings(data), "train")[0]
    assert picture.channels[1].min() == -1 and (picture.channels[1] == -1).sum() == 1


def test_a_video_in_both_sets(data: Path) -> None:
    shutil.copytree(data / "train" / "frames", data / "val" / "frames", dirs_exist_ok=True)
    shutil.copytree(data / "train" / "mot", data / "val" / "mot", dirs_exist_ok=True)
    with pytest.raises(InputError, match=r"train00.*in train and in val"):
        training_sets(KpnetConfig(data=DataSettings(data)))


def test_masks_are_needed_for_a_segmentation_loss(data: Path) -> None:
    shutil.rmtree(data / "train" / "masks")
    loss = LossSettings(seg_weight=0.15)
    with pytest.raises(InputError, match="no frame has a mask"):
        training_sets(KpnetConfig(data=DataSettings(data), loss=loss))
    with pytest.raises(InputError, match="no folder of pseudo masks"):
        training_sets(KpnetConfig(data=DataSettings(data, pseudo_root=data / "nowhere"), loss=loss))
    assert training_sets(KpnetConfig(data=DataSettings(data, pseudo_root=data / "nowhere")))


@pytest.mark.parametrize(
    ("size", "value", "said"), [((64, 96), 7, "the value 7"), ((32, 96), 1, "96 x 32"), ((64, 96), 6, "")]
)
def test_pseudo_masks(data: Path, tmp_path: Path, size: tuple[int, int], value: int, said: str) -> None:
    place = tmp_path / "pseudo" / "train00"
    place.mkdir(parents=True)
    write_image(place / "train00_frame_0.png", np.full(size, value, np.uint8))
    picture = read_set(DataSettings(data, pseudo_root=tmp_path / "pseudo"), "train")[0]
    if said:
        with pytest.raises(InputError, match=said):
            picture.masks.read(picture.size)
    else:
        assert (picture.masks.read(picture.size) == 6).all()
