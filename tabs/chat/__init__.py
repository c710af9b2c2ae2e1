"""The chat tab: talk to a language model, and see what it took to answer.

controls.py       model, server of a hosted model, system prompt, dials
talk.py           from a message to the answer on the page: send, retry, edit, continue, undo
answers.py        an answer as far as it has come, and the facts under it: tokens, speed, cost; the example
conversations.py  turns of the chatbot or of a program, and the files of conversations
shelf.py          conversations stored in the browser (shelf.js)
token_odds/       the lens: every token of an answer with its alternatives (lens.js); next_token.py:
                  write token by token
pieces.py         what a model reads of a message, and how many tokens a language takes
versus.py         two answers to one message, side by side
endpoint.py       the same for programs: /chat and /next_token
"""

import html
from dataclasses import asdict

import gradio as gr

from models.chat.catalog import dials_of
from models.select import find
from models.tasks import CHAT
from tabs.chat import controls, endpoint, pieces, shelf, talk, token_odds, versus
from tabs.chat.answers import RecordedExample
from tabs.chat.token_odds import next_token
from tabs.shared import weights_offer
from tabs.shared.charts import example_note
from tabs.shared.context import Context
from tabs.shared.events import line
from tabs.shared.experiments import Experiment, Experiments
from tabs.shared.strings import LANGUAGES, both, say, t
from tabs.shared.widgets import (
    LATEX,
    begin_next,
    examples_box,
    inner_tabs,
    recipe_box,
    stop_button,
)

EXAMPLES = [
    ["Hi there! How are you today?"],
    ["I had a bad day."],
    ["What do you like to do for fun?"],
    ["안녕하세요! 오늘 기분이 어때요?"],
    ["오늘 너무 힘들었어요."],
    ["취미가 뭐예요?"],
]
SMALL_TALK = "genlab/small-talk"


def build(context: Context) -> None:
    """Lay the tab out and bind it to its models."""
    with gr.Row(elem_id="chat-row"):
        with gr.Column(scale=5, min_width=320, elem_id="chat-main"):
            top = gr.Column(elem_id="chat-top")
            chatbot = _chatbot()
            with gr.Row(elem_id="chat-entry"):
                message = gr.Textbox(
                    show_label=False,
                    label=t("chat.message"),
                    placeholder=t("chat.placeholder"),
                    max_lines=8,
                    scale=5,
                    min_width=180,
                    elem_id="chat-message",
                )
                start = gr.Button(
                    t("chat.start"), variant="primary", min_width=80, elem_id="chat-start"
                )
                stop = stop_button("chat")
            status = gr.HTML(padding=False, elem_id="chat-status")
            go_on = gr.Button(t("chat.go_on"), size="sm", visible=False, elem_id=talk.CONTINUE)
            samples = gr.HTML(visible=False, elem_id="chat-samples")
            examples_box("chat", EXAMPLES, [message], "chat-start")
            trying = gr.Column()
            more = gr.Column(elem_id="chat-more")
        lens = gr.Column(scale=6, min_width=320, elem_id="chat-lens")
    dials, about = controls.build(context, top, more)
    with more:
        conversations = shelf.Shelf()
        code = recipe_box("chat")
    with trying:
        tries = _experiments(message, dials)
    with lens:
        odds, odds_events = token_odds.build(context, dials)
        weights_offer.build(
            context, "chat", CHAT.id, [dials.model, about], lambda: controls.models_here(context)
        )
    parts = {
        "how": lambda _: gr.Markdown(t("chat.how_text"), elem_id="chat-how"),
        "next": lambda _: next_token.build(context, dials),
        "pieces": lambda _: pieces.build(context, dials),
        "versus": lambda _: versus.build(context, dials, chatbot),
    }
    inner_tabs(context, "chat", parts)
    for part, result in {"next": "#next-bars .row", "pieces": "#pieces-table table"}.items():
        # Whoever opens the part sees a result, not an empty half.
        press = f"() => window.genlab.lens.press('{part}-start', '{result}')"
        context.inner_tabs[f"chat.{part}"].select(None, js=press)
    view = talk.View(chatbot, message, status, go_on, samples, code, odds.newest)
    writing = talk.bind(context, view, dials, start)
    tries.after(writing)
    boxes = [chatbot, message, go_on, status]
    stopping = shelf.bind_stop(stop, [writing], line(both("page.stopped")), boxes)
    shelf.bind_failure(writing, boxes)
    empty = {status: "", go_on: talk.HIDE, samples: talk.sample_cards([]), code: ""}
    empty |= token_odds.empty(odds)
    events = [writing, *odds_events]
    conversations.bind(chatbot, message, status, go_on, dials, events, empty)
    begin_next(stopping, talk.START)
    token_odds.show_newest(odds, [writing, stopping])
    endpoint.build(context)


def _experiments(message: gr.Textbox, dials: controls.DialComponents) -> Experiments:
    """What to try, and what a link holds: never a server's address, which a typed key would go to."""
    names = ("model", "system_prompt", "temperature", "top_p", "top_k", "max_new_tokens", "seed")
    fields = {name: getattr(dials, name) for name in (*names, "num_return_sequences")}
    hobby = {"en": "What do you like to do for fun?", "ko": "취미가 뭐예요?"}
    hello = {"en": "Hi there! How are you today?", "ko": "안녕하세요! 오늘 기분이 어때요?"}
    witty = {language: say("chat.witty_prompt", language) for language in LANGUAGES}
    # Short answers: they come soon on every machine, and all are in sight. Five: the small model has three
    # or four answers to choose from, and of three draws all were the same in every seventh run.
    short = {"message": hobby, "max_new_tokens": 64}
    own = asdict(dials_of(find(CHAT, SMALL_TALK)))  # not those of the page's first model
    persona = own | {"message": hello, "model": SMALL_TALK, "system_prompt": witty}
    return Experiments(
        "chat",
        {"message": message, **fields},
        "chat-start",
        [
            Experiment(
                "again", short | {"temperature": 1, "num_return_sequences": 5}, look="dice-view"
            ),
            Experiment(
                "cold", short | {"temperature": 0, "num_return_sequences": 3}, look="dice-view"
            ),
            Experiment("persona", persona, look="chat-bot"),
        ],
    )


def _chatbot() -> gr.Chatbot:
    return gr.Chatbot(
        label=t("chat.conversation"),
        height="min(34vh, 30rem)",
        min_height="14rem",
        placeholder="".join(_example_talk(language) for language in LANGUAGES),
        editable="user",
        buttons=["copy", "copy_all"],
        layout="bubble",
        latex_delimiters=LATEX,
        elem_id="chat-bot",
    )


def _example_talk(language: str) -> str:
    """The recorded example as a conversation, until there is one of the visitor's own, as HTML."""
    example = RecordedExample.read(language)
    question = html.escape(example.request.messages[-1].content)
    return (
        f'<div class="in-{language} example-talk">'
        f'{example_note()}<p class="said">{question}</p>'
        f'<p class="reply">{html.escape(example.text)}</p></div>'
    )
