"""What is read of an ONNX file before a runtime opens it: its notes, and its network without the view in front of it.

An export takes images of any size and brings them into its view in the graph, for whoever runs it without Kaname. Here
that is done outside, where it costs a fraction: each frame once, as it arrives. So the nodes of the view are left out
of the graph before a runtime sees it, and the tensor that they make becomes its input. To read and write a file of
hundreds of megabytes with the package onnx would take longer than the first answer; what is needed of the format
(https://protobuf.dev/programming-guides/encoding, onnx.proto) are lengths and names. No torch here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

VIEW = "view/"  # how the names of the view's nodes and tensors begin
SEEN = f"{VIEW}seen"  # the images in the view, float32 (B, 3 * frames, rows, columns)
KEPT = f"{VIEW}kept"  # how many of the rows that the network makes are wanted
ALL = (1 << 63) - 1
GRAPH, METADATA, NODE, INITIALIZER, INPUT = 7, 14, 1, 5, 11  # of ModelProto and GraphProto
NODE_NAME, TENSOR_NAME, INPUT_NAME = 3, 8, 1
FLOAT, WHOLE = 1, 7  # of TensorProto.DataType
LENGTH, VARINT = 2, 0  # wire types


class Field(NamedTuple):
    """One field of a message: its number, where it begins, and where its content lies."""

    number: int
    start: int
    content: int
    end: int


def metadata(model: bytes, key: str) -> str | None:
    """What a model's metadata says under a key.

    Raises:
        ValueError: not an ONNX file.
    """
    data = memoryview(model)
    for field in _fields(data, 0, len(data)):
        if field.number == METADATA and _name(data, field, 1) == key:
            return _name(data, field, 2)
    return None


def without_view(model: bytes, seen: Sequence[int]) -> bytes | None:
    """The model with an input ``SEEN`` in the place of what only the view takes; None where it has no view of its own.

    Args:
        model: an ONNX file, whole.
        seen: ``(channels, rows, columns)`` of the images in the view.

    Raises:
        ValueError: not such a file.
    """
    data = memoryview(model)
    graph = next((field for field in _fields(data, 0, len(data)) if field.number == GRAPH), None)
    if graph is None:
        return None
    kept: list[bytes | memoryview] = []
    taken, made = set[str](), set[str]()
    inputs: list[tuple[str, Field]] = []
    for field in _fields(data, graph.content, graph.end):
        if field.number == NODE and _name(data, field, NODE_NAME).startswith(VIEW):
            for one in _fields(data, field.content, field.end):
                if one.number in (1, 2):
                    (taken if one.number == 1 else made).add(_text(data, one))
        elif field.number == INPUT:
            inputs.append((_name(data, field, INPUT_NAME), field))
        elif field.number != INITIALIZER or not _name(data, field, TENSOR_NAME).startswith(VIEW):
            kept.append(data[field.start : field.end])
    if not taken:
        return None
    kept += [data[field.start : field.end] for name, field in inputs if name not in taken]
    kept.append(_written(INPUT, _image_input(seen)))
    if KEPT in made:
        kept.append(_written(INITIALIZER, _number_tensor(KEPT, ALL)))
    head = _varint(GRAPH << 3 | LENGTH) + _varint(sum(map(len, kept)))
    return b"".join([data[: graph.start], head, *kept, data[graph.end :]])


def _image_input(seen: Sequence[int]) -> bytes:
    """The ValueInfoProto of ``SEEN``."""
    axes = [_written(1, _written(2, b"batch")), *(_written(1, b"\x08" + _varint(side)) for side in seen)]
    tensor = b"\x08" + _varint(FLOAT) + _written(2, b"".join(axes))
    return _written(1, SEEN.encode()) + _written(2, _written(1, tensor))


def _number_tensor(name: str, value: int) -> bytes:
    """The TensorProto of one whole number."""
    return b"".join([b"\x08\x01\x10" + _varint(WHOLE), _written(7, _varint(value)), _written(8, name.encode())])


def _fields(data: memoryview, at: int, end: int) -> Iterator[Field]:
    while at < end:
        start = at
        key, at = _number(data, at)
        kind = key & 7
        if kind == LENGTH:
            length, content = _number(data, at)
            at = content + length
        elif kind == VARINT:
            content, (_, at) = at, _number(data, at)
        elif kind in (1, 5):  # 8 and 4 bytes
            content, at = at, at + (8 if kind == 1 else 4)
        else:
            raise ValueError(f"wire type {kind}")
        if at > end:
            raise ValueError("a field is longer than its message")
        yield Field(key >> 3, start, content, at)


def _number(data: memoryview, at: int) -> tuple[int, int]:
    """A variable-length number and where it ends."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a number without an end")
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _name(data: memoryview, field: Field, number: int) -> str:
    return next((_text(data, one) for one in _fields(data, field.content, field.end) if one.number == number), "")


def _text(data: memoryview, field: Field) -> str:
    return bytes(data[field.content : field.end]).decode("utf-8", "replace")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _written(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | LENGTH) + _varint(len(content)) + content
