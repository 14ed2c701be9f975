"""Any tensor inside an ONNX file as a feature source: a detector's, say. No torch.

The graph is cut at the tensor in memory, so that nothing after it runs and the file on disk stays as it is.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kaname.errors import InputError
from kaname.files import content_hash
from kaname.geometry.view import View
from kaname.inference.feature_source import source_key
from kaname.inference.onnx_runner import image_input, input_kind, input_size, open_session, run_images

WHITE = 255.0
Joint: TypeAlias = tuple[NDArray[np.float32], dict[str, NDArray[Any]]]
NEAREST = 5  # names that an unknown tensor's error lists


@dataclass(frozen=True)
class Preprocessing:
    """What a foreign network wants of an RGB uint8 image.

    Attributes:
        order: of its colours.
        white: what 255 becomes: 1 or 255.
        mean, std: subtracted and divided by after that, one per colour in ``order``.
    """

    order: Literal["RGB", "BGR"] = "RGB"
    white: float = 1.0
    mean: Sequence[float] = (0.0, 0.0, 0.0)
    std: Sequence[float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if self.order not in ("RGB", "BGR") or self.white not in (1, WHITE):
            reason = f"colours are {self.order!r} with white at {self.white!r}"
            raise InputError(reason, remedy="the order is RGB or BGR, white is 1 or 255")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise InputError("mean and std are three numbers each, std above 0")
        for name in ("mean", "std"):  # a card has lists
            object.__setattr__(self, name, tuple(float(value) for value in getattr(self, name)))

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """``(B, height, width, 3)`` to ``(B, 3, height, width)``."""
        colours = images[..., ::-1] if self.order == "BGR" else images
        mean, std = (np.asarray(values, np.float32) for values in (self.mean, self.std))
        values = (colours.astype(np.float32) * np.float32(self.white / WHITE) - mean) / std
        return np.ascontiguousarray(np.moveaxis(values, 3, 1))


class OnnxTensor:
    """A named tensor inside an ONNX file that takes one image.

    Args:
        path: the ONNX file.
        tensor: name of the tensor, ``(B, C, h, w)``; need not be an output.
        preprocessing: what the file's network wants.
        fit: ``stretch`` or ``letterbox``.
        size: ``(height, width)`` of the input, where the graph leaves it open.
        licence: a note for whoever gets a model that needs this file.
        threads: of onnxruntime; 0 leaves the choice to it.

    Raises:
        InputError: no such file or tensor (with the five nearest names), an input that is not an image, a size that the
            graph refuses or leaves open, a tensor that is not a map.
    """

    def __init__(
        self,
        path: Path,
        tensor: str,
        *,
        preprocessing: Preprocessing | None = None,
        fit: Literal["stretch", "letterbox"] = "stretch",
        size: tuple[int, int] | None = None,
        licence: str = "",
        threads: int = 0,
    ) -> None:
        self.path, self.tensor = path, tensor
        self.preprocessing = preprocessing or Preprocessing()
        self._threads = threads
        self._session = self._opened(tensor)
        self.view = View(fit, input_size(self._session, size, path))
        (maps,) = self.features(np.zeros((1, *self.view.input_size, 3), np.uint8))
        if maps.ndim != 4 or maps.size == 0:
            reason = f"the tensor {tensor!r} has the shape {maps.shape}, not that of a map (1, channels, height, width)"
            raise InputError(reason, path=path, remedy="name another tensor")
        height, width = self.view.input_size
        self.description: Mapping[str, Any] = {
            "kind": "onnx",
            "path": path.as_posix(),
            "sha256": content_hash(path),
            "tensor": tensor,
            "channels": [maps.shape[1]],
            "stride_yx": [[height / maps.shape[2], width / maps.shape[3]]],
            "view": self.view.to_dict(),
            "preprocessing": asdict(self.preprocessing),
            "licence": licence,
        }
        self.key = source_key(self.description)

    @classmethod
    def from_description(
        cls, description: Mapping[str, Any], *, beside: Path | None = None, path: Path | None = None, threads: int = 0
    ) -> OnnxTensor:
        """The source that a card describes.

        Args:
            description: of such a source.
            beside: a folder to look in when nothing is at the described path: that of the model.
            path: where the file is, if not where the card says.
            threads: of onnxruntime.

        Raises:
            InputError: the file is in none of these places, or a different file is there (by its SHA-256).
        """
        stated = Path(description["path"])
        places = [path] if path is not None else [stated, *([] if beside is None else [beside / stated.name])]
        there = [place for place in places if place.is_file()]
        if not there:
            listed = " nor at ".join(str(place) for place in places)
            raise InputError(f"the extractor is not at {listed}", remedy="say where it is with --extractor")
        hashes = {place: content_hash(place) for place in there}
        chosen = next((place for place in there if hashes[place] == description["sha256"]), None)
        if chosen is None:
            short = f"SHA-256 {hashes[there[0]][:12]}..., not {description['sha256'][:12]}..."
            raise InputError(
                f"not the extractor that the model was trained with ({short})",
                path=there[0],
                remedy="name the right file with --extractor",
            )
        view = View.from_dict(description["view"])
        assert view.fit != "crop", "an extractor sees whole pictures"
        return cls(
            chosen,
            description["tensor"],
            preprocessing=Preprocessing(**description["preprocessing"]),
            fit=view.fit,
            size=view.size,
            licence=description.get("licence", ""),
            threads=threads,
        )

    @property
    def input_name(self) -> str:
        """Of the file's image."""
        return str(image_input(self._session, self.path).name)

    @property
    def kind(self) -> str:
        """The type of the values that it takes, as NumPy calls it."""
        return np.dtype(input_kind(image_input(self._session, self.path))).name

    def graph(self) -> Any:
        """The part of the file that makes the tensor, as an ONNX model."""
        import onnx

        return onnx.load_model_from_string(_cut(self.path, self.tensor))

    def features(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """The tensor ``(B, C, h, w)`` of RGB images ``(B, height, width, 3)``, as a list of one."""
        (maps,) = run_images(self._session, [self.tensor], self.preprocessing(images), self.path)
        return [maps.astype(np.float32, copy=False)]

    def with_outputs(self, names: Sequence[str]) -> Callable[[NDArray[np.uint8]], Joint]:
        """From images as `features` takes them to the tensor and further outputs of the file by name, in one run."""
        session, wanted = self._opened(self.tensor, *names), [self.tensor, *names]

        def run(images: NDArray[np.uint8]) -> Joint:
            maps, *others = run_images(session, wanted, self.preprocessing(images), self.path)
            return maps.astype(np.float32, copy=False), dict(zip(names, others, strict=True))

        return run

    def _opened(self, *tensors: str) -> Any:
        cut = _cut(self.path, *tensors)
        return open_session(cut, self.path, self._threads, remedy="check the version of its operators")


def _cut(path: Path, tensor: str, *others: str) -> bytes:
    """The file's graph up to some tensors, as the bytes of a graph whose outputs they are."""
    import onnx
    from onnx.utils import Extractor

    if not path.is_file():
        raise InputError("the extractor does not exist", path=path, remedy="check the path")
    try:
        model = onnx.load(str(path))
        model = onnx.shape_inference.infer_shapes(model)
    except Exception as error:  # protobuf and onnx raise kinds of their own
        raise InputError(f"not a readable ONNX file ({str(error)[:120]})", path=path, remedy="check it") from error
    weights = {one.name for one in model.graph.initializer}
    inputs = [one.name for one in model.graph.input if one.name not in weights]
    names = [name for node in model.graph.node for name in node.output if name]
    if tensor not in names:
        nearest = difflib.get_close_matches(tensor, names, n=NEAREST, cutoff=0.0)
        raise InputError(f"has no tensor {tensor!r}", path=path, remedy=f"the nearest names: {', '.join(nearest)}")
    extractor, wanted = Extractor(model), list(dict.fromkeys((tensor, *others)))
    for name in wanted:
        if name not in extractor.value_infos:  # of an operator whose shapes nobody can infer
            extractor.value_infos[name] = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
    return extractor.extract_model(inputs, wanted).SerializeToString()
