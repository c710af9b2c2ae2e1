"""Talking to the model: a new message, retry, edit, continue and undo."""

import html
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, NamedTuple

import gradio as gr

from models.chat.catalog import dials_of
from models.chat.events import ChatDone, TextDelta
from models.chat.requests import ChatRequest
from models.contract import Event, Finished, ModelSpec, Working
from models.errors import InvalidInput, ModelError
from models.runtime.jobs import run
from models.select import select
from models.settings import Settings
from models.tasks import CHAT
from tabs.chat.answers import Answers
from tabs.chat.controls import DialComponents
from tabs.chat.conversations import messages, text_of
from tabs.shared.context import Context
from tabs.shared.events import Pace, alert, line, waiting_line
from tabs.shared.strings import both, language_of_page
from tabs.shared.widgets import one_at_a_time, updates

START, STOP, CONTINUE = "chat-start", "chat-stop", "chat-continue"  # elem_ids
HIDE = gr.update(visible=False)
Frame = tuple[Any, ...]


class View(NamedTuple):
    """What a conversation is shown in."""

    chatbot: gr.Chatbot
    message: gr.Textbox
    status: gr.HTML
    go_on: gr.Button
    samples: gr.HTML
    code: gr.State  # the Script
    newest: gr.State  # the Answers, for the panel of token odds


frame = partial(updates, View._fields)


def bind(context: Context, view: View, dials: DialComponents, start: gr.Button) -> Any:
    """Bind all that makes the model answer, and undo.

    Returns:
        The event that lets the model write: one for all, so that Enter does nothing while a retry is on its way.
    """
    chatbot, message = view.chatbot, view.message
    chatbot.undo(undo, chatbot, list(view), api_visibility="private", show_progress="hidden")
    triggers = [start.click, message.submit, chatbot.edit, chatbot.retry, view.go_on.click]
    job: dict[str, Any] = {"inputs": [chatbot, message, *dials], "outputs": list(view)}
    return one_at_a_time(triggers, START, STOP, fn=answer(context, question_of), **job)


# ---------------------------------------------------------------- what is to be answered


@dataclass(frozen=True, slots=True)
class Question:
    """What the model is to answer.

    Attributes:
        earlier: the chatbot's value before the message.
        message: the person's.
        prefix: the beginning of the answer, if it is there already.
        fallback: the chatbot's value to come back to where no answer comes; None for a new message.
        in_place: the message is on the page, and all stays as it is until new words come.
    """

    earlier: Any
    message: Any
    prefix: str = ""
    fallback: list[Any] | None = None
    in_place: bool = False


def question_of(event: gr.EventData, history: Any, message: Any) -> Question:
    """What is to be answered after a press of Enter or of a button, or something chosen at a message."""
    if isinstance(event.target, gr.Chatbot):
        way = edit if hasattr(event, "previous_value") else retry
    else:
        way = go_on if getattr(event.target, "elem_id", "") == CONTINUE else new_message
    return way(event, history, message)


def new_message(event: gr.EventData, history: Any, message: Any) -> Question:
    """The message in the box."""
    return Question(history, message)


def retry(event: gr.EventData, history: Any, message: Any) -> Question:
    """A message of the conversation once more."""
    earlier, text = _split(history, event.index)
    return Question(earlier, text, fallback=history, in_place=True)


def edit(event: gr.EventData, history: Any, message: Any) -> Question:
    """A message of the conversation with another text."""
    earlier, _ = _split(history, event.index)
    return Question(earlier, text_of(event.value), fallback=history)


def go_on(event: gr.EventData, history: Any, message: Any) -> Question:
    """The last message, with the answer so far as the beginning of the new one."""
    earlier, text = _split(history, len(history) - 1 if history else None)
    prefix = text_of(history[-1]["content"])
    return Question(earlier, text, prefix, fallback=history, in_place=True)


def undo(event: gr.UndoData, history: Any) -> Frame:
    """The view without the last exchange, its message back in the box to be changed."""
    try:
        earlier, message = _split(history, event.index)
    except ModelError as problem:
        return frame(status=alert(problem))
    return frame(
        chatbot=earlier,
        message=message,
        status="",
        samples=sample_cards([]),
        code="",
        go_on=HIDE,
    )


def _split(history: Any, index: Any) -> tuple[list[Any], str]:
    """The turns before the message at or before an index, and that message."""
    if not isinstance(history, list) or not isinstance(index, int) or index >= len(history):
        raise InvalidInput("invalid_history")
    while index and history[index]["role"] != "user":
        index -= 1
    return history[:index], text_of(history[index]["content"])


def chat_request(
    context: Context,
    earlier: list[dict[str, str]],
    message: Any,
    dials: dict[str, Any],
    page: str = "en",
) -> tuple[ModelSpec, ChatRequest]:
    """The model and the validated request of what a person or a program sent.

    Dials that are None take the model's own value. `page` is the language of a message without a letter.

    Raises:
        ModelError: something in it cannot be used.
    """
    if not isinstance(message, str):
        raise InvalidInput("invalid_not_text", field="messages")
    spec = select(CHAT, dials.pop("model"), context.settings, message, page)
    values = asdict(dials_of(spec))
    values |= {name: value for name, value in dials.items() if value is not None}
    if spec.hosted and not str(values.get("model_name", "")).strip():
        values["model_name"] = context.settings.openai_model
    turns = [*earlier, {"role": "user", "content": message}]
    return spec, ChatRequest.of(messages=turns, **values)


