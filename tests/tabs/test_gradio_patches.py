"""What Gradio is patched for, on Gradio's own classes. Its files and stops have tests of their own."""

import json
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
