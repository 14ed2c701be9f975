"""``kaname demo``: every recipe from nothing to an export, and one page of the results."""

from __future__ import annotations

import importlib
import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from kaname.config import nearest
from kaname.errors import InputError
from kaname.pipeline.flags import OUT_NAMES

if TYPE_CHECKING:
    from kaname.reporting.page import Section

MARK = ".kaname-demo"
KNOWN = ("gauge", "tracknet")


def demo(
    *recipes: Annotated[str, Parameter(help="Recipes to show; default: all of them.")],
    out: Annotated[Path, Parameter(name=OUT_NAMES, help="Folder to write into.")] = Path("runs/demo"),
) -> None:
    """Every recipe from nothing to an export on rendered data: CPU, offline, no download; writes index.html."""
    from kaname.reporting.page import write_page

    chosen = recipes or KNOWN
    for name in chosen:
        if name not in KNOWN:
            raise InputError(f"there is no demo of {name!r}", remedy=nearest(name, KNOWN))
    sections: list[Section] = []
    summary: dict[str, Any] = {}
    started = time.monotonic()
    for name in dict.fromkeys(chosen):
        folder = out / name
        _make_room(folder)
        found, figures = importlib.import_module(f"kaname.recipes.{name}.demo").run(folder)
        sections += found
        summary[name] = figures
    seconds = time.monotonic() - started
    write_page(
        out / "index.html", "Kaname demo", sections, subtitle=f"{', '.join(summary)}; {seconds:.0f} s on this machine"
    )
    (out / "demo.json").write_text(json.dumps(summary, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"\n{seconds:.0f} s; open {out / 'index.html'}")


def _make_room(folder: Path) -> None:
    """An empty folder for a demo; an earlier demo's is replaced, anything else is left alone."""
    if folder.exists():
        if not (folder / MARK).is_file() and any(folder.iterdir()):
            raise InputError("the folder holds something else", path=folder, remedy="choose another --out")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).touch()
