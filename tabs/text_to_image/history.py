"""The pictures made in this browser, newest first. A click brings a picture's settings back.

They are stored in the browser alone (settings, a thumbnail, the start picture), so they outlive a reload
of the page, and neither the server nor another visitor has them. The browser adds to them and shows them.
"""

import json
from typing import Any

import gradio as gr

from models.contract import ModelSpec
from models.text_to_image.events import ImagesDone
from models.text_to_image.image_files import compact_start_picture, thumbnail
from models.text_to_image.requests import ImageRequest
from tabs.shared.context import Context
from tabs.shared.strings import both, t
from tabs.text_to_image.picture_html import SELECT_ON_CLICK, data_url, settings_button
from tabs.text_to_image.restore import RestoreTargets, bind_buttons, settings_of

TAB = "text_to_image"
CARDS_LIMIT = 24  # some 100 KB of the browser's storage; start pictures take more
STORAGE_LIMIT = 2_000_000  # characters in all: a browser stores some 5,000,000 of a page
SIDE = 96  # pixels of a thumbnail

_ADD = f"""(added, history) => {{
  const cards = added ? JSON.parse(added) : [];
  const all = [...cards, ...history.cards.filter((one) => !cards.includes(one))].slice(0, {CARDS_LIMIT});
  let room = {STORAGE_LIMIT};
  return {{ cards: all.filter((one) => (room -= one.length) >= 0) }};
}}"""
_CLEAR = "() => ({ cards: [] })"


def build(context: Context, targets: RestoreTargets) -> tuple[gr.Textbox, gr.BrowserState]:
    """Lay the history out.

    Returns:
        The new cards of a drawing, hidden, and the history; both for `bind`.
    """
    empty = f'<p class="quiet">{both(f"{TAB}.history.empty")}</p>'
    history = gr.BrowserState({"cards": []}, storage_key="genlab.pictures", secret="genlab")
    new_cards = gr.Textbox(visible=False)
    with gr.Accordion(t(f"{TAB}.history.title"), open=False, elem_id=f"{TAB}-history"):
        view = gr.HTML(empty, js_on_load=SELECT_ON_CLICK, elem_id=f"{TAB}-history-view")
        clear = gr.Button(t(f"{TAB}.history.clear"), size="sm", elem_id=f"{TAB}-history-clear")
    show = f"""(history) => history.cards.length
      ? '<div class="picks">' + history.cards.join("") + "</div>" : {json.dumps(empty)}"""
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    history.change(None, history, view, js=show, **quiet)
    clear.click(None, None, history, js=_CLEAR, **quiet)
    bind_buttons(context, view, targets)
    return new_cards, history


def bind(event: Any, new_cards: gr.Textbox, history: gr.BrowserState) -> None:
    """Add the new cards to the history after a drawing that succeeded."""
    event.success(None, [new_cards, history], history, js=_ADD, api_visibility="private")


def cards(spec: ModelSpec, request: ImageRequest, images: ImagesDone) -> str:
    """The pictures of a result for the history, as JSON; without those that the checker blanked."""
    start = _start_settings(request)
    buttons: list[str] = []
    for k, image in enumerate(images.images):
        if images.is_flagged(k):
            continue
        own: dict[str, Any] = {}
        if images.seeds:
            own = {
                "guidance_scale": request.guidance_scale,
                "num_inference_steps": request.num_inference_steps,
                "seed": images.seeds[k],
            }
        settings = settings_of(spec, request, **own) | start
        buttons.append(settings_button(settings, request.prompt, data_url(thumbnail(image, SIDE))))
    return json.dumps(buttons, ensure_ascii=False)


def _start_settings(request: ImageRequest) -> dict[str, Any]:
    """The start picture and its strength; image "" if there was none."""
    if request.image is None or not (request.width and request.height):
        return {"image": ""}
    kind, data = compact_start_picture(request.image, request.width, request.height)
    return {"image": data_url(data, kind), "strength": request.strength}
