"""Plain HTTP beside the page, on the same server: GET /health."""

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from models.runtime.cache import ModelCache


def routes(cache: ModelCache) -> list[BaseRoute]:
    """Routes to be put before Gradio's own.

    Args:
        cache: whose models the health report counts: loaded, requests at work, requests waiting.
    """

    async def health(_: Request) -> JSONResponse:
        models = cache.status()
        active = sum(model.active for model in models)
        waiting = sum(model.waiting for model in models)
        loaded = sum(model.loaded for model in models)
        report = {"status": "ok", "loaded": loaded, "active": active, "waiting": waiting}
        return JSONResponse(report)

    return [Route("/health", health)]
