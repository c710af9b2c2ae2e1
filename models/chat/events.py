"""What a chat engine yields: text as it grows, its tokens with their probabilities, and notes.

Probabilities come in two kinds: `raw` is softmax of the model's logits, `chance` is the one the token
was sampled with, after temperature, top_k and top_p (and the model's own settings, if it has any).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from models.contract import Event

NoteCode = Literal[
    "all_thought",
    "content_filter",
    "empty_answer",
    "hidden_tokens",
    "limit_lowered",
    "no_logprobs",
    "not_streamed",
    "parameter_ignored",
    "parameter_left_out",
    "plain_continuation",
    "prefix_shown",
    "prompt_unknown",
    "room",
    "seed_unsure",
    "system_as_user",
    "thought_aloud",
    "tool_call",
    "turns_left_out",
]


@dataclass(frozen=True, slots=True)
class Note:
    """Something a person should know about how a request was done.

    Attributes:
        code: a key of [notes] in tabs/text.
        value: the number or the parameter's name that the sentence has a place for.
    """

    code: NoteCode
    value: int | str | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """One token of a text.

    Attributes:
        text: its text; bytes that are not a whole letter as ⟨ed 95⟩.
        id: its number in the model's vocabulary; None where a server does not give it.
    """

    text: str
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Alternative(Piece):
    """A token that could have come: `raw` and `chance` as above, chance None where it is not known."""

    raw: float = 0.0
    chance: float | None = None


@dataclass(frozen=True, slots=True)
class Token(Alternative):
    """A sampled token.

    Attributes:
        entropy: of the distribution it was sampled from, in bits; None where only its top is known.
        alternatives: the likeliest tokens by `raw`, highest first; the sampled one may be among them.
    """

    entropy: float | None = None
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class TextDelta(Event):
    """More text of sample `index`.

    Attributes:
        text: whole letters only.
        tokens: what the text is made of, one or more for the same letters; an end token has no text.
            Empty unless the request wants alternatives, or where a server does not send them.
        thoughts: what a model writes to itself before its answer; no part of the answer.
        before_was_thought: the text of the sample that came before this was thoughts too: the model
            closed them without having opened them.
    """

    text: str
    index: int = 0
    tokens: tuple[Token, ...] = ()
    thoughts: str = ""
    before_was_thought: bool = False


def with_delta(deltas: Sequence[TextDelta], delta: TextDelta) -> list[TextDelta]:
    """The deltas of a sample with one more, and what that one says of those before."""
    if not delta.before_was_thought:
        return [*deltas, delta]
    thoughts = "".join(one.text + one.thoughts for one in deltas)
    return [TextDelta("", delta.index, (), thoughts), replace(delta, before_was_thought=False)]


@dataclass(frozen=True, slots=True)
class ChatDone(Event):
    """The answer is whole.

    Attributes:
        finish_reason: "stop" (the model ended it), "length" (max_new_tokens) or what the server says.
        seed: of the first sample.
        prompt_tokens, completion_tokens: None where a server does not say.
        notes: parameters that were not used, old turns that did not fit, and the like.
        cached_tokens: of the prompt, which the server had read before and asks less for.
        hidden_tokens: of the completion, which the model thought and did not show.
    """

    finish_reason: str
    seed: int | None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    notes: tuple[Note, ...] = ()
    cached_tokens: int = 0
    hidden_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ServerModels(Event):
    """The names of a server's models, in order; empty where it gives a list without any."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class NextToken(Event):
    """What the model says about the one token that comes next.

    Attributes:
        prompt: the tokens before it, all that the model looked at.
        logits: of the whole vocabulary, raw, (vocabulary,) float32; token_odds.probabilities turns
            them into probabilities, with any temperature, top_k and top_p.
        likeliest: the tokens with the highest logits, highest first.
        ends: ids that end an answer.
        notes: such as that a model without a chat template continues the text.
    """

    prompt: tuple[Piece, ...]
    logits: np.ndarray
    likeliest: tuple[Piece, ...]
    ends: frozenset[int] = frozenset()
    notes: tuple[Note, ...] = ()
