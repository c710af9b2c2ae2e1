"""The server behind a hosted model: its address, the person's key, and which of its models.

What is typed here stays in the page: it comes with each request and is kept nowhere else.
"""

import re
from collections.abc import Generator
from typing import Any, NamedTuple

import gradio as gr

from models.chat.events import ServerModels
from models.chat.requests import ServerModelsRequest
from models.contract import ModelSpec
from models.select import find
from models.servers.prices import price_of, read
from models.tasks import CHAT
from tabs.shared.context import Context
from tabs.shared.events import follow, line, show_errors
from tabs.shared.strings import both, t

# In the lists of servers that have more than chat models.
_OTHER = re.compile(
    r"embed|rerank|whisper|tts|transcribe|audio|realtime|dall-e|image|sora|moderation"
)


Update = tuple[Any, Any]


class Server(NamedTuple):
    """The controls whose values go into a request, named as there."""

    model_name: gr.Dropdown
    base_url: gr.Textbox
    api_key: gr.Textbox


def build(context: Context, spec: ModelSpec, place: str = "chat") -> tuple[Server, gr.Column]:
    """Lay the controls out; the column is shown for hosted models only.

    Args:
        context: settings and models.
        spec: the model that is chosen at first.
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
        ask = gr.Button(t("chat.list_models"), size="sm", elem_id=f"{place}-list-models")
        found = gr.HTML(elem_id=f"{place}-models-found")

    def listed(request: gr.Request, base_url: Any, api_key: Any, chosen: Any) -> Generator[Update]:
        yield from model_list(context, request, base_url, api_key, chosen)

    gr.on(
        [ask.click, base_url.submit, api_key.submit],
        listed,
        [base_url, api_key, model_name],
        [model_name, found],
        api_visibility="private",
        show_progress="hidden",
        trigger_mode="once",
    )
    return Server(model_name, base_url, api_key), box


def model_list(
    context: Context, request: gr.Request, base_url: Any, api_key: Any, chosen: Any
) -> Generator[Update]:
    """Yield the choices of the server's models, and a line on how many there are.

    Args:
        context: settings and models.
        request: the visitor, in whose language errors are shown.
        base_url: as typed.
        api_key: as typed.
        chosen: the model's name so far; it stays where the server may know it.
    """
    names: list[str] = []
    with show_errors(request):
        ask = ServerModelsRequest.of(base_url=base_url or "", api_key=api_key or None)
    yield gr.skip(), line(both("chat.models_asking"))
    for event in follow(context, find(CHAT, "openai"), ask, request):
        if isinstance(event, ServerModels):
            names = [name for name in event.names if not _OTHER.search(name)]
        yield gr.skip(), gr.skip()
    if not names:
        yield gr.skip(), line(both("chat.models_none"))
        return
    server = context.settings.server_name(ask.base_url)
    choices = [(_label(context, server, name), name) for name in names]
    value = chosen if chosen in names or not ask.base_url else names[0]
    yield gr.update(choices=choices, value=value), line(both("chat.models", number=len(names)))


def _label(context: Context, server: str, name: str) -> str:
    """A model's name, with its price for a million tokens in and out where the table has it."""
    known = price_of(read(context.settings.prices), server, name)
    return f"{name} · ${known[0].input:g} / ${known[0].output:g}" if known else name
