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
from models.sentence_similarity.catalog import tells_apart
from models.sentence_similarity.events import GRADES, ReferenceCosines, Similarities
from models.sentence_similarity.requests import SimilarityRequest
from models.tasks import SENTENCE_SIMILARITY
from models.text.language import language_of
from tabs.sentence_similarity.encoders import (
    TAB,
    WORD2VEC,
    find_encoder,
    large_number,
    note,
    number,
    picker,
    server_fields,
    warnings,
)
from tabs.shared.context import Context
from tabs.shared.events import (
    at_field,
    line,
    problem_line,
    result_line,
    show_errors,
    waiting_line,
)
from tabs.shared.experiments import Experiment, Experiments
from tabs.shared.strings import both, phrases, phrases_html, shorten, t
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
    updates,
)
from tabs.shared.worked_examples import Recording, restore, worked_example

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
STRENGTHS = (
    85,
    60,
    40,
    25,
)  # per cent of the colour of a strip, from pairs of one meaning to unrelated ones
WORDS = {"en": "genlab/words-en", "ko": "genlab/words-ko"}  # quick encoders beside any other
QUOTE = 160  # characters of a sentence over its result
ENGLISH = "sentence-transformers/all-MiniLM-L6-v2"
NAMES = ("result", "others", "status", "code")
EXPERIMENTS = [
    Experiment(
        "swap",
        {
            "a": {"en": "The dog bit the man.", "ko": "형이 동생을 업었어요."},
            "b": {"en": "The man bit the dog.", "ko": "동생이 형을 업었어요."},
        },
        look=f"{TAB}-result",
    ),
    Experiment(
        "paraphrase",
        {
            "a": {"en": "She bought a new car.", "ko": "환불해 주세요."},
            "b": {"en": "A woman purchased an automobile.", "ko": "돈을 돌려받고 싶어요."},
        },
        look=f"{TAB}-result",
    ),
    Experiment(
        "languages",
        {"a": "A cat is sleeping on the sofa.", "b": "고양이가 소파에서 자요."},
        look=f"{TAB}-lens",
    ),
]


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
            first = _sentence("a")
            second = _sentence("b")
            problem = problem_box(TAB)
            with gr.Row():
                start = gr.Button(t(f"{TAB}.start"), variant="primary", elem_id=f"{TAB}-start")
                stop = stop_button(TAB)
            titles = [f"{first} ↔ {second}" for first, second in EXAMPLES]
            examples_box(TAB, EXAMPLES, [first, second], f"{TAB}-start", titles)
            below = gr.Column()
            also = _more_encoders(context)
            encoder = picker(context, TAB, also)
            also.render()
        with gr.Column():
            result, status = result_box(TAB, worked_example(f"{TAB}.two", _example_verdict))
            with gr.Column(elem_id=f"{TAB}-lens", elem_classes="lens"):
                gr.Markdown(t(f"{TAB}.others"), elem_classes="lens-title")
                table = worked_example(f"{TAB}.two", _example_table, note=False)
                others = gr.HTML(table, padding=False, elem_id=f"{TAB}-others")
            code = recipe_box(TAB)
            how_it_works(TAB)
    with below:
        controls = {"a": first, "b": second, "model": encoder.model, "also": also}
        tries = Experiments(f"{TAB}.two", controls, f"{TAB}-start", EXPERIMENTS)

    def compare(
        a: str, b: str, also: list[str], model: str, name: str, key: str, request: gr.Request
    ) -> Generator[tuple[Any, ...]]:
        hosted = server_fields(name, key)
        yield from _compare(context, (a, b), model, also, hosted, request)

    job = gr.on(
        [start.click, first.submit, second.submit],
        at_field(compare, problem),
        [first, second, also, *encoder],
        [result, others, status, code, problem],
        trigger_mode="always_last",  # an example that is pressed while another is compared is not lost
        show_progress="hidden",
        api_visibility="private",
    )
    tries.after(job)
    bind_stop(stop, [job], status, line(both("page.stopped")))


def _sentence(name: str) -> gr.Textbox:
    return gr.Textbox(
        label=t(f"{TAB}.sentence_{name}"), elem_classes="tall", elem_id=f"{TAB}-{name}"
    )


def _more_encoders(context: Context) -> gr.Dropdown:
    """The choice of other encoders for the same two sentences."""
    return gr.Dropdown(
        label=t(f"{TAB}.also"),
        info=t(f"{TAB}.also_info"),
        choices=[c for c in context.model_choices(SENTENCE_SIMILARITY) if c[1] != WORD2VEC],
        value=[],
        multiselect=True,
        render=False,
        elem_id=f"{TAB}-also",
    )


def companions(sentences: Sequence[str]) -> list[str]:
    """The encoders that stand beside the one that was picked, where no others are: quick, and shipped.

    Word vectors of the sentences' language, weighted and plain; for two languages an encoder of English
    alone, which shows what it is to read only one.
    """
    languages = {language_of(sentence) for sentence in sentences}
    if len(languages) > 1:
        return [ENGLISH]
    words = WORDS[languages.pop()]
    return [words, f"{words}:mean"]


