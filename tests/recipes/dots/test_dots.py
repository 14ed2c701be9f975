"""A recipe of two frames, two inputs, two heads, three losses and a skeleton: by the contract of all recipes, and what
it needs of the house beyond that."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import kaname
from contracts.recipe import RecipeContract, Trained
from kaname.data.formats.points import read
from kaname.geometry.image import read_image, write_image
from kaname.types import Points
from recipes import dots
from recipes.dots.network import Samples
from recipes.drawn import CREATURE


class TestDots(RecipeContract):
    name, package, processes = "dots", "recipes.dots", True
    sample = ("--count", 3)
    train = ("--device", "cpu", "--num-workers", 0, "--batch-size", 4, "--epochs", 2, "--lr", "1e-2", "--ema", "0.9")

    @classmethod
    def sources(cls, data: Path) -> list[object]:
        (clip,) = (data / "val" / "frames").iterdir()
        return [clip, "--boxes", data / "val" / "labels" / clip.name / "boxes.json"]

    def test_the_card_says_how_to_feed_and_to_read_it(self, trained: Trained, exported: Path) -> None:
        """View, grid, inputs, heads and skeleton, in the export as in the checkpoint."""
        for file in (trained.model, exported):
            card = self.card(trained, file)
            assert card["view"] == {"fit": "crop", "size": [64, 64], "canvas": None, "factor": 1.25}
            assert card["grid"] == {"stride_yx": [4.0, 4.0], "origin": "aligned"} and card["frames"] == 2
            assert set(card["inputs"]) == {"images", "flow", "boxes"}
            assert card["heads"]["visibility"]["activation"] == "softmax" and card["heads"]["visibility"]["groups"] == 3
            assert card["skeleton"] == CREATURE.to_dict()

    def test_predictions_have_states_and_ids(self, trained: Trained, predicted: Path) -> None:
        """A row for every frame, the first included; an absent point is NaN."""
        rows = read(predicted, recipe="dots")
        assert [row.frame for row in rows] == list(range(6)) and {row.source for row in rows} == {"clip_2"}
        for row in rows:
            assert isinstance(row.answer, Points) and list(row.answer.ids) == [1, 2]
            for name in CREATURE.names:
                seen, xy = row.answer.visible[name], row.answer.xy[name]
                assert xy.shape == (2, 2) and (np.isnan(xy).all(axis=1) == (seen == 0)).all()

    def test_a_file_answers_a_folder_of_frames_with_boxes(self, trained: Trained, predicted: Path) -> None:
        """``kaname.load`` gives ``Tracks`` with the points of the command, and none for no box."""
        clip, _, boxes = self.sources(trained.data)
        model = kaname.load(trained.model, runtime="cpu")
        tracks = model.predict(clip, json.loads(Path(str(boxes)).read_text()))
        for ours, row in zip(tracks.points, read(predicted, recipe="dots"), strict=True):  # type: ignore[union-attr]
            assert isinstance(row.answer, Points)
            for name in CREATURE.names:
                np.testing.assert_allclose(ours.xy[name], row.answer.xy[name], atol=1e-3)
        none = model.predict(clip, np.zeros((0, 4))).points[0]  # type: ignore[union-attr]
        assert none.xy["left"].shape == (0, 2) and list(none.ids) == []

    def test_the_model_is_built_again_without_its_data(self, trained: Trained, tmp_path: Path) -> None:
        """The skeleton file is gone: what the channels are called stands in the card."""
        content = torch.load(trained.model, weights_only=True)
        card = json.loads(content["card"])
        card["config"]["data"] = str(tmp_path / "nowhere")
        torch.save({**content, "card": json.dumps(card)}, tmp_path / "moved.pt")
        assert list(kaname.load(tmp_path / "moved.pt", runtime="cpu").card["channels"]) == list(CREATURE.channels)


@pytest.fixture
def clip(tmp_path: Path) -> dots.Clip:
    """The validation clip of a sample."""
    dots.drawn.clips(tmp_path / "data", 3, 0)
    return dots.labelled(tmp_path / "data", {}).read("val")[0]


def test_a_mirrored_sample_swaps_left_and_right(clip: dots.Clip) -> None:
    """Picture, flow, maps and states; the map's peak lies where the point is seen, also in a mirror."""
    data = clip.frames[0].parents[3]
    plain, mirrored = (Samples(dots.Config(data=data, flip=flip), [clip], augment=True) for flip in (0.0, 1.0))
    assert len(plain) == 12
    for index in range(12):
        one, other = plain.sample(index, 0), mirrored.sample(index, 0)
        np.testing.assert_array_equal(other["images"], one["images"][:, ::-1])
        assert (other["visible"] == one["visible"][[1, 0, 2]]).all()
        number, row = divmod(index, 2)
        into = dots.VIEW.into((64, 96), clip.boxes[row])
        for channel, name in enumerate(CREATURE.names):
            if one["visible"][channel]:
                expected = into.points(clip.labels[number].points[name][row : row + 1])[0]
                mine, partner = ((one, channel), (other, [1, 0, 2][channel]))
                there, _ = dots.decode(mine[0]["heatmaps"][[channel]], dots.GRID, "dark")
                here, _ = dots.decode(partner[0]["heatmaps"][[partner[1]]], dots.GRID, "dark")
                np.testing.assert_allclose(there[0], expected, atol=0.1)
                np.testing.assert_allclose(here[0], (64 - expected[0], expected[1]), atol=0.1)


def test_training_and_prediction_see_the_same(clip: dots.Clip) -> None:
    """The flow that ``feed`` computes is that of the samples, for the first frame of a video too."""
    from kaname.inference.request import Request
    from kaname.types import Frame

    samples = Samples(dots.Config(data=clip.frames[0].parents[3]), [clip], augment=False)
    feed = dots.feed_of({}, dots.AnswerSettings(), Path())
    frames = [Frame(number, 0.0, read_image(path)) for number, path in enumerate(clip.frames[:2])]
    both, last = (feed(Request(frames, dots.VIEW, clip.boxes, wanted)) for wanted in (2, 1))
    assert both["images"].shape == (4, 64, 96, 6) and last["images"].shape == (1, 64, 96, 6)
    for index in range(4):
        np.testing.assert_array_equal(both["flow"][index], samples.sample(index, -1)["flow"])
    np.testing.assert_array_equal(last["flow"], both["flow"][2:])


def test_flow_has_the_direction_of_the_movement(clip: dots.Clip, tmp_path: Path) -> None:
    """A disc that moves right by 2 px of the view has a positive u; mirrored a negative one."""
    images = []
    for x in (30, 32):
        image = np.zeros((64, 64, 3), np.uint8)
        cv2.circle(image, (x, 32), 8, (255, 255, 255), -1)
        write_image(tmp_path / f"{x}.png", image)
        images.append(image)
    _, flow = dots.seen(images, dots.Affine.identity())
    _, mirrored = dots.seen(images, dots.Affine.flip(64))
    assert flow[0, 24:40, 24:40].mean() > 0.5 and mirrored[0, 24:40, 24:40].mean() < -0.5
