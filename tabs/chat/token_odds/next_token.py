"""Next token: the model's probabilities for any text, dials that bend them, and dice to throw."""

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import gradio as gr

from models.chat.distribution import chances, entropy, thrown
from models.chat.events import NextToken
from models.chat.next_token_recipe import python
from models.chat.requests import NextTokenRequest
from models.contract import Finished, ModelSpec
from models.errors import InvalidInput, Refused
from models.select import select
from models.tasks import CHAT
from tabs.chat.controls import Dials
from tabs.chat.token_odds.view import CSS, JS, next_bars, read_tokens, strip, uncertainty
from tabs.shared.context import Context
from tabs.shared.events import follow, line, result_line, show_errors, waiting_line
from tabs.shared.strings import both, t
from tabs.shared.widgets import recipe_box


@dataclass(frozen=True, slots=True)
class Writing:
    """A text that a visitor writes token by token with a model.

    Attributes:
        spec: the model.
        ask: the text and the tokens drawn so far.
        event: what comes next, None while the model has not said it.
        throw: HTML of the last throw.
        done: the end of the model's last call.
    """

    spec: ModelSpec
    ask: NextTokenRequest
    event: NextToken | None = None
    throw: str = ""
    done: Finished | None = None

    @property
    def over(self) -> bool:
        """Whether an end token was drawn."""
        return bool(self.event and self.ask.ids and self.ask.ids[-1] in self.event.ends)


class Shape(NamedTuple):
    """The dials of the panel, and their values."""

    temperature: Any
    top_p: Any
    top_k: Any


class Panel(NamedTuple):
    """What is shown of a growing text, and what is remembered of it."""

    writing: gr.State
    status: gr.HTML
    read: gr.HTML
    throw: gr.HTML
    bars: gr.HTML
    code: gr.Code


def build(context: Context, dials: Dials) -> None:
    """Lay the section out and bind it to the models on this machine."""
    with gr.Accordion(t("next.title"), open=False, elem_id="next"):
        gr.Markdown(t("next.about"))
        text = gr.Textbox(
            label=t("next.text"), lines=2, max_lines=6, value=t("next.example"), elem_id="next-text"
        )
        as_message = gr.Radio(
            [(t("next.continue"), False), (t("next.answer"), True)],
            value=True,
            show_label=False,
            elem_id="next-mode",
        )
        with gr.Row():
            start = gr.Button(t("next.start"), variant="primary", elem_id="next-start")
            draw = gr.Button(t("next.draw"), elem_id="next-draw")
            back = gr.Button(t("next.back"), elem_id="next-back")
        status = gr.HTML(line(both("next.empty")), elem_id="next-status")
        throw = gr.HTML(elem_id="next-throw", css_template=CSS)
        read = gr.HTML(elem_id="next-read", css_template=CSS)
        with gr.Row():
            shape = Shape(
                gr.Slider(
                    0, 2, 0.8, step=0.05, label=t("fields.temperature"), elem_id="next-temperature"
                ),
                gr.Slider(0.05, 1, 0.95, step=0.05, label=t("fields.top_p"), elem_id="next-top_p"),
                gr.Slider(0, 100, 0, step=1, label=t("fields.top_k"), elem_id="next-top_k"),
            )
        bars = gr.HTML(elem_id="next-bars", css_template=CSS, js_on_load=JS)
        code = recipe_box("next")
    panel = Panel(gr.State(None), status, read, throw, bars, code)
    begin = [text, as_message, dials.model, dials.system_prompt, *shape]
    _bind(context, panel, begin, shape, [start.click, text.submit], draw, back)


def _bind(
    context: Context,
    panel: Panel,
    begin: list[Any],
    shape: Shape,
    starts: list[Any],
    draw: gr.Button,
    back: gr.Button,
) -> None:
    started, thrown_once, taken, undone = _handlers(context)
    job: dict[str, Any] = {
        "outputs": list(panel),
        "api_visibility": "private",
        "show_progress": "hidden",
        "trigger_mode": "once",
    }
    seen = [panel.writing, *shape]
    gr.on(starts, started, begin, **job)
    draw.click(thrown_once, seen, **job)
    panel.bars.select(taken, seen, **job)
    back.click(undone, seen, **job)
    # The dials bend what is there already: no model is asked.
    bends: dict[str, Any] = job | {
        "outputs": [panel.bars, panel.code],
        "trigger_mode": "always_last",
    }
    gr.on([dial.input for dial in shape], _bent, seen, **bends)


