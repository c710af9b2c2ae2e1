"""Two answers to one message, side by side: two models, or one in two roles or at two temperatures.

A speaks as the chat above is set; B has a model, a system prompt and a temperature of its own. Both
throw the same dice (seed), so that what differs comes from what was set.
"""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import gradio as gr

from models.chat.events import ChatDone, TextDelta
from models.chat.recipe import python
from models.chat.requests import ChatRequest
from models.contract import Event, Finished, ModelSpec
from models.errors import ModelError
from models.fields import draw_seed
from models.runtime.jobs import together
from models.tasks import CHAT
from tabs.chat import server
from tabs.chat.answer import asked, pending
from tabs.chat.controls import Dials, chosen
from tabs.chat.facts import facts, notes
from tabs.chat.history import messages
from tabs.shared.context import Context
from tabs.shared.events import Pace, line, sentence, show_errors, waiting_line
from tabs.shared.strings import LANGUAGES, both, spans, t
from tabs.shared.widgets import LATEX, bind_stop, model_picker, recipe_box, stop_button

Frame = tuple[Any, ...]


class Own(NamedTuple):
    """The dials that B has for itself, named as in Dials."""

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
        status: the line under it, as HTML.
        code: the Python behind it.
        fresh: there is something that the page does not show yet.
    """

    spec: ModelSpec
    ask: ChatRequest
    text: str = ""
    status: str = ""
    code: str = ""
    done: ChatDone | None = None
    fresh: bool = True

    def take(self, context: Context, event: Event | ModelError) -> None:
        """Take in what has come."""
        self.fresh = True
        if isinstance(event, TextDelta):
            self.status = pending(line(both("chat.writing")))
            self.text += event.text
        elif isinstance(event, ChatDone):
            self.done = event
        elif isinstance(event, Finished) and self.done:
            repeat = self.ask.model_copy(update={"seed": self.done.seed, "api_key": None})
            self.code = python(self.spec, repeat, event.placement, self.done.notes)
            self.status = facts(context.settings, self.ask, event, self.done)
            self.status += notes(self.done, self.ask)
        elif isinstance(event, ModelError):
            said = spans({language: sentence(event, language) for language in LANGUAGES})
            self.status = f'<p class="note" role="alert">{said}</p>'
        elif not self.text and (wait := waiting_line(event)):
            self.status = pending(wait)

    def news(self) -> tuple[Any, Any]:
        """Text and line, where they are not on the page yet."""
        fresh, self.fresh = self.fresh, False
        return (self.text, self.status) if fresh else (gr.skip(), gr.skip())


def build(context: Context, dials: Dials, chatbot: gr.Chatbot) -> None:
    """Lay the folded part out; A takes the dials of the chat, both its conversation if wished."""
    with gr.Accordion(t("versus.title"), open=False, elem_id="versus"):
        gr.Markdown(t("versus.info"))
        own = _own(context)
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

    def ask(request: gr.Request, message: Any, along: Any, history: Any, *values: Any) -> Any:
        yield from answers(context, request, history if along else None, message, values)

    asking = gr.on(
        [start.click, message.submit],
        ask,
        [message, along, chatbot, *dials, *own],
        [status, *views, code],
        trigger_mode="once",
        api_visibility="private",
        show_progress="hidden",
    )
    stopped = bind_stop(stop, [asking], status, line(both("page.stopped")))
    lines = [views[1], views[3]]
    stopped.then(_settled, lines, lines, api_visibility="private", show_progress="hidden")


def _own(context: Context) -> Own:
    with gr.Row():
        with gr.Column(min_width=280):
            model = model_picker(context, CHAT, "versus-model")
            model.label = t("versus.model")
            hosted, box = server.build(context, context.preferred(CHAT), "versus")
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
                0.8,
                step=0.05,
                label=t("fields.temperature"),
                info=t("chat.temperature_info"),
                elem_id="versus-temperature",
            )

    def hosted_of(model: str) -> Any:
        spec = chosen(context, model)
        return gr.update(visible=spec is not None and spec.hosted)

    model.change(hosted_of, model, box, api_visibility="private", show_progress="hidden")
    return Own(model, *hosted, system_prompt, temperature)


def _answer(side: str) -> tuple[gr.Markdown, gr.HTML]:
    with gr.Column(min_width=280, elem_classes="versus-answer"):
        gr.HTML(f"<h3>{both(f'versus.{side}')}</h3>")
        text = gr.Markdown(
            latex_delimiters=LATEX,
            line_breaks=True,
            buttons=["copy"],
            container=True,
            min_height="6rem",
            elem_id=f"versus-text-{side}",
        )
        return text, gr.HTML(elem_id=f"versus-facts-{side}")


def answers(
    context: Context, request: gr.Request, history: Any, message: Any, values: Sequence[Any]
) -> Generator[Frame]:
    """Yield (status, text of A, its line, text of B, its line, Python of both) while they answer.

    Args:
        context: settings and models.
        request: the visitor, in whose language errors are shown.
        history: the chatbot's value, which both have read; None for nothing.
        message: what both are asked.
        values: of Dials, then of Own.
    """
    first = Dials(*values[: len(Dials._fields)])._asdict() | {"num_return_sequences": 1}
    own = Own(*values[len(Dials._fields) :])._asdict()
    with show_errors(request):
        turns = messages(history)
        sides = [_Side(*asked(context, turns, message, dict(one))) for one in (first, first | own)]
    if sides[0].ask.seed < 0:  # the same dice for both
        seed = draw_seed(-1)
        for side in sides:
            side.ask = side.ask.model_copy(update={"seed": seed})
    if sides[0].spec == sides[1].spec:  # both are in it at once
        for side in sides:
            side.spec = replace(side.spec, concurrency=max(2, side.spec.concurrency))
    yield "", *("", pending(line(both("chat.thinking")))) * 2, ""
    pace = Pace()
    with closing(together(context.cache, [(side.spec, side.ask) for side in sides])) as events:
        for number, event in events:
            sides[number].take(context, event)
            if pace.due() or not isinstance(event, TextDelta):
                yield gr.skip(), *(part for side in sides for part in side.news()), gr.skip()
    scripts = [
        f"# {name}\n{side.code}" for name, side in zip("AB", sides, strict=True) if side.code
    ]
    yield *(gr.skip() for _ in range(5)), "\n".join(scripts)


def _settled(*lines: Any) -> tuple[str, ...]:
    return tuple("" if 'class="pending"' in str(said) else str(said or "") for said in lines)
