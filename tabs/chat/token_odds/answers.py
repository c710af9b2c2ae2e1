"""Token by token: for any answer of the session what else could have come, and going on from there."""

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

import gradio as gr

from models.chat.events import ChatDone, TextDelta, Token
from models.chat.requests import ChatRequest
from models.contract import Event, Finished, ModelSpec
from models.errors import InvalidInput
from models.fields import MAX_SEED
from tabs.chat.answer import asked
from tabs.chat.controls import Dials
from tabs.chat.facts import facts, notes
from tabs.chat.token_odds.record import Answers, remembered
from tabs.chat.token_odds.view import CSS, JS, answers_view, details
from tabs.shared.context import Context
from tabs.shared.events import Pace, follow, line, show_errors, waiting_line
from tabs.shared.strings import both, t
from tabs.shared.widgets import bind_stop, stop_button

_ENOUGH = 5  # alternatives, where the dial asks for none


class Panel(NamedTuple):
    """What is shown of the answers, and what is remembered of them."""

    newest: gr.State
    answers: gr.State
    picker: gr.Dropdown
    view: gr.HTML
    details: gr.HTML
    status: gr.HTML


def build(context: Context, dials: Dials) -> tuple[Panel, list[Any]]:
    """Lay the section out; `newest` is to be filled by whoever makes the model answer.

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
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    running = _working(context, panel, dials, times, again)
    picker.input(_picked, [panel.answers, picker], [view, about], **private)
    view.select(_clicked, [panel.answers, picker], about, **private)
    bind_stop(stop, running, status, line(both("page.stopped")))
    return panel, running


def empty(panel: Panel) -> dict[Any, Any]:
    """What the panel's parts are set to where another conversation begins."""
    nothing = gr.update(choices=[], value=None)
    values = (None, [], nothing, "", "", line(both("dice.empty")))
    return dict(zip(panel, values, strict=True))


def _working(
    context: Context, panel: Panel, dials: Dials, times: gr.Slider, again: gr.Button
) -> list[Any]:
    """Bind what lets the model write: asking again, and going on from another token."""

    def ask_again(
        request: gr.Request, answers: list[Answers], number: Any, n: Any, *values: Any
    ) -> Any:
        yield from _asked_again(context, request, answers, number, n, values)

    def branch(
        request: gr.Request, at: gr.EventData, answers: list[Answers], number: Any, *server: Any
    ) -> Any:
        yield from _branched(context, request, answers, number, at.at, *server)

    job: dict[str, Any] = {
        "outputs": [panel.answers, panel.picker, panel.view, panel.details, panel.status],
        "api_visibility": "private",
        "show_progress": "hidden",
        "trigger_mode": "once",
    }
    seen = [panel.answers, panel.picker]
    return [
        again.click(ask_again, [*seen, times, *dials], **job),
        panel.details.select(branch, [*seen, dials.base_url, dials.api_key], **job),
    ]


def show_newest(panel: Panel, ended: Sequence[Any]) -> None:
    """Show the newest answer each time one of the events has ended.

    Args:
        panel: of which `newest` was filled.
        ended: events, as their binding returned them.
    """

    def add(newest: Any, answers: list[Answers]) -> Any:
        answers = remembered(answers, newest)
        return _shown(answers, len(answers) - 1) if answers else [gr.skip()] * 5

    for event in ended:
        event.then(
            add,
            [panel.newest, panel.answers],
            [panel.answers, panel.picker, panel.view, panel.details, panel.status],
            api_visibility="private",
            show_progress="hidden",
        )


def _shown(answers: list[Answers], number: int, status: str = "") -> tuple[Any, ...]:
    """The session's answers, the picker, the view, no details and the status."""
    titles = [(f"{at}. {one.question[:60]}", at - 1) for at, one in enumerate(answers, 1)]
    picker = gr.update(choices=titles, value=number)
    return answers, picker, answers_view(answers[number]), "", status


def _of(answers: list[Answers], number: Any) -> Answers:
    if not isinstance(number, int) or not 0 <= number < len(answers):
        raise InvalidInput("invalid_no_answer")
    return answers[number]


