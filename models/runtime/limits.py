"""How much people may ask of the models in a minute: each, and all together.

A job is counted before it begins, from whichever entry it comes. The code that receives a call sets PERSON to
who is calling. Somebody who forges addresses still meets the limits of all together.
"""

import math
import threading
import time
from collections.abc import Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from models.contract import Request
from models.errors import InvalidInput, RateLimited
from models.settings import Settings

if TYPE_CHECKING:
    from limits.strategies import FixedWindowRateLimiter

MINUTE = 60
RETRY_SECONDS = 5  # after which a caller is to come back where the queue is full
# As `person_of` has it.
PERSON: ContextVar[str] = ContextVar("PERSON", default="")


def person_of(address: str, name: str | None = None, token: str | None = None) -> str:
    """As whom somebody is counted: "name:ann" of a login, "token:robot", else "address:127.0.0.1"."""
    if token is not None:
        return f"token:{token}"
    return f"name:{name}" if name is not None else f"address:{address}"


class Count(NamedTuple):
    """One thing to count: `cost` towards `limit` a minute, under a key."""

    key: str
    limit: int
    cost: int = 1


class Minute:
    """Counters, each of which begins anew a minute after its first count. Threads may share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: FixedWindowRateLimiter | None = None

    def take(self, counts: Sequence[Count]) -> int:
        """Count all if all fit, else none.

        Returns:
            0, or the seconds until they fit.
        """
        with self._lock:
            wait = self._wait(counts)
            if not wait:
                self._add(counts)
            return wait

    def wait(self, counts: Sequence[Count]) -> int:
        """Seconds until all fit, 0 if they do now; nothing is counted."""
        with self._lock:
            return self._wait(counts)

    def _wait(self, counts: Sequence[Count]) -> int:
        from limits import RateLimitItemPerMinute

        seconds = 0.0
        for key, limit, cost in counts:
            item = RateLimitItemPerMinute(limit)
            if not self._limiter.test(item, key, cost=cost):
                rest = self._limiter.get_window_stats(item, key).reset_time - time.time()
                if rest > MINUTE:  # the clock was set back: the minute would not end for long
                    self._limiter.clear(item, key)
                    continue
                seconds = max(seconds, rest, 1)
        return math.ceil(seconds)

    def _add(self, counts: Sequence[Count]) -> None:
        from limits import RateLimitItemPerMinute

        for key, limit, cost in counts:
            self._limiter.hit(RateLimitItemPerMinute(limit), key, cost=cost)

    @property
    def _limiter(self) -> "FixedWindowRateLimiter":
        if self._windows is None:
            from limits.storage import MemoryStorage
            from limits.strategies import FixedWindowRateLimiter

            self._windows = FixedWindowRateLimiter(MemoryStorage())
        return self._windows


class Limits:
    """The host's limits (GENLAB_PERSON_..., GENLAB_ALL_...); where none is set nothing is counted."""

    def __init__(self, settings: Settings) -> None:
        self._minute = Minute()
        self._limits = {
            "requests": (settings.person_requests, settings.all_requests),
            "image_steps": (settings.person_image_steps, settings.all_image_steps),
            "tokens": (settings.person_tokens, settings.all_tokens),
        }

    def admit(self, request: Request) -> None:
        """Count a job of the person that PERSON names.

        Raises:
            InvalidInput: it alone is more than may be asked in a minute.
            RateLimited: too much was asked in this minute; `seconds` says when to come back.
        """
        counts: list[Count] = []
        for what, limits in self._limits.items():
            if limits == (None, None):
                continue
            cost = 1 if what == "requests" else int(getattr(request, what))
            least = min(limit for limit in limits if limit is not None)
            if cost > least:
                raise InvalidInput(f"invalid_over_{what}", cost=cost, limit=least)
            for who, limit in zip((PERSON.get(), "all"), limits, strict=True):
                if limit is not None and cost:
                    counts.append(Count(f"{what} {who}", limit, cost))
        if counts and (seconds := self._minute.take(counts)):
            raise RateLimited("full", seconds=seconds)
