"""Token by token: for any answer of the session what else could have come, and going on from there."""

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, NamedTuple

import gradio as gr

from models.base import Event, TextDelta
from models.chat.events import Token
from models.errors import InvalidInput
from models.requests import MAX_SEED
from tabs.chat.controls import Dials
from tabs.chat.dice_record import Answers, remembered
from tabs.chat.dice_view import CSS, JS, answers_view, details
from tabs.chat.talk import asked
from tabs.context import Context
from tabs.events import follow, line, told, waiting_line
from tabs.parts import bind_stop, stop_button
from tabs.text import both, t

_EVERY = 0.15  # seconds between two updates of the page
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
        request: gr.Request, at: gr.EventData, answers: list[Answers], number: Any, key: Any
    ) -> Any:
        yield from _branched(context, request, answers, number, at.at, key)

    job: dict[str, Any] = {
        "outputs": [panel.answers, panel.picker, panel.view, panel.details, panel.status],
        "api_visibility": "private",
        "show_progress": "hidden",
        "trigger_mode": "once",
    }
    seen = [panel.answers, panel.picker]
    return [
        again.click(ask_again, [*seen, times, *dials], **job),
        panel.details.select(branch, [*seen, dials.api_key], **job),
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
    with told(request):
        return answers_view(_of(answers, number)), ""


def _clicked(request: gr.Request, at: gr.EventData, answers: list[Answers], number: Any) -> str:
    """What there is to say about the token at "sample:token"."""
    with told(request):
        one = _of(answers, number)
        sample, place = _place(at.at, 2)
        return details(_token(one, sample, place), f"{sample}:{place}", _can_branch(one, sample))


def _place(at: Any, parts: int) -> list[int]:
    numbers = str(at).split(":")
    if len(numbers) != parts or not all(n.isascii() and n.isdigit() for n in numbers):
        raise InvalidInput("invalid_no_answer")
    return [int(n) for n in numbers]


def _token(answers: Answers, sample: int, place: int) -> Token:
    if sample >= len(answers.samples) or place >= len(answers.samples[sample].tokens):
        raise InvalidInput("invalid_no_answer")
    return answers.samples[sample].tokens[place]


def _can_branch(answers: Answers, sample: int) -> bool:
    """Only ids say exactly which tokens stand before."""
    return all(token.id is not None for token in answers.samples[sample].tokens)


def _branched(
    context: Context, request: gr.Request, answers: list[Answers], number: Any, at: Any, key: Any
) -> Generator[Any]:
    """Go on from another token: a new answer beside the old one."""
    with told(request):
        one = _of(answers, number)
        sample, place, other = _place(at, 3)
        rows = _token(one, sample, place).alternatives
        if other >= len(rows) or not _can_branch(one, sample):
            raise InvalidInput("invalid_no_answer")
        new = one.branch(sample, place, rows[other])
        ids = tuple(token.id for token in new.tokens)
        changes = {
            "prefix_ids": ids,
            "num_return_sequences": 1,
            "seed": min(one.ask.seed + sample, MAX_SEED),
            "api_key": key or None,
        }
        ask = type(one.ask).of(**one.ask.model_dump() | changes)

    def take(event: Event) -> None:
        if isinstance(event, TextDelta):
            new.deltas.append(event)

    yield from _growing(follow(context, one.spec, ask, request), take, answers, number)


def _asked_again(
    context: Context,
    request: gr.Request,
    answers: list[Answers],
    number: Any,
    times: Any,
    values: Sequence[Any],
) -> Generator[Any]:
    """The same question so many times, with the dials as they stand now."""
    with told(request):
        one = _of(answers, number)
        earlier = [turn.model_dump() for turn in one.ask.messages[:-1]]
        dials = Dials(*values)._asdict() | {"num_return_sequences": times}
        dials["alternatives"] = dials["alternatives"] or _ENOUGH
        spec, ask = asked(context, earlier, one.question, dials)
    new = Answers.to(spec, ask)
    answers = remembered(answers, new)
    number = len(answers) - 1
    yield from _growing(follow(context, spec, ask, request), new.take, answers, number)


def _growing(
    events: Iterable[Event], take: Callable[[Event], None], answers: list[Answers], number: int
) -> Generator[Any]:
    """Show answers while they grow."""
    yield _shown(answers, number, line(both("chat.thinking")))
    shown = 0.0
    for event in events:
        take(event)
        if waits := waiting_line(event):
            yield [gr.skip()] * 4 + [waits]
        elif time.perf_counter() - shown > _EVERY:
            status = gr.skip() if shown else line(both("chat.writing"))
            shown = time.perf_counter()
            # The line is written once: an update on its way must not cover a later "Stopped".
            yield gr.skip(), gr.skip(), answers_view(answers[number]), gr.skip(), status
    yield _shown(answers, number)
