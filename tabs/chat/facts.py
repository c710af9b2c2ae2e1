"""Under an answer: tokens, speed, what it cost, and what a person should know about how it was asked."""

import html

from models.chat.events import ChatDone
from models.chat.requests import ChatRequest
from models.contract import Finished
from models.servers.prices import price_of, read
from models.settings import Settings
from tabs.shared.events import result_line
from tabs.shared.strings import STRINGS, both

_QUOTE = 60  # letters of a message that is quoted
_OURS = {"n": "num_return_sequences", "max_completion_tokens": "max_new_tokens"}


def facts(settings: Settings, ask: ChatRequest, event: Finished, done: ChatDone) -> str:
    """Model, place and time, then seed, tokens in and out, speed, cost, as HTML.

    What is not known is not shown: a server may not count its tokens, a model may have no price.
    """
    more = [both("result.seed", seed=done.seed)]
    if event.placement.device == "server" and ask.model_name:
        more.insert(0, html.escape(ask.model_name))
    if done.completion_tokens is not None:
        counts = {"read": done.prompt_tokens, "written": done.completion_tokens}
        known = "chat.tokens" if done.prompt_tokens is not None else "chat.tokens_out"
        more.append(both(known, **counts))
    if speed := tokens_per_second(event, done):
        more.append(both("chat.speed", speed=f"{speed:.0f}" if speed >= 10 else f"{speed:.1f}"))
    if event.first_seconds is not None:
        more.append(both("chat.first", seconds=f"{event.first_seconds:.2f}"))
    if event.placement.device == "server" and (cost := _cost(settings, ask, done)):
        more.append(cost)
    if done.finish_reason == "length":
        more.append(both("chat.length"))
    return result_line(event, *more)


def tokens_per_second(event: Finished, done: ChatDone) -> float | None:
    """Tokens written in a second, the first one's wait left out; None for fewer than two tokens.

    Thoughts that a server hides were written before the first token that it shows: with them it
    is all tokens in all the time.
    """
    count = done.completion_tokens or 0
    if event.first_seconds is None or count < 2:
        return None
    if done.hidden_tokens:
        return count / event.seconds
    writing = event.seconds - event.first_seconds
    return (count - 1) / writing if writing > 0 else None


def _cost(settings: Settings, ask: ChatRequest, done: ChatDone) -> str | None:
    server = settings.server_name(ask.base_url)
    known = price_of(read(settings.prices), server, ask.model_name or settings.openai_model)
    if known is None or done.prompt_tokens is None or done.completion_tokens is None:
        return None
    price, prices = known
    dollars = price.cost(done.prompt_tokens, done.completion_tokens, done.cached_tokens)
    shown = both("chat.cost", dollars=f"{dollars:.6f}", date=prices.date)
    return f'<span title="{html.escape(prices.source)}">{shown}</span>'


def notes(done: ChatDone, ask: ChatRequest) -> str:
    """All that a person should know about how the request was done, as HTML."""
    return "".join(note(code, ask) for code in done.notes)


def note(code: str, ask: ChatRequest) -> str:
    """What a person should know about how the request was done, as HTML.

    Args:
        code: of [notes] in tabs/text.
        ask: the request; of messages that were left out, the last one is quoted from it.
    """
    name, _, value = code.partition(":")
    if name == "turns_left_out":
        last = ask.messages[int(value) - 1].content
        quote = last if len(last) <= _QUOTE else last[:_QUOTE] + "…"
        return f'<p class="note">{both("notes.turns_left_out", value=value, last=quote)}</p>'
    if value == "max_completion_tokens":  # it was sent under its older name: nothing was lost
        return ""
    field_name = f"fields.{_OURS.get(value, value)}"
    words = {language: strings.get(field_name, value) for language, strings in STRINGS.items()}
    return f'<p class="note">{both(f"notes.{name}", value=words)}</p>'
