"""HTTP beside the page, on the same server and port.

rest.py     GET /health, and /api/v1: a resource a task
openai.py   /v1: OpenAI's API, for its official client and others
metrics.py  GET /metrics
reference.py  GET /docs
http.py     what rest.py and openai.py share: errors as JSON, jobs that end when the caller leaves
guard.py    before each request, the page's too
privacy.py  keeps secrets and people's words out of every log
"""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from api import http, openai, reference, rest
from api.guard import Guard
from api.metrics import MetricsApp
from models.access import Access
from models.runtime.cache import ModelCache

_DESCRIPTION = """\
GenLab's models for programs. The same models, limits and queue as the page's; a result names the model that gave it.

`/api/v1` has one resource for each task. `/v1` speaks OpenAI's API: point a client's `base_url` here.
`model` is `"auto"` (what is here, free and reads the text's language), an id of `GET /api/v1/models`, or a Hugging Face id.
`seed: -1` draws a seed and gives it back. Errors have one shape, in English or Korean by `Accept-Language`.
"""
_PATHS = ("/health", "/docs", "/openapi.json", "/api/v1", "/v1")


class _Branch(BaseRoute):
    """Hands some paths of Gradio's app to another app, with that app's own errors and middleware."""

    def __init__(self, app: ASGIApp, paths: Sequence[str]) -> None:
        self._app, self._paths = app, paths

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path = http.path_of(scope)
        ours = any(path == one or path.startswith(one + "/") for one in self._paths)
        return (Match.FULL if ours and scope["type"] == "http" else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.pop("app_root_path", None)
        await self._app(scope, receive, send)


def build(cache: ModelCache, access: Access | None = None) -> FastAPI:
    """The app of all paths that are not the page's.

    Args:
        cache: the app's models.
        access: who may call; by default everybody.
    """
    app = FastAPI(
        title="GenLab",
        description=_DESCRIPTION,
        docs_url=None,  # FastAPI's own page loads its program from elsewhere
        redoc_url=None,
        version="1",
        openapi_tags=[
            {"name": "tasks", "description": "One resource for each task."},
            {"name": "models", "description": "What there is, and what is in memory."},
            {"name": "openai", "description": "OpenAI's API, for clients that speak it."},
        ],
    )
    service = http.Service(cache, access)
    http.install(app, service)
    app.include_router(rest.router(service))
    app.include_router(openai.router(service))

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        root = cache.settings.root_path  # a whole address, or a path that base_url has
        base = root if "://" in root else str(request.base_url)
        return HTMLResponse(reference.page(app.openapi(), base.rstrip("/")))

    return app


def app_options(cache: ModelCache, access: Access | None = None) -> dict[str, Any]:
    """What Gradio's app is made with, so that it serves the API too; arguments as of `build`."""
    metrics = MetricsApp(cache, has_login=access is not None and access.has_login)
    return {
        "routes": [_Branch(build(cache, access), _PATHS), _Branch(metrics, ("/metrics",))],
        "middleware": [Middleware(Guard, settings=cache.settings)],
    }
