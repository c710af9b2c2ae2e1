"""The answers to one message as far as they have come, and the facts and notes that stand under them.

They live in the visitor's own session and nowhere else, without any key.
"""

import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from models.chat import recipe
from models.chat.events import Alternative, ChatDone, Note, TextDelta, Token, with_delta
from models.chat.requests import ChatRequest
from models.chat.token_odds import common_length, is_whole, join_texts
from models.contract import Event, Finished, ModelSpec
from models.select import find
from models.servers.prices import price_of, read
from models.settings import Settings
from models.tasks import CHAT
from tabs.shared.events import result_line
from tabs.shared.strings import STRINGS, both
from tabs.shared.widgets import Script

MAX_SAMPLES = 16  # of one message: the oldest branches make room
MAX_ANSWERS = 12  # messages of one session
_QUOTE = 60  # characters of a message that is quoted
_OUR_NAMES = {"n": "num_return_sequences", "max_completion_tokens": "max_new_tokens"}


@dataclass(slots=True)
class AnswerSample:
    """One answer.

    Attributes:
        deltas: a text and the tokens it is made of, as they came.
        origin: of one that branches off another: (number of the other, place of the token), else None.
    """

    deltas: list[TextDelta] = field(default_factory=list[TextDelta])
    origin: tuple[int, int] | None = None

    @property
    def tokens(self) -> list[Token]:
        """All tokens in order; empty where none came."""
        return [token for delta in self.deltas for token in delta.tokens]

    @property
    def text(self) -> str:
        """All text."""
        return "".join(delta.text for delta in self.deltas)

    @property
    def thoughts(self) -> str:
        """What the model wrote to itself before the answer; never a part of it."""
        return "".join(delta.thoughts for delta in self.deltas)


@dataclass(slots=True, eq=False)
class Answers:
    """The answers to one message: samples side by side, and branches of them.

    Attributes:
        spec: the model.
        request: without a key; its seed is the answer's own once that is there.
        samples: in the order they were made.
        end, finish: the end of the last job, None before.
    """

    spec: ModelSpec
    request: ChatRequest
    samples: list[AnswerSample]
    end: ChatDone | None = None
    finish: Finished | None = None

    @classmethod
    def to(cls, spec: ModelSpec, request: ChatRequest) -> "Answers":
        """Answers to a request, before the first text."""
        prefix = [TextDelta(request.prefix)] if request.prefix else []
        samples = [AnswerSample([*prefix]) for _ in range(request.num_return_sequences)]
        return cls(spec, request.model_copy(update={"api_key": None}), samples)

    @property
    def message(self) -> str:
        """The person's message."""
        return self.request.messages[-1].content

    @property
    def texts(self) -> list[str]:
        """The text of each sample."""
        return [sample.text for sample in self.samples]

    def add(self, event: Event, branch: AnswerSample | None = None) -> None:
        """Add an event of the job.

        Args:
            event: of the job that answers.
            branch: the sample that the job continues; None where it makes all of them.
        """
        if isinstance(event, TextDelta):
            sample = branch or self.samples[event.index]
            if event.before_was_thought:
                sample.deltas = with_delta(sample.deltas, event)
            else:
                sample.deltas.append(event)
        elif isinstance(event, ChatDone):
            self.end = event
            if branch is None and event.seed is not None:
                self.request = self.request.model_copy(update={"seed": event.seed})
        elif isinstance(event, Finished):
            self.finish = event

    def facts(self, settings: Settings) -> str:
        """Facts and notes on the last job as HTML; "" before its end."""
        if self.end is None or self.finish is None:
            return ""
        notes = [note_html(note, self.request) for note in self.end.notes]
        if self.request.temperature == 0:  # these dials were not used
            notes.append(f'<p class="note">{both("chat.greedy")}</p>')
        thoughts = "".join(thoughts_html(sample.thoughts) for sample in self.samples)
        return facts(settings, self.request, self.finish, self.end) + "".join(notes) + thoughts

    def python(self) -> str:
        """The code behind the samples as a Script; "" before their end."""
        if self.end is None or self.finish is None:
            return ""
        values = (self.spec, self.request, self.finish.placement)
        call = partial(recipe.call, *values, notes=self.end.notes)
        return Script.of(recipe.python(*values, self.end.notes), call)

    def branch_choices(self, number: int, place: int) -> list[bool]:
        """For each alternative of a token, whether its sample can continue from it.

        On this machine all can: ids say exactly which tokens stand before. A server gets the text
        before instead: so the tokens must make up the text, and the alternative must be text too.
        """
        deltas = self.samples[number].deltas
        which, at = _find(deltas, place)
        texts = [token.text for token in deltas[which].tokens]
        alternatives = deltas[which].tokens[at].alternatives
        if not self.spec.hosted:
            return [True] * len(alternatives)
        exact = join_texts(texts) == deltas[which].text
        return [
            exact and one.text != "" and is_whole(join_texts([*texts[:at], one.text]))
            for one in alternatives
        ]

    def branch(self, number: int, place: int, alternative: Alternative) -> AnswerSample:
        """A new sample: sample `number` up to a place, and another token there.

        Args:
            number: of the sample.
            place: of the token in it.
            alternative: one of that token's alternatives.
        """
        sample = AnswerSample(
            _until(self.samples[number].deltas, place, alternative), (number, place)
        )
        if len(self.samples) >= MAX_SAMPLES:
            oldest = next((one for one in self.samples if one.origin), self.samples[0])
            self.samples.remove(oldest)
        self.samples.append(sample)
        return sample


