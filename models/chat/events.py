"""What a chat engine yields: text as it grows, the tokens it is made of, and the dice behind each.

Probabilities come in two kinds: `raw` is softmax of the model's logits, `chance` is what the token was
drawn with, after temperature, top_k and top_p (and the model's own settings, if it has any).
"""

from dataclasses import dataclass

import numpy as np

from models.contract import Event


@dataclass(frozen=True, slots=True)
class Piece:
    """One token of a text.

    Attributes:
        text: what it says; bytes that are not a whole letter as ⟨ed 95⟩.
        id: its number in the model's vocabulary; None where a server does not say.
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
    """A token that was drawn.

    Attributes:
        entropy: of the distribution it was drawn from, in bits; None where only its top is known.
        alternatives: the likeliest tokens by `raw`, highest first, the drawn one among them or not.
    """

    entropy: float | None = None
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class TextDelta(Event):
    """More text of sample `index`.

    Attributes:
        text: whole letters only.
        tokens: what the text is made of, one or more for the same letters; an end token has no text.
            Empty unless the request asks for alternatives, or where a server does not tell them.
    """

    text: str
    index: int = 0
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True)
class ChatDone(Event):
    """The answer is whole.

    Attributes:
        finish_reason: "stop" (the model ended it), "length" (max_new_tokens) or "cut" (the server
            broke off).
        prompt_tokens, completion_tokens: None where a server does not say.
        notes: codes of [notes] in tabs/text: a parameter was not used, old turns were left out.
        cached_tokens: of the prompt, which the server had read before and asks less for.
        hidden_tokens: of the completion, which the model thought and did not show.
    """

    finish_reason: str
    seed: int | None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    notes: tuple[str, ...] = ()
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
        read: the tokens before it, all that the model looked at.
        logits: of the whole vocabulary, raw, (vocabulary,) float32: models.chat.chances makes
            probabilities of them, with any temperature, top_k and top_p.
        likeliest: the tokens with the highest logits, highest first.
        ends: ids that end an answer.
        notes: codes of [notes] in tabs/text.
    """

    read: tuple[Piece, ...]
    logits: np.ndarray
    likeliest: tuple[Piece, ...]
    ends: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()
