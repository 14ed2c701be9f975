"""What the pipeline knows of a recipe's answers: how outputs become them, and the files that hold them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kaname.pipeline.part import Part, parts

READ, WRITE, MADE = (Part(f"kaname.pipeline.answers:{name}") for name in ("read", "write", "made"))


@dataclass(frozen=True, repr=False, eq=False)
class Answering:
    """A recipe's way from outputs to answers; what is called is a `Part`.

    Attributes:
        decode: ``(card, settings) -> decode``: from outputs to answers; ``settings``: those of ``section``.
        read: ``(path) -> rows`` of a file of predictions, with ``source`` and ``frame``; this and the next two are by
            default of `kaname.pipeline.answers`.
        write: ``(path, predictions, about) -> counts``: such a file, with what made them.
        made: ``(path) -> about`` of such a file; empty where it does not say.
        about: ``(card, how) -> dict``: what a file of predictions says of its model besides its name and settings.
        feed: ``(card, settings, path) -> feed`` of the file at ``path``, where that is more than images and boxes.
        closer: ``(settings) -> closer``: which part of an image is looked at again (`kaname.inference.second_look`).
        reading: ``(answer, low, high, unit) -> reading`` of a measuring instrument, for ``model.read``.
        section: of the configuration, which may change after training; ``flip_test`` in it is the pipeline's own.
        threshold: its key that an answer's score must exceed.
        presence: its key that the scores of several must reach together, else nothing of the image is answered.
        predictions: file names of its predictions, that of ``evaluate`` first.
        unit: what is predicted one by one, in a word.
    """

    decode: Part
    read: Callable[..., Any]
    write: Callable[..., Any] = WRITE
    made: Callable[..., Any] = MADE
    about: Callable[..., Mapping[str, Any]] = lambda *_: {}
    feed: Callable[..., Any] | None = None
    closer: Callable[..., Any] | None = None
    reading: Callable[..., Any] | None = None
    section: str = "answers"
    threshold: str = ""
    presence: str = ""
    predictions: Sequence[str] = ("points.json",)
    unit: str = "image"

    @classmethod
    def of(cls, package: str, **own: Any) -> Answering:
        """That of a recipe's package, whose functions have their usual names; ``own`` are other fields or names."""
        read = functools.partial(READ, recipe=package.rpartition(".")[2])
        usual = {"decode": "decode:decode_of", "about": "decode:about"}
        return cls(**{"read": read, **parts(package, usual | own)})
