"""Many sentences: every one with every other, in groups and on a map."""

from collections.abc import Generator
from typing import Any

import gradio as gr

from models.base import Finished, ModelSpec, Similarities
from models.requests import SimilarityRequest
from models.sentence_similarity.landscape import landscape
from tabs.context import Context
from tabs.events import follow, line, python, result_line, told, waiting_line
from tabs.parts import bind_stop, examples_box, how_it_works, recipe_box, stop_button
from tabs.sentence_similarity.encoders import Server, chosen, picker, warnings
from tabs.sentence_similarity.maps import overview
from tabs.sentence_similarity.show import note
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
            choice = picker(context, TAB)
            number = gr.Slider(
                0,
                10,
                0,
                step=1,
                label=t(f"{TAB}.number"),
                info=t(f"{TAB}.number_info"),
                elem_id=f"{TAB}-number",
            )
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

    def compare(
        text: str, number: int, model: str, name: str, key: str, request: gr.Request
    ) -> Generator[tuple[Any, Any, Any]]:
        yield from _compare(context, text, number, model, Server(name, key), request)

    job = start.click(
        compare,
        [text, number, *choice],
        [result, status, code],
        show_progress="hidden",
        api_visibility="private",
    )
    bind_stop(stop, [job], status, line(both("page.stopped")))


def lines_of(text: str) -> list[str]:
    """The lines that are not blank."""
    return [one for one in text.splitlines() if one.strip()]


def _compare(
    context: Context, text: str, number: int, model: str, server: Server, request: gr.Request
) -> Generator[tuple[Any, Any, Any]]:
    """Yield (result, status line, recipe) as the job goes on."""
    with told(request):
        ask = SimilarityRequest.of(sentences=lines_of(text), **server.fields())
        spec = chosen(context, model, ask.sentences)
    found = Similarities(())
    for event in follow(context, spec, ask, request):
        if isinstance(event, Similarities):
            found = event
        elif isinstance(event, Finished):
            shown = _shown(spec, ask.sentences, found, int(number))
            yield shown, result_line(event), python(spec, ask, event)
        elif wait := waiting_line(event):
            yield gr.skip(), wait, gr.skip()


def _shown(
    spec: ModelSpec, sentences: tuple[str, ...], found: Similarities, number: int = 0
) -> str:
    """All there is to see, after what is to be said about it, as HTML."""
    notes = warnings(spec, sentences, found.truncated, found.unknown)
    land = landscape(found.cosines, number)
    return "".join(map(note, notes)) + overview(sentences, found, land)
