"""Vision transformers of Hugging Face: DINOv2 (with registers), DINOv3, plain ViT and relatives.

The output is one map: the patch tokens of the last layer after the final layer norm, row-major on the patch grid.
A model's tokens are its prefix (CLS, registers, ...) followed by the patches; the count is checked at every call,
because a configuration that hides its registers would otherwise shift the whole map.

Three parts of the original classes are left out on purpose: the pooler (untrained in most checkpoints), the mask token
(pre-training only; a parameter without a gradient stops distributed training) and DINOv3's random rescaling of
the position coordinates in training mode (randomness that a resumed run could not repeat).

Adding a new kind of transformer: one line in `LAYOUTS`, and its tiny configuration in ``tests/models/tiny_vits.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kaname.errors import InputError
from kaname.files import at_home
from kaname.models import hub
from kaname.models.backbones.backbone import IMAGENET_MEAN, IMAGENET_STD, Backbone, Notice, widen
from kaname.shapes import Float


@dataclass(frozen=True)
class Layout:
    """How a kind of transformer is built and called."""

    prefix: Callable[[Any], int]  # configuration -> number of tokens before the patches
    build: Mapping[str, Any]  # arguments of the class
    call: Mapping[str, Any]  # arguments of the call


def _registers(config: Any) -> int:
    # The class default of DINOv3 is 0 while its weights have 4: only the configuration knows.
    return 1 + int(getattr(config, "num_register_tokens", 0) or 0)


_POOLER: Mapping[str, Any] = {"add_pooling_layer": False}
_RESIZE: Mapping[str, Any] = {"interpolate_pos_encoding": True}
LAYOUTS: dict[str, Layout] = {
    "dinov2": Layout(_registers, {}, {}),
    "dinov2_with_registers": Layout(_registers, {}, {}),
    "dinov3_vit": Layout(_registers, {}, {}),
    "vit": Layout(lambda _: 1, _POOLER, _RESIZE),
    "deit": Layout(lambda _: 2, _POOLER, _RESIZE),
    "ijepa": Layout(lambda _: 0, _POOLER, _RESIZE),
    "vit_msn": Layout(lambda _: 1, {}, _RESIZE),
}

_RANDOM_POSITIONS = ("pos_embed_shift", "pos_embed_jitter", "pos_embed_rescale")
_LABELS = ("id2label", "label2id", "architectures", "_name_or_path", "num_labels", "problem_type")


class PatchFeatures(nn.Module):
    """A transformer's last-layer patch tokens as one feature map."""

    def __init__(self, model: nn.Module, *, patch: int, prefix: int, call: Mapping[str, Any]) -> None:
        super().__init__()
        self.model = model
        self.patch = patch
        self.prefix = prefix
        self.call = dict(call)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> list[Float[Tensor, "batch _channels _height _width"]]:
        """``(B, C, H, W)`` -> one map ``(B, hidden, H / patch, W / patch)``."""
        rows, columns = images.shape[2] // self.patch, images.shape[3] // self.patch
        tokens = self.model(pixel_values=images, **self.call).last_hidden_state
        expected = self.prefix + rows * columns
        if tokens.shape[1] != expected:
            raise InputError(
                f"the transformer gave {tokens.shape[1]} tokens, not {expected} "
                f"({self.prefix} of CLS and registers + {rows} x {columns} patches)",
                remedy="check num_register_tokens in its config.json",
            )
        return [tokens[:, self.prefix :].transpose(1, 2).unflatten(2, (rows, columns))]


