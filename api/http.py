"""What all of the API shares: errors as JSON, jobs that end when the caller leaves."""

import html
import logging
import time
import uuid
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Generator,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, TypeVar, cast

import anyio
from anyio import CapacityLimiter
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from gradio.context import LocalContext
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models import errors
from models.access import Access
from models.contract import Event, Finished, ModelSpec, Working, invalid_input
from models.contract import Request as Job
from models.errors import ModelError
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.runtime.limits import PERSON, RETRY_SECONDS
from models.runtime.observer import REQUEST_ID, CallReport
from models.settings import Settings
from tabs.shared.events import sentence
from tabs.shared.strings import LANGUAGES

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
CALLER_AWAY = 499  # the caller left before there was an answer: nginx' own number, only for the log
MAX_THREADS = 200  # jobs that are read at once: each mostly waits for its worker
_TOGETHER = 0.05  # seconds in which events are read together where there is no stream
log = logging.getLogger("genlab.api")
T = TypeVar("T")

# ---------------------------------------------------------------- errors


class TooMany(ModelError):
    """The queue is full (code: too_many)."""


class NoAccess(ModelError):
    """The caller has not said who it is (code: no_access)."""


_STATUS: dict[type[ModelError], int] = {
    errors.InvalidInput: 422,
    errors.NotFound: 404,
    errors.Unavailable: 503,
    errors.Refused: 403,
    errors.Damaged: 503,
    errors.MissingKey: 401,
    errors.WrongKey: 401,
    errors.RateLimited: 429,
    errors.QuotaExceeded: 429,
    errors.OutOfMemory: 503,
    errors.UntrainedHead: 422,
    errors.Busy: 409,
    TooMany: 429,
    NoAccess: 401,
}
# OpenAI's words for the kinds of errors, which its clients know.
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
}
_OTHERS = {
    400: "bad_json",
    404: "no_path",
    405: "no_method",
    408: "body_too_slow",
    413: "body_too_large",
    415: "no_json",
}
_ERROR_CONTENT = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": _ERROR_CONTENT}
    for status, text in {
        400: "The body is no JSON.",
        401: "Nobody the host knows: sign in with HTTP Basic or a token (Bearer).",
        403: "Not allowed here.",
        404: "No such model or path.",
        409: "The model is in use.",
        408: "The body did not come within a minute.",
        413: "The body is too large.",
        415: "The body must be application/json.",
        422: "A value cannot be used; `param` names it.",
        429: "Full, or the server behind the model asks to slow down: come back after Retry-After seconds.",
        503: "Out of reach or out of memory now.",
    }.items()
}
_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "type", "param", "request_id"],
            "properties": {
                "code": {"type": "string", "description": "stable, for programs"},
                "message": {"type": "string", "description": "one sentence, English or Korean"},
                "type": {"type": "string", "description": "the kind in OpenAI's words"},
                "param": {"type": ["string", "null"], "description": "the field at fault"},
                "request_id": {"type": "string", "description": "also in the X-Request-ID header"},
            },
        }
    },
}


def language_of_caller(request: Request) -> str:
    """The first language of Accept-Language that GenLab speaks; English otherwise."""
    for part in request.headers.get("accept-language", "").lower().split(","):
        name = part.strip()[:2]
        if name in LANGUAGES:
            return name
    return "en"


def problem_body(problem: ModelError, request: Request) -> tuple[int, dict[str, Any]]:
    """(status, body) of a problem."""
    status = next((s for kind, s in _STATUS.items() if isinstance(problem, kind)), 500)
    message = html.unescape(sentence(problem, language_of_caller(request)))
    field = problem.params.get("field")
    return status, {
        "error": {
            "code": problem.code,
            "message": message,
            "type": _TYPES.get(status, "invalid_request_error"),
            "param": field if isinstance(field, str) else None,
            "request_id": id_of(request.scope),
        }
    }


def problem_response(problem: ModelError, request: Request) -> Response:
    """A problem as a response."""
    status, body = problem_body(problem, request)
    headers: dict[str, str] = {}
    if status in (429, 503):
        headers["Retry-After"] = str(problem.params.get("seconds", RETRY_SECONDS))
    if isinstance(problem, NoAccess):
        headers["WWW-Authenticate"] = 'Basic realm="GenLab"'
    return JSONResponse(body, status, headers)


