"""Token by token: for any answer of the session the alternatives of each token, and continuing from them."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import gradio as gr

from models.chat.events import Token
from models.chat.requests import ChatRequest
from models.errors import InvalidInput, ModelError
from models.fields import MAX_SEED
from models.runtime.jobs import run
from tabs.chat.answers import Answers, AnswerSample, RecordedExample, with_newest
from tabs.chat.controls import DialComponents
from tabs.chat.talk import chat_request
from tabs.chat.token_odds.view import (
    BARS,
    CSS,
    CURVE,
    PART_JS,
    VIEW_JS,
    answers_view,
    example_view,
)
from tabs.shared.context import Context
from tabs.shared.events import Pace, alert, line, waiting_line
from tabs.shared.strings import LANGUAGES, both, language_of_page, t
from tabs.shared.widgets import bind_stop, stop_button

_USUAL_ALTERNATIVES = 5  # where the dial is at 0
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
NO_CHOICE = gr.update(choices=[], value=None, visible=False)
EXAMPLES = "".join(example_view(language) for language in LANGUAGES)


class Panel(NamedTuple):
    """What the session's answers are shown in, and where they are."""

    newest: gr.State
    answers: gr.State
    picker: gr.Dropdown
    view: gr.HTML
    status: gr.HTML


def build(context: Context, dials: DialComponents) -> tuple[Panel, list[Any]]:
    """Lay the lens out, with the temperature beside the odds that it moves.

    Whoever makes the model answer fills `newest`. Until then the recorded example is there.

    Returns:
        The panel, and its events that let the model write.
    """
    with gr.Column(elem_id="dice"):
        flat: dict[str, Any] = {"padding": False}
        look: dict[str, Any] = flat | {"css_template": CSS}
        gr.HTML(f"<h2>{both('dice.title')}</h2>", elem_id="dice-title", **flat)
        picker = gr.Dropdown(
            label=t("dice.which"),
            choices=[],
            interactive=True,
            visible=False,
            elem_id="dice-which",
        )
        view = gr.HTML(EXAMPLES, elem_id="dice-view", js_on_load=VIEW_JS, **look)
        with gr.Row(elem_id="dice-lens"):
            bars = gr.HTML(BARS, elem_id="dice-details", js_on_load=PART_JS, **look)
            with gr.Column(min_width=200, elem_id="dice-temperature"):
                dials.temperature.render()
                gr.HTML(CURVE, elem_id="dice-over-temperature", js_on_load=PART_JS, **look)
        status = gr.HTML(elem_id="dice-status", **flat)
        with gr.Row(elem_id="dice-row"):
            times = gr.Slider(
                2, 8, 3, step=1, label=t("dice.times"), min_width=150, elem_id="dice-times"
            )
            again = gr.Button(t("dice.again"), min_width=120, elem_id="dice-again")
            stop = stop_button("dice")
    panel = Panel(gr.State(None), gr.State([]), picker, view, status)
    position = [panel.answers, picker]
    picker.input(_pick, position, [view, status], **_PRIVATE)
    job: dict[str, Any] = _PRIVATE | {"outputs": list(panel)[1:], "trigger_mode": "once"}
    server = [dials.base_url, dials.api_key]
    events = [
        again.click(answer(context, repeat_job), [*position, times, *dials], **job),
        bars.select(answer(context, branch_job), [*position, *server], **job),
    ]
    sampling = [dials.temperature, dials.top_p, dials.top_k]
    for moves in (
        None,
        [dial.change for dial in sampling],
    ):  # when the page loads, and at each move
        turn = "(...values) => window.genlab.lens.turn(...values)"
        gr.on(moves, None, sampling, None, js=turn, **_PRIVATE)
    bind_stop(stop, events, status, line(both("page.stopped")))
    return panel, events


def empty(panel: Panel) -> dict[Any, Any]:
    """The values of the panel's parts where another conversation begins."""
    return dict(zip(panel, (None, [], NO_CHOICE, EXAMPLES, ""), strict=True))


def show_newest(panel: Panel, events: Sequence[Any]) -> None:
    """Show the newest answer each time one of the events has ended.

    Args:
        panel: of which `newest` is filled by then.
        events: as their binding returned them.
    """

    def add(newest: Any, history: list[Answers]) -> Any:
        if not isinstance(newest, Answers) or not any(newest.texts):
            # No answer came: what is there belongs to an earlier message, or is the example.
            return [gr.skip()] * 3 + [line(both("dice.earlier"))] if history else [gr.skip()] * 4
        history = with_newest(history, newest)
        return _frame(history, len(history) - 1)

    for event in events:
        event.then(add, [panel.newest, panel.answers], list(panel)[1:], **_PRIVATE)


def _frame(history: list[Answers], number: int, status: str = "") -> tuple[Any, ...]:
    """The session's answers, the picker, the view and the status."""
    titles = [(f"{at}. {one.message[:60]}", at - 1) for at, one in enumerate(history, 1)]
    picker = gr.update(choices=titles, value=number, visible=len(titles) > 1)
    return history, picker, answers_view(history[number]), status


def _answers_at(history: list[Answers], number: Any) -> Answers:
    if not isinstance(number, int) or not 0 <= number < len(history):
        raise InvalidInput("invalid_no_answer")
    return history[number]


