"""What word vectors say, as HTML: a map, a loss curve, tables of neighbours."""

import html
from collections.abc import Sequence

from models.word_vectors.events import Neighbours, OtherSeed, Places, WordsFound
from tabs.sentence_similarity.show import NEIGHBOURS, cell, neighbours, note, number
from tabs.shared.events import line
from tabs.shared.strings import both

TAB = "words"
WIDTH, HEIGHT, EDGE = 380, 300, 30  # of a map, in its own units


def answer(question: str, asked: str, found: WordsFound) -> str:
    """The answer to a question, with what there is to say about the words themselves."""
    if question == "map":
        shown = word_map(found.places)
    elif question == "odd":
        shown = _large(found.odd, both(f"{TAB}.odd_one"))
        shown += _table(found.fits, both(f"{TAB}.fits"))
    elif question == "analogy":
        best = found.nearest[0][0] if found.nearest else "–"
        shown = _large(best, f"{html.escape(asked)} ≈")
        shown += _table(found.nearest, both(f"{TAB}.point"))
    else:
        shown = neighbours({asked: found.nearest}, len(found.nearest))
    return shown + remarks(found)


def remarks(found: WordsFound) -> str:
    """Unknown words, and words read in pieces."""
    said: list[str] = []
    if found.unknown:
        said.append(both(f"{TAB}.unknown", words=", ".join(found.unknown)))
    for word, pieces in found.pieces.items():
        said.append(both(f"{TAB}.pieces", word=word, pieces=" + ".join(pieces)))
    return "".join(map(note, said))


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


def word_map(places: Places) -> str:
    """Words where they lie, as a drawing that scales with the page; its text is the words."""
    if not places:
        return ""
    xs, ys = [x for _, x, _ in places], [y for _, _, y in places]
    marks = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="var(--color-accent)"/>'
        f'<text x="{x:.1f}" y="{y - 7:.1f}" text-anchor="middle" fill="currentColor" '
        f'font-size="13">{html.escape(word)}</text>'
        for word, x, y in zip(
            (word for word, _, _ in places),
            _stretched(xs, EDGE, WIDTH - EDGE),
            _stretched([-y for y in ys], EDGE, HEIGHT - EDGE),
            strict=True,
        )
    )
    return (
        f'<svg class="word-map" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="2D" style="width:100%;max-width:640px;display:block;margin:0 auto">'
        f"{marks}</svg>"
    )


def _stretched(values: Sequence[float], low: float, high: float) -> list[float]:
    """Values drawn out to fill low to high; all in the middle where they are one."""
    least, most = min(values), max(values)
    if most - least < 1e-12:
        return [(low + high) / 2] * len(values)
    return [low + (value - least) / (most - least) * (high - low) for value in values]


def learning(epoch: int, epochs: int, losses: Sequence[float], places: Places) -> str:
    """A training under way: how far, its loss, and the map by now."""
    done = round(100 * epoch / epochs)
    bar = (
        f'<div class="progress" role="progressbar" aria-label="{done} %" aria-valuenow="{done}">'
        f'<div style="width:{done}%"></div></div>'
    )
    said = both("word2vec.epoch", epoch=epoch, epochs=epochs, loss=_short(losses[-1]))
    return f"{word_map(places)}{bar}<p>{said}</p>{loss_curve(losses)}"


def _short(loss: float) -> str:
    """Three digits of a small loss, whole numbers of a large one."""
    return f"{loss:,.0f}" if loss >= 100 else f"{loss:.3g}"


def loss_curve(losses: Sequence[float]) -> str:
    """The loss over the epochs as a line; nothing before there are two."""
    if len(losses) < 2:
        return ""
    xs = _stretched([float(i) for i in range(len(losses))], 2, 238)
    ys = _stretched([-loss for loss in losses], 4, 46)
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
        neighbours({word: near}) + _start(before[word], near) for word, near in after.items()
    )


def _start(before: Sequence[tuple[str, float]], after: Sequence[tuple[str, float]]) -> str:
    """The nearest words at the random start, or that they are the same."""
    same = _named(before) == _named(after)
    said = both("word2vec.before_same") if same else both("word2vec.before", words=_named(before))
    return line(said)


def other_seed(after: Neighbours, pair: float | None, other: OtherSeed) -> str:
    """What the same training says from another random start."""
    said = [both("word2vec.other_seed", seed=other.seed)]
    if pair is not None and other.pair is not None:
        said.append(both("word2vec.other_pair", before=number(pair), after=number(other.pair)))
    said += [
        both(
            "word2vec.other_neighbours",
            word=word,
            same=_shared(after, other.neighbours, word),
            of=min(NEIGHBOURS, len(near)),
            words=_named(other.neighbours.get(word, ())),
        )
        for word, near in after.items()
    ]
    return note(" ".join(said))


def _shared(one: Neighbours, other: Neighbours, word: str) -> int:
    tops = [{w for w, _ in near.get(word, ())[:NEIGHBOURS]} for near in (one, other)]
    return len(tops[0] & tops[1])


def _named(near: Sequence[tuple[str, float]]) -> str:
    return ", ".join(word for word, _ in near[:NEIGHBOURS])
