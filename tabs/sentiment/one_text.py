"""One text, or two side by side: the probability of every class, and what each word adds to it."""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gradio as gr

from models.contract import Finished, ModelSpec
from models.errors import ModelError
from models.runtime.jobs import run
from models.select import select
from models.sentiment.events import Attribution, AttributionProgress, Scores
from models.sentiment.requests import AttributionRequest, SentimentRequest
from models.tasks import SENTIMENT
from tabs.sentiment import scores_html
from tabs.shared.context import Context
from tabs.shared.events import (
    at_field,
    follow,
    line,
    problem_line,
    result_line,
    show_errors,
    waiting_line,
)
from tabs.shared.experiments import Experiment, Experiments
from tabs.shared.strings import both, language_of_page, t
from tabs.shared.widgets import (
    Script,
    bind_stop,
    examples_box,
    how_it_works,
    model_picker,
    problem_box,
    recipe,
    recipe_box,
    result_box,
    stop_button,
    updates,
)
from tabs.shared.worked_examples import Recording, recordings, restore, worked_example

TAB, WHY = "sentiment", "sentiment-why"
METHODS = ("gradients", "leave_out")
AT_ONCE = 400  # characters; the words of a longer text are explained when that is wished
EXAMPLES = [
    ["The acting is fine, but the story never comes alive."],
    ["I loved every minute of this film."],
    ["A dull, lifeless waste of two hours."],
    ["배우들 연기는 좋은데 이야기가 너무 지루해요."],
    ["정말 재미있고 감동적인 영화였어요."],
    ["시간이 아까운 최악의 영화."],
]
EXPERIMENTS = [
    Experiment(
        "swap",
        {
            "text": {
                "en": "The story was bad but the acting was good.",
                "ko": "음식은 나빴는데 서비스가 좋았어요.",
            },
            "other": {
                "en": "The acting was good but the story was bad.",
                "ko": "음식은 좋았는데 서비스가 나빴어요.",
            },
        },
        look=f"{TAB}-result",
    ),
    Experiment(
        "negation",
        {
            "text": {"en": "This film is not boring.", "ko": "이 영화는 안 지루해요."},
            "other": {"en": "This film is boring.", "ko": "이 영화는 지루해요."},
        },
        look=f"{WHY}-result",
    ),
    Experiment(
        "foreign",
        {
            "text": {"en": EXAMPLES[4][0], "ko": EXAMPLES[1][0]},
            "other": {"en": EXAMPLES[5][0], "ko": EXAMPLES[2][0]},
            "model": {"en": "genlab/sentiment-en", "ko": "genlab/sentiment-ko"},
        },
        look=f"{TAB}-result",
    ),
]
NAMES = ("result", "status", "code", "label", "words", "explained", "explain", "last", "next")
Last = tuple[str, str, str, str]  # text, other text, model and predicted class of the result


@dataclass(slots=True)
class Reading:
    """What a model says of a text, as far as it is known.

    Attributes:
        words: what each word adds, as HTML.
        script: the Python behind it.
    """

    spec: ModelSpec
    text: str
    scores: Scores | None = None
    words: str = ""
    script: str = ""


@dataclass(frozen=True, slots=True)
class _Lens:
    """The components of the lens "Which words decided?"."""

    words: gr.HTML
    status: gr.HTML
    method: gr.Radio
    label: gr.Dropdown
    start: gr.Button


