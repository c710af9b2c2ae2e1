"""The conversations of a person: shelf.js keeps them in the browser, conversations.py knows their file.

Nothing of it stays on the server: a file passes through it once, to be checked or written out.
"""

import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

from tabs.chat.controls import Dials
from tabs.chat.conversations import MAX_BYTES, Conversation, Kept, read
from tabs.chat.history import messages
from tabs.shared.events import show_errors
from tabs.shared.strings import LANGUAGES, both, say, t

NAMES = tuple(name for name in Kept.model_fields if name in Dials._fields)  # that are kept
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
        self.found = gr.JSON(visible=False)

    def bind(
        self, chatbot: gr.Chatbot, dials: Dials, events: Sequence[Any], empty: dict[Any, Any]
    ) -> None:
        """Keep what is said, and let another conversation take its place.

        Args:
            chatbot: where the conversation is shown.
            dials: the controls; those of NAMES are kept.
            events: answers on their way, which end when another conversation is opened.
            empty: components that belong to the conversation, and what they are set to then.
        """
        kept = [getattr(dials, name) for name in NAMES]
        opened = [self.chooser, self.name, self.note, chatbot, *kept]
        full = both("chats.full")
        gr.on(
            [chatbot.change, *(dial.change for dial in kept)],
            None,
            [chatbot, *kept],
            [self.chooser, self.name, self.note],
            js=_js("keep", NAMES, full),
            **_PRIVATE,
        )
        gr.on(None, None, None, opened, js=_js("restore", NAMES), **_PRIVATE)  # when the page loads
        for trigger, inputs, call in (
            (self.chooser.input, self.chooser, _js("open", NAMES)),
            (self.new.click, None, _js("fresh", NAMES)),
            (chatbot.clear, None, _js("fresh", NAMES)),
            (self.remove.click, None, _js("remove", NAMES, _words("chats.really"))),
        ):
            # First the end of what is on its way, then by way of the server, so that its last words
            # are through, the other conversation.
            ended = trigger(None, cancels=list(events), **_PRIVATE)
            emptied = ended.then(lambda: list(empty.values()), None, list(empty), **_PRIVATE)
            emptied.then(None, inputs, opened, js=call, **_PRIVATE)
        # A paste by mouse is told when the box is left.
        for typed in (self.name.input, self.name.blur):
            typed(None, self.name, self.chooser, js=_js("rename"), **_PRIVATE)
        self._bind_files(chatbot, kept, opened, full)

    def _bind_files(
        self, chatbot: gr.Chatbot, kept: list[Any], opened: list[Any], full: str
    ) -> None:
        self.save_one.click(None, None, None, js=_js("saveOne"), **_PRIVATE)
        self.save_all.click(None, None, None, js=_js("saveAll"), **_PRIVATE)
        written = self.save_markdown.click(
            _markdown, [self.name, chatbot, *kept], self.file, **_PRIVATE
        )
        written.success(None, self.file, None, js=_js("saveMarkdown"), **_PRIVATE)
        picked = self.pick.click(None, None, self.file, js=_js("pick", MAX_BYTES), **_PRIVATE)
        checked = picked.then(_checked, self.file, self.found, **_PRIVATE)
        checked.success(None, self.found, opened, js=_js("add", NAMES, full), **_PRIVATE)


def give_back(broken: Any, chatbot: gr.Chatbot, message: gr.Textbox, go_on: gr.Button) -> None:
    """When an answer broke off: nothing that was typed is lost.

    Args:
        broken: the binding of what happens then.
        chatbot: where the half answer is.
        message: where what was typed goes back to.
        go_on: offers to go on with what is there.
    """
    parts = [chatbot, message, go_on]
    broken(None, parts[:2], parts, js=_js("giveBack"), **_PRIVATE)


def bind_stop(
    stop: gr.Button, events: Sequence[Any], said: str, parts: Sequence[gr.components.Component]
) -> Any:
    """Let the stop button end an answer; where none is on its way, all stays as it is.

    Args:
        stop: the button.
        events: what it cancels, as their binding returned them.
        said: what the status line says then, HTML.
        parts: chatbot, message, go_on and status.

    Returns:
        What more can be done after it (`.then`).
    """
    ended = stop.click(None, cancels=list(events), **_PRIVATE)
    chatbot, message, _, status = parts
    inputs = [chatbot, message, status]
    return ended.then(None, inputs, list(parts), js=_js("stopped", said), **_PRIVATE)


def _button(name: str) -> gr.Button:
    return gr.Button(t(f"chats.{name}"), size="sm", min_width=120, elem_id=f"chat-{name}")


def _js(call: str, *fixed: Any) -> str:
    """JavaScript that calls window.genlab.chats with fixed arguments before the event's inputs."""
    given = "".join(f"{json.dumps(value, ensure_ascii=False)}, " for value in fixed)
    return f"(...inputs) => window.genlab.chats.{call}({given}...inputs)"


def _words(key: str) -> dict[str, str]:
    return {language: say(key, language) for language in LANGUAGES}


def _markdown(request: gr.Request, name: str, history: Any, *values: Any) -> str:
    with show_errors(request):
        dials = dict(zip(NAMES, values, strict=True))
        return Conversation.of(name, dials, messages(history)).markdown()


def _checked(request: gr.Request, text: Any) -> list[dict[str, Any]]:
    """The conversations of a file that was picked; none where the choice was called off."""
    if text == "":
        return []
    with show_errors(request):
        return [found.model_dump(exclude_none=True) for found in read(text)]
