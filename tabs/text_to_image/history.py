"""The pictures made in this browser, newest first. One click brings a picture's settings back.

They are kept in the browser alone (settings and a thumbnail), so they outlive a reload of the page, and
neither the server nor another visitor has them. Adding to them and showing them is done by the browser.
"""

import base64
import json
from typing import Any

import gradio as gr

from models.base import ImagesDone, ModelSpec
from models.requests import ImageRequest
from models.text_to_image.png import thumbnail
from tabs.context import Context
from tabs.text import both, t
from tabs.text_to_image import picking
from tabs.text_to_image.restore import Page

TAB = "text_to_image"
MOST = 24  # pictures: some 100 KB of the browser's storage
SIDE = 96  # pixels of a thumbnail

_ADD = f"""(made, kept) => {{
  const cards = made ? JSON.parse(made) : [];
  return {{ cards: [...cards, ...kept.cards.filter((one) => !cards.includes(one))].slice(0, {MOST}) }};
}}"""
_CLEAR = "() => ({ cards: [] })"


def build(context: Context, page: Page) -> tuple[gr.Textbox, gr.BrowserState]:
    """Lay it out; what a drawing adds is written into the first, for `bind`."""
    empty = f'<p class="quiet">{both(f"{TAB}.history.empty")}</p>'
    kept = gr.BrowserState({"cards": []}, storage_key="genlab.pictures", secret="genlab")
    made = gr.Textbox(visible=False)
    with gr.Accordion(t(f"{TAB}.history.title"), open=False, elem_id=f"{TAB}-history"):
        view = gr.HTML(empty, js_on_load=picking.ON_LOAD, elem_id=f"{TAB}-history-view")
        clear = gr.Button(t(f"{TAB}.history.clear"), size="sm", elem_id=f"{TAB}-history-clear")
    show = f"""(kept) => kept.cards.length
      ? '<div class="picks">' + kept.cards.join("") + "</div>" : {json.dumps(empty)}"""
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    kept.change(None, kept, view, js=show, **quiet)
    clear.click(None, None, kept, js=_CLEAR, **quiet)
    picking.bind(context, view, page)
    return made, kept


def bind(event: Any, made: gr.Textbox, kept: gr.BrowserState) -> None:
    """Add what a drawing has made when it has ended well."""
    event.success(None, [made, kept], kept, js=_ADD, api_visibility="private")


def cards(spec: ModelSpec, ask: ImageRequest, done: ImagesDone) -> str:
    """The pictures of a result for the history, as JSON; blanked ones are left out."""
    made: list[str] = []
    for k, image in enumerate(done.images):
        if done.flagged and done.flagged[k]:
            continue
        dials: dict[str, Any] = {
            "guidance_scale": ask.guidance_scale,
            "num_inference_steps": ask.num_inference_steps,
        }
        own = {**dials, "seed": done.seeds[k]} if done.seeds else {}
        data = base64.b64encode(thumbnail(image, SIDE)).decode()
        small = f"data:image/jpeg;base64,{data}"
        made.append(picking.button(picking.settings(spec, ask, **own), ask.prompt, small))
    return json.dumps(made, ensure_ascii=False)
