"""``kaname landmark annotate``: a page in the browser on which landmarks are placed."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from kaname.errors import InputError
from kaname.extras import require_package
from kaname.pipeline.flags import CHECKPOINT_NAMES, OUT_NAMES

if TYPE_CHECKING:
    from kaname.apps.annotation.project import Project
    from kaname.apps.annotation.proposals import Predictor
    from kaname.data.formats.skeleton import Skeleton

LOCAL = "127.0.0.1"
PORTS_TRIED = 100
Order = Literal["name", "uncertain"]


def annotate(
    *,
    image_dir: Annotated[Path, Parameter(help="Folder of the images, read with its sub-folders.")] = Path("data/raw"),
    output_dir: Annotated[Path, Parameter(name=OUT_NAMES, help="Folder of the annotations.")] = Path("data/annotated"),
    port: Annotated[int, Parameter(help="Where the page is: http://localhost:PORT.")] = 7860,
    host: Annotated[str, Parameter(help="Address to listen on; 0.0.0.0 lets other machines in.")] = LOCAL,
    model: Annotated[
        Path | None, Parameter(name=["--model", *CHECKPOINT_NAMES], help="Checkpoint or export that proposes points.")
    ] = None,
    order: Annotated[Order, Parameter(help="By name, or first what --model is least sure of.")] = "name",
    skeleton: Annotated[str, Parameter(help="YAML file with other points.")] = "anime-face-28",
    colours: Annotated[
        Literal["skeleton", "guide"],
        Parameter(help="Colours by the skeleton's groups, or as the written guide has them."),
    ] = "skeleton",
    token: Annotated[
        str | None, Parameter(help="Access token; without it one is made where other machines are let in.")
    ] = None,
) -> None:
    """Mark landmarks on images, in the browser."""
    if order == "uncertain" and model is None:
        raise InputError("--order uncertain asks a model", remedy="add --model best_model.pth")
    needs_gradio()
    with contextlib.ExitStack() as held:
        listening = held.enter_context(contextlib.closing(listen(host, port)))
        held.enter_context(alone(output_dir))
        project = open_project(image_dir, output_dir, find_skeleton(skeleton), model, order=order)
        token = token or (None if is_local(host) else secrets.token_urlsafe(16))
        from kaname.apps.annotation.server import build

        app = build(project, colours, (host, socket.gethostname()), token, port)
        say(project, host, port, token)
        serve(app, listening)


def open_project(
    image_dir: Path, output_dir: Path, skeleton: Skeleton, model: Path | Predictor | None, *, order: Order = "name"
) -> Project:
    """Images, annotations and journals, ready to be shown.

    Raises:
        InputError: no images, an annotation or a journal that cannot be read, a model of other points.
    """
    import numpy as np

    from kaname.apps.annotation.album import Album
    from kaname.apps.annotation.project import Project
    from kaname.apps.annotation.proposals import Proposals, predictor_of

    album = Album(image_dir, output_dir, skeleton)
    predictor = predictor_of(model, skeleton.names) if isinstance(model, Path) else model
    if predictor is not None:
        predictor(np.zeros((64, 64, 3), np.uint8), None)  # a model of other points is told now, not at each image
    proposals = None if predictor is None else Proposals(predictor, album.path)
    if proposals is not None and order == "uncertain":
        album.images = proposals.uncertain_first(album.images, album.finished)
    return Project(album, proposals)


def find_skeleton(name: str) -> Skeleton:
    """The skeleton of a YAML file, or one that comes with the package, by its name.

    Raises:
        InputError: no such skeleton.
    """
    from kaname.config import find_group
    from kaname.data.formats import skeleton

    return skeleton.read(find_group("skeleton", name))


def needs_gradio() -> None:
    """Refuse where Gradio is missing or too old."""
    import importlib.metadata

    require_package("gradio", "annotate")
    version = importlib.metadata.version("gradio")
    if int(version.split(".")[0]) < 5:
        raise InputError(
            f"annotate needs Gradio 5 or 6, found {version}", remedy='pip install "gradio>=5.49.1" --upgrade'
        )


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        InputError: the port is busy (the next free one is named), not allowed, or the host is not this machine's.
    """
    if not 1 <= port <= 65535:
        raise InputError(f"no port {port}", remedy="1024 to 65535 are free to use")
    try:
        return _bound(host, port)
    except OSError as error:
        return _refused(host, port, error)


def _bound(host: str, port: int) -> socket.socket:
    family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    made = socket.socket(family, kind, number)
    try:
        if os.name == "posix":  # elsewhere this would let two servers have one port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(128)
    except BaseException:
        made.close()
        raise
    return made


def _refused(host: str, port: int, error: OSError) -> socket.socket:
    import errno

    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        remedy = "leave --host out, or name an address of this machine"
        raise InputError(f"{host} is no address of this machine", remedy=remedy) from error
    if error.errno in {errno.EACCES, errno.EPERM}:
        raise InputError(f"port {port} may not be used", remedy="choose one above 1023, such as --port 7860") from error
    if error.errno != errno.EADDRINUSE:
        raise InputError(f"cannot listen on {host}:{port} ({error.strerror})", remedy="try another --port") from error
    for other in range(port + 1, min(port + PORTS_TRIED, 65535) + 1):
        with contextlib.suppress(OSError), contextlib.closing(_bound(host, other)):
            raise InputError(f"port {port} is busy", remedy=f"the next free one is --port {other}") from error
    raise InputError(f"port {port} is busy, and so are those above it", remedy="choose another --port") from error


def is_local(host: str) -> bool:
    """Whether only this machine can reach the page."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextlib.contextmanager
def alone(output_dir: Path) -> Iterator[None]:
    """Hold the folder of annotations against other pages."""
    from kaname.apps.annotation.project import JOURNALS
    from kaname.lock import Held, locked

    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(output_dir / JOURNALS, reason="another page annotates this folder"))
        except Held as error:
            remedy = "use that one, or choose another --output-dir"
            raise InputError(error.reason, path=output_dir, remedy=remedy) from error
        yield


def say(project: Project, host: str, port: int, token: str | None) -> None:
    """What there is, and where the page is."""
    album = project.album
    finished = sum(map(album.finished, album.images))
    images = "1 image" if len(album.images) == 1 else f"{len(album.images)} images"
    print(f"{images} in {album.image_dir}, {finished} finished, annotations in {album.output_dir}")
    if album.outside:
        print(f"left out: {len(album.outside)} links that lead out of the folder, the first is {album.outside[0]}")
    if count := project.unsaved():
        print(f"steps that were never saved: of {count} {'face' if count == 1 else 'faces'}; the page shows them")
    shown = "localhost" if is_local(host) else (socket.gethostname() if host in {"0.0.0.0", "::"} else host)
    shown = f"[{shown}]" if ":" in shown else shown
    print(f"open http://{shown}:{port}{f'/?token={token}' if token else ''}   (Ctrl-C ends it)", flush=True)


def serve(app: Any, listening: socket.socket) -> None:
    """Answer until Ctrl-C."""
    import uvicorn

    settings = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=1
    )
    try:
        uvicorn.Server(settings).run(sockets=[listening])
    except KeyboardInterrupt as stopped:
        if type(stopped) is not KeyboardInterrupt:  # SIGTERM
            raise
        print("ended; every click is kept", flush=True)
