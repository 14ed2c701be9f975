"""Pretrained weights by name: what is known about the well-known ones, and when to download. Imports no torch.

Nothing is fetched before the user has read a line with name, size and licence; nothing is retried for minutes:
one short question tells whether the host answers.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any

from kaname.errors import InputError, shown

TIMEOUT = 5.0  # seconds for the host to answer at all
WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json", "pytorch_model.bin.index.json")
OTHERWISE = (
    "take `--config small`, a small network that needs none, or give a local folder (`--no-pretrained`: this network "
    "from random weights)"
)

APACHE = "Apache-2.0"
DINOV3 = "DINOv3 License (its own terms; gated: accept them on the model's page)"
MODEL_CARD = "see the model card"
GREY = (1 / 2, 1 / 2, 1 / 2)


@dataclass(frozen=True)
class Known:
    """A well-known model: megabytes to download, licence, and the configuration to build it without a download."""

    megabytes: int
    licence: str
    config: dict[str, Any]
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def _vit(kind: str, width: int, layers: int, patch: int, image: int, **extra: Any) -> dict[str, Any]:
    """Heads are always 64 wide."""
    sizes = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": width // 64}
    return {"model_type": kind, **sizes, "patch_size": patch, "image_size": image, **extra}


def _dinov3(width: int, layers: int) -> dict[str, Any]:
    return _vit("dinov3_vit", width, layers, 16, 224, intermediate_size=4 * width, num_register_tokens=4)


_REGISTERS = "dinov2_with_registers"
KNOWN: dict[str, Known] = {
    "facebook/dinov2-small": Known(88, APACHE, _vit("dinov2", 384, 12, 14, 518)),
    "facebook/dinov2-base": Known(346, APACHE, _vit("dinov2", 768, 12, 14, 518)),
    "facebook/dinov2-large": Known(1217, APACHE, _vit("dinov2", 1024, 24, 14, 518)),
    "facebook/dinov2-with-registers-small": Known(88, APACHE, _vit(_REGISTERS, 384, 12, 14, 518)),
    "facebook/dinov2-with-registers-base": Known(346, APACHE, _vit(_REGISTERS, 768, 12, 14, 518)),
    "facebook/dinov2-with-registers-large": Known(1217, APACHE, _vit(_REGISTERS, 1024, 24, 14, 518)),
    "facebook/dinov3-vits16-pretrain-lvd1689m": Known(86, DINOV3, _dinov3(384, 12)),
    "facebook/dinov3-vitb16-pretrain-lvd1689m": Known(343, DINOV3, _dinov3(768, 12)),
    "facebook/dinov3-vitl16-pretrain-lvd1689m": Known(1213, DINOV3, _dinov3(1024, 24)),
    "google/vit-base-patch16-224": Known(
        346, APACHE, _vit("vit", 768, 12, 16, 224, intermediate_size=3072, layer_norm_eps=1e-12), GREY, GREY
    ),
}


def to_stderr(line: str) -> None:
    """The default notice."""
    print(shown(line), file=sys.stderr, flush=True)


def licence_of(name: str) -> str:
    """The licence of a hub model's weights where it is known, else a hint."""
    return KNOWN[name].licence if name in KNOWN else MODEL_CARD


def first_line(error: Exception) -> str:
    """What a library's error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def size_text(megabytes: float | None) -> str:
    return "size unknown" if megabytes is None else f"about {megabytes:.0f} MB"


def download_line(name: str, megabytes: float | None, licence: str) -> str:
    """The line before a download."""
    return f"downloading {name} ({size_text(megabytes)}; licence: {licence}) once into the Hugging Face cache"


def cached_file(name: str, file: str) -> str | None:
    """Path of a repository's file in the local Hugging Face cache; None if absent."""
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(name, file)
    return path if isinstance(path, str) and os.path.exists(path) else None


def is_cached(name: str, *, weights: bool = True, config: bool = True) -> bool:
    """Whether the repository ``name`` can be loaded without a network."""
    has_config = not config or cached_file(name, "config.json") is not None
    return has_config and (not weights or any(cached_file(name, file) for file in WEIGHTS))


def ensure_reachable(name: str, *, file: str = "config.json") -> None:
    """Ask the Hugging Face hub for one file's header.

    Raises:
        InputError: no answer within seconds, an unknown or a gated repository; the remedy says what to do instead.
    """
    from huggingface_hub import constants, get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers

    if constants.HF_HUB_OFFLINE:
        raise InputError(f"{name} is not in the local cache and HF_HUB_OFFLINE is set", remedy=OTHERWISE)
    try:
        url = hf_hub_url(name, file)
    except ValueError as error:
        raise InputError(f"{name!r} is not the name of a Hugging Face model", remedy=OTHERWISE) from error
    try:
        answer = get_session().head(url, headers=build_hf_headers(), timeout=TIMEOUT)
    except Exception as error:  # the http library's own classes differ between versions
        reason = f"cannot reach {constants.ENDPOINT} to download {name} ({type(error).__name__})"
        raise InputError(reason, remedy=OTHERWISE) from error
    if answer.status_code in (401, 403):
        reason = f"the hub does not serve {name}: it does not exist, or it is gated (licence: {licence_of(name)})"
        raise InputError(reason, remedy=f"accept its terms and log in with `hf auth login`, or {OTHERWISE}")
    if answer.status_code >= 400:
        reason = f"the hub has no {file} for {name} (HTTP {answer.status_code})"
        raise InputError(reason, remedy=f"check the name, or {OTHERWISE}")