def build_vit(
    name: str,
    *,
    pretrained: bool,
    in_channels: int = 3,
    description: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    notice: Notice = hub.to_stderr,
) -> Backbone:
    """A transformer from a local folder, from the hub, or again from its description.

    Raises:
        InputError: see `kaname.models.backbones.build_backbone`.
    """
    new = dict(options or {})
    start = new.pop("new_channels", "repeat")
    if new or start not in ("repeat", "zero"):
        reason = f"a Hugging Face ViT has no option {', '.join(new)}" if new else f"unknown new_channels {start!r}"
        raise InputError(reason, remedy="it takes new_channels, repeat or zero")
    if description is not None:
        config = _config_of(description["config"])
        model = _fresh(config)
        mean, std, described = description["mean"], description["std"], dict(description)
    else:
        folder = at_home(name)
        source = _Folder(folder) if folder.is_dir() else _Hub(name, pretrained=pretrained, notice=notice)
        config = source.config
        model = _loaded(config, source.path or name) if pretrained else _fresh(config)
        mean, std = source.mean, source.std
        described = {"kind": "vit", "name": source.name, "licence": hub.licence_of(source.name)}
        described |= {"pretrained": pretrained, "revision": source.revision}
    patch = _patch_size(config, name)
    if description is None:
        _adapt_channels(model, config, in_channels, start_at_zero=start == "zero")
        described |= {"in_channels": in_channels, "mean": list(mean), "std": list(std), "config": _plain(config)}
    _drop_mask_token(model)
    layout = LAYOUTS[config.model_type]
    body = PatchFeatures(model, patch=patch, prefix=layout.prefix(config), call=layout.call)
    return Backbone(
        body,
        channels=[config.hidden_size],
        strides=[patch],
        multiple=patch,
        mean=mean,
        std=std,
        description=described,
    )


class _Folder:
    """A folder that ``save_pretrained`` wrote."""

    def __init__(self, folder: Path) -> None:
        self.path: str | None = str(folder)
        self.name = folder.resolve().name  # the path itself is the user's own business
        self.revision: str | None = None
        self.config = _read_config(folder)
        self.mean, self.std = _normalization(folder / "preprocessor_config.json")


class _Hub:
    """A model of the hub: from the cache, from the table of well-known ones, or downloaded."""

    def __init__(self, name: str, *, pretrained: bool, notice: Notice) -> None:
        self.name, self.revision = name, None
        known = hub.KNOWN.get(name)
        self.mean, self.std = (known and known.mean) or IMAGENET_MEAN, (known and known.std) or IMAGENET_STD
        if not pretrained and known is not None:
            self.path, self.config = None, _config_of(known.config)
            return
        if not hub.is_cached(name, weights=pretrained):
            hub.ensure_reachable(name)
            if pretrained:
                notice(hub.download_line(name, known and known.megabytes, hub.licence_of(name)))
        self.path = _snapshot(name, weights=pretrained)
        self.revision = Path(self.path).name  # the cache names its folders by commit
        self.config = _read_config(Path(self.path))
        processor = Path(self.path) / "preprocessor_config.json"
        if processor.is_file():
            self.mean, self.std = _normalization(processor)


def _snapshot(name: str, *, weights: bool) -> str:
    """The local folder of a hub model, downloaded as far as it is missing."""
    from huggingface_hub import snapshot_download

    patterns = ["config.json", "preprocessor_config.json", *(["model*.safetensors*"] if weights else [])]
    # What is in the cache is used as it is, without asking the host, so that it works offline.
    cached = hub.is_cached(name, weights=weights)
    try:
        folder = snapshot_download(name, allow_patterns=patterns, local_files_only=cached)
        if weights and not cached and not any(Path(folder).glob("model*.safetensors")):
            folder = snapshot_download(name, allow_patterns=[*patterns, "pytorch_model*.bin*"])
    except Exception as error:  # the hub has many classes; all of them mean: not downloaded
        reason = f"the download of {name} failed ({type(error).__name__})"
        raise InputError(reason, remedy=f"try again, or {hub.OTHERWISE}") from error
    return folder


