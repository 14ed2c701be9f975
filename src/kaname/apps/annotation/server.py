"""What the page asks for: the project, a face, a picture, a step, a save. JSON in and out."""

from __future__ import annotations

import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from kaname.apps.annotation.album import Key, Missing
from kaname.apps.annotation.colours import Palette, hex_colours
from kaname.apps.annotation.face import anchors
from kaname.apps.annotation.guard import OURS, Guard
from kaname.apps.annotation.page import mounted
from kaname.apps.annotation.project import USER, Conflict, Project
from kaname.errors import InputError
from kaname.geometry.image import read_image

USER_COOKIE = "kaname_annotator"
ASSETS = {".js": "text/javascript", ".css": "text/css"}
SAFE = {"x-content-type-options": "nosniff"}
STEP = re.compile(r"[\w-]{8,64}")
YEAR = 365 * 86400  # seconds
PICTURES = 8  # kept as PNG in memory
STATUS = {Conflict: 409, Missing: 404}


class Pictures:
    """The images as the page gets them: decoded by us, upright, without their metadata."""

    def __init__(self, path: Callable[[str], Path]) -> None:
        self._path, self._lock = path, Lock()
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()

    def png(self, image: str) -> bytes:
        """One image as a PNG file."""
        path = self._path(image)
        key = (image, path.stat().st_mtime_ns)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        rgb = read_image(path)
        data = cv2.imencode(".png", rgb[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
        with self._lock:
            self._kept[key] = data
            while len(self._kept) > PICTURES:
                self._kept.popitem(last=False)
        return data


class Api:
    """The questions of the page; each answers with plain values.

    Args:
        project: what is annotated.
        palette: whose colours are shown.
    """

    def __init__(self, project: Project, palette: Palette) -> None:
        self.project = project
        self.colours = hex_colours(project.album.skeleton, palette)

    def about(self) -> dict[str, Any]:
        """What does not change while the page is open."""
        album, skeleton = self.project.album, self.project.album.skeleton
        pair = anchors(skeleton)
        names = list(skeleton.names)
        owner = {point: group for group, its in skeleton.groups.items() for point in its.points}
        return {
            "skeleton": skeleton.name,
            "points": [
                {"name": name, "group": owner[name], "colour": colour}
                for name, colour in zip(names, self.colours, strict=True)
            ],
            "edges": skeleton.edges.tolist(),
            "positions": [skeleton.positions.get(name) for name in names],
            "anchors": None if pair is None else [names.index(name) for name in pair],
            "model": self.project.proposals is not None,
            "first": next((image for image in album.images if not album.finished(image)), album.images[0]),
            "folder": album.image_dir.resolve().name,
        }

    def face(self, user: str, key: Key) -> dict[str, Any]:
        """A face, and where its image stands. An image that cannot be read says so and can be passed by."""
        try:
            return self.project.view(user, key)
        except Missing:
            raise
        except InputError as error:
            self.project.album.path(key[0])  # an unknown image is another matter
            return {**self.project.album.place(key[0]), "image": key[0], "face": key[1], "broken": error.reason}

    def act(self, user: str, key: Key, body: dict[str, Any]) -> dict[str, Any]:
        """One step."""
        after, step, action = body.get("after"), body.get("id"), body.get("action")
        if not isinstance(after, str) or not isinstance(action, dict):
            raise InputError("not a step of the page", remedy="reload the page")
        self.project.act(user, key, after, _step(step), action)
        return self.face(user, key)

    def save(self, user: str, key: Key, body: dict[str, Any]) -> dict[str, Any]:
        """Write the file."""
        after = body.get("after")
        if not isinstance(after, str):
            raise InputError("not a save of the page", remedy="reload the page")
        finish, force = body.get("finish") is True, body.get("force") is True
        said = self.project.save(user, key, after, _step(body.get("id")), finish=finish, force=force)
        return {**self.face(user, key), "said": said}


def build(
    project: Project, palette: Palette, names: tuple[str, ...] = (), token: str | None = None, port: int = 0
) -> Any:
    """The whole application, guarded.

    Args:
        project: what is annotated.
        palette: whose colours are shown.
        names: host names that it may be asked by, beside those of this machine.
        token: the access token; None: none is needed.
        port: where it listens; the tokens of two pages on one machine lie in two cookies.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    api, pictures = Api(project, palette), Pictures(project.album.path)
    folder = Path(__file__).parent
    assets = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in ASSETS}

    @app.get(OURS + "about")
    async def about(request: Request) -> Response:
        answer = await _answered(api.about)
        if not USER.fullmatch(request.cookies.get(USER_COOKIE, "")):
            answer.set_cookie(USER_COOKIE, secrets.token_hex(16), max_age=YEAR, httponly=True, samesite="strict")
        return answer

    @app.get(OURS + "face")
    async def face(request: Request) -> Response:
        number = request.query_params.get("face", "1")
        key = (request.query_params.get("image", ""), int(number) if number.isdecimal() and len(number) < 4 else 0)
        return await _answered(lambda: api.face(_user(request), key))

    @app.post(OURS + "here")
    async def here(request: Request) -> Response:
        body = await _body(request)
        return await _answered(lambda: {"others": project.here(_user(request), _key(body))})

    @app.get(OURS + "picture")
    async def picture(request: Request) -> Response:
        image = request.query_params.get("image", "")
        return await _answered(lambda: pictures.png(image))

    @app.post(OURS + "act")
    async def act(request: Request) -> Response:
        body = await _body(request)
        return await _answered(lambda: api.act(_user(request), _key(body), body))

    @app.post(OURS + "save")
    async def save(request: Request) -> Response:
        body = await _body(request)
        return await _answered(lambda: api.save(_user(request), _key(body), body))

    @app.get(OURS + "files/{name}")
    async def asset(name: str) -> Response:
        if name not in assets:
            return JSONResponse({"error": "there is nothing here"}, 404)
        return Response(
            assets[name], media_type=ASSETS[Path(name).suffix], headers={"cache-control": "no-cache", **SAFE}
        )

    return Guard(mounted(app, project.album.image_dir.resolve().name), names, token, f"kaname_token_{port}")


async def _answered(work: Callable[[], Any]) -> Response:
    """What ``work`` gives, done beside the loop, or what is wrong in one line."""
    try:
        done = await run_in_threadpool(work)
    except InputError as error:
        status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)
        return JSONResponse({"error": f"{error.reason}; {error.remedy}" if error.remedy else error.reason}, status)
    if isinstance(done, bytes):
        return Response(done, media_type="image/png", headers={"cache-control": "private, max-age=60", **SAFE})
    return JSONResponse(done, headers={"cache-control": "no-store"})


async def _body(request: Request) -> Any:
    try:
        return await request.json()
    except (ValueError, RecursionError):  # neither JSON nor text, or brackets without end
        return None


def _key(body: Any) -> Key:
    image = body.get("image") if isinstance(body, dict) else None
    if not isinstance(image, str) or type(body.get("face")) is not int:
        raise InputError("not a request of the page", remedy="reload the page")
    return image, body["face"]


def _step(step: Any) -> str:
    if not isinstance(step, str) or not STEP.fullmatch(step):
        raise InputError("a step needs a name of its own", remedy="reload the page")
    return step


def _user(request: Request) -> str:
    user = request.cookies.get(USER_COOKIE, "")
    if not USER.fullmatch(user):
        raise InputError("this browser has no name yet", remedy="allow cookies for this page and reload it")
    return user
