"""Export to ONNX with the preprocessing inside, and the check that the file answers like the model it came from.

A file gets its final name only after both have answered the same on the user's images: maps within 1e-4, matched
points within 0.05 px of the original image at the 99th percentile, and a point more or less only where its score
lies within 1e-4 of the threshold. Points further than 5 px apart are no match. Where the model finds no point at all,
that alone would prove little: the report warns, and both are compared at a lower threshold as well.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from kaname.errors import InputError
from kaname.inference.model import Decode, Image, Model
from kaname.inference.onnx_runner import CARD_KEY, INPUT, OUTPUT, OnnxRunner
from kaname.inference.torch_runner import TorchRunner
from kaname.types import Points

MAP_TOLERANCE = 1e-4
POINT_TOLERANCE_PX = 0.05
SCORE_TOLERANCE = 1e-4
MATCH_RADIUS_PX = 5.0
OPSET = 20


@dataclass
class Parity:
    """How far an export's answers are from the model's, over some images.

    Attributes:
        images: how many images were compared.
        map_difference: largest absolute difference of the maps.
        distances: of matched points, pixels of the original image.
        at_threshold: points of one side alone whose score lies within 1e-4 of the threshold.
        unmatched: points of one side alone that nothing excuses.
        highest: the largest value of the model's maps.
        lowered_to: the threshold of ``lowered``.
        lowered: the comparison at a lower threshold, where no point was found at the model's own.
        warning: what the figures do not prove; empty where they prove what they should.
    """

    images: int = 0
    map_difference: float = 0.0
    distances: list[float] = field(default_factory=list)
    at_threshold: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    highest: float = 0.0
    lowered_to: float = 0.0
    lowered: Parity | None = None
    warning: str = ""

    @property
    def percentile_99_px(self) -> float:
        """99th percentile of the matched distances; 0 without points."""
        return float(np.percentile(self.distances, 99)) if self.distances else 0.0

    @property
    def passed(self) -> bool:
        """Whether the promise holds."""
        near = self.map_difference <= MAP_TOLERANCE and self.percentile_99_px <= POINT_TOLERANCE_PX
        return near and not self.unmatched and (self.lowered is None or self.lowered.passed)

    def to_dict(self) -> dict[str, Any]:
        """For JSON and for the page."""
        lowered: dict[str, Any] = {}
        if self.lowered is not None:
            figures = self.lowered.to_dict()
            kept = ("points", "point_distance_p99_px", "point_distance_max_px", "at_threshold", "unmatched")
            lowered = {"lowered_min_score": self.lowered_to, **{f"lowered_{name}": figures[name] for name in kept}}
        return {
            **({"warning": self.warning} if self.warning else {}),
            "images": self.images,
            "map_difference_max": self.map_difference,
            "map_tolerance": MAP_TOLERANCE,
            "points": len(self.distances),
            "point_distance_p99_px": self.percentile_99_px,
            "point_distance_max_px": max(self.distances, default=0.0),
            "point_tolerance_px": POINT_TOLERANCE_PX,
            "at_threshold": self.at_threshold,
            "unmatched": self.unmatched,
            **lowered,
            "passed": self.passed,
        }


def check_request(checkpoint: Path, count: int, what: str) -> None:
    """Refuse to export what is no checkpoint, or without ``count`` >= 1 images (``what``, in a word) to compare.

    Raises:
        InputError: naming the remedy.
    """
    if count < 1:
        raise InputError(f"--count must be at least 1, got {count}", remedy=f"the parity check needs {what}")
    if checkpoint.suffix.lower() == ".onnx":
        reason = "an ONNX file cannot be exported again"
        raise InputError(reason, path=checkpoint, remedy="give the checkpoint it came from")


def export(
    model: Model,
    images: Sequence[tuple[str, Image]],
    out: Path,
    *,
    decode_at: Callable[[float], Decode] | None = None,
) -> Parity:
    """Write ``out`` from a torch model and check it on ``images``; also ``<out>.parity.json``.

    Args:
        model: with a :class:`TorchRunner`.
        images: name and RGB uint8 array of real images; at least one.
        out: the ONNX file to write.
        decode_at: the model's decoder with another threshold, for models that find nothing at their own.

    Raises:
        InputError: no image, not a torch model, an unwritable folder, or a parity check that fails: then the file
            stays under ``.<name>.failed.onnx`` beside ``out``, and the message says how far off it is.
    """
    if not isinstance(model.runner, TorchRunner):
        raise InputError("an ONNX file cannot be exported again", remedy="give the checkpoint it came from")
    if out.suffix.lower() != ".onnx":
        raise InputError(f"an export is an .onnx file, got {out.name!r}", path=out, remedy=f"write {out.stem}.onnx")
    if not images:
        raise InputError("the parity check needs at least one image", remedy="give --images DIR")
    runner = TorchRunner(model.runner.module.network, model.input_size, device="cpu")
    reference = Model(model.card, runner, model.decoder)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot be made ({error.strerror})", path=out.parent, remedy="choose another --out"
        ) from error
    partial = out.with_name(f".{out.stem}.{os.getpid()}.partial.onnx")
    try:
        _write(reference, partial)
        candidate = Model(model.card, OnnxRunner(partial), model.decoder)
        settings = model.card["config"].get("extract", {})
        threshold = float(model.card.get("score_threshold", settings.get("min_score", 0.0)))
        parity = compare(reference, candidate, images, threshold)
        if not parity.distances:
            _lower(parity, reference, candidate, images, threshold, decode_at)
        released = out if parity.passed else out.with_name(f".{out.stem}.failed.onnx")
        _release(partial, released, parity)
        if not parity.passed:
            failed = parity.lowered if parity.lowered is not None and not parity.lowered.passed else parity
            raise InputError(
                f"the export does not answer like the model: maps differ by {failed.map_difference:.2g} (at most "
                f"{MAP_TOLERANCE:g}), points by {failed.percentile_99_px:.3f} px (at most {POINT_TOLERANCE_PX}), "
                f"{len(failed.unmatched)} points unmatched", path=out,
                remedy=f"it was not released; see {released.name}.parity.json",
            )  # fmt: skip
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    return parity


def compare(reference: Model, candidate: Model, images: Sequence[tuple[str, Image]], threshold: float) -> Parity:
    """Both models' answers on every image."""
    parity = Parity()
    for name, image in images:
        size = (image.shape[0], image.shape[1])
        ours, theirs = reference.maps(image), candidate.maps(image)
        if ours.shape != theirs.shape:
            raise InputError(f"the export answers with maps of {theirs.shape}, the model with {ours.shape}", path=name)
        difference = float(np.abs(ours - theirs).max())
        # NaN is larger than nothing: it would vanish in the maximum.
        parity.highest = max(parity.highest, float(np.nan_to_num(ours).max()))
        parity.map_difference = max(parity.map_difference, difference if math.isfinite(difference) else math.inf)
        _compare_points(name, reference.decode(ours, size), candidate.decode(theirs, size), threshold, parity)
        parity.images += 1
    return parity


