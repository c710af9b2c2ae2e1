"""A cosine as HTML: a number, a large number, a table's cell; and a note under it."""

import math

STRONGEST = 45  # per cent of the accent behind a cosine of 1: text on it keeps its contrast


def number(cosine: float) -> str:
    """Two digits; a dash where there is no vector."""
    if math.isnan(cosine):
        return "–"
    return f"{cosine:.2f}".replace("-0.00", "0.00").replace("-", "\N{MINUS SIGN}")


def large_number(cosine: float, reading: str) -> str:
    """One cosine, large, over its reading (HTML)."""
    return (
        f'<p style="margin:0;font-size:2.75rem;font-weight:700;line-height:1.2">{number(cosine)}</p>'
        f'<p style="margin:0">{reading}</p>'
    )


def cell(cosine: float) -> str:
    """A table's cell: the more alike, the darker."""
    share = 0 if math.isnan(cosine) else round(STRONGEST * max(0.0, cosine))
    colour = f"color-mix(in srgb, var(--color-accent) {share}%, transparent)"
    style = f"background:{colour};white-space:nowrap;padding:.3rem .2rem"
    return f'<td style="{style}">{number(cosine)}</td>'


def note(content: str) -> str:
    """A remark with a line before it; the content is HTML."""
    return f'<p class="note">{content}</p>'