@dataclass(frozen=True, slots=True)
class RecordedToken:
    """A token of the recorded example.

    Attributes:
        token: with its alternatives.
        others: for temperatures 0.05, 0.1 ... 2, ln of the sum of p ** (1 / temperature) over all
            tokens that are not among them.
    """

    token: Token
    others: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class RecordedExample:
    """The answer that the page opens with, recorded by training/chat_example.py.

    Attributes:
        spec: the model that ships.
        request: what it answered.
        tokens: of the answer.
    """

    spec: ModelSpec
    request: ChatRequest
    tokens: tuple[RecordedToken, ...]

    @classmethod
    @cache
    def read(cls, language: str) -> "RecordedExample":
        """The example of a language of the page."""
        path = Path(__file__).with_name(f"example_{language}.json")
        values = json.loads(path.read_text(encoding="utf-8"))
        request = ChatRequest.of(
            messages=[{"role": "user", "content": values["message"]}],
            alternatives=len(values["tokens"][0]["alternatives"]),
            **{name: values[name] for name in ("temperature", "top_p", "seed", "max_new_tokens")},
        )
        tokens = (_example_token(row) for row in values["tokens"])
        return cls(find(CHAT, values["model"]), request, tuple(tokens))

    @property
    def text(self) -> str:
        """The answer, without its end token."""
        return join_texts(one.token.text for one in self.tokens[:-1])

    def answers(self) -> Answers:
        """The example in the form of an answer of this session, so that it can continue from another token."""
        *tokens, end = (one.token for one in self.tokens)
        deltas: list[TextDelta] = []
        letter: list[Token] = []  # the tokens of one that is not whole yet
        for token in tokens:
            letter.append(token)
            text = join_texts(one.text for one in letter)
            if is_whole(text):
                deltas.append(TextDelta(text, 0, tuple(letter)))
                letter = []
        deltas.append(TextDelta("", 0, (end,)))
        return Answers(self.spec, self.request, [AnswerSample(deltas)])


def _example_token(row: dict[str, Any]) -> RecordedToken:
    others = [Alternative(text, id_, raw, raw) for text, id_, raw in row["alternatives"]]
    token = Token(row["text"], row["id"], row["raw"], row["raw"], row["entropy"], tuple(others))
    return RecordedToken(token, tuple(row["others"]))


def _find(deltas: list[TextDelta], place: int) -> tuple[int, int]:
    """Which delta a token is in, and its place there."""
    for which, delta in enumerate(deltas):
        if place < len(delta.tokens):
            return which, place
        place -= len(delta.tokens)
    raise IndexError(place)


def _until(deltas: list[TextDelta], place: int, alternative: Alternative) -> list[TextDelta]:
    """The deltas before a token's place, and the alternative in one of its own."""
    which, at = _find(deltas, place)
    before = deltas[which].tokens[:at]
    one = alternative
    token = replace(
        deltas[which].tokens[at], text=one.text, id=one.id, raw=one.raw, chance=one.chance
    )
    text = join_texts(one.text for one in (*before, token))
    text = text if is_whole(text) else ""  # the rest of a letter comes with the next
    return [*deltas[:which], TextDelta(text, deltas[which].index, (*before, token))]


