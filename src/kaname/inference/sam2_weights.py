"""Weights of SAM 2.1: from the hub by name, from a local folder, or from Meta's own ``.pt``, strictly.

Meta's files call their tensors otherwise than transformers. `names_in_file` says how, name by name; a file that lacks
one, has one more, or has one of another shape is refused, and so is a file of another size than was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaname.errors import InputError
from kaname.files import at_home
from kaname.models import hub, sam2

if TYPE_CHECKING:
    import torch

HUB = {
    "facebook/sam2.1-hiera-tiny": ("sam2.1_hiera_t", 156),
    "facebook/sam2.1-hiera-small": ("sam2.1_hiera_s", 184),
    "facebook/sam2.1-hiera-base-plus": ("sam2.1_hiera_b+", 323),
    "facebook/sam2.1-hiera-large": ("sam2.1_hiera_l", 898),
}  # name: size, megabytes
USUAL = "sam2.1_hiera_b+"
OTHERWISE = "give a local folder that save_pretrained wrote, or Meta's own .pt"
WHOLE = "download the file again, whole"
FILES = ("config.json", "*processor*config.json", "model*.safetensors*")
Notice = Callable[[str], None]
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_WIDTH = "image_encoder.trunk.patch_embed.proj.weight"
_BLOCK = re.compile(r"image_encoder\.trunk\.blocks\.(\d+)\.norm1\.weight")
_NEW = "no_obj_embed_spatial"  # of SAM 2.1; SAM 2.0 has none

_RENAMED = {
    "no_memory_embedding": "no_mem_embed",
    "no_memory_positional_encoding": "no_mem_pos_enc",
    "memory_temporal_positional_encoding": "maskmem_tpos_enc",
    "no_object_pointer": "no_obj_ptr",
    "occlusion_spatial_embedding_parameter": "no_obj_embed_spatial",
    "memory_attention.layer_norm": "memory_attention.norm",
    "memory_encoder.projection": "memory_encoder.out_proj",
    "memory_encoder.feature_projection": "memory_encoder.pix_feat_proj",
    "memory_encoder.mask_downsampler.final_conv": "memory_encoder.mask_downsampler.encoder.12",
    "prompt_encoder.mask_embed.conv1": "sam_prompt_encoder.mask_downscaling.0",
    "prompt_encoder.mask_embed.layer_norm1": "sam_prompt_encoder.mask_downscaling.1",
    "prompt_encoder.mask_embed.conv2": "sam_prompt_encoder.mask_downscaling.3",
    "prompt_encoder.mask_embed.layer_norm2": "sam_prompt_encoder.mask_downscaling.4",
    "prompt_encoder.mask_embed.conv3": "sam_prompt_encoder.mask_downscaling.6",
    "mask_decoder.upscale_conv1": "sam_mask_decoder.output_upscaling.0",
    "mask_decoder.upscale_layer_norm": "sam_mask_decoder.output_upscaling.1",
    "mask_decoder.upscale_conv2": "sam_mask_decoder.output_upscaling.3",
    "mask_decoder.transformer.layer_norm_final_attn": "sam_mask_decoder.transformer.norm_final_attn",
    "temporal_positional_encoding_projection_layer": "obj_ptr_tpos_proj",
}
_MATRIX = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
_SPLIT: dict[str, tuple[str, ...]] = {
    "shared_image_embedding.positional_embedding": (_MATRIX,),
    "prompt_encoder.shared_embedding.positional_embedding": (_MATRIX,),
    "prompt_encoder.point_embed.weight": tuple(f"sam_prompt_encoder.point_embeddings.{i}.weight" for i in range(4)),
}
# In order, each on what the one before has made of a name.
_RULES: tuple[tuple[str, Any], ...] = (
    (r"^vision_encoder\.backbone\.", "image_encoder.trunk."),
    (r"^vision_encoder\.neck\.convs\.(\d+)\.", r"image_encoder.neck.convs.\1.conv."),
    (r"\.patch_embed\.projection\.", ".patch_embed.proj."),
    (r"^prompt_encoder\.", "sam_prompt_encoder."),
    (r"^mask_decoder\.", "sam_mask_decoder."),
    (r"^object_pointer_proj\.", "obj_ptr_proj."),
    (r"(output_hypernetworks_mlps\.\d+|iou_prediction_head|pred_obj_score_head|obj_ptr_proj)\.layers\.0\.",
     r"\1.layers.1."),
    (r"(output_hypernetworks_mlps\.\d+|iou_prediction_head|pred_obj_score_head|obj_ptr_proj)\.proj_out\.",
     r"\1.layers.2."),
    (r"\.proj_in\.", ".layers.0."),
    (r"\.mlp\.proj_out\.", ".mlp.layers.1."),
    (r"\.mask_downsampler\.layers\.(\d+)\.conv\.", lambda found: f".mask_downsampler.encoder.{3 * int(found[1])}."),
    (r"\.mask_downsampler\.layers\.(\d+)\.layer_norm\.",
     lambda found: f".mask_downsampler.encoder.{3 * int(found[1]) + 1}."),
    (r"\.memory_fuser\.", ".fuser."),
    (r"\.depthwise_conv\.", ".dwconv."),
    (r"\.pointwise_conv(\d)\.", r".pwconv\1."),
    (r"(\.fuser\.layers\.\d+)\.scale$", r"\1.gamma"),
    (r"\.layer_norm(\d?)\.", r".norm\1."),
    (r"(attn\w*)\.o_proj\.", r"\1.out_proj."),
)  # fmt: skip


@dataclass(frozen=True)
class Weights:
    """Where weights are.

    Attributes:
        path: Meta's file, or a folder that ``save_pretrained`` wrote.
        size: one of `kaname.models.sam2.SIZES`, where it is asked for.
    """

    path: Path
    size: str | None

    @property
    def files(self) -> list[Path]:
        """What the network depends on."""
        if self.path.is_file():
            return [self.path]
        return sorted({file for pattern in FILES for file in self.path.glob(pattern)})


def find(source: str | None, config: str | None = None, *, notice: Notice | None = None) -> Weights:
    """Where the weights of a checkpoint are; one of the hub is downloaded as far as it is missing.

    Args:
        source: a ``.pt`` of Meta's, a local folder, or a name of the hub; None: that of the configuration's size, else
            base-plus.
        config: chooses the size by its file name, such as ``configs/sam2.1/sam2.1_hiera_b+.yaml``; that file need not
            exist. Default: the size of the checkpoint.
        notice: takes one line before a download; by default it is printed on stderr.

    Raises:
        InputError: nothing there, an unknown configuration, a folder without weights, transformers missing, or a
            download that fails.
    """
    size = None if config is None else size_named(config)
    if source is None:
        source = next(name for name, (own, _) in HUB.items() if own == (size or USUAL))
    path = at_home(source)
    sam2.require_installed()
    if path.is_file():
        return Weights(path, size)
    if path.is_dir():
        if not (path / "config.json").is_file() or not any(path.glob("model*.safetensors")):
            raise InputError("the folder has no config.json with model.safetensors", path=path, remedy=OTHERWISE)
        return Weights(path, size)
    if path.suffix in (".pt", ".pth") or _HUB_NAME.fullmatch(source) is None:
        raise InputError("the checkpoint does not exist", path=path, remedy=f"check --ckpt, or give {', '.join(HUB)}")
    known = HUB.get(source)
    if size is not None and known is not None and known[0] != size:
        raise _another_size(source, known[0], size)
    return Weights(_downloaded(source, known and known[1], notice), size)


def load(weights: Weights, device: str = "cpu", *, half: bool = False) -> sam2.Sam2Propagator:
    """The propagator of these weights.

    Args:
        half: in bfloat16.

    Raises:
        InputError: weights that do not fit, in Meta's names; or of another size than was asked for, naming both.
    """
    import torch

    if weights.path.is_file():
        model = _imported(weights)
        processor = sam2.processor_of(model.config)
    else:
        model, processor = _from_folder(weights)
    return sam2.Sam2Propagator(model.to(torch.bfloat16 if half else torch.float32), processor, device)


def check(weights: Weights) -> None:
    """Refuse Meta's file of another size, and a folder of another size, before any work.

    Raises:
        InputError: both sizes are named.
    """
    if weights.path.is_file():
        _recognised(_read(weights.path), weights)
    else:
        _folder_config(weights)


def size_named(config: str) -> str:
    """The size that a configuration's file name stands for.

    Raises:
        InputError: no such configuration.

    >>> size_named("configs/sam2.1/sam2.1_hiera_b+.yaml")
    'sam2.1_hiera_b+'
    """
    name = Path(config).name.removesuffix(".yaml").removesuffix(".yml")
    if name not in sam2.SIZES:
        raise InputError(f"no configuration of SAM 2.1 is called {name!r}", remedy=f"known: {', '.join(sam2.SIZES)}")
    return name


def names_in_file(name: str) -> tuple[str, ...]:
    """Meta's names of what transformers calls ``name``: one, or several that are stacked.

    >>> names_in_file("vision_encoder.backbone.blocks.3.mlp.proj_in.weight")
    ('image_encoder.trunk.blocks.3.mlp.layers.0.weight',)
    """
    if name in _SPLIT:
        return _SPLIT[name]
    stem, dot, kind = name.rpartition(".")
    if name in _RENAMED:
        return (_RENAMED[name],)
    if stem in _RENAMED:
        return (f"{_RENAMED[stem]}{dot}{kind}",)
    for pattern, replacement in _RULES:
        name = re.sub(pattern, replacement, name)
    return (name,)


def expected(model: Any) -> dict[str, torch.Tensor]:
    """What a file of Meta's holds for this network: tensors of these shapes by its names."""
    found: dict[str, torch.Tensor] = {}
    for name, value in model.state_dict().items():
        names = names_in_file(name)
        for place, part in enumerate(names):
            found[part] = value if len(names) == 1 else value[place : place + 1]
    return found


