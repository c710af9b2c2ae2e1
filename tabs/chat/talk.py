"""One answer, from the person's message to the recipe behind it."""

import html
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gradio as gr

from models.base import ChatDone, Event, Finished, ModelSpec, Task, TextDelta
from models.choice import choose
from models.errors import InvalidInput
from models.recipe.chat import python
from models.requests import ChatRequest
from tabs.chat.controls import Dials
from tabs.chat.facts import facts
from tabs.chat.history import messages, text_of
from tabs.context import Context
from tabs.events import follow, line, told, waiting_line
from tabs.text import STRINGS, both

_EVERY = 0.05  # seconds between two updates of the page
_OURS = {"n": "num_return_sequences", "max_completion_tokens": "max_new_tokens"}
Frame = tuple[Any, ...]


class View(NamedTuple):
    """What a conversation is shown in."""

    chatbot: gr.Chatbot
    message: gr.Textbox
    status: gr.HTML
    samples: gr.HTML
    code: gr.Code


def frame(**changes: Any) -> Frame:
    """An update of the view: the parts that are named, the others as they are."""
    return tuple(changes.get(name, gr.skip()) for name in View._fields)


@dataclass(slots=True)
class _Answer:
    """What has come so far."""

    texts: list[str]
    shown: float = 0.0
    done: ChatDone | None = None
    notes: tuple[str, ...] = field(default=())

    def add(self, delta: TextDelta) -> bool:
        """Take a delta; whether it is time to show it (the first always is)."""
        self.texts[delta.index] += delta.text
        now = time.perf_counter()
        if now - self.shown < _EVERY:
            return False
        self.shown = now
        return True


def answer(
    context: Context, request: gr.Request, history: Any, message: Any, values: Sequence[Any]
) -> Generator[Frame]:
    """Yield updates of the view while the model answers a new message.

    Args:
        context: settings and models.
        request: whose language errors are told in.
        history: the chatbot's value before.
        message: what the person wrote.
        values: of the dials, in the order of Dials.
    """
    with told(request):
        earlier = messages(history)
        spec, ask = asked(context, earlier, message, Dials(*values)._asdict())
    turns = [*earlier, {"role": "user", "content": ask.messages[-1].content}]
    reply = _Answer([""] * ask.num_return_sequences)
    yield frame(
        chatbot=_with(turns, ""),
        message="",
        status=line(both("chat.thinking")),
        samples=_cards([]),
        code="",
    )
    try:
        for event in follow(context, spec, ask, request):
            yield from _shown(event, context, spec, ask, turns, reply)
    except gr.Error:  # the half answer stays, marked as what it is
        cut = both("chat.cut") if any(reply.texts) else both("chat.unanswered")
        yield frame(chatbot=_with(turns, reply.texts[0]), status=line(cut))
        raise


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
    spec = choose(Task.CHAT, dials.pop("model"), context.settings, message)
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
            shown = {"chatbot": _with(turns, reply.texts[0]), "samples": _cards(reply.texts)}
            # The line is written once: an update on its way must not cover a later "Stopped".
            yield frame(**shown, **{"status": line(both("chat.writing"))} if first else {})
    elif isinstance(event, ChatDone):
        reply.done = event
    elif isinstance(event, Finished) and reply.done:
        done = reply.done
        repeat = ask.model_copy(update={"seed": done.seed, "api_key": None})
        yield frame(
            chatbot=_with(turns, reply.texts[0]),
            samples=_cards(reply.texts),
            status=facts(context.settings, ask, event, done)
            + "".join(note(code) for code in done.notes),
            code=python(spec, repeat, event.placement, done.notes),
        )
    elif not any(reply.texts) and (wait := waiting_line(event)):
        yield frame(status=wait)


def _with(turns: list[dict[str, str]], reply: str) -> list[dict[str, str]]:
    return [*turns, {"role": "assistant", "content": reply}]


def _cards(texts: list[str]) -> Any:
    """Samples side by side; hidden where there is only one."""
    cards = "".join(
        f'<div class="sample"><b>{number}</b> {html.escape(text)}</div>'
        for number, text in enumerate(texts, 1)
    )
    return gr.update(value=f'<div class="samples">{cards}</div>', visible=len(texts) > 1)


def note(code: str) -> str:
    """What a person should know about how the request was done, as HTML."""
    name, _, value = code.partition(":")
    if value == "max_completion_tokens":  # it was sent under its older name: nothing was lost
        return ""
    field_name = f"fields.{_OURS.get(value, value)}"
    words = {language: strings.get(field_name, value) for language, strings in STRINGS.items()}
    return f'<p class="note">{both(f"notes.{name}", value=words)}</p>'


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
        request: whose language errors are told in.
        history: the chatbot's value.
        index: of the message in it.
        edited: its new text; None takes the old one.
        values: of the dials.
    """
    with told(request):
        before, message = _parted(history, index)
        message = message if edited is None else text_of(edited)
    for update in answer(context, request, before, message, values):
        kept = dict(zip(View._fields, update, strict=True))
        yield frame(**kept | {"message": gr.skip()})  # what is half typed stays


def undone(request: gr.Request, history: Any, index: Any) -> Frame:
    """The view without the last exchange, its message back in the box to be changed."""
    with told(request):
        before, message = _parted(history, index)
    return frame(chatbot=before, message=message, status="", samples=_cards([]), code="")


def _parted(history: Any, index: Any) -> tuple[list[Any], str]:
    if not isinstance(history, list) or not isinstance(index, int) or index >= len(history):
        raise InvalidInput("invalid_history")
    while index and history[index]["role"] != "user":
        index -= 1
    return history[:index], text_of(history[index]["content"])
