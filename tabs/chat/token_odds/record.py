"""What a visitor's dice panel remembers of an answer: every token with what else could have come.

It lives in the visitor's own session state and nowhere else, without any key.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from models.chat.events import Alternative, ChatDone, TextDelta, Token
from models.chat.requests import ChatRequest
from models.chat.token_text import is_whole, joined
from models.contract import Event, ModelSpec

MOST_SAMPLES = 16  # of one question: the oldest branches make room
MOST_ANSWERS = 12  # questions of one session


@dataclass(slots=True)
class Sample:
    """One answer: deltas as they came.

    Attributes:
        deltas: a text and the tokens it is made of.
        branch: for one that goes on from another: (its number, the token's place), else None.
    """

    deltas: list[TextDelta] = field(default_factory=list[TextDelta])
    branch: tuple[int, int] | None = None

    @property
    def tokens(self) -> list[Token]:
        """All tokens in order; empty where none were told."""
        return [token for delta in self.deltas for token in delta.tokens]

    @property
    def text(self) -> str:
        """All text."""
        return "".join(delta.text for delta in self.deltas)


@dataclass(slots=True, eq=False)
class Answers:
    """The answers to one question: samples side by side, and branches of them.

    Attributes:
        spec: the model.
        ask: the request, without a key; its seed as it was asked.
        samples: in the order they were made.
    """

    spec: ModelSpec
    ask: ChatRequest
    samples: list[Sample]

    @classmethod
    def to(cls, spec: ModelSpec, ask: ChatRequest) -> "Answers":
        """To a question that is being asked."""
        kept = ask.model_copy(update={"api_key": None})
        begun = [TextDelta(ask.prefix)] if ask.prefix else []
        return cls(spec, kept, [Sample([*begun]) for _ in range(ask.num_return_sequences)])

    @property
    def question(self) -> str:
        """What the person said."""
        return self.ask.messages[-1].content

    def take(self, event: Event) -> None:
        """Note what came: text with its tokens, and the seed that was drawn."""
        if isinstance(event, TextDelta):
            self.samples[event.index].deltas.append(event)
        elif isinstance(event, ChatDone) and event.seed is not None:
            self.ask = self.ask.model_copy(update={"seed": event.seed})

    def branches(self, number: int, place: int) -> list[bool]:
        """From which of a token's alternatives its sample can be gone on.

        On this machine from all: ids say exactly which tokens stand before. A server is shown the
        text before: so the tokens must make up the text, and the other one must be text too.
        """
        deltas = self.samples[number].deltas
        which, at = _found(deltas, place)
        texts = [token.text for token in deltas[which].tokens]
        rows = deltas[which].tokens[at].alternatives
        if not self.spec.hosted:
            return [True] * len(rows)
        told = joined(texts) == deltas[which].text
        return [
            told and row.text != "" and is_whole(joined([*texts[:at], row.text])) for row in rows
        ]

    def branch(self, number: int, place: int, instead: Alternative) -> Sample:
        """A new sample: sample `number` up to a place, and another token there.

        Args:
            number: of the sample.
            place: of the token in it.
            instead: one of that token's alternatives.
        """
        parent = self.samples[number]
        new = Sample(_until(parent.deltas, place, instead), (number, place))
        if len(self.samples) >= MOST_SAMPLES:
            oldest = next((s for s in self.samples if s.branch), self.samples[0])
            self.samples.remove(oldest)
        self.samples.append(new)
        return new


def _found(deltas: list[TextDelta], place: int) -> tuple[int, int]:
    """Which delta a token is in, and its place there."""
    for which, delta in enumerate(deltas):
        if place < len(delta.tokens):
            return which, place
        place -= len(delta.tokens)
    raise IndexError(place)


def _until(deltas: list[TextDelta], place: int, instead: Alternative) -> list[TextDelta]:
    """The deltas before a token's place, and the other token in one of its own."""
    which, at = _found(deltas, place)
    before = deltas[which].tokens[:at]
    other = replace(
        deltas[which].tokens[at],
        text=instead.text,
        id=instead.id,
        raw=instead.raw,
        chance=instead.chance,
    )
    text = joined(token.text for token in (*before, other))
    text = text if is_whole(text) else ""  # the rest of a letter comes with the next
    return [*deltas[:which], TextDelta(text, deltas[which].index, (*before, other))]


def companions(samples: Sequence[Sample]) -> list[list[int]]:
    """For each token of each sample, with how many other samples it shares all up to it."""
    keys = [
        [token.id if token.id is not None else token.text for token in s.tokens] for s in samples
    ]
    return [
        [sum(other[: at + 1] == own[: at + 1] for other in keys) - 1 for at in range(len(own))]
        for own in keys
    ]


def remembered(answers: list[Answers], new: Any) -> list[Answers]:
    """The session's answers with the newest, of which the oldest go."""
    if not isinstance(new, Answers) or any(new is one for one in answers):
        return answers
    return [*answers, new][-MOST_ANSWERS:]
