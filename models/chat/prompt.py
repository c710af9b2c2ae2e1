"""From a conversation to token ids that fit the model's window."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

import torch
from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from models.chat.requests import ChatRequest, NextTokenRequest
from models.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model reads.

    Attributes:
        ids: of the conversation and of what is there of the answer.
        begun: of what is there of the answer: the last of `ids`.
        room: tokens that the answer may still have.
        notes: codes of [notes] in tabs/text.
    """

    ids: tuple[int, ...]
    begun: tuple[int, ...]
    room: int
    notes: tuple[str, ...]

    def inputs(self, device: torch.device) -> dict[str, torch.Tensor]:
        """input_ids and attention_mask, each (1, tokens)."""
        ids = torch.tensor([self.ids], device=device)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def prompt(tokenizer: PreTrainedTokenizerBase, request: ChatRequest, window: int) -> Prompt:
    """Encode a request.

    With a chat template: the system prompt and the turns, oldest left out first where they and
    the answer do not fit. Without one (GPT-2): the last message alone, to be continued.

    Args:
        tokenizer: the model's own.
        request: the conversation.
        window: how many tokens the model can see at once.

    Raises:
        InvalidInput: the last message alone does not fit, the template refuses the turns, or an id
            is not one of the model's.
    """
    begun = _begun(tokenizer, request)
    if tokenizer.chat_template is None:
        ids = _plain(tokenizer, request.messages[-1].content)
        return _checked(ids, begun, request, window, ("plain_continuation",))

    def encoded(start: int) -> tuple[int, ...]:
        return _templated(tokenizer, request.turns(start))

    # Up to half of the window is kept free for the answer.
    most = window - len(begun) - min(request.max_new_tokens, window // 2)
    cuts = sorted({0, *(i for i, turn in enumerate(request.messages) if turn.role == "user")})
    cut = bisect_left(cuts, True, hi=len(cuts) - 1, key=lambda at: len(encoded(at)) <= most)
    ids = encoded(cuts[cut])
    # Some templates leave old turns out by themselves: then the ids are the same without them.
    if cut + 1 < len(cuts) and encoded(cuts[cut + 1]) == ids:
        cut = bisect_left(cuts, True, lo=cut + 1, key=lambda at: encoded(at) != ids) - 1
    notes = (f"turns_left_out:{cuts[cut]}",) if cuts[cut] else ()
    return _checked(ids, begun, request, window, notes)


def next_token_prompt(
    tokenizer: PreTrainedTokenizerBase, request: NextTokenRequest, window: int
) -> Prompt:
    """Encode a text, or a message and the beginning of its answer.

    Raises:
        InvalidInput: it does not fit, or an id is not one of the model's.
    """
    if request.as_message and tokenizer.chat_template is not None:
        turns = [{"role": "user", "content": request.text}]
        if request.system_prompt.strip():
            turns.insert(0, {"role": "system", "content": request.system_prompt})
        ids, notes = _templated(tokenizer, turns), ()
    else:
        ids = _plain(tokenizer, request.text)
        notes = ("plain_continuation",) if request.as_message else ()
    ids += _known(tokenizer, request.ids)
    if len(ids) > window:
        raise InvalidInput("invalid_over_window", limit=window)
    return Prompt(ids, request.ids, window - len(ids), notes)


def _plain(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text)["input_ids"])


def _begun(tokenizer: PreTrainedTokenizerBase, request: ChatRequest) -> tuple[int, ...]:
    text = tokenizer(request.prefix, add_special_tokens=False)["input_ids"]
    return (*text, *_known(tokenizer, request.prefix_ids))


def _known(tokenizer: PreTrainedTokenizerBase, ids: tuple[int, ...]) -> tuple[int, ...]:
    if max(ids, default=0) >= len(tokenizer):
        raise InvalidInput("invalid_token", limit=len(tokenizer) - 1)
    return ids


def _checked(
    conversation: tuple[int, ...],
    begun: tuple[int, ...],
    request: ChatRequest,
    window: int,
    notes: tuple[str, ...],
) -> Prompt:
    ids = conversation + begun
    room = window - len(ids)
    if room < 1:
        raise InvalidInput("invalid_over_window", limit=window)
    if room < request.max_new_tokens:
        notes = (*notes, f"room:{room}")
    return Prompt(ids, begun, room, notes)


def _templated(tokenizer: PreTrainedTokenizerBase, turns: list[dict[str, str]]) -> tuple[int, ...]:
    try:
        encoded: Any = tokenizer.apply_chat_template(
            turns,
            add_generation_prompt=True,
            enable_thinking=False,  # Qwen3 would think aloud first; other templates do not look
            return_dict=True,
        )
    except TemplateError:  # some know no system prompt, some want strict turns
        raise InvalidInput("invalid_turns") from None
    return tuple(encoded["input_ids"])
