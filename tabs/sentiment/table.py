"""A table: every row's class, what they come to, and how right they are where labels are given."""

import html
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from models.contract import Finished, ModelSpec
from models.select import select_by_language
from models.sentiment.events import RowScores
from models.sentiment.requests import ManyTextsRequest
from models.sentiment.results import Evaluation, TableResults, evaluate, propose_mapping
from models.tasks import SENTIMENT
from models.text.language import unread
from models.text.tables import Table, read_table
from tabs.sentiment.scores_html import class_kind, class_name
from tabs.shared import table_input
from tabs.shared.charts import Bar, bars
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
from tabs.shared.gradio_patches import save_to_cache
from tabs.shared.strings import LANGUAGES, both, language_of_page, percent, shorten, t
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

TAB = "sentiment-file"
MAX_LABELS = 50  # of a file, in the proposed mapping
FIRST_ROWS = 20  # on the page
LIFETIME = 3600  # seconds that a visitor's results stay in memory
REVIEWS = {  # the examples: id, review, label
    language: Path(__file__).with_name(f"reviews_{language}.csv") for language in LANGUAGES
}
TITLES = {"en": "12 film reviews with their labels (CSV)", "ko": "레이블이 붙은 영화평 12개(CSV)"}
CLASSES = ("positive", "negative", "neutral")  # that a file's labels may mean


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
            problem = problem_box(TAB)
            with gr.Row():
                start = gr.Button(
                    t("sentiment.file.start"), variant="primary", elem_id=f"{TAB}-start"
                )
                stop = stop_button(TAB)
            examples_box(
                TAB,
                [_example(REVIEWS[language]) for language in LANGUAGES],
                [texts.file, texts.lines, texts.header, texts.column, truth],
                f"{TAB}-start",
                [TITLES[language] for language in LANGUAGES],
            )
            model = model_picker(context, SENTIMENT, f"{TAB}-model")
        with gr.Column():
            result, status = result_box(TAB, worked_example("sentiment.file", _example_rows))
            mapping = gr.Textbox(
                label=t("sentiment.file.mapping"),
                info=t("sentiment.file.mapping_info"),
                visible=False,
                elem_id=f"{TAB}-mapping",
            )
            figures = worked_example("sentiment.file", _example_figures, note=False)
            evaluation = gr.HTML(figures, elem_id=f"{TAB}-measured")
            download = table_input.download_button(TAB)
    table_input.bind(texts, truth, label_column)

    def classify(request: gr.Request, *values: Any) -> Generator[Any]:
        yield from _classify(context, values, request)

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    run = start.click(
        at_field(classify, problem),
        [*texts.inputs(), truth, model],
        [job, result, status, download, evaluation, problem],
        **private,
    )
    bind_stop(stop, [run], status, line(both("sentiment.file.stopped")))
    for end in (run.then, stop.click):  # after a stop too: the rows until then stay
        end(_finish, job, [mapping, evaluation, download], **private)
    mapping.submit(_evaluate, [job, mapping], evaluation, **private)


def _classify(context: Context, values: tuple[Any, ...], request: gr.Request) -> Generator[Any]:
    """Yield (job, table, status line, download button, figures) during the job."""
    *inputs, truth, model = values
    with show_errors(request):
        table, column = table_input.table(*inputs)
        results = TableResults(table, table.column(column))
        language = language_of_page(request)
        models = select_by_language(SENTIMENT, model, context.settings, results.texts, language)
        job = TableJob(results, table.column(truth) if truth else None)
    yield job, _rows(results), line(both("sentiment.file.begin")), gr.update(visible=False), ""
    count, total, pace, start = 0, len(results.texts), Pace(), time.monotonic()
    lines: list[str] = []
    for spec, rows in models:
        many = ManyTextsRequest.of(texts=[results.texts[row] for row in rows])
        for event in follow(context, spec, many, request):
            if isinstance(event, RowScores):
                results.add(spec.id, rows, event)
                count += len(event.scores)
                if pace.due():
                    progress = _progress(count, total, time.monotonic() - start)
                    yield gr.skip(), _rows(results), progress, gr.skip(), gr.skip()
            elif isinstance(event, Finished):
                lines.append(result_line(event))
                yield (gr.skip(),) * 5
            else:
                wait = (None if count else waiting_line(event)) or gr.skip()
                yield gr.skip(), gr.skip(), wait, gr.skip(), gr.skip()
    end = "".join(lines) + _notes(results, models)
    yield gr.skip(), _rows(results), end, gr.skip(), gr.skip()


