"""One answer, from the person's message to the recipe behind it."""

import html
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import gradio as gr

from models.chat.events import ChatDone, TextDelta
from models.chat.recipe import python
from models.chat.requests import ChatRequest
from models.contract import Event, Finished, ModelSpec, Working
from models.errors import InvalidInput
from models.select import select
from models.tasks import CHAT
from tabs.chat.controls import Dials
from tabs.chat.facts import facts, notes
from tabs.chat.history import messages, text_of
from tabs.chat.token_odds.record import Answers
from tabs.shared.context import Context
from tabs.shared.events import Pace, follow, line, show_errors, waiting_line
from tabs.shared.strings import both
from tabs.shared.widgets import updates

HIDDEN = gr.update(visible=False)
Frame = tuple[Any, ...]


class View(NamedTuple):
    """What a conversation is shown in."""

    chatbot: gr.Chatbot
    message: gr.Textbox
    status: gr.HTML
    go_on: gr.Button
    samples: gr.HTML
    code: gr.Code
    newest: gr.State  # what the dice panel remembers of the answer


frame = partial(updates, View._fields)  # of the parts that are named, the others as they are


@dataclass(slots=True)
class _Answer:
    """What has come so far."""

    texts: list[str]
    pace: Pace = field(default_factory=Pace)
    held: bool = False  # there is more than is shown
    done: ChatDone | None = None

    def add(self, delta: TextDelta) -> bool:
        """Take a delta; whether it is time to show it (the first always is)."""
        self.texts[delta.index] += delta.text
        self.held = not self.pace.due()
        return not self.held

    @property
    def shown(self) -> bool:
        """Whether there are words of it on the page."""
        return self.pace.begun


def answer(
    context: Context,
    request: gr.Request,
    history: Any,
    message: Any,
    values: Sequence[Any],
    *,
    prefix: str = "",
    before: list[Any] | None = None,
    repeated: bool = False,
) -> Generator[Frame]:
    """Yield updates of the view while the model answers a message.

    Args:
        context: settings and models.
        request: the visitor, in whose language errors are shown.
        history: the chatbot's value before the message.
        message: what the person wrote.
        values: of the dials, in the order of Dials.
        prefix: what is there of the answer already.
        before: the chatbot's value to come back to where no answer comes; None for a new message.
        repeated: the message is in it already, and all stays as it is until new words come.
    """
    with show_errors(request):
        dials = Dials(*values)._asdict()
        if prefix:
            dials |= {"prefix": prefix, "num_return_sequences": 1}
        spec, ask = asked(context, messages(history), message, dials)
    turns = [*messages(history), {"role": "user", "content": ask.messages[-1].content}]
    reply = _Answer([prefix] * ask.num_return_sequences)
    dice = Answers.to(spec, ask)
    yield _begun(turns, before, repeated, reply)
    yield frame(newest=dice)
    try:
        for event in follow(context, spec, ask, request):
            dice.take(event)
            yield from _shown(event, context, spec, ask, turns, reply)
    except gr.Error:
        yield _failed(turns, reply, before, repeated)
        raise


def pending(said: str, half: bool = False) -> str:
    """A line on what goes on now, as HTML; by it a stop knows that there is something to end.

    Args:
        said: the line.
        half: there are words of the answer already, with which it can be gone on.
    """
    return f'<div class="pending{" half" if half else ""}">{said}</div>'


def _begun(
    turns: list[dict[str, str]], before: list[Any] | None, repeated: bool, reply: _Answer
) -> Frame:
    return frame(
        chatbot=gr.skip() if repeated else _with(turns, ""),
        message="" if before is None else gr.skip(),  # what is half typed stays
        status=pending(line(both("chat.thinking")), bool(reply.texts[0])),
        go_on=HIDDEN,
        samples=cards([]),
        code="",
    )


def _failed(
    turns: list[dict[str, str]], reply: _Answer, before: list[Any] | None, repeated: bool
) -> Frame:
    """The half answer, marked as what it is; without one, nothing that was there is lost."""
    if reply.shown:
        half, more = _with(turns, reply.texts[0]), gr.update(visible=True)
        return frame(chatbot=half, go_on=more, status=line(both("chat.cut")))
    if repeated:
        return frame(status=line(both("chat.as_it_was")))
    # The message goes back into the box: see giveBack in shelf.js.
    unanswered = _with([*(before or turns[:-1]), turns[-1]], "")
    return frame(chatbot=unanswered, status=line(both("chat.unanswered")))


