"""Tokens and their probabilities, from what llama.cpp's server tells of them.

It tells the raw probabilities of the likeliest tokens; what they were drawn with is worked out here.
"""

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from models.chat.events import Alternative, Piece, Token
from models.chat.requests import ChatRequest
from models.chat.token_odds import byte_letters, entropy, probabilities, text_of_bytes
from models.weights import gguf


class GgufVocabulary:
    """A file's tokens.

    Args:
        header: of the file.
    """

    def __init__(self, header: gguf.Header) -> None:
        self.header = header

    def token(
        self,
        request: ChatRequest,
        id_: int,
        one: dict[str, Any],
        twin: dict[str, Any] | None = None,
    ) -> Token:
        """What there is to say about a drawn token.

        Args:
            request: how it was drawn, and how many alternatives to name.
            id_: the token.
            one: an entry of the server's completion_probabilities, which need not be of this token.
            twin: the same entry with the probabilities that tokens were drawn with.
        """
        top = {entry["id"]: entry["logprob"] for entry in one["top_logprobs"]}
        top.setdefault(id_, one["logprob"] if one["id"] == id_ else -math.inf)
        if twin is None:
            likely, bits = _sampling_probabilities(list(top.values()), request)
        else:
            likely, bits = _server_probabilities(top, twin)
        rows = {
            key: Alternative(self.piece(key).text, key, _raw(top[key]), chance)
            for key, chance in zip(top, likely, strict=True)
        }
        row = rows[id_]
        first = [rows[entry["id"]] for entry in one["top_logprobs"][: request.alternatives]]
        return Token(row.text, id_, row.raw, row.chance, bits, tuple(first))

    def split(self, data: bytes, count: int) -> list[int] | None:
        """`count` tokens that together have these bytes."""
        if not count:
            return None if data else []
        for end in range(1, len(data) - count + 2):
            id_ = self._by_bytes.get(data[:end])
            rest = self.split(data[end:], count - 1) if id_ is not None else None
            if id_ is not None and rest is not None:
                return [id_, *rest]
        return None

    @cached_property
    def whole(self) -> int:
        """Some token that writes a whole letter."""
        return next((id_ for text, id_ in self._by_bytes.items() if text == b"a"), 0)

    @cached_property
    def _by_bytes(self) -> dict[bytes, int]:
        return {self.bytes_of(id_): id_ for id_ in reversed(range(len(self.header.tokens)))}

    def bytes_of(self, id_: int) -> bytes:
        """What a token writes."""
        token = self.header.tokens[id_].decode("utf-8", "replace")
        kind = self.header.types[id_] if id_ < len(self.header.types) else 1
        if kind == 6:  # "<0xED>"
            return bytes.fromhex(token[3:5])
        if kind in {3, 4}:
            return token.encode()
        if self.header.values.get("tokenizer.ggml.model") == "gpt2":
            alphabet = byte_letters()
            return b"".join(
                bytes([alphabet[letter]]) if letter in alphabet else letter.encode()
                for letter in token
            )
        return token.replace("▁", " ").encode()

    def piece(self, id_: int) -> Piece:
        """A token's text, bytes that are no whole letter as ⟨ed 95⟩."""
        return Piece(text_of_bytes(self.bytes_of(id_)), id_)


def log_probabilities(logarithms: dict[int, float], size: int) -> np.ndarray:
    """Log probabilities of a whole vocabulary, which sum to 1; (size,) float32.

    Args:
        logarithms: id -> natural logarithm of its probability, of all tokens or of the likeliest.
        size: of the vocabulary. What is left of 1 goes to the others evenly.
    """
    row = np.full(size, -np.inf)
    row[list(logarithms)] = list(logarithms.values())
    total = np.exp(row).sum()
    if len(logarithms) < size and total < 1:
        row[np.isneginf(row)] = math.log((1 - total) / (size - len(logarithms)))
    total = np.exp(row).sum()
    return np.maximum(row - np.log(total), -1e4).astype(np.float32)


def _raw(logarithm: float) -> float:
    return min(1.0, math.exp(logarithm))


def _server_probabilities(
    ids: Iterable[int], one: dict[str, Any]
) -> tuple[list[float | None], float | None]:
    """What tokens were drawn with as the server tells it, and the entropy of that in bits.

    Args:
        ids: of the tokens.
        one: of completion_probabilities: "id" and "prob" of the drawn token and, as top_probs, of the
            likeliest after temperature and top_p.
    """
    shares = {entry["id"]: float(entry["prob"]) for entry in (one, *one["top_probs"])}
    are_all = sum(shares.values()) > 1 - 1e-4
    likely = [shares.get(id_, 0.0 if are_all else None) for id_ in ids]
    return likely, entropy(np.array(list(shares.values()))) if are_all else None


def _sampling_probabilities(
    logarithms: Sequence[float], request: ChatRequest
) -> tuple[list[float | None], float | None]:
    """What the likeliest tokens were drawn with, and the entropy of that in bits.

    Known where the likeliest hold all that a draw can take (top_k, top_p, temperature 0), or nearly
    all of the probability after temperature; else None.

    Args:
        logarithms: of the raw probabilities of the likeliest tokens, and of the drawn one.
        request: temperature, top_p and top_k.
    """
    values = np.array(logarithms)
    if request.temperature == 0:
        shares = probabilities(values, 0)
        return list(shares.tolist()), 0.0
    rest = max(0.0, 1 - float(np.exp(values).sum()))
    shares = probabilities(values, request.temperature, request.top_p, request.top_k)
    if 0 < request.top_k <= len(values) or rest < 1e-9:
        return list(shares.tolist()), entropy(shares)
    if request.temperature > 1:
        return [None] * len(values), None
    # Below temperature 1 the rest weighs less than the likeliest of it does.
    power = 1 / request.temperature
    weights = np.exp(values * power)
    least = float(values[np.isfinite(values)].min())
    tail = rest * math.exp(least * (power - 1))
    if request.top_p < 1 and weights.sum() / (weights.sum() + tail) >= request.top_p:
        nucleus = np.argsort(-weights, kind="stable")
        reach = np.cumsum(weights[nucleus]) / (weights.sum() + tail)
        nucleus = nucleus[: int(np.searchsorted(reach, request.top_p)) + 1]
        shares = np.zeros(len(values))
        shares[nucleus] = weights[nucleus] / weights[nucleus].sum()
        return list(shares.tolist()), entropy(shares)
    if request.top_p == 1 and (request.temperature == 1 or tail < 1e-3 * weights.sum()):
        shares = weights / (weights.sum() + tail)
        return list(shares.tolist()), entropy(shares) if tail < 1e-3 * weights.sum() else None
    return [None] * len(values), None
