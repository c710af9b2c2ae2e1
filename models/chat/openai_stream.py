"""Reading a chat server's stream: new text, the tokens it is made of, how each sample ended."""

import math
from typing import Any

from models.chat.events import Alternative, ChatDone, TextDelta, Token
from models.chat.openai_request import Asked
from models.chat.requests import ChatRequest
from models.chat.token_text import shown
from models.errors import Unavailable
from models.fields import MAX_TEXT, draw_seed


class Answer:
    """What has come so far: which samples have begun, which have ended and how."""

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        self._seed = draw_seed(request.seed)
        self._lengths: dict[int, int] = {}  # of the samples' texts, in characters
        self._reasons: dict[int, str] = {}
        self._usage: Any = None
        self._tokens = False  # whether the server told any
        self._thought = False  # whether it thought aloud before it answered

    @property
    def request(self) -> ChatRequest:
        """What to ask the server: with a seed drawn, where the person chose none."""
        return self._request.model_copy(update={"seed": self._seed})

    @property
    def begun(self) -> bool:
        """Whether anything has come."""
        return bool(self._lengths)

    @property
    def full(self) -> bool:
        """Whether more text has come than an answer may have: the server knows no end."""
        return any(length > MAX_TEXT for length in self._lengths.values())

    def read(self, chunk: Any) -> list[TextDelta]:
        """The new text in a chunk.

        Raises:
            Unavailable: it is not shaped as a chunk is.
        """
        try:
            self._usage = chunk.usage or self._usage
            deltas = [self._delta(choice) for choice in chunk.choices or ()]
        except (AttributeError, TypeError, ValueError):
            raise Unavailable("unavailable_bad_answer") from None
        return [delta for delta in deltas if delta.text or delta.tokens]

    def _delta(self, choice: Any) -> TextDelta:
        index = int(choice.index or 0)
        if not 0 <= index < self._request.num_return_sequences:
            raise ValueError("a sample that nobody asked for")
        text = "" + (choice.delta.content or choice.delta.refusal or "")  # TypeError if no text
        tokens = _tokens(choice) if self._request.alternatives else ()
        self._lengths[index] = self._lengths.get(index, 0) + len(text)
        self._tokens = self._tokens or bool(tokens)
        thought = (getattr(choice.delta, name, None) for name in ("reasoning_content", "reasoning"))
        self._thought = self._thought or any(thought)
        if choice.finish_reason:
            self._reasons[index] = str(choice.finish_reason)
        return TextDelta(text, index, tokens)

    def done(self, asked: Asked) -> ChatDone:
        """The end of the answer.

        Args:
            asked: how it was asked for.

        Raises:
            Unavailable: there was no answer, or it broke off.
        """
        if not self.begun:
            raise Unavailable("unavailable_bad_answer")
        if self._lengths.keys() - self._reasons and not self.full:
            raise Unavailable("unavailable_cut")
        reasons = set(self._reasons.values()) - {"stop"}
        reason = "length" if self.full else min(reasons) if reasons else "stop"
        return ChatDone(
            reason,
            self._seed,
            _count(self._usage, "prompt_tokens"),
            _count(self._usage, "completion_tokens"),
            (*asked.notes(), *self._notes(asked, reason)),
            cached_tokens=_count(self._usage, "prompt_tokens_details", "cached_tokens") or 0,
            hidden_tokens=self._hidden(),
        )

    def _hidden(self) -> int:
        return _count(self._usage, "completion_tokens_details", "reasoning_tokens") or 0

    def _notes(self, asked: Asked, reason: str) -> list[str]:
        request, notes = self._request, list[str]()
        if request.num_return_sequences > len(self._lengths) and "n" not in asked.left_out:
            notes.append("parameter_ignored:n")
        written = _count(self._usage, "completion_tokens") or 0
        if self.full or written > request.max_new_tokens * len(self._lengths):
            notes.append("parameter_ignored:max_new_tokens")
        if request.seed >= 0 and request.temperature > 0 and "seed" not in asked.left_out:
            notes.append("seed_unsure")
        if request.prefix:
            notes.append("prefix_shown")
        if request.alternatives and not self._tokens:
            notes.append("no_logprobs")
        if hidden := self._hidden():
            notes.append(f"hidden_tokens:{hidden}")
        elif self._thought:
            notes.append("thought_aloud")
        if reason == "length" and (hidden or self._thought) and not any(self._lengths.values()):
            notes.append("all_thought")
        if reason == "content_filter":
            notes.append("content_filter")
        return notes


def _count(usage: Any, *names: str) -> int | None:
    for name in names:
        usage = getattr(usage, name, None)
    return usage if isinstance(usage, int) and usage >= 0 else None


def _tokens(choice: Any) -> tuple[Token, ...]:
    """A choice's tokens with their probabilities; what is not shaped so counts as not told."""
    content = getattr(getattr(choice, "logprobs", None), "content", None) or ()
    try:
        return tuple(
            Token(*_told(one), alternatives=tuple(Alternative(*_told(o)) for o in one.top_logprobs))
            for one in content
        )
    except (AttributeError, TypeError, ValueError):
        return ()


def _told(one: Any) -> tuple[str, None, float]:
    logprob = float(one.logprob)
    if math.isnan(logprob):
        raise ValueError("no probability")
    text = shown(bytes(one.bytes)) if one.bytes else str(one.token)
    return text, None, math.exp(min(0.0, logprob))
