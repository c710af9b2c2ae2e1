"""Keys and values of conversations, so that the next turn need not read them from the start again.

The keys and values of a model's attention layers are the same for the same tokens. The cache holds no
text and no token ids: only tensors, and for each token a hash of all tokens up to it, with a key that
only this process has. An entry serves only a request whose first tokens are the same, and gives that
request what it would have computed itself, so nothing passes from one person to another. An entry goes
after some minutes without use, with the model, and when newer conversations need the room.
"""

import hashlib
import secrets
import threading
import time
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

MAX_ENTRIES = 4  # conversations
MAX_BYTES = 256_000_000
IDLE_SECONDS = 300.0
_KEY = secrets.token_bytes(16)


@dataclass(slots=True, eq=False)
class _Entry:
    prefixes: list[bytes]  # one a token
    cache: DynamicCache
    nbytes: int
    last_use: float = field(default_factory=time.monotonic)


class KVCache:
    """A few conversations' keys and values; safe to use from several threads.

    Args:
        idle_seconds: after so long without use an entry goes.
    """

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle = idle_seconds
        self._entries: list[_Entry] = []  # the one used last is the last
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def take(self, ids: Iterable[int]) -> DynamicCache | None:
        """The keys and values of as many of the first tokens as are known, but not of all.

        The entry leaves the cache: the caller alters it and may put it back.
        """
        prefixes = _prefixes(ids)[:-1]  # the last token is to be read: it brings the logits
        with self._lock:
            lengths = [(_common_length(entry.prefixes, prefixes), entry) for entry in self._entries]
            length, best = max(lengths, key=lambda pair: pair[0], default=(0, None))
            if best is None or not length:
                return None
            self._entries.remove(best)
        best.cache.crop(length - len(best.prefixes))
        return best.cache

    def put(self, ids: Iterable[int], cache: object) -> None:
        """Add the keys and values of a conversation's first tokens.

        Args:
            ids: of the conversation, at least as many as the cache holds.
            cache: one of a kind that cannot be cut back later is not added.
        """
        if not isinstance(cache, DynamicCache):
            return
        layers: list[Any] = list(cache.layers)
        if not layers or any(type(layer) is not DynamicLayer for layer in layers):
            return
        tensors = [t for layer in layers for t in (layer.keys, layer.values)]
        nbytes = sum(t.numel() * t.element_size() for t in tensors if t is not None)
        entry = _Entry(_prefixes(ids)[: cache.get_seq_length()], cache, nbytes)
        with self._lock:
            self._entries.append(entry)
            while len(self._entries) > MAX_ENTRIES or self.nbytes > MAX_BYTES:
                self._entries.pop(0)
            self._start_timer()

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(entry.nbytes for entry in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _start_timer(self) -> None:
        if self._timer is None and self._entries:
            self._timer = threading.Timer(self._idle, _expire, [weakref.ref(self)])
            self._timer.daemon = True
            self._timer.start()

    def expire(self) -> None:
        """Drop the entries that were not used for the idle time."""
        oldest = time.monotonic() - self._idle
        with self._lock:
            self._entries = [entry for entry in self._entries if entry.last_use > oldest]
            self._timer = None
            self._start_timer()


def _expire(reference: "weakref.ref[KVCache]") -> None:
    cache = reference()  # the timer does not hold an unloaded model's tensors in memory
    if cache is not None:
        cache.expire()


def _prefixes(ids: Iterable[int]) -> list[bytes]:
    """For each token a hash of it and all before it."""
    prefixes: list[bytes] = []
    digest = b""
    for token in ids:
        data = digest + token.to_bytes(8, "little")
        digest = hashlib.blake2b(data, digest_size=16, key=_KEY).digest()
        prefixes.append(digest)
    return prefixes


def _common_length(one: list[bytes], other: list[bytes]) -> int:
    """How many of the first tokens are the same."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
