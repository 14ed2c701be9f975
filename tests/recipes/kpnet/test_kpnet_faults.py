"""Faults of an earlier implementation of this recipe, each with a test that would find it here.

Elsewhere: labels that turn against the image, flow from the wrong side of a pair (`test_data`), a heatmap warped by the
wrong flow (`tests/losses/test_temporal`), flow that was never there (`test_data`, `test_kpnet`), a tracker's first step
in other coordinates and its status (`tests/tracking/test_klt`), queries, range and answers of a point tracker
(`tests/tracking/test_cotracker`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaname.config import load
from kaname.data.flow import sampled
from kaname.data.formats import mot_kp
from kaname.geometry.grid import PIXELS
from kaname.geometry.image import write_image
from kaname.inference.card import view_of
from kaname.inference.request import Request
from kaname.recipes.kpnet.config import DataSettings, KpnetConfig
from kaname.recipes.kpnet.data import Frames
from kaname.recipes.kpnet.labels import read_set, training_sets
from kaname.recipes.kpnet.model import build, describe
from kaname.types import Frame, Sample

SIZE = (96, 160)
BASE = ("image_size=96,160", "resize_only=true", "heatmap_size=48,80", "model.backbone=small:8", "train.cache_budget=0")
PLACES = np.array([[60.0, 50.0], [62.5, 50.0], [62.5, 53.0], [59.0, 53.0]])  # of a dot: each step is another


def picture(frame: int) -> np.ndarray:
    xs, ys = np.meshgrid(np.arange(SIZE[1]), np.arange(SIZE[0]))
    apart = PIXELS.from_index(np.stack([xs, ys], axis=2)) - PLACES[frame]
    dot = 200 * np.exp(-(apart**2).sum(axis=2) / (2 * 4.0**2))
    texture = 12 * (1 + np.cos(apart[..., 0] / 3) * np.cos(apart[..., 1] / 4))
    return np.repeat(np.clip(dot + texture, 0, 255)[..., None], 3, axis=2).astype(np.uint8)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four frames of a dot, all labelled; the scissors' left end lies to the right of its right end."""
    root = tmp_path / "data" / "train"
    (root / "frames").mkdir(parents=True)
    samples = []
    for frame, place in enumerate(PLACES):
        image = root / "frames" / f"v_frame_{frame}.png"
        write_image(image, picture(frame))
        shifts = {"left": (0.0, 0.0), "right": (-20.0, 0.0), "joint": (-10.0, 9.0)}
        points = {f"scissors.{name}": (place + shift)[None] for name, shift in shifts.items()}
        samples.append(Sample(image, points, labels=["scissors"], ids=[2], frame=frame, meta={"video": "v"}))
    mot_kp.write(root / "mot", samples, layout="frame")
    return root.parent


def test_the_frame_before_has_channels_of_its_own(data: Path) -> None:
    """Its flow is the step to *it*, not the step from it: three consecutive frames are read."""
    config = load(KpnetConfig, overrides=[*BASE, f"data.root={data}", "in_chans=6", "loss.coord_consist_weight=0.05"])
    row = Frames(config, training_sets(config)["train"], augment=True).sample(2, -1)
    motion = {name: np.moveaxis(row[name].astype(np.float32), 0, 2) for name in ("flow", "before_flow")}
    now, before = (sampled(motion[name], place[None])[0] for name, place in
                   (("flow", PLACES[1]), ("before_flow", PLACES[0])))  # fmt: skip
    assert np.linalg.norm(now - (PLACES[2] - PLACES[1])) < 0.4
    assert np.linalg.norm(before - (PLACES[1] - PLACES[0])) < 0.4


def test_points_keep_their_names_whatever_side_they_lie_on(data: Path) -> None:
    """Sorted by x, left and right would change places here."""
    first = read_set(DataSettings(data), "train")[0]
    channels, (points, _) = list(first.skeleton.channels), first.channels
    left, right = (points[channels.index(f"scissors.{name}")] for name in ("left", "right"))
    assert left.tolist() == [60.0, 50.0] and right.tolist() == [40.0, 50.0]


def test_pseudo_masks_belong_to_the_frame_that_they_name(data: Path, tmp_path: Path) -> None:
    """A mask of frame 3 is not one of frame 1, whatever rate the masks were made at."""
    pseudo = tmp_path / "pseudo" / "v"
    pseudo.mkdir(parents=True)
    for frame, value in ((0, 1), (3, 5)):
        write_image(pseudo / f"v_frame_{frame}.png", np.full(SIZE, value, np.uint8))
    pictures = read_set(DataSettings(data, pseudo_root=pseudo.parent), "train")
    found = {one.number: one.masks.read(SIZE) for one in pictures if one.masks}
    assert {number: int(classes[0, 0]) for number, classes in found.items() if classes is not None} == {0: 1, 3: 5}


@pytest.mark.parametrize("stretch", [True, False])
def test_a_frame_comes_in_as_it_did_in_training(stretch: bool) -> None:
    """The card says whether frames were stretched; nobody has to say it again."""
    words = ["image_size=64,64", "heatmap_size=16", f"resize_only={str(stretch).lower()}", "model.backbone=small:8"]
    config = load(KpnetConfig, overrides=[*words, "model.width=8"])
    card = describe(config, build(config))
    frame = Frame(0, 0.0, np.zeros((*SIZE, 3), np.uint8))
    request = Request([frame], view_of(card))
    corner = request.back().inverse().points([[SIZE[1], SIZE[0]]])[0]
    assert corner == pytest.approx([64.0, 64.0] if stretch else [64.0, 51.0])  # whole pixels
    assert np.allclose(corner, config.view.into(SIZE).points([[SIZE[1], SIZE[0]]])[0])
