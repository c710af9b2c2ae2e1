"""One text: which feeling it carries, with the probability of every class."""

from collections.abc import Generator
from typing import Any

import gradio as gr

from models.contract import Finished
from models.select import select
from models.sentiment.events import Scores
from models.sentiment.requests import SentimentRequest
from models.tasks import SENTIMENT
from tabs.sentiment import show, why
from tabs.shared.context import Context
from tabs.shared.events import follow, line, python, result_line, show_errors, waiting_line
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

EXAMPLES = [
    ["I loved every minute of this film."],
    ["A dull, lifeless waste of two hours."],
    ["The acting is fine, but the story never comes alive."],
    ["정말 재미있고 감동적인 영화였어요."],
    ["시간이 아까운 최악의 영화."],
    ["배우들 연기는 좋은데 이야기가 너무 지루해요."],
]


def build(context: Context) -> None:
    """Lay the tab out and bind it to its models."""
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
            reasons = why.build()
            code = recipe_box("sentiment")
            how_it_works("sentiment")

    def analyze(text: str, model: str, request: gr.Request) -> Generator[Any]:
        yield from _analyze(context, text, model, request)

    why.bind(context, reasons, text, model, code)
    outputs = [result, status, code, reasons.label]
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
    """Yield (bars, status line, recipe, classes to explain) as the job goes on."""
    with show_errors(request):
        ask = SentimentRequest.of(text=text)
        spec = select(SENTIMENT, model, context.settings, text)
    scores = Scores(())
    for event in follow(context, spec, ask, request):
        if isinstance(event, Finished):
            status = result_line(event, *show.notes(spec, text, scores))
            shown = show.class_bars(scores) + show.parts(ask.text, scores.pieces)
            names = why.classes([name for name, _ in scores.scores])
            yield shown, status, python(spec, ask, event), names
        else:
            scores = event if isinstance(event, Scores) else scores
            yield gr.skip(), waiting_line(event) or gr.skip(), gr.skip(), gr.skip()
