"""From a conversation to token ids that fit the model's window."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

import torch
from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from models.errors import InvalidInput
from models.requests import ChatRequest


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model reads.

    Attributes:
        inputs: input_ids and attention_mask, each (1, tokens).
        room: tokens that an answer may have.
        notes: codes of [notes] in tabs/text.
    """

    inputs: dict[str, torch.Tensor]
    room: int
    notes: tuple[str, ...]

    @property
    def length(self) -> int:
        """Tokens of the prompt."""
        return self.inputs["input_ids"].shape[1]


def prompt(tokenizer: PreTrainedTokenizerBase, request: ChatRequest, window: int) -> Prompt:
    """Encode a request.

    With a chat template: the system prompt and the turns, oldest left out first where they and
    the answer do not fit. Without one (GPT-2): the last message alone, to be continued.

    Args:
        tokenizer: the model's own.
        request: the conversation.
        window: how many tokens the model can see at once.

    Raises:
        InvalidInput: the last message alone does not fit, or the template refuses the turns.
    """
    if tokenizer.chat_template is None:
        inputs = dict(tokenizer(request.messages[-1].content, return_tensors="pt"))
        return _checked(inputs, request, window, ("plain_continuation",))
    # Up to half of the window is kept free for the answer.
    most = window - min(request.max_new_tokens, window // 2)
    starts = [i for i, message in enumerate(request.messages) if message.role == "user"]

    def encoded(start: int) -> dict[str, torch.Tensor]:
        return _templated(tokenizer, request.turns(start))

    def fits(start: int) -> bool:
        return encoded(start)["input_ids"].shape[1] <= most

    first = 0 if fits(0) else bisect_left(starts, True, hi=len(starts) - 1, key=fits)
    left_out = starts[first] if first else 0
    notes = (f"turns_left_out:{left_out}",) if left_out else ()
    return _checked(encoded(left_out), request, window, notes)


def _checked(
    inputs: dict[str, torch.Tensor], request: ChatRequest, window: int, notes: tuple[str, ...]
) -> Prompt:
    inputs = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    room = window - inputs["input_ids"].shape[1]
    if room < 1:
        raise InvalidInput("invalid_over_window", limit=window)
    if room < request.max_new_tokens:
        notes = (*notes, f"room:{room}")
    return Prompt(inputs, room, notes)


def _templated(
    tokenizer: PreTrainedTokenizerBase, turns: list[dict[str, str]]
) -> dict[str, torch.Tensor]:
    try:
        encoded: Any = tokenizer.apply_chat_template(
            turns,
            add_generation_prompt=True,
            enable_thinking=False,  # Qwen3 would think aloud first; other templates do not look
            return_dict=True,
            return_tensors="pt",
        )
    except TemplateError:  # some know no system prompt, some want strict turns
        raise InvalidInput("invalid_turns") from None
    return dict(encoded)
