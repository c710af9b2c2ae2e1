"""The tab for programs: /chat and /next_token."""

from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

import gradio as gr

from models.chat.events import NextToken, TextDelta
from models.chat.requests import SamplingParameters
from models.chat.token_odds import probabilities
from models.runtime.jobs import run
from tabs.chat.conversations import messages
from tabs.chat.talk import chat_request
from tabs.chat.token_odds.next_token import next_token_request
from tabs.shared.context import Context
from tabs.shared.events import Pace, follow, show_errors


def build(context: Context) -> None:
    """Offer the endpoints."""
    gr.api(_chat(context), api_name="chat")
    gr.api(_next_token(context), api_name="next_token")


def _chat(context: Context) -> Callable[..., Generator[str]]:
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
        """Answer a message with a language model; gives the text. What is left at None is the model's own.

        Args:
            message: what the person says.
            history: earlier turns, each {"role": "user" or "assistant", "content": text}.
            system_prompt: what the model is told to be.
            model: "auto" (what is here, free and reads the text's language), an id of the catalogue or a Hugging Face id.
            temperature: 0 always takes the likeliest token, above 1 is wilder.
            top_p: only the likeliest tokens that have this probability together.
            max_new_tokens: where the answer ends at the latest.
            seed: the same one gives the same answer; -1 draws one.

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
        with show_errors(request):
            spec, job = chat_request(context, messages(history), message, dials)
        text, pace = "", Pace()
        with show_errors(request), closing(run(context.cache, spec, job)) as events:
            for event in events:
                if isinstance(event, TextDelta):
                    text = event.text if event.before_was_thought else text + event.text
                # Also while waiting: Gradio notices only at a yield that a caller left.
                if pace.due():
                    yield text
        yield text

    return chat


def _next_token(context: Context) -> Callable[..., Any]:
    def next_token(
        text: str,
        model: str = "auto",
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int = 0,
        k: int = 10,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> list[dict[str, Any]]:
        """What a language model on this machine says about the token that comes after a text.

        Args:
            text: what is there so far.
            model: "auto" (what is here, free and reads the text's language), an id of the catalogue or a Hugging Face id.
            temperature: sharpens (below 1) or flattens the probabilities.
            top_p: only the likeliest tokens that have this probability together.
            top_k: only so many tokens; 0 sets no limit.
            k: how many tokens to tell.

        Returns:
            The `k` likeliest tokens, the likeliest first: {"token", "id", "raw", "chance"}, its
            probability before and after temperature, top_p and top_k (0 sets no limit).
        """
        with show_errors(request):
            sampling = SamplingParameters.of(temperature=temperature, top_p=top_p, top_k=top_k)
            spec, job = next_token_request(context, model, {"text": text, "likeliest": k})
        rows: list[dict[str, Any]] = []
        for event in follow(context, spec, job, request):
            if isinstance(event, NextToken):
                raw = probabilities(event.logits)
                chance = probabilities(event.logits, **sampling.model_dump())
                rows = [
                    {
                        "token": piece.text,
                        "id": piece.id,
                        "raw": float(raw[piece.id]),
                        "chance": float(chance[piece.id]),
                    }
                    for piece in event.likeliest
                ]
        return rows

    return next_token
