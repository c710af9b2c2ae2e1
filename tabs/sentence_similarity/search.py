"""Search by meaning: lines pasted or uploaded, their vectors once, then any query in no time."""

import html
import textwrap
import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
import numpy as np

from models.contract import Finished, ModelSpec
from models.errors import InvalidInput, OutOfMemory
from models.select import find, reads
from models.sentence_similarity.events import Encoded
from models.sentence_similarity.requests import EncodeRequest, SimilarityRequest
from models.sentence_similarity.search import Index
from models.tasks import SENTENCE_SIMILARITY
from tabs.sentence_similarity.encoders import Server, chosen, picker, warnings
from tabs.sentence_similarity.show import note, number
from tabs.shared import table_input as source
from tabs.shared.context import Context
from tabs.shared.events import Pace, follow, line, python, result_line, show_errors, waiting_line
from tabs.shared.strings import both, t
from tabs.shared.widgets import bind_stop, how_it_works, recipe_box, result_box, stop_button

TAB = "search"
KEPT = 3600  # seconds that vectors are kept after their last change
SAMPLE = 200  # lines that "auto" looks at
SHOWN = 400  # characters of a line
LONGEST = 2000  # characters of a line that are kept
Shown = tuple[Any, Any, Any, Any]  # result, status line, recipe, download


def build(context: Context) -> None:
    """Lay the part out: lines and their vectors first, then the query."""
    index = gr.State(None, time_to_live=KEPT)
    with gr.Row():
        with gr.Column():
            given = source.build(TAB, lines_first=True)
            with gr.Row():
                prepare = gr.Button(t(f"{TAB}.prepare"), elem_id=f"{TAB}-prepare")
                stop = stop_button(TAB)
            query = gr.Textbox(label=t(f"{TAB}.query"), elem_id=f"{TAB}-query")
            start = gr.Button(t(f"{TAB}.start"), variant="primary", elem_id=f"{TAB}-start")
            count = gr.Slider(1, 100, 10, step=1, label=t(f"{TAB}.count"), elem_id=f"{TAB}-count")
            choice = picker(context, TAB)
        with gr.Column():
            result, status = result_box(TAB, both(f"{TAB}.empty"))
            download = source.download_button(TAB)
            code = recipe_box(TAB)
            how_it_works(TAB)

    source.bind(given)

    def take_in(request: gr.Request, *values: Any) -> Generator[tuple[Any, Any, Any]]:
        file, lines, header, column, model, name, key, had = values
        taken = _taken(file, lines, header, column, request)
        yield from _take_in(context, taken, model, Server(name, key), had, request)

    def search(
        query: str, count: int, key: str, index: Any, request: gr.Request
    ) -> Generator[Shown]:
        yield from _search(context, query, int(count), key, index, request)

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    jobs = [
        prepare.click(take_in, [*given.inputs(), *choice, index], [index, result, status], **quiet),
        gr.on(
            [start.click, query.submit],
            search,
            [query, count, choice.api_key, index],
            [result, status, code, download],
            **quiet,
        ),
    ]
    bind_stop(stop, jobs, status, line(both(f"{TAB}.stopped")))


@dataclass(frozen=True, slots=True)
class Taken:
    """The lines that can be searched, their numbers where they came from, and what is to be said."""

    lines: tuple[str, ...]
    numbers: tuple[int, ...]
    said: tuple[str, ...]


def _taken(
    file: str | None, text: str, header: bool, column: str | None, request: gr.Request
) -> Taken:
    """The cells of the column that are not blank, without what is too long of them."""
    with show_errors(request):
        table, column = source.table(file, text, header, column)
        cells = zip(table.lines, table.column(column), strict=True)
        kept = [(number, cell.strip()) for number, cell in cells if cell.strip()]
        if not kept:
            raise InvalidInput("invalid_table_empty")
    said = source.faults(table)
    if cut := sum(len(cell) > LONGEST for _, cell in kept):
        said.append(both(f"{TAB}.cut", count=f"{cut:,}"))
    lines = tuple(cell[:LONGEST] for _, cell in kept)
    return Taken(lines, tuple(number for number, _ in kept), tuple(said))


