"""The chat tab: talk to a language model, and see what it took to answer.

controls.py       model, server of a hosted model, system prompt, dials
talk.py           from a message to the answer on the page: send, retry, edit, continue, undo
answers.py        an answer as far as it has come, and the facts under it: tokens, speed, cost
conversations.py  turns of the chatbot or of a program, and the files of conversations
shelf.py          conversations stored in the browser (shelf.js)
versus.py         two answers to one message, side by side
token_odds/       every token of an answer with its alternatives; next_token.py: write token by token
endpoint.py       the same for programs: /chat and /next_token
"""

import gradio as gr

from tabs.chat import controls, endpoint, shelf, talk, token_odds, versus
from tabs.chat.token_odds import next_token
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
        conversations = shelf.Shelf()
        how_it_works("chat")
    with examples:
        examples_box("chat", EXAMPLES, [message, dials.system_prompt], "chat-start")
    odds, odds_events = token_odds.build(context, dials)
    next_token.build(context, dials)
    view = talk.View(chatbot, message, status, go_on, samples, code, odds.newest)
    events = talk.bind(context, view, dials, start)
    parts = [chatbot, message, go_on, status]
    stopping = shelf.bind_stop(stop, events, line(both("page.stopped")), parts)
    for event in events:
        shelf.bind_failure(event, chatbot, message, go_on)
    empty = {status: "", go_on: talk.HIDDEN, samples: talk.sample_cards([]), code: ""}
    conversations.bind(chatbot, dials, [*events, *odds_events], empty | token_odds.empty(odds))
    token_odds.show_newest(odds, [*events, stopping])
    versus.build(context, dials, chatbot)
    endpoint.build(context)


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
