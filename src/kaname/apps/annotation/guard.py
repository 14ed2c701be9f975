"""Who may ask the page for what: the host that is named, the page that asks, the token, the size, and the path.

A page on 127.0.0.1 can be reached by every web site that its user visits, so that an address alone is no protection:
the ``Host`` has to be one that was meant (or a bare address, which no other site can claim as its name), what changes
something has to come from this very page, and of Gradio's own doors only those are open that its page needs. Its
others hand out files or take uploads.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OURS = "/kaname/"
MOST_BYTES = 64 * 1024
MOST_SIGNS = 8 * 1024  # of path and query
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
# What Gradio's page fetches to show itself.
GRADIO = re.compile(
    r"/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt"
    r"|(assets|static|svelte)/.*"
    r"|gradio_api/(info|app_id|startup-events|theme\.css|heartbeat/\w+))?/?"
)
RULES = [
    (
        b"content-security-policy",
        b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'; form-action 'self'",
    ),
    (b"referrer-policy", b"no-referrer"),
]
NO_TOKEN = "This page needs its access token: open the address that the terminal shows, with ?token=... at its end."


class Guard:
    """Lets through what may pass, and answers the rest itself.

    Args:
        app: what is guarded.
        names: host names that the page may be asked by, beside bare addresses.
        token: the access token; None: no token is needed.
        cookie: name of the cookie that carries the token after the first look.
    """

    def __init__(self, app: App, names: tuple[str, ...], token: str | None, cookie: str) -> None:
        self.app, self.token, self.cookie = app, token, cookie
        self.names = {name.lower() for name in (*LOCAL_NAMES, *names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        send = _with_rules(send)
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refused = self._refused(scope, headers)
        if refused is not None:
            await answer(send, *refused)
            return
        if self.token is not None:
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            if given and self._right(given):
                await self._welcome(scope, send, given)
                return
            if not self._right(_cookies(headers).get(self.cookie, "")):
                await answer(send, 401, NO_TOKEN)
                return
        await self._limited(scope, receive, send, headers)

    def _refused(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        """Status and reason of what is wrong with a request, whoever asks."""
        path, method = str(scope["path"]), scope["method"]
        if len(scope.get("raw_path") or path) + len(scope["query_string"]) > MOST_SIGNS:
            return 414, "the address is too long"
        host = headers.get("host", "")
        if not self._host_is_meant(host):
            return 421, f"this page does not answer for the host {host[:100]!r}; start it with --host, or use localhost"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return 403, f"requests from {origin[:100]} are not taken"
        if headers.get("sec-fetch-site", "none") not in {"same-origin", "none"} and (
            path.startswith(OURS) or method not in {"GET", "HEAD"}
        ):
            return 403, "requests from other sites are not taken"
        if path.startswith(OURS):
            if method == "POST" and headers.get("content-type", "").split(";")[0] != "application/json":
                return 415, "only application/json is taken"
            return None
        if method not in {"GET", "HEAD"} or not GRADIO.fullmatch(path) or ".." in path:
            return 404, "there is nothing here"
        return None

    def _host_is_meant(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self.names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _right(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), (self.token or "").encode())

    async def _welcome(self, scope: Scope, send: Send, token: str) -> None:
        """Keep the token in a cookie and out of the address, where it would be seen and remembered."""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        rest = urlencode([(name, one) for name, values in query.items() if name != "token" for one in values])
        where = f"{scope['path']}?{rest}" if rest else str(scope["path"])
        cookie = f"{self.cookie}={token}; HttpOnly; SameSite=Lax; Path=/; Max-Age=2592000"
        await answer(send, 303, "", location="/" + where.lstrip("/\\"), **{"set-cookie": cookie})

    async def _limited(self, scope: Scope, receive: Receive, send: Send, headers: dict[str, str]) -> None:
        """Read the body whole, as long as it may be, before anything is done with it."""
        stated = headers.get("content-length", "0")
        if not stated.isdigit() or int(stated) > MOST_BYTES:
            await answer(send, 413, f"a request holds at most {MOST_BYTES} bytes", connection="close")
            return
        if scope["method"] in {"GET", "HEAD"}:
            await self.app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body, more = body + message.get("body", b""), message.get("more_body", False)
            if len(body) > MOST_BYTES:
                await answer(send, 413, f"a request holds at most {MOST_BYTES} bytes", connection="close")
                return
        given = False

        async def once() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, once, send)


async def answer(send: Send, status: int, text: str, **headers: str) -> None:
    """A short answer in plain text."""
    more = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    kind = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": status, "headers": [*kind, *more]})
    await send({"type": "http.response.body", "body": f"{text}\n".encode() if text else b""})


def _with_rules(send: Send) -> Send:
    """Every answer tells the browser that this page loads nothing from elsewhere and is shown in no other."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *RULES]
        await send(message)

    return sent


def _cookies(headers: dict[str, str]) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}