def _take_in(
    context: Context,
    taken: Taken,
    model: str,
    server: Server,
    had: Index | None,
    request: gr.Request,
) -> Generator[tuple[Any, Any, Any]]:
    """Yield (index, result, status line); the index fills in place, so that a stop loses nothing."""
    with show_errors(request):
        spec = chosen(context, model, taken.lines[:SAMPLE])
        index = Index(taken.lines, spec.id, server.name or "", taken.numbers)
        if had is not None and had.same(index):
            index = had
        yield index, _told_of(spec.label, taken), gr.skip()
        missing = np.flatnonzero(~index.done)
        if not len(missing):
            yield index, gr.skip(), line(both(f"{TAB}.ready", count=f"{index.ready:,}"))
            return
        ask = EncodeRequest.of(sentences=[index.lines[row] for row in missing], **server.fields())
    pace, began = Pace(), time.monotonic()
    for event in follow(context, spec, ask, request):
        if isinstance(event, Encoded):
            with show_errors(request):
                _add(index, replace(event, rows=missing[event.rows]))
            if pace.due():
                said = _progress(index, event.share, time.monotonic() - began)
                yield gr.skip(), gr.skip(), said
        elif isinstance(event, Finished):
            ready = both(f"{TAB}.ready", count=f"{index.ready:,}")
            yield index, gr.skip(), result_line(event, ready)
        else:
            yield gr.skip(), gr.skip(), waiting_line(event) or gr.skip()


def _add(index: Index, part: Encoded) -> None:
    try:
        index.add(part)
    except MemoryError:
        raise OutOfMemory("out_of_memory_vectors") from None


def _told_of(encoder: str, taken: Taken) -> str:
    """How many lines there are, and what of them was not taken."""
    said = both(f"{TAB}.taken", count=f"{len(taken.lines):,}", model=encoder)
    return f"<p>{said}</p>" + "".join(map(note, taken.said))


def _progress(index: Index, share: float, seconds: float) -> str:
    left = seconds * (1 - share) / share if share else 0.0
    words = both(
        f"{TAB}.progress",
        done=f"{index.ready:,}",
        total=f"{len(index.lines):,}",
        left=f"{left:.0f}",
    )
    return f'{line(words)}<div class="progress"><div style="width:{share:.1%}"></div></div>'


def _search(
    context: Context, query: str, count: int, key: str | None, index: Any, request: gr.Request
) -> Generator[Shown]:
    """Yield (result, status line, recipe, download)."""
    with show_errors(request):
        if not isinstance(index, Index) or not index.ready:
            raise InvalidInput("invalid_no_lines")
        server = Server(index.model_name, key)
        ask = EncodeRequest.of(sentences=[query], **server.fields())
        spec = find(SENTENCE_SIMILARITY, index.model_id)
    shown, seconds, found = "", 0.0, list[tuple[int, float]]()
    for event in follow(context, spec, ask, request):
        if isinstance(event, Encoded):
            began = time.perf_counter()
            found = index.nearest(event.vectors[0], count)
            seconds = time.perf_counter() - began
            said = warnings(spec, ask.sentences)
            if index.truncated:
                said.append(both(f"{TAB}.truncated", count=f"{index.truncated:,}"))
            if reads(spec, ask.sentences) and not reads(spec, index.lines[:SAMPLE]):
                said.append(both(f"{TAB}.language", model=spec.label))
            shown = "".join(map(note, said)) + _hits(index, found)
            yield gr.skip(), gr.skip(), gr.skip(), gr.skip()
        elif isinstance(event, Finished):
            among = both(f"{TAB}.among", ms=f"{1000 * seconds:.0f}", count=f"{index.ready:,}")
            code = _recipe(spec, ask, event, index, found)
            yield shown, result_line(event, among), code, _download(index, found)
        else:
            yield gr.skip(), waiting_line(event) or gr.skip(), gr.skip(), gr.skip()


def _download(index: Index, found: list[tuple[int, float]]) -> Any:
    """The results to take away, each line whole."""
    if not found:
        return gr.update(visible=False)
    rows = [(index.numbers[row], f"{cosine:.4f}", index.lines[row]) for row, cosine in found]
    path = source.csv_file("search.csv", ("line", "cosine", "text"), rows)
    return gr.update(value=path, visible=True)


def _recipe(
    spec: ModelSpec,
    ask: EncodeRequest,
    done: Finished,
    index: Index,
    found: list[tuple[int, float]],
) -> Any:
    """The Python that compares the query with the lines found."""
    if not found:
        return gr.skip()
    lines = [index.lines[row] for row, _ in found]
    return python(spec, SimilarityRequest.of(sentences=[*ask.sentences, *lines]), done)


def _hits(index: Index, found: list[tuple[int, float]]) -> str:
    """The nearest lines, with their cosines and numbers."""
    if not found:
        return f"<p>{both(f'{TAB}.nothing')}</p>"
    head = "".join(
        f'<th scope="col">{both(f"{TAB}.{name}")}</th>' for name in ("score", "row", "line")
    )
    rows = "".join(
        f"<tr><td><strong>{number(cosine)}</strong></td><td>{index.numbers[row]:,}</td>"
        f"<td>{html.escape(textwrap.shorten(index.lines[row], SHOWN))}</td></tr>"
        for row, cosine in found
    )
    return f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