@contextmanager
def quiet() -> Iterator[None]:
    """transformers says a lot while it loads; what matters is checked and raised here."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _read_config(folder: Path) -> Any:
    """config.json as a transformers configuration, of a kind that is known here."""
    path = folder / "config.json"
    try:
        return _config_of(json.loads(path.read_text(encoding="utf-8")))
    except InputError as error:
        raise InputError(error.reason, path=path, remedy=error.remedy) from error
    except (OSError, ValueError) as error:
        raise InputError("not a readable config.json", path=path, remedy="give an intact folder") from error


def _config_of(values: Mapping[str, Any]) -> Any:
    from transformers import AutoConfig

    kind = values.get("model_type")
    if kind not in LAYOUTS:
        reason = f"a model of type {kind!r} is not a plain vision transformer"
        raise InputError(reason, remedy=f"known types: {', '.join(LAYOUTS)}; others through timm:NAME")
    values = {key: value for key, value in values.items() if key not in (*_LABELS, "model_type", "torch_dtype")}
    try:
        config = AutoConfig.for_model(kind, **values)
    except Exception as error:  # transformers' validation has classes of its own
        reason = f"transformers refuses the configuration ({hub.first_line(error)})"
        raise InputError(reason, remedy="correct config.json") from error
    for key in _RANDOM_POSITIONS:
        if hasattr(config, key):
            setattr(config, key, None)
    config.dtype = torch.float32
    return config


def _plain(config: Any) -> dict[str, Any]:
    """The whole configuration as JSON values, so that later changes of a default cannot change the model."""
    values = {key: value for key, value in config.to_dict().items() if key not in _LABELS}
    return json.loads(json.dumps(values | {"dtype": "float32"}, default=str))


def _fresh(config: Any) -> nn.Module:
    from transformers import AutoModel

    with quiet():
        return AutoModel.from_config(config, dtype=torch.float32, **LAYOUTS[config.model_type].build).eval()


def _loaded(config: Any, folder: str) -> nn.Module:
    """The model with the folder's weights, in float32 (a checkpoint's own dtype may be half precision)."""
    from transformers import AutoModel

    arguments = dict(LAYOUTS[config.model_type].build)
    try:
        with quiet():
            model, report = AutoModel.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                local_files_only=True,
                weights_only=True,
                output_loading_info=True,
                **arguments,
            )
    except Exception as error:  # a foreign file can be broken in any way
        reason = f"the weights do not load ({hub.first_line(error)})"
        raise InputError(reason, path=folder, remedy=hub.OTHERWISE) from error
    missing = sorted(key for key in report["missing_keys"] if "mask_token" not in key)
    if missing:
        reason = f"the weights lack {len(missing)} of the model's tensors, the first {missing[0]}"
        raise InputError(reason, path=folder, remedy=hub.OTHERWISE)
    return model.eval()


def _patch_size(config: Any, name: str) -> int:
    sizes = {int(config.patch_size)} if isinstance(config.patch_size, int) else {int(v) for v in config.patch_size}
    if len(sizes) != 1:
        raise InputError(f"{name} has patches that are not square ({config.patch_size})", remedy=hub.OTHERWISE)
    return sizes.pop()


def _adapt_channels(model: nn.Module, config: Any, in_channels: int, *, start_at_zero: bool) -> None:
    """Give the patch embedding another number of input channels."""
    if in_channels == config.num_channels:
        return
    embeddings: Any = model.get_submodule("embeddings.patch_embeddings")
    first: Any = getattr(embeddings, "projection", embeddings)  # DINOv3's is the convolution itself
    with torch.no_grad():
        first.weight = nn.Parameter(widen(first.weight, in_channels, start_at_zero=start_at_zero))
    first.in_channels = in_channels
    if first is not embeddings:
        embeddings.num_channels = in_channels
    config.num_channels = in_channels


def _drop_mask_token(model: nn.Module) -> None:
    embeddings: Any = model.get_submodule("embeddings")
    if getattr(embeddings, "mask_token", None) is not None:
        embeddings.mask_token = None


def _normalization(path: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of preprocessor_config.json, ImageNet's without the file.

    Its sizes and crops are not used: they would move points.
    """
    if not path.is_file():
        return IMAGENET_MEAN, IMAGENET_STD
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        mean = tuple(float(value) for value in values.get("image_mean", IMAGENET_MEAN))
        std = tuple(float(value) for value in values.get("image_std", IMAGENET_STD))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError("image_mean and image_std are not readable", path=path, remedy="correct the file") from error
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise InputError("image_mean and image_std must be three numbers", path=path, remedy="correct the file")
    return mean, std
