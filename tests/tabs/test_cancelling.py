"""Jobs that are stopped twice at once, as by a double click or by a stop and a page that is left."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import gradio as gr
import httpx
import pytest
from gradio.routes import App

from tabs.shared import gradio_patches


class Busy:
    """A generator that takes its time to close, as one does in the middle of a step."""

    closings = 0

    async def aclose(self) -> None:
        """Close it."""
        await asyncio.sleep(0.3)
        self.closings += 1


@pytest.fixture
def page(capfd: pytest.CaptureFixture[str]) -> Iterator[tuple[App, str]]:
    """A running app and its address."""
    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.api(lambda: None, api_name="nothing")
    app, url, _ = blocks.launch(
        prevent_thread_lock=True, quiet=True, app_kwargs={"lifespan": gradio_patches.lifespan}
    )
    yield app, url
    blocks.close()
    assert "Traceback" not in "".join(capfd.readouterr())


def test_each_of_two_stops_at_once_is_answered_and_the_job_is_closed_once(page):
    app, url = page
    job = Busy()
    app.iterators["event"] = job
    stop = {"session_hash": "visitor", "fn_index": 0, "event_id": "event"}
    with httpx.Client(timeout=20) as http, ThreadPoolExecutor(2) as visitors:
        answers = visitors.map(lambda _: http.post(f"{url}gradio_api/cancel", json=stop), range(2))
        assert [answer.status_code for answer in answers] == [200, 200]
    assert (job.closings, list(app.iterators)) == (1, [])