def _imported(weights: Weights) -> Any:
    import torch
    from transformers import Sam2VideoModel

    from kaname.inference.checkpoint import check_fit

    given = _read(weights.path)
    model = Sam2VideoModel(sam2.config_of(_recognised(given, weights)))
    remedy = "these are weights of SAM 2.0, give those of SAM 2.1" if _NEW not in given else WHOLE
    check_fit(expected(model), given, path=weights.path, remedy=remedy)
    parts = {name: [given[part] for part in names_in_file(name)] for name in model.state_dict()}
    model.load_state_dict({name: torch.cat(own) if len(own) > 1 else own[0] for name, own in parts.items()})
    return model


def _read(path: Path) -> dict[str, torch.Tensor]:
    import torch

    from kaname.inference import checkpoint

    content = checkpoint.read(path, remedy=WHOLE)
    given = content.get("model") if isinstance(content, dict) else None
    if not isinstance(given, dict) or not all(isinstance(value, torch.Tensor) for value in given.values()):
        raise InputError("not a checkpoint of SAM 2 as Meta writes it", path=path, remedy=OTHERWISE)
    return given


def _recognised(given: Mapping[str, torch.Tensor], weights: Weights) -> str:
    """The size of a file, which is the one that was asked for if one was."""
    width = given[_WIDTH].shape[0] if _WIDTH in given else 0
    blocks = sum(1 for name in given if _BLOCK.fullmatch(name))
    for name, size in sam2.SIZES.items():
        if size["hidden_size"] == width and sum(size["blocks_per_stage"]) == blocks:
            if weights.size not in (None, name):
                raise _another_size(str(weights.path), name, str(weights.size))
            return name
    reason = f"not SAM 2.1 of any size: its encoder has {blocks} blocks of width {width}"
    raise InputError(reason, path=weights.path, remedy=f"known: {', '.join(sam2.SIZES)}")


