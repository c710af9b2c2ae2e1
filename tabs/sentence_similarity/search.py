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
from models.sentence_similarity.many_sentences import Index
from models.sentence_similarity.requests import EncodeRequest, SimilarityRequest
from models.tasks import SENTENCE_SIMILARITY, recipe
from tabs.sentence_similarity.encoders import (
    find_encoder,
    hosted_fields,
    note,
    number,
    picker,
    warnings,
)
from tabs.shared import table_input
from tabs.shared.context import Context
from tabs.shared.events import Pace, follow, line, result_line, show_errors, waiting_line
from tabs.shared.strings import both, t
from tabs.shared.widgets import bind_stop, how_it_works, recipe_box, result_box, stop_button

TAB = "search"
LIFETIME = 3600  # seconds that vectors live after their last change
SAMPLE = 200  # lines whose language counts
EXCERPT = 400  # characters of a line in the result
LONGEST = 2000  # characters of a line; the rest is cut
Outputs = tuple[Any, Any, Any, Any]  # result, status line, recipe, download


def build(context: Context) -> None:
    """Lay the part out: lines and their vectors first, then the query."""
    index = gr.State(None, time_to_live=LIFETIME)
    with gr.Row():
        with gr.Column():
            texts = table_input.build(TAB, lines_first=True)
            with gr.Row():
                prepare = gr.Button(t(f"{TAB}.prepare"), elem_id=f"{TAB}-prepare")
                stop = stop_button(TAB)
            query = gr.Textbox(label=t(f"{TAB}.query"), elem_id=f"{TAB}-query")
            start = gr.Button(t(f"{TAB}.start"), variant="primary", elem_id=f"{TAB}-start")
            count = gr.Slider(1, 100, 10, step=1, label=t(f"{TAB}.count"), elem_id=f"{TAB}-count")
            encoder = picker(context, TAB)
        with gr.Column():
            result, status = result_box(TAB, both(f"{TAB}.empty"))
            download = table_input.download_button(TAB)
            code = recipe_box(TAB)
            how_it_works(TAB)

    table_input.bind(texts)

    def prepare_lines(request: gr.Request, *values: Any) -> Generator[tuple[Any, Any, Any]]:
        *boxes, model, name, key, old = values
        yield from _prepare(context, boxes, model, hosted_fields(name, key), old, request)

    def search(
        query: str, count: int, key: str, index: Any, request: gr.Request
    ) -> Generator[Outputs]:
        yield from _search(context, query, int(count), key, index, request)

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    jobs = [
        prepare.click(
            prepare_lines, [*texts.inputs(), *encoder, index], [index, result, status], **quiet
        ),
        gr.on(
            [start.click, query.submit],
            search,
            [query, count, encoder.api_key, index],
            [result, status, code, download],
            **quiet,
        ),
    ]
    bind_stop(stop, jobs, status, line(both(f"{TAB}.stopped")))


@dataclass(frozen=True, slots=True)
class SearchLines:
    """The lines that can be searched.

    Attributes:
        texts: not blank, at most LONGEST characters.
        numbers: of each in its file or box.
        notes: on what could not be read or was cut, as HTML.
    """

    texts: tuple[str, ...]
    numbers: tuple[int, ...]
    notes: tuple[str, ...]


def lines_of_table(*inputs: Any) -> SearchLines:
    """The cells of the column that are not blank, cut where they are too long.

    Args:
        *inputs: what `table_input.table` takes.

    Raises:
        InvalidInput: there is none, or it is no table.
    """
    table, column = table_input.table(*inputs)
    cells = zip(table.lines, table.column(column), strict=True)
    rows = [(number, cell.strip()) for number, cell in cells if cell.strip()]
    if not rows:
        raise InvalidInput("invalid_table_empty")
    notes = table_input.faults(table)
    if long := sum(len(cell) > LONGEST for _, cell in rows):
        notes.append(both(f"{TAB}.cut", count=f"{long:,}"))
    texts = tuple(cell[:LONGEST] for _, cell in rows)
    return SearchLines(texts, tuple(number for number, _ in rows), tuple(notes))


def _prepare(
    context: Context,
    boxes: list[Any],
    model: str,
    hosted: dict[str, str | None],
    old: Any,
    page: gr.Request,
) -> Generator[tuple[Any, Any, Any]]:
    """Yield (index, result, status line); the index fills in place, so that a stop loses nothing."""
    with show_errors(page):
        lines = lines_of_table(*boxes)
        spec = find_encoder(context, model, lines.texts[:SAMPLE])
        index = Index(lines.texts, spec.id, hosted["model_name"] or "", lines.numbers)
        if isinstance(old, Index) and old.same(index):
            index = old
        yield index, _lines_html(spec.label, lines), gr.skip()
        missing = np.flatnonzero(~index.ready)
        if not len(missing):
            yield index, gr.skip(), line(_ready(index))
            return
        request = EncodeRequest.of(sentences=[index.lines[row] for row in missing], **hosted)
    pace, start = Pace(), time.monotonic()
    for event in follow(context, spec, request, page):
        if isinstance(event, Encoded):
            with show_errors(page):
                _add(index, replace(event, rows=missing[event.rows]))
            if pace.due():
                status = _progress(index, event.share, time.monotonic() - start)
                yield gr.skip(), gr.skip(), status
        elif isinstance(event, Finished):
            yield index, gr.skip(), result_line(event, _ready(index))
        else:
            yield gr.skip(), gr.skip(), waiting_line(event) or gr.skip()


