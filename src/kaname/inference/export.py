"""Export to ONNX with the view and the activations inside, and the check that the file answers like its model.

A file gets its final name only after both have answered alike on the user's images (`kaname.inference.parity`). Where
the model finds no point at all, that alone would prove little: the report warns, and both are compared at a lower
threshold as well. Nothing here knows a recipe: a network's inputs and outputs come from its card.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kaname.errors import InputError
from kaname.files import partial_name, whole_path, write_text, writing
from kaname.geometry.view import View
from kaname.inference.card import FITTED, heads_of, inputs_of, write
from kaname.inference.model import Model
from kaname.inference.onnx_file import SEEN, VIEW
from kaname.inference.onnx_graphs import joined_graphs, rows_like, takes_none
from kaname.inference.onnx_runner import CARD_KEY, OnnxRunner
from kaname.inference.parity import MAP_TOLERANCE, POINT_TOLERANCE_PX, Parity, Requests, compare, compare_lower
from kaname.inference.request import Decode
from kaname.inference.torch_runner import Deployed, TorchRunner
from kaname.types import Input

OPSET = 20
_SEEN = SEEN.removeprefix(VIEW)
ANY_SIZE = (240, 320)  # of the example where an input takes any: unequal sides, or the graph would insist on a square
ONE = {"boxes": (0.0, 0.0, 1.0, 1.0), "rois": (0.0, 0.0, 0.0, 1.0, 1.0)}  # what stands in for none
ROWS = 2  # an example of one would fix that axis in the graph


def export(
    model: Model,
    requests: Requests,
    out: Path,
    threshold: float | None = None,
    decode_at: Callable[[float], Decode] | None = None,
    *,
    write_to: Callable[[Path], None] | None = None,
) -> Parity:
    """Write ``out`` from a torch model and check it on ``requests``; also ``<out>.parity.json``.

    Args:
        model: with a :class:`TorchRunner`; with ``write_to`` any.
        requests: the user's own images, each with a name (`Model.request`); at least one.
        out: the ONNX file to write.
        threshold: the score that a point needs; None where answers have none.
        decode_at: the model's decode with another threshold, for models that find nothing at their own.
        write_to: writes the file, where that is not the model's network alone; its card is that of the model.

    Raises:
        InputError: no request, not a torch model, an unwritable folder, or a parity check that fails: then the file
            stays under ``.<name>.failed.onnx`` beside ``out``, and the message says how far off it is.
    """
    if write_to is None and not isinstance(model.runner, TorchRunner):
        raise InputError("an ONNX file cannot be exported again", remedy="give the checkpoint it came from")
    if out.suffix.lower() != ".onnx":
        raise InputError(f"an export is an .onnx file, got {out.name!r}", path=out, remedy=f"write {out.stem}.onnx")
    if not requests:
        raise InputError("the parity check needs at least one image", remedy="give --images DIR")
    reference = model
    if write_to is None:
        reference = model.using(TorchRunner(model.runner.module.network, model.view, device="cpu"))
    with writing(out.parent, reason="cannot be made", remedy="choose another --out"):
        out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(partial_name(out.name) + ".onnx")
    try:
        (write_to or partial_of(reference))(partial)
        candidate = model.using(OnnxRunner(partial, whole=True))  # as it runs without Kaname
        parity = compare(reference, candidate, requests, threshold)
        if threshold is not None and not parity.distances:
            compare_lower(parity, (reference, candidate), requests, threshold, decode_at)
        released = out if parity.passed else out.with_name(f".{out.stem}.failed.onnx")
        # The report first: a file without one was not checked.
        write_text(released.with_name(released.name + ".parity.json"), _as_json(parity.to_dict()) + "\n")
        with writing(released, remedy="check folder and disk"):
            partial.replace(released)
        if not parity.passed:
            raise InputError(_why(parity), path=out, remedy=f"it was not released; see {released.name}.parity.json")
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    return parity


def _as_json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False)


def _why(parity: Parity) -> str:
    failed = parity.lowered if parity.lowered is not None and not parity.lowered.passed else parity
    masks = f", {failed.pixels_apart} of {failed.pixels} pixels of masks" if failed.pixels else ""
    return (
        f"the export does not answer like the model: maps differ by {failed.map_difference:.2g} (at most "
        f"{MAP_TOLERANCE:g}), points by {failed.percentile_99_px:.3f} px (at most {POINT_TOLERANCE_PX}), "
        f"{len(failed.unmatched)} points unmatched{masks}"
    )


class _ByPosition(nn.Module):
    """A module with named inputs and outputs as one with positional ones, which is what ONNX takes."""

    def __init__(self, module: nn.Module, inputs: list[str], outputs: list[str]) -> None:
        super().__init__()
        self.module, self.names, self.outputs = module, inputs, outputs

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        answers = self.module(dict(zip(self.names, tensors, strict=True)))
        return tuple(answers[name] for name in self.outputs)


def _example(inputs: dict[str, Input], *, crop: bool) -> tuple[list[Tensor], list[dict[int, Any]]]:
    """A tensor for each input, and which of its axes may have any size, by their names."""
    named: dict[str, Any] = {}
    tensors: list[Tensor] = []
    axes: list[dict[int, Any]] = []
    for name, value in inputs.items():
        # A crop's boxes are as many as its images, or all of one image: ONNX broadcasts that one.
        rows = "batch" if crop else value.batch
        sizes = ["height", "width"] if name == "images" else [f"{name}_{axis}" for axis in range(len(value.shape))]
        free = {0: rows} | {
            axis: size for axis, (size, side) in enumerate(zip(sizes, value.shape, strict=False), 1) if side is None
        }
        axes.append({axis: named.setdefault(each, torch.export.Dim(each, min=1)) for axis, each in free.items()})
        shape = [side if side is not None else ANY_SIZE[axis % 2] for axis, side in enumerate(value.shape)]
        example = torch.zeros((ROWS if rows == "batch" else ROWS + 1, *shape), dtype=getattr(torch, value.dtype))
        if name == "boxes":
            example += torch.tensor([0.0, 0.0, ANY_SIZE[1], ANY_SIZE[0]])
        tensors.append(example)
    return tensors, axes


def partial_of(model: Model) -> Callable[[Path], None]:
    """What writes a torch model's own network."""
    runner = model.runner
    assert isinstance(runner, TorchRunner)
    inputs, outputs = inputs_of(model.card), list(heads_of(model.card))

    def write_to(path: Path) -> None:
        crop = model.view.fit == "crop"
        if "images" in inputs and (crop or "boxes" not in inputs):
            graph = _behind_its_view(runner.module, inputs, outputs, model.view)
        else:
            graph = graph_of(runner.module, inputs, outputs, crop=crop)
        save_graph(graph, model.card, path)

    return write_to


