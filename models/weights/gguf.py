"""The header of a GGUF file, read without llama.cpp: a header that lies aborts the process that trusts it.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import mmap
import struct
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from models.errors import Damaged, NotFound

_NUMBERS = {
    **{0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f"},
    **{7: "<?", 10: "<Q", 11: "<q", 12: "<d"},
}
_STRING, _ARRAY = 8, 9
_MOST_ENTRIES = 10_000
_MOST_ITEMS = 4_000_000  # of an array; the largest vocabularies have some 260,000
_ENCODERS = ("bert", "t5encoder", "clip", "wavtokenizer")  # architectures that write no text
_END = 3  # token type "control"
_END_NAMES = {
    *("<|im_end|>", "<|endoftext|>", "<end_of_turn>", "<eos>", "</s>", "<|eot_id|>", "<|end|>"),
}


@dataclass(frozen=True)
class Header:
    """What the file says about itself.

    Attributes:
        values: all entries by name; arrays as lists.
    """

    values: dict[str, Any] = field(repr=False)

    @property
    def architecture(self) -> str:
        """The model's kind, such as "llama"."""
        return str(self.values.get("general.architecture", ""))

    @property
    def context_length(self) -> int:
        """Tokens that the model was trained to look at together."""
        length = self.values.get(f"{self.architecture}.context_length")
        return length if isinstance(length, int) else 0

    @property
    def chat_template(self) -> str | None:
        """The file's own template; None for a model that continues text."""
        template = self.values.get("tokenizer.chat_template")
        return template if isinstance(template, str) and template.strip() else None

    @cached_property
    def tokens(self) -> list[bytes]:
        """The vocabulary as it is written in the file."""
        tokens = self.values.get("tokenizer.ggml.tokens")
        return [t for t in tokens if isinstance(t, bytes)] if isinstance(tokens, list) else []

    @cached_property
    def types(self) -> list[int]:
        """1 normal, 2 unknown, 3 control, 4 by the user, 6 a byte; empty where the file says none."""
        types = self.values.get("tokenizer.ggml.token_type")
        return types if isinstance(types, list) else []

    @cached_property
    def ends(self) -> frozenset[int]:
        """Ids that end an answer."""
        named = (self.values.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot"))
        known = {id_ for id_ in named if isinstance(id_, int) and id_ < len(self.tokens)}
        known |= {
            id_
            for id_, kind in enumerate(self.types[: len(self.tokens)])
            if kind == _END and self.tokens[id_].decode("utf-8", "replace") in _END_NAMES
        }
        return frozenset(known)


def read(path: Path, label: str) -> Header:
    """Read a header.

    Args:
        path: the file, or the first of a model that is split.
        label: the model's name, for the sentence.

    Raises:
        Damaged: no GGUF file, or its header is cut or makes no sense (damaged_gguf).
        NotFound: an encoder: it writes no text (not_found_task).
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            header = Header(_HeaderReader(data).entries())
    except (OSError, ValueError, struct.error, KeyError):
        raise Damaged("damaged_gguf", model=label, file=path.name) from None
    if any(name in header.architecture for name in _ENCODERS):
        raise NotFound("not_found_task", model=label)
    if header.context_length < 1 or not header.tokens:
        raise Damaged("damaged_gguf", model=label, file=path.name)
    return header


class _HeaderReader:
    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._at = data, 0

    def entries(self) -> dict[str, Any]:
        magic, version, _, count = struct.unpack("<4sIQQ", self._bytes(24))
        if magic != b"GGUF" or version not in {2, 3} or count > _MOST_ENTRIES:
            raise ValueError(magic)
        entries: dict[str, Any] = {}
        for _ in range(count):
            name = self._string().decode("utf-8", "replace")
            value = self._value(self._number("<I"))
            entries[name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return entries

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY:
            return self._number(_NUMBERS[kind])
        kind, count = self._number("<I"), self._number("<Q")
        if count > _MOST_ITEMS or kind == _ARRAY:
            raise ValueError(count)
        if kind == _STRING:
            return [self._string() for _ in range(count)]
        code = _NUMBERS[kind]
        return list(struct.unpack(f"<{count}{code[1]}", self._bytes(count * struct.calcsize(code))))

    def _string(self) -> bytes:
        return self._bytes(self._number("<Q"))

    def _number(self, code: str) -> Any:
        return struct.unpack(code, self._bytes(struct.calcsize(code)))[0]

    def _bytes(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise ValueError(count)
        self._at += count
        return self._data[self._at - count : self._at]
