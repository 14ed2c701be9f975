"""Several ONNX graphs as one: what one makes the next takes, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kaname.errors import InputError

PARTS = "part{}/"
MADE = ("some", "more", "stood", "rows")
KEPT = "kept"


def joined_graphs(
    parts: Sequence[tuple[Any, Mapping[str, str]]],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    prefixes: Sequence[str] | None = None,
) -> Any:
    """An ONNX model of several, one after the other.

    Args:
        parts: each model, with the names of its inputs that are outputs of the one before it, by those outputs.
            Inputs that are not named there are inputs of the whole; of one name they are one.
        inputs: of the whole, in order.
        outputs: of the last part.
        prefixes: how the names of each part's nodes and tensors begin; by default by its number.

    Raises:
        InputError: operators of a version that cannot be brought to the newest of the parts.
    """
    import onnx
    from onnx import compose, helper

    version = max(_version(model) for model, _ in parts)
    graphs: list[Any] = []
    made: dict[str, str] = {}
    for number, (model, taken) in enumerate(parts):
        prefix = PARTS.format(number) if prefixes is None else prefixes[number]
        whole = compose.add_prefix(_raised(model, version), prefix)
        names = {prefix + own: made[given] for own, given in taken.items()}
        free = [entry.name for entry in whole.graph.input if entry.name not in names]
        names |= {name: name.removeprefix(prefix) for name in free}
        if number == len(parts) - 1:
            names |= {prefix + name: name for name in outputs}
        _rename(whole.graph, names)
        made = {entry.name.removeprefix(prefix): entry.name for entry in whole.graph.output}
        graphs.append(whole)
    known: dict[str, Any] = {}
    for graph in (model.graph for model in graphs):
        for entry in graph.input:
            known.setdefault(entry.name, entry)
    weights = [value for model in graphs for value in model.graph.initializer]
    whole = helper.make_graph(
        [node for model in graphs for node in model.graph.node],
        "joined",
        [known[name] for name in inputs],
        list(graphs[-1].graph.output),
        weights,
    )
    sets = {entry.domain: entry.version for model in graphs for entry in model.opset_import}
    opsets = [helper.make_opsetid(domain, number) for domain, number in {**sets, "": version}.items()]
    functions = [function for model in graphs for function in model.functions]
    highest = max(model.ir_version for model in graphs)
    return onnx.helper.make_model(whole, opset_imports=opsets, functions=functions, ir_version=highest)


def takes_none(model: Any, name: str, stand_in: Sequence[float], outputs: Sequence[str], *, prefix: str = "") -> None:
    """Let a graph take no row of an input too: it then computes with one that stands in, and puts out no row.

    Runtimes refuse to multiply and to reshape what has no row.

    Args:
        model: changed in place.
        name: of the input.
        stand_in: that row.
        outputs: those that have a row for each of the input's.
        prefix: how the names of what comes before the graph's own nodes begin; the count of rows is ``PREFIXkept``.
    """
    from onnx import helper, numpy_helper

    values = {"zero": np.array([0]), "one": np.array([1]), "row": np.array([stand_in], np.float32)}
    zero, one, row, some, more, stood, rows = (f"{prefix}{name}_{own}" for own in (*values, *MADE))
    kept, start = f"{prefix}{KEPT}", f"{name}_start"  # what comes after takes nothing else from before
    _rename_uses(model.graph, {name: rows, **{made: f"{made}_of_{name}" for made in outputs}})
    front = [
        helper.make_node("Shape", [name], [kept], start=0, end=1),
        helper.make_node("Min", [kept, one], [some]),
        helper.make_node("Sub", [one, some], [more]),
        helper.make_node("Slice", [row, zero, more, zero], [stood]),
        helper.make_node("Concat", [name, stood], [rows], axis=0),
    ]
    back = [helper.make_node("Slice", [f"{made}_of_{name}", start, kept, start], [made]) for made in outputs]
    for node in (*front, *back):
        node.name = f"{prefix if node in front else ''}node_{node.output[0].removeprefix(prefix)}"
    nodes = [*front, *model.graph.node, *back]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    known = {zero: values["zero"], one: values["one"], row: values["row"], start: values["zero"]}
    model.graph.initializer.extend(numpy_helper.from_array(value, at) for at, value in known.items())


def rows_like(model: Any, name: str) -> list[str]:
    """The outputs of a graph whose first axis is called as that of an input."""
    axes = {
        entry.name: entry.type.tensor_type.shape.dim[0].dim_param
        for entry in [*model.graph.input, *model.graph.output]
        if entry.type.tensor_type.shape.dim
    }
    return [entry.name for entry in model.graph.output if axes.get(entry.name) == axes[name]]


def _version(model: Any) -> int:
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)


def _raised(model: Any, version: int) -> Any:
    """The model with the standard operators of a version."""
    from onnx import version_converter

    if _version(model) == version:
        return model
    try:
        return version_converter.convert_version(model, version)
    except Exception as error:  # the converter raises kinds of its own
        reason = f"its operators (version {_version(model)}) cannot be brought to version {version} ({error})"
        raise InputError(reason[:200], remedy="export the extractor with a newer opset") from error


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    """Give values other names, in subgraphs too."""
    _rename_uses(graph, names)
    for entry in [*graph.input, *graph.output, *graph.value_info]:
        entry.name = names.get(entry.name, entry.name)


def _rename_uses(graph: Any, names: Mapping[str, str]) -> None:
    """Give values other names where nodes take and make them, in subgraphs too."""
    for node in graph.node:
        for values in (node.input, node.output):
            for place, name in enumerate(values):
                values[place] = names.get(name, name)
        for attribute in node.attribute:
            for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                _rename(inner, names)
