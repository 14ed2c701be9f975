"""Annotated faces: a folder with a JSON file for each face, as ``kaname landmark annotate`` writes it.

`kaname.data.formats.landmarks_file` says what a file holds, `kaname.data.formats.landmarks_names` how it is called.
"""

from __future__ import annotations

from kaname.data.formats.landmarks_file import (
    ABSENT,
    HIDDEN,
    SEEN,
    UNPLACED,
    Annotation,
    is_annotation,
    is_sidecar,
    read_annotation,
    write_annotation,
)
from kaname.data.formats.landmarks_names import annotation_names, face_of, file_name, images_below, read_folder

__all__ = [
    "ABSENT",
    "HIDDEN",
    "SEEN",
    "UNPLACED",
    "Annotation",
    "annotation_names",
    "face_of",
    "file_name",
    "images_below",
    "is_annotation",
    "is_sidecar",
    "read_annotation",
    "read_folder",
    "write_annotation",
]
