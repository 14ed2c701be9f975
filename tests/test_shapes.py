"""The checks of shapes are alive in this suite, and no array of these rooms is left without a shape."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import numpy as np
import pytest

import shapes

SOURCE = Path(__file__).resolve().parent.parent / "src"


def another_size() -> None:
    """A result that does not have the size that was asked for."""
    from kaname.geometry import image

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image, "resample", lambda *_: np.zeros((4, 5, 3)))
        image.resize(np.zeros((8, 8, 3)), (5, 4))


def more_peaks_than_maps() -> None:
    from kaname.codecs.heatmap import METHODS

    METHODS["argmax"](np.zeros((2, 4, 4)), np.zeros((3, 2), np.int64))


def one_target_for_two_maps() -> None:
    """torch would broadcast."""
    import torch

    from kaname.losses.heatmap import masked_mse

    masked_mse(torch.zeros(2, 1, 4, 4), torch.zeros(1, 1, 4, 4))


def a_table_for_a_row() -> None:
    from kaname.metrics.intervals import mean

    mean(np.zeros((3, 2)))


def a_map_without_a_batch() -> None:
    """torch would take it."""
    import torch

    from kaname.models.decoders.linear import build_linear

    build_linear([8], [4], 1)([torch.zeros(8, 4, 4)])


WRONG = {
    "kaname.geometry": another_size,
    "kaname.codecs": more_peaks_than_maps,
    "kaname.losses": one_target_for_two_maps,
    "kaname.metrics": a_table_for_a_row,
    "kaname.models": a_map_without_a_batch,
}


@pytest.mark.parametrize("room", shapes.ROOMS)
def test_a_wrong_shape_is_found(room: str) -> None:
    with pytest.raises(jaxtyping.TypeCheckError, match=re.escape(room)):
        WRONG[room]()


def test_every_array_has_a_shape() -> None:
    """In arguments, results and fields; an `ArrayLike` may be a list, so its shape stands in the docstring."""
    files = [path for room in shapes.ROOMS for path in sorted((SOURCE / room.replace(".", "/")).rglob("*.py"))]
    bare = re.compile(r"\b(NDArray|ndarray|Tensor)\b")
    shaped = re.compile(r"\[(np\.ndarray( \| np\.float64)?|NDArray\[np\.\w+\]|Tensor), '[^']*'\]")
    found = [
        f"{path.relative_to(SOURCE)}:{annotation.lineno}"
        for path in files
        for annotation in annotations(ast.parse(path.read_text(encoding="utf-8")))
        if bare.search(shaped.sub("", ast.unparse(annotation)))
    ]
    assert len(files) > 20 and not found


def annotations(tree: ast.Module) -> Iterator[ast.expr]:
    """Those of functions and of the fields of classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield from filter(None, [node.returns])
        elif isinstance(node, ast.arg):
            yield from filter(None, [node.annotation])
        elif isinstance(node, ast.ClassDef):
            yield from (field.annotation for field in node.body if isinstance(field, ast.AnnAssign))


def test_the_names_mean_something_to_type_checkers_without_jaxtyping() -> None:
    """Where kaname is installed it seldom is; arrays of public functions were of an unknown type there."""
    tree = ast.parse((SOURCE / "kaname" / "shapes.py").read_text(encoding="utf-8"))
    taken = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert {node.module for node in taken} == {"__future__", "typing"}
    names = importlib.import_module("kaname.shapes").__all__
    assert set(names) <= {name.asname for node in taken for name in node.names}
