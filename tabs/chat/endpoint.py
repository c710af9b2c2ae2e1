"""The tab for programs: /chat."""

from collections.abc import Generator
from typing import Any

import gradio as gr

from models.base import TextDelta
from tabs.chat.history import messages
from tabs.chat.talk import asked
from tabs.context import Context
from tabs.events import follow, told


def build(context: Context) -> None:
    """Offer the endpoint."""

    def chat(
        message: str,
        history: list[dict[str, Any]] | None = None,
        system_prompt: str = "",
        model: str = "auto",
        temperature: float | None = None,
        top_p: float | None = None,
        max_new_tokens: int | None = None,
        seed: int = -1,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> Generator[str]:
        """Answer a message. What is left at None is the model's own; seed -1 draws one.

        `history` is a list of earlier turns, each {"role": "user" or "assistant", "content"};
        `model` is "auto", an id of the catalogue or any Hugging Face id.

        Yields:
            The answer so far, again and again as it grows; "" while it waits.
        """
        dials = {
            "system_prompt": system_prompt,
            "model": model,
            "temperature": temperature,
            "top_p": top_p,
            "max_new_tokens": max_new_tokens,
            "seed": seed,
        }
        with told(request):
            spec, ask = asked(context, messages(history), message, dials)
        text = ""
        for event in follow(context, spec, ask, request):
            text += event.text if isinstance(event, TextDelta) else ""
            yield text  # also while waiting: only at a yield can a caller who left be noticed

    gr.api(chat, api_name="chat")
