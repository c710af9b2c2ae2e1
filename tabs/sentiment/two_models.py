"""Two models on the same texts, side by side, and where they disagree."""

import html
from collections.abc import Generator, Iterator
from itertools import islice
from typing import Any

import gradio as gr
import numpy as np

from models.contract import Finished, ModelSpec
from models.select import select_by_language
from models.sentiment.events import RowScores
from models.sentiment.requests import ManyTextsRequest
from models.sentiment.results import TableResults
from models.tasks import SENTIMENT
from models.text.tables import read_lines
from tabs.sentiment.scores_html import class_name, language_note
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
from tabs.shared.strings import both, language_of_page, percent, phrases_html, shorten, t
from tabs.shared.widgets import (
    bind_stop,
    examples_box,
    model_note,
    model_picker,
    problem_box,
    result_box,
    stop_button,
)
from tabs.shared.worked_examples import Recording, worked_example

TAB = "sentiment-two"
MAX_ROWS = 50  # texts on the page
MODELS = ("genlab/sentiment-en", "genlab/sentiment-ko")  # of the example
_REVIEWS = (
    "I loved every minute of this film.\nA dull, lifeless waste of two hours.",
    "정말 재미있고 감동적인 영화였어요.\n시간이 아까운 최악의 영화.",
)
EXAMPLES = {"en": "\n".join(_REVIEWS), "ko": "\n".join(reversed(_REVIEWS))}
TITLES = {
    "en": "Praise and blame in two languages, by an English and a Korean model",
    "ko": "두 언어로 쓴 칭찬과 혹평을 영어 모델과 한국어 모델로",
}
Side = list[
    tuple[ModelSpec, list[int]]
]  # the models of one side, each with the indexes of its texts


def build(context: Context) -> None:
    """Lay the part out and bind it."""
    with gr.Row():
        with gr.Column():
            texts = table_input.build(TAB)
            problem = problem_box(TAB)
            with gr.Row():
                start = gr.Button(
                    t("sentiment.two.start"), variant="primary", elem_id=f"{TAB}-start"
                )
                stop = stop_button(TAB)
            samples = gr.Column()
            first = model_picker(context, SENTIMENT, f"{TAB}-first", label=t("sentiment.two.first"))
            second = model_picker(
                context, SENTIMENT, f"{TAB}-second", label=t("sentiment.two.second")
            )
            controls = {"texts": texts.lines, "model": first, "second": second}
            Experiments("sentiment.two", controls, f"{TAB}-start")
            with samples:
                examples_box(
                    TAB,
                    [[None, lines, *MODELS] for lines in EXAMPLES.values()],
                    [texts.file, texts.lines, first, second],
                    f"{TAB}-start",
                    [*TITLES.values()],
                )
        with gr.Column():
            result, status = result_box(TAB, worked_example("sentiment.two", _example))
            download = table_input.download_button(TAB)
    table_input.bind(texts)

    def compare(request: gr.Request, *values: Any) -> Generator[Any]:
        yield from _compare(context, values, request)

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    job = start.click(
        at_field(compare, problem),
        [*texts.inputs(), first, second],
        [result, status, download, problem],
        **private,
    )
    bind_stop(stop, [job], status, line(both("page.stopped")))


def _compare(
    context: Context, values: tuple[Any, ...], request: gr.Request
) -> Generator[tuple[Any, Any, Any]]:
    """Yield (both models' classes, status line, download button), one model after the other."""
    *inputs, first, second = values
    with show_errors(request):
        table, column = table_input.table(*inputs)
        texts = table.column(column)
        language = language_of_page(request)
        sides = [
            select_by_language(SENTIMENT, model, context.settings, texts, language)
            for model in (first, second)
        ]
    both_results, pace = [TableResults(table, texts) for _ in sides], Pace()
    status = "".join(f'<p class="note">{note}</p>' for note in _notes(sides, texts))
    yield gr.skip(), status, gr.update(visible=False)
    for side, results in zip(sides, both_results, strict=True):
        for spec, rows in side:
            many = ManyTextsRequest.of(texts=[texts[row] for row in rows])
            for event in follow(context, spec, many, request):
                if isinstance(event, RowScores):
                    results.add(spec.id, rows, event)
                    if pace.due():
                        yield comparison_html(sides, both_results), gr.skip(), gr.skip()
                elif isinstance(event, Finished):
                    status += result_line(event)
                    yield comparison_html(sides, both_results), status, gr.skip()
                else:
                    yield gr.skip(), status + (waiting_line(event) or ""), gr.skip()
    yield gr.skip(), gr.skip(), gr.update(value=_csv_file(*both_results), visible=True)


def _csv_file(one: TableResults, two: TableResults) -> str:
    """Both models' results as a CSV, the input's columns first; returns its path."""
    count = len(one.table.columns)
    own = [
        f"{name}_{number}"
        for number, results in enumerate((one, two), 1)
        for name in results.columns()[count:]
    ]
    columns = [*one.table.columns, *own, "agree"]
    return table_input.csv_file("sentiment-two.csv", columns, comparison_rows(one, two))


