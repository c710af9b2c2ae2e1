"""The left side: the model, the server behind a hosted one, the system prompt and the dials.

A key that is typed here stays in the page: it comes with each request and is stored nowhere else.
"""

import re
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

import gradio as gr

from models.chat.catalog import default_system_prompt, dials_of
from models.chat.events import ServerModels
from models.chat.requests import ServerModelsRequest
from models.contract import ModelSpec
from models.errors import NotFound
from models.select import find, select
from models.servers.prices import price_of, read
from models.tasks import CHAT
from tabs.shared.context import ByLanguage, Context
from tabs.shared.events import follow, line, show_errors
from tabs.shared.strings import LANGUAGES, both, language_of_page, say, spans, t
from tabs.shared.widgets import model_line, model_picker

PERSONAS = ("friendly", "professional", "witty", "caring", "enthusiastic", "tutor", "translator")
SMALL = {"genlab/small-talk", "smollm2-135m-instruct-gguf"}  # where a larger model is offered: this
LARGER = "Qwen/Qwen3-0.6B"


class DialComponents(NamedTuple):
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


def build(context: Context) -> DialComponents:
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
    about = gr.HTML(_about_line(context, "auto"), elem_id="chat-about")
    larger = gr.Button(t("chat.larger"), size="sm", elem_id="chat-larger")
    server, server_box = server_controls(context, spec)
    dials = dials_of(spec)
    temperature = _slider("temperature", (0, 2, 0.05), dials.temperature)
    with gr.Accordion(t("page.advanced"), open=False, elem_id="chat-advanced"):
        sampling = (
            temperature,
            _slider("top_p", (0.05, 1, 0.05), dials.top_p),
            _slider("max_new_tokens", (1, 1024, 1), dials.max_new_tokens),
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
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    persona.input(_prompt_of, persona, system_prompt, **private)
    # Whoever picks a model gets its own dials; a conversation that is opened brings its dials along.
    model.change(lambda name: _about(context, name), model, [about, server_box, larger], **private)
    model.input(lambda name: _own_dials(context, name), model, [*sampling], **private)
    larger.click(
        lambda: (LARGER, *_own_dials(context, LARGER)), None, [model, *sampling], **private
    )
    first = {name: dials_of(context.preferred(CHAT, name)) for name in LANGUAGES}
    values = {name: (d.temperature, d.top_p, d.max_new_tokens) for name, d in first.items()}
    context.by_language.append(ByLanguage(model, sampling, values))
    return DialComponents(
        system_prompt, model, *server, *sampling, seed, samples, top_k, alternatives
    )


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


def _prompt_of(persona: str, request: gr.Request) -> str:
    return say(f"chat.{persona}_prompt", language_of_page(request)) if persona else ""


def _about(context: Context, model: str) -> tuple[Any, Any, Any]:
    """What a model is, the fields that only a server's has, and whether a larger one is offered."""
    spec = spec_of(context, model)
    if spec is None:
        return gr.skip(), gr.skip(), gr.skip()
    small = model == "auto" or spec.id in SMALL
    shown = gr.update(visible=spec.hosted), gr.update(visible=small and not spec.hosted)
    return _about_line(context, model), *shown


def _about_line(context: Context, model: str) -> str:
    """What a model is, and what it reads where no system prompt is written; for "auto" the page's language decides."""
    if model != "auto":
        spec = spec_of(context, model)
        return _model_and_prompt(spec) if spec else ""
    lines: dict[str, str] = {}
    for language in LANGUAGES:
        spec = context.preferred(CHAT, language)
        lines[language] = _model_and_prompt(spec)
        if language == "ko" and spec.id in SMALL:
            lines[language] += line(both("chat.korean_is_small"))
    return spans(lines)


def _model_and_prompt(spec: ModelSpec) -> str:
    prompt = default_system_prompt(spec)
    return model_line(spec) + (line(both("chat.own_prompt", prompt=prompt)) if prompt else "")


def _own_dials(context: Context, model: str) -> tuple[Any, ...]:
    """The values of temperature, top_p and max_new_tokens that suit a model."""
    spec = spec_of(context, model)
    if spec is None:
        return gr.skip(), gr.skip(), gr.skip()
    dials = dials_of(spec)
    return dials.temperature, dials.top_p, dials.max_new_tokens


def spec_of(context: Context, model: str) -> ModelSpec | None:
    """The spec of a model that was picked or typed, None where there is none of this name."""
    try:
        return select(CHAT, model, context.settings)
    except NotFound:
        return None


# ---------------------------------------------------------------- the server

# In the lists of servers that have more than chat models.
_NO_CHAT = re.compile(
    r"embed|rerank|whisper|tts|transcribe|audio|realtime|dall-e|image|sora|moderation"
)


class ServerComponents(NamedTuple):
    """The controls whose values go into a request, named as there."""

    model_name: gr.Dropdown
    base_url: gr.Textbox
    api_key: gr.Textbox


def server_controls(
    context: Context, spec: ModelSpec, place: str = "chat"
) -> tuple[ServerComponents, gr.Column]:
    """Lay the controls out; the column is shown for hosted models only.

    Args:
        context: settings and models.
        spec: the model of the picker's first value.
        place: what their elem_ids begin with.
    """
    plain = gr.InputHTMLAttributes(autocomplete="off", autocapitalize="off", spellcheck=False)
    with gr.Column(visible=spec.hosted, elem_id=f"{place}-server") as box:
        base_url = gr.Textbox(
            label=t("chat.base_url"),
            info=t("chat.base_url_info"),
            placeholder="http://localhost:11434/v1",
            html_attributes=plain,
            elem_id=f"{place}-base-url",
        )
        api_key = gr.Textbox(
            label=t("chat.api_key"),
            info=t("chat.api_key_info"),
            type="password",
            html_attributes=plain,
            elem_id=f"{place}-key",
        )
        model_name = gr.Dropdown(
            label=t("chat.model_name"),
            info=t("chat.model_name_info"),
            choices=[context.settings.openai_model],
            value=context.settings.openai_model,
            allow_custom_value=True,
            elem_id=f"{place}-model-name",
        )
        button = gr.Button(t("chat.list_models"), size="sm", elem_id=f"{place}-list-models")
        status = gr.HTML(elem_id=f"{place}-models-found")

    gr.on(
        [button.click, base_url.submit, api_key.submit],
        list_models(context),
        [base_url, api_key, model_name],
        [model_name, status],
        api_visibility="private",
        show_progress="hidden",
        trigger_mode="once",
    )
    return ServerComponents(model_name, base_url, api_key), box


def list_models(context: Context) -> Callable[..., Generator[tuple[Any, Any]]]:
    """The handler that yields the choices of a server's models, and a line on how many there are."""

    def handler(
        request: gr.Request, base_url: Any, api_key: Any, model_name: Any
    ) -> Generator[tuple[Any, Any]]:
        names: list[str] = []
        with show_errors(request):
            question = ServerModelsRequest.of(base_url=base_url or "", api_key=api_key or None)
        yield gr.skip(), line(both("chat.models_asking"))
        for event in follow(context, find(CHAT, "openai"), question, request):
            if isinstance(event, ServerModels):
                names = [name for name in event.names if not _NO_CHAT.search(name)]
            yield gr.skip(), gr.skip()
        if not names:
            yield gr.skip(), line(both("chat.models_none"))
            return
        server = context.settings.server_name(question.base_url)
        choices = [(_label(context, server, name), name) for name in names]
        # The name so far stays where the server may know it.
        value = model_name if model_name in names or not question.base_url else names[0]
        count = line(both("chat.models", number=len(names)))
        yield gr.update(choices=choices, value=value), count

    return handler


def _label(context: Context, server: str, name: str) -> str:
    """A model's name, with its price for a million tokens in and out where the table has it."""
    known = price_of(read(context.settings.prices), server, name)
    return f"{name} · ${known[0].input:g} / ${known[0].output:g}" if known else name
