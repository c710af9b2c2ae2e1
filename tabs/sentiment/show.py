"""Scores, parts and words as HTML, and what there is to say about a result."""

import html
import re

from models.contract import ModelSpec
from models.sentiment.events import Attribution, Part, Scores, Word
from models.text.language import language_of, unread
from tabs.shared.strings import STRINGS, both
from tabs.shared.widgets import bars

STRONGEST = 45  # per cent of colour behind the strongest word: text on it keeps its contrast
SHOWN_FROM = 0.005  # half a point of probability; less gets neither sign nor colour
MANY_UNKNOWN = 0.2  # share of tokens
NAMELESS = re.compile(r"LABEL_\d+")


def class_bars(scores: Scores) -> str:
    """The classes with their probabilities, highest first; under them the parts of a long text."""
    return bars([(class_name(name), p) for name, p in scores.scores])


def class_name(name: str) -> str:
    """A class in both languages where it is a usual one, as HTML."""
    key = class_key(name)
    return both(key) if key else html.escape(name)


def class_key(name: str) -> str:
    """The string that names a usual class; "" for any other."""
    key = f"sentiment.classes.{name.lower()}"
    return key if key in STRINGS["en"] else ""


def parts(text: str, pieces: tuple[Part, ...]) -> str:
    """A folded table of the pieces of a long text with their scores; nothing where there is one."""
    if not pieces:
        return ""
    rows = "".join(
        f"<tr><td>{number}</td><td>{html.escape(short(text[piece.begin : piece.end]))}</td>"
        f"<td>{class_name(best[0])} {best[1]:.1%}</td><td>{piece.tokens}</td></tr>"
        for number, piece in enumerate(pieces, 1)
        for best in [max(piece.scores, key=lambda score: score[1])]
    )
    head = "".join(
        f'<th scope="col">{both(f"sentiment.part_{name}")}</th>'
        for name in ("number", "text", "score", "tokens")
    )
    return (
        f"<details><summary>{both('sentiment.parts_open', parts=len(pieces))}</summary>"
        f"<p>{both('sentiment.parts_rule')}</p>"
        f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></details>'
    )


def short(text: str, most: int = 120) -> str:
    """A text in a table: its beginning, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def notes(spec: ModelSpec, text: str, scores: Scores) -> list[str]:
    """What a person should know before believing the scores, a piece of HTML each."""
    said: list[str] = []
    if scores.parts > 1:
        said.append(both("sentiment.parts", parts=scores.parts))
    if scores.multi_label:
        said.append(both("sentiment.multi_label"))
    if note := language_note(spec, text):
        said.append(note)
    if scores.unknown >= MANY_UNKNOWN:
        said.append(both("sentiment.unknown", share=f"{scores.unknown:.0%}"))
    if scores.scores and all(NAMELESS.fullmatch(name) for name, _ in scores.scores):
        said.append(both("sentiment.nameless"))
    return said


def language_note(spec: ModelSpec, text: str) -> str:
    """That a model does not read the text's language, or a part of it; "" where all is well."""
    language = unread(spec, text)
    if language and language == language_of(text):
        return both("sentiment.language", languages=", ".join(spec.languages))
    if language:
        return both("sentiment.language_mixed")
    typed = not spec.note  # an id that is not of the catalogue: nothing is known of it
    return both("sentiment.language_typed") if typed and language_of(text) == "ko" else ""


def words(text: str, found: Attribution) -> str:
    """The text with each word's share in points of probability, and all of them as a table."""
    strongest = max((abs(word.value) for word in found.words), default=0.0) or 1.0
    marked, at = "", 0
    for word in found.words:
        marked += html.escape(text[at : word.begin]) + _marked(text, word, strongest)
        at = word.end
    return (
        f"<p>{_sum(found)}</p>"
        f'<p class="marked-words">{marked}{html.escape(text[at:])}</p>'
        f"<p>{both('sentiment.why.legend', label=class_labels(found.label))}</p>"
        f"<details><summary>{both('sentiment.why.table')}</summary>{_table(text, found)}</details>"
    )


def _sum(found: Attribution) -> str:
    """What the values add up to, or stand for."""
    label = class_labels(found.label)
    if found.baseline is None:
        return both("sentiment.why.left_out", label=label, score=f"{found.score:.1%}")
    return both(
        "sentiment.why.sum",
        label=label,
        baseline=f"{found.baseline:.1%}",
        score=f"{found.score:.1%}",
        difference=points(found.score - found.baseline, 1),
        error=f"{100 * abs(found.error):.2f}",
        steps=found.steps,
    )


def class_labels(name: str) -> dict[str, str]:
    """A class's name per language, as plain text."""
    key = class_key(name)
    return {language: texts.get(key, name) for language, texts in STRINGS.items()}


def points(value: float, digits: int = 0) -> str:
    """A difference of probabilities in points, with its sign."""
    return f"{100 * value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _marked(text: str, word: Word, strongest: float) -> str:
    shown = html.escape(text[word.begin : word.end])
    cut = " ".join(f"{token} {number}" for token, number in word.tokens)
    title = html.escape(f"{points(word.value, 1)} · {cut}" if cut else points(word.value, 1))
    if abs(word.value) < SHOWN_FROM:
        return f'<span title="{title}">{shown}</span>'
    side = "for" if word.value > 0 else "against"
    share = round(STRONGEST * abs(word.value) / strongest)
    return (
        f'<span class="word-{side}" style="--share:{share}%" title="{title}">{shown}'
        f"<sup>{points(word.value)}</sup></span>"
    )


def _table(text: str, found: Attribution) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(text[word.begin : word.end])}</td><td>{points(word.value, 2)}</td>"
        f"<td>{html.escape(' '.join(f'{token} ({number})' for token, number in word.tokens))}</td></tr>"
        for word in found.words
    )
    head = "".join(
        f'<th scope="col">{both(f"sentiment.why.{name}")}</th>'
        for name in ("word", "points", "tokens")
    )
    rest = both("sentiment.why.rest", value=points(found.rest, 2)) if found.rest else ""
    return f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{rest}'
