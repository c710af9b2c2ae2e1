"""The left side: the model, the server behind a hosted one, the system prompt and the dials.

A key that is typed here stays in the page: it comes with each request and is stored nowhere else.
"""

import html
import json
import re
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any, NamedTuple

import gradio as gr

from models.chat.catalog import default_system_prompt, dials_of
from models.chat.events import ServerModels
from models.chat.requests import ServerModelsRequest
from models.contract import ModelSpec
from models.errors import ModelError, NotFound
from models.runtime.jobs import run
from models.select import find, select
from models.servers.prices import price_of, read
from models.tasks import CHAT
from tabs.shared.context import ByLanguage, Context
from tabs.shared.events import alert, line
from tabs.shared.strings import LANGUAGES, both, language_of_page, phrases, say, spans, static, t
from tabs.shared.widgets import model_picker

PERSONAS = ("friendly", "professional", "witty", "caring", "enthusiastic", "tutor", "translator")
SMALL = {"genlab/small-talk", "smollm2-135m-instruct-gguf"}  # where a larger model is offered: this
LARGER = "Qwen/Qwen3-0.6B-GGUF:Q8_0"  # less to fetch and quicker than the whole one


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


def build(context: Context, top: gr.Column, more: gr.Column) -> tuple[DialComponents, gr.HTML]:
    """Lay the controls out; they follow the chosen model. The caller renders `temperature`.

    Args:
        context: settings and models.
        top: where the model and the persona go, over the conversation.
        more: where the rest goes.

    Returns:
        The controls, and the line on what the model is.
    """
    spec = context.default_model(CHAT)
    first = dials_of(spec)
    with top:
        with gr.Row(elem_id="chat-who"):
            model = model_picker(context, CHAT, "chat-model", info=False)
            persona = gr.Dropdown(
                label=t("chat.persona"),
                choices=[(t("chat.no_persona"), ""), *((t(f"chat.{p}"), p) for p in PERSONAS)],
                value="",
                min_width=140,
                elem_id="chat-persona",
            )
        about = gr.HTML(_about_line(context, "auto"), padding=False, elem_id="chat-about")
        server, server_box = server_controls(context, spec)
    with more:
        larger = gr.Button(t("chat.larger"), size="sm", elem_id="chat-larger")
        system_prompt = gr.Textbox(
            label=t("chat.system_prompt"),
            info=t("chat.persona_info"),
            placeholder=t("chat.system_prompt_placeholder"),
            lines=2,
            max_lines=6,
            elem_id="chat-system",
        )
        own_prompt = gr.HTML(_own_prompt(context, "auto"), padding=False, elem_id="chat-own-prompt")
        with gr.Accordion(t("page.advanced"), open=False, elem_id="chat-advanced"):
            top_p = _slider("top_p", (0.05, 1, 0.05), first.top_p)
            max_new_tokens = _slider("max_new_tokens", (1, 1024, 1), first.max_new_tokens)
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
    temperature = _slider("temperature", (0, 2, 0.05), first.temperature, in_lens=True)
    sampling = (temperature, top_p, max_new_tokens)
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    persona.input(_prompt_of, persona, system_prompt, **private)
    # Another prompt, by hand, from a link or from a stored conversation, is no persona of the list. In the
    # browser: a long text would go to the server at each key.
    prompts = {say(f"chat.{p}_prompt", lang): p for p in PERSONAS for lang in LANGUAGES}
    persona_of = f'(text) => ({json.dumps(prompts, ensure_ascii=False)})[(text ?? "").trim()] ?? ""'
    system_prompt.change(None, system_prompt, persona, js=persona_of, **private)
    # Whoever picks a model gets its own dials; a conversation that is opened brings its dials along.
    model.change(
        lambda name: _about(context, name),
        model,
        [about, own_prompt, server_box, larger],
        **private,
    )
    model.input(lambda name: _own_dials(context, name), model, [*sampling], **private)
    larger.click(
        lambda: (LARGER, *_own_dials(context, LARGER)), None, [model, *sampling], **private
    )
    by_language = {name: dials_of(context.default_model(CHAT, name)) for name in LANGUAGES}
    values = {name: (d.temperature, d.top_p, d.max_new_tokens) for name, d in by_language.items()}
    context.by_language.append(ByLanguage(model, sampling, values))
    dials = DialComponents(
        system_prompt, model, *server, *sampling, seed, samples, top_k, alternatives
    )
    return dials, about


