"""Which words did it: the folded part under one text's result."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from models.contract import Finished
from models.select import select
from models.sentiment.events import Attribution, Progress
from models.sentiment.requests import AttributionRequest
from models.tasks import SENTIMENT
from tabs.sentiment import show
from tabs.shared.context import Context
from tabs.shared.events import follow, line, python, result_line, show_errors, waiting_line
from tabs.shared.strings import both, t
from tabs.shared.widgets import bind_stop, stop_button

TAB = "sentiment-why"
METHODS = ("gradients", "leave_out")


@dataclass(frozen=True, slots=True)
class Reasons:
    """The part's components."""

    method: gr.Radio
    label: gr.Dropdown
    start: gr.Button
    stop: gr.Button
    result: gr.HTML
    status: gr.HTML


def build() -> Reasons:
    """Lay the part out."""
    with gr.Accordion(t("sentiment.why.title"), open=False, elem_id=TAB):
        with gr.Row():
            method = gr.Radio(
                [(t(f"sentiment.why.{name}"), name) for name in METHODS],
                value=METHODS[0],
                label=t("sentiment.why.method"),
                elem_id=f"{TAB}-method",
            )
            label = gr.Dropdown(
                [(t("sentiment.why.predicted"), "")],
                value="",
                label=t("sentiment.why.label"),
                elem_id=f"{TAB}-label",
            )
        with gr.Row():
            start = gr.Button(t("sentiment.why.start"), elem_id=f"{TAB}-start")
            stop = stop_button(TAB)
        result = gr.HTML(elem_id=f"{TAB}-result")
        status = gr.HTML(elem_id=f"{TAB}-status")
    return Reasons(method, label, start, stop, result, status)


def bind(
    context: Context, parts: Reasons, text: gr.Textbox, model: gr.Dropdown, code: gr.Code
) -> None:
    """Let the part explain the text, and put the Python for it into the recipe."""

    def explain(
        text: str, model: str, label: str, method: str, request: gr.Request
    ) -> Generator[Any]:
        yield from _explain(context, text, model, label, method, request)

    job = parts.start.click(
        explain,
        [text, model, parts.label, parts.method],
        [parts.result, parts.status, code],
        api_visibility="private",
        show_progress="hidden",
    )
    bind_stop(parts.stop, [job], parts.status, line(both("page.stopped")))


def _explain(
    context: Context, text: str, model: str, label: str, method: str, request: gr.Request
) -> Generator[tuple[Any, Any, Any]]:
    """Yield (marked words, status line, recipe) as the job goes on."""
    with show_errors(request):
        ask = AttributionRequest.of(text=text, label=label or "", method=method)
        spec = select(SENTIMENT, model, context.settings, text)
    shown = ""
    for event in follow(context, spec, ask, request):
        if isinstance(event, Finished):
            said = show.language_note(spec, text)
            status = result_line(event, *([said] if said else []))
            yield shown, status, python(spec, ask, event)
        elif isinstance(event, Progress):
            wait = both("sentiment.why.progress", done=event.done, total=event.total)
            yield gr.skip(), line(wait), gr.skip()
        else:
            shown = show.words(ask.text, event) if isinstance(event, Attribution) else shown
            yield gr.skip(), waiting_line(event) or gr.skip(), gr.skip()


def classes(names: list[str]) -> Any:
    """The choice of a class with a result's classes in it, the predicted one chosen."""
    named = [(t(key) if (key := show.class_key(name)) else name, name) for name in names]
    return gr.Dropdown([(t("sentiment.why.predicted"), ""), *named], value="")