def _picked(request: gr.Request, answers: list[Answers], number: Any) -> tuple[str, str]:
    with show_errors(request):
        return answers_view(_of(answers, number)), ""


def _clicked(request: gr.Request, at: gr.EventData, answers: list[Answers], number: Any) -> str:
    """What there is to say about the token at "sample:token"."""
    with show_errors(request):
        one = _of(answers, number)
        sample, place = _place(at.at, 2)
        token = _token(one, sample, place)
        return details(token, f"{sample}:{place}", one.branches(sample, place))


def _place(at: Any, parts: int) -> list[int]:
    numbers = str(at).split(":")
    if len(numbers) != parts or not all(n.isascii() and n.isdigit() for n in numbers):
        raise InvalidInput("invalid_no_answer")
    return [int(n) for n in numbers]


def _token(answers: Answers, sample: int, place: int) -> Token:
    if sample >= len(answers.samples) or place >= len(answers.samples[sample].tokens):
        raise InvalidInput("invalid_no_answer")
    return answers.samples[sample].tokens[place]


def _branched(
    context: Context,
    request: gr.Request,
    answers: list[Answers],
    number: Any,
    at: Any,
    base_url: Any,
    key: Any,
) -> Generator[Any]:
    """Go on from another token: a new answer beside the old one."""
    with show_errors(request):
        one = _of(answers, number)
        sample, place, other = _place(at, 3)
        rows = _token(one, sample, place).alternatives
        if other >= len(rows) or not one.branches(sample, place)[other]:
            raise InvalidInput("invalid_no_answer")
        if key and one.spec.hosted and (base_url or "").strip() != one.ask.base_url:
            raise InvalidInput("invalid_other_server")  # a key goes to its own server alone
        new = one.branch(sample, place, rows[other])
        ids = tuple(token.id for token in new.tokens)
        changes = {
            **({"prefix": new.text} if one.spec.hosted else {"prefix_ids": ids}),
            "num_return_sequences": 1,
            "seed": min(one.ask.seed + sample, MAX_SEED),
            "api_key": key or None,
        }
        ask = ChatRequest.of(**one.ask.model_dump() | changes)

    def take(event: Event) -> None:
        if isinstance(event, TextDelta):
            new.deltas.append(event)

    yield from _growing(context, request, one.spec, ask, take, answers, number)


def _asked_again(
    context: Context,
    request: gr.Request,
    answers: list[Answers],
    number: Any,
    times: Any,
    values: Sequence[Any],
) -> Generator[Any]:
    """The same question so many times, with the dials as they stand now."""
    with show_errors(request):
        one = _of(answers, number)
        earlier = [turn.model_dump() for turn in one.ask.messages[:-1]]
        dials = Dials(*values)._asdict() | {"num_return_sequences": times}
        dials["alternatives"] = dials["alternatives"] or _ENOUGH
        spec, ask = asked(context, earlier, one.question, dials)
    new = Answers.to(spec, ask)
    answers = remembered(answers, new)
    number = len(answers) - 1
    yield from _growing(context, request, spec, ask, new.take, answers, number)


def _growing(
    context: Context,
    request: gr.Request,
    spec: ModelSpec,
    ask: ChatRequest,
    take: Callable[[Event], None],
    answers: list[Answers],
    number: int,
) -> Generator[Any]:
    """Show answers while they grow, then their facts."""
    yield _shown(answers, number, line(both("chat.thinking")))
    pace, done, said = Pace(), None, ""
    # The line is written once: an update on its way must not cover a later "Stopped".
    opening: Any = line(both("chat.writing"))
    try:
        for event in follow(context, spec, ask, request):
            take(event)
            done = event if isinstance(event, ChatDone) else done
            if isinstance(event, Finished) and done:
                said = facts(context.settings, ask, event, done) + notes(done, ask)
            if waits := waiting_line(event):
                yield [gr.skip()] * 4 + [waits]
            elif pace.due():
                yield gr.skip(), gr.skip(), answers_view(answers[number]), gr.skip(), opening
                opening = gr.skip()
    except gr.Error:
        yield _shown(answers, number, line(both("dice.cut")))
        raise
    yield _shown(answers, number, said)
