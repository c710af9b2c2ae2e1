"""A file's results as HTML: first rows, classes, confusion, calibration, what was left out."""

import html
from collections.abc import Sequence

from models.contract import ModelSpec
from models.sentiment.measure import Measured
from models.sentiment.results import Results
from models.text.language import unread
from tabs.sentiment.show import class_name, short
from tabs.shared.events import line
from tabs.shared.strings import both
from tabs.shared.table_input import faults, row_numbers
from tabs.shared.widgets import bars

FIRST = 20  # rows that are shown


def progress(done: int, total: int, seconds: float) -> str:
    """How far it is, and how long it will take at this speed."""
    left = seconds * (total - done) / max(done, 1)
    bar = f'<div class="progress"><div style="width:{100 * done / total:.0f}%"></div></div>'
    said = both(
        "sentiment.file.progress", done=f"{done:,}", total=f"{total:,}", left=f"{left:,.0f}"
    )
    return bar + line(said)


def rows(results: Results) -> str:
    """The chart of the classes and the first rows."""
    counts = results.counts()
    scored = max(sum(counts.values()), 1)
    chart = bars(
        [(f"{class_name(label)} ({count:,})", count / scored) for label, count in counts.items()]
    )
    shown = "".join(_row(results, row) for row in range(min(FIRST, len(results.texts))))
    head = "".join(
        f'<th scope="col">{both(f"sentiment.file.head_{name}")}</th>'
        for name in ("line", "text", "label", "score")
    )
    return (
        f'{chart}<table class="plain"><caption>{both("sentiment.file.first", count=FIRST)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{shown}</tbody></table>"
    )


def _row(results: Results, row: int) -> str:
    text = html.escape(short(results.texts[row]))
    best = results.best(row)
    label, score = (class_name(best[0]), f"{best[1]:.1%}") if best else ("–", "–")
    return f"<tr><td>{results.table.lines[row]}</td><td>{text}</td><td>{label}</td><td>{score}</td></tr>"


def remarks(results: Results, groups: Sequence[tuple[ModelSpec, Sequence[int]]]) -> str:
    """Rows that were left out, by number; a file that was cut; a language that was not read."""
    said: list[str] = []
    if len(groups) > 1:
        split = ", ".join(f"{spec.label}: {len(some):,}" for spec, some in groups)
        said.append(both("sentiment.file.routed", split=split))
    foreign = sum(1 for spec, some in groups for row in some if unread(spec, results.texts[row]))
    if foreign:
        said.append(both("sentiment.file.unread", count=f"{foreign:,}"))
    said += faults(results.table)
    blank = [
        number
        for number, model in zip(results.table.lines, results.models, strict=True)
        if not model
    ]
    if blank:
        said.append(both("sentiment.file.blank", rows=row_numbers(blank)))
    return "".join(f'<p class="note">{one}</p>' for one in said)


def measured(found: Measured | None, labels: Sequence[str]) -> str:
    """Accuracy, confusion matrix and reliability; or that no label is one of the model's."""
    if found is None:
        return f'<p class="note">{both("sentiment.file.no_label", labels=", ".join(labels))}</p>'
    summary = both(
        "sentiment.file.accuracy",
        accuracy=f"{found.accuracy:.1%}",
        count=f"{found.count:,}",
        skipped=f"{found.skipped:,}",
        ece=f"{found.ece:.3f}",
    )
    return f"<p>{summary}</p>{_confusion(found)}{_reliability(found)}"


def _confusion(found: Measured) -> str:
    head = "".join(f'<th scope="col">{class_name(label)}</th>' for label in found.labels)
    body = "".join(
        f'<tr><th scope="row">{class_name(label)}</th>'
        + "".join(f"<td>{count:,}</td>" for count in row)
        + "</tr>"
        for label, row in zip(found.labels, found.confusion, strict=True)
    )
    return (
        f'<table class="plain"><caption>{both("sentiment.file.confusion")}</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _reliability(found: Measured) -> str:
    body = "".join(
        f"<tr><td>{tenth * 10}–{tenth * 10 + 10} %</td><td>{one.count:,}</td>"
        f"<td>{one.confidence:.1%}</td><td>{one.accuracy:.1%}</td></tr>"
        for tenth, one in enumerate(found.bins)
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
