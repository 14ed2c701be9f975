"""Renews constraints.txt from the ranges in pyproject.toml, and writes the same pins into pyproject.toml.

Two places because two tools read them: `uv pip install -c` and pip read the file, `uv sync` and `uv run` read
`[tool.uv] constraint-dependencies`. Neither holds an address, so both work with any package index.
Pins that still fit are kept; `--upgrade` (`make pins UPGRADE=1`) takes the newest of everything.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = re.compile(r"^\[tool\.uv\]\nconstraint-dependencies = \[\n.*?^\]\n", re.MULTILINE | re.DOTALL)
OPTIONS = (
    "--all-extras --group dev --universal --python-version 3.10 --no-annotate --no-header --no-emit-index-url --quiet"
)


def uv() -> list[str]:
    """The command that starts uv: on PATH, in .uv, or as a module of some python3."""
    for program in ("uv", str(ROOT / ".uv" / "bin" / "uv")):
        if shutil.which(program):
            return [program]
    return [shutil.which("python3") or sys.executable, "-m", "uv"]


def without_pins(text: str) -> str:
    """``text`` of pyproject.toml with an empty list of pins: the old ones must not hold the new ones back."""
    return TABLE.sub("[tool.uv]\nconstraint-dependencies = [\n]\n", text)


def with_pins(text: str, pins: list[str]) -> str:
    """``text`` of pyproject.toml with ``pins`` as its constraint-dependencies."""
    lines = "".join(f'  "{pin}",\n' for pin in pins)
    table = f"[tool.uv]\nconstraint-dependencies = [\n{lines}]\n"
    if not TABLE.search(text):
        raise SystemExit("pyproject.toml: the table [tool.uv] with constraint-dependencies is missing")
    return TABLE.sub(lambda _: table, text)


def main(arguments: list[str]) -> int:
    project, constraints = ROOT / "pyproject.toml", ROOT / "constraints.txt"
    before = project.read_text(encoding="utf-8")
    project.write_text(without_pins(before), encoding="utf-8")
    try:
        subprocess.run(
            [*uv(), "pip", "compile", "pyproject.toml", *OPTIONS.split(), *arguments, "-o", "constraints.txt"],
            cwd=ROOT,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        project.write_text(before, encoding="utf-8")
        print(f"pins: uv could not resolve them: {error}", file=sys.stderr)
        return 1
    pins = [line.strip() for line in constraints.read_text(encoding="utf-8").splitlines() if line.strip()]
    project.write_text(with_pins(before, pins), encoding="utf-8")
    print(f"{len(pins)} pins written to constraints.txt and pyproject.toml")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
