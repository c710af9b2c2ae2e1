"""All charts in one style: shades, bars, curves and their legends, as HTML.

Colour never speaks alone: what is unlikely is underlined too, what is negative is hatched, and each
curve has a dash of its own. The colours themselves are variables of theme.css.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tabs.shared.strings import both, percent

Kind = Literal["chance", "positive", "negative", "neutral"]
# From likely to unlikely: the least probability of each shade but the last.
SHADES = (0.9, 0.5, 0.2, 0.05)
_RANGES = ("≥ 90%", "50–90%", "20–50%", "5–20%", "< 5%")
_WIDTH, _HEIGHT = 340, 170  # of a curve's drawing, in its own units
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 10, 8, 22


def shade(probability: float) -> str:
    """The CSS class that shows how likely something is: "chance-1" (likely) to "chance-5"."""
    return f"chance-{1 + sum(probability < least for least in SHADES)}"


def shade_legend() -> str:
    """What the five shades mean."""
    swatches = "".join(
        f'<span class="chance-{number}">{span}</span>' for number, span in enumerate(_RANGES, 1)
    )
    return f'<p class="legend">{both("look.shades")} {swatches}</p>'


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of a bar chart.

    Attributes:
        name: what it is, as HTML.
        share: length, 0 to 1.
        kind: what its colour means.
        number: what stands behind it, as HTML; by default the share in per cent.
    """

    name: str
    share: float
    kind: Kind = "chance"
    number: str = ""


def bars(rows: Sequence[Bar]) -> str:
    """Bars under each other, each with its number at the same place."""
    return f'<div class="bars">{"".join(map(_bar, rows))}</div>'


def _bar(row: Bar) -> str:
    number = row.number or percent(row.share)
    width = 100 * min(max(row.share, 0), 1)
    return (
        f'<div class="bar {row.kind}"><span class="bar-name">{row.name}</span>'
        f'<div class="bar-line" aria-hidden="true"><div style="width:{width:.2f}%"></div></div>'
        f'<span class="bar-number">{number}</span></div>'
    )


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of a chart.

    Attributes:
        name: what it is, as HTML; "" where there is only one.
        points: (x, y), by x.
    """

    name: str
    points: Sequence[tuple[float, float]]


def curves(
    lines: Sequence[Curve],
    caption: str,
    *,
    y_span: tuple[float, float] | None = None,
    mark: float | None = None,
) -> str:
    """Up to three lines over one axis.

    Args:
        lines: the first is drawn solid, the second dashed, the third dotted.
        caption: what is drawn over what, as HTML; it is all that a screen reader gets, so it says the finding.
        y_span: the axis from and to; by default as far as the values reach.
        mark: an x at which an upright stroke stands (the dial's place).
    """
    points = [point for line in lines for point in line.points]
    if not points:
        return ""
    x_span = _span([x for x, _ in points])
    y_span = y_span or _span([y for _, y in points])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_span[0]) / (x_span[1] - x_span[0])
        up = (y - y_span[0]) / (y_span[1] - y_span[0])
        return (
            _LEFT + across * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM),
        )

    parts: list[str] = []
    for share in (0, 0.5, 1):
        value = y_span[0] + share * (y_span[1] - y_span[0])
        _, y = place(x_span[0], value)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>'
        )
        across = x_span[0] + share * (x_span[1] - x_span[0])
        x, _ = place(across, y_span[0])
        anchor = ("start", "middle", "end")[round(2 * share)]
        parts.append(
            f'<text x="{x:.1f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{across:.3g}</text>'
        )
    for number, line in enumerate(lines, 1):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line.points))
        parts.append(f'<polyline class="series-{number}" points="{path}"/>')
    if mark is not None and x_span[0] <= mark <= x_span[1]:
        x, _ = place(mark, y_span[0])
        parts.append(
            f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
        )
    keys = "".join(
        f'<svg class="curve-key series-{number}" width="28" height="8" aria-hidden="true">'
        f'<line x1="1" x2="27" y1="4" y2="4" stroke-width="2.5"/></svg>{line.name}'
        for number, line in enumerate(lines, 1)
        if line.name
    )
    legend = f'<span class="legend">{keys}</span>' if keys else ""
    return (
        f'<figure class="curve"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true">'
        f"{''.join(parts)}</svg><figcaption>{caption}{legend}</figcaption></figure>"
    )


def _span(values: Sequence[float]) -> tuple[float, float]:
    """From the least to the greatest, never of no width."""
    least, most = min(values), max(values)
    return (least, most) if most > least else (least - 0.5, most + 0.5)


def example_note() -> str:
    """The mark of a result that is shown before the first use."""
    return f'<p class="example-note">{both("look.example")}</p>'