def _pick(history: list[Answers], number: Any) -> tuple[Any, str]:
    try:
        return answers_view(_answers_at(history, number)), ""
    except InvalidInput as problem:
        return gr.skip(), alert(problem)


def _place(at: Any, parts: int) -> list[int]:
    numbers = str(at).split(":")
    if len(numbers) != parts or not all(n.isascii() and n.isdigit() for n in numbers):
        raise InvalidInput("invalid_no_answer")
    return [int(n) for n in numbers]


def _token(answers: Answers, sample: int, place: int) -> Token:
    if sample >= len(answers.samples) or place >= len(answers.samples[sample].tokens):
        raise InvalidInput("invalid_no_answer")
    return answers.samples[sample].tokens[place]


def _with_example(history: list[Answers], language: str) -> tuple[list[Answers], int]:
    """The session's answers with the recorded example as the newest, and its number."""
    history = with_newest(history, RecordedExample.read(language).answers())
    return history, len(history) - 1


# ---------------------------------------------------------------- letting the model write


class Job(NamedTuple):
    """A request, and where its answer goes.

    Attributes:
        request: with the key.
        history: the session's answers.
        number: of those in it that are shown.
        branch: the sample that is continued; None where all samples are new.
    """

    request: ChatRequest
    history: list[Answers]
    number: int
    branch: AnswerSample | None = None


def branch_job(
    context: Context,
    language: str,
    event: gr.EventData,
    history: list[Answers],
    number: Any,
    *server: Any,
) -> Job:
    """Continue from another token, at "sample:token:alternative": a new answer beside the old one.

    Args:
        context: settings and models.
        language: of the page.
        event: where the click was; of the recorded example, with its language before the place.
        history: the session's answers.
        number: of those that are shown.
        *server: address and key as they stand in the controls now.
    """
    base_url, key = server
    at = str(event.at)
    example, _, rest = at.partition(":")
    if example in LANGUAGES:
        at = rest
        history, number = _with_example(history, example)
    answers = _answers_at(history, number)
    sample, place, which = _place(at, 3)
    alternatives = _token(answers, sample, place).alternatives
    if which >= len(alternatives) or not answers.branch_choices(sample, place)[which]:
        raise InvalidInput("invalid_no_answer")
    hosted, old = answers.spec.hosted, answers.request
    if key and hosted and (base_url or "").strip() != old.base_url:
        raise InvalidInput("invalid_other_server")  # a key goes to its own server alone
    branch = answers.branch(sample, place, alternatives[which])
    ids = tuple(token.id for token in branch.tokens)
    changes = {
        **({"prefix": branch.text} if hosted else {"prefix_ids": ids}),
        "num_return_sequences": 1,
        "seed": min(old.seed + sample, MAX_SEED),
        "api_key": key or None,
    }
    return Job(ChatRequest.of(**old.model_dump() | changes), history, number, branch)


def repeat_job(
    context: Context,
    language: str,
    event: gr.EventData,
    history: list[Answers],
    number: Any,
    times: Any,
    *values: Any,
) -> Job:
    """The same message so many times, with the dials as they stand now; before the first, the example's."""
    answers = _answers_at(history, number) if history else RecordedExample.read(language).answers()
    earlier = [turn.model_dump() for turn in answers.request.messages[:-1]]
    dials = DialComponents(*values)._asdict() | {"num_return_sequences": times}
    dials["alternatives"] = dials["alternatives"] or _USUAL_ALTERNATIVES
    spec, request = chat_request(context, earlier, answers.message, dials, language)
    history = with_newest(history, Answers.to(spec, request))
    return Job(request, history, len(history) - 1)


def answer(context: Context, job_of: Callable[..., Job]) -> Callable[..., Generator[Any]]:
    """The handler that shows answers while they grow, then their facts.

    Args:
        context: settings and models.
        job_of: (context, language of the page, event, history, number, *more inputs) -> what is to
            be done.
    """

    def handler(
        request: gr.Request, event: gr.EventData, history: list[Answers], *inputs: Any
    ) -> Generator[Any]:
        language = language_of_page(request)
        try:
            job = job_of(context, language, event, history, *inputs)
        except ModelError as problem:
            yield *[gr.skip()] * 3, alert(problem)
            return
        answers = job.history[job.number]
        yield _frame(job.history, job.number, line(both("chat.thinking")))
        pace = Pace()
        # The line is written once: an update on its way must not cover a later "Stopped".
        status: Any = line(both("chat.writing"))
        try:
            with closing(run(context.cache, answers.spec, job.request)) as events:
                for one in events:
                    answers.add(one, job.branch)
                    if wait := waiting_line(one):
                        yield *[gr.skip()] * 3, wait
                    elif pace.due():
                        yield gr.skip(), gr.skip(), answers_view(answers, odds=False), status
                        status = gr.skip()
        except ModelError as problem:
            if job.branch is None and not any(answers.texts):  # all that was there stays
                old = _frame(history, inputs[0]) if history else ([], NO_CHOICE, EXAMPLES)
                yield *old[:3], alert(problem)
            else:
                yield _frame(job.history, job.number, alert(problem) + line(both("dice.cut")))
            return
        yield _frame(job.history, job.number, answers.facts(context.settings))

    return handler
