"""Compare two sentences by a pretrained encoder."""

from collections.abc import Generator
from typing import Any

import gradio as gr

from models.base import Finished, ModelSpec, Similarities, Task
from models.registry import models_of
from models.requests import SimilarityRequest
from tabs.context import Context
from tabs.events import follow, line, python, result_line, told, waiting_line
from tabs.parts import bind_stop, examples_box, how_it_works, model_picker, recipe_box, stop_button
from tabs.sentence_similarity.encoders import TAB, WORD2VEC, about, chosen, reads, warnings
from tabs.sentence_similarity.show import note, pair
from tabs.text import both, t

# A paraphrase, another matter, one word in two senses.
EXAMPLES = [
    ("A man is playing a guitar.", "Someone plays the guitar."),
    ("A man is playing a guitar.", "The stock market fell sharply today."),
    ("The bank raised its interest rates.", "We had a picnic on the river bank."),
    ("고양이가 소파에서 자요.", "소파 위에서 고양이가 잠들었어요."),
    ("고양이가 소파에서 자요.", "오늘 주가가 크게 떨어졌어요."),
]
SCALE = ((0.75, "same"), (0.5, "close"), (0.25, "some"), (-1.0, "none"))  # of sentence encoders


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
            model = model_picker(context, Task.SENTENCE_SIMILARITY, f"{TAB}-model", {WORD2VEC})
            told_of = gr.HTML(about(context, "auto"), elem_id=f"{TAB}-about")
        with gr.Column():
            result = gr.HTML(
                both(f"{TAB}.empty"),
                container=True,
                padding=True,
                min_height=120,
                elem_id=f"{TAB}-result",
            )
            status = gr.HTML(elem_id=f"{TAB}-status")
            code = recipe_box(TAB)
            how_it_works(TAB)

    def compare(a: str, b: str, model: str, request: gr.Request) -> Generator[Any]:
        yield from _compare(context, [a, b], model, request)

    private: dict[str, Any] = {"api_visibility": "private"}
    job = gr.on(
        [start.click, first.submit, second.submit],
        compare,
        [first, second, model],
        [result, status, code],
        show_progress="hidden",
        **private,
    )
    bind_stop(stop, [job], status, line(both("page.stopped")))
    model.change(lambda model: about(context, model), model, told_of, **private)
    _endpoint(context)


def _compare(
    context: Context, sentences: list[str], model: str, request: gr.Request
) -> Generator[tuple[Any, Any, Any]]:
    """Yield (result, status line, recipe) as the job goes on."""
    with told(request):
        ask = SimilarityRequest.of(sentences=sentences)
        spec = chosen(context, model, ask.sentences)
    found = Similarities(())
    for event in follow(context, spec, ask, request):
        if isinstance(event, Similarities):
            found = event
        elif isinstance(event, Finished):
            shown = _shown(spec, ask.sentences, found)
            yield shown, result_line(event), python(spec, ask, event)
        elif wait := waiting_line(event):
            yield gr.skip(), wait, gr.skip()


def _shown(spec: ModelSpec, sentences: tuple[str, ...], found: Similarities) -> str:
    """The cosine with what is to be said about it, as HTML."""
    cosine = found.cosines[0][1]
    reading = _reading(spec, cosine) if reads(spec, sentences) else ""
    notes = warnings(spec, sentences, found.truncated)
    return line(both(f"{TAB}.cosine")) + pair(cosine, reading) + "".join(map(note, notes))


def _reading(spec: ModelSpec, cosine: float) -> str:
    """What a cosine of this encoder says: each has a scale of its own."""
    if spec.engine.endswith(":BertSimilarity"):
        return both(f"{TAB}.reading.bert")
    if spec not in models_of(Task.SENTENCE_SIMILARITY):
        return both(f"{TAB}.reading.own_scale")
    return both(f"{TAB}.reading.{next(name for least, name in SCALE if cosine >= least)}")


def _endpoint(context: Context) -> None:
    def compare_sentences(
        sentence_a: str,
        sentence_b: str,
        model: str = "auto",
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> tuple[float, dict[str, Any]]:
        """Compare two sentences; `model="auto"` picks by their language.

        Returns:
            The cosine, -1 to 1, and {"model", "seconds", "language_known", "truncated"}: whether the
            encoder reads the sentences' language, and which of them (0, 1) it saw only in part.
        """
        with told(request):
            ask = SimilarityRequest.of(sentences=(sentence_a, sentence_b))
            spec = chosen(context, model, ask.sentences)
        found, seconds = Similarities(()), 0.0
        for event in follow(context, spec, ask, request):
            if isinstance(event, Similarities):
                found = event
            elif isinstance(event, Finished):
                seconds = event.seconds
        facts = {
            "model": spec.id,
            "seconds": seconds,
            "language_known": reads(spec, ask.sentences),
            "truncated": list(found.truncated),
        }
        return found.cosines[0][1], facts

    gr.api(compare_sentences, api_name="compare_sentences")
