"""Two answers to one message, side by side: two models, or one in two roles or at two temperatures.

A has the settings of the chat above; B has a model, a system prompt and a temperature of its own. Both
have the same seed, so that only the settings make a difference.
"""

import html
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import gradio as gr

from models.chat.catalog import ChatDials
from models.chat.events import TextDelta
from models.chat.requests import ChatRequest
from models.contract import Event, Finished, ModelSpec
from models.errors import ModelError
from models.fields import draw_seed
from models.runtime.jobs import together
from models.select import find
from models.tasks import CHAT
from tabs.chat.answers import Answers
from tabs.chat.controls import DialComponents, server_controls, spec_of
from tabs.chat.conversations import messages
from tabs.chat.talk import chat_request, pending
from tabs.shared.context import Context
from tabs.shared.events import Pace, alert, line, waiting_line
from tabs.shared.strings import both, language_of_page, t
from tabs.shared.widgets import (
    LATEX,
    Script,
    bind_stop,
    model_picker,
    recipe_box,
    stop_button,
)
from tabs.shared.worked_examples import Recording, worked_example

Frame = tuple[Any, ...]


class OwnDials(NamedTuple):
    """The dials that B has for itself, named as in DialComponents."""

    model: gr.Dropdown
    model_name: gr.Dropdown
    base_url: gr.Textbox
    api_key: gr.Textbox
    system_prompt: gr.Textbox
    temperature: gr.Slider


@dataclass(slots=True)
class _Side:
    """One of the two answers.

    Attributes:
        request: with the key.
        answers: the answer as far as it has come.
        status: the line under it, as HTML.
        is_new: there is something that the page does not show yet.
    """

    spec: ModelSpec
    request: ChatRequest
    answers: Answers
    status: str = ""
    is_new: bool = True

    def add(self, context: Context, event: Event | ModelError) -> None:
        """Add an event of the job."""
        self.is_new = True
        if isinstance(event, ModelError):
            self.status = alert(event)
            return
        self.answers.add(event)
        if isinstance(event, TextDelta):
            self.status = pending(line(both("chat.writing")))
        elif isinstance(event, Finished) and self.answers.end:
            self.status = self.answers.facts(context.settings)
        elif not self.answers.texts[0] and (wait := waiting_line(event)):
            self.status = pending(wait)

    def update(self) -> tuple[Any, Any]:
        """Text and line, where they are not on the page yet."""
        is_new, self.is_new = self.is_new, False
        return (self.answers.texts[0], self.status) if is_new else (gr.skip(), gr.skip())


def build(context: Context, dials: DialComponents, chatbot: gr.Chatbot) -> None:
    """Lay the part out; A takes the dials of the chat, both take its conversation on demand."""
    gr.Markdown(t("versus.info"), elem_id="versus")
    own = _own_dials(context)
    with gr.Row(elem_id="versus-entry"):
        message = gr.Textbox(
            label=t("versus.message"),
            placeholder=t("versus.placeholder"),
            max_lines=8,
            scale=5,
            min_width=300,
            elem_id="versus-message",
        )
        start = gr.Button(
            t("versus.start"), variant="primary", min_width=80, elem_id="versus-start"
        )
        stop = stop_button("versus")
    along = gr.Checkbox(
        label=t("versus.along"), info=t("versus.along_info"), value=True, elem_id="versus-along"
    )
    status = gr.HTML(elem_id="versus-status")
    with gr.Row(elem_id="versus-answers"):
        views = [view for side in "ab" for view in _answer(side)]
    code = recipe_box("versus")

    start_event = gr.on(
        [start.click, message.submit],
        answer_both(context),
        [message, along, chatbot, *dials, *own],
        [status, *views, code],
        trigger_mode="once",
        api_visibility="private",
        show_progress="hidden",
    )
    stopping = bind_stop(stop, [start_event], status, line(both("page.stopped")))
    lines = [views[1], views[3]]
    stopping.then(_without_pending, lines, lines, api_visibility="private", show_progress="hidden")


