"""Token by token: for any answer of the session the alternatives of each token, and continuing from them."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import gradio as gr

from models.chat.events import Token
from models.chat.requests import ChatRequest
from models.errors import InvalidInput
from models.fields import MAX_SEED
from models.runtime.jobs import run
from tabs.chat.answers import Answers, AnswerSample, with_newest
from tabs.chat.controls import DialComponents
from tabs.chat.talk import chat_request
from tabs.chat.token_odds.view import CSS, JS, answers_view, details
from tabs.shared.context import Context
from tabs.shared.events import Pace, line, show_errors, waiting_line
from tabs.shared.strings import both, t
from tabs.shared.widgets import bind_stop, stop_button

_USUAL_ALTERNATIVES = 5  # where the dial is at 0
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


class Panel(NamedTuple):
    """What the session's answers are shown in, and where they are."""

    newest: gr.State
    answers: gr.State
    picker: gr.Dropdown
    view: gr.HTML
    details: gr.HTML
    status: gr.HTML


def build(context: Context, dials: DialComponents) -> tuple[Panel, list[Any]]:
    """Lay the section out; whoever makes the model answer fills `newest`.

    Returns:
        The panel, and its events that let the model write.
    """
    with gr.Accordion(t("dice.title"), open=False, elem_id="dice"):
        gr.Markdown(t("dice.about"))
        with gr.Row(elem_id="dice-row"):
            picker = gr.Dropdown(
                label=t("dice.which"), choices=[], interactive=True, scale=3, elem_id="dice-which"
            )
            times = gr.Slider(2, 8, 4, step=1, label=t("dice.times"), scale=2, elem_id="dice-times")
        with gr.Row():
            again = gr.Button(t("dice.again"), elem_id="dice-again")
            stop = stop_button("dice")
        status = gr.HTML(line(both("dice.empty")), elem_id="dice-status")
        view = gr.HTML(elem_id="dice-view", css_template=CSS, js_on_load=JS)
        about = gr.HTML(elem_id="dice-details", css_template=CSS, js_on_load=JS)
    panel = Panel(gr.State(None), gr.State([]), picker, view, about, status)
    position = [panel.answers, picker]
    picker.input(_pick, position, [view, about], **_PRIVATE)
    view.select(_select, position, about, **_PRIVATE)
    job: dict[str, Any] = _PRIVATE | {"outputs": list(panel)[1:], "trigger_mode": "once"}
    server = [dials.base_url, dials.api_key]
    events = [
        again.click(answer(context, repeat_job), [*position, times, *dials], **job),
        about.select(answer(context, branch_job), [*position, *server], **job),
    ]
    bind_stop(stop, events, status, line(both("page.stopped")))
    return panel, events


def empty(panel: Panel) -> dict[Any, Any]:
    """The values of the panel's parts where another conversation begins."""
    no_choice = gr.update(choices=[], value=None)
    values = (None, [], no_choice, "", "", line(both("dice.empty")))
    return dict(zip(panel, values, strict=True))


def show_newest(panel: Panel, events: Sequence[Any]) -> None:
    """Show the newest answer each time one of the events has ended.

    Args:
        panel: of which `newest` is filled by then.
        events: as their binding returned them.
    """

    def add(newest: Any, history: list[Answers]) -> Any:
        history = with_newest(history, newest)
        return _frame(history, len(history) - 1) if history else [gr.skip()] * 5

    for event in events:
        event.then(add, [panel.newest, panel.answers], list(panel)[1:], **_PRIVATE)


def _frame(history: list[Answers], number: int, status: str = "") -> tuple[Any, ...]:
    """The session's answers, the picker, the view, no details and the status."""
    titles = [(f"{at}. {one.message[:60]}", at - 1) for at, one in enumerate(history, 1)]
    picker = gr.update(choices=titles, value=number)
    return history, picker, answers_view(history[number]), "", status


def _answers_at(history: list[Answers], number: Any) -> Answers:
    if not isinstance(number, int) or not 0 <= number < len(history):
        raise InvalidInput("invalid_no_answer")
    return history[number]


def _pick(request: gr.Request, history: list[Answers], number: Any) -> tuple[str, str]:
    with show_errors(request):
        return answers_view(_answers_at(history, number)), ""


def _select(request: gr.Request, event: gr.EventData, history: list[Answers], number: Any) -> str:
    """What there is to say about the token at "sample:token"."""
    with show_errors(request):
        answers = _answers_at(history, number)
        sample, place = _place(event.at, 2)
        token = _token(answers, sample, place)
        return details(token, f"{sample}:{place}", answers.branch_choices(sample, place))


def _place(at: Any, parts: int) -> list[int]:
    numbers = str(at).split(":")
    if len(numbers) != parts or not all(n.isascii() and n.isdigit() for n in numbers):
        raise InvalidInput("invalid_no_answer")
    return [int(n) for n in numbers]


def _token(answers: Answers, sample: int, place: int) -> Token:
    if sample >= len(answers.samples) or place >= len(answers.samples[sample].tokens):
        raise InvalidInput("invalid_no_answer")
    return answers.samples[sample].tokens[place]


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
    context: Context, event: gr.EventData, history: list[Answers], number: Any, *server: Any
) -> Job:
    """Continue from another token, at "sample:token:alternative": a new answer beside the old one.

    Args:
        context: settings and models.
        event: where the click was.
        history: the session's answers.
        number: of those that are shown.
        *server: address and key as they stand in the controls now.
    """
    base_url, key = server
    answers = _answers_at(history, number)
    sample, place, which = _place(event.at, 3)
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
    event: gr.EventData,
    history: list[Answers],
    number: Any,
    times: Any,
    *values: Any,
) -> Job:
    """The same message so many times, with the dials as they stand now."""
    answers = _answers_at(history, number)
    earlier = [turn.model_dump() for turn in answers.request.messages[:-1]]
    dials = DialComponents(*values)._asdict() | {"num_return_sequences": times}
    dials["alternatives"] = dials["alternatives"] or _USUAL_ALTERNATIVES
    spec, request = chat_request(context, earlier, answers.message, dials)
    history = with_newest(history, Answers.to(spec, request))
    return Job(request, history, len(history) - 1)


def answer(context: Context, job_of: Callable[..., Job]) -> Callable[..., Generator[Any]]:
    """The handler that shows answers while they grow, then their facts.

    Args:
        context: settings and models.
        job_of: (context, event, history, number, *more inputs) -> what is to be done.
    """

    def handler(
        request: gr.Request, event: gr.EventData, history: list[Answers], *inputs: Any
    ) -> Generator[Any]:
        with show_errors(request):
            job = job_of(context, event, history, *inputs)
        answers = job.history[job.number]
        yield _frame(job.history, job.number, line(both("chat.thinking")))
        pace = Pace()
        # The line is written once: an update on its way must not cover a later "Stopped".
        status: Any = line(both("chat.writing"))
        try:
            with (
                show_errors(request),
                closing(run(context.cache, answers.spec, job.request)) as events,
            ):
                for one in events:
                    answers.add(one, job.branch)
                    if wait := waiting_line(one):
                        yield [gr.skip()] * 4 + [wait]
                    elif pace.due():
                        yield gr.skip(), gr.skip(), answers_view(answers), gr.skip(), status
                        status = gr.skip()
        except gr.Error:
            yield _frame(job.history, job.number, line(both("dice.cut")))
            raise
        yield _frame(job.history, job.number, answers.facts(context.settings))

    return handler
