"""The conversations of a person: shelf.js stores them in the browser, conversations.py knows their file.

Nothing of it stays on the server: a file passes through it once, to be checked or written.
"""

import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

from models.errors import ModelError
from tabs.chat.controls import DialComponents
from tabs.chat.conversations import (
    MAX_BYTES,
    Conversation,
    ConversationDials,
    messages,
    read,
)
from tabs.shared.events import alert, line
from tabs.shared.strings import LANGUAGES, both, say, t

# The dials that are stored with a conversation.
NAMES = tuple(name for name in ConversationDials.model_fields if name in DialComponents._fields)
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


class Shelf:
    """Lay the folded part out; `bind` then ties it to the chat beside it."""

    def __init__(self) -> None:
        """Build the components in place."""
        with gr.Accordion(t("chats.title"), open=False, elem_id="chat-shelf"):
            with gr.Row():
                self.chooser = gr.Dropdown(
                    label=t("chats.choose"),
                    info=t("chats.info"),
                    choices=[],
                    allow_custom_value=True,  # the server never learns which there are
                    elem_id="chat-chooser",
                )
                self.name = gr.Textbox(
                    label=t("chats.name"),
                    info=t("chats.name_info"),
                    max_lines=1,
                    max_length=120,
                    elem_id="chat-name",
                )
            with gr.Row():
                self.new = _button("new")
                self.remove = _button("remove")
                self.pick = _button("pick")
            with gr.Row():
                self.save_one = _button("save_one")
                self.save_markdown = _button("save_markdown")
                self.save_all = _button("save_all")
            self.note = gr.HTML(elem_id="chat-shelf-note")
        self.file = gr.Textbox(visible=False)
        self.conversations = gr.JSON(visible=False)  # of a file

    def bind(
        self,
        chatbot: gr.Chatbot,
        message: gr.Textbox,
        status: gr.HTML,
        go_on: gr.Button,
        dials: DialComponents,
        events: Sequence[Any],
        empty: dict[Any, Any],
    ) -> None:
        """Store the conversation at each change, and let another one take its place.

        Args:
            chatbot: where the conversation is shown.
            message: the box, which a question without an answer goes back into.
            status: the line that says so, or that the last answer broke off.
            go_on: the button that continues that.
            dials: the controls; those of NAMES are stored.
            events: answers on their way, which end when another conversation is opened.
            empty: components that belong to the conversation, and their values after a change of it.
        """
        values = [getattr(dials, name) for name in NAMES]
        view = [self.chooser, self.name, self.note, chatbot, message, status, go_on, *values]
        full = both("chats.full")
        lines = {"unanswered": line(both("chat.unanswered")), "half": line(both("chat.cut"))}
        gr.on(
            [chatbot.change, status.change, *(dial.change for dial in values)],
            None,
            [chatbot, status, *values],
            [self.chooser, self.name, self.note],
            js=_js("store", NAMES, full),
            **_PRIVATE,
        )
        # When the page loads.
        gr.on(None, None, None, view, js=_js("restore", NAMES, lines), **_PRIVATE)
        for trigger, inputs, call in (
            (self.chooser.input, [self.chooser, message], _js("open", NAMES, lines)),
            (self.new.click, None, _js("fresh")),
            (chatbot.clear, None, _js("fresh")),
            (self.remove.click, None, _js("remove", _words("chats.really"))),
        ):
            # First the answer on its way ends. Then the server empties the view: by then the answer's
            # last words are through. Then the other conversation comes.
            end = trigger(None, cancels=list(events), **_PRIVATE)
            clear = end.then(lambda: list(empty.values()), None, list(empty), **_PRIVATE)
            clear.then(None, inputs, view, js=call, **_PRIVATE)
        self.name.input(None, self.name, self.chooser, js=_js("rename"), **_PRIVATE)
        self._bind_files(chatbot, message, values, view, _js("add", NAMES, lines, full))

    def _bind_files(
        self,
        chatbot: gr.Chatbot,
        message: gr.Textbox,
        values: list[Any],
        view: list[Any],
        add: str,
    ) -> None:
        self.save_one.click(None, None, None, js=_js("saveOne"), **_PRIVATE)
        self.save_all.click(None, None, None, js=_js("saveAll"), **_PRIVATE)
        write = self.save_markdown.click(
            _markdown, [self.name, chatbot, *values], [self.file, self.note], **_PRIVATE
        )
        write.success(None, self.file, None, js=_js("saveMarkdown"), **_PRIVATE)
        pick = self.pick.click(None, None, self.file, js=_js("pick", MAX_BYTES), **_PRIVATE)
        outputs = [self.conversations, self.note]
        check = pick.then(_read_file, self.file, outputs, **_PRIVATE)
        check.success(None, [self.conversations, message], view, js=add, **_PRIVATE)


def bind_failure(event: Any, parts: Sequence[gr.components.Component]) -> None:
    """When an answer breaks off, nothing that was typed is lost.

    Args:
        event: makes the model answer.
        parts: chatbot, message, go_on and status, which says whether it broke off.
    """
    chatbot, message, _, status = parts
    event.then(None, [chatbot, message, status], [*parts[:3]], js=_js("failed"), **_PRIVATE)


def bind_stop(
    stop: gr.Button, events: Sequence[Any], status: str, parts: Sequence[gr.components.Component]
) -> Any:
    """Let the stop button end an answer; without an answer under way it changes nothing.

    Args:
        stop: the button.
        events: what it cancels, as their binding returned them.
        status: the new status line, HTML.
        parts: chatbot, message, go_on and status.

    Returns:
        The event after it (`.then`).
    """
    end = stop.click(None, cancels=list(events), **_PRIVATE)
    chatbot, message, _, line = parts
    inputs = [chatbot, message, line]
    return end.then(None, inputs, list(parts), js=_js("stop", status), **_PRIVATE)


def _button(name: str) -> gr.Button:
    return gr.Button(t(f"chats.{name}"), size="sm", min_width=120, elem_id=f"chat-{name}")


def _js(call: str, *values: Any) -> str:
    """JavaScript that calls window.genlab.chats with fixed arguments before the event's inputs."""
    arguments = "".join(f"{json.dumps(value, ensure_ascii=False)}, " for value in values)
    return f"(...inputs) => window.genlab.chats.{call}({arguments}...inputs)"


def _words(key: str) -> dict[str, str]:
    return {language: say(key, language) for language in LANGUAGES}


def _markdown(name: str, history: Any, *values: Any) -> tuple[str, str]:
    """The conversation as Markdown, or "" and why not."""
    dials = dict(zip(NAMES, values, strict=True))
    try:
        return Conversation.of(name, dials, messages(history)).markdown(), ""
    except ModelError as problem:
        return "", alert(problem)


def _read_file(text: Any) -> tuple[list[dict[str, Any]], str]:
    """The conversations of a file; none where the file dialog was cancelled, or with the reason."""
    if text == "":
        return [], ""
    try:
        return [one.model_dump(exclude_none=True) for one in read(text)], ""
    except ModelError as problem:
        return [], alert(problem)
