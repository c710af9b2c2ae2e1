"""Many sentences: every one with every other, in groups and on a map."""

import math
from collections.abc import Generator
from typing import Any

import gradio as gr

from models.contract import Finished, ModelSpec
from models.sentence_similarity.events import Similarities
from models.sentence_similarity.landscape import Landscape, landscape
from models.sentence_similarity.requests import SimilarityRequest
from tabs.sentence_similarity.encoders import Server, chosen, picker, warnings
from tabs.sentence_similarity.maps import letter, overview
from tabs.sentence_similarity.show import note
from tabs.shared import table_input as source
from tabs.shared.context import Context
from tabs.shared.events import follow, line, python, result_line, show_errors, waiting_line
from tabs.shared.strings import both, t
from tabs.shared.widgets import (
    bind_stop,
    examples_box,
    how_it_works,
    recipe_box,
    result_box,
    stop_button,
)

TAB = "many"
Shown = tuple[Any, Any, Any, Any]  # result, status line, recipe, download
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
            gr.Markdown(t(f"{TAB}.sentences"))
            given = source.build(TAB, lines_first=True)
            with gr.Row():
                start = gr.Button(t(f"{TAB}.start"), variant="primary", elem_id=f"{TAB}-start")
                stop = stop_button(TAB)
            titles = [f"{sample.splitlines()[0]} …" for sample in EXAMPLES]
            samples = [[sample, None] for sample in EXAMPLES]  # an example, and no file
            examples_box(TAB, samples, [given.lines, given.file], f"{TAB}-start", titles)
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
            result, status = result_box(TAB, both(f"{TAB}.empty"))
            download = source.download_button(TAB)
            code = recipe_box(TAB)
            how_it_works(TAB)

    source.bind(given)

    def compare(request: gr.Request, *values: Any) -> Generator[Shown]:
        *texts, number, model, name, key = values
        with show_errors(request):
            sentences, said = _given(*texts)
        for shown in _compare(context, sentences, number, model, Server(name, key), request):
            yield said + shown[0] if isinstance(shown[0], str) else shown[0], *shown[1:]

    job = start.click(
        compare,
        [*given.inputs(), number, *choice],
        [result, status, code, download],
        show_progress="hidden",
        api_visibility="private",
    )
    bind_stop(stop, [job], status, line(both("page.stopped")))


def _given(file: str | None, text: str, header: bool, column: str | None) -> tuple[list[str], str]:
    """The sentences that are not blank, and what is to be said of the others, as HTML."""
    table, column = source.table(file, text, header, column)
    sentences = [cell for cell in table.column(column) if cell.strip()]
    return sentences, "".join(map(note, source.faults(table)))


def _compare(
    context: Context,
    sentences: list[str],
    number: int,
    model: str,
    server: Server,
    request: gr.Request,
) -> Generator[Shown]:
    """Yield (result, status line, recipe, download) as the job goes on."""
    with show_errors(request):
        ask = SimilarityRequest.of(sentences=sentences, **server.fields())
        spec = chosen(context, model, ask.sentences)
    found = Similarities(())
    for event in follow(context, spec, ask, request):
        if isinstance(event, Finished):
            land = landscape(found.cosines, int(number))
            shown = _shown(spec, ask.sentences, found, land)
            download = gr.update(value=_file(ask.sentences, found, land), visible=True)
            yield shown, result_line(event), python(spec, ask, event), download
        else:
            found = event if isinstance(event, Similarities) else found
            yield gr.skip(), waiting_line(event) or gr.skip(), gr.skip(), gr.skip()


def _shown(
    spec: ModelSpec, sentences: tuple[str, ...], found: Similarities, land: Landscape
) -> str:
    """All there is to see, after what is to be said about it, as HTML."""
    notes = warnings(spec, sentences, found.truncated, found.unknown)
    return "".join(map(note, notes)) + overview(sentences, found, land)


def _file(sentences: tuple[str, ...], found: Similarities, land: Landscape) -> str:
    """A CSV of each sentence, its group and its cosine with every one; returns its path."""
    rows = [
        (i + 1, sentence, letter(land.groups[i]), *(_cell(c) for c in found.cosines[i]))
        for i, sentence in enumerate(sentences)
    ]
    numbers = [str(i + 1) for i in range(len(sentences))]
    return source.csv_file("similarity.csv", ("number", "sentence", "group", *numbers), rows)


def _cell(cosine: float) -> str:
    return "" if math.isnan(cosine) else f"{cosine:.4f}"
