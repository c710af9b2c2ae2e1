"""Cosines as HTML: one large, several as a table, words with their neighbours."""

import html
import math
from collections.abc import Mapping, Sequence

from models.sentence_similarity.events import Similarities
from tabs.shared.strings import both

NEIGHBOURS = 5
STRONGEST = 45  # per cent of the accent behind a cosine of 1: text on it keeps its contrast


def number(cosine: float) -> str:
    """Two digits; a dash where there is no vector."""
    if math.isnan(cosine):
        return "–"
    return f"{cosine:.2f}".replace("-0.00", "0.00").replace("-", "\N{MINUS SIGN}")


def pair(cosine: float, reading: str) -> str:
    """One cosine, large, over its reading (HTML)."""
    return (
        f'<p style="margin:0;font-size:2.75rem;font-weight:700;line-height:1.2">{number(cosine)}</p>'
        f'<p style="margin:0">{reading}</p>'
    )


def matrix(found: Similarities) -> str:
    """Every sentence with every other: the more alike, the darker. Scrolls in itself if it must."""
    head = "".join(f'<th scope="col">{n}</th>' for n in range(1, len(found.cosines) + 1))
    rows = "".join(
        f'<tr><th scope="row">{n}</th>{"".join(map(cell, row))}</tr>'
        for n, row in enumerate(found.cosines, 1)
    )
    return (
        '<div style="overflow-x:auto" tabindex="0" role="region" aria-label="cosine / 코사인">'
        f'<table class="plain"><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>'
        "</div>"
    )


def cell(cosine: float) -> str:
    """A table's cell: the more alike, the darker."""
    share = 0 if math.isnan(cosine) else round(STRONGEST * max(0.0, cosine))
    colour = f"color-mix(in srgb, var(--color-accent) {share}%, transparent)"
    style = f"background:{colour};white-space:nowrap;padding:.3rem .2rem"
    return f'<td style="{style}">{number(cosine)}</td>'


def neighbours(nearest: Mapping[str, Sequence[tuple[str, float]]], count: int = NEIGHBOURS) -> str:
    """For each word a table of its nearest words, side by side where there is room."""
    tables = [
        f'<table class="plain" style="flex:1 1 10rem;width:auto">'
        f'<caption style="text-align:left">{both("word2vec.neighbours", word=word)}</caption>'
        + "".join(
            f"<tr><td>{html.escape(other)}</td>{cell(cosine)}</tr>"
            for other, cosine in found[:count]
        )
        + "</table>"
        for word, found in nearest.items()
    ]
    return f'<div style="display:flex;flex-wrap:wrap;gap:0 1.5rem">{"".join(tables)}</div>'


def note(content: str) -> str:
    """A remark with a line before it; the content is HTML."""
    return f'<p class="note">{content}</p>'
