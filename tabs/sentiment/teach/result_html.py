"""What teaching found, as HTML."""

import html
from collections.abc import Sequence

from models.teach.events import FineTuned, Taught, TrainStep
from tabs.shared.events import line
from tabs.shared.strings import both

TAB = "teach"
SHOWN = 12  # sentences listed


def name(label: str) -> str:
    """A class's name as HTML."""
    return html.escape(label)


def training(step: TrainStep) -> str:
    """How far a fine-tuning is."""
    return line(both(f"{TAB}.step", step=step.step, total=step.total, loss=f"{step.loss:.3f}"))


def loaded(labels: Sequence[str], encoder: str) -> str:
    """What a loaded classifier knows."""
    return line(both(f"{TAB}.loaded", labels=", ".join(labels), encoder=encoder))


def taught(found: Taught) -> str:
    """Accuracy in cross-validation against saying the commonest class, and where it was wrong."""
    count = sum(found.counts)
    if found.accuracy is None:
        text = _paragraph("no_trial")
    else:
        text = _large(found.accuracy) + _paragraph(
            "accuracy", folds=found.folds, count=count, chance=f"{found.chance:.0%}"
        )
    text += _notes(found.notes)
    if found.confusion:
        text += _confusion(found)
    if found.wrong:
        items = [
            f"<li>{html.escape(text)} <small>{name(label)} → <b>{name(said)}</b></small></li>"
            for text, label, said in found.wrong[:SHOWN]
        ]
        text += _paragraph("wrong") + f"<ul>{''.join(items)}</ul>"
    return text


def tuned(found: FineTuned) -> str:
    """Both accuracies on the held-out sentences, what fine-tuning added, and each of them."""
    count = len(found.held_out)
    difference = round((found.tuned_accuracy - found.head_accuracy) * count)
    verdict = "better" if difference > 0 else "worse" if difference < 0 else "equal"
    rows = "".join(
        f"<tr><td>{html.escape(text)}</td><td>{name(label)}</td>"
        f"<td>{_mark(head == label)} {name(head)}</td><td>{_mark(after == label)} {name(after)}</td></tr>"
        for text, label, head, after in found.held_out[:SHOWN]
    )
    columns = ("sentence", "label", "head", "tuned")
    heads = "".join(f'<th scope="col">{both(f"{TAB}.{one}")}</th>' for one in columns)
    return (
        f'<p class="teach-compare"><b>{found.head_accuracy:.0%}</b> {both(f"{TAB}.head")} → '
        f"<b>{found.tuned_accuracy:.0%}</b> {both(f'{TAB}.tuned')}</p>"
        + _paragraph(verdict, sentences=abs(difference), count=count)
        + _notes(found.notes)
        + _paragraph("moved", parameters=f"{found.parameters:,}", trained=found.trained_on)
        + f'<div style="overflow-x:auto"><table class="teach-table"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _confusion(found: Taught) -> str:
    """Rows are the person's labels, columns what was said of a sentence left out."""
    heads = "".join(f'<th scope="col">{name(label)}</th>' for label in found.labels)
    rows = "".join(
        f'<tr><th scope="row">{name(label)}</th>{"".join(f"<td>{cell}</td>" for cell in row)}</tr>'
        for label, row in zip(found.labels, found.confusion, strict=True)
    )
    return (
        f'<div style="overflow-x:auto"><table class="teach-table"><caption>{both(f"{TAB}.confusion")}'
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