def _folder_config(weights: Weights) -> Any:
    from transformers import Sam2VideoConfig

    try:
        config = Sam2VideoConfig.from_pretrained(weights.path, local_files_only=True)
        known = sam2.size_of(config)
    except Exception as error:  # a foreign file can be broken in any way
        reason = f"not the configuration of SAM 2 for video ({hub.first_line(error)})"
        raise InputError(reason, path=weights.path, remedy=OTHERWISE) from error
    if weights.size is not None and known != weights.size:
        raise _another_size(str(weights.path), known or "a network of its own", weights.size)
    return config


def _from_folder(weights: Weights) -> tuple[Any, Any]:
    import torch
    from transformers import Sam2VideoModel, Sam2VideoProcessor

    from kaname.models.backbones.vit import quiet

    config = _folder_config(weights)
    try:
        with quiet():
            loaded: Any = Sam2VideoModel.from_pretrained(
                weights.path, config=config, dtype=torch.float32, local_files_only=True, output_loading_info=True
            )
        model, report = loaded
        own = any(weights.path.glob("*processor*config.json"))
        processor = Sam2VideoProcessor.from_pretrained(weights.path) if own else sam2.processor_of(config)
    except Exception as error:  # as above
        raise InputError(f"the weights do not load ({hub.first_line(error)})", path=weights.path,
                         remedy=OTHERWISE) from error  # fmt: skip
    wrong = {kind: sorted(report[f"{kind}_keys"]) for kind in ("missing", "unexpected", "mismatched")}
    for kind, names in wrong.items():
        if names:
            reason = f"the weights do not fit the network ({kind}: {names[0]}{' ...' if names[1:] else ''})"
            raise InputError(reason, path=weights.path, remedy=OTHERWISE)
    return model, processor


def _downloaded(name: str, megabytes: float | None, notice: Notice | None) -> Path:
    """The local folder of a hub model; nothing is fetched before its name, size and licence were told."""
    from huggingface_hub import snapshot_download

    cached = hub.is_cached(name)
    try:
        if not cached:
            hub.ensure_reachable(name)
    except InputError as error:
        raise InputError(error.reason, remedy=OTHERWISE) from error
    if not cached:
        (notice or hub.to_stderr)(hub.download_line(name, megabytes, hub.APACHE if name in HUB else hub.MODEL_CARD))
    try:
        return Path(snapshot_download(name, allow_patterns=list(FILES), local_files_only=cached))
    except Exception as error:  # the hub has many classes; all of them mean: not downloaded
        reason = f"the download of {name} failed ({type(error).__name__})"
        raise InputError(reason, remedy=f"try again, or {OTHERWISE}") from error


def _another_size(source: str, found: str, wanted: str) -> InputError:
    return InputError(f"this checkpoint is {found}, but --config says {wanted}", path=source,
                      remedy=f"give --config {found}.yaml, or the checkpoint of {wanted}")  # fmt: skip
