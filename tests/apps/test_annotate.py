"""The command: what it refuses before it starts, and what it says."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from annotating import Command, ask, free_port, paint
from kaname.apps import annotate as command
from kaname.errors import InputError

pytest.importorskip("gradio", reason="needs gradio")


def refused(**words: object) -> str:
    with pytest.raises(InputError) as caught:
        command.annotate(**words)  # type: ignore[arg-type]
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    paint(tmp_path / "raw" / "a.png", (20, 30))
    return {"image_dir": tmp_path / "raw", "output_dir": tmp_path / "out"}


def test_a_busy_port_names_the_next_free_one(folders: dict[str, Path]) -> None:
    with socket.socket() as busy, socket.socket() as next_one:
        while True:
            port = free_port()
            try:
                busy.bind(("127.0.0.1", port))
                next_one.bind(("127.0.0.1", port + 1))
                break
            except OSError:
                busy, next_one = socket.socket(), socket.socket()
        busy.listen()
        next_one.listen()
        text = refused(**folders, port=port)
    match = re.fullmatch(rf"port {port} is busy; the next free one is --port (\d+)", text)
    assert match and int(match[1]) > port + 1
    command.listen("127.0.0.1", int(match[1])).close()


def test_images_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty" / ".rejected").mkdir(parents=True)
    paint(tmp_path / "empty" / ".rejected" / "a.png", (5, 5))
    port = free_port()
    assert "does not exist" in refused(image_dir=tmp_path / "none", output_dir=tmp_path / "out", port=port)
    assert "no image in this folder" in refused(image_dir=tmp_path / "empty", output_dir=tmp_path / "out", port=port)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"], "nothing is made where nothing can be done"


def test_words_that_do_not_fit(folders: dict[str, Path], tmp_path: Path) -> None:
    assert "add --model" in refused(**folders, order="uncertain")
    assert "none.onnx: " in refused(**folders, port=free_port(), model=tmp_path / "none.onnx")
    assert "anime-face-28" in refused(**folders, port=free_port(), skeleton="anime-face-82")
    assert "no address of this machine" in refused(**folders, host="no.such.host.invalid")
    assert "no port 0" in refused(**folders, port=0)
    assert "guide's colours are of 28 points" in refused(**folders, port=free_port(), skeleton="oss25", colours="guide")


def test_one_page_at_a_time_has_a_folder(folders: dict[str, Path]) -> None:
    words = ["--image-dir", str(folders["image_dir"]), "--output-dir", str(folders["output_dir"])]
    port = free_port()
    running = Command(words, port)
    running.start()
    try:
        text = refused(**folders, port=free_port())
        assert "another page annotates this folder" in text and str(running.process.pid) in text  # type: ignore[union-attr]
        assert ask(port, "/").status == 200
    finally:
        running.kill()
    with command.alone(folders["output_dir"]):
        pass


def test_other_machines_need_a_token(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: object) -> None:
    built: dict[str, object] = {}
    monkeypatch.setattr("kaname.apps.annotation.server.build", lambda *given: built.update(token=given[3]))
    monkeypatch.setattr(command, "serve", lambda *_: None)
    port = free_port()
    command.annotate(**folders, port=port)  # type: ignore[arg-type]
    out = capsys.readouterr().out  # type: ignore[attr-defined]
    assert built["token"] is None and f"open http://localhost:{port} " in out and out.startswith("1 image in ")
    command.annotate(**folders, port=port, host="0.0.0.0")  # type: ignore[arg-type]
    assert len(str(built["token"])) >= 20 and f"?token={built['token']}" in capsys.readouterr().out  # type: ignore[attr-defined]
    command.annotate(**folders, port=port, token="mine")  # type: ignore[arg-type]
    assert built["token"] == "mine"


def test_links_out_of_the_folder_are_told(folders: dict[str, Path], tmp_path: Path, capsys: object) -> None:
    paint(tmp_path / "else" / "b.png", (5, 5))
    (folders["image_dir"] / "b.png").symlink_to(tmp_path / "else" / "b.png")
    project = command.open_project(
        folders["image_dir"], folders["output_dir"], command.find_skeleton("anime-face-28"), None
    )
    command.say(project, "127.0.0.1", 7860, None)
    out = capsys.readouterr().out  # type: ignore[attr-defined]
    assert project.album.images == ["a.png"] and "left out: 1" in out and "b.png" in out


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)]
)
def test_local(host: str, local: bool) -> None:
    assert command.is_local(host) == local
