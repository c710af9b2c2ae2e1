"""The chat tab: talk to a language model, and see what it took to answer.

controls.py   model, system prompt, dials
server.py     the server behind a hosted model: address, key, its models
history.py    what a chatbot or a program sends as earlier turns -> messages
talk.py       one answer, from the person's message to the recipe behind it
facts.py      the line under it: tokens, speed, cost
shelf.py      conversations, kept in the browser (shelf.js), and their files (conversations.py)
versus.py     two answers to one message, side by side
dice_*.py     behind the answers: every token with what else could have come; dice_next.py: throw it yourself
endpoint.py   the same for programs: /chat
"""

from typing import Any

import gradio as gr

from tabs.chat import answer as talk
from tabs.chat import controls, endpoint, shelf, versus
from tabs.chat.token_odds import answers as dice_answers
from tabs.chat.token_odds import next_token as dice_next
from tabs.shared.context import Context
from tabs.shared.events import line
from tabs.shared.strings import both, t
from tabs.shared.widgets import LATEX, examples_box, how_it_works, recipe_box, stop_button

# A message and the system prompt it is shown with.
EXAMPLES = [
    ["Hi there! How are you today?", "You are a witty assistant who jokes."],
    ["I had a bad day.", "You care deeply about people."],
    ["What do you like to do for fun?", "You get excited about everything!"],
    ["안녕하세요! 오늘 기분이 어때요?", "유머러스하고 재치 있는 친구처럼 대답해 주세요."],
    ["오늘 너무 힘들었어요.", "따뜻하게 위로해 주세요."],
    ["취미가 뭐예요?", "격식을 갖추어 대답해 주세요."],
]


def build(context: Context) -> None:
    """Lay the tab out and bind it to its models."""
    with gr.Row(elem_id="chat-row"):
        with gr.Column(scale=2, elem_id="chat-side"):
            side = gr.Column()
        with gr.Column(scale=3, elem_id="chat-main"):
            chatbot = _chatbot()
            with gr.Row(elem_id="chat-entry"):
                message = gr.Textbox(
                    show_label=False,
                    label=t("chat.message"),
                    placeholder=t("chat.placeholder"),
                    max_lines=8,
                    scale=5,
                    min_width=300,
                    elem_id="chat-message",
                )
                start = gr.Button(
                    t("chat.start"), variant="primary", min_width=80, elem_id="chat-start"
                )
                stop = stop_button("chat")
            status = gr.HTML(line(both("chat.empty")), elem_id="chat-status")
            go_on = gr.Button(t("chat.go_on"), size="sm", visible=False, elem_id="chat-continue")
            samples = gr.HTML(visible=False, elem_id="chat-samples")
            examples = gr.Column()
            code = recipe_box("chat")
    with side:
        dials = controls.build(context)
        kept = shelf.Shelf()
        how_it_works("chat")
    with examples:
        examples_box("chat", EXAMPLES, [message, dials.system_prompt], "chat-start")
    looks, looking = dice_answers.build(context, dials)
    dice_next.build(context, dials)
    view = talk.View(chatbot, message, status, go_on, samples, code, looks.newest)
    events = _talking(context, view, dials, start)
    parts = [chatbot, message, go_on, status]
    stopped = shelf.bind_stop(stop, events, line(both("page.stopped")), parts)
    for event in events:
        shelf.give_back(event.failure, chatbot, message, go_on)
    empty = {status: "", go_on: talk.HIDDEN, samples: talk.cards([]), code: ""}
    kept.bind(chatbot, dials, [*events, *looking], empty | dice_answers.empty(looks))
    dice_answers.show_newest(looks, [*events, stopped])
    versus.build(context, dials, chatbot)
    endpoint.build(context)


def _talking(
    context: Context, view: talk.View, dials: controls.Dials, start: gr.Button
) -> list[Any]:
    """Bind all that makes the model answer: a new message, retry and edit; and undo."""

    def send(request: gr.Request, history: Any, message: Any, *values: Any) -> Any:
        yield from talk.answer(context, request, history, message, values)

    def retry(request: gr.Request, at: gr.RetryData, history: Any, *values: Any) -> Any:
        yield from talk.again(context, request, history, at.index, None, values)

    def edit(request: gr.Request, at: gr.EditData, history: Any, *values: Any) -> Any:
        yield from talk.again(context, request, history, at.index, at.value, values)

    def more(request: gr.Request, history: Any, *values: Any) -> Any:
        yield from talk.gone_on(context, request, history, values)

    def undo(request: gr.Request, at: gr.UndoData, history: Any) -> Any:
        return talk.undone(request, history, at.index)

    chatbot, message = view.chatbot, view.message
    job: dict[str, Any] = {
        "outputs": list(view),
        "show_progress": "hidden",
        "api_visibility": "private",
    }
    sending = gr.on(
        [start.click, message.submit], send, [chatbot, message, *dials], trigger_mode="once", **job
    )
    # While an answer is coming, the chatbot disables these by itself.
    editing = chatbot.edit(edit, [chatbot, *dials], **job)
    retrying = chatbot.retry(retry, [chatbot, *dials], **job)
    chatbot.undo(undo, chatbot, **job)
    going_on = view.go_on.click(more, [chatbot, *dials], trigger_mode="once", **job)
    return [sending, editing, retrying, going_on]


def _chatbot() -> gr.Chatbot:
    return gr.Chatbot(
        label=t("chat.conversation"),
        height="min(60vh, 34rem)",
        min_height="20rem",
        placeholder=both("chat.hint"),
        editable="user",
        buttons=["copy", "copy_all"],
        layout="bubble",
        latex_delimiters=LATEX,
        elem_id="chat-bot",
    )
