"""Tokens and their probabilities: from logits to a distribution, and a token's own text.

Imports no model library, so that the page can use it too.
"""

import json
import re
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from models.chat.events import Piece

# ---------------------------------------------------------------- probabilities


def probabilities(
    logits: np.ndarray, temperature: float = 1.0, top_p: float = 1.0, top_k: int = 0
) -> np.ndarray:
    """The distribution the next token is sampled from: the same steps as transformers' warpers.

    Args:
        logits: (vocabulary,), raw.
        temperature: 0 gives all to the likeliest.
        top_p: keeps the likeliest tokens that together have this probability.
        top_k: keeps so many of the likeliest; 0 keeps all.

    Returns:
        (vocabulary,) float64, sums to 1.
    """
    scores = logits.astype(np.float64)
    if temperature == 0:
        return (np.arange(len(scores)) == scores.argmax()).astype(np.float64)
    scores = scores / temperature
    if top_k:
        least = np.sort(scores)[-min(top_k, len(scores))]
        scores = np.where(scores < least, -np.inf, scores)
    powers = np.exp(scores - scores.max())
    result = powers / powers.sum()
    if top_p < 1:
        # The unlikeliest first: those that together have up to 1 - top_p go.
        order = np.argsort(result, kind="stable")
        tail = np.cumsum(result[order]) <= 1 - top_p
        tail[-1] = False
        result[order[tail]] = 0
        result /= result.sum()
    return result


def entropy(distribution: np.ndarray) -> float:
    """Entropy in bits of a distribution that sums to 1: 0 is certain, 1 a coin, 2.58 a die."""
    positive = distribution[distribution > 0]
    return max(0.0, float(-(positive * np.log2(positive)).sum()))


def token_at(distribution: np.ndarray, position: float) -> int:
    """The token at a position on the line where all lie side by side, the likeliest first.

    Args:
        distribution: (vocabulary,), sums to 1.
        position: from 0 up to 1, without 1.
    """
    order = np.argsort(-distribution, kind="stable")
    place = int(np.searchsorted(np.cumsum(distribution[order]), position, side="right"))
    return int(order[min(place, int((distribution > 0).sum()) - 1)])


def common_length(one: Sequence[Any], other: Sequence[Any]) -> int:
    """How many items at the beginning of two sequences are the same."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


# ---------------------------------------------------------------- text of single tokens

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_BYTES = re.compile("((?:⟨[0-9a-f]{2}(?: [0-9a-f]{2})*⟩)+)")


def text_of_bytes(data: bytes) -> str:
    """Bytes as text; those that are no whole letter as ⟨ed 95⟩."""

    def hexadecimal(match: re.Match[str]) -> str:
        return f"⟨{match[0].encode('utf-8', 'surrogateescape').hex(' ')}⟩"

    return re.sub("[\udc80-\udcff]+", hexadecimal, data.decode("utf-8", "surrogateescape"))


def bytes_of_text(text: str) -> bytes:
    """The inverse of `text_of_bytes`; a ⟨ around anything else is a letter of the text."""
    return b"".join(
        bytes.fromhex(re.sub("[⟨⟩]", "", part)) if at % 2 else part.encode()
        for at, part in enumerate(_BYTES.split(text))
    )


def join_texts(texts: Iterable[str]) -> str:
    """Tokens' texts as one text: bytes side by side become their letter."""
    return _BYTES.sub(lambda match: text_of_bytes(bytes_of_text(match[0])), "".join(texts))


def is_whole(text: str) -> bool:
    """Whether there are letters only, and no bytes of a part of one."""
    return not _BYTES.search(text)


def pieces(tokenizer: Any, ids: Iterable[int]) -> tuple[Piece, ...]:
    """Each token's own text, special tokens too.

    Args:
        tokenizer: of transformers.
        ids: token ids.
    """
    ids = list(ids)
    tokens = tokenizer.convert_ids_to_tokens(ids)
    special = tokenizer.added_tokens_decoder  # a new dictionary at each access
    return tuple(
        Piece((token or "") if id_ in special else _text(tokenizer, id_, token), id_)
        for id_, token in zip(ids, tokens, strict=True)
    )


def _text(tokenizer: Any, id_: int, token: str | None) -> str:
    if token is None:  # a model's vocabulary may be padded beyond its tokenizer's
        return ""
    if byte := _BYTE.fullmatch(token):  # of a SentencePiece vocabulary
        return text_of_bytes(bytes.fromhex(byte[1]))
    if token.startswith("▁"):  # decoded alone it would lose its space
        return token.replace("▁", " ")
    text = str(tokenizer.decode([id_]))
    if "\ufffd" in text and byte_letters().keys() >= set(token):
        return text_of_bytes(bytes(byte_letters()[letter] for letter in token))
    return text


@cache
def byte_letters() -> dict[str, int]:
    """Letter -> byte: byte-level BPE writes each byte as a letter of its own (GPT-2's table)."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + n): byte for n, byte in enumerate(rest)}


# ---------------------------------------------------------------- texts as a tokenizer's file cuts them


@lru_cache(maxsize=64)
def pieces_of_texts(file: Path, texts: tuple[str, ...]) -> tuple[tuple[Piece, ...], ...]:
    """Texts as a tokenizer cuts them, without special tokens: no model is loaded.

    Args:
        file: a tokenizer.json.
        texts: each on its own.

    Returns:
        The pieces of each text. What continues a word is written as that tokenizer writes it.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    bytewise = json.loads(tokenizer.to_str())["decoder"] or {}
    id_lists = (tokenizer.encode(text, add_special_tokens=False) for text in texts)
    return tuple(
        tuple(
            Piece(_token_text(token, bytewise.get("type") == "ByteLevel"), id_)
            for token, id_ in zip(one.tokens, one.ids, strict=True)
        )
        for one in id_lists
    )


def _token_text(token: str, bytewise: bool) -> str:
    """A token of a vocabulary as text."""
    if bytewise:
        word, end = token.removesuffix("</w>"), " " if token.endswith("</w>") else ""
        if byte_letters().keys() >= set(word):
            return text_of_bytes(bytes(byte_letters()[letter] for letter in word)) + end
        return token
    if byte := _BYTE.fullmatch(token):
        return text_of_bytes(bytes.fromhex(byte[1]))
    return token.replace("▁", " ")
