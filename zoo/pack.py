"""Makes a shipped model of a run: NAME.pt and NAME.onnx in 16 bits, each with its card, and NAME.json.

    python zoo/pack.py runs/zoo/gauge/run/model.pt --name gauge --figures runs/zoo/judged/scores.json

Large tensors are stored in 16 bits and computed with in 32: the checkpoint's when it is read, the export's by a cast in
its graph. So both answer alike to the tolerance of `kaname export`, which is checked on rendered pictures that took no
part in training. From the same pictures come the quantiles of scores by which `predict` notices pictures of another
kind. Nothing of this machine stays in the files: folders of data and runs are left out, a backbone that was given as a
folder is called by its architecture. A file above the limit of 8 MB is refused, and nothing is written then.

``--figures`` takes what ``zoo/judge.py`` wrote (of each folder its last row), or SET=FILE with a ``metrics.json`` of
``kaname evaluate``, of which ``--metrics "middle f1=F1,start_end pck=start and end"`` chooses, in this order; the first
one is what `predict` says of the model.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parent.parent
SMALL = 2048  # numbers of a tensor that stays in 32 bits: norms, biases, the normalisation
SEED = 40_000  # of the pictures, which are neither the training's nor its validation's
PARITY = 16  # pictures that answers are compared on
MACHINE = re.compile(r"(?<![\w.~-])(?:~|[A-Za-z]:)?(?:[/\\][\w.+ -]+)*[/\\]([\w.+-]+)[/\\]?")


def render_gauge(folder: Path, count: int) -> dict[str, Path]:
    from kaname.samples.gauge import write

    write(folder, count + 1, SEED, val_fraction=count / (count + 1), variety="world")
    return {"data": folder}


def render_tracknet(folder: Path, count: int) -> dict[str, Path]:
    from kaname.samples.tracknet import write

    write(folder, max(3, count // 4), SEED, size=(360, 640), clip_length=40)
    return {"data.root": folder}


def render_landmark(folder: Path, count: int) -> dict[str, Path]:
    from kaname.samples.landmark import write

    write(folder, count=5 * count, seed=SEED)  # a fifth is held out
    return {"data.images": folder / "images", "data.annotations": folder / "annotated"}


RENDER: dict[str, Callable[[Path, int], dict[str, Path]]] = {
    "gauge": render_gauge, "tracknet": render_tracknet, "landmark": render_landmark,
}  # fmt: skip


def with_values(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A stored configuration with other values at dotted keys."""
    changed = json.loads(json.dumps(config))
    for key, value in values.items():
        *sections, last = key.split(".")
        place = changed
        for name in sections:
            place = place[name]
        place[last] = str(value) if isinstance(value, Path) else value
    return changed


def without_machine(recipe: Any, card: Mapping[str, Any]) -> dict[str, Any]:
    """A card whose configuration names no file of this machine.

    Raises:
        InputError: a path is left that this function does not know.
    """
    from kaname import config as configuration
    from kaname.errors import InputError
    from kaname.inference.card import backbone_name
    from kaname.pipeline.presets import network_key

    usual, config = configuration.to_dict(recipe.schema.value()), card["config"]
    places = [recipe.data, *recipe.paths, f"{recipe.loop}.ckpt_dir", f"{recipe.loop}.log_dir"]
    known = {key: value for key in places if (value := _value_at(config, key)) is not None and _is_path(value)}
    values = {key: _value_at(usual, key) for key in known}
    network = network_key(recipe.schema.value)
    if network and _is_path(str(_value_at(config, network)).rpartition(":")[2]):
        values[network] = backbone_name(card["backbone"])
    clean = {
        name: value for name, value in card.items() if name not in ("trained_on", "init")
    }  # hashes of pictures that are not kept; where it began is told by the facts
    clean["config"] = with_values(config, values)
    for text in _texts(clean):
        if _is_path(text):
            raise InputError(f"the card names a place of this machine: {text}", remedy="train with relative paths")
    return clean


