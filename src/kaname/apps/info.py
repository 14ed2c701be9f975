"""``kaname info``: what a file says about itself."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter


def info(
    file: Annotated[Path, Parameter(help="A checkpoint, an ONNX export, or the name of a shipped model.")],
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json", help="The whole card as JSON.", negative=())] = False,
) -> None:
    """What a checkpoint or an export holds: recipe, configuration, sizes, channels, versions."""
    from kaname.inference.card import backbone_name, start_of
    from kaname.pipeline.weights import weights_in

    file = weights_in(file, trainable=True)
    card, more = _read(file)
    if as_json:
        sys.stdout.write(json.dumps({**card, "file": more}, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
        return
    settings = card["config"]
    backbone = card["backbone"]
    rows = {
        "recipe": card["recipe"],
        "file": f"{file} ({more['megabytes']} MB, {more['kind']})",
        "input": f"{card['input_size'][0]} x {card['input_size'][1]} (height x width), {card.get('colour', 'RGB')}",
        "view": _view(card["view"]),
        "heatmap": " x ".join(str(side) for side in card.get("heatmap_size") or []),
        "channels": ", ".join(str(name) for name in card["channels"]),
        "inputs": ", ".join(f"{name} {_array(value)}" for name, value in card["inputs"].items()),
        "outputs": ", ".join(f"{name} ({head['activation']})" for name, head in card["heads"].items()),
        "backbone": f"{backbone_name(backbone)} ({backbone.get('licence') or 'licence unknown'})",
        "extractor": _extractor(card.get("extractor")),
        "weights": "pretrained backbone" if card.get("pretrained") else start_of(card),
        "shipped": (card.get("zoo") or {}).get("trained_on", ""),
        "trained": ", ".join(f"{key} {value}" for key, value in card.get("trained", {}).items()),
        "parameters": more.get("parameters", ""),
        "resumable": more.get("resumable", ""),
        "versions": ", ".join(f"{key} {value}" for key, value in card.get("versions", {}).items()),
    }
    for name, value in rows.items():
        if value not in ("", None):
            print(f"{name:<11}{value}")
    for key, value in _flat(settings):
        print(f"  {key} = {value}")


def _extractor(source: Mapping[str, Any] | None) -> str:
    """The frozen network whose features the model reads."""
    if source is None:
        return ""
    digest = str(source.get("sha256") or source.get("hash"))[:12]
    return f"{source.get('path', source['kind'])} {source.get('tensor', '')} ({digest}...)"


def _array(value: Mapping[str, Any]) -> str:
    """An input's type and shape; a side of any length is *."""
    sides = [value["batch"], *("*" if side is None else side for side in value["shape"])]
    return f"{value['dtype']} ({', '.join(map(str, sides))})"


def _view(view: Mapping[str, Any]) -> str:
    """How a picture becomes the input, in words."""
    height, width = view["size"]
    grown = f", boxes x {view['factor']:g}" if view["fit"] == "crop" else ""
    canvas = f" on {view['canvas'][0]} x {view['canvas'][1]}" if view.get("canvas") else ""
    return f"{view['fit']} to {height} x {width}{canvas}{grown}"


def _read(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    if file.suffix.lower() == ".onnx":
        card = importlib.import_module("kaname.inference.onnx_runner").read_card(file)
        return card, {"kind": "ONNX export", "megabytes": round(file.stat().st_size / 1e6, 1)}
    cards = importlib.import_module("kaname.inference.checkpoint_card")
    outline = cards.read(file)
    return outline.card, {
        "kind": "checkpoint",
        "megabytes": round(file.stat().st_size / 1e6, 1),
        "parameters": f"{cards.parameters(outline.shapes):,}",
        "resumable": "yes" if outline.resumable else "no (weights only)",
    }


def _flat(settings: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in settings.items():
        rows += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(f"{prefix}{key}", value)]
    return rows
