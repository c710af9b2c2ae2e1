"""A table: every row's class, what they come to, and how right they are where labels are given."""

import html
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from models.contract import Finished, ModelSpec
from models.select import select_by_language
from models.sentiment.events import RowScores
from models.sentiment.requests import ManyTextsRequest
from models.sentiment.results import Evaluation, TableResults, evaluate, propose_mapping
from models.tasks import SENTIMENT
from models.text.language import unread
from tabs.sentiment.scores_html import class_kind, class_name, shorten
from tabs.shared import table_input
from tabs.shared.charts import Bar, bars
from tabs.shared.context import Context
from tabs.shared.events import Pace, follow, line, result_line, show_errors, waiting_line
from tabs.shared.strings import both, t
from tabs.shared.widgets import bind_stop, model_picker, result_box, stop_button

TAB = "sentiment-file"
MAX_LABELS = 50  # of a file, in the proposed mapping
FIRST_ROWS = 20  # on the page
LIFETIME = 3600  # seconds that a visitor's results stay in memory


@dataclass(slots=True)
class TableJob:
    """A visitor's results, filled during the job; they stay after a stop.

    Attributes:
        truth: the labels in the file; None without.
    """

    results: TableResults
    truth: list[str] | None


def build(context: Context) -> None:
    """Lay the part out and bind it."""
    job = gr.State(None, time_to_live=LIFETIME)
    with gr.Row():
        with gr.Column():
            texts = table_input.build(TAB)
            truth = gr.Dropdown(
                [], label=t("sentiment.file.truth"), visible=False, elem_id=f"{TAB}-truth"
            )
            with gr.Row():
                start = gr.Button(
                    t("sentiment.file.start"), variant="primary", elem_id=f"{TAB}-start"
                )
                stop = stop_button(TAB)
            model = model_picker(context, SENTIMENT, f"{TAB}-model")
        with gr.Column():
            result, status = result_box(TAB, both("sentiment.file.empty"))
            mapping = gr.Textbox(
                label=t("sentiment.file.mapping"),
                info=t("sentiment.file.mapping_info"),
                visible=False,
                elem_id=f"{TAB}-mapping",
            )
            evaluation = gr.HTML(elem_id=f"{TAB}-measured")
            download = table_input.download_button(TAB)
    table_input.bind(texts, truth)

    def classify(request: gr.Request, *values: Any) -> Generator[Any]:
        yield from _classify(context, values, request)

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    run = start.click(
        classify, [*texts.inputs(), truth, model], [job, result, status, download], **private
    )
    bind_stop(stop, [run], status, line(both("sentiment.file.stopped")))
    for end in (run.then, stop.click):  # after a stop too: the rows until then stay
        end(_finish, job, [mapping, evaluation, download], **private)
    mapping.submit(_evaluate, [job, mapping], evaluation, **private)


def _classify(context: Context, values: tuple[Any, ...], request: gr.Request) -> Generator[Any]:
    """Yield (job, table, status line, download button) during the job."""
    *inputs, truth, model = values
    with show_errors(request):
        table, column = table_input.table(*inputs)
        results = TableResults(table, table.column(column))
        models = select_by_language(SENTIMENT, model, context.settings, results.texts)
        job = TableJob(results, table.column(truth) if truth else None)
    yield job, _rows(results), line(both("sentiment.file.begin")), gr.update(visible=False)
    done, total, pace, start = 0, len(results.texts), Pace(), time.monotonic()
    lines: list[str] = []
    for spec, rows in models:
        many = ManyTextsRequest.of(texts=[results.texts[row] for row in rows])
        for event in follow(context, spec, many, request):
            if isinstance(event, RowScores):
                results.add(spec.id, rows, event)
                done += len(event.scores)
                if pace.due():
                    progress = _progress(done, total, time.monotonic() - start)
                    yield gr.skip(), _rows(results), progress, gr.skip()
            elif isinstance(event, Finished):
                lines.append(result_line(event))
                yield gr.skip(), gr.skip(), gr.skip(), gr.skip()
            else:
                wait = (None if done else waiting_line(event)) or gr.skip()
                yield gr.skip(), gr.skip(), wait, gr.skip()
    yield gr.skip(), _rows(results), "".join(lines) + _notes(results, models), gr.skip()


def _finish(job: TableJob | None) -> tuple[Any, str, Any]:
    """The proposed meaning of the file's labels, the figures under it, and the CSV to download."""
    hidden = gr.update(visible=False)
    if job is None or not job.results.labels:
        return hidden, "", hidden
    csv = table_input.csv_file("sentiment.csv", job.results.columns(), job.results.rows())
    download = gr.update(value=csv, visible=True)
    if job.truth is None:
        return hidden, "", download
    mapping = propose_mapping(job.truth, job.results.labels)
    text = ", ".join(f"{name} = {label or '?'}" for name, label in [*mapping.items()][:MAX_LABELS])
    same = all(name == label for name, label in mapping.items())
    return gr.update(value=text, visible=not same), _evaluate(job, text), download


