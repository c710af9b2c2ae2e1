"""Many sentences: every one with every other, in groups, on a map, and as a heatmap."""

import base64
import html
import io
import math
from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

import gradio as gr
import numpy as np

from models.contract import Finished, ModelSpec
from models.sentence_similarity.events import ReferenceCosines, Similarities
from models.sentence_similarity.many_sentences import Landscape, landscape
from models.sentence_similarity.requests import SimilarityRequest
from models.tasks import SENTENCE_SIMILARITY
from tabs.sentence_similarity.encoders import (
    WHOLE_SCALE,
    ColourScale,
    cell,
    find_encoder,
    note,
    number,
    picker,
    scale_legend,
    server_fields,
    warnings,
)
from tabs.sentence_similarity.maps import Mark, map_svg
from tabs.shared import table_input
from tabs.shared.context import Context
from tabs.shared.events import at_field, follow, line, result_line, show_errors, waiting_line
from tabs.shared.experiments import Experiments
from tabs.shared.strings import both, t
from tabs.shared.widgets import (
    bind_stop,
    examples_box,
    how_it_works,
    model_note,
    problem_box,
    recipe,
    recipe_box,
    result_box,
    stop_button,
)
from tabs.shared.worked_examples import Recording, restore, worked_example

TAB = "many"
Outputs = tuple[Any, Any, Any, Any]  # result, status line, recipe, download
PAIRS = 5  # most similar pairs that are named
IN_TABLE = 12  # sentences whose cosines are a table of numbers; more are a picture
MOST_NUMBERS = 60  # points that bear their number
# Hues that differ in lightness too; the text on them is the page's own.
HUES = (
    *("#4f46e5", "#d97706", "#059669", "#db2777", "#0284c7"),
    *("#7c3aed", "#65a30d", "#dc2626", "#0d9488", "#78716c"),
)
ALIKE = (162, 28, 175)  # --alike of theme.css
EXAMPLES = (
    "A man is playing a guitar.\nSomeone plays the guitar.\nA woman is cooking dinner.\n"
    "She prepares the evening meal.\nThe stock market fell sharply today.",
    "고양이가 소파에서 자요.\n소파 위에서 고양이가 잠들었어요.\n엄마가 저녁을 준비해요.\n"
    "부엌에서 밥을 짓고 있어요.\n오늘 주가가 크게 떨어졌어요.",
)


def build(context: Context) -> None:
    """Lay the part out and bind it to its models."""
    with gr.Row():
        with gr.Column():
            gr.Markdown(t(f"{TAB}.sentences"))
            lines = gr.Column()
            problem = problem_box(TAB)
            with gr.Row():
                start = gr.Button(t(f"{TAB}.start"), variant="primary", elem_id=f"{TAB}-start")
                stop = stop_button(TAB)
            samples_box = gr.Column()
            with lines:
                texts = table_input.build(TAB, lines_first=True)
            titles = [f"{sample.splitlines()[0]} …" for sample in EXAMPLES]
            samples = [[sample, None] for sample in EXAMPLES]  # an example, and no file
            with samples_box:
                examples_box(TAB, samples, [texts.lines, texts.file], f"{TAB}-start", titles)
            below = gr.Column()
            encoder = picker(context, TAB)
            groups = gr.Slider(
                0,
                10,
                0,
                step=1,
                label=t(f"{TAB}.number"),
                info=t(f"{TAB}.number_info"),
                elem_id=f"{TAB}-number",
            )
        with gr.Column():
            example = worked_example("sentence_similarity.many", _example)
            result, status = result_box(TAB, example)
            download = table_input.download_button(TAB)
            code = recipe_box(TAB)
            how_it_works(TAB)

    table_input.bind(texts)
    controls = {"texts": texts.lines, "number": groups, "model": encoder.model}
    with below:
        Experiments("sentence_similarity.many", controls, f"{TAB}-start")

    def compare(request: gr.Request, *values: Any) -> Generator[Outputs]:
        *boxes, groups, model, name, key = values
        with show_errors(request):
            sentences, notes = read_sentences(*boxes)
        hosted = server_fields(name, key)
        for result, *rest in _compare(context, sentences, groups, model, hosted, request):
            yield notes + result if isinstance(result, str) else result, *rest

    job = start.click(
        at_field(compare, problem),
        [*texts.inputs(), groups, *encoder],
        [result, status, code, download, problem],
        trigger_mode="always_last",  # an example that is pressed while others are compared is not lost
        show_progress="hidden",
        api_visibility="private",
    )
    bind_stop(stop, [job], status, line(both("page.stopped")))


