"""The pictures made in this browser, newest first. One click brings a picture's settings back.

They are kept in the browser alone (settings, a thumbnail, the picture it began from), so they outlive a reload of the page, and
neither the server nor another visitor has them. Adding to them and showing them is done by the browser.
"""

import base64
import json
from typing import Any

import gradio as gr

from models.contract import ModelSpec
from models.text_to_image import picture
from models.text_to_image.events import ImagesDone
from models.text_to_image.png import thumbnail
from models.text_to_image.requests import ImageRequest
from tabs.shared.context import Context
from tabs.shared.strings import both, t
from tabs.text_to_image import picking
from tabs.text_to_image.restore import Page

TAB = "text_to_image"
MOST = 24  # pictures: some 100 KB of the browser's storage; those that they began from take more
ROOM = 2_000_000  # characters in all: a browser keeps some 5,000,000 of a page
SIDE = 96  # pixels of a thumbnail

_ADD = f"""(made, kept) => {{
  const cards = made ? JSON.parse(made) : [];
  const all = [...cards, ...kept.cards.filter((one) => !cards.includes(one))].slice(0, {MOST});
  let room = {ROOM};
  return {{ cards: all.filter((one) => (room -= one.length) >= 0) }};
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
    made, start = list[str](), _start(ask)
    for k, image in enumerate(done.images):
        if done.flagged and done.flagged[k]:
            continue
        dials: dict[str, Any] = {
            "guidance_scale": ask.guidance_scale,
            "num_inference_steps": ask.num_inference_steps,
        }
        own = {**dials, "seed": done.seeds[k]} if done.seeds else {}
        small = _url("image/jpeg", thumbnail(image, SIDE))
        made.append(picking.button(picking.settings(spec, ask, **own) | start, ask.prompt, small))
    return json.dumps(made, ensure_ascii=False)


def _start(ask: ImageRequest) -> dict[str, Any]:
    """What restores the start from a picture, or that there was none."""
    if ask.image is None or not (ask.width and ask.height):
        return {"image": ""}
    return {
        "image": _url(*picture.kept(ask.image, ask.width, ask.height)),
        "strength": ask.strength,
    }


def _url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
