"""What ``kpnet`` does with an epoch's weights: HOTA-KP of the validation set, and pictures of what they see."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from kaname import config as configuration
from kaname.data.dataset import stacked
from kaname.data.formats.files import make_folder
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.image import read_image, write_image
from kaname.inference.card import described
from kaname.inference.request import Request
from kaname.inference.torch_runner import activated
from kaname.models.network import Network
from kaname.pipeline.answers import write
from kaname.pipeline.matching import Rows
from kaname.recipes.kpnet import RECIPE, SEGMENTATION
from kaname.recipes.kpnet.aligned import align, by_alpha, rules_of, videos_of
from kaname.recipes.kpnet.config import WITH_MOTION, KpnetConfig
from kaname.recipes.kpnet.data import Frames
from kaname.recipes.kpnet.decode import decode_of
from kaname.recipes.kpnet.drawing import classes_overlay
from kaname.recipes.kpnet.labels import Picture, skeleton_of
from kaname.recipes.kpnet.model import describe
from kaname.recipes.kpnet.step import summarise
from kaname.schema import sides_of
from kaname.types import Frame, Points, Prediction, Size

Classes = NDArray[np.uint8]
SCORE = "val_hota"
STILL = 0.05  # pixels of flow up to which nothing has moved: between equal pictures Farnebäck finds 0.02


class Judge:
    """Answers for the validation set, made once an epoch and used for its figure and its pictures.

    Args:
        held_out: the validation set.
    """

    def __init__(self, config: KpnetConfig, network: Network, held_out: Frames) -> None:
        self.config, self.held_out = config, held_out
        self.card = {**described(network.inputs, network.heads), **describe(config, network)}
        self.skeleton = skeleton_of(config.data)
        self.epoch, self.rows, self.classes = 0, list[Prediction](), list[Classes]()

    def answer(self, model: torch.nn.Module, epoch: int) -> list[Prediction]:
        """The rows of an epoch, from inputs that the samples may have kept."""
        if self.epoch == epoch:
            return self.rows
        network, decode = cast(Network, model), decode_of(self.card, self.config.answers)
        device = next(network.parameters()).device
        self.epoch, self.rows, self.classes = epoch, [], []
        network.eval()
        for index, picture in enumerate(self.held_out.pictures):
            row = self.held_out.sample(index, -1)
            inputs = stacked([{name: row[name] for name in self.held_out.inputs}])
            with torch.inference_mode():
                raw = network({name: value.to(device) for name, value in inputs.items()})
                said = {name: activated(raw[name].float(), head).cpu().numpy() for name, head in network.heads.items()}
            self.rows.append(Prediction(picture.source, decode(said, request_of(self.config, picture.size))[0]))
            self.classes.append(said[SEGMENTATION][0].argmax(axis=0).astype(np.uint8))
        return self.rows

    def figures(self, model: torch.nn.Module, epoch: int) -> dict[str, float]:
        """HOTA-KP of the validation set, each frame on its own."""
        rows = Rows(self.answer(model, epoch), Path("validation"))
        sums = videos_of(align(self.held_out.pictures, rows, self.skeleton), rules_of(self.config.answers))
        whole = sum((one.hota for one in sums.values()), np.zeros(()))
        return {SCORE: float(by_alpha(whole.ravel(), "HOTA").mean())}

    def pictures(self, model: torch.nn.Module, epoch: int, folder: Path) -> None:
        """``hota/epoch_N/points.json`` of an epoch that was scored, ``seg_snap/epoch_N/FRAME_overlay.jpg``."""
        judged, config = self.config.validation, self.config
        if judged.hota and self.epoch == epoch:
            answers = configuration.plain(configuration.to_dict(config.answers))
            about = {"recipe": RECIPE.name, "model": f"epoch {epoch}", "answers": answers}
            write(folder / "hota" / f"epoch_{epoch}" / "points.json", self.rows, {**about, **skeleton_field(self.card)})
        if not judged.draws(epoch, config.train.epochs):
            return
        rows, place = self.answer(model, epoch), folder / "seg_snap" / f"epoch_{epoch}"
        make_folder(place)
        grid = Affine.resize(config.canvas, config.cells)
        for picture, row, classes in list(zip(self.held_out.pictures, rows, self.classes, strict=True))[
            : judged.seg_limit or None
        ]:
            back = (grid @ config.view.into(picture.size)).inverse()
            shown = back.mask(classes, picture.size)
            points = np.concatenate(list(cast(Points, row.answer).xy.values()))
            image = classes_overlay(read_image(picture.image), shown, picture, points, judged.seg_alpha)
            write_image(place / f"{picture.image.stem}_overlay.jpg", image)


def skeleton_field(card: Mapping[str, Any]) -> dict[str, Any]:
    """What a file of predictions says of its points."""
    return {"skeleton": card["skeleton"]}


def request_of(config: KpnetConfig, size: Size) -> Request:
    """A question about a frame whose pixels the network has already seen."""
    height, width = size
    return Request([Frame(0, 0.0, np.broadcast_to(np.zeros((), np.uint8), (height, width, 3)))], config.view)


def moves(frames: Frames, picture: Picture) -> bool:
    """Whether anything moves in a frame."""
    assert frames.motion is not None
    return float(np.abs(frames.motion.pair(picture.video, picture.number).forward).max()) > STILL


def task_fields(config: KpnetConfig, network: Network, frames: Frames, held_out: Frames | None) -> dict[str, Any]:
    """The task's own fields: figures and pictures of the validation set, and what the user must know of its data.

    Raises:
        InputError: weights are to be chosen by frames that there are not; all motion is missing.
    """
    judged = config.validation
    if judged.hota and held_out is None:
        raise InputError("--val-hota needs a folder val", path=config.data.root, remedy="label some videos for it")
    fields: dict[str, Any] = {"summarise": summarise, "score": ("val_loss", "min")}
    notes: list[str] = []
    if config.canvas != (sides := sides_of(config.image_size, "image_size")):
        notes.append(f"the picture of {sides[0]} x {sides[1]} lies on a canvas of {config.canvas[0]} x "
                     f"{config.canvas[1]}")  # fmt: skip
    if frames.motion is not None:
        still = [one for one in frames.pictures if not frames.motion.has(one.video, one.number)]
        if still and len(still) == len(frames):
            remedy = "give --video-root, or train with --in-chans 3 and without consistency"
            reason = "no training frame has a frame before it, so that no motion would be seen at all"
            raise InputError(reason, path=config.data.videos, remedy=remedy)
        if config.in_chans == WITH_MOTION and not any(moves(frames, one) for one in frames.pictures):
            reason = "the optical flow is zero in every training frame: the other frames are copies, or unreadable"
            raise InputError(reason, path=config.data.videos, remedy="check --video-root and --flow-delta")
        begin = sum(one.number < config.motion.delta for one in frames.pictures if one not in still)
        if begin:
            notes.append(f"{begin} training frames begin their video: they are compared with the frame after them")
        if still:
            notes.append(f"{len(still)} of {len(frames)} training frames have no frame before: nothing moves there")
            fields["card"] = {"still_frames": len(still)}
    if held_out is not None and (judged.hota or judged.seg):
        judge = Judge(config, network, held_out)
        fields["pictures"] = judge.pictures
        if judged.hota:
            fields |= {"figures": judge.figures, "figures_every": judged.hota_interval, "score": (SCORE, "max")}
    return {**fields, "notes": notes}