def comparison_rows(one: TableResults, two: TableResults) -> Iterator[list[object]]:
    """The input's cells, each model's results, and whether they agree: "yes", "no" or "" (unknown)."""
    count = len(one.table.columns)
    comparable, differ, _ = _compare_classes(one, two)
    agree = np.where(comparable, np.where(differ, "no", "yes"), "").tolist()
    for left, right, answer in zip(one.rows(), two.rows(), agree, strict=True):
        yield [*left, *right[count:], answer]


def _compare_classes(
    one: TableResults, two: TableResults
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compare the likeliest classes row by row.

    Classes of two models are the same if their names are, in small or capital letters.

    Returns:
        (rows that both models have read; those of them with different classes; the sum of both
        probabilities), each of shape (rows,).
    """
    names = {name.lower(): index for index, name in enumerate([*one.labels, *two.labels])}
    (first, confidence_one), (second, confidence_two) = one.top_classes(), two.top_classes()
    first, second = (
        np.array([*(names[label.lower()] for label in results.labels), -1])[indexes]
        for results, indexes in ((one, first), (two, second))
    )
    comparable = (first >= 0) & (second >= 0)
    return comparable, comparable & (first != second), confidence_one + confidence_two


def _notes(sides: list[Side], texts: list[str]) -> list[str]:
    """Notes: both sides are one model, how "auto" split the texts, languages that a model does not read."""
    one, two = ([(spec.id, rows) for spec, rows in side] for side in sides)
    notes = [both("sentiment.two.same")] if one == two else []
    for number, side in enumerate(sides, 1):
        if len(side) > 1:
            split = ", ".join(f"{spec.label}: {len(rows):,}" for spec, rows in side)
            notes.append(both("sentiment.two.routed", number=number, split=split))
        for spec, rows in side:
            languages = (note for row in rows for note in language_note(spec, texts[row]))
            notes += [f"{phrases_html(spec.label)}: {note}" for note in islice(languages, 1)]
    return notes


def comparison_html(sides: list[Side], both_results: list[TableResults]) -> str:
    """How often they agree, then the texts on which they differ most, then the others."""
    one, two = both_results
    comparable, differ, confidence = _compare_classes(one, two)
    count, disagreements = int(comparable.sum()), np.flatnonzero(differ)
    order, head = [*range(len(one.texts))], ""
    if count:
        surest = disagreements[np.argsort(-confidence[disagreements], kind="stable")]
        order = [*surest.tolist(), *np.flatnonzero(comparable & ~differ).tolist()]
        same = count - len(disagreements)
        share = f"{same / count:.0%}"
        head = both("sentiment.two.agree", share=share, same=f"{same:,}", count=f"{count:,}")
        head += " " + both("sentiment.two.order") if len(disagreements) else ""
    rows = "".join(_row(one, two, row, bool(differ[row])) for row in order[:MAX_ROWS])
    names = "".join(f'<th scope="col">{_name(side)}</th>' for side in sides)
    specs = {spec.id: spec for side in sides for spec, _ in side}
    notes = "".join(map(model_note, specs.values()))
    return (
        f"<p>{head}</p>"
        f'<table class="plain"><thead><tr><th scope="col">{both("sentiment.file.head_line")}</th>'
        f'<th scope="col">{both("sentiment.file.head_text")}</th>{names}</tr></thead>'
        f"<tbody>{rows}</tbody></table>{notes}"
    )


def _example(recording: Recording) -> str:
    """What was recorded for the example's lines, as HTML."""
    table = read_lines(EXAMPLES[recording["language"]])
    texts, rows = table.column(table.columns[0]), [*range(len(table.rows))]
    sides: list[Side] = []
    both_results: list[TableResults] = []
    for model, scores in zip(recording["models"], recording["scores"], strict=True):
        sides.append([(next(s for s in SENTIMENT.models if s.id == model), rows)])
        both_results.append(TableResults(table, texts))
        event = RowScores(
            0, tuple(recording["labels"]), np.array(scores, np.float32), (1,) * len(rows)
        )
        both_results[-1].add(model, rows, event)
    return comparison_html(sides, both_results)


def _name(side: Side) -> str:
    """The models of a side; "auto" may take several."""
    return " / ".join(phrases_html(spec.label) for spec, _ in side)


def _row(one: TableResults, two: TableResults, row: int, differ: bool) -> str:
    cells = ""
    for results in (one, two):
        top = results.top_class(row)
        answer = f"{class_name(top[0])} {percent(top[1])}" if top else "–"
        cells += f'<td class="tight">{answer}</td>'
    mark = " <strong>≠</strong>" if differ else ""
    text = html.escape(shorten(one.texts[row]))
    return f"<tr><td>{one.table.lines[row]}</td><td>{text}{mark}</td>{cells}</tr>"
