"""``export``: the decoder alone, or with the extractor in front of it; released only where it answers the same."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kaname.errors import InputError
from kaname.inference.card import described, view_of
from kaname.inference.export import export as release
from kaname.inference.export import graph_of, save_graph
from kaname.inference.model import Model
from kaname.inference.onnx_graphs import joined_graphs
from kaname.inference.onnx_tensor import OnnxTensor, Preprocessing
from kaname.inference.parity import Parity
from kaname.inference.torch_runner import TorchRunner
from kaname.models.preprocess import Preprocess
from kaname.models.roi_masks import RoiMasks
from kaname.models.roi_paste import Pasted, PastedOnImage
from kaname.pipeline.export import own_windows, windows_of
from kaname.pipeline.model import open_model
from kaname.recipes.roimask import MASKS, RECIPE
from kaname.recipes.roimask.features import source_of
from kaname.recipes.roimask.feed import feed_of
from kaname.types import Head, Input

Output = Literal["image", "roi"]
LEVELS = 255.0


def export(
    checkpoint: Path,
    out: Path,
    images: Path | None,
    count: int,
    *,
    output: Output = "image",
    inside: bool = False,
    extractor: Path | None = None,
) -> Parity:
    """Export and check parity on images, from ``images`` or from the model's own data.

    Args:
        count: how many to compare, at least 1.
        output: probabilities at the resolution of the input (with the extractor: of the image), or the logits of the
            grid of each box.
        inside: put the extractor into the file.
        extractor: where its file is now.

    Raises:
        InputError: bad usage, no images to compare, an extractor that is no ONNX file, or an export that answers
            differently.
    """
    if count < 1:
        raise InputError(f"--count must be at least 1, got {count}", remedy="the parity check needs images")
    if checkpoint.suffix.lower() == ".onnx":
        reason = "an ONNX file cannot be exported again"
        raise InputError(reason, path=checkpoint, remedy="give the checkpoint it came from")
    if inside and output == "roi":
        reason = "--output roi is of the decoder alone: with the extractor inside masks lie on the image"
        raise InputError(reason, remedy="leave out --output, or --with-extractor")
    model = open_model(RECIPE, checkpoint, runtime="cpu", changes={"extractor": extractor})
    windows = own_windows(RECIPE, model, count) if images is None else windows_of(model, images, count)
    chosen = list(itertools.islice(windows, count))
    network = cast(RoiMasks, cast(TorchRunner, model.runner).module.network)
    if inside:
        deployed, write = whole(model, network, source_of(model.card, beside=checkpoint.parent, path=extractor).source)
        parity = release(deployed, chosen, out, write_to=write)
    else:
        parity = release(decoder(model, network, output), chosen, out)
    print(f"{out}: answers like {checkpoint} on {parity.images} images ({parity.summary})")
    if licence := model.card["extractor"].get("licence"):
        print(f"the extractor's licence: {licence}")
    return parity


def decoder(model: Model, network: RoiMasks, output: Output) -> Model:
    """The decoder alone as a model: logits on the grid, or probabilities at the extractor's resolution."""
    view = view_of(model.card)
    module: nn.Module = Pasted(network, view) if output == "image" else Logits(network)
    card = {**model.card, "lies_on": "input" if output == "image" else "box"}
    card |= described(cast(Any, module).inputs, cast(Any, module).heads)
    return Model(card, TorchRunner(module, view, device="cpu"), RECIPE.answering.decode(card, None), model.feed)


class Logits(nn.Module):
    """The network itself, whose answer goes through no activation."""

    def __init__(self, network: RoiMasks) -> None:
        super().__init__()
        self.network, self.inputs = network, network.inputs
        self.heads = {MASKS: Head(network.heads[MASKS].channels, "none")}

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self.network(inputs)


class Prepared(nn.Module):
    """Images ``(1, h, w, 3)`` uint8 as the extractor's file wants them.

    Values are rounded to whole levels, as those of a prepared picture are.
    """

    def __init__(self, source: OnnxTensor) -> None:
        super().__init__()
        how: Preprocessing = source.preprocessing
        self.preprocess, self.turned, self.kind = (
            Preprocess(source.view, matrices=True),
            how.order == "BGR",
            source.kind,
        )
        self.white = how.white / LEVELS
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(getattr(how, name)).float()[None, :, None, None], persistent=False)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        seen = self.preprocess(inputs["images"]).round()  # a mean of levels stays between them
        seen = seen.flip(1) if self.turned else seen
        values = (seen * self.white - self.mean) / self.std
        return {"prepared": values.to(getattr(torch, self.kind))}


def whole(model: Model, network: RoiMasks, source: object) -> tuple[Model, Any]:
    """The decoder behind its extractor as a model, and what writes it as one ONNX file.

    Raises:
        InputError: the extractor is no ONNX file.
    """
    if not isinstance(source, OnnxTensor):
        reason = "an extractor from torch cannot be put into the file"
        raise InputError(reason, remedy="export without --with-extractor, or export the backbone to ONNX first")
    module = PastedOnImage(network, source.view).eval()
    inputs = {"images": Input((None, None, 3), "uint8", "image"), "rois": Input((5,), batch="rois")}
    card = {**model.card, "lies_on": "image", **described(inputs, module.heads)}

    def run(given: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        image = given["images"][0]
        seen = source.view.into((image.shape[0], image.shape[1])).image(image, source.view.input_size)
        (features,) = source.features(seen[None])
        tensors = {"features": features, **given}
        with torch.inference_mode():
            answer = module({name: torch.from_numpy(np.ascontiguousarray(one)) for name, one in tensors.items()})
        return {name: value.numpy() for name, value in answer.items()}

    def write(path: Path) -> None:
        front = graph_of(Prepared(source), {"images": inputs["images"]}, ["prepared"])
        back = graph_of(module, module.inputs, [MASKS])
        graph = joined_graphs(
            [(front, {}), (source.graph(), {source.input_name: "prepared"}), (back, {"features": source.tensor})],
            inputs=["images", "rois"],
            outputs=[MASKS],
        )
        save_graph(graph, card, path)

    deployed = Model(card, run, RECIPE.answering.decode(card, None), feed_of(card, cast(Any, None), Path()))
    return deployed, write