def _value_at(config: Any, key: str) -> Any:
    for name in key.split("."):
        config = config.get(name) if isinstance(config, Mapping) else None
    return config


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and (
        value.startswith(("/", "~", "\\", "../")) or bool(re.match(r"[A-Za-z]:[/\\]", value))
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from itertools.chain.from_iterable(map(_texts, value.values()))
    elif isinstance(value, Sequence):
        yield from itertools.chain.from_iterable(map(_texts, value))


def without_folders(command: str) -> str:
    """A command in which files and folders outside the checkout are called by their names alone."""
    return MACHINE.sub(lambda match: match[0] if match[0][:1].isalnum() and match[0][1:2] != ":" else match[1], command)


def in_16_bits(model: Mapping[str, Any]) -> dict[str, Any]:
    """A network's tensors with the large ones in float16.

    Raises:
        InputError: a value that float16 does not hold.
    """
    from kaname.errors import InputError

    stored: dict[str, Any] = {}
    for name, value in model.items():
        large = value.is_floating_point() and value.numel() > SMALL
        stored[name] = value.half() if large else value
        if not stored[name].isfinite().all():
            raise InputError(f"{name} holds values that 16 bits do not", remedy="train with weight decay, or clip")
    return stored


def halve(path: Path, tensors: Mapping[str, Any]) -> int:
    """Store the large constants of an export in 16 bits, with a cast to 32 in front of what takes them.

    The exporter multiplies a convolution's weights by the scales of the norm behind it, and those products do not fit
    into 16 bits without a loss. So the weights are stored as the checkpoint has them and multiplied in the graph, which
    every runtime does once when it opens the file.

    Args:
        path: an export of a network with these ``tensors``, whose large ones are values of float16.

    Returns:
        How many constants are halves now.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(path))
    graph, nodes, constants = model.graph, [], []
    for constant in graph.initializer:
        array = numpy_helper.to_array(constant)
        parts = None
        if constant.data_type == TensorProto.FLOAT and array.size > SMALL:
            parts = halves(array, next((tensors[name] for name in tensors if constant.name.endswith(f".{name}")), None))
        if parts is None:
            constants.append(constant)
            continue
        half, scale = parts
        constants.append(numpy_helper.from_array(half, f"{constant.name}/half"))
        whole = constant.name if scale is None else f"{constant.name}/whole"
        nodes.append(
            helper.make_node("Cast", [f"{constant.name}/half"], [whole], f"{whole}/cast", to=TensorProto.FLOAT)
        )
        if scale is not None:
            constants.append(numpy_helper.from_array(scale, f"{constant.name}/scale"))
            nodes.append(
                helper.make_node("Mul", [whole, f"{constant.name}/scale"], [constant.name], f"{constant.name}/mul")
            )
    after = list(graph.node)
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(constants)
    graph.node.extend([*nodes, *after])
    onnx.save(model, str(path))
    return sum(node.op_type == "Cast" for node in nodes)


def halves(array: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None] | None:
    """A constant as float16, and where it takes one a float32 scale for each of its rows; None where it takes more."""
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    if np.array_equal(half.astype(np.float32), array):
        return half, None
    if weights is None or weights.shape != array.shape:
        return None
    rows, before = array.reshape(len(array), -1), weights.reshape(len(weights), -1)
    largest = np.abs(before).argmax(axis=1)[:, None]
    tops = [np.take_along_axis(part, largest, axis=1) for part in (rows, before)]
    scale = np.divide(*tops, out=np.zeros_like(tops[0]), where=tops[1] != 0)
    if np.abs(rows - before * scale).max() > 1e-6 * np.abs(rows).max():
        return None
    return weights.astype(np.float16), scale.reshape(-1, *[1] * (array.ndim - 1)).astype(np.float32)


def read_figures(words: Sequence[str], metrics: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Figures with intervals, by set and metric, from files of ``zoo/judge.py`` and ``kaname evaluate``.

    Args:
        metrics: those to keep, in this order, each as ``METRIC`` or ``METRIC=NAME``; default: all.
    """
    found: dict[str, dict[str, Any]] = {}
    names = {metric: name or metric for metric, _, name in (word.partition("=") for word in metrics)}

    def chosen(row: Mapping[str, Any]) -> dict[str, Any]:
        called = names or {metric: metric for metric in row}
        return {name: _figure(row[metric]) for metric, name in called.items() if metric in row}

    for word in words:
        name, _, file = word.rpartition("=")
        content = json.loads(Path(file).read_text(encoding="utf-8"))
        if "settings" in content:
            groups = {group: rows for group, rows in content.items() if group != "settings"}
            flat = {f"{group} {metric}": one for group, rows in groups.items() for metric, one in rows.items()}
            found[name or str(content["settings"].get("set"))] = chosen(flat)
            continue
        for folder, table in content.items():
            row = list(table)[-1]
            found[f"{folder} ({row})"] = chosen(table[row])
    return found


def _figure(one: Mapping[str, Any]) -> dict[str, Any]:
    rounded = {key: one.get(key) for key in ("value", "low", "high")}
    return {key: value if value is None else round(float(value), 4) for key, value in rounded.items()} | {
        "n": one.get("n")
    }


def commit() -> str:
    """The commit that is checked out, with a plus where files of the package differ from it."""
    run = lambda *words: subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout  # noqa: E731
    return run("rev-parse", "HEAD").strip() + ("+" if run("status", "--porcelain", "--", "src", "zoo").strip() else "")


def pack(
    checkpoint: Path, name: str, out: Path, about: Mapping[str, Any], *, count: int, words: Sequence[str] = ()
) -> dict[str, Any]:
    """Write the three files; returns the facts.

    Args:
        about: ``trained_on``, ``command``, ``commit``, ``licence`` and ``figures``.
        count: rendered pictures (of video about so many windows).
        words: ``KEY=VALUE`` of the recipe's answers, such as a threshold, that hold where nobody says otherwise;
            ``size=PIXELS`` of the input.

    Raises:
        InputError: a value that takes part in training, a file above the limit, an export that answers otherwise, a
            card that names this machine.
    """
    from kaname import zoo
    from kaname.errors import InputError
    from kaname.files import whole_path
    from kaname.inference import checkpoint as checkpoints
    from kaname.pipeline.model import open_model
    from kaname.recipes import recipe_of

    opened = checkpoints.load(checkpoint)
    recipe = recipe_of(opened.card["recipe"])
    card, stored = answering(recipe, without_machine(recipe, opened.card), words), in_16_bits(opened.model)
    numbers = sum(value.numel() for key, value in stored.items() if _trains(key))
    facts = {"name": name, **about, "size": {"parameters": numbers, "input": list(card["input_size"])}}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        half, export = folder / f"{name}.pt", folder / f"{name}.onnx"
        checkpoints.save(half, card={**card, "zoo": facts}, model=stored, training=None)
        data = RENDER[recipe.name](folder / "data", count)
        whole = folder / "whole.pt"
        checkpoints.save(whole, card=card, model=opened.model, training=None)
        before = open_model(recipe, whole, runtime="cpu")
        scores, windows = judged(recipe, open_model(recipe, half, runtime="cpu"), data, count)
        card["zoo"] = facts = {**facts, "scores": scores}
        checkpoints.save(half, card=card, model=stored, training=None)
        parity = exported(recipe, half, export, windows, stored, before)
        sizes = {"pt": half.stat().st_size, "onnx": export.stat().st_size}
        for ending, size in sizes.items():
            if size > zoo.LIMIT:
                reason = f"{name}.{ending} has {size:,} bytes, and a shipped file at most {zoo.LIMIT:,}"
                raise InputError(reason, remedy="train a smaller network")
        head = {"format": zoo.FORMAT, "version": zoo.VERSION, "recipe": recipe.name}
        listed = {**head, **facts, **listed_of(card), "parameters": numbers, "bytes": sizes, "parity": parity}
        text = json.dumps(listed, ensure_ascii=False, indent=1) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
        out.mkdir(parents=True, exist_ok=True)
        for ending in ("pt", "onnx", "json"):  # the facts last: they make the model one that is shipped
            with whole_path(out / f"{name}.{ending}") as partial:
                shutil.copyfile(folder / f"{name}.{ending}", partial)
    return listed


def answering(recipe: Any, card: Mapping[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """A card whose configuration has these values of the section of answers, or another ``size`` of the input.

    A network of convolutions answers at any size; whether better is for whoever asks to measure.
    """
    from kaname import config as configuration
    from kaname.errors import InputError
    from kaname.pipeline.model import card_of

    values = {key: yaml.safe_load(text) for key, _, text in (word.partition("=") for word in words)}
    section = recipe.answering.section
    for key in values:
        if key != "size" and not key.startswith(f"{section}."):
            raise InputError(f"{key} is not of the answers", remedy=f"give {section}.NAME=VALUE, or size=PIXELS")
    changed = with_values(card["config"], values)
    config = configuration.from_dict(recipe.schema.value, changed)
    seen = card_of(recipe, config, recipe.build(config, card=card)) if "size" in values else {}
    return {**card, **seen, "config": changed}


def listed_of(card: Mapping[str, Any]) -> dict[str, Any]:
    """What the list says of a model beside the facts of its card."""
    channels = [name for head in card["heads"].values() for name in head["channels"]]
    version = (card.get("versions") or {}).get("kaname", "unknown")
    return {
        "input_size": list(card["input_size"]),
        "frames": card.get("frames", 1),
        "channels": channels,
        "kaname": version,
    }


def judged(recipe: Any, model: Any, data: Mapping[str, Path], count: int) -> tuple[dict[str, Any], list[Any]]:
    """The quantiles of the scores of rendered pictures, and some of these pictures as requests."""
    from kaname.inference.request import main_output
    from kaname.pipeline.export import own_windows
    from kaname.pipeline.unlike import quantiles, surest

    asking = model.using(model.runner)
    asking.card = {**model.card, "config": with_values(model.card["config"], data)}
    windows = list(itertools.islice(own_windows(recipe, asking, count), count))
    scores = [one for _, request in windows for one in surest(main_output(model.outputs(request))).tolist()]
    return quantiles(scores), windows[:: max(1, len(windows) // PARITY)]


def exported(
    recipe: Any, half: Path, export: Path, windows: list[Any], stored: Mapping[str, Any], before: Any
) -> dict[str, Any]:
    """Write the export and check it against the checkpoint in 16 bits; how far that is from the one in 32 bits."""
    from kaname.inference.export import export as write
    from kaname.inference.export import partial_of
    from kaname.inference.parity import compare
    from kaname.pipeline.model import open_model, thresholds

    model = open_model(recipe, half, runtime="cpu")
    tensors = {name: value.float().numpy() for name, value in stored.items() if value.is_floating_point()}

    def write_to(path: Path) -> None:
        partial_of(model)(path)
        halve(path, tensors)

    threshold, decode_at = thresholds(recipe, model.card)
    parity = write(model, windows, export, threshold, decode_at, write_to=write_to)
    rounding = compare(before, model, windows, threshold)
    print(f"export against its checkpoint: {parity.summary}")
    alone = len(rounding.unmatched) + len(rounding.at_threshold)
    print(f"16 against 32 bits: {rounding.summary}, {alone} points come or go")
    return {"export": parity.to_dict(), "points_moved_by_16_bits_p99_px": round(rounding.percentile_99_px, 4)}


def _trains(name: str) -> bool:
    kept = ("mean", "std", "running_mean", "running_var", "num_batches_tracked")
    return name.rpartition(".")[2] not in kept


def command_of(run: Path) -> str:
    """The command that trained a run, as its folder says."""
    with contextlib.suppress(OSError, ValueError):
        return str(json.loads((run / "parameters.json").read_text(encoding="utf-8"))["command"])
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="the best weights of a run")
    parser.add_argument("--name", required=True, help="what users call it: that of its recipe")
    parser.add_argument("--figures", nargs="*", default=[], metavar="[SET=]FILE", help="scores.json, or metrics.json")
    parser.add_argument("--metrics", default="", help="which of these figures: NAME,...")
    parser.add_argument("--trained-on", default="generated pictures alone", help="in words, for users")
    parser.add_argument("--licence", default="Apache-2.0")
    parser.add_argument("--command", help="that trained it; default: what the run's folder says")
    parser.add_argument("--commit", help="at which it was trained; default: the one that is checked out")
    parser.add_argument("--count", type=int, default=200, help="rendered pictures for scores and parity")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="KEY=VALUE", help="of the answers: extract.presence=0.4; or size=320"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "src" / "kaname" / "zoo")
    options = parser.parse_args()
    from kaname.errors import InputError

    about = {
        "trained_on": options.trained_on,
        "command": without_folders(options.command or command_of(options.checkpoint.parent)),
        "commit": options.commit or commit(),
        "licence": options.licence,
        "figures": read_figures(options.figures, [one.strip() for one in options.metrics.split(",") if one.strip()]),
    }
    try:
        facts = pack(options.checkpoint, options.name, options.out, about, count=options.count, words=options.set)
    except InputError as error:
        sys.exit(f"error: {error}")
    sizes = ", ".join(f"{options.name}.{ending} {size:,} bytes" for ending, size in facts["bytes"].items())
    print(f"{sizes} in {options.out}; `python .ci/reference.py` brings the table of models up to date")


if __name__ == "__main__":
    main()