def _evaluate(job: TableJob | None, mapping: str) -> str:
    """Accuracy, confusion and calibration under a mapping such as "1 = positive, 0 = negative"."""
    if job is None or job.truth is None:
        return ""
    pairs = [pair.rpartition("=") for pair in mapping.split(",") if "=" in pair]
    meaning = {name.strip(): label.strip() for name, _, label in pairs}
    labels = job.results.labels
    evaluation = evaluate(job.results.complete_scores(), labels, job.truth, meaning)
    if evaluation is None:
        return f'<p class="note">{both("sentiment.file.no_label", labels=", ".join(labels))}</p>'
    summary = both(
        "sentiment.file.accuracy",
        accuracy=f"{evaluation.accuracy:.1%}",
        count=f"{evaluation.count:,}",
        skipped=f"{evaluation.skipped:,}",
        ece=f"{evaluation.ece:.3f}",
    )
    return f"<p>{summary}</p>{_confusion(evaluation)}{_calibration(evaluation)}"


# ---------------------------------------------------------------- HTML


def _progress(done: int, total: int, seconds: float) -> str:
    """How many rows are done, and how long the others will take at this speed."""
    left = seconds * (total - done) / max(done, 1)
    bar = f'<div class="progress"><div style="width:{100 * done / total:.0f}%"></div></div>'
    counts = {"done": f"{done:,}", "total": f"{total:,}", "left": f"{left:,.0f}"}
    return bar + line(both("sentiment.file.progress", **counts))


def _rows(results: TableResults) -> str:
    """The chart of the classes and the first rows."""
    counts = results.class_counts()
    total = max(sum(counts.values()), 1)
    chart = bars(
        [
            Bar(f"{class_name(label)} ({count:,})", count / total, class_kind(label))
            for label, count in counts.items()
        ]
    )
    rows = "".join(_row(results, row) for row in range(min(FIRST_ROWS, len(results.texts))))
    head = "".join(
        f'<th scope="col">{both(f"sentiment.file.head_{name}")}</th>'
        for name in ("line", "text", "label", "score")
    )
    caption = both("sentiment.file.first", count=FIRST_ROWS)
    return (
        f'{chart}<table class="plain"><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _row(results: TableResults, row: int) -> str:
    text = html.escape(shorten(results.texts[row]))
    top = results.top_class(row)
    label, score = (class_name(top[0]), f"{top[1]:.1%}") if top else ("–", "–")
    return f"<tr><td>{results.table.lines[row]}</td><td>{text}</td><td>{label}</td><td>{score}</td></tr>"


def _notes(results: TableResults, models: Sequence[tuple[ModelSpec, Sequence[int]]]) -> str:
    """The models of the rows, rows in another language, faulty and blank rows by their number."""
    notes: list[str] = []
    if len(models) > 1:
        split = ", ".join(f"{spec.label}: {len(rows):,}" for spec, rows in models)
        notes.append(both("sentiment.file.routed", split=split))
    foreign = sum(bool(unread(spec, results.texts[row])) for spec, rows in models for row in rows)
    if foreign:
        notes.append(both("sentiment.file.unread", count=f"{foreign:,}"))
    notes += table_input.faults(results.table)
    numbers = zip(results.table.lines, results.models, strict=True)
    blank = [number for number, model in numbers if not model]
    if blank:
        notes.append(both("sentiment.file.blank", rows=table_input.row_numbers(blank)))
    return "".join(f'<p class="note">{note}</p>' for note in notes)


def _confusion(evaluation: Evaluation) -> str:
    head = "".join(f'<th scope="col">{class_name(label)}</th>' for label in evaluation.labels)
    body = "".join(
        f'<tr><th scope="row">{class_name(label)}</th>'
        + "".join(f"<td>{count:,}</td>" for count in row)
        + "</tr>"
        for label, row in zip(evaluation.labels, evaluation.confusion, strict=True)
    )
    return (
        f'<table class="plain"><caption>{both("sentiment.file.confusion")}</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _calibration(evaluation: Evaluation) -> str:
    body = "".join(
        f"<tr><td>{tenth * 10}–{tenth * 10 + 10} %</td><td>{one.count:,}</td>"
        f"<td>{one.confidence:.1%}</td><td>{one.accuracy:.1%}</td></tr>"
        for tenth, one in enumerate(evaluation.bins)
        if one.count
    )
    head = "".join(
        f'<th scope="col">{both(f"sentiment.file.bin_{name}")}</th>'
        for name in ("range", "count", "sure", "right")
    )
    return (
        f'<table class="plain"><caption>{both("sentiment.file.reliability")}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
