"""Search by meaning: any query among lines pasted or uploaded, whose vectors are computed once.

The first search computes them by itself; later ones among the same lines need only the query's.
"""

import html
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr
import numpy as np

from models import tasks
from models.contract import Finished, ModelSpec
from models.errors import InvalidInput, OutOfMemory
from models.select import find, reads
from models.sentence_similarity.events import Encoded
from models.sentence_similarity.many_sentences import Index
from models.sentence_similarity.recipe import search_call
from models.sentence_similarity.requests import EncodeRequest, SimilarityRequest
from models.tasks import SENTENCE_SIMILARITY
from tabs.sentence_similarity.encoders import (
    find_encoder,
    note,
    number,
    picker,
    server_fields,
    warnings,
)
from tabs.shared import table_input
from tabs.shared.context import Context
from tabs.shared.events import (
    Pace,
    at_field,
    follow,
    line,
    result_line,
    show_errors,
    waiting_line,
)
from tabs.shared.experiments import Experiments
from tabs.shared.strings import both, shorten, t
from tabs.shared.widgets import (
    Script,
    bind_stop,
    examples_box,
    how_it_works,
    model_note,
    problem_box,
    recipe_box,
    result_box,
    stop_button,
)
from tabs.shared.worked_examples import Recording, worked_example

TAB = "search"
LIFETIME = 3600  # seconds that vectors live after their last change
SAMPLE = 200  # lines whose language counts
EXCERPT = 400  # characters of a line in the result
IN_CALL = 20_000  # characters of lines that stand in the code; of more only the hits do
LONGEST = 2000  # characters of a line; the rest is cut
EXAMPLES = {  # query, lines
    "en": (
        "get my money back",
        "I want a refund.\nMy parcel never arrived.\nHow do I change my password?\n"
        "The app closes by itself.\nDo you ship to Korea?\nWhich size should I take?\n"
        "I was charged twice.\nWhen do you open on Sundays?\nCan I pay by card?\n"
        "The colour is different from the picture.",
    ),
    "ko": (
        "결제가 두 번이나 됐네요",
        "환불해 주세요.\n택배가 아직 안 왔어요.\n비밀번호는 어떻게 바꾸나요?\n앱이 저절로 꺼져요.\n"
        "제주도에도 배송되나요?\n어떤 사이즈를 사면 될까요?\n돈이 두 번 빠져나갔어요.\n"
        "일요일에는 몇 시에 여나요?\n카드로 결제할 수 있나요?\n색이 사진이랑 달라요.",
    ),
}


def build(context: Context) -> None:
    """Lay the part out: the query first, then where to look."""
    index = gr.State(None, time_to_live=LIFETIME)
    with gr.Row():
        with gr.Column():
            query = gr.Textbox(label=t(f"{TAB}.query"), elem_id=f"{TAB}-query")
            problem = problem_box(TAB)
            with gr.Row():
                start = gr.Button(t(f"{TAB}.start"), variant="primary", elem_id=f"{TAB}-start")
                stop = stop_button(TAB)
            samples = gr.Column()
            texts = table_input.build(TAB, lines_first=True)
            with samples:
                examples_box(
                    TAB,
                    [[*example, None] for example in EXAMPLES.values()],
                    [query, texts.lines, texts.file],
                    f"{TAB}-start",
                    [sample for sample, _ in EXAMPLES.values()],
                )
            below = gr.Column()
            count = gr.Slider(1, 100, 10, step=1, label=t(f"{TAB}.count"), elem_id=f"{TAB}-count")
            encoder = picker(context, TAB)
        with gr.Column():
            example = worked_example("sentence_similarity.search", _example)
            result, status = result_box(TAB, example)
            download = table_input.download_button(TAB)
            code = recipe_box(TAB)
            how_it_works(TAB)
    with below:
        controls = {"query": query, "texts": texts.lines, "count": count, "model": encoder.model}
        Experiments("sentence_similarity.search", controls, f"{TAB}-start")
    table_input.bind(texts)

    def search(request: gr.Request, *values: Any) -> Generator[tuple[Any, ...]]:
        *boxes, query, count, model, name, key, old = values
        yield from _find(context, boxes, query, int(count), model, name, key, old, request)

    job = gr.on(
        [start.click, query.submit],
        at_field(search, problem),
        [*texts.inputs(), query, count, *encoder, index],
        [index, result, status, code, download, problem],
        show_progress="hidden",
        api_visibility="private",
    )
    bind_stop(stop, [job], status, line(both(f"{TAB}.stopped")))


