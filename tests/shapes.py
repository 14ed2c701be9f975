"""Runtime checks of jaxtyping's annotations: arrays and tensors have the shapes and types that functions state."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any, get_args

import jaxtyping
from beartype import BeartypeConf, beartype

# Strings: nothing of kaname may be imported before the hook is there.
ROOMS = [f"kaname.{room}" for room in ("geometry", "codecs", "losses", "metrics", "models")]

_check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float
_jaxtyped = jaxtyping.jaxtyped


def install() -> None:
    """Check the functions, methods and dataclasses of the rooms from now on, in this process."""
    jaxtyping.install_import_hook(ROOMS, f"{__name__}.checked")
    jaxtyping.jaxtyped = sparing  # what the hook writes above every function


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The type checker for the hook: what is about arrays, after the call.

    jaxtyping hands over two empty functions for each of ours: one takes its arguments before the call, the other its
    arguments and its result after it. The first stays unchecked: functions refuse bad input with an `InputError` that
    says why, and tests look for that. What they accept, though, has to be what they say they accept. Arguments that
    are no arrays are left alone for the same reason.
    """
    if "ret0" not in inspect.signature(function).parameters:  # jaxtyping's name for the result
        return function
    hints = function.__annotations__
    function.__annotations__ = {name: hint if holds_array(hint) else Any for name, hint in hints.items()}
    return _check(function)


def sparing(*, typechecker: Callable[..., Any]) -> Callable[[Any], Any]:
    """`jaxtyping.jaxtyped` for what is about arrays alone: geometry's tests call the rest a million times.

    Functions inside functions are left out, because they would be prepared anew at every call of the outer one.
    """

    def decorate(thing: Any) -> Any:
        if isinstance(thing, FunctionType) and ("<locals>" in thing.__qualname__ or not speaks_of_arrays(thing)):
            return thing
        return _jaxtyped(thing, typechecker=typechecker)

    return decorate


def speaks_of_arrays(function: FunctionType) -> bool:
    """Whether an annotation of a function holds an array."""
    for hint in function.__annotations__.values():
        try:
            if holds_array(eval(hint, function.__globals__)):
                return True
        except NameError:  # a class that is not there yet
            continue
    return False


def holds_array(hint: Any) -> bool:
    """Whether there is an array with a shape anywhere in a type."""
    return (isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray)) or any(
        map(holds_array, get_args(hint))
    )
