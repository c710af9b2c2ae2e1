"""What a model worked out about a conversation so far, kept for its next turn.

A model need not read a conversation from the start again: the keys and values of its attention layers
are the same for the same tokens. What is kept holds no text and no token ids: tensors, and for each token
a hash of all tokens up to it, with a key that only this process has. It serves only a request whose
tokens are the same from the first on, and gives that request what it would have worked out itself, so
nothing passes from one person to another. It goes after some minutes without use, with the model, and
when newer conversations need the room.
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

MOST = 4  # conversations
MOST_BYTES = 256_000_000
IDLE_SECONDS = 300.0
_KEY = secrets.token_bytes(16)


@dataclass(slots=True, eq=False)
class _Entry:
    prefixes: list[bytes]  # one a token
    cache: DynamicCache
    nbytes: int
    used: float = field(default_factory=time.monotonic)


class Kept:
    """A few conversations' keys and values; safe to use from several threads.

    Args:
        idle_seconds: after so long without use they go.
    """

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle = idle_seconds
        self._entries: list[_Entry] = []  # the one used last is the last
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def take(self, ids: Iterable[int]) -> DynamicCache | None:
        """The keys and values of as many of the first tokens as are known, but not of all.

        They belong to the caller, who alters them and may give them back.
        """
        prefixes = _prefixes(ids)[:-1]  # the last token is to be read: it brings the logits
        with self._lock:
            known = [(_shared(entry.prefixes, prefixes), entry) for entry in self._entries]
            shared, best = max(known, key=lambda one: one[0], default=(0, None))
            if best is None or not shared:
                return None
            self._entries.remove(best)
        best.cache.crop(shared - len(best.prefixes))
        return best.cache

    def give(self, ids: Iterable[int], cache: object) -> None:
        """Keep the keys and values of a conversation's first tokens.

        Args:
            ids: of the conversation, at least as many as the cache holds.
            cache: of a kind that cannot be cut back later, it is not kept.
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
            while len(self._entries) > MOST or self.nbytes > MOST_BYTES:
                self._entries.pop(0)
            self._watch()

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors kept."""
        return sum(entry.nbytes for entry in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _watch(self) -> None:
        if self._timer is None and self._entries:
            self._timer = threading.Timer(self._idle, _expire, [weakref.ref(self)])
            self._timer.daemon = True
            self._timer.start()

    def expire(self) -> None:
        """Let go what was not used for the idle time."""
        oldest = time.monotonic() - self._idle
        with self._lock:
            self._entries = [entry for entry in self._entries if entry.used > oldest]
            self._timer = None
            self._watch()


def _expire(kept: "weakref.ref[Kept]") -> None:
    alive = kept()  # the timer does not keep an unloaded model's tensors alive
    if alive is not None:
        alive.expire()


def _prefixes(ids: Iterable[int]) -> list[bytes]:
    """For each token a hash of it and all before it."""
    prefixes: list[bytes] = []
    so_far = b""
    for token in ids:
        so_far = hashlib.blake2b(
            so_far + token.to_bytes(8, "little"), digest_size=16, key=_KEY
        ).digest()
        prefixes.append(so_far)
    return prefixes


def _shared(one: list[bytes], other: list[bytes]) -> int:
    """How many of the first tokens are the same."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
