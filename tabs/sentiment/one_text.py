"""One text: the probability of every class, and what each word adds to it."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from models.contract import Finished
from models.select import select
from models.sentiment.events import Attribution, AttributionProgress, Scores
from models.sentiment.requests import AttributionRequest, SentimentRequest
from models.tasks import SENTIMENT, recipe
from tabs.sentiment import scores_html
from tabs.shared.context import Context
from tabs.shared.events import follow, line, result_line, show_errors, waiting_line
from tabs.shared.strings import both, t
from tabs.shared.widgets import (
    bind_stop,
    examples_box,
    how_it_works,
    model_picker,
    recipe_box,
    result_box,
    stop_button,
)

WHY = "sentiment-why"
METHODS = ("gradients", "leave_out")
EXAMPLES = [
    ["I loved every minute of this film."],
    ["A dull, lifeless waste of two hours."],
    ["The acting is fine, but the story never comes alive."],
    ["정말 재미있고 감동적인 영화였어요."],
    ["시간이 아까운 최악의 영화."],
    ["배우들 연기는 좋은데 이야기가 너무 지루해요."],
]


def build(context: Context) -> None:
    """Lay the part out and bind it."""
    with gr.Row():
        with gr.Column():
            text = gr.Textbox(
                label=t("sentiment.text"),
                placeholder=t("sentiment.placeholder"),
                lines=4,
                elem_id="sentiment-text",
            )
            with gr.Row():
                start = gr.Button(
                    t("sentiment.start"), variant="primary", elem_id="sentiment-start"
                )
                stop = stop_button("sentiment")
            examples_box("sentiment", EXAMPLES, [text], "sentiment-start")
            model = model_picker(context, SENTIMENT, "sentiment-model")
        with gr.Column():
            result, status = result_box("sentiment", both("sentiment.empty"))
            why = _build_attribution()
            code = recipe_box("sentiment")
            how_it_works("sentiment")

    def analyze(text: str, model: str, request: gr.Request) -> Generator[Any]:
        yield from _analyze(context, text, model, request)

    _bind_attribution(context, why, text, model, code)
    outputs = [result, status, code, why.label]
    event = gr.on(
        [start.click, text.submit],
        analyze,
        [text, model],
        outputs,
        api_visibility="private",
        show_progress="hidden",
    )
    bind_stop(stop, [event], status, line(both("page.stopped")))


def _analyze(
    context: Context, text: str, model: str, request: gr.Request
) -> Generator[tuple[Any, Any, Any, Any]]:
    """Yield (bars, status line, recipe, classes to explain) during the job."""
    with show_errors(request):
        analysis = SentimentRequest.of(text=text)
        spec = select(SENTIMENT, model, context.settings, text)
    scores = Scores(())
    for event in follow(context, spec, analysis, request):
        if isinstance(event, Finished):
            result = scores_html.class_bars(scores)
            result += scores_html.pieces_table(analysis.text, scores.pieces)
            status = result_line(event, *scores_html.notes(spec, text, scores))
            classes = _class_choice([name for name, _ in scores.scores])
            yield result, status, recipe(spec, analysis, event.placement), classes
        else:
            scores = event if isinstance(event, Scores) else scores
            yield gr.skip(), waiting_line(event) or gr.skip(), gr.skip(), gr.skip()


# ---------------------------------------------------------------- which words did it


@dataclass(frozen=True, slots=True)
class _AttributionPart:
    """The components of the folded part "Which words did it?"."""

    method: gr.Radio
    label: gr.Dropdown
    start: gr.Button
    stop: gr.Button
    result: gr.HTML
    status: gr.HTML


def _build_attribution() -> _AttributionPart:
    """Lay the folded part out under the result."""
    with gr.Accordion(t("sentiment.why.title"), open=False, elem_id=WHY):
        with gr.Row():
            method = gr.Radio(
                [(t(f"sentiment.why.{name}"), name) for name in METHODS],
                value=METHODS[0],
                label=t("sentiment.why.method"),
                elem_id=f"{WHY}-method",
            )
            label = gr.Dropdown(
                [(t("sentiment.why.predicted"), "")],
                value="",
                label=t("sentiment.why.label"),
                elem_id=f"{WHY}-label",
            )
        with gr.Row():
            start = gr.Button(t("sentiment.why.start"), elem_id=f"{WHY}-start")
            stop = stop_button(WHY)
        result = gr.HTML(elem_id=f"{WHY}-result")
        status = gr.HTML(elem_id=f"{WHY}-status")
    return _AttributionPart(method, label, start, stop, result, status)


def _bind_attribution(
    context: Context, part: _AttributionPart, text: gr.Textbox, model: gr.Dropdown, code: gr.Code
) -> None:
    """Bind the button that explains the text; the recipe then is that of the explanation."""

    def explain(
        text: str, model: str, label: str, method: str, request: gr.Request
    ) -> Generator[Any]:
        yield from _explain(context, text, model, label, method, request)

    job = part.start.click(
        explain,
        [text, model, part.label, part.method],
        [part.result, part.status, code],
        api_visibility="private",
        show_progress="hidden",
    )
    bind_stop(part.stop, [job], part.status, line(both("page.stopped")))


def _explain(
    context: Context, text: str, model: str, label: str, method: str, request: gr.Request
) -> Generator[tuple[Any, Any, Any]]:
    """Yield (words with their values, status line, recipe) during the job."""
    with show_errors(request):
        explanation = AttributionRequest.of(text=text, label=label or "", method=method)
        spec = select(SENTIMENT, model, context.settings, text)
    result = ""
    for event in follow(context, spec, explanation, request):
        if isinstance(event, Finished):
            status = result_line(event, *scores_html.language_note(spec, text))
            yield result, status, recipe(spec, explanation, event.placement)
        elif isinstance(event, AttributionProgress):
            wait = both("sentiment.why.progress", done=event.done, total=event.total)
            yield gr.skip(), line(wait), gr.skip()
        else:
            if isinstance(event, Attribution):
                result = scores_html.words(explanation.text, event)
            yield gr.skip(), waiting_line(event) or gr.skip(), gr.skip()


def _class_choice(names: list[str]) -> Any:
    """The choice of the class to explain, with a result's classes; the predicted one is selected."""
    keys = [(name, scores_html.class_key(name)) for name in names]
    classes = [(t(key) if key else name, name) for name, key in keys]
    return gr.Dropdown([(t("sentiment.why.predicted"), ""), *classes], value="")
