"""What hosted models cost the host, and how much of it is let in a day.

It is reserved before each call, and settled by what the server says.

Only calls to the host's own server count, with its key or without one. A call with a person's own key, or
to a server that a person named, costs the host nothing. What a call may cost is written down before the call
is made, so neither a kill -9 nor a lost connection makes it free; a day is the last 24 hours.
"""

import math
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass

from pydantic import SecretStr

from models.errors import InvalidInput, ModelError, QuotaExceeded, Refused, Unavailable
from models.servers.prices import Price, price_of, read
from models.settings import Settings
from models.state import StateFile, state

DAY = 86_400.0  # seconds
_KEEP = 30 * DAY
# Seconds since 1970 that do not jump while the app runs, whatever is done to the clock.
_START = time.time() - time.monotonic()


@dataclass(slots=True)
class Bill:
    """One call that the host pays, for which its highest cost is reserved.

    Attributes:
        price: None where it is not known: then its cost counts as 0.
        dollars: what it costs, as far as is known now: at most so much, until it is settled.
        state, row: where that is written down; None without a budget.
        answering: the server has begun to answer, so a fault no longer means that it costs nothing.
    """

    price: Price | None
    dollars: float
    state: StateFile | None = None
    row: int = 0
    answering: bool = False

    def settle(
        self, prompt_tokens: int | None, completion_tokens: int | None, cached_tokens: int = 0
    ) -> None:
        """Replace the reserved cost by what the server counted; where it counted nothing, the reservation stays."""
        if prompt_tokens is None or completion_tokens is None:
            return
        counts = (prompt_tokens, completion_tokens, cached_tokens)
        cost = self.price.cost(*counts) if self.price else 0.0
        self._put(cost, prompt_tokens + completion_tokens)

    def cancel(self) -> None:
        """Release the reservation: the call cost nothing."""
        self._put(0.0, 0)

    def _put(self, dollars: float, tokens: int) -> None:
        self.dollars = dollars
        if self.state is None:
            return
        with suppress(Unavailable), self.state.transaction() as rows:  # else what is reserved stays
            change = "UPDATE spend SET dollars = ?, tokens = ? WHERE id = ?"
            rows.execute(change, (dollars, tokens, self.row))


# The bills of the job that this context belongs to, for whoever set it to tell what the job cost.
BILLS: ContextVar[list[Bill] | None] = ContextVar("BILLS", default=None)


@contextmanager
def reserve(
    settings: Settings,
    model: str,
    tokens: tuple[int, int],
    api_key: SecretStr | None,
    base_url: str = "",
) -> Generator[Bill | None]:
    """Set aside what a call may cost at most, for the with block in which it is made.

    Args:
        settings: the host's budget and prices.
        model: its name on the server.
        tokens: at most so many are read and written.
        api_key: what the person typed.
        base_url: a server that the person named.

    Yields:
        The call's bill; None where the person pays.

    Raises:
        QuotaExceeded: it would pass the budget; `seconds` says when it will not.
        InvalidInput: it alone would.
        Refused: the budget is in dollars and the model's price is not known.
        Unavailable: it cannot be written down.
    """
    if not is_hosts_bill(api_key, base_url):
        yield None
        return
    price = _price(settings, model)
    bill = Bill(price, price.cost(*tokens) if price else 0.0)
    if settings.has_budget:
        bill.state = state(settings.state_file)
        bill.row = _reserve(bill.state, settings, bill.dollars, sum(tokens))
    if (bills := BILLS.get()) is not None:
        bills.append(bill)
    try:
        yield bill
    except Exception as error:
        if not bill.answering and _is_free(error):
            bill.cancel()
        raise


def is_hosts_bill(api_key: SecretStr | None, base_url: str = "") -> bool:
    """Whether the host pays for a call with what a person typed."""
    return not base_url and not (api_key and api_key.get_secret_value().strip())


def tokens_of(*texts: str) -> int:
    """The most tokens that texts can have: no tokenizer needs more than one for a byte."""
    return sum(len(text.encode("utf-8", "surrogatepass")) + 16 for text in texts)


def spending(settings: Settings) -> tuple[float, int]:
    """Dollars and tokens of the last 24 hours, those among them that are reserved.

    Raises:
        Unavailable: the records cannot be read.
    """
    with state(settings.state_file).transaction() as rows:
        total = "SELECT total(dollars), CAST(total(tokens) AS INTEGER) FROM spend WHERE at > ?"
        return rows.execute(total, (_now() - DAY,)).fetchone()


def _now() -> float:
    return _START + time.monotonic()


def _price(settings: Settings, model: str) -> Price | None:
    """None where dollars do not count: no budget in them, or no key to spend them with."""
    price = price_of(read(settings.prices), settings.server_name(), model)
    if price:
        return price[0]
    if settings.budget_dollars is not None and settings.openai_api_key is not None:
        raise Refused("refused_no_price", model=model)
    return None


def _reserve(here: StateFile, settings: Settings, dollars: float, tokens: int) -> int:
    """Write a cost down if there is room for it; returns its row."""
    now = _now()
    with here.transaction() as rows:
        rows.execute("UPDATE spend SET at = ? WHERE at > ?", (now, now))  # the clock was set back
        rows.execute("DELETE FROM spend WHERE at <= ?", (now - _KEEP,))
        recent = "SELECT at, dollars, tokens FROM spend WHERE at > ? ORDER BY at"
        past = rows.execute(recent, (now - DAY,)).fetchall()
        seconds = 0.0
        for limit, cost, costs in (
            (settings.budget_dollars, dollars, [(at, one) for at, one, _ in past]),
            (settings.budget_tokens, tokens, [(at, one) for at, _, one in past]),
        ):
            if limit is not None:
                seconds = max(seconds, _wait(limit, cost, costs, now))
        if not seconds:
            row = rows.execute("INSERT INTO spend VALUES (NULL, ?, ?, ?)", (now, dollars, tokens))
            assert row.lastrowid is not None
            return row.lastrowid
    hours = math.ceil(seconds / 3600)
    raise QuotaExceeded("quota_budget", hours=hours, seconds=math.ceil(seconds))


def _wait(limit: float, cost: float, past: list[tuple[float, float]], now: float) -> float:
    """Seconds until so much of the past is over a day old that a cost fits under a limit."""
    if cost > limit:
        raise InvalidInput("invalid_over_budget")
    total = sum(one for _, one in past) + cost
    seconds = 0.0
    for at, one in past:
        if total <= limit:
            break
        total -= one
        seconds = max(1.0, at + DAY - now)
    return seconds


def _is_free(error: Exception) -> bool:
    """Whether a call that failed before its answer surely costs nothing."""
    import httpx2
    import openai

    match error:
        case openai.APIStatusError():
            return error.status_code < 500
        case openai.APIConnectionError():
            return isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)
        case _:
            return isinstance(error, ModelError) and not isinstance(error, Unavailable)
