"""A request's parameters in each library's own words; engines and recipes share them."""

from collections.abc import Iterable
from typing import Any

from models.chat.requests import ChatRequest


def generation(request: ChatRequest, room: int) -> dict[str, Any]:
    """The arguments of transformers' `generate` for a request.

    top_k is always said, 0 for none: transformers' own default, 50, would cut in silence.

    Args:
        request: temperature, top_p, top_k and max_new_tokens are read.
        room: tokens left in the model's window.
    """
    limit = {"max_new_tokens": min(request.max_new_tokens, room)}
    if request.temperature == 0:
        return {"do_sample": False, **limit}
    shape = {"temperature": request.temperature, "top_p": request.top_p}
    return {"do_sample": True, **shape, "top_k": request.top_k, **limit}


def hosted_options(request: ChatRequest, unused: Iterable[str] = ()) -> dict[str, Any]:
    """The parameters of a Chat Completions call for a request, without those a server refuses.

    A server that does not know max_completion_tokens gets max_tokens, its older name.
    """
    options: dict[str, Any] = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_completion_tokens": request.max_new_tokens,
        "seed": request.seed,
    }
    if request.top_k:  # not OpenAI's, but of most servers that run open models
        options["top_k"] = request.top_k
    if request.num_return_sequences > 1:
        options["n"] = request.num_return_sequences
    unused = set(unused)
    if "max_completion_tokens" in unused:
        options["max_tokens"] = request.max_new_tokens
    options = {name: value for name, value in options.items() if name not in unused}
    if "top_k" in options:
        options["extra_body"] = {"top_k": options.pop("top_k")}
    return options


def hosted_messages(
    request: ChatRequest, left_out: int = 0, as_user: bool = False
) -> list[dict[str, str]]:
    """The messages of a Chat Completions call; an answer to go on with is the last of them.

    Args:
        request: the conversation.
        left_out: so many of its oldest messages are not sent.
        as_user: put the system prompt in front of the first message, for models that take none.
    """
    turns = request.turns(left_out)
    if as_user and turns[0]["role"] == "system":
        system, first, *rest = turns
        content = f"{system['content']}\n\n{first['content']}"
        turns = [{"role": first["role"], "content": content}, *rest]
    begun = [{"role": "assistant", "content": request.prefix}] if request.prefix else []
    return [*turns, *begun]