def read_sentences(*inputs: Any) -> tuple[list[str], str]:
    """The sentences that are not blank, and notes on rows that could not be read, as HTML.

    Args:
        *inputs: what `table_input.table` takes.
    """
    table, column = table_input.table(*inputs)
    sentences = [cell for cell in table.column(column) if cell.strip()]
    return sentences, "".join(map(note, table_input.faults(table)))


def _compare(
    context: Context,
    sentences: list[str],
    groups: int,
    model: str,
    hosted: dict[str, str | None],
    page: gr.Request,
) -> Generator[Outputs]:
    """Yield (result, status line, recipe, download) as the job goes on."""
    with show_errors(page):
        request = SimilarityRequest.of(sentences=sentences, **hosted)
        spec = find_encoder(context, model, request.sentences)
        # For the scale of the colours; a server would take money for the reference sentences.
        request = request.model_copy(update={"reference": not spec.hosted})
    scale, show = WHOLE_SCALE, partial(result_html, spec, request.sentences)
    answer: tuple[Similarities, Landscape] | None = None
    for event in follow(context, spec, request, page):
        if isinstance(event, Similarities):
            answer = event, landscape(event.cosines, int(groups))
            file = csv_file(request.sentences, *answer)
            # The encoder's scale comes after the answer: its first one takes longer than a few sentences.
            yield show(*answer, scale), gr.skip(), gr.skip(), gr.update(value=file, visible=True)
        elif isinstance(event, Finished) and answer:
            code = recipe(spec, request, event.placement)
            yield show(*answer, scale), result_line(event), code, gr.skip()
        else:
            scale = ColourScale.of(event) if isinstance(event, ReferenceCosines) else scale
            yield gr.skip(), waiting_line(event) or gr.skip(), gr.skip(), gr.skip()


def csv_file(sentences: Sequence[str], similarities: Similarities, land: Landscape) -> str:
    """A CSV of each sentence, its group and its cosine with every one; returns its path."""
    rows = [
        (i + 1, sentence, letter(land.groups[i]), *map(_csv_cell, similarities.cosines[i]))
        for i, sentence in enumerate(sentences)
    ]
    numbers = [str(i + 1) for i in range(len(sentences))]
    return table_input.csv_file("similarity.csv", ("number", "sentence", "group", *numbers), rows)


def _csv_cell(cosine: float) -> str:
    return "" if math.isnan(cosine) else f"{cosine:.4f}"


# ---------------------------------------------------------------- the result as HTML


def result_html(
    spec: ModelSpec,
    sentences: Sequence[str],
    similarities: Similarities,
    land: Landscape,
    scale: ColourScale = WHOLE_SCALE,
) -> str:
    """Notes, the most similar pairs, groups, map and heatmap."""
    notes = warnings(spec, sentences, similarities.truncated, similarities.unknown)
    parts = [
        ("pairs", _most_similar(sentences, similarities.cosines)),
        ("groups", _groups(sentences, land)),
        ("map", _map(sentences, land)),
        ("heat", heatmap(sentences, similarities.cosines, land, scale)),
    ]
    sections = (
        f'<h2 class="part-title">{both(f"{TAB}.{name}")}</h2>{part}' for name, part in parts if part
    )
    return "".join([*map(note, notes), *sections, model_note(spec)])


def _example(recording: Recording) -> str:
    spec = next(spec for spec in SENTENCE_SIMILARITY.models if spec.id == recording["model"])
    land = Landscape(
        tuple(recording["groups"]), np.array(recording["points"]), recording["variance"]
    )
    cosines = restore(Similarities, recording["similarities"])
    scale = ColourScale(*recording["scale"])
    return result_html(spec, recording["sentences"], cosines, land, scale)