def _handlers(context: Context) -> tuple[Callable[..., Any], ...]:
    """What the buttons do: predict, throw the dice, take a token by hand, take one back."""

    def started(
        request: gr.Request, text: Any, chat: bool, model: Any, system: Any, *now: Any
    ) -> Any:
        with show_errors(request):
            values = {"text": text, "as_message": chat, "system_prompt": system}
            new = Writing(*asked(context, model, values))
        yield from _predicted(context, request, new, now)

    def thrown_once(request: gr.Request, writing: Writing | None, *now: Any) -> Any:
        yield from _drawn(context, request, writing, None, now)

    def taken(request: gr.Request, at: gr.EventData, writing: Writing | None, *now: Any) -> Any:
        yield from _drawn(context, request, writing, at.at, now)

    def undone(request: gr.Request, writing: Writing | None, *now: Any) -> Any:
        with show_errors(request):
            if writing is None or not writing.ask.ids:
                raise InvalidInput("invalid_nothing_drawn")
            ask = writing.ask.model_copy(update={"ids": writing.ask.ids[:-1]})
        yield from _predicted(context, request, replace(writing, ask=ask, throw=""), now)

    return started, thrown_once, taken, undone


def asked(
    context: Context, model: Any, values: dict[str, Any]
) -> tuple[ModelSpec, NextTokenRequest]:
    """The model and the validated request.

    Raises:
        ModelError: something in it cannot be used, or the model is behind a server.
    """
    ask = NextTokenRequest.of(**values)
    spec = select(CHAT, model, context.settings, ask.text)
    if spec.hosted:
        raise Refused("refused_logits", model=spec.label)
    return spec, ask


def _predicted(
    context: Context, request: gr.Request, writing: Writing, now: tuple[Any, ...]
) -> Generator[Any]:
    """Ask the model what comes next, and show it."""
    for event in follow(context, writing.spec, writing.ask, request):
        if isinstance(event, NextToken):
            writing = replace(writing, event=event)
        elif isinstance(event, Finished):
            writing = replace(writing, done=event)
        elif waits := waiting_line(event):
            yield gr.skip(), waits, *[gr.skip()] * 4
    yield _shown(writing, now)


def _drawn(
    context: Context, request: gr.Request, writing: Writing | None, at: Any, now: tuple[Any, ...]
) -> Generator[Any]:
    """Throw the dice, or take a token by hand, and ask the model what comes after it."""
    with show_errors(request):
        if writing is None or writing.event is None:
            raise InvalidInput("invalid_no_prediction")
        if writing.over:
            raise InvalidInput("invalid_over")
        shares = chances(writing.event.logits, *now)
        dice = None if at is not None else random.SystemRandom().random()
        id_ = _chosen(at, len(shares)) if dice is None else thrown(shares, dice)
        ask = NextTokenRequest.of(**writing.ask.model_dump() | {"ids": (*writing.ask.ids, id_)})
    before = writing.event
    writing = replace(writing, ask=ask)
    for event in follow(context, writing.spec, ask, request):
        if isinstance(event, NextToken):
            drawn = event.read[-1]
            seen = both("next.taken") if dice is None else strip(before, shares, dice, drawn)
            writing = replace(writing, event=event, throw=seen)
        elif isinstance(event, Finished):
            writing = replace(writing, done=event)
        elif waits := waiting_line(event):
            yield gr.skip(), waits, *[gr.skip()] * 4
    yield _shown(writing, now)


def _chosen(at: Any, vocabulary: int) -> int:
    if not str(at).isdecimal() or int(at) >= vocabulary:
        raise InvalidInput("invalid_no_prediction")
    return int(at)


def _shown(writing: Writing, now: tuple[Any, ...]) -> tuple[Any, ...]:
    """All parts of the panel."""
    event, done = writing.event, writing.done
    if event is None or done is None:  # the job was stopped
        return tuple(gr.skip() for _ in Panel._fields)
    status = line(both("next.over")) if writing.over else result_line(done)
    notes = "".join(f'<p class="note">{both(f"notes.{code}")}</p>' for code in event.notes)
    read = read_tokens(event.read, len(writing.ask.ids))
    return writing, status + notes, read, writing.throw, *_bent(writing, *now)


def _bent(writing: Writing | None, *now: Any) -> tuple[Any, Any]:
    """The bars and the recipe, with the dials as they stand."""
    if writing is None or writing.event is None or writing.done is None:
        return gr.skip(), gr.skip()
    shape = Shape(*now)
    logits = writing.event.logits
    shares = chances(logits, *shape)
    facts = f'<p class="facts">{uncertainty(entropy(shares))}</p>'
    plain = "plain_continuation" in writing.event.notes
    placement = writing.done.placement
    code = python(writing.spec, writing.ask, placement, **shape._asdict(), plain=plain)
    return facts + next_bars(writing.event, chances(logits), shares), code
