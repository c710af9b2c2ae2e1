"""The left side: which model, as whom it speaks, and the dials of the draw."""

from typing import Any, NamedTuple

import gradio as gr

from models.chat.requests import ChatRequest
from models.contract import ModelSpec
from models.errors import NotFound
from models.select import select
from models.tasks import CHAT
from tabs.chat import server
from tabs.shared.context import Context
from tabs.shared.strings import language_of_page, say, t
from tabs.shared.widgets import model_line, model_picker

PERSONAS = ("friendly", "professional", "witty", "caring", "enthusiastic", "tutor", "translator")


class Dials(NamedTuple):
    """The controls, in the order of the handlers' values."""

    system_prompt: gr.Textbox
    model: gr.Dropdown
    model_name: gr.Dropdown
    base_url: gr.Textbox
    api_key: gr.Textbox
    temperature: gr.Slider
    top_p: gr.Slider
    max_new_tokens: gr.Slider
    seed: gr.Number
    num_return_sequences: gr.Slider
    top_k: gr.Slider
    alternatives: gr.Slider


def build(context: Context) -> Dials:
    """Lay the controls out; they follow the chosen model."""
    spec = context.preferred(CHAT)
    persona = gr.Dropdown(
        label=t("chat.persona"),
        info=t("chat.persona_info"),
        choices=[(t("chat.no_persona"), ""), *((t(f"chat.{name}"), name) for name in PERSONAS)],
        value="",
        elem_id="chat-persona",
    )
    system_prompt = gr.Textbox(
        label=t("chat.system_prompt"),
        placeholder=t("chat.system_prompt_placeholder"),
        lines=2,
        max_lines=6,
        elem_id="chat-system",
    )
    model = model_picker(context, CHAT, "chat-model")
    about = gr.HTML(model_line(spec), elem_id="chat-about")
    hosted, server_box = server.build(context, spec)
    temperature = _slider("temperature", (0, 2, 0.05), _own(spec, "temperature"))
    with gr.Accordion(t("page.advanced"), open=False, elem_id="chat-advanced"):
        shape = (
            temperature,
            _slider("top_p", (0.05, 1, 0.05), _own(spec, "top_p")),
            _slider("max_new_tokens", (1, 1024, 1), _own(spec, "max_new_tokens")),
        )
        top_k = _slider("top_k", (0, 100, 1), 0)
        seed = gr.Number(
            label=t("chat.seed"),
            info=t("chat.seed_info"),
            value=-1,
            precision=0,
            minimum=-1,
            elem_id="chat-seed",
        )
        samples = _slider("num_return_sequences", (1, 8, 1), 1)
        alternatives = _slider("alternatives", (0, 20, 1), 8)
    follows: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    persona.input(_prompt_of, persona, system_prompt, **follows)
    # Whoever picks a model gets its own dials; a conversation that is opened brings its dials along.
    model.change(lambda picked: _shown_of(context, picked), model, [about, server_box], **follows)
    model.input(lambda picked: _dials_of(context, picked), model, [*shape], **follows)
    return Dials(system_prompt, model, *hosted, *shape, seed, samples, top_k, alternatives)


def _slider(name: str, span: tuple[float, float, float], value: float) -> gr.Slider:
    least, most, step = span
    return gr.Slider(
        least,
        most,
        value,
        step=step,
        label=t(f"fields.{name}"),
        info=t(f"chat.{name}_info"),
        elem_id=f"chat-{name}",
    )


def _own(spec: ModelSpec, name: str) -> float:
    """A dial's value that suits the model, else the usual one."""
    return spec.defaults.get(name, ChatRequest.model_fields[name].default)


def _prompt_of(persona: str, request: gr.Request) -> str:
    return say(f"chat.{persona}_prompt", language_of_page(request)) if persona else ""


def _shown_of(context: Context, model: str) -> tuple[Any, ...]:
    """What a model is, and the fields that only a server's has."""
    spec = chosen(context, model)
    if spec is None:
        return gr.skip(), gr.skip()
    return model_line(spec), gr.update(visible=spec.hosted)


def _dials_of(context: Context, model: str) -> tuple[Any, ...]:
    """The dials' values that suit a model."""
    spec = chosen(context, model)
    names = ("temperature", "top_p", "max_new_tokens")
    return tuple(_own(spec, name) if spec else gr.skip() for name in names)


def chosen(context: Context, model: str) -> ModelSpec | None:
    """The spec of what was picked or typed, None where it is no model's name."""
    try:
        return select(CHAT, model, context.settings)
    except NotFound:
        return None