def _find(
    context: Context,
    boxes: list[Any],
    query: str,
    count: int,
    model: str,
    name: str | None,
    key: str | None,
    old: Any,
    page: gr.Request,
) -> Generator[tuple[Any, ...]]:
    """Yield (index, result, status line, recipe, download): the vectors that are not there yet, then the lines nearest to the query."""
    with show_errors(page):
        if not (query or "").strip():
            raise InvalidInput("invalid_blank", field="query")
    index = old
    for index, *updates in _prepare(
        context, boxes, query, model, server_fields(name, key), old, page
    ):
        yield (index, *updates, gr.skip(), gr.skip())
    for updates in _search(context, query, count, key, index, page):
        yield (gr.skip(), *updates)


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
    query: str,
    model: str,
    hosted: dict[str, str | None],
    old: Any,
    page: gr.Request,
) -> Generator[tuple[Any, Any, Any]]:
    """Yield (index, result, status line); the index fills in place, so that a stop loses nothing."""
    with show_errors(page):
        lines = lines_of_table(*boxes)
        # The query counts too: Korean may be looked for among English lines.
        spec = find_encoder(context, model, [*lines.texts[:SAMPLE], query])
        index = Index(lines.texts, spec.id, hosted["model_name"] or "", lines.numbers)
        if isinstance(old, Index) and old.same(index):
            index = old
        missing = np.flatnonzero(~index.ready)
        if not len(missing):
            return
        yield index, _lines_html(spec.label, lines), gr.skip()
        request = EncodeRequest.of(sentences=[index.lines[row] for row in missing], **hosted)
    pace, start = Pace(), time.monotonic()
    for event in follow(context, spec, request, page):
        if isinstance(event, Encoded):
            with show_errors(page):
                _add(index, replace(event, rows=missing[event.rows]))
            if pace.due():
                status = _progress(index, event.share, time.monotonic() - start)
                yield index, gr.skip(), status
        elif isinstance(event, Finished):
            yield index, gr.skip(), result_line(event, _ready(index))
        else:
            yield index, gr.skip(), waiting_line(event) or gr.skip()


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
    rest = seconds * (1 - share) / share if share else 0.0
    words = both(
        f"{TAB}.progress",
        done=f"{index.size:,}",
        total=f"{len(index.lines):,}",
        left=f"{rest:.0f}",
    )
    return f'{line(words)}<div class="progress"><div style="width:{share:.1%}"></div></div>'


def _search(
    context: Context, query: str, count: int, key: str | None, index: Any, page: gr.Request
) -> Generator[tuple[Any, Any, Any, Any]]:
    """Yield (result, status line, recipe, download)."""
    with show_errors(page):
        if not isinstance(index, Index) or not index.size:
            raise InvalidInput("invalid_no_lines")
        request = EncodeRequest.of(sentences=[query], **server_fields(index.model_name, key))
        spec = find(SENTENCE_SIMILARITY, index.model_id)
    result, seconds, hits = "", 0.0, list[tuple[int, float]]()
    for event in follow(context, spec, request, page):
        if isinstance(event, Encoded):
            start = time.perf_counter()
            hits = index.nearest(event.vectors[0], count)
            seconds = time.perf_counter() - start
            notes = "".join(map(note, _notes(spec, query, index)))
            result = _hits_html(index.lines, index.numbers, hits) + model_note(spec) + notes
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
    finish: Finished,
    index: Index,
    hits: list[tuple[int, float]],
) -> Any:
    """The Python that compares the query with the hits, and the search over HTTP."""
    if not hits:
        return gr.skip()
    lines = [index.lines[row] for row, _ in hits]
    place = finish.placement
    names = {"model_name": request.model_name}
    comparison = SimilarityRequest.of(sentences=[*request.sentences, *lines], **names)
    among = lines if sum(map(len, index.lines)) > IN_CALL or len(index.lines) > 299 else index.lines
    search = SimilarityRequest.of(sentences=[*request.sentences, *among], **names)
    return Script.of(
        tasks.recipe(spec, comparison, place),
        partial(search_call, spec, search, place, k=len(hits)),
    )


def _hits_html(
    lines: Sequence[str], numbers: Sequence[int], hits: Sequence[tuple[int, float]]
) -> str:
    """The nearest lines, with their cosines and numbers."""
    if not hits:
        return f"<p>{both(f'{TAB}.nothing')}</p>"
    head = "".join(
        f'<th scope="col">{both(f"{TAB}.{name}")}</th>' for name in ("score", "row", "line")
    )
    rows = "".join(
        f'<tr><td class="tight"><strong>{number(cosine)}</strong></td>'
        f'<td class="tight">{numbers[row]:,}</td>'
        f"<td>{html.escape(shorten(lines[row], EXCERPT))}</td></tr>"
        for row, cosine in hits
    )
    return f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _example(recording: Recording) -> str:
    query, lines = EXAMPLES[recording["language"]]
    texts = lines.splitlines()
    hits = [(int(row), float(cosine)) for row, cosine in recording["hits"]]
    spec = next(spec for spec in SENTENCE_SIMILARITY.models if spec.id == recording["model"])
    result = _hits_html(texts, range(1, len(texts) + 1), hits)
    return f'<p class="quoted">{html.escape(query)}</p>{result}{model_note(spec)}'
