"""Two models on the same texts, side by side, and where they disagree."""

import html
from collections.abc import Generator, Iterator
from typing import Any

import gradio as gr
import numpy as np

from models.contract import Finished, ModelSpec
from models.sentiment.by_model import by_model
from models.sentiment.events import RowsScored
from models.sentiment.requests import ManyTextsRequest
from models.sentiment.results import Results
from models.tasks import SENTIMENT
from tabs.sentiment.show import class_name, language_note, short
from tabs.shared import table_input as source
from tabs.shared.context import Context
from tabs.shared.events import Pace, follow, line, result_line, show_errors, waiting_line
from tabs.shared.strings import both, t
from tabs.shared.table_input import csv_file
from tabs.shared.widgets import bind_stop, model_picker, result_box, stop_button

TAB = "sentiment-two"
SHOWN = 50  # texts
Side = list[tuple[ModelSpec, list[int]]]  # the models of a side, each with its texts' places


def build(context: Context) -> None:
    """Lay the part out and bind it."""
    with gr.Row():
        with gr.Column():
            given = source.build(TAB)
            with gr.Row():
                start = gr.Button(
                    t("sentiment.two.start"), variant="primary", elem_id=f"{TAB}-start"
                )
                stop = stop_button(TAB)
            first = model_picker(context, SENTIMENT, f"{TAB}-first", label=t("sentiment.two.first"))
            second = model_picker(
                context, SENTIMENT, f"{TAB}-second", label=t("sentiment.two.second")
            )
        with gr.Column():
            result, status = result_box(TAB, both("sentiment.two.empty"))
            download = source.download_button(TAB)
    source.bind(given)

    def compare(request: gr.Request, *values: Any) -> Generator[Any]:
        yield from _compare(context, values, request)

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    job = start.click(
        compare, [*given.inputs(), first, second], [result, status, download], **private
    )
    bind_stop(stop, [job], status, line(both("page.stopped")))


def _compare(
    context: Context, values: tuple[Any, ...], request: gr.Request
) -> Generator[tuple[Any, Any, Any]]:
    """Yield (both models' classes, status line, download button) as rows are scored, one model after the other."""
    *given, first, second = values
    with show_errors(request):
        table, column = source.table(*given)
        texts = table.column(column)
        sides = [by_model(one, context.settings, texts) for one in (first, second)]
    found, pace = [Results(table, texts) for _ in sides], Pace()
    said = "".join(f'<p class="note">{note}</p>' for note in _notes(sides, texts))
    yield gr.skip(), said, gr.update(visible=False)
    for side, results in zip(sides, found, strict=True):
        for spec, rows in side:
            ask = ManyTextsRequest.of(texts=[texts[row] for row in rows])
            for event in follow(context, spec, ask, request):
                if isinstance(event, RowsScored):
                    results.add(spec.id, rows, event)
                    if pace.due():
                        yield table_of(sides, found), gr.skip(), gr.skip()
                elif isinstance(event, Finished):
                    said += result_line(event)
                    yield table_of(sides, found), said, gr.skip()
                else:
                    yield gr.skip(), said + (waiting_line(event) or ""), gr.skip()
    yield gr.skip(), gr.skip(), gr.update(value=saved(found), visible=True)


def saved(found: list[Results]) -> str:
    """Both models' results as a CSV, the input's columns first; returns its path."""
    one, two = found
    at = len(one.table.columns)
    own = [[f"{name}_{number}" for name in r.columns()[at:]] for number, r in enumerate(found, 1)]
    columns = [*one.table.columns, *own[0], *own[1], "agree"]
    return csv_file("sentiment-two.csv", columns, _both_rows(one, two))


def _both_rows(one: Results, two: Results) -> Iterator[list[object]]:
    """The input's cells, what each model found, and whether they agree ("" where one found nothing)."""
    at = len(one.table.columns)
    known, differ, _ = _agreement(one, two)
    agree = np.where(known, np.where(differ, "no", "yes"), "").tolist()
    for left, right, same in zip(one.rows(), two.rows(), agree, strict=True):
        yield [*left, *right[at:], same]


def _agreement(one: Results, two: Results) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows that both have read, rows of these whose classes differ, how sure the two are together.

    Classes of two models are the same where their names are, in small or capital letters.
    """
    names = {name.lower(): place for place, name in enumerate([*one.labels, *two.labels])}
    (first, sure), (second, also) = one.likeliest(), two.likeliest()
    first, second = (
        np.array([*(names[label.lower()] for label in results.labels), -1])[at]
        for results, at in ((one, first), (two, second))
    )
    known = (first >= 0) & (second >= 0)
    return known, known & (first != second), sure + also


def _notes(sides: list[Side], texts: list[str]) -> list[str]:
    """How "auto" shared the texts out, what a model does not read, and that the two are one."""
    one, two = ([(spec.id, rows) for spec, rows in side] for side in sides)
    notes = [both("sentiment.two.same")] if one == two else []
    for number, side in enumerate(sides, 1):
        if len(side) > 1:
            split = ", ".join(f"{spec.label}: {len(rows):,}" for spec, rows in side)
            notes.append(both("sentiment.two.routed", number=number, split=split))
        for spec, rows in side:
            said = next(filter(None, (language_note(spec, texts[row]) for row in rows)), "")
            if said:
                notes.append(f"{html.escape(spec.label)}: {said}")
    return notes


def table_of(sides: list[Side], found: list[Results]) -> str:
    """How often they agree, then the texts on which they differ most, then the others."""
    one, two = found
    known, differ, sure = _agreement(one, two)
    count, apart = int(known.sum()), np.flatnonzero(differ)
    if count:
        surest = apart[np.argsort(-sure[apart], kind="stable")]
        order = [*surest.tolist(), *np.flatnonzero(known & ~differ).tolist()]
        share = f"{1 - len(apart) / count:.1%}"
        head = both("sentiment.two.agree", share=share, count=f"{count:,}")
        head += both("sentiment.two.order") if len(apart) else ""
    else:
        order, head = [*range(len(one.texts))], ""
    rows = "".join(_row(one, two, row, bool(differ[row])) for row in order[:SHOWN])
    names = "".join(f'<th scope="col">{_name(side)}</th>' for side in sides)
    return (
        f"<p>{head}</p>"
        f'<table class="plain"><thead><tr><th scope="col">{both("sentiment.file.head_line")}</th>'
        f'<th scope="col">{both("sentiment.file.head_text")}</th>{names}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _name(side: Side) -> str:
    """The models of a side; "auto" may have taken several."""
    return " / ".join(html.escape(spec.label) for spec, _ in side)


def _row(one: Results, two: Results, row: int, differ: bool) -> str:
    cells = ""
    for results in (one, two):
        best = results.best(row)
        cells += f"<td>{class_name(best[0])} {best[1]:.1%}</td>" if best else "<td>–</td>"
    mark = " <strong>≠</strong>" if differ else ""
    text = html.escape(short(one.texts[row]))
    return f"<tr><td>{one.table.lines[row]}</td><td>{text}{mark}</td>{cells}</tr>"