def _slider(
    name: str, span: tuple[float, float, float], value: float, in_lens: bool = False
) -> gr.Slider:
    least, most, step = span
    return gr.Slider(
        least,
        most,
        value,
        step=step,
        label=t(f"fields.{name}"),
        info=None if in_lens else t(f"chat.{name}_info"),
        render=not in_lens,
        elem_id=f"chat-{name}",
    )


def _prompt_of(persona: str, request: gr.Request) -> str:
    return say(f"chat.{persona}_prompt", language_of_page(request)) if persona else ""


def _about(context: Context, model: str) -> tuple[Any, ...]:
    """What a model is, what it reads without a system prompt, a server's fields, a larger model."""
    spec = spec_of(context, model)
    if spec is None:
        return (gr.skip(),) * 4
    small = model == "auto" or spec.id in SMALL
    boxes = gr.update(visible=spec.hosted), gr.update(visible=small and not spec.hosted)
    return _about_line(context, model), _own_prompt(context, model), *boxes


def _specs(context: Context, model: str) -> dict[str, ModelSpec]:
    """For each language of the page the model that answers; empty where no model has this name."""
    if model == "auto":
        return {language: context.default_model(CHAT, language) for language in LANGUAGES}
    spec = spec_of(context, model)
    return dict.fromkeys(LANGUAGES, spec) if spec else {}


def _about_line(context: Context, model: str) -> str:
    """What a model is, was trained on and cannot do, as HTML; of "auto" the page's language decides."""
    lines = {language: _who(spec, language) for language, spec in _specs(context, model).items()}
    return line(spans(lines))


def _who(spec: ModelSpec, language: str) -> str:
    source = phrases(spec.licence)[language]
    licence = html.escape(source.split(" (")[0])
    parts = [
        f"<b>{html.escape(spec.label)}</b>",
        html.escape(spec.note.get(language, "")),
        f'<span title="{html.escape(source)}">{licence}</span>' if licence else "",
        html.escape(say("chat.korean_is_small", "ko"))
        if language == "ko" and spec.id in SMALL
        else "",
    ]
    return " · ".join(filter(None, parts))


def _own_prompt(context: Context, model: str) -> str:
    """What a model reads where the system prompt is left empty, as HTML."""
    prompts = {
        language: default_system_prompt(spec) for language, spec in _specs(context, model).items()
    }
    texts = {
        language: html.escape(say("chat.own_prompt", language, prompt=prompt))
        for language, prompt in prompts.items()
        if prompt
    }
    return line(spans(texts)) if texts else ""


def models_here(context: Context) -> tuple[Any, Any]:
    """The picker after a model was fetched: back at "auto", with a line on which model that takes now."""
    choices = [(t("page.auto"), "auto"), *context.model_choices(CHAT)]
    return gr.update(choices=choices, value="auto"), _about_line(context, "auto")


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
    info, example = t("chat.base_url_info"), "http://localhost:11434/v1"
    if ports := context.settings.port_list:  # a server on the visitor's own machine is out of reach
        key = "chat.base_url_info_ports"
        info = static({language: say(key, language, ports=ports) for language in LANGUAGES})
        example = "https://example.com/v1"
    with gr.Column(visible=spec.hosted, elem_id=f"{place}-server") as box:
        base_url = gr.Textbox(
            label=t("chat.base_url"),
            info=info,
            placeholder=example,
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

    def handler(base_url: Any, api_key: Any, model_name: Any) -> Generator[tuple[Any, Any]]:
        names: list[str] = []
        try:
            question = ServerModelsRequest.of(base_url=base_url or "", api_key=api_key or None)
            yield gr.skip(), line(both("chat.models_asking"))
            with closing(run(context.cache, find(CHAT, "openai"), question)) as events:
                for event in events:
                    if isinstance(event, ServerModels):
                        names = [name for name in event.names if not _NO_CHAT.search(name)]
                    yield gr.skip(), gr.skip()
        except ModelError as problem:
            yield gr.skip(), alert(problem)
            return
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
    price = price_of(read(context.settings.prices), server, name)
    return f"{name} · ${price[0].input:g} / ${price[0].output:g}" if price else name
