"""A file: every row's class, what they come to, and how right they are where labels are given."""

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from models.contract import Finished
from models.sentiment.by_model import by_model
from models.sentiment.events import RowsScored
from models.sentiment.measure import measure, proposed
from models.sentiment.requests import ManyTextsRequest
from models.sentiment.results import Results
from models.tasks import SENTIMENT
from tabs.sentiment import show_file
from tabs.shared import table_input as source
from tabs.shared.context import Context
from tabs.shared.events import Pace, follow, line, result_line, show_errors, waiting_line
from tabs.shared.strings import both, t
from tabs.shared.widgets import bind_stop, model_picker, result_box, stop_button

TAB = "sentiment-file"
LABELS = 50  # of a file that a mapping is proposed for
KEPT = 3600  # seconds that a visitor's results are kept


@dataclass(slots=True)
class Job:
    """A visitor's own results, filled while they are made; kept when they stop."""

    results: Results
    truth: list[str] | None


def build(context: Context) -> None:
    """Lay the part out and bind it."""
    job = gr.State(None, time_to_live=KEPT)
    with gr.Row():
        with gr.Column():
            given = source.build(TAB)
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
            measured = gr.HTML(elem_id=f"{TAB}-measured")
            download = source.download_button(TAB)
    source.bind(given, truth)

    def classify(request: gr.Request, *values: Any) -> Generator[Any]:
        yield from _classify(context, values, request)

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    run = start.click(
        classify, [*given.inputs(), truth, model], [job, result, status, download], **private
    )
    bind_stop(stop, [run], status, line(both("sentiment.file.stopped")))
    for end in (run.then, stop.click):  # a stop keeps what is done
        end(_finished, job, [mapping, measured, download], **private)
    mapping.submit(_measured, [job, mapping], measured, **private)


def _classify(context: Context, values: tuple[Any, ...], request: gr.Request) -> Generator[Any]:
    """Yield (job, table, status line, download button) as rows are scored."""
    *given, truth, model = values
    with show_errors(request):
        table, column = source.table(*given)
        results = Results(table, table.column(column))
        groups = by_model(model, context.settings, results.texts)
        job = Job(results, table.column(truth) if truth else None)
    yield job, show_file.rows(results), line(both("sentiment.file.begin")), gr.update(visible=False)
    done, total, pace, began = 0, len(results.texts), Pace(), time.monotonic()
    finished: list[Finished] = []
    for spec, rows in groups:
        ask = ManyTextsRequest.of(texts=[results.texts[row] for row in rows])
        for event in follow(context, spec, ask, request):
            if isinstance(event, RowsScored):
                results.add(spec.id, rows, event)
                done += len(event.scores)
                if pace.due():
                    wait = show_file.progress(done, total, time.monotonic() - began)
                    yield gr.skip(), show_file.rows(results), wait, gr.skip()
            elif isinstance(event, Finished):
                finished.append(event)
                yield gr.skip(), gr.skip(), gr.skip(), gr.skip()
            else:
                wait = (None if done else waiting_line(event)) or gr.skip()
                yield gr.skip(), gr.skip(), wait, gr.skip()
    status = "".join(result_line(one) for one in finished) + show_file.remarks(results, groups)
    yield gr.skip(), show_file.rows(results), status, gr.skip()


def _finished(job: Job | None) -> tuple[Any, str, Any]:
    """The proposal of what the file's labels mean, the figures under it, and the file to take away."""
    hidden = gr.update(visible=False)
    if job is None or not job.results.labels:
        return hidden, "", hidden
    saved = source.csv_file("sentiment.csv", job.results.columns(), job.results.rows())
    download = gr.update(value=saved, visible=True)
    if job.truth is None:
        return hidden, "", download
    meant = proposed(job.truth, job.results.labels)
    text = ", ".join(f"{name} = {label or '?'}" for name, label in [*meant.items()][:LABELS])
    same = all(name == label for name, label in meant.items())
    return gr.update(value=text, visible=not same), _measured(job, text), download


def _measured(job: Job | None, mapping: str) -> str:
    """Accuracy, confusion and calibration under a mapping such as "1 = positive, 0 = negative"."""
    if job is None or job.truth is None:
        return ""
    meant = dict(_pair(one) for one in mapping.split(",") if "=" in one)
    results = job.results
    found = measure(results.filled, results.labels, job.truth, meant)
    return show_file.measured(found, results.labels)


def _pair(text: str) -> tuple[str, str]:
    name, _, label = text.rpartition("=")
    return name.strip(), label.strip()
