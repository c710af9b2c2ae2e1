"""Many sentences at a glance, as HTML: the most alike pairs, groups, a map, and a heatmap."""

import base64
import html
import io
from collections.abc import Sequence

import numpy as np

from models.sentence_similarity.events import Similarities
from models.sentence_similarity.landscape import Landscape
from tabs.sentence_similarity.show import matrix, number
from tabs.shared.strings import both

TAB = "many"
PAIRS = 5  # most alike pairs that are named
IN_TABLE = 12  # sentences whose cosines are a table of numbers; more are a picture
NUMBERED = 60  # points that bear their number
WIDTH, HEIGHT, EDGE = 400, 300, 18  # of the map
# Hues that differ in lightness too; the text on them is the page's own.
HUES = (
    *("#4f46e5", "#d97706", "#059669", "#db2777", "#0284c7"),
    *("#7c3aed", "#65a30d", "#dc2626", "#0d9488", "#78716c"),
)
ACCENT = (79, 70, 229)


def overview(sentences: Sequence[str], found: Similarities, land: Landscape) -> str:
    """All of it, in the order in which it is read."""
    parts = [
        ("pairs", most_alike(sentences, found.cosines)),
        ("groups", groups(sentences, land)),
        ("map", plot(sentences, land)),
        ("heat", heat(sentences, found, land)),
    ]
    return "".join(f"<h3>{both(f'{TAB}.{name}')}</h3>{shown}" for name, shown in parts if shown)


def most_alike(sentences: Sequence[str], cosines: Sequence[Sequence[float]]) -> str:
    """The pairs at the smallest angles."""
    above = np.triu(np.array(cosines), 1)
    rows, columns = np.triu_indices(len(sentences), 1)
    values = above[rows, columns]
    known = np.flatnonzero(~np.isnan(values))
    texts = [html.escape(sentence) for sentence in sentences]
    best = known[np.argsort(-values[known], kind="stable")][:PAIRS]
    lines = "".join(
        f"<tr><td><strong>{number(float(values[k]))}</strong></td>"
        f"<td>{i + 1}. {texts[i]}<br>{j + 1}. {texts[j]}</td></tr>"
        for k, i, j in zip(best, rows[best].tolist(), columns[best].tolist(), strict=True)
    )
    return f'<table class="plain"><tbody>{lines}</tbody></table>' if lines else ""


def groups(sentences: Sequence[str], land: Landscape) -> str:
    """The sentences by group, largest first; those without a vector last."""
    shown: list[str] = []
    for group in sorted(set(land.groups), key=lambda g: (g < 0, g)):
        members = [i for i, g in enumerate(land.groups) if g == group]
        items = "".join(f'<li value="{i + 1}">{html.escape(sentences[i])}</li>' for i in members)
        key = f"{TAB}.no_vector" if group < 0 else f"{TAB}.group"
        name = both(key, name=letter(group), count=len(members))
        shown.append(
            f'<p style="margin:.5rem 0 0">{_dot(group)} <strong>{name}</strong></p>'
            f'<ol style="margin:0">{items}</ol>'
        )
    return "".join(shown)


def letter(group: int) -> str:
    """A group's name: A for the largest."""
    return chr(ord("A") + group) if group >= 0 else "–"


def _dot(group: int) -> str:
    if group < 0:
        return ""
    style = (
        f"display:inline-block;width:.8rem;height:.8rem;border-radius:50%;background:{_hue(group)}"
    )
    return f'<span aria-hidden="true" style="{style}"></span>'


def _hue(group: int) -> str:
    return HUES[group % len(HUES)]


def plot(sentences: Sequence[str], land: Landscape) -> str:
    """The sentences as points: near ones are alike, as far as two dimensions can show it."""
    known = [i for i, group in enumerate(land.groups) if group >= 0]
    if len(known) < 3:
        return ""
    low, high = np.nanmin(land.points, axis=0), np.nanmax(land.points, axis=0)
    span = max(float((high - low).max()), 1e-9)
    middle = (low + high) / 2
    scale = (min(WIDTH, HEIGHT) - 2 * EDGE) / span
    dots: list[str] = []
    for i in known:
        x, y = (float(v) for v in (land.points[i] - middle) * scale)
        name = html.escape(f"{i + 1}. {sentences[i]} ({letter(land.groups[i])})")
        at = f'transform="translate({WIDTH / 2 + x:.1f} {HEIGHT / 2 - y:.1f})"'
        radius = 9 if len(known) <= NUMBERED else 4
        text = f'<text text-anchor="middle" dy=".35em">{i + 1}</text>' if radius > 4 else ""
        circle = f'<circle r="{radius}" fill="{_hue(land.groups[i])}" fill-opacity=".35" '
        circle += f'stroke="{_hue(land.groups[i])}"/>'
        dots.append(f"<g {at}><title>{name}</title>{circle}{text}</g>")
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="map / 지도" '
        'style="width:100%;height:auto;font-size:10px;fill:var(--body-text-color);'
        f'background:var(--background-fill-secondary);border-radius:.5rem">{"".join(dots)}</svg>'
        f'<p class="result-line">{both(f"{TAB}.kept", share=f"{land.kept:.0%}")}</p>'
    )


def heat(sentences: Sequence[str], found: Similarities, land: Landscape) -> str:
    """Every cosine: few as a table of numbers, more as a picture ordered by group."""
    if len(sentences) <= IN_TABLE:
        return matrix(found)
    order = sorted(range(len(sentences)), key=lambda i: (land.groups[i] < 0, land.groups[i], i))
    picture = _picture(np.array(found.cosines)[np.ix_(order, order)])
    return (
        f'<img src="{picture}" alt="cosines / 코사인" aria-describedby="{TAB}-heat-says" '
        'style="width:100%;max-width:36rem;aspect-ratio:1;image-rendering:pixelated;'
        'border:1px solid var(--border-color-primary)">'
        f'<p class="result-line" id="{TAB}-heat-says">{both(f"{TAB}.heat_says")}</p>'
        f"{_nearest(sentences, np.array(found.cosines))}"
    )


def _nearest(sentences: Sequence[str], cosines: np.ndarray) -> str:
    """The picture for those who do not see it: each sentence's nearest as a folded table."""
    others = np.where(np.eye(len(sentences), dtype=bool) | np.isnan(cosines), -2, cosines)
    rows = "".join(
        f'<tr><th scope="row">{i + 1}. {html.escape(sentences[i])}</th><td>{number(others[i, j])}</td>'
        f"<td>{j + 1}. {html.escape(sentences[j])}</td></tr>"
        for i, j in enumerate(map(int, others.argmax(axis=1)))
        if others[i, j] > -2
    )
    names = ("sentence", "cosine", "nearest")
    head = "".join(f'<th scope="col">{both(f"{TAB}.column.{name}")}</th>' for name in names)
    return (
        f"<details><summary>{both(f'{TAB}.nearest')}</summary>"
        f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></details>'
    )


def _picture(cosines: np.ndarray) -> str:
    """A PNG with a pixel a pair, from clear (the lowest) to the accent (1), as a data: address."""
    from PIL import Image

    low = min(float(np.nanmin(cosines)), 0.9) if not np.isnan(cosines).all() else 0.0
    share = np.nan_to_num((cosines - low) / (1 - low)).clip(0, 1)
    pixels = np.empty((*share.shape, 4), np.uint8)
    pixels[..., :3] = ACCENT
    pixels[..., 3] = (255 * share).round()
    file = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
