"""Names and cards that hold escapes of terminals, and names that a spreadsheet would run as formulas."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from kaname import cli
from kaname.errors import InputError, shown
from kaname.files import name_in_table, spreadsheet_text
from kaname.inference import checkpoint
from kaname.progress import Bar
from kaname.reporting.page import Table, write_page
from kaname.tracking.table import read_rows, write_rows
from kaname.tracking.trajectory import Row
from kaname.training.journal import Journal

GOLDEN = Path(__file__).parent / "golden"
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
EVIL = ["\x1b[2Jred\x1b[31m", "\x9b31mred", "\x1b]0;title\x07", "a\rb", "\u202egpj.exe", "del\x7f"]


@pytest.mark.parametrize("name", EVIL)
def test_no_raw_control_reaches_anybody(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = InputError(f"no {name}", path=f"/{name}", row=name, remedy=name)
    journal = Journal(tmp_path, logger="none")
    journal.say(name)
    with Bar(name, 3, interval=0) as bar:
        bar.advance(note=name)
        bar.say(name)
    page = write_page(tmp_path / "page.html", name, [Table([name], [[name]], name)], subtitle=name)
    said = capsys.readouterr()
    for text in (str(error), said.out, said.err, page.read_text("utf-8"), (tmp_path / "run.log").read_text("utf-8")):
        assert not RAW.search(text)
    assert "\\u" in str(error)


@pytest.mark.parametrize("name", EVIL)
def test_a_card_is_shown_without_its_escapes(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = checkpoint.read(GOLDEN / "gauge.pt", remedy="")
    card = {**json.loads(content["card"]), "channels": [name, "b", "c"], "versions": {name: name}, "colour": name}
    path = tmp_path / f"{name.replace('/', '')}.pt"
    checkpoint.write(path, {**content, "card": json.dumps(card)}, remedy="")
    for words in (["info", str(path)], ["info", str(path), "--json"], ["info", f"{path}{name}"]):
        with pytest.raises(SystemExit):
            cli.main(words)
        said = capsys.readouterr()
        assert (said.out or said.err) and not RAW.search(said.out + said.err)
        if "--json" in words:
            assert json.loads(said.out)["colour"] == name, "JSON's own escape"


def test_a_warning_is_shown_without_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings(), cli.warning_in_a_line():
        warnings.simplefilter("always")
        warnings.showwarning("left out: \x1b[31m.jpg", UserWarning, cli.__file__, 1)
    assert capsys.readouterr().err == "warning: left out: \\u001b[31m.jpg\n"


def test_other_text_stays() -> None:
    for text in ("plain", "zwei\nZeilen\tmit Tab", "ü 写真 عربي שלום 👍🏽", ""):
        assert shown(text) == text
    stream = io.StringIO()
    with contextlib.redirect_stdout(cli.Shown(stream)):  # type: ignore[type-var]
        print("写真\x1b[0m")
    assert stream.getvalue() == "写真\\u001b[0m\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("words", [["bogus"], ["gauge", "predict", "--bogus"], ["info", "/none.pt"]])
def test_a_full_disk_under_stderr_keeps_the_code(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-m", "kaname", *words], stderr=full, check=False)
    assert done.returncode == 2


NAMES = ["=cmd|'x'!A0.jpg", "+1.jpg", "-2+3.jpg", "@SUM(A1).jpg", "\t=1.jpg", "'=quoted.jpg", "''-twice.jpg"]


@pytest.mark.parametrize("name", [*NAMES, "plain.jpg", "'plain.jpg", "0-1.jpg", ""])
def test_a_name_is_no_formula_and_comes_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / "ball.csv"
    write_rows(path, [Row(0, 0.0, 1.0, 2.0, 0.5, "detected", name, name)])
    with path.open(newline="", encoding="utf-8") as file:
        (cells,) = csv.DictReader(file)
    assert cells["file"] == cells["clip"] and not cells["file"].startswith(("=", "+", "-", "@", "\t"))
    assert (cells["file"] == name) == (name not in NAMES), "other names stay as they are"
    (row,) = read_rows(path)
    assert row.file == row.clip == name == name_in_table(spreadsheet_text(name))
