"""Two stops of one job at once (a double click, a stop and a page that is left): both are answered."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from gradio.routes import App


class _Running(dict[str, Any]):
    """Gradio's generators under way, by the event that each belongs to.

    Gradio 6.31 (`cancel_event` in routes.py, `Queue.reset_iterators`) looks whether an event is in it,
    waits for a lock, closes the generator and deletes it: whoever waited second finds it gone and
    fails with a KeyError, a 500 for the page and a trace in the log.
    """

    def __delitem__(self, event: str) -> None:
        self.pop(event, None)


@asynccontextmanager
async def lifespan(app: App) -> AsyncGenerator[None]:
    """What the app does from its start to its end: take its generators out of it without fault."""
    app.iterators = _Running(app.iterators)
    yield
