"""``kaname models``: which models come with the package, and what is known of each."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import Parameter

from kaname import zoo
from kaname.zoo import Shipped


def models(
    name: Annotated[str | None, Parameter(help="All that is known of this one.")] = None,
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json", help="The facts as JSON.", negative=())] = False,
) -> None:
    """The models that come with the package: recipe, size, figures, licence, what they were trained on."""
    if name is not None:
        model = zoo.find(name)
        _write({**model.facts, "files": files(model)}) if as_json else print("\n".join(lines(model, whole=True)))
        return
    every = zoo.shipped()
    if as_json:
        _write({one.name: {**one.facts, "files": files(one)} for one in every.values()})
    elif not every:
        print("no models are shipped with this version; train one: `kaname RECIPE train --help`")
    else:
        print("\n\n".join("\n".join(lines(one)) for one in every.values()))
        first = next(iter(every))
        print(
            f"\nuse one by its name: `kaname {every[first].recipe} predict PHOTO --out out`, `kaname.load({first!r})`,"
        )
        print(f"`kaname {every[first].recipe} train --init zoo ...`; all about one: `kaname models {first}`")


def files(model: Shipped) -> list[str]:
    """Its two files."""
    return [str(model.checkpoint), str(model.export)]


def lines(model: Shipped, *, whole: bool = False) -> list[str]:
    """What is known of a model; ``whole``: everything."""
    facts = model.facts
    height, width = facts["input_size"]
    frames = f", {facts['frames']} frames at once" if facts.get("frames", 1) > 1 else ""
    checkpoint, export = (facts["bytes"][ending] / 1e6 for ending in ("pt", "onnx"))
    size = f"{facts['parameters']:,} parameters; {model.name}.pt {checkpoint:.1f} MB, {model.name}.onnx {export:.1f} MB"
    rows = {
        "recipe": model.recipe,
        "input": f"{width} x {height}{frames}",
        "size": size,
        "trained on": facts["trained_on"],
        "licence": facts["licence"],
    }
    if whole:
        rows |= {"answers": ", ".join(facts["channels"]), "made by": facts["command"], "at commit": facts["commit"]}
        rows |= {
            "kaname": facts["kaname"],
            "scores": _scores(facts.get("scores") or {}),
            "files": " ".join(files(model)),
        }
    figures = model.figures() or ["not measured"]
    return [
        model.name,
        *(f"  {key:<11}{value}" for key, value in rows.items() if value),
        *(f"  {'figures' if not number else '':<11}{line}" for number, line in enumerate(figures)),
    ]


def _scores(scores: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{float(at):.0%} {value:.3g}" for at, value in (scores.get("quantiles") or {}).items())
    return f"on {scores['pictures']} pictures of its own kind: {shown}" if shown else ""


def _write(content: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(content, ensure_ascii=False, indent=1) + "\n")
