"""Words for the prompt: styles that add some, and those that the small model knows, to click on."""

import html
import json
import re
from functools import cache
from typing import Any

import gradio as gr

from models.contract import ModelSpec
from models.errors import NotFound
from models.select import select
from models.tasks import TEXT_TO_IMAGE
from models.text.language import language_of
from models.text_to_image.requests import MAX_PROMPT
from models.text_to_image.vocabulary import Vocabulary
from models.weights.sources import STARTERS
from tabs.shared.context import Context
from tabs.shared.strings import LANGUAGES, both, spans, t
from tabs.text_to_image.picture_html import SELECT_ON_CLICK

TAB = "text_to_image"
NO_STYLE = ""
# In words that the small model knows. Their names are in tabs/text.
STARTER_STYLES = {
    "sunset": {"en": "{prompt} at sunset", "ko": "해 질 녘의 {prompt}"},
    "night": {"en": "{prompt} at night", "ko": "밤의 {prompt}"},
    "rain": {"en": "{prompt} in the rain", "ko": "비 오는 날의 {prompt}"},
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
MOST_UNKNOWN = 5  # words that are named with their offers


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


def vocabulary(spec: ModelSpec) -> Vocabulary | None:
    """What a model that ships with GenLab knows; None for all others, which know about everything."""
    return _read_vocabulary(spec.name) if spec.scheme == "starter" else None


@cache
def _read_vocabulary(starter: str) -> Vocabulary | None:
    return Vocabulary.read(STARTERS / starter)


def word_list(spec: ModelSpec) -> str:
    """The words that a small model knows, in both languages, to click on."""
    words = vocabulary(spec)
    if words is None:
        return ""
    lists = {
        language: "".join(
            f"<p>{' '.join(_button(word, {'word': word}) for word in group)}</p>"
            for group in words.groups(language)
        )
        for language in LANGUAGES
    }
    title = f'<p class="lens-title">{both(f"{TAB}.words.title")}</p>'
    return f'{title}<p class="quiet">{both(f"{TAB}.words.info")}</p>{spans(lists)}'


def build(spec: ModelSpec) -> gr.HTML:
    """The words that the small model knows, to be rendered where they belong."""
    return gr.HTML(
        word_list(spec),
        js_on_load=SELECT_ON_CLICK,
        visible=spec.starter,
        padding=False,
        render=False,
        elem_id=f"{TAB}-word-list",
    )


def bind(view: gr.HTML, prompt: gr.Textbox) -> None:
    """Let a click on a word add it to the prompt."""

    def add(text: str, event: gr.EventData) -> str:
        return f"{text.rstrip()} {event._data['word']}".strip()

    view.select(add, prompt, prompt, api_visibility="private", show_progress="hidden")


# ---------------------------------------------------------------- words that it does not know


def unknown_words(spec: ModelSpec, prompt: str, is_whole: bool = True) -> str:
    """What a small model does not know of a prompt, each word with the nearest that it knows; or "".

    Args:
        spec: the model.
        prompt: as typed so far.
        is_whole: whether the last word is whole; while somebody types it, it is not judged.
    """
    words = vocabulary(spec)
    if words is None:
        return ""
    if not is_whole and not re.search(r"[\s.,!?]$", prompt):
        prompt = prompt.rpartition(" ")[0]
    lines = [_offers(words, word) for word in words.unknown(prompt)[:MOST_UNKNOWN]]
    if not lines:
        return ""
    if is_whole and words.says_something(prompt):
        reading = both(f"{TAB}.reading", reading=words.reading(prompt))
        lines.append(f"<p>{reading}</p>")
    return f'<div class="note" role="status"><p>{both(f"{TAB}.words.unknown")}</p>{"".join(lines)}</div>'


def _offers(words: Vocabulary, word: str) -> str:
    near = words.nearest(word)
    groups = words.groups(language_of(word))
    offers = near or (groups[0][:3] if groups else ())
    buttons = " ".join(_button(offer, {"word": offer, "instead": word}) for offer in offers)
    none = "" if near else both(f"{TAB}.words.none_near")
    return f"<p><b>{html.escape(word)}</b> → {none} {buttons}</p>"


def bind_unknown_words(
    context: Context, prompt: gr.Textbox, model: gr.Dropdown, note: gr.HTML
) -> None:
    """Say while a prompt is typed what the model does not know of it; a click on an offer takes it.

    These handlers only look words up, so they need not wait in the queue.
    """
    quiet: dict[str, Any] = {
        "api_visibility": "private",
        "show_progress": "hidden",
        "queue": False,
        "trigger_mode": "always_last",
    }

    def check(text: str, model_id: str, is_whole: bool = False) -> str:
        if len(text) > MAX_PROMPT:  # it cannot be drawn, and to read it took seconds
            return ""
        try:
            return unknown_words(
                select(TEXT_TO_IMAGE, model_id, context.settings, text), text, is_whole
            )
        except NotFound:
            return ""

    def take(text: str, model_id: str, event: gr.EventData) -> tuple[str, str]:
        spec = select(TEXT_TO_IMAGE, model_id, context.settings, text)
        words = vocabulary(spec)
        if words is not None:
            text = words.put_in_place(text, event._data["instead"], event._data["word"])
        return text, unknown_words(spec, text)

    def check_all(text: str, model_id: str) -> str:
        return check(text, model_id, is_whole=True)

    # Of a text that is pasted by mistake no more is sent than tells that it is too long.
    cut = f"(text, model) => [text.slice(0, {MAX_PROMPT + 1}), model]"
    prompt.input(check, [prompt, model], note, js=cut, **quiet)
    prompt.submit(check_all, [prompt, model], note, js=cut, **quiet)
    model.change(check_all, [prompt, model], note, js=cut, **quiet)
    note.select(take, [prompt, model], [prompt, note], **quiet)


def _button(word: str, data: dict[str, str]) -> str:
    content = html.escape(json.dumps(data, ensure_ascii=False), quote=True)
    return f'<button type="button" class="word" data-pick="{content}">{html.escape(word)}</button>'
