"""Scores, the pieces of a long text and its words as HTML, and the notes on a result."""

import html
import re

from models.contract import ModelSpec
from models.sentiment.catalog import doubt
from models.sentiment.events import Attribution, Scores, TextPiece, WordAttribution
from models.text.language import language_of, unread
from tabs.shared.charts import Bar, Kind, bars
from tabs.shared.strings import LANGUAGES, STRINGS, both, percent, shorten
from tabs.shared.widgets import model_note

MAX_COLOUR = 45  # per cent, behind the strongest word; with more its text is hard to read
MIN_VALUE = 0.005  # half a point of probability; a word with less has neither number nor colour
MANY_UNKNOWN = 0.2  # share of tokens
_NAMELESS = re.compile(r"LABEL_\d+")


def reading(spec: ModelSpec, text: str, scores: Scores, quote: bool = False) -> str:
    """What a model says of a text: the classes, the pieces of a long one, and what the model is.

    Args:
        spec: the model.
        text: what it read.
        scores: what it said.
        quote: whether the text stands above.
    """
    above = f'<p class="quoted">{html.escape(shorten(text))}</p>' if quote else ""
    below = doubt_note(spec, scores) + pieces_table(text, scores.pieces) + model_note(spec)
    return above + class_bars(scores) + below


def class_bars(scores: Scores) -> str:
    """The classes with their probabilities, highest first."""
    return bars([Bar(class_name(name), p, class_kind(name)) for name, p in scores.scores])


def class_kind(name: str) -> Kind:
    """What a class's colour means."""
    key = class_key(name).rpartition(".")[2]
    return "positive" if key == "positive" else "negative" if key == "negative" else "neutral"


def doubt_note(spec: ModelSpec, scores: Scores) -> str:
    """A note that the model is often wrong at such a probability; "" where it is not."""
    right = doubt(spec.id, scores.scores[0][1]) if scores.scores else None
    return f'<p class="note">{both("sentiment.unsure", right=f"{right:.0%}")}</p>' if right else ""


def class_name(name: str) -> str:
    """A class in both languages where it is a usual one, as HTML."""
    key = class_key(name)
    return both(key) if key else html.escape(name)


def class_key(name: str) -> str:
    """The key of a usual class's name in tabs/text; "" for any other class."""
    key = f"sentiment.classes.{name.lower()}"
    return key if key in STRINGS["en"] else ""


def pieces_table(text: str, pieces: tuple[TextPiece, ...]) -> str:
    """A folded table of the pieces of a long text with their scores; "" for a text of one piece."""
    if not pieces:
        return ""
    rows = "".join(
        f"<tr><td>{number}</td><td>{html.escape(shorten(text[piece.begin : piece.end]))}</td>"
        f'<td class="tight">{class_name(top[0])} {percent(top[1])}</td><td>{piece.tokens}</td></tr>'
        for number, piece in enumerate(pieces, 1)
        for top in [max(piece.scores, key=lambda score: score[1])]
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


def notes(spec: ModelSpec, text: str, scores: Scores) -> list[str]:
    """What a person should know before believing the scores, as HTML."""
    lines: list[str] = []
    if scores.parts > 1:
        lines.append(both("sentiment.parts", parts=scores.parts))
    if scores.multi_label:
        lines.append(both("sentiment.multi_label"))
    lines += language_note(spec, text)
    if scores.unknown >= MANY_UNKNOWN:
        lines.append(both("sentiment.unknown", share=f"{scores.unknown:.0%}"))
    if scores.scores and all(_NAMELESS.fullmatch(name) for name, _ in scores.scores):
        lines.append(both("sentiment.nameless"))
    return lines


def language_note(spec: ModelSpec, text: str) -> list[str]:
    """A note, as HTML, that a model does not read the text's language or a part of it; "" where it does."""
    language = unread(spec, text)
    if language and language == language_of(text):
        names = {
            page: ", ".join(STRINGS[page].get(f"languages.{one}", one) for one in spec.languages)
            for page in LANGUAGES
        }
        return [both("sentiment.language", languages=names)]
    if language:
        return [both("sentiment.language_mixed")]
    from_hub = not spec.note  # an id that is not in the catalogue: its languages are not known
    return [both("sentiment.language_typed")] if from_hub and language_of(text) == "ko" else []


def words(text: str, attribution: Attribution) -> str:
    """The text with each word's value in points of probability, and all of them as a table."""
    strongest = max((abs(word.value) for word in attribution.words), default=0.0) or 1.0
    content, end = "", 0
    for word in attribution.words:
        content += html.escape(text[end : word.begin]) + _word(text, word, strongest)
        end = word.end
    return (
        f'<div class="reading-{class_kind(attribution.label)}">'
        f'<p class="marked-words">{content}{html.escape(text[end:])}</p>'
        f"{_legend(attribution.label)}<p>{_sum(attribution)}</p>"
        f"<details><summary>{both('sentiment.why.table')}</summary>"
        f"{_words_table(text, attribution)}</details></div>"
    )


def _legend(name: str) -> str:
    """What the two colours of the words mean: those of the classes they speak for."""
    label = class_labels(name)
    pushes = (
        f'<span class="word-{side}" style="--share:{MAX_COLOUR}%">{sign}</span> '
        f"{both(f'sentiment.why.{side}', label=label)}"
        for side, sign in (("for", "+"), ("against", "\N{MINUS SIGN}"))
    )
    return f'<p class="legend">{" ".join(pushes)} </p><p class="legend">{both("sentiment.why.legend")}</p>'


def _sum(attribution: Attribution) -> str:
    """What the values add up to, or what each of them means."""
    label, score = class_labels(attribution.label), attribution.score
    if attribution.baseline is None:
        return both("sentiment.why.left_out", label=label, score=f"{score:.1%}")
    return both(
        "sentiment.why.sum",
        label=label,
        baseline=f"{attribution.baseline:.1%}",
        score=f"{score:.1%}",
        difference=points(score - attribution.baseline, 1),
        error=f"{100 * abs(attribution.error):.2f}",
        steps=attribution.steps,
    )


def class_labels(name: str) -> dict[str, str]:
    """A class's name in each language, as plain text."""
    key = class_key(name)
    return {language: texts.get(key, name) for language, texts in STRINGS.items()}


def points(value: float, digits: int = 0) -> str:
    """A difference of probabilities in points, with its sign."""
    return f"{100 * value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _word(text: str, word: WordAttribution, strongest: float) -> str:
    content = html.escape(text[word.begin : word.end])
    tokens = " ".join(f"{token} {number}" for token, number in word.tokens)
    title = html.escape(" · ".join(filter(None, [points(word.value, 1), tokens])))
    if abs(word.value) < MIN_VALUE:
        return f'<span title="{title}">{content}</span>'
    side = "for" if word.value > 0 else "against"
    share = round(MAX_COLOUR * abs(word.value) / strongest)
    return (
        f'<span class="word-{side}" style="--share:{share}%" title="{title}">{content}'
        f"<sup>{points(word.value)}</sup></span>"
    )


def _words_table(text: str, attribution: Attribution) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(text[word.begin : word.end])}</td><td>{points(word.value, 2)}</td>"
        f"<td>{html.escape(' '.join(f'{token} ({number})' for token, number in word.tokens))}</td></tr>"
        for word in attribution.words
    )
    head = "".join(
        f'<th scope="col">{both(f"sentiment.why.{name}")}</th>'
        for name in ("word", "points", "tokens")
    )
    rest = points(attribution.rest, 2)
    note = both("sentiment.why.rest", value=rest) if attribution.rest else ""
    return f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{note}'