def _lower(
    parity: Parity, reference: Model, candidate: Model, images: Sequence[tuple[str, Image]], threshold: float,
    decode_at: Callable[[float], Decode] | None,
) -> None:  # fmt: skip
    """Say that no point was compared, and compare at half of what the maps reach."""
    parity.warning = (
        f"no point was compared: the model finds none in {parity.images} image(s), because its maps reach "
        f"{parity.highest:.3g} and a point needs {threshold:g}; train longer, lower the threshold or give other images"
    )
    if decode_at is not None and parity.highest > 0:
        parity.lowered_to = parity.highest / 2
        decode = decode_at(parity.lowered_to)
        ours, theirs = (Model(model.card, model.runner, decode) for model in (reference, candidate))
        parity.lowered = compare(ours, theirs, images, parity.lowered_to)
        parity.warning += f". At {parity.lowered_to:.3g} both find {len(parity.lowered.distances)} points alike"


def _compare_points(name: str, ours: Points, theirs: Points, threshold: float, parity: Parity) -> None:
    for channel in ours.xy:
        one, other = ours.xy[channel], theirs.xy[channel]
        distances = np.linalg.norm(one[:, None] - other[None], axis=2)
        # Most pairs first, then the shortest: a pair out of reach costs more than all others together.
        reach = distances <= MATCH_RADIUS_PX
        rows, columns = linear_sum_assignment(np.where(reach, distances, MATCH_RADIUS_PX * (1 + distances.size)))
        rows, columns = rows[reach[rows, columns]], columns[reach[rows, columns]]
        parity.distances += distances[rows, columns].tolist()
        for points, taken, side in ((ours, rows, "model"), (theirs, columns, "export")):
            for index in sorted(set(range(len(points.xy[channel]))) - set(taken.tolist())):
                score = float(points.scores[channel][index])
                x, y = points.xy[channel][index]
                line = f"{name}: {channel} ({x:.2f}, {y:.2f}) score {score:.6f} only in the {side}"
                excused = abs(score - threshold) <= SCORE_TOLERANCE
                (parity.at_threshold if excused else parity.unmatched).append(line)


def _release(partial: Path, final: Path, parity: Parity) -> None:
    """The report, then the file; neither is ever half there."""
    report = json.dumps(parity.to_dict(), indent=1, ensure_ascii=False) + "\n"
    draft = partial.with_name(partial.name + ".parity.json")
    try:
        draft.write_text(report, encoding="utf-8")
        draft.replace(final.with_name(final.name + ".parity.json"))
        partial.replace(final)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", path=final, remedy="check folder and disk") from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def _write(model: Model, path: Path) -> None:
    import onnx

    runner = model.runner
    assert isinstance(runner, TorchRunner)
    # Two images of unequal sides: an example of one image or a square would fix that axis in the graph.
    example = torch.zeros((2, 240, 320, 3 * model.frames), dtype=torch.uint8)
    axes = {axis: torch.export.Dim(name, min=1) for axis, name in enumerate(("batch", "height", "width"))}
    with _quiet():
        program = torch.onnx.export(
            runner.module, (example,), dynamo=True, input_names=[INPUT], output_names=[OUTPUT],
            dynamic_shapes=({**axes},), opset_version=OPSET, verbose=False,
        )  # fmt: skip
    if program is None:
        raise InputError("the network could not be exported", path=path)
    proto = program.model_proto
    text = json.dumps(dict(model.card), ensure_ascii=False)
    proto.metadata_props.append(onnx.StringStringEntryProto(key=CARD_KEY, value=text))
    try:
        onnx.save(proto, str(path))
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", path=path, remedy="check the folder") from error


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