def _finish(job: TableJob | None) -> tuple[Any, str, Any]:
    """The proposed meaning of the file's labels, the figures under it, and the CSV to download."""
    hide = gr.update(visible=False)
    if job is None or not job.results.labels:
        return hide, "", hide
    csv = table_input.csv_file("sentiment.csv", job.results.columns(), job.results.rows())
    download = gr.update(value=csv, visible=True)
    if job.truth is None:
        return hide, "", download
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
        accuracy=percent(evaluation.accuracy),
        count=f"{evaluation.count:,}",
        skipped=f"{evaluation.skipped:,}",
        ece=f"{evaluation.ece:.3f}",
    )
    return f"<p>{summary}</p>{_confusion(evaluation)}{_calibration(evaluation)}"


# ---------------------------------------------------------------- the example, and a file's columns


def label_column(table: Table) -> str:
    """The column whose cells all mean a class of the usual models; "" for none."""
    for name in table.columns:
        cells = [cell for cell in table.column(name) if cell.strip()]
        meaning = propose_mapping(cells, CLASSES) if cells else {}
        if 2 <= len(meaning) <= len(CLASSES) and all(meaning.values()):
            return name
    return ""


def _example(path: Path) -> list[Any]:
    """What an example fills in: the file, no lines, a header, and the columns of text and labels."""
    table = read_table(path)
    return [
        partial(save_to_cache, path.read_bytes(), path.name),
        "",
        True,
        *table_input.column_choices(table, label_column(table)),
    ]


def example_job(recording: Recording, path: Path) -> TableJob:
    """The results that were recorded for an example's file."""
    table = read_table(path)
    results = TableResults(table, table.column(table_input.likely_column(table)))
    scores = np.array(recording["scores"], np.float32)
    event = RowScores(0, tuple(recording["labels"]), scores, (1,) * len(scores))
    results.add(recording["model"], [*range(len(scores))], event)
    return TableJob(results, table.column(label_column(table)))


def _example_rows(recording: Recording) -> str:
    return _rows(example_job(recording, REVIEWS[recording["language"]]).results)


def _example_figures(recording: Recording) -> str:
    job = example_job(recording, REVIEWS[recording["language"]])
    mapping = propose_mapping(job.truth or (), job.results.labels)
    return _evaluate(job, ", ".join(f"{name} = {label}" for name, label in mapping.items()))


# ---------------------------------------------------------------- HTML


def _progress(count: int, total: int, seconds: float) -> str:
    """How many rows are done, and how long the others will take at this speed."""
    rest = seconds * (total - count) / max(count, 1)
    bar = f'<div class="progress"><div style="width:{100 * count / total:.0f}%"></div></div>'
    counts = {"done": f"{count:,}", "total": f"{total:,}", "left": f"{rest:,.0f}"}
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
    names = dict.fromkeys(filter(None, results.models))
    notes = "".join(model_note(spec) for spec in SENTIMENT.models if spec.id in names)
    return (
        f'{chart}{notes}<table class="plain"><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _row(results: TableResults, row: int) -> str:
    text = html.escape(shorten(results.texts[row]))
    top = results.top_class(row)
    label, score = (class_name(top[0]), percent(top[1])) if top else ("–", "–")
    cells = "".join(f'<td class="tight">{cell}</td>' for cell in (label, score))
    return f'<tr><td class="tight">{results.table.lines[row]}</td><td>{text}</td>{cells}</tr>'


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
        f"<tr><td>{tenth * 10}–{tenth * 10 + 10}%</td><td>{one.count:,}</td>"
        f"<td>{percent(one.confidence)}</td><td>{percent(one.accuracy)}</td></tr>"
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