def _most_similar(sentences: Sequence[str], cosines: Sequence[Sequence[float]]) -> str:
    """The pairs at the smallest angles."""
    above = np.triu(np.array(cosines), 1)
    rows, columns = np.triu_indices(len(sentences), 1)
    values = above[rows, columns]
    numbers = np.flatnonzero(~np.isnan(values))
    texts = [html.escape(sentence) for sentence in sentences]
    best = numbers[np.argsort(-values[numbers], kind="stable")][:PAIRS]
    lines = "".join(
        f'<tr><td class="tight"><strong>{number(float(values[k]))}</strong></td>'
        f"<td>{i + 1}. {texts[i]}<br>{j + 1}. {texts[j]}</td></tr>"
        for k, i, j in zip(best, rows[best].tolist(), columns[best].tolist(), strict=True)
    )
    return f'<table class="plain"><tbody>{lines}</tbody></table>' if lines else ""


def _groups(sentences: Sequence[str], land: Landscape) -> str:
    """The sentences by group, largest first; those without a vector last."""
    parts: list[str] = []
    for group in sorted(set(land.groups), key=lambda g: (g < 0, g)):
        members = [i for i, g in enumerate(land.groups) if g == group]
        items = "".join(f'<li value="{i + 1}">{html.escape(sentences[i])}</li>' for i in members)
        key = f"{TAB}.no_vector" if group < 0 else f"{TAB}.group"
        name = both(key, name=letter(group), count=len(members))
        parts.append(
            f'<p style="margin:.5rem 0 0">{_dot(group)} <strong>{name}</strong></p>'
            f'<ol style="margin:0">{items}</ol>'
        )
    return "".join(parts)


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


def _map(sentences: Sequence[str], land: Landscape) -> str:
    """The sentences as points: near ones are alike, as far as two dimensions can show it."""
    rows = [i for i, group in enumerate(land.groups) if group >= 0]
    if len(rows) < 3:
        return ""
    marks = [
        Mark(
            *(float(v) for v in land.points[i]),
            label=str(i + 1) if len(rows) <= MOST_NUMBERS else "",
            title=f"{i + 1}. {sentences[i]} ({letter(land.groups[i])})",
            colour=_hue(land.groups[i]),
        )
        for i in rows
    ]
    return (
        map_svg(marks, "map / 지도", to_scale=True)
        + f'<p class="result-line">{both(f"{TAB}.kept", share=f"{land.variance:.0%}")}</p>'
    )


def heatmap(
    sentences: Sequence[str],
    cosines: Sequence[Sequence[float]],
    land: Landscape,
    scale: ColourScale = WHOLE_SCALE,
) -> str:
    """Every cosine: few as a table of numbers, more as a picture ordered by group."""
    legend = scale_legend(scale) if scale != WHOLE_SCALE else ""
    if len(sentences) <= IN_TABLE:
        return _matrix(cosines, scale) + legend
    order = sorted(range(len(sentences)), key=lambda i: (land.groups[i] < 0, land.groups[i], i))
    picture = _picture(scale.shares(np.array(cosines)[np.ix_(order, order)]))
    return (
        f'<img src="{picture}" alt="cosines / 코사인" aria-describedby="{TAB}-heat-says" '
        'style="width:100%;max-width:36rem;aspect-ratio:1;image-rendering:pixelated;'
        'border:1px solid var(--border-color-primary)">'
        f'<p class="result-line" id="{TAB}-heat-says">{both(f"{TAB}.heat_says")}</p>{legend}'
        f"{_nearest(sentences, np.array(cosines))}"
    )


def _nearest(sentences: Sequence[str], cosines: np.ndarray) -> str:
    """The picture for those who cannot see it: each sentence's nearest as a folded table."""
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


def _picture(shares: np.ndarray) -> str:
    """A PNG with a pixel a pair, from clear (0) to the full colour (1), as a data: address."""
    from PIL import Image

    pixels = np.empty((*shares.shape, 4), np.uint8)
    pixels[..., :3] = ALIKE
    pixels[..., 3] = (255 * shares).round()
    file = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _matrix(cosines: Sequence[Sequence[float]], scale: ColourScale) -> str:
    """Every sentence with every other: the more alike, the darker. Scrolls in itself if it must."""
    head = "".join(f'<th scope="col">{n}</th>' for n in range(1, len(cosines) + 1))
    rows = "".join(
        f'<tr><th scope="row">{n}</th>{"".join(cell(cosine, scale) for cosine in row)}</tr>'
        for n, row in enumerate(cosines, 1)
    )
    return (
        '<div style="overflow-x:auto" tabindex="0" role="region" aria-label="cosine / 코사인">'
        f'<table class="plain"><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>'
        "</div>"
    )
