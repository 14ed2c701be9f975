"""What the crawl gives to gallery-dl: its command line, its configuration, and keys that stay private."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

from apps.booru import entries, numbers, picture, serving
from kaname.apps.crawl import crawl
from kaname.apps.gallery_dl import find_program
from kaname.errors import InputError

KEY = "a-Key/that+nobody=may&see"
Fetch = Callable[..., list[int]]


def stand_in(folder: Path, script: str) -> None:
    """A program ``gallery-dl`` that first notes how it was called, and the file with its configuration."""
    program = folder / "gallery-dl"
    folder.mkdir()
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, os, stat, sys\n"
        f"notes = {str(folder / 'calls.jsonl')!r}\n"
        "path = sys.argv[sys.argv.index('--config') + 1]\n"
        "configuration = json.load(open(path))\n"
        "mode = stat.S_IMODE(os.stat(path).st_mode)\n"
        "note = {'words': sys.argv[1:], 'path': path, 'mode': mode, 'environment': dict(os.environ)}\n"
        "note['configuration'] = configuration\n"
        "open(notes, 'a').write(json.dumps(note) + '\\n')\n" + script
    )
    program.chmod(0o755)


def calls(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "calls.jsonl").read_text().splitlines()]


def test_keys_stay_private(
    fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The key reaches the gallery; it stands in no command line, environment, output or file that stays."""
    stand_in(tmp_path / "bin", f"os.execv({find_program()!r}, ['gallery-dl', *sys.argv[1:]])\n")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("GELBOORU_API_KEY", KEY)
    with serving(entries(1, 2, 3), key=("4711", KEY)) as booru:
        monkeypatch.setenv("GELBOORU_USER_ID", "4711")
        assert fetch(booru, source="gelbooru", limit=2) == [2, 3]
        monkeypatch.setenv("DANBOORU_USERNAME", "4711")
        monkeypatch.setenv("DANBOORU_API_KEY", KEY)
        fetch(booru, source="danbooru", limit=1)
    assert (tmp_path / "raw" / "danbooru_3.png").is_file()
    told = calls(tmp_path / "bin")
    assert len(told) == 4
    for call in told:
        assert call["mode"] == stat.S_IRUSR | stat.S_IWUSR and KEY in json.dumps(call["configuration"])
        assert KEY not in json.dumps(call["words"]) and KEY not in json.dumps(call["environment"])
        assert not Path(call["path"]).exists()
    out, err = capfd.readouterr()
    assert KEY not in out + err
    for path in (tmp_path / "raw").rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes()


def test_the_command_line_for_gelbooru_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own module has a fixed address: a stand-in lists one post and downloads it."""
    (tmp_path / "picture.png").write_bytes(picture(1))
    post = {"id": 8, "tags": "kemono_friends", "rating": "general", "width": 96, "height": 104}
    stand_in(
        tmp_path / "bin",
        f"post = {post!r}\n"
        "if '--dump-json' in sys.argv:\n"
        "    print(json.dumps([[2, post], [3, 'https://img.example.org/8.png', post]]))\n"
        "else:\n"
        "    name = os.path.join(configuration['extractor']['base-directory'], 'gelbooru_8.png')\n"
        f"    open(name, 'wb').write(open({str(tmp_path / 'picture.png')!r}, 'rb').read())\n"
        "    print(name)\n",
    )
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    words = ["--source", "gelbooru", "--tags", "kemono_friends $(touch x);#", "--limit", "1", "--pause", "2"]
    app = App(default_command=crawl, result_action="return_value")
    app([*words, "--output-dir", str(tmp_path / "raw"), "--api-key", KEY, "--user-id", "4711", "--no-artists"])
    listing, download = calls(tmp_path / "bin")
    url = "https://gelbooru.com/index.php?page=post&s=list&tags=kemono_friends+%24%28touch+x%29%3B%23"
    options = ["--config-ignore", "--config", listing["path"], "--verbose"]
    assert listing["words"] == [*options, "--dump-json", url]
    options[2] = download["path"]
    assert download["words"] == [*options, f"{url}+id%3A%3C9"]
    extractor = download["configuration"]["extractor"]
    assert extractor["gelbooru"] == {"user-id": "4711", "api-key": KEY}
    assert extractor["modules"] == ["gelbooru"] and "gelbooru_v02" not in extractor
    assert (extractor["sleep"], extractor["sleep-request"], extractor["retries"]) == (2, 2, 4)
    assert numbers(tmp_path / "raw") == [8]
    facts = json.loads((tmp_path / "raw" / "gelbooru_8.png.json").read_text())
    assert facts["page"] == "https://gelbooru.com/index.php?page=post&s=view&id=8"


def test_gallery_dl_that_says_nothing(fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path / "bin", "sys.stderr.write('[gallery-dl][error] too old, api_key=abc\\n')\n")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with serving(entries(1)) as booru, pytest.raises(InputError, match=r"it said: too old, api_key=\.\.\.; update it"):
        fetch(booru)


def test_a_crawl_that_is_ended(tmp_path: Path) -> None:
    """Its configuration with the key is gone, gallery-dl too, and the next crawl does the rest."""
    raw, private = tmp_path / "raw", tmp_path / "tmp"
    private.mkdir()
    with serving(entries(1, 2), key=("4711", KEY)) as booru:
        booru.troubles["list"] = ["", "slow"]
        words = f"tags='solo', source='gelbooru', root={booru.root!r}, output_dir=Path({str(raw)!r}), limit=2, pause=0"
        script = "from pathlib import Path; from kaname.cli import terminable; from kaname.apps.crawl import crawl\n"
        script += f"with terminable(): crawl({words}, artists=False)"
        environment = os.environ | {"TMPDIR": str(private), "GELBOORU_API_KEY": KEY, "GELBOORU_USER_ID": "4711"}
        process = subprocess.Popen([sys.executable, "-c", script], env=environment, stderr=subprocess.PIPE, text=True)
        while len(booru.asked) < 2:
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.02)
        assert len(list(private.glob("kaname-crawl-*.json"))) == 1
        process.send_signal(signal.SIGTERM)
        assert "Terminated" in process.communicate()[1]
        assert not list(private.iterdir())
        again = [sys.executable, "-c", script]
        done = subprocess.run(again, env=environment, capture_output=True, text=True, check=False)
        assert "2 new images" in done.stdout, done.stderr
    assert numbers(raw) == [1, 2]


def test_one_crawl_at_a_time(fetch: Fetch, tmp_path: Path) -> None:
    hold = "from kaname.apps.crawl import alone; from pathlib import Path; import sys\n"
    hold += "with alone(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", hold, str(tmp_path / "raw")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with serving(entries(1)) as booru, pytest.raises(InputError, match="another crawl fills this folder"):
            fetch(booru)
        other.communicate("")
    assert not booru.asked
