"""What the tests of the annotation page share: folders with pictures, a running page, and a browser on it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kaname.data.formats import skeleton
from kaname.data.formats.skeleton import Skeleton
from kaname.geometry.image import write_image

ROOT = Path(__file__).resolve().parent.parent
FACE = ROOT / "configs" / "skeleton" / "anime-face-28.yaml"
# A face to point at, in fractions of its box.
MEAN = [
    (0.0, 0.45), (0.12, 0.8), (0.5, 1.0), (0.88, 0.8), (1.0, 0.45), (0.1, 0.12), (0.22, 0.06), (0.38, 0.12),
    (0.62, 0.12), (0.78, 0.06), (0.9, 0.12), (0.12, 0.38), (0.25, 0.27), (0.4, 0.4), (0.16, 0.52), (0.27, 0.58),
    (0.38, 0.53), (0.6, 0.4), (0.75, 0.27), (0.88, 0.38), (0.62, 0.53), (0.73, 0.58), (0.84, 0.52), (0.5, 0.66),
    (0.4, 0.79), (0.5, 0.77), (0.6, 0.79), (0.5, 0.86),
]  # fmt: skip


def face_skeleton() -> Skeleton:
    """The 28 points with a mean face of the tests' own."""
    plain = skeleton.read(FACE)
    return dataclasses.replace(plain, positions=dict(zip(plain.names, MEAN, strict=True)))


def paint(path: Path, size: tuple[int, int], dots: list[tuple[int, int]] = (), grey: int = 230) -> Path:  # type: ignore[assignment]
    """A plain picture with a dot of one red pixel at each place."""
    picture = np.full((*size, 3), grey, np.uint8)
    for x, y in dots:
        picture[y, x] = (255, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, picture)
    return path


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


@contextlib.contextmanager
def serving(project: Any, *, palette: str = "skeleton", token: str | None = None) -> Iterator[str]:
    """The page of a project in a thread of this process; its address."""
    import uvicorn

    from kaname.apps.annotate import listen
    from kaname.apps.annotation.server import build

    port = free_port()
    listening = listen("127.0.0.1", port)
    app = build(project, palette, (), token, port)  # type: ignore[arg-type]
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]), daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


# How often a button was run, counted from the first look on.
COUNTED = """() => {
    const page = window.kaname, run = page.run;
    if (page.calls === undefined) {
        page.calls = 0;
        page.run = (action) => { const done = run(action); page.calls += 1; return done; };
    }
    return page.calls;
}"""


class Command:
    """``annotate`` as a process of its own, to be killed.

    Args:
        words: of the command line.
        port: where it listens.
    """

    def __init__(self, words: list[str], port: int) -> None:
        self.words, self.port = words, port
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        script = "from cyclopts import App\nfrom kaname.apps.annotate import annotate\nApp(default_command=annotate)()"
        paths = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, *self.words, "--port", str(self.port)],
            env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        for _ in range(1200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                if ask(self.port, "/kaname/about").status == 200:
                    return
            if self.process.poll() is not None:
                raise RuntimeError(self.process.communicate()[0])
            time.sleep(0.05)
        raise RuntimeError("the page does not answer")

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.communicate()
            self.process = None


@dataclasses.dataclass(frozen=True)
class Reply:
    """What the server said."""

    status: int
    text: str
    headers: dict[str, str]

    @property
    def content(self) -> Any:
        return json.loads(self.text)


def ask(port: int, path: str, body: Any = None, **headers: str) -> Reply:
    """One request, without a browser; a body that is not bytes goes as JSON. ``host`` and the like are headers."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, given)

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    try:
        with urllib.request.build_opener(Stay).open(request, timeout=30) as answer:
            raw, status, kinds = answer.read(), answer.status, dict(answer.headers)
    except urllib.error.HTTPError as error:
        raw, status, kinds = error.read(), error.code, dict(error.headers)
    return Reply(status, raw.decode("utf-8", "replace"), {name.lower(): value for name, value in kinds.items()})


class Hand:
    """A person at the page: clicks on pixels of the picture, presses keys, waits until everything is kept."""

    def __init__(self, page: Any, address: str) -> None:
        self.page = page
        self.clicks = 0
        page.goto(address)
        self.ready()

    def ready(self) -> None:
        self.page.wait_for_selector("body[data-ready=yes]", timeout=30_000)
        self.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def dots(self) -> list[tuple[float, float]]:
        """Where the screen shows the red dots, in rows from the top, each from the left: found in a screenshot."""
        import cv2

        canvas = self.page.locator("#kn-canvas")
        shot = cv2.imdecode(np.frombuffer(canvas.screenshot(), np.uint8), cv2.IMREAD_COLOR).astype(np.int32)
        redness = np.clip(shot[:, :, 2] - shot[:, :, 1], 0, None).astype(np.float64)
        count, labels, _, _ = cv2.connectedComponentsWithStats((redness > 25).astype(np.uint8), connectivity=8)
        box, found = canvas.bounding_box(), []
        ratio = shot.shape[1] / box["width"]
        for number in range(1, count):
            rows, columns = np.nonzero(labels == number)
            weights = redness[rows, columns]
            x, y = ((np.average(side, weights=weights) + 0.5) / ratio for side in (columns, rows))
            found.append((box["x"] + float(x), box["y"] + float(y)))
        return found

    def click(self, x: float, y: float, **more: Any) -> None:
        self.clicks += 1
        self.page.mouse.click(x, y, **more)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def button(self, words: str) -> None:
        before = self.page.evaluate(COUNTED)
        self.page.get_by_role("button", name=words, exact=True).click()
        self.page.wait_for_function("before => window.kaname.calls > before", arg=before)  # Gradio 5 runs it later
        self.idle()

    def idle(self) -> None:
        """Until every step is acknowledged and no button is at work."""
        self.page.wait_for_function(
            "() => (({ steps, busy }) => !steps.running && !steps.waiting.length && !busy)(window.kaname.page)"
        )

    def state(self) -> dict[str, Any]:
        self.idle()
        return self.page.evaluate("window.kaname.page.view.state")

    def at(self, pixel: tuple[int, int]) -> tuple[float, float]:
        """Where the screen shows the middle of a pixel, as the page itself has it."""
        place = self.page.evaluate("(pixel) => window.kaname.page.stage.middleOf(pixel)", list(pixel))
        box = self.page.locator("#kn-canvas").bounding_box()
        return box["x"] + place[0], box["y"] + place[1]

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=3)
        self.page.mouse.move(*end, steps=3)
        self.page.mouse.up()
