"""Answers of word vectors and trainings as HTML: a map, a loss curve, tables of neighbours."""

import html
from collections.abc import Mapping, Sequence

from models.word_vectors.events import MapPoints, Neighbours, OtherSeed, WordAnswer
from tabs.sentence_similarity.encoders import cell, note, number
from tabs.shared.events import line
from tabs.shared.strings import both

TAB = "words"
NEIGHBOURS = 5
WIDTH, HEIGHT, EDGE = 380, 300, 30  # of a map, in its own units


def answer_html(question: str, typed: str, answer: WordAnswer) -> str:
    """The answer to a question, with notes on words that are unknown or read in pieces."""
    if question == "map":
        result = word_map(answer.points)
    elif question == "odd":
        result = _large(answer.odd, both(f"{TAB}.odd_one"))
        result += _table(answer.fits, both(f"{TAB}.fits"))
    elif question == "analogy":
        best = answer.nearest[0][0] if answer.nearest else "–"
        result = _large(best, f"{html.escape(typed)} ≈")
        result += _table(answer.nearest, both(f"{TAB}.point"))
    else:
        result = neighbours_html({typed: answer.nearest}, len(answer.nearest))
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
    """Words where they lie, as a drawing that scales with the page; its text is the words."""
    if not points:
        return ""
    xs, ys = [x for _, x, _ in points], [y for _, _, y in points]
    marks = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="var(--color-accent)"/>'
        f'<text x="{x:.1f}" y="{y - 7:.1f}" text-anchor="middle" fill="currentColor" '
        f'font-size="13">{html.escape(word)}</text>'
        for word, x, y in zip(
            (word for word, _, _ in points),
            _scaled(xs, EDGE, WIDTH - EDGE),
            _scaled([-y for y in ys], EDGE, HEIGHT - EDGE),
            strict=True,
        )
    )
    return (
        f'<svg class="word-map" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="2D" style="width:100%;max-width:640px;display:block;margin:0 auto">'
        f"{marks}</svg>"
    )


def _scaled(values: Sequence[float], low: float, high: float) -> list[float]:
    """Values scaled to fill low to high; all in the middle where they are equal."""
    least, most = min(values), max(values)
    if most - least < 1e-12:
        return [(low + high) / 2] * len(values)
    return [low + (value - least) / (most - least) * (high - low) for value in values]


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
    """The loss over the epochs as a line; nothing before there are two."""
    if len(losses) < 2:
        return ""
    xs = _scaled([float(i) for i in range(len(losses))], 2, 238)
    ys = _scaled([-loss for loss in losses], 4, 46)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
    first, last = _short(losses[0]), _short(losses[-1])
    return (
        '<svg viewBox="0 0 240 50" role="img" style="width:100%;max-width:20rem;height:3.5rem" '
        f'aria-label="{first} → {last}"><polyline points="{points}" fill="none" '
        'stroke="var(--color-accent)" stroke-width="2"/></svg>'
        f"{line(both('word2vec.loss', first=first, last=last))}"
    )


def before_and_after(before: Neighbours, after: Neighbours) -> str:
    """The nearest words of each word after the training, and at its random start."""
    return "".join(
        neighbours_html({word: near}) + _start(before[word], near) for word, near in after.items()
    )


def _start(before: Sequence[tuple[str, float]], after: Sequence[tuple[str, float]]) -> str:
    """The nearest words at the random start, or that they are the same."""
    if _top_words(before) == _top_words(after):
        return line(both("word2vec.before_same"))
    return line(both("word2vec.before", words=_top_words(before)))


def other_seed_html(after: Neighbours, pair: float | None, other: OtherSeed) -> str:
    """The result of the same training from another random start."""
    sentences = [both("word2vec.other_seed", seed=other.seed)]
    if pair is not None and other.pair is not None:
        sentences.append(both("word2vec.other_pair", before=number(pair), after=number(other.pair)))
    sentences += [
        both(
            "word2vec.other_neighbours",
            word=word,
            same=_shared(after, other.neighbours, word),
            of=min(NEIGHBOURS, len(near)),
            words=_top_words(other.neighbours.get(word, ())),
        )
        for word, near in after.items()
    ]
    return note(" ".join(sentences))


def _shared(first: Neighbours, second: Neighbours, word: str) -> int:
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
