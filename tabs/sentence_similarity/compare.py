"""Compare two sentences, by one encoder or by several side by side.

A cosine alone says little: each encoder's is shown among its cosines of pairs of known likeness.
"""

import html
import math
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gradio as gr

from models.contract import Finished, ModelSpec
from models.errors import ModelError
from models.runtime.jobs import run
from models.select import reads
from models.sentence_similarity.events import GRADES, ReferenceCosines, Similarities
from models.sentence_similarity.requests import SimilarityRequest
from models.tasks import SENTENCE_SIMILARITY, recipe
from tabs.sentence_similarity.encoders import (
    TAB,
    WORD2VEC,
    find_encoder,
    hosted_fields,
    large_number,
    note,
    number,
    picker,
    warnings,
)
from tabs.shared.context import Context
from tabs.shared.events import (
    error,
    line,
    problem_line,
    result_line,
    show_errors,
    waiting_line,
)
from tabs.shared.strings import both, language_of_page, t
from tabs.shared.widgets import (
    bind_stop,
    examples_box,
    how_it_works,
    recipe_box,
    result_box,
    stop_button,
)

# A paraphrase, another matter, one word in two senses.
EXAMPLES = [
    ("A man is playing a guitar.", "Someone plays the guitar."),
    ("A man is playing a guitar.", "The stock market fell sharply today."),
    ("The bank raised its interest rates.", "We had a picnic on the river bank."),
    ("고양이가 소파에서 자요.", "소파 위에서 고양이가 잠들었어요."),
    ("고양이가 소파에서 자요.", "오늘 주가가 크게 떨어졌어요."),
]
RELIABLE = 0.9  # an encoder that tells meanings apart so often may be given a reading
HIGH = 0.4  # a cosine that unrelated pairs should not have
LOWEST = -0.2  # where the strips begin; they end at 1
Outputs = tuple[Any, Any, Any]  # result, status line, recipe


@dataclass(slots=True)
class Verdict:
    """What one encoder says of a pair of sentences, as far as it is known."""

    spec: ModelSpec
    similarities: Similarities | None = None
    reference: ReferenceCosines | None = None
    problem: ModelError | None = None

    @property
    def cosine(self) -> float | None:
        """None until it is there; NaN where a sentence has no vector."""
        return self.similarities.cosines[0][1] if self.similarities else None


def build(context: Context) -> None:
    """Lay the comparison out and bind it to its models."""
    with gr.Row():
        with gr.Column():
            first = gr.Textbox(label=t(f"{TAB}.sentence_a"), lines=2, elem_id=f"{TAB}-a")
            second = gr.Textbox(label=t(f"{TAB}.sentence_b"), lines=2, elem_id=f"{TAB}-b")
            with gr.Row():
                start = gr.Button(t(f"{TAB}.start"), variant="primary", elem_id=f"{TAB}-start")
                stop = stop_button(TAB)
            titles = [f"{first} ↔ {second}" for first, second in EXAMPLES]
            examples_box(TAB, EXAMPLES, [first, second], f"{TAB}-start", titles)
            also = _more_encoders(context)
            encoder = picker(context, TAB, also)
            also.render()
        with gr.Column():
            result, status = result_box(TAB, both(f"{TAB}.empty"))
            code = recipe_box(TAB)
            how_it_works(TAB)

    def compare(
        a: str, b: str, also: list[str], model: str, name: str, key: str, request: gr.Request
    ) -> Generator[Outputs]:
        hosted = hosted_fields(name, key)
        yield from _compare(context, (a, b), [model, *also], hosted, request)

    job = gr.on(
        [start.click, first.submit, second.submit],
        compare,
        [first, second, also, *encoder],
        [result, status, code],
        show_progress="hidden",
        api_visibility="private",
    )
    bind_stop(stop, [job], status, line(both("page.stopped")))


def _more_encoders(context: Context) -> gr.Dropdown:
    """The choice of more encoders for the same two sentences."""
    return gr.Dropdown(
        label=t(f"{TAB}.also"),
        info=t(f"{TAB}.also_info"),
        choices=[c for c in context.offered(SENTENCE_SIMILARITY) if c[1] != WORD2VEC],
        value=[],
        multiselect=True,
        render=False,
        elem_id=f"{TAB}-also",
    )


def _compare(
    context: Context,
    sentences: tuple[str, str],
    models: list[str],
    hosted: dict[str, str | None],
    page: gr.Request,
) -> Generator[Outputs]:
    """Run each encoder in turn; a problem of one of several stands in its row, the others go on."""
    with show_errors(page):
        request = SimilarityRequest.of(sentences=sentences, reference=True, **hosted)
        specs = {spec.id: spec for spec in (find_encoder(context, m, sentences) for m in models)}
    verdicts = [Verdict(spec) for spec in specs.values()]
    for verdict in verdicts:
        try:
            yield from _run(context, verdict, verdicts, request)
        except ModelError as problem:
            verdict.problem = problem
            if len(verdicts) == 1:
                raise error(problem, language_of_page(page)) from None
            yield verdicts_html(verdicts, request.sentences), "", gr.skip()


def _run(
    context: Context, verdict: Verdict, verdicts: list[Verdict], request: SimilarityRequest
) -> Generator[Outputs]:
    with closing(run(context.cache, verdict.spec, request)) as events:
        for event in events:
            if not isinstance(event, Similarities | ReferenceCosines | Finished):
                yield gr.skip(), waiting_line(event) or gr.skip(), gr.skip()
                continue
            status, code = gr.skip(), gr.skip()
            if isinstance(event, Similarities):
                verdict.similarities = event
            elif isinstance(event, ReferenceCosines):
                verdict.reference = event
            else:
                status, code = result_line(event), recipe(verdict.spec, request, event.placement)
            yield verdicts_html(verdicts, request.sentences), status, code


