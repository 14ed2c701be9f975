"""Training samples: image, points, mask, flow and the frame before move together; motion comes from the video."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaname.config import load
from kaname.data.flow import sampled
from kaname.data.formats import mot_kp
from kaname.data.formats.mot_kp_files import neighbours
from kaname.data.video import VideoWriter
from kaname.errors import InputError
from kaname.geometry.grid import PIXELS
from kaname.geometry.image import read_image, write_image
from kaname.inference.request import shown
from kaname.recipes.kpnet.config import KpnetConfig
from kaname.recipes.kpnet.data import Frames
from kaname.recipes.kpnet.epochs import task_fields
from kaname.recipes.kpnet.labels import training_sets
from kaname.recipes.kpnet.motion import motion_of
from kaname.samples.kpnet import write as render
from kaname.types import Sample

SIZE = (96, 160)
STEP = np.array([1.6, -0.9])  # pixels that the dot moves in a frame
BASE = ("image_size=96,160", "resize_only=true", "heatmap_size=48,80", "model.backbone=small:8", "train.cache_budget=0")


def spot(frame: int) -> np.ndarray:
    """Where the dot is."""
    return np.array([60.3, 50.7]) + STEP * frame


def picture(frame: int) -> np.ndarray:
    """A bright dot on a weak texture that moves with it."""
    xs, ys = np.meshgrid(np.arange(SIZE[1]), np.arange(SIZE[0]))
    places = PIXELS.from_index(np.stack([xs, ys], axis=2)) - spot(frame)
    dot = 200 * np.exp(-(places**2).sum(axis=2) / (2 * 4.0**2))
    texture = 12 * (1 + np.cos(places[..., 0] / 3) * np.cos(places[..., 1] / 4))
    return np.repeat(np.clip(dot + texture, 0, 255)[..., None], 3, axis=2).astype(np.uint8)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Frames 0 to 4 of a video, of which 0, 2 and 4 are labelled."""
    frames = tmp_path / "data" / "train" / "frames"
    masks = tmp_path / "data" / "train" / "masks"
    for folder in (frames, masks):
        folder.mkdir(parents=True)
    samples = []
    for frame in range(5):
        image = frames / f"v_frame_{frame}.png"
        write_image(image, picture(frame))
        points = {f"scissors.{name}": spot(frame)[None] + shift for name, shift in
                  (("left", 0.0), ("right", np.array([9.0, 0.0])), ("joint", np.array([0.0, 9.0])))}  # fmt: skip
        samples.append(Sample(image, points, labels=["scissors"], ids=[2], frame=frame, meta={"video": "v"}))
        write_image(masks / f"v_frame_{frame}_scissors_mask.png", (picture(frame)[..., 0] > 110).astype(np.uint8) * 255)
    mot_kp.write(tmp_path / "data" / "train" / "mot", samples, layout="frame")
    return tmp_path / "data"


def samples_of(data: Path, *words: str) -> tuple[KpnetConfig, Frames]:
    config = load(KpnetConfig, overrides=[*BASE, f"data.root={data}", *words])
    return config, Frames(config, training_sets(config)["train"], augment=True)


def centre(image: np.ndarray) -> np.ndarray:
    """The centre of mass of what is bright."""
    weights = np.clip(image[..., 0].astype(np.float64) - 60, 0, None)
    xs, ys = np.meshgrid(np.arange(image.shape[1]), np.arange(image.shape[0]))
    index = np.array([(weights * xs).sum(), (weights * ys).sum()]) / weights.sum()
    return PIXELS.from_index(index[None])[0]


def channel(config: KpnetConfig, frames: Frames) -> int:
    return frames.pictures[0].skeleton.channels.index("scissors.left")


@pytest.mark.parametrize("words", [(), ("in_chans=6",)])
def test_the_dot_turns_with_its_label(data: Path, words: tuple[str, ...]) -> None:
    """For either sign of the angle, within a twentieth of a pixel; its mask comes along."""
    config, frames = samples_of(data, "augment.rotate=25", *words)
    number, turns = channel(config, frames), []
    for epoch in range(6):
        row = frames.sample(2, epoch)
        point = row["points"][number]
        assert np.linalg.norm(centre(row["images"]) - point) < 0.05, epoch
        other = row["points"][number + 1] - point  # 9 px to the right before the turn
        turns.append(np.sign(other[1]))
        column, line = np.floor(point / 2).astype(int)  # cells are 2 px wide
        assert row["classes"][line, column] == 3
    assert {-1.0, 1.0} <= set(turns)


def test_validation_sees_a_frame_as_prediction_does(data: Path) -> None:
    """Not rounded, so that the figures of a log are those of a report."""
    config, frames = samples_of(data, "in_chans=3")
    config = replace(config, image_size="60,99", heatmap_size="30,50")
    frames = Frames(config, frames.pictures, augment=False)
    for index in range(len(frames)):
        whole = read_image(frames.pictures[index].image)
        assert np.array_equal(frames.sample(index, -1)["images"], shown(config.view, whole))


def test_flow_comes_from_the_frame_before_and_turns_with_the_image(data: Path) -> None:
    """At the dot it is the dot's own way, under the same turn."""
    config, frames = samples_of(data, "augment.rotate=25", "in_chans=6", "loss.hm_consist_weight=0.05")
    number = channel(config, frames)
    for epoch in (-1, 0, 1):
        row = frames.sample(2, epoch)
        ends = row["points"][number], row["points"][number + 1]
        along = (ends[1] - ends[0]) / 9  # where the frame's x axis is now
        way = STEP[0] * along + STEP[1] * np.array([-along[1], along[0]])
        forward = sampled(np.moveaxis(row["flow"].astype(np.float32), 0, 2), (ends[0] - way)[None])[0]
        assert np.linalg.norm(forward - way) < 0.35, epoch
        back = sampled(row["backward"].astype(np.float32), ends[0][None])[0]
        assert np.linalg.norm(back + way) < 0.35, epoch
        assert np.linalg.norm(centre(row["before_images"]) - (ends[0] - way)) < 0.1, epoch
        assert row["before_flow"].any() and row["before_flow"].shape == row["flow"].shape