def asked(
    context: Context, earlier: list[dict[str, str]], message: Any, dials: dict[str, Any]
) -> tuple[ModelSpec, ChatRequest]:
    """The model and the validated request of what a person or a program gave.

    Dials left at None are the model's own.

    Raises:
        ModelError: something in it cannot be used.
    """
    if not isinstance(message, str):
        raise InvalidInput("invalid_not_text", field="messages")
    spec = select(CHAT, dials.pop("model"), context.settings, message)
    given = {name: value for name, value in dials.items() if value is not None}
    own = {name: value for name, value in spec.defaults.items() if name in Dials._fields}
    if spec.hosted and not str(given.get("model_name", "")).strip():
        given["model_name"] = context.settings.openai_model
    turns = [*earlier, {"role": "user", "content": message}]
    return spec, ChatRequest.of(messages=turns, **(own | given))


def _shown(
    event: Event,
    context: Context,
    spec: ModelSpec,
    ask: ChatRequest,
    turns: list[dict[str, str]],
    reply: _Answer,
) -> Generator[Frame]:
    if isinstance(event, TextDelta):
        first = not reply.shown
        if reply.add(event):
            # The line is written once: an update on its way must not cover a later "Stopped".
            status = {"status": pending(line(both("chat.writing")), half=True)} if first else {}
            yield frame(**_words(turns, reply), **status)
    elif isinstance(event, ChatDone):
        reply.done = event
    elif isinstance(event, Working) and reply.held:  # a pause: all that has come is shown
        reply.held = False
        yield frame(**_words(turns, reply))
    elif isinstance(event, Finished) and reply.done:
        done = reply.done
        repeat = ask.model_copy(update={"seed": done.seed, "api_key": None})
        yield frame(
            **_words(turns, reply),
            go_on=gr.update(visible=done.finish_reason != "stop"),
            status=facts(context.settings, ask, event, done) + notes(done, ask),
            code=python(spec, repeat, event.placement, done.notes),
        )
    elif not reply.shown and (wait := waiting_line(event)):
        yield frame(status=pending(wait, bool(reply.texts[0])))
    else:
        yield frame()


def _words(turns: list[dict[str, str]], reply: _Answer) -> dict[str, Any]:
    """What shows all words so far."""
    samples = {"samples": cards(reply.texts)} if len(reply.texts) > 1 else {}
    return {"chatbot": _with(turns, reply.texts[0]), **samples}


def _with(turns: list[dict[str, str]], reply: str) -> list[dict[str, str]]:
    return [*turns, {"role": "assistant", "content": reply}]


def cards(texts: list[str]) -> Any:
    """Samples side by side; hidden where there is only one."""
    cards = "".join(
        f'<div class="sample"><b>{number}</b> {html.escape(text)}</div>'
        for number, text in enumerate(texts, 1)
    )
    return gr.update(value=f'<div class="samples">{cards}</div>', visible=len(texts) > 1)


def again(
    context: Context,
    request: gr.Request,
    history: Any,
    index: Any,
    edited: Any,
    values: Sequence[Any],
) -> Generator[Frame]:
    """Answer a message of the conversation anew, as it was or as it was edited to.

    Args:
        context: settings and models.
        request: the visitor, in whose language errors are shown.
        history: the chatbot's value.
        index: of the message in it.
        edited: its new text; None takes the old one.
        values: of the dials.
    """
    with show_errors(request):
        earlier, message = _parted(history, index)
        message = message if edited is None else text_of(edited)
    yield from answer(
        context, request, earlier, message, values, before=history, repeated=edited is None
    )


def gone_on(
    context: Context, request: gr.Request, history: Any, values: Sequence[Any]
) -> Generator[Frame]:
    """Go on from where the last answer ended."""
    with show_errors(request):
        earlier, message = _parted(history, len(history) - 1 if history else None)
        prefix = text_of(history[-1]["content"])
    yield from answer(
        context, request, earlier, message, values, prefix=prefix, before=history, repeated=True
    )


def undone(request: gr.Request, history: Any, index: Any) -> Frame:
    """The view without the last exchange, its message back in the box to be changed."""
    with show_errors(request):
        before, message = _parted(history, index)
    return frame(
        chatbot=before, message=message, status="", samples=cards([]), code="", go_on=HIDDEN
    )


def _parted(history: Any, index: Any) -> tuple[list[Any], str]:
    if not isinstance(history, list) or not isinstance(index, int) or index >= len(history):
        raise InvalidInput("invalid_history")
    while index and history[index]["role"] != "user":
        index -= 1
    return history[:index], text_of(history[index]["content"])
