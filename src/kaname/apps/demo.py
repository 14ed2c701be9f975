"""``kaname demo``: every recipe from nothing to an export, and one page of the results."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from kaname.config import nearest
from kaname.errors import InputError
from kaname.extras import require_package
from kaname.files import write_text
from kaname.pipeline.flags import OUT_NAMES
from kaname.recipes import RECIPES, recipe_of

if TYPE_CHECKING:
    from kaname.reporting.page import Section

MARK = ".kaname-demo"


def demo(
    *recipes: Annotated[str, Parameter(help="Recipes to show; default: all of them.")],
    out: Annotated[Path, Parameter(name=OUT_NAMES, help="Folder to write into.")] = Path("runs/demo"),
) -> None:
    """Every recipe from nothing to an export on rendered data: CPU, offline, no download; writes index.html."""
    from kaname.pipeline.demo import run
    from kaname.reporting.page import write_page

    require_package("torch", "the demo, which trains,")
    demos = {name: demo for name in RECIPES if (demo := recipe_of(name).demo) is not None}
    chosen = dict.fromkeys(recipes or demos)
    for name in chosen:
        if name not in demos:
            raise InputError(f"there is no demo of {name!r}", remedy=nearest(name, list(demos)))
    sections: list[Section] = []
    summary: dict[str, Any] = {}
    started = time.monotonic()
    for name in chosen:
        folder = out / name
        _make_room(folder)
        shown, summary[name] = run(recipe_of(name), demos[name].value, folder)
        sections += shown
    seconds = time.monotonic() - started
    subtitle = f"{', '.join(summary)}; {seconds:.0f} s on this machine"
    write_page(out / "index.html", "Kaname demo", sections, subtitle=subtitle)
    write_text(out / "demo.json", json.dumps(summary, indent=1, sort_keys=True) + "\n")
    print(f"\n{seconds:.0f} s; open {out / 'index.html'}")


def _make_room(folder: Path) -> None:
    """An empty folder for a demo; an earlier demo's is replaced, anything else is left alone."""
    if folder.exists():
        if not (folder / MARK).is_file() and any(folder.iterdir()):
            raise InputError("the folder contains other files", path=folder, remedy="choose another --out")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).touch(exist_ok=False)
