"""Compare two sentences, by one encoder or by several side by side."""

from collections.abc import Generator
from contextlib import closing
from typing import Any

import gradio as gr

from models.contract import Finished
from models.errors import ModelError
from models.runtime.jobs import run
from models.sentence_similarity.events import Reference, Similarities
from models.sentence_similarity.requests import SimilarityRequest
from models.tasks import SENTENCE_SIMILARITY
from tabs.sentence_similarity.encoders import TAB, WORD2VEC, Server, chosen, picker
from tabs.sentence_similarity.verdicts import Verdict, one, several
from tabs.shared.context import Context
from tabs.shared.events import error, line, python, result_line, show_errors, waiting_line
from tabs.shared.strings import both, language_of_page, t
from tabs.shared.widgets import (
    bind_stop,
    examples_box,
    how_it_works,
    recipe_box,
    result_box,
    stop_button,
)

# A paraphrase, another matter, one word in two senses.
EXAMPLES = [
    ("A man is playing a guitar.", "Someone plays the guitar."),
    ("A man is playing a guitar.", "The stock market fell sharply today."),
    ("The bank raised its interest rates.", "We had a picnic on the river bank."),
    ("고양이가 소파에서 자요.", "소파 위에서 고양이가 잠들었어요."),
    ("고양이가 소파에서 자요.", "오늘 주가가 크게 떨어졌어요."),
]
Shown = tuple[Any, Any, Any]  # result, status line, recipe


def build(context: Context) -> None:
    """Lay the comparison out and bind it to its models."""
    with gr.Row():
        with gr.Column():
            first = gr.Textbox(label=t(f"{TAB}.sentence_a"), lines=2, elem_id=f"{TAB}-a")
            second = gr.Textbox(label=t(f"{TAB}.sentence_b"), lines=2, elem_id=f"{TAB}-b")
            with gr.Row():
                start = gr.Button(t(f"{TAB}.start"), variant="primary", elem_id=f"{TAB}-start")
                stop = stop_button(TAB)
            titles = [f"{first} ↔ {second}" for first, second in EXAMPLES]
            examples_box(TAB, EXAMPLES, [first, second], f"{TAB}-start", titles)
            also = _also(context)
            choice = picker(context, TAB, also)
            also.render()
        with gr.Column():
            result, status = result_box(TAB, both(f"{TAB}.empty"))
            code = recipe_box(TAB)
            how_it_works(TAB)

    def compare(
        a: str, b: str, also: list[str], model: str, name: str, key: str, request: gr.Request
    ) -> Generator[Shown]:
        yield from _compare(context, (a, b), [model, *also], Server(name, key), request)

    job = gr.on(
        [start.click, first.submit, second.submit],
        compare,
        [first, second, also, *choice],
        [result, status, code],
        show_progress="hidden",
        api_visibility="private",
    )
    bind_stop(stop, [job], status, line(both("page.stopped")))


def _also(context: Context) -> gr.Dropdown:
    """The choice of more encoders for the same two sentences."""
    return gr.Dropdown(
        label=t(f"{TAB}.also"),
        info=t(f"{TAB}.also_info"),
        choices=[c for c in context.offered(SENTENCE_SIMILARITY) if c[1] != WORD2VEC],
        value=[],
        multiselect=True,
        render=False,
        elem_id=f"{TAB}-also",
    )


def _compare(
    context: Context,
    sentences: tuple[str, str],
    models: list[str],
    server: Server,
    request: gr.Request,
) -> Generator[Shown]:
    """Ask each encoder in turn; a problem of one of several stands in its row, the others go on."""
    with show_errors(request):
        ask = SimilarityRequest.of(sentences=sentences, reference=True, **server.fields())
        specs = {spec.id: spec for spec in (chosen(context, m, sentences) for m in models)}
    verdicts = [Verdict(spec) for spec in specs.values()]
    for verdict in verdicts:
        try:
            yield from _ask(context, verdict, verdicts, ask)
        except ModelError as problem:
            verdict.problem = problem
            if len(verdicts) == 1:
                raise error(problem, language_of_page(request)) from None
            yield several(verdicts, ask.sentences), "", gr.skip()


def _ask(
    context: Context, verdict: Verdict, verdicts: list[Verdict], ask: SimilarityRequest
) -> Generator[Shown]:
    with closing(run(context.cache, verdict.spec, ask)) as events:
        for event in events:
            if isinstance(event, Similarities):
                verdict.found = event
            elif isinstance(event, Reference):
                verdict.reference = event
            elif isinstance(event, Finished):
                shown = _shown(verdicts, ask.sentences)
                yield shown, result_line(event), python(verdict.spec, ask, event)
                continue
            else:
                yield gr.skip(), waiting_line(event) or gr.skip(), gr.skip()
                continue
            yield _shown(verdicts, ask.sentences), gr.skip(), gr.skip()


def _shown(verdicts: list[Verdict], sentences: tuple[str, ...]) -> str:
    many = len(verdicts) > 1
    return several(verdicts, sentences) if many else one(verdicts[0], sentences)
