"""Next token: the model's probabilities for any text, dials that change them, and sampling by hand."""

import random
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import gradio as gr

from models.chat.events import NextToken
from models.chat.recipe import next_token_call, next_token_python
from models.chat.requests import NextTokenRequest
from models.chat.token_odds import entropy, probabilities, token_at
from models.contract import Finished, ModelSpec
from models.errors import InvalidInput, ModelError, Refused
from models.runtime.jobs import run
from models.select import select
from models.tasks import CHAT
from tabs.chat.answers import note_html
from tabs.chat.controls import DialComponents
from tabs.chat.token_odds.view import CSS, JS, next_bars, prompt_chips, strip, uncertainty
from tabs.shared.context import Context
from tabs.shared.events import alert, line, result_line, waiting_line
from tabs.shared.strings import both, t
from tabs.shared.widgets import Script, recipe_box


@dataclass(frozen=True, slots=True)
class Draft:
    """A text that a visitor writes token by token with a model.

    Attributes:
        spec: the model.
        request: the text and its new tokens.
        prediction: what comes next, None while the model has not said it.
        draw: HTML on how the last token came.
        finish: the end of the model's last job.
    """

    spec: ModelSpec
    request: NextTokenRequest
    prediction: NextToken | None = None
    draw: str = ""
    finish: Finished | None = None

    @property
    def complete(self) -> bool:
        """Whether its last token is an end token."""
        ids = self.request.ids
        return bool(self.prediction and ids and ids[-1] in self.prediction.ends)


class SamplingDials(NamedTuple):
    """The dials of the panel, or their values."""

    temperature: Any
    top_p: Any
    top_k: Any


class NextTokenPanel(NamedTuple):
    """What a growing text is shown in, and where it is."""

    draft: gr.State
    status: gr.HTML
    prompt: gr.HTML
    draw: gr.HTML
    bars: gr.HTML
    code: gr.State  # the Script


def build(context: Context, dials: DialComponents) -> None:
    """Lay the section out and bind it to the models on this machine."""
    gr.Markdown(t("next.about"), elem_id="next")
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            text = gr.Textbox(
                label=t("next.text"),
                max_lines=6,
                elem_classes="tall",
                value=t("next.example"),
                elem_id="next-text",
            )
            as_message = gr.Radio(
                [(t("next.continue"), False), (t("next.answer"), True)],
                value=True,
                label=t("next.mode"),
                elem_id="next-mode",
            )
            with gr.Row():
                start = gr.Button(
                    t("next.start"), variant="primary", min_width=120, elem_id="next-start"
                )
                sample = gr.Button(t("next.draw"), min_width=90, elem_id="next-draw")
                back = gr.Button(t("next.back"), min_width=90, elem_id="next-back")
            sampling = SamplingDials(
                _slider("temperature", 0, 2, 0.8, 0.05),
                _slider("top_p", 0.05, 1, 0.95, 0.05),
                _slider("top_k", 0, 100, 0, 1),
            )
        with gr.Column(scale=3, min_width=300):
            status = gr.HTML(line(both("next.empty")), elem_id="next-status")
            draw = gr.HTML(elem_id="next-throw", css_template=CSS)
            prompt = gr.HTML(elem_id="next-read", css_template=CSS)
            bars = gr.HTML(elem_id="next-bars", css_template=CSS, js_on_load=JS)
    code = recipe_box("next")
    panel = NextTokenPanel(gr.State(None), status, prompt, draw, bars, code)
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    job: dict[str, Any] = private | {"outputs": list(panel), "trigger_mode": "once"}
    first = [text, as_message, dials.model, dials.system_prompt, *sampling]
    gr.on([start.click, text.submit], predict(context, start_draft), first, **job)
    inputs = [panel.draft, *sampling]
    sample.click(predict(context, sample_token), inputs, **job)
    bars.select(predict(context, take_token), inputs, **job)
    back.click(predict(context, remove_token), inputs, **job)
    # The dials change the probabilities that are there already: no model runs.
    moves = [dial.input for dial in sampling]
    gr.on(moves, bars_and_code, inputs, [bars, code], trigger_mode="always_last", **private)


def _slider(name: str, least: float, most: float, value: float, step: float) -> gr.Slider:
    return gr.Slider(
        least, most, value, step=step, label=t(f"fields.{name}"), elem_id=f"next-{name}"
    )


# ---------------------------------------------------------------- what the model is to predict


def next_token_request(
    context: Context, model: Any, values: dict[str, Any]
) -> tuple[ModelSpec, NextTokenRequest]:
    """The model and the validated request.

    Raises:
        ModelError: something in it cannot be used, or the model is behind a server.
    """
    request = NextTokenRequest.of(**values)
    spec = select(CHAT, model, context.settings, request.text)
    if spec.hosted:
        raise Refused("refused_logits", model=spec.label)
    return spec, request


