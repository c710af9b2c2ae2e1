"""Results that bring their settings back: a click on one, and the dials hold what it was made with."""

import html
import json
from collections.abc import Mapping
from typing import Any

import gradio as gr

from models.contract import ModelSpec
from models.text_to_image.requests import ImageGridRequest, ImageRequest
from tabs.shared.context import Context
from tabs.text_to_image.restore import TO_THE_PROMPT, Page, restored

# In an HTML component: a click on an element with data-pick is the event "select" with that as its data.
ON_LOAD = """element.addEventListener('click', (event) => {
  const picked = event.target.closest('[data-pick]');
  if (picked) trigger('select', JSON.parse(picked.dataset.pick));
});"""
_NAMES = ("prompt", "negative_prompt", "width", "height", "scheduler")


def settings(spec: ModelSpec, ask: ImageRequest | ImageGridRequest, **dials: Any) -> dict[str, Any]:
    """What a picture was made with, by ImageRequest's names, and "model"; `dials` are its own."""
    shared = {name: getattr(ask, name) for name in _NAMES}
    return {"model": spec.id, **{k: v for k, v in (shared | dials).items() if v not in (None, "")}}


def button(found: Mapping[str, Any], name: str, picture: str, words: str = "") -> str:
    """A picture to press, as HTML.

    Args:
        found: its settings.
        name: what it is, as plain text.
        picture: address of the picture.
        words: HTML below it.
    """
    pick = html.escape(json.dumps(found, ensure_ascii=False), quote=True)
    name = html.escape(name, quote=True)
    return (
        f'<button type="button" class="pick" data-pick="{pick}" title="{name}" aria-label="{name}">'
        f'<img alt="" src="{html.escape(picture, quote=True)}">{words}</button>'
    )


def bind(context: Context, view: gr.HTML, page: Page) -> None:
    """Let a click on one of the view's pictures restore its settings."""

    def pick(model: str, event: gr.EventData) -> tuple[Any, ...]:
        return restored(context, model, event._data)

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    picked = view.select(pick, page.model, page.outputs, **private)
    picked.success(None, js=TO_THE_PROMPT)
