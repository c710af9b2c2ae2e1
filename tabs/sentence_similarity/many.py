"""Many sentences: every one with every other."""

from collections.abc import Generator
from typing import Any

import gradio as gr

from models.base import Finished, ModelSpec, Similarities, Task
from models.requests import SimilarityRequest
from tabs.context import Context
from tabs.events import follow, line, python, result_line, told, waiting_line
from tabs.parts import bind_stop, examples_box, model_picker, recipe_box, stop_button
from tabs.sentence_similarity.encoders import WORD2VEC, about, chosen, warnings
from tabs.sentence_similarity.show import matrix, note
from tabs.text import both, t

TAB = "many"
EXAMPLES = (
    "A man is playing a guitar.\nSomeone plays the guitar.\nA woman is cooking dinner.\n"
    "She prepares the evening meal.\nThe stock market fell sharply today.",
    "고양이가 소파에서 자요.\n소파 위에서 고양이가 잠들었어요.\n엄마가 저녁을 준비해요.\n"
    "부엌에서 밥을 짓고 있어요.\n오늘 주가가 크게 떨어졌어요.",
)


def build(context: Context) -> None:
    """Lay the part out and bind it to its models."""
    with gr.Row():
        with gr.Column():
            text = gr.Textbox(
                label=t(f"{TAB}.sentences"), lines=8, max_lines=20, elem_id=f"{TAB}-sentences"
            )
            with gr.Row():
                start = gr.Button(t(f"{TAB}.start"), variant="primary", elem_id=f"{TAB}-start")
                stop = stop_button(TAB)
            titles = [f"{sample.splitlines()[0]} …" for sample in EXAMPLES]
            samples = [[sample] for sample in EXAMPLES]
            examples_box(TAB, samples, [text], f"{TAB}-start", titles)
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

    def compare(text: str, model: str, request: gr.Request) -> Generator[Any]:
        yield from _compare(context, text, model, request)

    private: dict[str, Any] = {"api_visibility": "private"}
    job = start.click(
        compare, [text, model], [result, status, code], show_progress="hidden", **private
    )
    bind_stop(stop, [job], status, line(both("page.stopped")))
    model.change(lambda model: about(context, model), model, told_of, **private)


def lines_of(text: str) -> list[str]:
    """The lines that are not blank."""
    return [one for one in text.splitlines() if one.strip()]


def _compare(
    context: Context, text: str, model: str, request: gr.Request
) -> Generator[tuple[Any, Any, Any]]:
    """Yield (result, status line, recipe) as the job goes on."""
    with told(request):
        ask = SimilarityRequest.of(sentences=lines_of(text))
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
    """The table with what is to be said about it, as HTML."""
    notes = warnings(spec, sentences, found.truncated)
    return matrix(sentences, found) + "".join(map(note, notes))
