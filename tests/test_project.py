"""The project's outside: pins, licence, and an installation from the wheel in an empty environment."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # in the pins for 3.10

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PINS = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line.strip()]


def requirement_names(lines: list[str]) -> set[str]:
    """The normalized package names of requirement lines."""
    return {re.sub(r"[-_.]+", "-", re.split(r"[ \[<>=!~;]", line, maxsplit=1)[0]).lower() for line in lines}


def test_both_lists_of_pins_agree() -> None:
    assert PROJECT["tool"]["uv"]["constraint-dependencies"] == PINS, "`make pins` writes both"


def test_pins_are_exact_and_hold_no_address() -> None:
    loose = [pin for pin in PINS if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][^\s@/]*( ; .+)?", pin)]
    assert not loose
    assert not [pin for pin in PINS if "://" in pin or "--" in pin]


def test_every_direct_dependency_is_pinned() -> None:
    wanted = list(PROJECT["project"]["dependencies"])
    for group in (*PROJECT["project"]["optional-dependencies"].values(), *PROJECT["dependency-groups"].values()):
        wanted += group
    assert requirement_names(wanted) <= requirement_names(PINS)


def test_every_import_is_declared() -> None:
    """What src imports is a declared dependency, so that an empty environment has it."""
    packages = {"cv2": "opencv-python-headless", "PIL": "pillow", "yaml": "pyyaml"}
    wanted = list(PROJECT["project"]["dependencies"])
    for group in PROJECT["project"]["optional-dependencies"].values():
        wanted += group
    declared = requirement_names(wanted)
    undeclared = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        guarded = [
            node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        ]
        for_types = {inner for node in guarded for inner in ast.walk(node)}  # only type checkers import them
        for node in ast.walk(tree):
            if node in for_types:
                continue
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            else:
                continue
            for name in {item.split(".")[0] for item in names} - set(sys.stdlib_module_names) - {"kaname"}:
                if requirement_names([packages.get(name, name)]) - declared:
                    undeclared.setdefault(name, path.relative_to(ROOT).as_posix())
    assert not undeclared


def test_every_dependency_has_a_lower_bound() -> None:
    wanted = list(PROJECT["project"]["dependencies"])
    for group in PROJECT["project"]["optional-dependencies"].values():
        wanted += group
    assert not [line for line in wanted if ">=" not in line]


def test_licence_is_apache_2_in_full() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text and "9. Accepting Warranty" in text


def test_readme_starts_with_the_two_commands() -> None:
    for name in ("README.md", "docs/README.ja.md"):
        path = ROOT / name
        if not path.is_file() or not path.stat().st_size:
            pytest.skip(f"{name} is not written yet")
        top = "\n".join(path.read_text(encoding="utf-8").splitlines()[:15])
        assert "make demo" in top and "make test" in top, name


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda page: page.name
)
def test_commands_of_one_block_can_all_be_run(page: Path) -> None:
    """A folder that holds results is refused to others, so no two commands that are shown together write into one."""
    for block in re.findall(r"^```\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        writing = r"^kaname \S+ (?:predict|read|draw|evaluate|validate) .*?--(?:out|out-dir|output-dir) (\S+)"
        folders = re.findall(writing, re.sub(r"\\\n\s*", " ", block), re.MULTILINE)
        assert len(set(folders)) == len(folders), folders


def test_makefile_help_lists_every_target() -> None:
    if shutil.which("make") is None:
        pytest.skip("needs make")
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE)[1].split())  # type: ignore[index]
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert targets == {line.split()[1] for line in done.stdout.splitlines() if line.startswith("  make ")}


def uv() -> list[str]:
    """The command that starts uv."""
    for candidate in ("uv", str(ROOT / ".uv" / "bin" / "uv")):
        if shutil.which(candidate):
            return [candidate]
    for python in filter(shutil.which, ("python3.11", "python3", sys.executable)):
        command = [python, "-m", "uv"]
        if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip("needs uv")


def run(*command: str, cwd: Path, timeout: int = 900, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in {"VIRTUAL_ENV", "PYTHONPATH", "CONDA_PREFIX"}}
    return subprocess.run(
        command, cwd=cwd, env=clean | environment, capture_output=True, text=True, timeout=timeout, check=False
    )


def unreachable(done: subprocess.CompletedProcess[str]) -> bool:
    """Whether uv failed for want of a network rather than for a fault of ours."""
    signs = ("error sending request", "dns error", "failed to fetch", "connection", "timed out", "network")
    return done.returncode != 0 and any(sign in done.stderr.lower() for sign in signs)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution as an index would get it."""
    out = tmp_path_factory.mktemp("dist")
    done = run(*uv(), "build", "--quiet", "--python", sys.executable, "--out-dir", str(out), str(ROOT), cwd=out)
    if unreachable(done):
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr[-3000:]
    return next(out.glob("*.whl"))