# ---------------------------------------------------------------- the answer


def answer(
    context: Context, question_of: Callable[[gr.EventData, Any, Any], Question]
) -> Callable[..., Generator[Frame]]:
    """The handler that yields updates of the view while the model answers.

    Args:
        context: settings and models.
        question_of: (event, the chatbot's value, the message in the box) -> what is to be answered.

    Returns:
        (event, page, chatbot, message, *dials in the order of DialComponents) -> updates.
    """

    def handler(
        event: gr.EventData, page: gr.Request, history: Any, message: Any, *values: Any
    ) -> Generator[Frame]:
        try:
            question = question_of(event, history, message)
            dials = DialComponents(*values)._asdict()
            if question.prefix:
                dials |= {"prefix": question.prefix, "num_return_sequences": 1}
            earlier = messages(question.earlier)
            language = language_of_page(page)
            spec, chat = chat_request(context, earlier, question.message, dials, language)
        except ModelError as problem:  # nothing was sent: all stays, and the reason at the box
            yield frame(status=alert(problem))
            return
        answers = Answers.to(spec, chat)
        view = _Page(context.settings, question, earlier, answers)
        yield view.start()
        try:
            with closing(run(context.cache, spec, chat)) as events:
                for one in events:
                    answers.add(one)
                    if (update := view.update(one)) is not None:
                        yield update
        except ModelError as problem:
            yield view.failure(problem)

    return handler


@dataclass(slots=True)
class _Page:
    """The updates of the view while an answer grows.

    Attributes:
        earlier: the turns before the message.
        visible: there are words of the answer on the page.
        behind: there are more words than the page shows.
    """

    settings: Settings
    question: Question
    earlier: list[dict[str, str]]
    answers: Answers
    pace: Pace = field(default_factory=Pace)
    visible: bool = False
    behind: bool = False

    def start(self) -> Frame:
        """Before anything has come."""
        question = self.question
        return frame(
            chatbot=gr.skip() if question.in_place else self._turns(""),
            # What is half typed stays.
            message="" if question.fallback is None else gr.skip(),
            status=pending(line(both("chat.thinking")), bool(question.prefix)),
            go_on=HIDE,
            samples=sample_cards([]),
            code="",
            newest=self.answers,
        )

    def update(self, event: Event) -> Frame | None:
        """What an event, added to the answers already, changes; None where the page is not due."""
        if isinstance(event, TextDelta):
            self.behind = not self.pace.due()
            if self.behind:
                return None
            # The line is written once: an update on its way must not cover a later "Stopped".
            status = {} if self.visible else {"status": pending(line(both("chat.writing")), True)}
            self.visible = True
            return frame(**self._words(), **status)
        if isinstance(event, ChatDone):
            return None
        if isinstance(event, Working) and self.behind:  # a pause: all that has come is shown
            self.behind = False
            return frame(**self._words())
        if isinstance(event, Finished) and self.answers.end:
            return frame(
                **self._words(),
                go_on=gr.update(visible=self.answers.end.finish_reason != "stop"),
                status=f'<div class="whole">{self.answers.facts(self.settings)}</div>',
                code=self.answers.python(),
            )
        if not self.visible and (wait := waiting_line(event)):
            return frame(status=pending(wait, bool(self.question.prefix)))
        return frame()

    def failure(self, problem: ModelError) -> Frame:
        """Why there is no answer, or half of one; nothing that was there is lost."""
        question = self.question
        if self.visible:
            half, more = self._turns(self.answers.texts[0]), gr.update(visible=True)
            return frame(chatbot=half, go_on=more, status=_failure_html(problem, "chat.cut"))
        if question.in_place:
            return frame(status=_failure_html(problem, "chat.as_it_was"))
        # The message goes back into the box: see giveBack in shelf.js.
        turns = [*(question.fallback or self.earlier), *self._turns("")[-2:]]
        return frame(chatbot=turns, status=_failure_html(problem, "chat.unanswered"))

    def _words(self) -> dict[str, Any]:
        """The changes that show all words so far."""
        texts = self.answers.texts
        samples = {"samples": sample_cards(texts)} if len(texts) > 1 else {}
        return {"chatbot": self._turns(texts[0]), **samples}

    def _turns(self, reply: str) -> list[dict[str, str]]:
        message = {"role": "user", "content": self.answers.message}
        return [*self.earlier, message, {"role": "assistant", "content": reply}]


def _failure_html(problem: ModelError, what: str) -> str:
    """Why no answer, or only half of one, came, and what became of the message, as HTML.

    By its class shelf.js knows that the message is to be given back.
    """
    return f'<div class="failed">{alert(problem)}{line(both(what))}</div>'


def pending(status: str, half: bool = False) -> str:
    """A line on what goes on now, as HTML.

    By it shelf.js knows at a stop that there is something to end, and that what it stores is half an answer.

    Args:
        status: the line.
        half: there are words of the answer already, from which it can continue.
    """
    return f'<div class="pending{" half" if half else ""}">{status}</div>'


def sample_cards(texts: list[str]) -> Any:
    """Samples side by side; hidden where there is only one."""
    cards = "".join(
        f'<div class="sample"><b>{number}</b> {html.escape(text)}</div>'
        for number, text in enumerate(texts, 1)
    )
    return gr.update(value=f'<div class="samples">{cards}</div>', visible=len(texts) > 1)