def common_prefixes(samples: Sequence[AnswerSample]) -> list[list[int]]:
    """For each token of each sample, with how many other samples it shares all up to it."""
    keys = [
        [token.id if token.id is not None else token.text for token in s.tokens] for s in samples
    ]
    return [_shares(own, [one for one in keys if one is not own]) for own in keys]


def _shares(own: Sequence[Any], others: Iterable[Sequence[Any]]) -> list[int]:
    """For each item of a sequence, how many others are the same up to it."""
    lengths = [common_length(own, other) for other in others]
    return [sum(length > at for length in lengths) for at in range(len(own))]


def with_newest(history: list[Answers], newest: Any) -> list[Answers]:
    """The session's answers with the newest, without the oldest beyond MAX_ANSWERS."""
    if not isinstance(newest, Answers) or any(newest is one for one in history):
        return history
    return [*history, newest][-MAX_ANSWERS:]


# ---------------------------------------------------------------- facts and notes


def facts(settings: Settings, request: ChatRequest, finish: Finished, end: ChatDone) -> str:
    """Model, place and time, then seed, tokens in and out, speed, cost, as HTML.

    What is not known is not shown: a server may not count its tokens, a model may have no price.
    """
    more = [both("result.seed", seed=end.seed)]
    if finish.placement.device == "server" and request.model_name:
        more.insert(0, html.escape(request.model_name))
    if end.completion_tokens is not None:
        counts = {"read": end.prompt_tokens, "written": end.completion_tokens}
        key = "chat.tokens" if end.prompt_tokens is not None else "chat.tokens_out"
        more.append(both(key, **counts))
    if speed := tokens_per_second(finish, end):
        more.append(both("chat.speed", speed=f"{speed:.0f}" if speed >= 10 else f"{speed:.1f}"))
    if finish.first_seconds is not None:
        more.append(both("chat.first", seconds=f"{finish.first_seconds:.2f}"))
    if finish.placement.device == "server" and (cost := _cost(settings, request, end)):
        more.append(cost)
    if end.finish_reason == "length":
        more.append(both("chat.length"))
    return result_line(finish, *more)


def tokens_per_second(finish: Finished, end: ChatDone) -> float | None:
    """Tokens in a second, without the wait for the first one; None for fewer than two tokens.

    Thoughts that a server hides come before the first token that it shows: with them it is all
    tokens in all the time.
    """
    count = end.completion_tokens or 0
    if finish.first_seconds is None or count < 2:
        return None
    if end.hidden_tokens:
        return count / finish.seconds
    seconds = finish.seconds - finish.first_seconds
    return (count - 1) / seconds if seconds > 0 else None


def _cost(settings: Settings, request: ChatRequest, end: ChatDone) -> str | None:
    server = settings.server_name(request.base_url)
    entry = price_of(read(settings.prices), server, request.model_name or settings.openai_model)
    if entry is None or end.prompt_tokens is None or end.completion_tokens is None:
        return None
    price, table = entry
    dollars = price.cost(end.prompt_tokens, end.completion_tokens, end.cached_tokens)
    text = both("chat.cost", dollars=f"{dollars:.6f}", date=table.date)
    return f'<span title="{html.escape(table.source)}">{text}</span>'


def thoughts_html(thoughts: str) -> str:
    """What a model wrote to itself before its answer, folded; "" for none.

    It stands outside the conversation: so it is neither copied with an answer nor sent back.
    """
    if not thoughts.strip():
        return ""
    words = html.escape(thoughts.strip())
    title = both("result.thoughts")
    return f'<details class="thoughts"><summary>{title}</summary><p>{words}</p></details>'


def note_html(note: Note, request: ChatRequest | None = None) -> str:
    """A note as HTML; of messages that were left out, the last one is quoted from the request."""
    if note.value == "max_completion_tokens":  # it was sent under its older name: nothing was lost
        return ""
    values: dict[str, object] = {"value": note.value}
    if request and note.code == "turns_left_out" and isinstance(note.value, int):
        last = request.messages[note.value - 1].content
        values["last"] = last if len(last) <= _QUOTE else last[:_QUOTE] + "…"
    elif isinstance(note.value, str):  # a parameter: its name in each language
        key = f"fields.{_OUR_NAMES.get(note.value, note.value)}"
        values["value"] = {lang: words.get(key, note.value) for lang, words in STRINGS.items()}
    return f'<p class="note">{both(f"notes.{note.code}", **values)}</p>'