async def _on_problem(request: Request, error: Exception) -> Response:
    if isinstance(error, ModelError):
        return problem_response(error, request)
    log.error("request %s failed: %s", id_of(request.scope), type(error).__name__, exc_info=error)
    return problem_response(ModelError("failed", kind=type(error).__name__), request)


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fault = error.errors()[0]
    if fault["type"] == "json_invalid":
        return plain_response(request, 400, "bad_json")
    place = [part for part in fault["loc"] if part not in ("body", "query", "path")]
    if not place and fault["type"] in ("model_attributes_type", "dict_type"):
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        is_json = kind == "application/json" or kind.endswith("+json")
        return (
            plain_response(request, 422, "no_object")
            if is_json
            else plain_response(request, 415, "no_json")
        )
    if not place and fault["type"] == "missing":
        return plain_response(request, 422, "no_object")
    return problem_response(invalid_input({**fault, "loc": tuple(place)}), request)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = plain_response(request, error.status_code, _OTHERS.get(error.status_code, "failed"))
    response.headers.update(error.headers or {})
    return response


def plain_response(request: Request, status: int, code: str) -> JSONResponse:
    """A problem of HTTP itself as a response; the code is that of a sentence in errors.toml."""
    _, body = problem_body(ModelError(code, kind=HTTPStatus(status).phrase), request)
    body["error"]["type"] = _TYPES.get(status, "invalid_request_error")
    return JSONResponse(body, status)


# ---------------------------------------------------------------- jobs


class Service:
    """The models, and the jobs of programs that use them.

    Args:
        cache: the app's models.
        access: who may call; by default everybody, as with the page.
    """

    def __init__(self, cache: ModelCache, access: Access | None = None) -> None:
        self.cache = cache
        self._access = access or Access(cache.settings)
        self._jobs = 0
        self._threads: CapacityLimiter | None = None  # made in the event loop

    @property
    def settings(self) -> Settings:
        """The app's."""
        return self.cache.settings

    async def person(self, request: Request) -> str | None:
        """Who calls, as PERSON has it; None for nobody who may.

        Raises:
            ModelError: that cannot be told now.
        """
        address = address_of(request)
        authorization = request.headers.get("authorization", "")
        if not authorization:  # nothing to look up, so no thread is needed
            return self._access.person("", address)
        return await anyio.to_thread.run_sync(self._access.person, authorization, address)

    async def events(self, request: Request, spec: ModelSpec, job: Job) -> AsyncGenerator[Event]:
        """Run a job and yield its events; a caller that leaves ends it within half a second.

        Raises:
            TooMany: as many jobs as the host allows are under way or waiting.
            ModelError: it could not be done.
        """
        async with aclosing(self._parts(request, spec, job, 0)) as parts:
            async for part in parts:
                for event in part:
                    yield event

    async def collect(self, request: Request, spec: ModelSpec, job: Job) -> list[Event]:
        """All events of a job; see `events`."""
        async with aclosing(self._parts(request, spec, job, _TOGETHER)) as parts:
            return [event async for part in parts for event in part]

    async def _parts(
        self, request: Request, spec: ModelSpec, job: Job, seconds: float
    ) -> AsyncGenerator[list[Event]]:
        """The events within so many seconds of each other: to ask a thread for one takes a tenth of a short job."""
        if self._jobs >= self.settings.queue_size:
            raise TooMany(seconds=RETRY_SECONDS)
        self._threads = self._threads or CapacityLimiter(MAX_THREADS)
        self._jobs += 1
        # Whose GPU quota pays, on a Space with ZeroGPU.
        LocalContext.request.set(cast(Any, request))
        iterator = run(self.cache, spec, job)
        try:
            while True:
                part = await anyio.to_thread.run_sync(
                    _next, iterator, seconds, limiter=self._threads
                )
                if part:
                    yield part
                if not part or isinstance(part[-1], Finished) or await request.is_disconnected():
                    return
        finally:
            self._jobs -= 1
            iterator.close()  # sets the stop flag and returns at once


def _next(events: Generator[Event], seconds: float) -> list[Event]:
    """The next event and those within so many seconds of it, up to a sign of life; none after the last."""
    part, end = list[Event](), 0.0
    for event in events:
        part.append(event)
        end = end or time.monotonic() + seconds
        if isinstance(event, Working) or time.monotonic() >= end:
            break
    return part