class _Seen(nn.Module):
    """The view alone: images (and the boxes of a crop) to images in the view."""

    def __init__(self, preprocess: nn.Module) -> None:
        super().__init__()
        self.preprocess = preprocess

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {_SEEN: self.preprocess(inputs["images"], inputs.get("boxes"))}


def _behind_its_view(module: Deployed, inputs: dict[str, Input], outputs: list[str], view: View) -> Any:
    """The view and the network as two parts of one graph, of which `onnx_file.without_view` can leave out the first."""
    crop = view.fit == "crop"
    front = {name: value for name, value in inputs.items() if name == "images" or (name == "boxes" and crop)}
    channels = inputs["images"].shape[2]
    back = {FITTED: Input((channels, *view.input_size))}
    back |= {name: value for name, value in inputs.items() if name not in front}
    parts = (
        (graph_of(_Seen(module.preprocess), front, [_SEEN], crop=crop), {}),
        (graph_of(module, back, outputs, crop=crop), {FITTED: _SEEN}),
    )
    graph = joined_graphs(parts, inputs=list(inputs), outputs=outputs, prefixes=(VIEW, "network/"))
    if crop:
        takes_none(graph, "boxes", ONE["boxes"], outputs, prefix=VIEW)
    return graph


def graph_of(module: nn.Module, inputs: dict[str, Input], outputs: list[str], *, crop: bool = False) -> Any:
    """The ONNX model of a module with named inputs and outputs, without a card.

    Args:
        module: takes a mapping of tensors and gives one.
        inputs: with the axes that may have any size.
        outputs: which of the module's there are.
        crop: whether boxes and images may be as many as each other.

    Raises:
        InputError: the exporter cannot.
    """
    example, axes = _example(inputs, crop=crop)
    with _quiet():
        program = torch.onnx.export(
            _ByPosition(module, list(inputs), outputs).eval(),
            tuple(example),
            dynamo=True,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=(tuple(axes),),
            opset_version=OPSET,
            verbose=False,
        )
    if program is None:
        raise InputError("the network could not be exported")
    proto = program.model_proto  # made anew at each call
    _without_traces(proto)
    for name, row in ONE.items():
        if name in inputs and not crop:
            takes_none(proto, name, row, rows_like(proto, name))
    return proto


def save_graph(proto: Any, card: Mapping[str, Any], path: Path) -> None:
    """Write an ONNX model with its card."""
    import onnx

    proto.metadata_props.append(onnx.StringStringEntryProto(key=CARD_KEY, value=write(card)))
    with whole_path(path, ending=".onnx", remedy="check the folder") as partial:
        onnx.save(proto, str(partial))


def _without_traces(proto: Any) -> None:
    """Take out what the exporter notes at every node: places in source files of this machine, half of a small file."""
    for entry in [*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output, proto.graph]:
        del entry.metadata_props[:]
    for function in proto.functions:
        del function.metadata_props[:]
        for node in function.node:
            del node.metadata_props[:]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter reports its passes at length; only errors matter here."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), open(os.devnull, "w") as sink, contextlib.redirect_stdout(sink):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
