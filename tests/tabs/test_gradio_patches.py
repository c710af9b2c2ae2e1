"""What Gradio is patched for, on Gradio's own classes. Its files and stops have tests of their own."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio.blocks import BlocksConfig
from gradio.routes import App

from tabs.shared import gradio_patches

JOIN, STREAM = "gradio_api/queue/join", "gradio_api/queue/data"


def count_up(so_far: list[str], word: str) -> tuple[Any, list[str]]:
    words = [*so_far, word]
    return gr.update(value=" ".join(words), label=f"{len(words)} words"), words


@pytest.fixture
def page() -> Iterator[tuple[App, str, list[Any]]]:
    """A running app with a state and a box that changes, its address, and both."""
    with gradio_patches.PageBlocks(analytics_enabled=False) as blocks:
        state, box, button = gr.State([]), gr.Textbox("as drawn"), gr.Button()
        button.click(count_up, [state, box], [box, state])
    app, url, _ = blocks.launch(
        prevent_thread_lock=True, quiet=True, app_kwargs={"lifespan": gradio_patches.lifespan}
    )
    yield app, url, [state, box]
    blocks.close()


def press(url: str, session: str, word: str) -> dict[str, Any]:
    """What the box is to become."""
    with httpx.Client(base_url=url, timeout=20) as http:
        body = {"data": [None, word], "fn_index": 0, "session_hash": session}
        http.post(JOIN, json=body).raise_for_status()
        with http.stream("GET", STREAM, params={"session_hash": session}) as stream:
            events = (json.loads(line[5:]) for line in stream.iter_lines() if line)
            end = next(event for event in events if event["msg"] == "process_completed")
        assert end["success"], end
        return end["output"]["data"][0]


def test_sessions_keep_states_and_changed_components_but_nothing_that_is_shown(page, monkeypatch):
    app, url, (state, box) = page
    descriptions = []
    describe = BlocksConfig.config_for_block
    monkeypatch.setattr(
        BlocksConfig,
        "config_for_block",
        staticmethod(lambda *args: descriptions.append(args) or describe(*args)),
    )
    assert press(url, "ann", "secret")["value"] == "secret"
    second = press(url, "ann", "word")
    assert (second["value"], second["label"]) == ("secret word", "2 words")
    assert press(url, "ben", "other")["label"] == "1 words"
    ann, ben = app.state_holder["ann"], app.state_holder["ben"]
    assert type(ann) is gradio_patches.Session
    assert (ann[state._id], ben[state._id]) == (["secret", "word"], ["other"])
    assert (ann[box._id].label, ben[box._id].label) == ("2 words", "1 words")
    assert [one for one, *_ in ann.state_components] == [state]
    assert not list(ann.components)
    assert not descriptions, "Gradio described the page's components for a session"


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "All places are taken: come back in 5 seconds."),
        ("ko", "지금은 자리가 모두 찼어요. 5초 뒤에 다시 요청해 주세요."),
    ],
)
def test_a_full_queue_says_so_in_the_pages_language_and_when_to_come_back(language, words):
    """The page shows the detail of a refusal as a message, of every status but 503."""
    go, begin = threading.Event(), threading.Event()

    def hold() -> None:
        begin.set()
        assert go.wait(20)

    with gradio_patches.PageBlocks(analytics_enabled=False) as blocks:
        blocks.queue(max_size=1, default_concurrency_limit=1)
        gr.api(hold, api_name="hold")
    _, url, _ = blocks.launch(
        prevent_thread_lock=True, quiet=True, app_kwargs={"lifespan": gradio_patches.lifespan}
    )
    try:
        with httpx.Client(base_url=url, timeout=20, params={"lang": language}) as http:

            def join(session: str) -> httpx.Response:
                return http.post(JOIN, json={"data": [], "fn_index": 0, "session_hash": session})

            assert join("first").status_code == 200
            assert begin.wait(10)
            assert join("waits").status_code == 200
            refusal = join("too late")
            assert (refusal.status_code, refusal.json()) == (429, {"detail": words})
            assert refusal.headers["Retry-After"] == "5"
            go.set()
            with http.stream("GET", STREAM, params={"session_hash": "waits"}) as stream:
                assert any('"process_completed"' in line for line in stream.iter_lines())
    finally:
        go.set()
        blocks.close()