# How the new token came, as HTML, of the model's next word; a text without one has none.
DrawView = Callable[[NextToken], str]


def start_draft(
    context: Context, event: gr.EventData, text: Any, chat: Any, model: Any, system: Any, *_: Any
) -> tuple[Draft, DrawView]:
    """A new text."""
    values = {"text": text, "as_message": chat, "system_prompt": system}
    return Draft(*next_token_request(context, model, values)), lambda _: ""


def sample_token(
    context: Context, event: gr.EventData, draft: Draft | None, *sampling: Any
) -> tuple[Draft, DrawView]:
    """The text with a token that a random number decides."""
    draft, prediction = _growing(draft)
    distribution = probabilities(prediction.logits, *sampling)
    position = random.SystemRandom().random()
    new = _with_token(draft, token_at(distribution, position))
    return new, lambda after: strip(prediction, distribution, position, after.prompt[-1])


def take_token(
    context: Context, event: gr.EventData, draft: Draft | None, *_: Any
) -> tuple[Draft, DrawView]:
    """The text with the token that was clicked."""
    draft, prediction = _growing(draft)
    at = str(event.at)
    if not at.isdecimal() or int(at) >= len(prediction.logits):
        raise InvalidInput("invalid_no_prediction")
    return _with_token(draft, int(at)), lambda _: both("next.taken")


def remove_token(
    context: Context, event: gr.EventData, draft: Draft | None, *_: Any
) -> tuple[Draft, DrawView]:
    """The text without its last token."""
    if draft is None or not draft.request.ids:
        raise InvalidInput("invalid_nothing_drawn")
    request = draft.request.model_copy(update={"ids": draft.request.ids[:-1]})
    return replace(draft, request=request, draw=""), lambda _: ""


def _growing(draft: Draft | None) -> tuple[Draft, NextToken]:
    if draft is None or draft.prediction is None:
        raise InvalidInput("invalid_no_prediction")
    if draft.complete:
        raise InvalidInput("invalid_over")
    return draft, draft.prediction


def _with_token(draft: Draft, token: int) -> Draft:
    values = draft.request.model_dump() | {"ids": (*draft.request.ids, token)}
    return replace(draft, request=NextTokenRequest.of(**values))


# ---------------------------------------------------------------- the prediction


def predict(
    context: Context, draft_of: Callable[..., tuple[Draft, DrawView]]
) -> Callable[..., Generator[Any]]:
    """The handler that lets the model predict what comes next, and shows it.

    Args:
        context: settings and models.
        draft_of: (context, event, *inputs, of which the last are SamplingDials) -> the text, and how its
            new token came.
    """

    def handler(event: gr.EventData, *inputs: Any) -> Generator[Any]:
        try:
            draft, draw_view = draft_of(context, event, *inputs)
            with closing(run(context.cache, draft.spec, draft.request)) as events:
                for one in events:
                    if isinstance(one, NextToken):
                        draft = replace(draft, prediction=one, draw=draw_view(one))
                    elif isinstance(one, Finished):
                        draft = replace(draft, finish=one)
                    elif wait := waiting_line(one):
                        yield gr.skip(), wait, *[gr.skip()] * 4
        except ModelError as problem:  # what was there stays
            yield gr.skip(), alert(problem), *[gr.skip()] * 4
            return
        yield _frame(draft, inputs[-3:])

    return handler


def _frame(draft: Draft, sampling: tuple[Any, ...]) -> tuple[Any, ...]:
    """All parts of the panel."""
    prediction, finish = draft.prediction, draft.finish
    if prediction is None or finish is None:  # the job was stopped
        return tuple(gr.skip() for _ in NextTokenPanel._fields)
    status = line(both("next.over")) if draft.complete else result_line(finish)
    notes = "".join(note_html(note) for note in prediction.notes)
    prompt = prompt_chips(prediction.prompt, len(draft.request.ids))
    return draft, status + notes, prompt, draft.draw, *bars_and_code(draft, *sampling)


def bars_and_code(draft: Draft | None, *sampling: Any) -> tuple[Any, Any]:
    """The bars and the recipe, with the dials as they stand."""
    if draft is None or draft.prediction is None or draft.finish is None:
        return gr.skip(), gr.skip()
    prediction = draft.prediction
    distribution = probabilities(prediction.logits, *sampling)
    facts = f'<p class="facts">{uncertainty(entropy(distribution))}</p>'
    code = Script.of(
        next_token_python(
            draft.spec, draft.request, draft.finish.placement, *sampling, notes=prediction.notes
        ),
        lambda _: next_token_call(draft.spec, draft.request, *sampling),
    )
    raw = probabilities(prediction.logits)
    return facts + next_bars(prediction, raw, distribution), code