def build(context: Context) -> None:
    """Lay the part out and bind it."""
    last = gr.State(None)  # the Last that is on the page
    queue = gr.State(None)  # the Last whose words come next
    with gr.Row():
        with gr.Column():
            text = gr.Textbox(
                label=t(f"{TAB}.text"),
                placeholder=t(f"{TAB}.placeholder"),
                elem_classes="taller",
                elem_id=f"{TAB}-text",
            )
            other = gr.Textbox(
                label=t(f"{TAB}.other"),
                placeholder=t(f"{TAB}.other_placeholder"),
                lines=1,
                elem_id=f"{TAB}-other",
            )
            problem = problem_box(TAB)
            with gr.Row():
                start = gr.Button(t(f"{TAB}.start"), variant="primary", elem_id=f"{TAB}-start")
                stop = stop_button(TAB)
            samples = [[*sample, ""] for sample in EXAMPLES]
            examples_box(TAB, samples, [text, other], f"{TAB}-start")
            below = gr.Column()
            model = model_picker(context, SENTIMENT, f"{TAB}-model")
        with gr.Column():
            result, status = result_box(TAB, worked_example("sentiment.one", _example_scores))
            lens = _build_lens()
            code = recipe_box(TAB)
            how_it_works(TAB)
    controls = {"text": text, "other": other, "model": model, "method": lens.method}
    with below:
        tries = Experiments("sentiment.one", controls, f"{TAB}-start", EXPERIMENTS)

    def analyze(request: gr.Request, *values: Any) -> Generator[Any]:
        yield from _analyze(context, request, *values)

    def go_on(request: gr.Request, *values: Any) -> Generator[Any]:
        yield from _go_on(context, request, *values)

    def explain(request: gr.Request, *values: Any) -> Generator[Any]:
        yield from _explain(context, request, *values)

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    outputs = [result, status, code, lens.label, lens.words, lens.status, lens.start, last, queue]
    triggers = [start.click, text.submit, other.submit]
    event = gr.on(
        triggers,
        at_field(analyze, problem),
        [text, other, model],
        [*outputs, problem],
        trigger_mode="always_last",  # an example that is pressed while another is read is not lost
        **private,
    )
    tries.after(event)
    # An event of its own, so that the next text need not wait for the words of this one.
    words = event.then(
        at_field(go_on, problem, clear=False),
        [queue, lens.method, code],
        [*outputs, problem],
        **private,
    )
    again = gr.on(
        [lens.method.input, lens.label.input, lens.start.click],
        at_field(explain, problem),
        [last, lens.method, lens.label],
        [*outputs, problem],
        **private,
    )
    gr.on(triggers, None, cancels=[words, again], **private)
    gr.on([lens.method.input, lens.label.input], None, cancels=[words], **private)
    bind_stop(stop, [event, words, again], status, line(both("page.stopped")))


def _build_lens() -> _Lens:
    """Lay the lens out, open under the result."""
    with gr.Column(elem_id=WHY, elem_classes="lens"):
        gr.Markdown(t(f"{TAB}.why.title"), elem_classes="lens-title")
        example = worked_example("sentiment.one", _example_words, note=False)
        words = gr.HTML(example, padding=False, elem_id=f"{WHY}-result")
        status = gr.HTML(padding=False, elem_id=f"{WHY}-status")
        start = gr.Button(t(f"{TAB}.why.start"), size="sm", visible=False, elem_id=f"{WHY}-start")
        with gr.Row():
            method = gr.Radio(
                [(t(f"{TAB}.why.{name}"), name) for name in METHODS],
                value=METHODS[0],
                label=t(f"{TAB}.why.method"),
                elem_id=f"{WHY}-method",
            )
            label = gr.Dropdown(
                [(t(f"{TAB}.why.predicted"), "")],
                value="",
                label=t(f"{TAB}.why.label"),
                elem_id=f"{WHY}-label",
            )
    return _Lens(words, status, method, label, start)


# ---------------------------------------------------------------- the run


def _analyze(
    context: Context, request: gr.Request, text: str, other: str, model: str
) -> Generator[tuple[Any, ...]]:
    """Yield updates of NAMES: the scores; `next` is set if the words come without a click."""
    readings = _readings(context, request, text, other, model)
    yield updates(NAMES, next=None)
    lines: list[str] = []
    for reading in readings:
        analysis = SentimentRequest.of(text=reading.text)
        for event in follow(context, reading.spec, analysis, request):
            if isinstance(event, Finished):
                scores = reading.scores or Scores(())
                notes = scores_html.notes(reading.spec, reading.text, scores)
                lines.append(result_line(event, *notes))
                reading.script = recipe(reading.spec, analysis, event.placement)
                result = readings_html(readings)
                yield updates(NAMES, result=result, status="".join(lines), code=_script(readings))
            else:
                reading.scores = event if isinstance(event, Scores) else reading.scores
                yield updates(NAMES, status=waiting_line(event) or gr.skip())
    names = [name for name, _ in (readings[0].scores or Scores(())).scores]
    long = any(len(reading.text) > AT_ONCE for reading in readings)
    last = (text, other, model, names[0])
    yield updates(
        NAMES,
        label=_class_choice(names),
        words=f"<p>{both(f'{TAB}.why.long')}</p>" if long else "",
        explained="",
        explain=gr.update(visible=long),
        last=last,
        next=None if long else last,
    )