def verdicts_html(verdicts: Sequence[Verdict], sentences: Sequence[str]) -> str:
    """One verdict large, several as a table."""
    if len(verdicts) == 1:
        return verdict_html(verdicts[0], sentences)
    return table_html(verdicts, sentences)


def verdict_html(verdict: Verdict, sentences: Sequence[str]) -> str:
    """A single encoder's cosine, large, with its place among the reference pairs."""
    cosine = verdict.cosine
    if cosine is None:
        return ""
    result = line(both(f"{TAB}.cosine")) + large_number(cosine, _reading(verdict, sentences))
    result += _notes(verdict, sentences)
    if verdict.reference and not math.isnan(cosine):
        result += _place(verdict.reference, cosine)
    return result


def table_html(verdicts: Sequence[Verdict], sentences: Sequence[str]) -> str:
    """A row an encoder: cosine, place among its reference pairs, and how well it tells them apart."""
    names = ("encoder", "cosine", "percentile", "unrelated", "separation")
    head = "".join(f'<th scope="col">{both(f"{TAB}.column.{name}")}</th>' for name in names)
    rows = "".join(f"<tr>{_row(verdict)}</tr>" for verdict in verdicts)
    notes = "".join(_notes(verdict, sentences) for verdict in verdicts)
    return (
        '<div style="overflow-x:auto" tabindex="0" role="region" aria-label="encoders / 인코더">'
        f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        f"{line(both(f'{TAB}.columns'))}{notes}"
    )


def _row(verdict: Verdict) -> str:
    name = f'<th scope="row">{html.escape(verdict.spec.label)}</th>'
    if verdict.problem:
        return f'{name}<td colspan="4">{problem_line(verdict.problem)}</td>'
    cosine, reference = verdict.cosine, verdict.reference
    cells = ["…" if cosine is None else f"<strong>{number(cosine)}</strong>"]
    if reference is None or cosine is None:
        cells += ["…"] * 3
    else:
        cells.append(_per_cent(reference.percentile(cosine)))
        cells.append(number(reference.median("none")))
        cells.append(_per_cent(reference.separation()))
    return name + "".join(f"<td>{cell}</td>" for cell in cells)


def _per_cent(share: float) -> str:
    return "–" if math.isnan(share) else f"{share:.0%}"


def _reading(verdict: Verdict, sentences: Sequence[str]) -> str:
    """What the cosine says, where this encoder can be trusted in this language."""
    reference, cosine = verdict.reference, verdict.cosine
    if reference is None or cosine is None or not reads(verdict.spec, sentences):
        return ""
    if math.isnan(cosine):
        return both(f"{TAB}.no_vector")
    if not reference.separation() >= RELIABLE:
        return both(f"{TAB}.reading.weak")
    return both(f"{TAB}.reading.{reference.nearest_grade(cosine)}")


def _notes(verdict: Verdict, sentences: Sequence[str]) -> str:
    """What makes the number doubtful; and why all of this encoder's cosines are high, if they are."""
    known = verdict.similarities
    if known is None:
        return ""
    notes = warnings(verdict.spec, sentences, known.truncated, known.unknown)
    if verdict.reference and verdict.reference.median("none") > HIGH:
        usual = number(verdict.reference.median("none"))
        notes.append(both(f"{TAB}.high", model=verdict.spec.label, usual=usual))
    return "".join(map(note, notes))


def _place(reference: ReferenceCosines, cosine: float) -> str:
    """Where the cosine lies among the reference pairs: a sentence, and a strip for each grade."""
    share = reference.percentile(cosine)
    if math.isnan(share):
        return ""
    count = sum(map(len, reference.cosines.values()))
    sentence = both(f"{TAB}.percentile", share=f"{share:.0%}", count=count)
    head = "".join(f'<th scope="col">{both(f"{TAB}.column.{n}")}</th>' for n in ("pairs", "median"))
    rows = "".join(
        f'<tr><th scope="row" style="font-weight:400">{both(f"{TAB}.grade.{grade}")}'
        f"{_strip(reference.cosines[grade], cosine)}</th>"
        f"<td>{number(reference.median(grade))}</td></tr>"
        for grade in reversed(GRADES)
    )
    return (
        f'<p>{sentence}</p><table class="plain"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table>{line(both(f'{TAB}.strip'))}"
    )


def _strip(cosines: Sequence[float], cosine: float) -> str:
    """A bar from the 10th to the 90th of a hundred pairs, and a stroke at this cosine."""
    if not cosines:
        return ""
    low, high = (_left(cosines[round(q * (len(cosines) - 1))]) for q in (0.1, 0.9))
    return (
        '<div aria-hidden="true" style="position:relative;height:.7rem;margin:.2rem 0;'
        'background:var(--background-fill-secondary);border-radius:.2rem">'
        f'<div style="position:absolute;left:{low:.1f}%;width:{max(high - low, 1):.1f}%;top:0;bottom:0;'
        'background:color-mix(in srgb,var(--color-accent) 45%,transparent);border-radius:.2rem"></div>'
        f'<div style="position:absolute;left:{_left(cosine):.1f}%;width:2px;top:-.15rem;bottom:-.15rem;'
        'background:var(--body-text-color)"></div></div>'
    )


def _left(cosine: float) -> float:
    """Per cent of the strip's width."""
    return 100 * (max(cosine, LOWEST) - LOWEST) / (1 - LOWEST)
