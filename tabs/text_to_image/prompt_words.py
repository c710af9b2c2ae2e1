"""Words for the prompt: styles that add some, and those that the small model knows, to click on."""

import html
import json
from typing import Any

import gradio as gr

from models.contract import ModelSpec
from models.text.language import language_of
from tabs.shared.strings import LANGUAGES, STRINGS, both, spans, t
from tabs.text_to_image.picture_html import SELECT_ON_CLICK

TAB = "text_to_image"
NO_STYLE = ""
# In words that the small model knows. Their names are in tabs/text.
STARTER_STYLES = {
    "sunset": {"en": "{prompt} at sunset", "ko": "해 질 녘 {prompt}"},
    "night": {"en": "{prompt} at night", "ko": "밤의 {prompt}"},
    "dawn": {"en": "{prompt} at dawn", "ko": "새벽의 {prompt}"},
}
# For all other models.
STYLES = {
    "flat": {"en": "{prompt}, flat vector illustration, clean shapes, simple colours"},
    "watercolour": {"en": "{prompt}, watercolour painting, soft washes, paper texture"},
    "oil": {"en": "{prompt}, oil painting, visible brush strokes, rich colours"},
    "ink": {"en": "{prompt}, ink drawing, fine lines, black and white"},
    "photo": {"en": "{prompt}, photograph, natural light, 50 mm lens"},
    "pixel": {"en": "{prompt}, pixel art, 16-bit, limited palette"},
}
GROUPS = ("shapes", "colours", "places", "times", "things")


def style_choices(spec: ModelSpec) -> list[tuple[Any, str]]:
    """(label, name) of the styles for a model; the first is none."""
    names = STARTER_STYLES if spec.starter else STYLES
    return [
        (t(f"{TAB}.styles.none"), NO_STYLE),
        *((t(f"{TAB}.styles.{name}"), name) for name in names),
    ]


def add_style(prompt: str, style: str) -> str:
    """The prompt with a style's words, in the prompt's language if the style has it, else in English."""
    words = (STARTER_STYLES | STYLES).get(style)
    if words is None or not prompt.strip():
        return prompt
    language = language_of(prompt)
    return words.get(language, words["en"]).replace("{prompt}", prompt.strip())


def known_words(language: str, group: str) -> list[str]:
    """The words of a group; in tabs/text they are separated by commas."""
    return [word.strip() for word in STRINGS[language][f"{TAB}.words.{group}"].split(",")]


def build(prompt: gr.Textbox, visible: bool) -> gr.Accordion:
    """Lay out the words that the small model knows; a click adds one to the prompt."""
    with gr.Accordion(
        t(f"{TAB}.words.title"), open=False, visible=visible, elem_id=f"{TAB}-words"
    ) as fold:
        lists = {
            language: "".join(f"<p>{_word_buttons(language, group)}</p>" for group in GROUPS)
            for language in LANGUAGES
        }
        info = f'<p class="quiet">{both(f"{TAB}.words.info")}</p>'
        view = gr.HTML(info + spans(lists), js_on_load=SELECT_ON_CLICK, elem_id=f"{TAB}-word-list")

    def add(text: str, event: gr.EventData) -> str:
        return f"{text.rstrip()} {event._data['word']}".strip()

    view.select(add, prompt, prompt, api_visibility="private", show_progress="hidden")
    return fold


def _word_buttons(language: str, group: str) -> str:
    return " ".join(
        f'<button type="button" class="word" data-pick="{_event_data(word)}">'
        f"{html.escape(word)}</button>"
        for word in known_words(language, group)
    )


def _event_data(word: str) -> str:
    return html.escape(json.dumps({"word": word}, ensure_ascii=False), quote=True)
