"""Answers of word vectors and trainings as HTML: a map, a loss curve, tables of neighbours."""

import html
from collections.abc import Mapping, Sequence

from models.word_vectors.events import MapPoints, Neighbours, OtherSeed, WordAnswer
from tabs.sentence_similarity.encoders import cell, note, number
from tabs.sentence_similarity.maps import Mark, map_svg
from tabs.shared.charts import Curve, curves
from tabs.shared.strings import both

TAB = "words"
NEIGHBOURS = 5


def answer_html(question: str, text: str, answer: WordAnswer) -> str:
    """The answer to a question, with notes on words that are unknown or read in pieces."""
    if question == "map":
        result = word_map(answer.points)
    elif question == "odd":
        result = _large(answer.odd, both(f"{TAB}.odd_one"))
        result += _table(answer.fits, both(f"{TAB}.fits"))
    elif question == "analogy":
        best = answer.nearest[0][0] if answer.nearest else "–"
        result = _large(best, f"{html.escape(text)} ≈")
        result += _table(answer.nearest, both(f"{TAB}.point"))
    else:
        result = neighbours_html({text: answer.nearest}, len(answer.nearest))
    notes: list[str] = []
    if answer.unknown:
        notes.append(both(f"{TAB}.unknown", words=", ".join(answer.unknown)))
    for word, pieces in answer.pieces.items():
        notes.append(both(f"{TAB}.pieces", word=word, pieces=" + ".join(pieces)))
    return result + "".join(map(note, notes))


def _large(word: str, over: str) -> str:
    return (
        f'<p style="margin:0">{over}</p>'
        f'<p style="margin:0;font-size:2.25rem;font-weight:700;overflow-wrap:anywhere">'
        f"{html.escape(word)}</p>"
    )


def _table(rows: Sequence[tuple[str, float]], caption: str) -> str:
    cells = "".join(f"<tr><td>{html.escape(word)}</td>{cell(cosine)}</tr>" for word, cosine in rows)
    return (
        f'<table class="plain"><caption style="text-align:left">{caption}</caption>{cells}</table>'
    )


def word_map(points: MapPoints) -> str:
    """Words where they lie."""
    return map_svg([Mark(x, y, word) for word, x, y in points], "2D") if points else ""


def progress(epoch: int, epochs: int, losses: Sequence[float], points: MapPoints) -> str:
    """A training under way: how far, its loss, and the map by now."""
    share = round(100 * epoch / epochs)
    bar = (
        f'<div class="progress" role="progressbar" aria-label="{share} %" aria-valuenow="{share}">'
        f'<div style="width:{share}%"></div></div>'
    )
    text = both("word2vec.epoch", epoch=epoch, epochs=epochs, loss=_short(losses[-1]))
    return f"{word_map(points)}{bar}<p>{text}</p>{loss_curve(losses)}"


def _short(loss: float) -> str:
    """Three digits of a small loss, whole numbers of a large one."""
    return f"{loss:,.0f}" if loss >= 100 else f"{loss:.3g}"


def loss_curve(losses: Sequence[float]) -> str:
    """The mean loss of each epoch as a line; nothing before there are two."""
    if len(losses) < 2:
        return ""
    caption = both("word2vec.loss", first=_short(losses[0]), last=_short(losses[-1]))
    return curves([Curve("", [*enumerate(losses, 1)])], caption, y_span=(0, max(losses)))


def before_and_after(before: Neighbours, after: Neighbours) -> str:
    """The nearest words of each word at its random start and after the training, side by side."""
    tables: list[str] = []
    head = "".join(
        f'<th scope="col">{both(f"word2vec.{name}")}</th>' for name in ("before", "after")
    )
    for word, near in after.items():
        pairs = zip(before.get(word, ())[:NEIGHBOURS], near[:NEIGHBOURS], strict=False)
        rows = "".join(
            f'<tr><td class="quiet">{html.escape(old)}</td><td><b>{html.escape(new)}</b> '
            f"{number(cosine)}</td></tr>"
            for (old, _), (new, cosine) in pairs
        )
        tables.append(
            f'<table class="plain" style="flex:1 1 13rem;width:auto"><caption style="text-align:left">'
            f"{both('word2vec.neighbours', word=word)}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{rows}</tbody></table>"
        )
    return f'<div style="display:flex;flex-wrap:wrap;gap:0 1.5rem">{"".join(tables)}</div>'


def stability(after: Neighbours, other: OtherSeed) -> float:
    """The share of the nearest words that another random start gives too, 0 to 1; 0 for no words."""
    counts = [
        (_common(after, other.neighbours, word), min(NEIGHBOURS, len(near)))
        for word, near in after.items()
    ]
    return sum(same for same, _ in counts) / max(sum(of for _, of in counts), 1)


def other_seed_html(after: Neighbours, pair: float | None, other: OtherSeed) -> str:
    """The result of the same training from another random start."""
    sentences = [both("word2vec.other_seed", seed=other.seed)]
    if pair is not None and other.pair is not None:
        sentences.append(both("word2vec.other_pair", before=number(pair), after=number(other.pair)))
    sentences += [
        both(
            "word2vec.other_neighbours",
            word=word,
            same=_common(after, other.neighbours, word),
            of=min(NEIGHBOURS, len(near)),
            words=_top_words(other.neighbours.get(word, ())),
        )
        for word, near in after.items()
    ]
    return note(" ".join(sentences))


def _common(first: Neighbours, second: Neighbours, word: str) -> int:
    """How many of the nearest words of a word are the same."""
    tops = [{w for w, _ in near.get(word, ())[:NEIGHBOURS]} for near in (first, second)]
    return len(tops[0] & tops[1])


def _top_words(near: Sequence[tuple[str, float]]) -> str:
    return ", ".join(word for word, _ in near[:NEIGHBOURS])


def neighbours_html(
    nearest: Mapping[str, Sequence[tuple[str, float]]], count: int = NEIGHBOURS
) -> str:
    """For each word a table of its nearest words, side by side where there is room."""
    tables = [
        f'<table class="plain" style="flex:1 1 10rem;width:auto">'
        f'<caption style="text-align:left">{both("word2vec.neighbours", word=word)}</caption>'
        + "".join(
            f"<tr><td>{html.escape(other)}</td>{cell(cosine)}</tr>"
            for other, cosine in near[:count]
        )
        + "</table>"
        for word, near in nearest.items()
    ]
    return f'<div style="display:flex;flex-wrap:wrap;gap:0 1.5rem">{"".join(tables)}</div>'