@pytest.mark.slow
def test_wheel_holds_what_it_should(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    modules = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src" / "kaname").rglob("*.py")}
    configs = {f"kaname/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "configs").rglob("*.yaml")}
    kinds = {".css", ".js", ".jinja"}
    looks = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*") if path.suffix in kinds}
    models = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src" / "kaname" / "zoo").glob("*.[pjo]*")}
    assert modules | configs | looks | models | {"kaname/py.typed"} <= set(names)
    assert not [name for name in names if not name.startswith(("kaname/", "kaname-"))]


@pytest.mark.slow
def test_wheel_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """Install from the wheel alone, then ask for help and run the demo from another folder."""
    place = tmp_path / "an empty folder"
    place.mkdir()
    venv = tmp_path / "venv"
    assert run(*uv(), "venv", "--quiet", "--python", sys.executable, str(venv), cwd=place).returncode == 0
    python = next(path for path in (venv / "bin" / "python", venv / "Scripts" / "python.exe") if path.exists())
    pins = ("--constraints", str(ROOT / "constraints.txt"))
    done = run(
        *uv(),
        "pip",
        "install",
        "--quiet",
        "--python",
        str(python),
        *pins,
        f"kaname[train] @ {wheel.as_uri()}",
        cwd=place,
    )
    if unreachable(done):
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr[-3000:]
    kaname = str(python.with_name("kaname"))
    done = run(kaname, "--help", cwd=place)
    assert done.returncode == 0 and "gauge" in done.stdout, done.stderr[-3000:]
    done = run(kaname, "demo", "--out", "demo", cwd=place)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert (place / "demo" / "index.html").is_file()
    shown = json.loads((place / "demo" / "demo.json").read_text(encoding="utf-8"))
    gauge, tracknet = shown["gauge"], shown["tracknet"]
    figures = {
        f"{group} {metric}": entry["value"]
        for group, metrics in gauge["metrics"].items()
        if group != "settings"
        for metric, entry in metrics.items()
    }
    assert gauge["metrics"]["middle"]["f1"]["n"] >= 60, "held-out dials"
    assert figures["middle f1"] >= 0.9 and figures["middle pck"] >= 0.9, figures
    assert figures["start_end pck"] >= 0.85 and figures["middle non_assigned"] <= 0.1, figures
    tuned = (("gauge", "middle", "f1"), ("landmark", "all", "nme_bbox"), ("tracknet", "all", "f1_4px"))
    for name, group, metric in tuned:
        assert shown[name]["gain"]["compare"][group][metric]["better"] == "b", "the tuned model, beyond chance"
    assert gauge["parity"]["passed"] and gauge["parity"]["images"] >= 10
    assert (place / "demo" / "gauge" / "gauge.onnx").is_file()
    ball = tracknet["metrics"]["all"]
    assert ball["f1_4px"]["value"] >= 0.9 and ball["f1_4px"]["n"] >= 200, ball
    assert tracknet["metrics"]["absent"]["fp2_4px"]["n"] > 0, "frames without a ball are counted"
    assert tracknet["parity"]["passed"] and (place / "demo" / "tracknet" / "ball.onnx").is_file()
