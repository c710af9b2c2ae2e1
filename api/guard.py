"""Before each request, the page's too: its id, whether it may come from there, how large and slow it may be.

And what browsers may do with the answer, and how people sign in on the page.
"""

import logging
import os
import re
import socket
from collections.abc import Callable
from contextvars import ContextVar
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import http
from models.access import Access
from models.errors import RateLimited
from models.settings import Settings
from tabs.shared.events import sentence
from tabs.shared.gradio_patches import NOT_THERE

log = logging.getLogger("genlab.api")

# Gradio's page is made of inline scripts and styles, and of functions from text (`js=`). Whatever else is
# loaded, sent or framed stays here; a Space is framed by the hub.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "frame-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self' https://huggingface.co https://*.hf.space",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}
_READING = {"GET", "HEAD", "OPTIONS"}
# Of Gradio, and of no use here: what opens an address of the web, and what writes a page's state or a
# visitor's words where they do not belong.
_NO_WAY = re.compile(
    r"(/gradio_api)?(/proxy=|/file[=/]+\s*([a-z][a-z0-9+.-]*:)?//|/custom_component/|/component_server"
    r"|/deep_link|/dev/)",
    re.I,
)
# Until a body must be there whole: a caller may hold a connection, not for ever.
BODY_SECONDS = 60.0
UPLOAD_SECONDS = 600.0  # the same for a file that the page takes, over a slow line
_UPLOADS = "/gradio_api/upload"
ADDRESS: ContextVar[str] = ContextVar("ADDRESS", default="")  # of the caller
_LOCAL_NAMES = re.compile(r"localhost|[^.]+|.+\.(localhost|local|lan|internal|home\.arpa)", re.I)


class Guard:
    """Around the whole app, between Gradio's own middleware and all routes."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._hosts = Hosts(settings)
        self._limit = settings.max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request = Request(scope)
        ADDRESS.set(http.address_of(request))
        has_output = False

        async def send_with_headers(message: Message) -> None:
            nonlocal has_output
            if message["type"] == "http.response.start":
                has_output = True
                headers = MutableHeaders(scope=message)
                for name, value in {**HEADERS, "x-request-id": http.id_of(scope)}.items():
                    headers.setdefault(name, value)
            await send(message)

        async def answer(status: int, code: str) -> None:
            await http.plain_response(request, status, code)(scope, receive, send_with_headers)

        path = http.path_of(scope)
        if _NO_WAY.match(path):
            return await answer(404, "no_path")
        if request.method not in _READING and not self._hosts.admit(request.headers):
            return await answer(403, "refused_cross_site")
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._limit:
            return await answer(413, "body_too_large")
        try:
            seconds = UPLOAD_SECONDS if path.startswith(_UPLOADS) else BODY_SECONDS
            await self._app(scope, _limit_body(receive, self._limit, seconds), send_with_headers)
        except Exception as error:
            if has_output:  # uvicorn closes the connection
                return log.error("an answer broke off: %s", type(error).__name__)
            if isinstance(error, NOT_THERE):
                return await answer(404, "no_path")
            log.exception("a request of %s failed", scope.get("route", "the page"))
            await answer(500, "failed")


def _limit_body(receive: Receive, limit: int, seconds: float) -> Receive:
    """The same body, which ends with a 413 where it is longer than it may be, and a 408 where it is slow.

    After it there is no limit: then somebody waits for the caller to leave.
    """
    count, whole, end = 0, False, 0.0

    async def receive_some() -> Message:
        nonlocal count, whole, end
        if whole:
            return await receive()
        end = end or anyio.current_time() + seconds
        with anyio.CancelScope(deadline=end):
            message = await receive()
            whole = not message.get("more_body", False)
            count += len(message.get("body", b""))
            if count > limit:
                raise HTTPException(413)
            return message
        raise HTTPException(408)

    return receive_some


class Hosts:
    """Under which names the page is known, so that no other site acts in a visitor's name.

    A site elsewhere makes a browser send its own Origin; one that has its name lead to this machine makes
    it send its own Host. Programs send no Origin.
    """

    def __init__(self, settings: Settings) -> None:
        listed = (settings.hosts or "").split(",")
        space = os.environ.get("SPACE_HOST", "").split(",")
        self._names = {name.strip().lower() for name in (*listed, *space) if name.strip()}
        self._own = socket.gethostname().lower()
        self._any_host = settings.public

    def admit(self, headers: Headers) -> bool:
        """Whether a call that changes something may come from there."""
        try:
            return self._admit(headers)
        except ValueError:  # an Origin that is no address
            return False

    def _admit(self, headers: Headers) -> bool:
        host = _name(f"//{headers.get('host', '')}")
        origin = headers.get("origin")
        if origin is not None:
            from_here = urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
            if not from_here and _name(origin) not in self._names:
                return False
        elif headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return False
        return self._any_host or self._is_own(host)

    def _is_own(self, host: str) -> bool:
        if host in self._names or host == self._own or _LOCAL_NAMES.fullmatch(host):
            return True
        try:
            ip_address(host)
        except ValueError:
            return host.endswith(".gradio.live")  # of a share link
        return True


def _name(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""


def gradio_login(access: Access) -> Callable[[str, str], Any]:
    """What Gradio asks at its /login: whether a name and a password are right."""

    async def is_right(name: str, password: str) -> bool:
        try:
            right = await anyio.to_thread.run_sync(access.sign_in, name, password, ADDRESS.get())
        except RateLimited as problem:
            wait = {"Retry-After": str(problem.params["seconds"])}
            raise HTTPException(429, sentence(problem, "en"), wait) from None
        return right

    return is_right