def test_the_first_frame_of_a_video_takes_the_one_after(data: Path) -> None:
    """With its sign turned: the channels say where things go, not where they came from."""
    config, frames = samples_of(data, "in_chans=6")
    row = frames.sample(0, -1)
    point = row["points"][channel(config, frames)]
    motion = sampled(np.moveaxis(row["flow"].astype(np.float32), 0, 2), point[None])[0]
    assert np.linalg.norm(motion - STEP) < 0.35


def test_where_no_frame_is_before(data: Path) -> None:
    """It is refused with where it was looked for, or counts as still."""
    (data / "train" / "frames" / "v_frame_3.png").unlink()
    (data / "train" / "mot" / "v_frame_3.txt").unlink()
    _, frames = samples_of(data, "in_chans=6")
    with pytest.raises(InputError, match=r"movie/v.mp4.*--missing-flow zero"):
        frames.sample(3, -1)
    config, frames = samples_of(data, "in_chans=6", "data.missing_flow=zero", "loss.coord_consist_weight=0.05")
    row: dict[str, Any] = frames.sample(3, -1)
    assert not row["flow"].any() and not row["foreground"].any() and not row["seen"].any()
    assert motion_of(config, {"v": {4: Path("x.png")}}).has("v", 4) is False


def test_frames_whose_numbers_have_zeros_before_them_have_neighbours(data: Path) -> None:
    """Image sets are numbered so: 0008, 0009, 0010; the plain number is looked for too."""
    folder = data / "train" / "frames"
    for number in (8, 9, 10, 100):
        shutil.copy(folder / "v_frame_0.png", folder / f"w_frame_{number:04d}.png")
    shutil.copy(folder / "v_frame_0.png", folder / "w_frame_99.png")
    assert neighbours(folder / "w_frame_0009.png", "w", [8, 9, 10]) == {
        number: folder / f"w_frame_{number:04d}.png" for number in (8, 9, 10)
    }
    assert neighbours(folder / "w_frame_0100.png", "w", [98, 99]) == {99: folder / "w_frame_99.png"}


@pytest.mark.parametrize("name", ["v.MP4", "v.avi", "v.Mov", "v.mkv"])
def test_motion_comes_from_a_video_in_any_container(data: Path, name: str) -> None:
    """As cameras name them; one frame alone has an image, so that its neighbour is in the video."""
    film = data / "movie" / name
    film.parent.mkdir()
    with VideoWriter(film.with_name("made.mp4")) as video:
        for number in range(5):
            video.write(picture(number), number / 25)
    film.with_name("made.mp4").rename(film)
    for number in (1, 3):
        (data / "train" / "frames" / f"v_frame_{number}.png").unlink()
        (data / "train" / "mot" / f"v_frame_{number}.txt").unlink()
    config, frames = samples_of(data, "in_chans=6")
    row = frames.sample(1, -1)  # frame 2: the one before it is in the video alone
    point = row["points"][channel(config, frames)]
    motion = sampled(np.moveaxis(row["flow"].astype(np.float32), 0, 2), (point - STEP)[None])[0]
    assert np.linalg.norm(motion - STEP) < 0.5


def test_a_point_that_is_turned_out_of_the_picture_is_out_of_frame(data: Path) -> None:
    config, frames = samples_of(data, "augment.shift=0.9")
    states = {int(frames.sample(0, epoch)["visible"][channel(config, frames)]) for epoch in range(12)}
    assert states == {0, 2}


def test_frames_that_are_all_copies_are_no_motion(data: Path) -> None:
    """Flow that is zero everywhere would train a network that never sees any."""
    for frame in range(5):
        write_image(data / "train" / "frames" / f"v_frame_{frame}.png", picture(0))
    config, frames = samples_of(data, "in_chans=6")
    with pytest.raises(InputError, match="zero in every training frame"):
        task_fields(config, None, frames, None)  # type: ignore[arg-type]


def test_frames_of_the_video_without_labels(tmp_path: Path) -> None:
    """They have no points, which is not the same as none in the frame; a pseudo mask and the frame before count."""
    root = render(tmp_path / "data", count=1, val_count=1, length=9, every=4, size=(64, 96))
    pseudo = tmp_path / "pseudo" / "train00"
    pseudo.mkdir(parents=True)
    write_image(pseudo / "train00_frame_3.png", np.full((64, 96), 2, np.uint8))
    words = ("data.video_frames=2", f"data.pseudo_root={pseudo.parent}", "loss.hm_consist_weight=0.05")
    config, frames = samples_of(root, *words)
    extra = [index for index, one in enumerate(frames.pictures) if not one.labelled]
    assert [frames.pictures[index].number for index in extra] == [1, 2, 3, 5, 6, 7] and len(frames) == 9
    for index in extra:
        row = frames.sample(index, 0)
        assert not row["there"].any() and (row["visible"] == -1).all() and row["seen"].any()
        assert (row["classes"] == (2 if frames.pictures[index].number == 3 else 255)).all()
    (root / "movie" / "train00.mp4").unlink()
    with pytest.raises(InputError, match="no video 'train00'"):
        Frames(config, training_sets(config)["train"], augment=True)
