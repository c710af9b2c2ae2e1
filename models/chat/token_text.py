"""What a single token says, also where it is only some bytes of a letter."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from models.chat.events import Piece

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_BYTES = re.compile("(?:⟨[0-9a-f]{2}(?: [0-9a-f]{2})*⟩)+")


def shown(data: bytes) -> str:
    """Bytes as text; those that are no whole letter as ⟨ed 95⟩."""

    def named(found: re.Match[str]) -> str:
        return f"⟨{found[0].encode('utf-8', 'surrogateescape').hex(' ')}⟩"

    return re.sub("[\udc80-\udcff]+", named, data.decode("utf-8", "surrogateescape"))


def joined(texts: Iterable[str]) -> str:
    """Tokens' texts as one text: bytes that come together make their letter."""

    def letters(found: re.Match[str]) -> str:
        return shown(bytes.fromhex(found[0].replace("⟨", "").replace("⟩", "")))

    return _BYTES.sub(letters, "".join(texts))


def is_whole(text: str) -> bool:
    """Whether there are letters only, and no bytes of one that is cut."""
    return not _BYTES.search(text)


def pieces(tokenizer: Any, ids: Iterable[int]) -> tuple[Piece, ...]:
    """Each token's own text, special tokens too.

    Args:
        tokenizer: of transformers.
        ids: token ids.
    """
    ids = list(ids)
    tokens = tokenizer.convert_ids_to_tokens(ids)
    added = tokenizer.added_tokens_decoder  # made anew at each look
    return tuple(
        Piece((token or "") if id_ in added else _text(tokenizer, id_, token), id_)
        for id_, token in zip(ids, tokens, strict=True)
    )


def _text(tokenizer: Any, id_: int, token: str | None) -> str:
    if token is None:  # a model's vocabulary may be padded beyond its tokenizer's
        return ""
    if byte := _BYTE.fullmatch(token):  # of a SentencePiece vocabulary
        return shown(bytes.fromhex(byte[1]))
    if token.startswith("▁"):  # decoded alone it would lose its space
        return token.replace("▁", " ")
    text = str(tokenizer.decode([id_]))
    if "\ufffd" in text and _alphabet().keys() >= set(token):
        return shown(bytes(_alphabet()[letter] for letter in token))
    return text


@cache
def _alphabet() -> dict[str, int]:
    """Byte-level BPE writes each byte as a letter of its own (GPT-2's table): back to the byte."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {chr(b): b for b in plain} | {chr(256 + n): b for n, b in enumerate(rest)}