def _compare(
    context: Context,
    sentences: tuple[str, str],
    model: str,
    also: Sequence[str],
    hosted: dict[str, str | None],
    page: gr.Request,
) -> Generator[tuple[Any, ...]]:
    """Yield updates of NAMES; a problem of one of the other encoders stands in its row."""
    with show_errors(page):
        request = SimilarityRequest.of(sentences=sentences, reference=True, **hosted)
        models = [model, *(also or companions(sentences))]
        specs = {spec.id: spec for spec in (find_encoder(context, m, sentences) for m in models)}
    verdicts = [Verdict(spec) for spec in specs.values()]
    first = verdicts[0]
    with show_errors(page):
        yield from _run(context, first, verdicts, request)
    for verdict in verdicts[1:]:
        try:
            yield from _run(context, verdict, verdicts, request)
        except ModelError as problem:
            verdict.problem = problem
            yield updates(NAMES, others=table_html(verdicts, sentences))


def _run(
    context: Context, verdict: Verdict, verdicts: list[Verdict], request: SimilarityRequest
) -> Generator[tuple[Any, ...]]:
    sentences, main = request.sentences, verdict is verdicts[0]
    with closing(run(context.cache, verdict.spec, request)) as events:
        for event in events:
            if isinstance(event, Similarities):
                verdict.similarities = event
            elif isinstance(event, ReferenceCosines):
                verdict.reference = event
            elif not isinstance(event, Finished):
                yield (
                    updates(NAMES, status=waiting_line(event) or gr.skip())
                    if main
                    else updates(NAMES)
                )
                continue
            changes: dict[str, Any] = {"others": table_html(verdicts, sentences)}
            if main:
                changes["result"] = verdict_html(verdict, sentences)
            if main and isinstance(event, Finished):
                changes["status"] = result_line(event)
                changes["code"] = recipe(verdict.spec, request, event.placement)
            yield updates(NAMES, **changes)


# ---------------------------------------------------------------- the example


def example_verdicts(recording: Recording) -> list[Verdict]:
    """The recorded verdicts, the first one's result large."""
    return [
        Verdict(
            next(spec for spec in SENTENCE_SIMILARITY.models if spec.id == one["model"]),
            restore(Similarities, one["similarities"]),
            restore(ReferenceCosines, one["reference"]),
        )
        for one in recording["verdicts"]
    ]


def _example_verdict(recording: Recording) -> str:
    return verdict_html(example_verdicts(recording)[0], recording["sentences"])


def _example_table(recording: Recording) -> str:
    return table_html(example_verdicts(recording), recording["sentences"])


# ---------------------------------------------------------------- HTML


def verdict_html(verdict: Verdict, sentences: Sequence[str]) -> str:
    """A single encoder's cosine, large, with its place among the reference pairs."""
    cosine = verdict.cosine
    if cosine is None:
        return ""
    quotes = (f'<p class="quoted">{html.escape(shorten(one, QUOTE))}</p>' for one in sentences)
    result = "".join(quotes) + line(both(f"{TAB}.cosine"))
    result += large_number(cosine, _reading(verdict, sentences)) + model_note(verdict.spec)
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
        f'<table class="plain encoders"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        f"{line(both(f'{TAB}.columns'))}{notes}"
    )


def _row(verdict: Verdict) -> str:
    name = f'<th scope="row">{phrases_html(verdict.spec.label)}</th>'
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
    return name + "".join(f'<td class="tight">{cell}</td>' for cell in cells)


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
    if not tells_apart(verdict.spec.id, reference.language, cosine):
        return both(f"{TAB}.reading.unsure")
    return both(f"{TAB}.reading.{reference.nearest_grade(cosine)}")


def _notes(verdict: Verdict, sentences: Sequence[str]) -> str:
    """What makes the number doubtful; and why all of this encoder's cosines are high, if they are."""
    similarities = verdict.similarities
    if similarities is None:
        return ""
    notes = warnings(verdict.spec, sentences, similarities.truncated, similarities.unknown)
    if verdict.reference and verdict.reference.median("none") > HIGH:
        usual = number(verdict.reference.median("none"))
        notes.append(both(f"{TAB}.high", model=phrases(verdict.spec.label), usual=usual))
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
        f"{_strip(reference.cosines[grade], cosine, strength)}</th>"
        f"<td>{number(reference.median(grade))}</td></tr>"
        for grade, strength in zip(reversed(GRADES), STRENGTHS, strict=True)
    )
    return (
        f'<p>{sentence}</p><table class="plain"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table>{line(both(f'{TAB}.strip'))}"
    )


def _strip(cosines: Sequence[float], cosine: float, strength: int) -> str:
    """A bar from the 10th to the 90th of a hundred pairs, and a stroke at this cosine.

    Args:
        cosines: of the pairs, sorted.
        cosine: of the sentences.
        strength: of the bar's colour, in per cent.
    """
    if not cosines:
        return ""
    low, high = (_percent(cosines[round(q * (len(cosines) - 1))]) for q in (0.1, 0.9))
    return (
        '<div aria-hidden="true" style="position:relative;height:.7rem;margin:.2rem 0;'
        'background:var(--shade);border-radius:.2rem">'
        f'<div style="position:absolute;left:{low:.1f}%;width:{max(high - low, 1):.1f}%;top:0;bottom:0;'
        f'background:color-mix(in srgb,var(--alike) {strength}%,transparent);border-radius:.2rem"></div>'
        f'<div style="position:absolute;left:{_percent(cosine):.1f}%;width:2px;top:-.15rem;bottom:-.15rem;'
        'background:var(--body-text-color)"></div></div>'
    )


def _percent(cosine: float) -> float:
    """Per cent of the strip's width."""
    return 100 * (max(cosine, LOWEST) - LOWEST) / (1 - LOWEST)
