"""The results of a training as HTML."""

import html
from collections.abc import Sequence

from models.teach.events import FineTuningResult, HeadResult, TrainingStep
from tabs.shared.events import line
from tabs.shared.strings import both

TAB = "teach"
MAX_SENTENCES = 12  # in a list


def name(label: str) -> str:
    """A class's name as HTML."""
    return html.escape(label)


def progress(step: TrainingStep) -> str:
    """The step of a fine-tuning and its loss."""
    return line(both(f"{TAB}.step", step=step.step, total=step.total, loss=f"{step.loss:.3f}"))


def file(labels: Sequence[str], encoder: str) -> str:
    """The classes and the encoder of a classifier from a file."""
    return line(both(f"{TAB}.loaded", labels=", ".join(labels), encoder=encoder))


def head(result: HeadResult) -> str:
    """Accuracy in cross-validation beside that of the commonest class, and the wrong predictions."""
    count = sum(result.counts)
    if result.accuracy is None:
        text = _paragraph("no_trial")
    else:
        text = _large(result.accuracy) + _paragraph(
            "accuracy", folds=result.folds, count=count, chance=f"{result.chance:.0%}"
        )
    text += _notes(result.notes)
    if result.confusion:
        text += _confusion(result)
    if result.wrong:
        items = [
            f"<li>{html.escape(text)} <small>{name(label)} → <b>{name(prediction)}</b></small></li>"
            for text, label, prediction in result.wrong[:MAX_SENTENCES]
        ]
        text += _paragraph("wrong") + f"<ul>{''.join(items)}</ul>"
    return text


def fine_tuning(result: FineTuningResult) -> str:
    """Both accuracies on the held-out sentences, their difference, and the sentences."""
    count = len(result.held_out)
    difference = round((result.tuned_accuracy - result.head_accuracy) * count)
    verdict = "better" if difference > 0 else "worse" if difference < 0 else "equal"
    rows = "".join(
        f"<tr><td>{html.escape(text)}</td><td>{name(label)}</td>"
        f"<td>{_mark(alone == label)} {name(alone)}</td><td>{_mark(with_lora == label)} {name(with_lora)}</td></tr>"
        for text, label, alone, with_lora in result.held_out[:MAX_SENTENCES]
    )
    columns = ("sentence", "label", "head", "tuned")
    heads = "".join(f'<th scope="col">{both(f"{TAB}.{one}")}</th>' for one in columns)
    return (
        f'<p class="teach-compare"><b>{result.head_accuracy:.0%}</b> {both(f"{TAB}.head")} → '
        f"<b>{result.tuned_accuracy:.0%}</b> {both(f'{TAB}.tuned')}</p>"
        + _paragraph(verdict, sentences=abs(difference), count=count)
        + _notes(result.notes)
        + _paragraph("moved", parameters=f"{result.parameters:,}", trained=result.trained_on)
        + f'<div style="overflow-x:auto"><table class="plain teach-table"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _confusion(result: HeadResult) -> str:
    """Rows are the labels, columns the predictions in cross-validation."""
    heads = "".join(f'<th scope="col">{name(label)}</th>' for label in result.labels)
    rows = "".join(
        f'<tr><th scope="row">{name(label)}</th>{"".join(f"<td>{cell}</td>" for cell in row)}</tr>'
        for label, row in zip(result.labels, result.confusion, strict=True)
    )
    return (
        f'<div style="overflow-x:auto"><table class="plain teach-table"><caption>{both(f"{TAB}.confusion")}'
        f"</caption><thead><tr><td></td>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _large(accuracy: float) -> str:
    return (
        f'<p style="margin:0;font-size:2.75rem;font-weight:700;line-height:1.2">{accuracy:.0%}</p>'
    )


def _mark(right: bool) -> str:
    return "✓" if right else "✗"


def _paragraph(key: str, **params: object) -> str:
    return f"<p>{both(f'{TAB}.{key}', **params)}</p>"


def _notes(codes: Sequence[str]) -> str:
    return "".join(f'<p class="note">{both(f"notes.{code}")}</p>' for code in codes)