def _own_dials(context: Context) -> OwnDials:
    with gr.Row():
        with gr.Column(min_width=280):
            model = model_picker(context, CHAT, "versus-model", label=t("versus.model"))
            server, box = server_controls(context, context.default_model(CHAT), "versus")
        with gr.Column(min_width=280):
            system_prompt = gr.Textbox(
                label=t("versus.system_prompt"),
                placeholder=t("chat.system_prompt_placeholder"),
                lines=2,
                max_lines=6,
                elem_id="versus-system",
            )
            temperature = gr.Slider(
                0,
                2,
                ChatDials().temperature,
                step=0.05,
                label=t("fields.temperature"),
                elem_id="versus-temperature",
            )

    def show_server(model: str) -> Any:
        spec = spec_of(context, model)
        return gr.update(visible=spec is not None and spec.hosted)

    model.change(show_server, model, box, api_visibility="private", show_progress="hidden")
    return OwnDials(model, *server, system_prompt, temperature)


def _answer(side: str) -> tuple[gr.Markdown, gr.HTML]:
    with gr.Column(min_width=280, elem_classes="versus-answer"):
        gr.HTML(f"<h3>{both(f'versus.{side}')}</h3>")
        text = gr.Markdown(
            worked_example("chat.versus", partial(_example, side), note=side == "a"),
            latex_delimiters=LATEX,
            line_breaks=True,
            buttons=["copy"],
            container=True,
            min_height="6rem",
            elem_id=f"versus-text-{side}",
        )
        return text, gr.HTML(elem_id=f"versus-facts-{side}")


def _example(side: str, recording: Recording) -> str:
    """What was recorded for a side, as HTML: the message, for B with its system prompt, and the answer."""
    prompt = html.escape(recording["system_prompt"])
    role = f"<p>{both('chat.system_prompt')}: “{prompt}”</p>" if side == "b" else ""
    message, text = recording["message"], recording["texts"]["ab".index(side)]
    label = find(CHAT, recording["model"]).label
    return (
        f'<p class="quoted">{html.escape(message)}</p>{role}<p><b>{html.escape(text)}</b></p>'
        f'<p class="quiet">{html.escape(label)}</p>'
    )


def answer_both(context: Context) -> Callable[..., Generator[Frame]]:
    """The handler that yields updates while both answer.

    Returns:
        (page, message, whether both read the conversation, the chatbot's value, *values of
        DialComponents, *values of OwnDials) -> (status, text of A, its line, text of B, its line,
        Python of both).
    """

    def handler(
        page: gr.Request, message: Any, along: Any, history: Any, *values: Any
    ) -> Generator[Frame]:
        try:
            turns = messages(history if along else None)
            sides = _sides(context, turns, message, values, language_of_page(page))
        except ModelError as problem:  # the answers that are there stay
            yield alert(problem), *[gr.skip()] * 5
            return
        yield "", *("", pending(line(both("chat.thinking")))) * 2, ""
        pace = Pace()
        with closing(
            together(context.cache, [(side.spec, side.request) for side in sides])
        ) as events:
            for number, event in events:
                sides[number].add(context, event)
                if pace.due() or not isinstance(event, TextDelta):
                    yield gr.skip(), *(part for side in sides for part in side.update()), gr.skip()
        scripts = zip("AB", (side.answers.python() for side in sides), strict=True)
        parts = [(name, script) for name, script in scripts if script]
        python = "\n".join(f"# {name}\n{script}" for name, script in parts)
        code = Script.of_several(python, [script for _, script in parts])
        yield *(gr.skip() for _ in range(5)), code

    return handler


def _sides(
    context: Context,
    turns: list[dict[str, str]],
    message: Any,
    values: tuple[Any, ...],
    language: str,
) -> list[_Side]:
    """The jobs of A and B: with one seed, and where both are of one model, in it at once."""
    count = len(DialComponents._fields)
    dials = DialComponents(*values[:count])._asdict() | {"num_return_sequences": 1}
    own = OwnDials(*values[count:])._asdict()
    both_dials = (dials, dials | own)
    jobs = [chat_request(context, turns, message, dict(one), language) for one in both_dials]
    seed = draw_seed(jobs[0][1].seed)
    same = jobs[0][0] == jobs[1][0]
    sides: list[_Side] = []
    for spec, request in jobs:
        request = request.model_copy(update={"seed": seed})
        answers = Answers.to(spec, request)
        wide = replace(spec, concurrency=max(2, spec.concurrency)) if same else spec
        sides.append(_Side(wide, request, answers))
    return sides


def _without_pending(*lines: Any) -> tuple[str, ...]:
    return tuple("" if 'class="pending"' in str(one) else str(one or "") for one in lines)