def event_of(events: Sequence[Event], kind: type[T]) -> T:
    """The last event of a kind.

    Raises:
        Stopped: there is none: the caller left before the end.
    """
    match = next((event for event in reversed(events) if isinstance(event, kind)), None)
    if match is None:
        raise errors.Stopped
    return match


# ---------------------------------------------------------------- the app around the routes


def install(app: FastAPI, service: Service) -> None:
    """Give an app its error shape and its check of who calls."""
    for kind, handler in {
        ModelError: _on_problem,
        Exception: _on_problem,
        RequestValidationError: _on_validation,
        HTTPException: _on_http,
    }.items():
        app.add_exception_handler(kind, handler)
    app.add_middleware(_Gate, service=service)
    app.add_middleware(_Reports, cache=service.cache)
    make_schema = app.openapi

    def openapi() -> dict[str, Any]:
        schema = make_schema()
        schema["components"]["schemas"]["Error"] = _ERROR_SCHEMA
        schema["components"]["schemas"].pop("HTTPValidationError", None)
        return schema

    app.openapi = openapi


def path_of(scope: Scope) -> str:
    """A request's path without the prefix that a proxy put before it."""
    return scope.get("path", "").removeprefix(scope.get("root_path", "").rstrip("/"))


def id_of(scope: Scope) -> str:
    """A request's id, which it has from whoever looks first."""
    return scope.setdefault("state", {}).setdefault("id", uuid.uuid4().hex)


def address_of(request: Request) -> str:
    """Where a request comes from, as far as the server and its proxy say."""
    return request.client.host if request.client else ""


class _Reports:
    """Around each request: its answer bears its id, and the observer hears how it was answered."""

    def __init__(self, app: ASGIApp, cache: ModelCache) -> None:
        self._app, self._cache = app, cache

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        REQUEST_ID.set(id_of(scope))
        start, status, left = time.perf_counter(), CALLER_AWAY, False

        async def receive_and_note() -> Message:
            nonlocal left
            message = await receive()
            left = left or message["type"] == "http.disconnect"
            return message

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = CALLER_AWAY if left else message["status"]
                MutableHeaders(scope=message)["x-request-id"] = REQUEST_ID.get()
            await send(message)

        try:
            await self._app(scope, receive_and_note, send_and_note)
        except Exception:
            status = 500
            raise
        finally:
            path = getattr(scope.get("route"), "path", "other")  # never what the caller wrote
            seconds = time.perf_counter() - start
            method = scope["method"] if scope["method"] in _METHODS else "other"
            report = CallReport(REQUEST_ID.get(), method, path, status, seconds)
            self._cache.observer.on_call(report)


class _Gate:
    """Before each request: who calls."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if path_of(scope) != "/health":
            request = Request(scope)
            try:
                person = await self._service.person(request)
                if person is None:
                    raise NoAccess
            except ModelError as problem:
                return await problem_response(problem, request)(scope, receive, send)
            PERSON.set(person)
        await self._app(scope, receive, send)


# ---------------------------------------------------------------- streams


# What a route that streams on request answers: a whole JSON, or server-sent events.
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {}, "text/event-stream": {}}}
}


async def stream_response(
    request: Request,
    frames: AsyncGenerator[str],
    as_error: Callable[[Mapping[str, Any]], str],
) -> Response:
    """A response of server-sent events, begun with the first; a problem becomes its last one.

    Args:
        request: of the caller.
        frames: whole events, each with the blank line that ends it.
        as_error: makes the frame of an error's body.

    Raises:
        ModelError: the first thing is a problem that says when to come back: clients read that from a
            status alone.
    """
    try:
        first = await anext(frames)
    except ModelError as problem:
        status, body = problem_body(problem, request)
        if status == 429:
            raise
        first = as_error(body)

    async def rest() -> AsyncIterator[str]:
        try:
            async with aclosing(frames) as open_frames:
                yield first
                async for frame in open_frames:
                    yield frame
        except ModelError as problem:
            yield as_error(problem_body(problem, request)[1])

    return StreamingResponse(rest(), media_type="text/event-stream")