def _ready(index: Index) -> str:
    return both(f"{TAB}.ready", count=f"{index.size:,}")


def _add(index: Index, part: Encoded) -> None:
    try:
        index.add(part)
    except MemoryError:
        raise OutOfMemory("out_of_memory_vectors") from None


def _lines_html(encoder: str, lines: SearchLines) -> str:
    """How many lines there are, and the notes on the others."""
    count = both(f"{TAB}.taken", count=f"{len(lines.texts):,}", model=encoder)
    return f"<p>{count}</p>" + "".join(map(note, lines.notes))


def _progress(index: Index, share: float, seconds: float) -> str:
    left = seconds * (1 - share) / share if share else 0.0
    words = both(
        f"{TAB}.progress",
        done=f"{index.size:,}",
        total=f"{len(index.lines):,}",
        left=f"{left:.0f}",
    )
    return f'{line(words)}<div class="progress"><div style="width:{share:.1%}"></div></div>'


def _search(
    context: Context, query: str, count: int, key: str | None, index: Any, page: gr.Request
) -> Generator[Outputs]:
    """Yield (result, status line, recipe, download)."""
    with show_errors(page):
        if not isinstance(index, Index) or not index.size:
            raise InvalidInput("invalid_no_lines")
        request = EncodeRequest.of(sentences=[query], **hosted_fields(index.model_name, key))
        spec = find(SENTENCE_SIMILARITY, index.model_id)
    result, seconds, hits = "", 0.0, list[tuple[int, float]]()
    for event in follow(context, spec, request, page):
        if isinstance(event, Encoded):
            start = time.perf_counter()
            hits = index.nearest(event.vectors[0], count)
            seconds = time.perf_counter() - start
            result = "".join(map(note, _notes(spec, query, index))) + _hits_html(index, hits)
            yield gr.skip(), gr.skip(), gr.skip(), gr.skip()
        elif isinstance(event, Finished):
            among = both(f"{TAB}.among", ms=f"{1000 * seconds:.0f}", count=f"{index.size:,}")
            code = _recipe(spec, request, event, index, hits)
            yield result, result_line(event, among), code, hits_download(index, hits)
        else:
            yield gr.skip(), waiting_line(event) or gr.skip(), gr.skip(), gr.skip()


def _notes(spec: ModelSpec, query: str, index: Index) -> list[str]:
    """What makes the cosines doubtful, as HTML."""
    notes = warnings(spec, [query])
    if index.truncated:
        notes.append(both(f"{TAB}.truncated", count=f"{index.truncated:,}"))
    if reads(spec, [query]) and not reads(spec, index.lines[:SAMPLE]):
        notes.append(both(f"{TAB}.language", model=spec.label))
    return notes


def hits_download(index: Index, hits: list[tuple[int, float]]) -> Any:
    """The results to take away, each line whole."""
    if not hits:
        return gr.update(visible=False)
    rows = [(index.numbers[row], f"{cosine:.4f}", index.lines[row]) for row, cosine in hits]
    path = table_input.csv_file("search.csv", ("line", "cosine", "text"), rows)
    return gr.update(value=path, visible=True)


def _recipe(
    spec: ModelSpec,
    request: EncodeRequest,
    finished: Finished,
    index: Index,
    hits: list[tuple[int, float]],
) -> Any:
    """The Python that compares the query with the hits."""
    if not hits:
        return gr.skip()
    lines = [index.lines[row] for row, _ in hits]
    comparison = SimilarityRequest.of(sentences=[*request.sentences, *lines])
    return recipe(spec, comparison, finished.placement)


def _hits_html(index: Index, hits: list[tuple[int, float]]) -> str:
    """The nearest lines, with their cosines and numbers."""
    if not hits:
        return f"<p>{both(f'{TAB}.nothing')}</p>"
    head = "".join(
        f'<th scope="col">{both(f"{TAB}.{name}")}</th>' for name in ("score", "row", "line")
    )
    rows = "".join(
        f"<tr><td><strong>{number(cosine)}</strong></td><td>{index.numbers[row]:,}</td>"
        f"<td>{html.escape(textwrap.shorten(index.lines[row], EXCERPT))}</td></tr>"
        for row, cosine in hits
    )
    return f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
