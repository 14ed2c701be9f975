"""What the server refuses, asked without a browser."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotating import ask, face_skeleton, paint, serving
from kaname.apps.annotate import open_project
from kaname.data.formats.landmarks import read_annotation

pytest.importorskip("gradio", reason="needs gradio")

KEY = {"image": "furry/a.png", "face": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("annotate")
    paint(place / "raw" / "furry" / "a.png", (40, 50), [(3, 4)])
    paint(place / "secret.png", (10, 10))
    (place / "secret.txt").write_text("nobody reads this")
    (place / "raw" / "link.png").symlink_to(place / "secret.png")
    (place / "raw" / "notes.txt").write_text("nor this")
    return place


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    with serving(open_project(folder / "raw", folder / "out", face_skeleton(), None)) as address:
        yield int(address.rsplit(":", 1)[1])


def user_of(port: int) -> str:
    """A cookie, as a new browser gets it."""
    cookie = ask(port, "/kaname/about").headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    return cookie.split(";")[0]


def place(number: int = 0, at: Any = (5, 6)) -> dict[str, Any]:
    return {"kind": "place", "point": number, "at": list(at)}


def step(port: int, cookie: str, action: Any, **more: Any) -> Any:
    after = ask(port, "/kaname/face?image=furry/a.png", cookie=cookie).content["version"]
    body = {**KEY, "after": after, "id": "step-0001", "action": action, **more}
    return ask(port, "/kaname/act", body, cookie=cookie)


def test_the_picture_is_exact(port: int) -> None:
    import cv2

    shown = ask(port, "/kaname/picture?image=furry/a.png")
    assert shown.headers["content-type"] == "image/png" and shown.headers["x-content-type-options"] == "nosniff"
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(b"GET /kaname/picture?image=furry/a.png HTTP/1.0\r\nHost: localhost\r\n\r\n")
        data = b"".join(iter(lambda: line.recv(65536), b"")).partition(b"\r\n\r\n")[2]
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (40, 50, 3) and picture[4, 3].tolist() == [0, 0, 255]


@pytest.mark.parametrize(
    "path",
    [
        "/kaname/picture?image=../secret.png",
        "/kaname/picture?image=furry/../../secret.png",
        "/kaname/picture?image=..%2Fsecret.png",
        "/kaname/picture?image=%2Fetc%2Fpasswd",
        "/kaname/picture?image=link.png",
        "/kaname/picture?image=notes.txt",
        "/kaname/picture?image=",
        "/kaname/picture",
        "/kaname/files/..%2Fpage.py",
        "/kaname/files/page.py",
        "/kaname/files/../../../secret.txt",
        "/gradio_api/file=SECRET",
        "/file=SECRET",
        "/gradio_api/file/SECRET",
        "/gradio_api/proxy=http://localhost/",
        "/assets/../../../../../../../../SECRET",
        "/static/..%2F..%2F..%2F..%2F..%2FSECRET",
        "/gradio_api/openapi.json",
        "/monitoring",
        "/docs",
    ],
)
def test_only_images_of_the_folder_are_served(port: int, folder: Path, path: str) -> None:
    answer = ask(port, path.replace("SECRET", str(folder / "secret.txt")))
    assert answer.status in {400, 404} and "nobody" not in answer.text and "nor this" not in answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "evil.example"}, 421),
        ({"host": "localhost.evil.example:1"}, 421),
        ({"host": ""}, 421),
        ({"host": "localhost:9999"}, 200),  # through a tunnel
        ({"host": "[::1]:80"}, 200),
        ({"host": "192.0.2.7"}, 200),  # a bare address is nobody's name
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:1"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"content_type": "text/plain"}, 415),
        ({"content_type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_steps_come_from_this_page_alone(port: int, folder: Path, headers: dict[str, str], status: int) -> None:
    cookie = user_of(port)
    after = ask(port, "/kaname/face?image=furry/a.png", cookie=cookie).content["version"]
    body = {**KEY, "after": after, "id": "step-0001", "action": place()}
    assert ask(port, "/kaname/act", body, cookie=cookie, **headers).status == status
    now = ask(port, "/kaname/face?image=furry/a.png", cookie=cookie).content["state"]
    assert (now["places"][0] is None) == (status != 200)


def test_our_own_origin_may(port: int) -> None:
    host = f"localhost:{port}"
    assert ask(port, "/kaname/about", host=host, origin=f"http://{host}", sec_fetch_site="same-origin").status == 200
    assert ask(port, "/kaname/picture?image=furry/a.png", sec_fetch_site="cross-site").status == 403


def test_gradios_other_doors_are_shut(port: int) -> None:
    assert ask(port, "/config").status == 200
    for path in ("upload", "queue/join", "run/predict", "call/x", "component_server", "reset", "vibe-edit"):
        assert ask(port, f"/gradio_api/{path}", {}).status == 404, path
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(
            b"GET /queue/join HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert b" 101 " not in line.recv(200)


def test_requests_have_a_size(port: int) -> None:
    cookie = user_of(port)
    big = {**KEY, "after": "", "id": "step-0001", "action": {"kind": "x" * 70_000}}
    assert ask(port, "/kaname/act", big, cookie=cookie).status == 413
    assert ask(port, "/kaname/face?image=" + "a" * 9000).status in {400, 414}
    with socket.create_connection(("127.0.0.1", port)) as line:  # in pieces, without a stated size
        line.sendall(
            b"POST /kaname/act HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        piece = b"4000\r\n" + b"a" * 0x4000 + b"\r\n"
        for _ in range(5):
            line.sendall(piece)
        line.sendall(b"0\r\n\r\n")
        assert b" 413 " in line.recv(200)


@pytest.mark.parametrize(
    "action",
    [
        None,
        [],
        {"kind": "sing"},
        {"kind": "place"},
        place(28),
        place(-1),
        {"kind": "place", "point": True, "at": [1, 1]},
        place(at=(50, 0)),
        place(at=(0, 40)),
        place(at=(-1, 0)),
        place(at=(1.5, 2)),
        place(at=(1,)),
        {"kind": "place", "point": 0, "at": "ab"},
        {"kind": "mark", "point": 0, "as": "gone"},
        {"kind": "mark", "point": 3, "as": "hidden"},
        {"kind": "mean", "at": [[1, 1], [1, 1]]},
        {"kind": "box", "at": [[1, 1], [1, 1]]},
        {"kind": "box", "at": [["a", 1], [9, 9]]},
        {"kind": "propose"},
        {"kind": "adopt"},
    ],
)
def test_what_is_no_step_is_refused_in_one_line(port: int, action: Any) -> None:
    answer = step(port, user_of(port), action)
    assert answer.status in {400, 409} and "\n" not in answer.content["error"]


def test_bodies_that_are_none(port: int) -> None:
    cookie = user_of(port)
    for body in (b"", b"{", b"[1]", b"\xff\xfe", b'"a"', b"[" * 60_000):
        assert ask(port, "/kaname/act", body, cookie=cookie).status == 400, body[:10]
    assert step(port, cookie, place(), id="../../x").status == 400
    assert step(port, cookie, place(), face=0).status in {400, 404}
    assert step(port, cookie, place(), face=7).status in {400, 404}
    body = {**KEY, "after": "file:", "id": "step-0001", "action": place()}
    for user in ("", "kaname_annotator=../../../x", "kaname_annotator=" + "g" * 32):
        assert ask(port, "/kaname/act", body, cookie=user).status == 400


def test_a_step_twice_counts_once_and_an_old_page_is_told(port: int, folder: Path) -> None:
    cookie = user_of(port)
    after = ask(port, "/kaname/face?image=furry/a.png", cookie=cookie).content["version"]
    first = {**KEY, "after": after, "id": "step-aaaa", "action": place(0)}
    assert ask(port, "/kaname/act", first, cookie=cookie).status == 200
    again = ask(port, "/kaname/act", first, cookie=cookie)
    assert again.status == 200 and again.content["undo"]
    late = ask(port, "/kaname/act", {**first, "id": "step-bbbb", "action": place(0, (9, 9))}, cookie=cookie)
    assert late.status == 409 and "another window" in late.content["error"]
    body = {**KEY, "after": "step-aaaa", "id": "step-cccc", "finish": True}
    saved = ask(port, "/kaname/save", body, cookie=cookie)
    assert saved.content["said"] == "saved a.json as unfinished: 27 points to go"
    assert ask(port, "/kaname/save", body, cookie=cookie).status == 200
    assert read_annotation(folder / "out" / "a.json").points[0].tolist() == [5, 6]


def test_a_token(folder: Path) -> None:
    project = open_project(folder / "raw", folder / "other", face_skeleton(), None)
    with serving(project, token="se/cret") as address:
        port = int(address.rsplit(":", 1)[1])
        for path in ("/", "/kaname/about", "/kaname/picture?image=furry/a.png", "/config", "/?token=wrong", "/?token="):
            answer = ask(port, path)
            assert answer.status == 401 and "token" in answer.text, path
        welcome = ask(port, "/?token=se%2Fcret&view=1")
        assert welcome.status == 303 and welcome.headers["location"] == "/?view=1"
        cookie = welcome.headers["set-cookie"].split(";")[0]
        assert ask(port, "/kaname/about", cookie=cookie).status == 200
        assert ask(port, "/kaname/about", cookie=cookie + "x").status == 401
        assert ask(port, "//evil.example/?token=se%2Fcret").headers.get("location", "/x")[1] not in "/\\"