def _go_on(
    context: Context, request: gr.Request, task: Last | None, method: str, script: str
) -> Generator[tuple[Any, ...]]:
    """Yield updates of NAMES: the words of the result that has just come; nothing where there is none."""
    yield updates(NAMES, next=None)
    if task:
        *inputs, label = task
        readings = _readings(context, request, *inputs)
        yield from _explain_readings(context, readings, label, method, script)


def _readings(
    context: Context, request: gr.Request, text: str, other: str, model: str
) -> list[Reading]:
    """The texts with their models, which may differ by language."""
    with show_errors(request):
        SentimentRequest.of(text=text)
        texts = [text, *([other] if (other or "").strip() else [])]
        page = language_of_page(request)
        return [
            Reading(select(SENTIMENT, model, context.settings, one, page), one) for one in texts
        ]


def _explain(
    context: Context, request: gr.Request, last: Last | None, method: str, label: str
) -> Generator[tuple[Any, ...]]:
    """Yield updates of NAMES: the words of the result that is there by another method or for another class."""
    text, other, model, _ = last or (example_text(language_of_page(request)), "", "auto", "")
    readings = _readings(context, request, text, other, model)
    yield from _explain_readings(context, readings, label or "", method)


def _explain_readings(
    context: Context, readings: Sequence[Reading], label: str, method: str, script: str = ""
) -> Generator[tuple[Any, ...]]:
    """Yield updates of NAMES: the words of each text; a problem with one stands in its place.

    Args:
        context: the app's models.
        readings: the texts.
        label: the class to explain in all of them; "" for the first one's likeliest.
        method: one of METHODS.
        script: the Python behind the scores, which the words' follows.
    """
    for reading in readings:
        explanation = AttributionRequest.of(text=reading.text, label=label or "", method=method)
        try:
            with closing(run(context.cache, reading.spec, explanation)) as events:
                for event in events:
                    if isinstance(event, Attribution):
                        reading.words = scores_html.words(reading.text, event)
                        label = label or event.label  # the same class for both texts
                        yield updates(NAMES, words=words_html(readings))
                    elif isinstance(event, AttributionProgress):
                        wait = both(f"{TAB}.why.progress", done=event.done, total=event.total)
                        yield updates(NAMES, explained=line(wait))
                    elif isinstance(event, Finished):
                        reading.script = recipe(reading.spec, explanation, event.placement)
                        language = scores_html.language_note(reading.spec, reading.text)
                        yield updates(NAMES, explained=result_line(event, *language))
                    else:
                        yield updates(NAMES, explained=waiting_line(event) or gr.skip())
        except ModelError as problem:
            reading.words = f'<p class="problem-line">{problem_line(problem)}</p>'
            yield updates(NAMES, words=words_html(readings), explained="")
    code = _together([script, _script(readings)])
    yield updates(NAMES, code=code, explain=gr.update(visible=False))


def _script(readings: Sequence[Reading]) -> Script:
    """The code behind all of it."""
    return _together([reading.script for reading in readings])


def _together(scripts: Sequence[str]) -> Script:
    """A script after the other, each of which runs alone too."""
    return Script.of_several("\n\n".join(filter(None, scripts)), scripts)


def _class_choice(names: list[str]) -> Any:
    """The choice of the class to explain, with a result's classes; the predicted one is selected."""
    keys = [(name, scores_html.class_key(name)) for name in names]
    classes = [(t(key) if key else name, name) for name, key in keys]
    return gr.Dropdown([(t(f"{TAB}.why.predicted"), ""), *classes], value="")


# ---------------------------------------------------------------- HTML


def readings_html(readings: Sequence[Reading]) -> str:
    """The classes of one text, or of two, each under its text."""
    several = len(readings) > 1
    parts = [
        scores_html.reading(reading.spec, reading.text, reading.scores, quote=several)
        for reading in readings
        if reading.scores
    ]
    return "".join(parts)


def words_html(readings: Sequence[Reading]) -> str:
    """The texts with their words marked, under each other."""
    return "".join(reading.words for reading in readings)


def example_text(language: str) -> str:
    """The text of the worked example."""
    return recordings()["sentiment.one"][language]["text"]


def _example_scores(recording: Recording) -> str:
    spec = select_recorded(recording)
    return scores_html.reading(
        spec, recording["text"], restore(Scores, recording["scores"]), quote=True
    )


def _example_words(recording: Recording) -> str:
    return scores_html.words(recording["text"], restore(Attribution, recording["attribution"]))


def select_recorded(recording: Recording) -> ModelSpec:
    """The model that was recorded."""
    return next(spec for spec in SENTIMENT.models if spec.id == recording["model"])
