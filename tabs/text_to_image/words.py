"""The words that the small model knows, to click into the prompt."""

import html
import json
from typing import Any

import gradio as gr

from tabs.shared.strings import LANGUAGES, STRINGS, both, spans, t
from tabs.text_to_image import picking

TAB = "text_to_image"
GROUPS = ("shapes", "colours", "places", "times", "things")


def of(language: str, group: str) -> list[str]:
    """The words of a group; in the table they are separated by commas."""
    return [word.strip() for word in STRINGS[language][f"{TAB}.words.{group}"].split(",")]


def build(prompt: gr.Textbox, visible: bool) -> gr.Accordion:
    """Lay them out; a click adds a word to the prompt."""
    with gr.Accordion(
        t(f"{TAB}.words.title"), open=False, visible=visible, elem_id=f"{TAB}-words"
    ) as box:
        lists = {
            language: "".join(f"<p>{_chips(language, group)}</p>" for group in GROUPS)
            for language in LANGUAGES
        }
        info = f'<p class="quiet">{both(f"{TAB}.words.info")}</p>'
        view = gr.HTML(info + spans(lists), js_on_load=picking.ON_LOAD, elem_id=f"{TAB}-word-list")

    def add(text: str, event: gr.EventData) -> str:
        return f"{text.rstrip()} {event._data['word']}".strip()

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    view.select(add, prompt, prompt, **quiet)
    return box


def _chips(language: str, group: str) -> str:
    return " ".join(
        f'<button type="button" class="word" data-pick="{_pick(word)}">{html.escape(word)}</button>'
        for word in of(language, group)
    )


def _pick(word: str) -> str:
    return html.escape(json.dumps({"word": word}, ensure_ascii=False), quote=True)
