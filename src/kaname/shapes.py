"""The names of jaxtyping for annotations, which cost nothing where nobody checks them.

``Float[np.ndarray, "points 2"]`` says what an array holds. Type checkers read it, and the tests check it at every call
(tests/shapes.py). Importing jaxtyping takes as long as NumPy, so that a program that has not imported it gets
stand-ins: ``Float[np.ndarray, "points 2"]`` is then ``np.ndarray``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what they are to a type checker, for jaxtyping is seldom installed where kaname is used
    from typing import Annotated as Bool
    from typing import Annotated as Complex128
    from typing import Annotated as Float
    from typing import Annotated as Float32
    from typing import Annotated as Float64
    from typing import Annotated as Int64
    from typing import Annotated as Integer
    from typing import Annotated as Real
    from typing import Annotated as Shaped
    from typing import Annotated as UInt
    from typing import Annotated as UInt8

__all__ = ["Bool", "Complex128", "Float", "Float32", "Float64", "Int64", "Integer", "Real", "Shaped", "UInt", "UInt8"]


class _Unchecked:
    def __class_getitem__(cls, what: tuple[Any, str]) -> Any:
        return what[0]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(name)
    checked = sys.modules.get("jaxtyping")
    return _Unchecked if checked is None else getattr(checked, name)
